"""Clients that others wrote, over loopback: each reads whole layers page by page, as they were published."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely
from feature_city import FeatureCity
from free_ports import free_port
from live_server import serving
from owslib.ogcapi.features import Features

pytestmark = pytest.mark.slow

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
COLLECTIONS = ("permits", "streets", "lots")
EPSG = "http://www.opengis.net/def/crs/EPSG/0/{}".format


@pytest.fixture(scope="module")
def address(feature_city: FeatureCity) -> Iterator[str]:
    with serving(replace(feature_city.settings, port=free_port(), workers=1)) as base:
        yield base


def same_shapes(found: geopandas.GeoSeries, expected: geopandas.GeoSeries, tolerance: float = 1e-8) -> None:
    one = shapely.normalize(np.asarray(_multi(found), dtype=object))
    two = shapely.normalize(np.asarray(_multi(expected), dtype=object))
    assert shapely.equals_exact(one, two, tolerance).all()


def _multi(shapes: geopandas.GeoSeries) -> list[shapely.Geometry]:
    """Single geometries as multi ones: GDAL makes a layer of one type of the two."""
    made = {"Point": shapely.MultiPoint, "LineString": shapely.MultiLineString, "Polygon": shapely.MultiPolygon}
    return [made[shape.geom_type]([shape]) if shape.geom_type in made else shape for shape in shapes]


@pytest.mark.parametrize("name", COLLECTIONS)
@pytest.mark.parametrize("page", [7, 64, 1000])
def test_pyogrio_reads_a_layer_by_the_oapif_driver(
    feature_city: FeatureCity, address: str, name: str, page: int
) -> None:
    source = f"OAPIF:{address}/api"
    assert {layer for layer, _ in pyogrio.list_layers(source)} == {*COLLECTIONS, "catalog"}
    frame = pyogrio.read_dataframe(source, layer=name, PAGE_SIZE=str(page))
    published = feature_city.frames[name]
    key = {"permits": "number", "streets": "name", "lots": "pid"}[name]
    frame = frame.set_index(frame[key].astype(str)).loc[published.index]
    assert len(frame) == len(published)
    # GDAL asks for the system that a layer is stored in where it knows it.
    assert frame.crs == ("EPSG:26918" if name == "streets" else "EPSG:2283")
    same_shapes(frame.geometry, published.geometry.to_crs(frame.crs), 1e-3)
    lonlat = pyogrio.read_dataframe(source, layer=name, PAGE_SIZE=str(page), CRS=CRS84)
    lonlat = lonlat.set_index(lonlat[key].astype(str)).loc[published.index]
    same_shapes(lonlat.geometry, published.geometry)


@pytest.mark.parametrize("name", COLLECTIONS)
def test_ogrinfo_counts_and_describes_a_layer(feature_city: FeatureCity, address: str, name: str) -> None:
    told = subprocess.run(
        ["ogrinfo", "-so", f"OAPIF:{address}/api", name], capture_output=True, text=True, check=True, timeout=120
    ).stdout
    assert f"Feature Count: {len(feature_city.frames[name])}" in told
    for column in feature_city.frames[name].columns.drop("geometry"):
        assert f"\n{column}: " in told


@pytest.mark.parametrize("name", COLLECTIONS)
def test_ogr2ogr_copies_a_layer(feature_city: FeatureCity, address: str, name: str, tmp_path: Path) -> None:
    target = tmp_path / "copy.gpkg"
    subprocess.run(
        ["ogr2ogr", "-oo", "PAGE_SIZE=50", str(target), f"OAPIF:{address}/api", name], check=True, timeout=120
    )
    copied = geopandas.read_file(target)
    published = feature_city.frames[name]
    key = {"permits": "number", "streets": "name", "lots": "pid"}[name]
    same_shapes(copied.set_index(copied[key].astype(str)).loc[published.index].geometry, published.geometry)


def test_gdal_asks_for_a_box_and_a_filter(feature_city: FeatureCity, address: str) -> None:
    box = (-77.0555, 38.8035, -77.0505, 38.8085)
    expected = feature_city.frames["lots"]
    expected = expected[expected.intersects(shapely.box(*box)) & (expected["zoning"] == "RM")]
    frame = pyogrio.read_dataframe(f"OAPIF:{address}/api", layer="lots", bbox=box, where="zoning = 'RM'", CRS=CRS84)
    assert set(frame["pid"]) == set(expected.index)


@pytest.mark.parametrize("name", COLLECTIONS)
def test_geopandas_reads_a_page_by_its_address(feature_city: FeatureCity, address: str, name: str) -> None:
    """One address, one page: the way that notebooks take. GDAL follows the links itself from GeoJSON on."""
    frame = geopandas.read_file(f"{address}/api/collections/{name}/items?limit=10000")
    published = feature_city.frames[name]
    assert len(frame) == len(published)
    key = {"permits": "number", "streets": "name", "lots": "pid"}[name]
    same_shapes(frame.set_index(frame[key].astype(str)).loc[published.index].geometry, published.geometry)


def test_geopandas_reads_a_flatgeobuf_page(feature_city: FeatureCity, address: str) -> None:
    frame = geopandas.read_file(f"{address}/api/collections/lots/items?limit=400&f=fgb&crs={EPSG(2283)}")
    assert len(frame) == 400 and frame.crs == "EPSG:2283"


@pytest.mark.parametrize("name", COLLECTIONS)
def test_owslib_reads_a_layer(feature_city: FeatureCity, address: str, name: str) -> None:
    client = Features(f"{address}/api")
    assert sorted(client.feature_collections()) == sorted(COLLECTIONS)
    assert "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core" in client.conformance()["conformsTo"]
    assert client.api()["openapi"].startswith("3.0")
    assert client.collection(name)["id"] == name
    assert set(client.collection_queryables(name)["properties"]) == set(feature_city.frames[name].columns)
    seen: dict[str, dict] = {}
    while len(seen) < (page := client.collection_items(name, limit=37, offset=len(seen)))["numberMatched"]:
        seen |= {item["id"]: item for item in page["features"]}
    published = feature_city.frames[name]
    assert set(seen) == set(published.index)
    found = geopandas.GeoSeries({key: shapely.geometry.shape(item["geometry"]) for key, item in seen.items()})
    same_shapes(found.loc[published.index], published.geometry)
    assert client.collection_item(name, next(iter(seen)))["id"] == next(iter(seen))


def test_owslib_filters(feature_city: FeatureCity, address: str) -> None:
    client = Features(f"{address}/api")
    found = client.collection_items("lots", filter="zoning = 'RB'", limit=400)
    published = feature_city.frames["lots"]
    assert {item["id"] for item in found["features"]} == set(published.index[published["zoning"] == "RB"])


def test_desktop_programs_follow_next_links_to_the_end(feature_city: FeatureCity, address: str) -> None:
    """As QGIS does: a page, then whatever its next link says, nothing made up."""
    for name in COLLECTIONS:
        url: str | None = f"{address}/api/collections/{name}/items?limit=25&crs={EPSG(3857)}"
        seen: list[str] = []
        while url is not None:
            with urllib.request.urlopen(url, timeout=60) as answer:
                assert answer.headers["Content-Crs"] == f"<{EPSG(3857)}>"
                document = json.load(answer)
            seen += [item["id"] for item in document["features"]]
            url = next((link["href"] for link in document["links"] if link["rel"] == "next"), None)
        assert len(seen) == len(set(seen)) and set(seen) == set(feature_city.frames[name].index)
