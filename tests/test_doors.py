"""The planner's door: what a notebook imports, whichever room was imported first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import geopandas
import pytest
import shapely

import gisservice


def test_a_notebook_ingests_and_reads_what_the_command_line_would(tmp_path: Path) -> None:
    frame = geopandas.GeoDataFrame({"id": ["a", "b"]}, geometry=[shapely.Point(-77.05, 38.8)] * 2, crs="OGC:CRS84")
    frame.to_file(tmp_path / "stops.gpkg", engine="pyogrio")
    (tmp_path / "home").mkdir()
    catalog = gisservice.open_catalog(tmp_path / "home")
    summary = gisservice.ingest(tmp_path / "stops.gpkg", "stops", catalog=catalog)
    assert (summary.read, summary.published) == (2, 2)
    assert list(catalog.read("stops").index) == ["a", "b"]
    page = gisservice.select(catalog.collection("stops").features, gisservice.Query(limit=1))
    assert page.number_matched == 2 and page.next_offset == 1


@pytest.mark.parametrize("first", ["gisservice.ingest", "gisservice.web", "gisservice.query"])
def test_the_door_does_not_depend_on_what_was_imported_before(first: str) -> None:
    code = f"import {first}, gisservice; assert all(callable(getattr(gisservice, n)) for n in gisservice.__all__)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_serving_does_not_load_what_only_ingest_needs() -> None:
    late = {"rasterio", "rio_cogeo", "gisservice.ingest", "pandas", "folium", "scipy", "pypdfium2", "fontTools"}
    code = f"import sys, gisservice.web; assert not {late} & set(sys.modules), {late} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="ingets"):
        _ = gisservice.ingets
