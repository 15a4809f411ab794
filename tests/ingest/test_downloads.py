"""Whole layers as files: every form in both systems, read by readers that are not ours, against what was published."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import geopandas
import numpy as np
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely
from typed_layers import FORMULAS, HOSTILE, published

from gisservice.catalog import Catalog
from gisservice.catalog.derived import Derived
from gisservice.ingest.downloads import make, make_current
from gisservice.model import GeometryKind, Style, StyleClass
from gisservice.query.downloads import (
    DOWNLOADS,
    GEOJSON_TAIL,
    LONLAT,
    Wanted,
    all_files,
    archive_of,
    file_name,
    geojson_head,
)

FEET = "EPSG:2283"
KINDS = (GeometryKind.POINT, GeometryKind.LINE, GeometryKind.POLYGON)
STYLE = Style(
    by="text", label="pid", classes=tuple(StyleClass(text, f"<{text}>", "#123456") for text in HOSTILE if text)
)
KML = {"k": "http://www.opengis.net/kml/2.2"}


class City:
    """A catalog with one layer, whose files were all made."""

    def __init__(self, home: Path, kind: GeometryKind, **changes: Any) -> None:
        self.home = home
        self.catalog = Catalog(home)
        published(self.catalog, kind, **{"style": STYLE, **changes})
        self.collection = self.catalog.collection("lots")
        self.derived = Derived(self.collection)
        self.made = {entry.name: entry for entry in make(self.collection, all_files(self.collection.manifest))}

    def path(self, extension: str, system: str = LONLAT) -> Path:
        return self.derived.path(file_name(self.collection.manifest, extension, system))

    def content(self, extension: str, system: str = LONLAT) -> bytes:
        return self.path(extension, system).read_bytes()

    def stored(self, system: str = LONLAT) -> geopandas.GeoDataFrame:
        """The records as they were published, from the archive; in degrees, from the items."""
        frame = geopandas.read_parquet(self.collection.path / "features.parquet")
        if system == LONLAT:
            items = [json.loads(self.collection.features.item(row)) for row in range(len(frame))]
            frame = frame.set_geometry(
                [shapely.from_geojson(json.dumps(item["geometry"])) for item in items], crs=LONLAT
            )
        return frame.set_index("pid")


@pytest.fixture(scope="module", params=KINDS, ids=str)
def city(request, tmp_path_factory) -> City:
    return City(tmp_path_factory.mktemp(str(request.param)), request.param)


@pytest.fixture(scope="module", params=[LONLAT, FEET])
def system(request) -> str:
    return request.param


def same_shapes(found: Any, expected: Any, tolerance: float) -> bool:
    """Tell whether geometries are the same, whether or not single ones are wrapped as multi."""
    return all(
        len(a) == len(b) and shapely.equals_exact(shapely.normalize(a), shapely.normalize(b), tolerance).all()
        for a, b in zip(map(shapely.get_parts, found), map(shapely.get_parts, expected), strict=True)
    )


def values(frame: pandas.DataFrame, name: str) -> list[Any]:
    return [None if pandas.isna(value) else value for value in frame[name]]


def check_records(frame: geopandas.GeoDataFrame, city: City, system: str, tolerance: float) -> geopandas.GeoDataFrame:
    """Compare ids, geometries and the attributes that all formats keep; return the frame in published order."""
    expected = city.stored(system)
    assert sorted(frame["pid"]) == sorted(expected.index)
    frame = frame.set_index("pid").loc[expected.index]
    assert same_shapes(frame.geometry, expected.geometry, tolerance)
    assert values(frame, "whole") == values(expected, "whole")
    assert values(frame, "number") == pytest.approx(values(expected, "number"), abs=1e-14)
    return frame


def check_types(frame: geopandas.GeoDataFrame, city: City) -> None:
    """Compare what formats with types and nulls keep as it was."""
    expected = city.stored()
    assert values(frame, "text") == values(expected, "text")
    assert [None if v is None else bool(v) for v in values(frame, "truth")] == values(expected, "truth")
    assert [v and pandas.Timestamp(v).date() for v in values(frame, "day")] == values(expected, "day")
    assert [v and pandas.Timestamp(v) for v in values(frame, "moment")] == values(expected, "moment")


def test_all_files_are_made_and_known_by_their_digest(city):
    assert len(city.made) == 12 and not any(entry.problem for entry in city.made.values())
    for name, entry in city.made.items():
        assert city.derived.find(name) == entry
    assert not [path for path in city.derived.folder.iterdir() if path.name.startswith(".new")]
    assert city.catalog.verify() == ()


def test_geopackage(city, system):
    layers = pyogrio.list_layers(city.path("gpkg", system)).tolist()
    assert [name for name, kind in layers if kind] == ["lots"]
    frame = pyogrio.read_dataframe(city.path("gpkg", system), layer="lots")
    assert frame.crs.to_epsg() == int(system[5:]) and len(set(frame.geom_type)) == 1
    check_types(check_records(frame, city, system, 1e-6 if system == FEET else 1e-8), city)
    info = pyogrio.read_info(city.path("gpkg", system), layer="lots")
    assert info["capabilities"]["fast_spatial_filter"] and info["fid_column"] == "fid"


def test_geopackage_has_the_style_and_the_description_that_qgis_reads(city):
    with sqlite3.connect(city.path("gpkg")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        row = database.execute(
            "SELECT f_table_name, f_geometry_column, useAsDefault, styleQML, styleSLD FROM layer_styles"
        ).fetchall()
        metadata = database.execute(
            "SELECT metadata FROM gpkg_metadata JOIN gpkg_metadata_reference ON md_file_id = id "
            "WHERE table_name = 'lots'"
        ).fetchall()
        contents = dict(database.execute("SELECT table_name, last_change FROM gpkg_contents"))
    assert [entry[:3] for entry in row] == [("lots", "geom", 1)]
    assert set(contents) == {"lots", "layer_styles"} and set(contents.values()) == {"2000-01-01T00:00:00.000Z"}
    qml = ElementTree.fromstring(row[0][3])
    categories = {entry.get("value"): entry.get("label") for entry in qml.iter("category")}
    shown = {entry.value: entry.label for entry in STYLE.classes}
    assert categories == {**shown, "": "other"}
    assert qml.find("renderer-v2").get("attr") == "text"
    assert len(list(qml.iter("symbol"))) == len(categories)
    assert len(list(ElementTree.fromstring(row[0][4]).iter("{http://www.opengis.net/se}Rule"))) == len(categories)
    description = ElementTree.fromstring(metadata[0][0])
    assert description.findtext("title") == "Lots" and "What <it> is." in description.findtext("abstract")


def test_flatgeobuf(city, system):
    info = pyogrio.read_info(city.path("fgb", system))
    assert info["crs"] == system and info["features"] == 60 and info["capabilities"]["fast_spatial_filter"]
    frame = pyogrio.read_dataframe(city.path("fgb", system))
    check_types(check_records(frame, city, system, 1e-6 if system == FEET else 1e-8), city)


def test_geoparquet(city, system):
    path = city.path("parquet", system)
    if system == FEET:
        assert not path.exists(), "the version's own archive is what is sent"
        archive = archive_of(city.collection.manifest, Wanted("parquet", FEET))
        assert archive.sha256 == city.collection.manifest.files["features.parquet"]["sha256"]
        path = city.collection.path / "features.parquet"
        assert archive.size == path.stat().st_size and geopandas.read_parquet(path).crs.to_epsg() == 2283
        return
    frame = geopandas.read_parquet(path)
    assert frame.crs.to_string() == "OGC:CRS84"
    check_types(check_records(frame, city, system, 1e-8), city)
    assert set(frame.geom_type) == set(city.stored().geom_type)
    geo = json.loads(pq.read_schema(path).metadata[b"geo"])
    assert geo["version"] == "1.1.0" and "covering" in geo["columns"]["geometry"]
    west = float(frame.total_bounds[0])
    part = geopandas.read_parquet(path, bbox=(west, 38.0, west + 0.02, 39.0))
    assert 0 < len(part) < 60


def test_geojson(city, system, tmp_path):
    name = file_name(city.collection.manifest, "geojson", system)
    if system == LONLAT:
        assert not city.path("geojson").exists(), "the stored items are what is sent"
        items = city.collection.features.items(np.arange(60))
        content = geojson_head("lots", LONLAT) + items + GEOJSON_TAIL
        (tmp_path / name).write_bytes(content)
        assert len(content) == city.made[name].size
    else:
        (tmp_path / name).write_bytes(city.content("geojson", system))
    found = json.loads((tmp_path / name).read_bytes())
    stored = [json.loads(city.collection.features.item(row)) for row in range(60)]
    assert [(e["id"], e["properties"]) for e in found["features"]] == [(e["id"], e["properties"]) for e in stored]
    frame = pyogrio.read_dataframe(tmp_path / name)
    assert frame.crs.to_epsg() == int(system[5:])
    check_records(frame, city, system, 1e-4 if system == FEET else 1e-8)
    assert values(frame, "text") == values(city.stored(), "text")


def test_csv(city, system):
    rows = list(csv.DictReader(io.StringIO(city.content("csv", system).decode(), newline=""), strict=True))
    expected = city.stored(system)
    assert [row["pid"] for row in rows] == list(expected.index)
    for row, (_, stored) in zip(rows, expected.iterrows(), strict=True):
        text = None if pandas.isna(stored["text"]) else stored["text"]
        assert row["text"] == (f"'{text}" if text and text in HOSTILE[:FORMULAS] else text or "")
        assert row["whole"] == ("" if pandas.isna(stored["whole"]) else str(stored["whole"]))
        assert row["number"] == ("" if pandas.isna(stored["number"]) else row["number"])
        shape = shapely.from_wkt(row["WKT"])
        assert same_shapes([shape], [stored.geometry], 1e-4 if system == FEET else 1e-12)


def test_shapefile(city, system):
    with zipfile.ZipFile(city.path("shp.zip", system)) as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
        readme = archive.read("README.txt").decode()
        assert archive.read("lots.cpg") == b"UTF-8"
        ElementTree.fromstring(archive.read("lots.qml"))
    assert names == {f"lots.{part}" for part in ("shp", "shx", "dbf", "prj", "cpg", "qml")} | {"README.txt"}
    assert all(loss in readme for loss in DOWNLOADS["shp.zip"].losses(city.collection.manifest))
    frame = geopandas.read_file(f"zip://{city.path('shp.zip', system)}")
    assert frame.crs.to_epsg() in (int(system[5:]), None) and frame.crs.is_geographic == (system == LONLAT)
    frame = check_records(frame, city, system, 1e-6 if system == FEET else 1e-8)
    expected = city.stored()
    texts = [value and value.strip(" ") for value in values(expected, "text")]
    assert values(frame, "text") == [text or None for text in texts]
    assert [None if v is None else bool(v) for v in values(frame, "truth")] == values(expected, "truth")
    assert [v and pandas.Timestamp(v).date() for v in values(frame, "day")] == values(expected, "day")
    assert [v and pandas.Timestamp(v) for v in values(frame, "moment")] == values(expected, "moment")


def test_kml(city):
    root = ElementTree.fromstring(city.content("kml"))
    marks = root.findall(".//k:Placemark", KML)
    expected = city.stored()
    assert [mark.findtext("k:name", namespaces=KML) for mark in marks] == list(expected.index)
    styles = {style.get("id") for style in root.findall(".//k:Style", KML)}
    assert {mark.findtext("k:styleUrl", namespaces=KML)[1:] for mark in marks} <= styles
    for mark, (_, stored) in zip(marks, expected.iterrows(), strict=True):
        data = {entry.get("name"): entry.text for entry in mark.findall(".//k:SimpleData", KML)}
        if not pandas.isna(stored["text"]):  # XML reads every line break as a line feed
            assert (data["text"] or "") == re.sub("\r\n?", "\n", stored["text"])
        assert ("whole" in data) == (not pandas.isna(stored["whole"]))
        assert "whole" not in data or int(data["whole"]) == stored["whole"]
        assert data.get("truth") == (None if pandas.isna(stored["truth"]) else str(int(stored["truth"])))
    frame = pyogrio.read_dataframe(city.path("kml"))
    assert same_shapes(frame.geometry, expected.geometry, 1e-12)


def test_the_same_version_gives_the_same_bytes(city, tmp_path):
    twin = City(tmp_path, city.collection.manifest.kind)
    assert twin.collection.version == city.collection.version
    assert twin.made == city.made


def test_single_points_stay_points_and_csv_has_two_columns(tmp_path):
    city = City(tmp_path, GeometryKind.POINT, multi=False)
    for extension in ("gpkg", "fgb", "parquet"):
        path = city.path(extension)
        parquet = extension == "parquet"
        frame = geopandas.read_parquet(path) if parquet else pyogrio.read_dataframe(path, layer="lots")
        assert set(frame.geom_type) == {"Point"}
    rows = list(csv.DictReader(io.StringIO(city.content("csv", FEET).decode(), newline="")))
    expected = shapely.get_coordinates(city.stored(FEET).geometry)
    assert np.abs(np.array([[float(r["x"]), float(r["y"])] for r in rows]) - expected).max() <= 0.00005001


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_without_records_has_all_its_files(kind, tmp_path):
    city = City(tmp_path, kind, count=0)
    assert len(city.made) == 12 and not any(entry.problem for entry in city.made.values())
    for extension in ("gpkg", "fgb"):
        frame = pyogrio.read_dataframe(city.path(extension, FEET), layer="lots")
        assert len(frame) == 0 and "text" in frame.columns
    assert city.content("csv").count(b"\r\n") == 1
    assert json.loads(city.content("geojson", FEET))["features"] == []
    assert geopandas.read_file(f"zip://{city.path('shp.zip')}").empty


def test_a_layer_stored_in_degrees_has_one_system(tmp_path):
    city = City(tmp_path, GeometryKind.POLYGON, storage="OGC:CRS84")
    assert {wanted.system for wanted in all_files(city.collection.manifest)} == {LONLAT} and len(city.made) == 6
    check_types(check_records(pyogrio.read_dataframe(city.path("gpkg"), layer="lots"), city, LONLAT, 1e-8), city)


def test_a_system_without_a_code_travels_as_a_definition(tmp_path):
    definition = "+proj=tmerc +lat_0=38.8 +lon_0=-77.05 +k=1 +x_0=1000 +y_0=2000 +ellps=GRS80 +units=m +no_defs"
    city = City(tmp_path, GeometryKind.POLYGON, storage=definition)
    extensions = [wanted.extension for wanted in all_files(city.collection.manifest) if wanted.system != LONLAT]
    assert extensions == ["csv", "gpkg", "shp.zip", "fgb", "parquet"]
    for extension in ("gpkg", "fgb"):
        frame = pyogrio.read_dataframe(city.path(extension, definition), layer="lots")
        assert "Transverse Mercator" in frame.crs.to_wkt() and abs(frame.total_bounds[0]) < 10_000


def test_names_and_texts_that_formats_do_not_take(tmp_path):
    count = 12
    columns = {
        "fid": [f"f{row}" for row in range(count)],
        "geom": ["<b>"] * count,
        "geometry_": ["x"] * count,
        "wkt": ["POINT (0 0)"] * count,
        "a_very_long_name_of_a_column": ["first"] * count,
        "a_very_long_name_of_another": ["second"] * count,
        "=cmd|' /C calc'!A0": ["header"] * count,
        "größe \"'<&>]]>": ["ü" * 200] * count,
        "long": pandas.array(["x" * 300] * count, dtype="str"),
        "control": pandas.array(["a\x00b\x01c\ufffe"] * count, dtype="str"),
    }
    city = City(tmp_path, GeometryKind.POLYGON, count=count, columns=columns, style=Style(), title="A\r\nB \"<'>\u202e")
    assert not any(entry.problem for entry in city.made.values())
    frame = pyogrio.read_dataframe(city.path("gpkg"), layer="lots")
    assert set(columns) <= set(frame.columns) and frame["long"].str.len().tolist() == [300] * count
    assert "pid" in pyogrio.read_dataframe(city.path("fgb")).columns
    with zipfile.ZipFile(city.path("shp.zip")) as archive:
        readme = archive.read("README.txt").decode()
    short = geopandas.read_file(f"zip://{city.path('shp.zip')}")
    assert {"a_very_lon", "a_very_l_1"} <= set(short.columns)
    assert "a_very_long_name_of_another is a_very_l_1" in readme
    assert (
        short["long"].str.len().tolist() == [254] * count and short["gr__e______"[:10]].tolist() == ["ü" * 127] * count
    )
    rows = list(csv.reader(io.StringIO(city.content("csv").decode(), newline="")))
    assert rows[0][-1] == "_WKT" and "'=cmd|' /C calc'!A0" in rows[0]
    root = ElementTree.fromstring(city.content("kml"))
    data = {e.get("name"): e.text for e in root.find(".//k:Placemark", KML).findall(".//k:SimpleData", KML)}
    assert data["control"] == "abc" and data["größe \"'<&>]]>"] == "ü" * 200


def test_a_file_that_does_not_fit_its_format_is_noted_with_the_reason(tmp_path, monkeypatch):
    from gisservice.ingest.downloads import making

    def refuse(content, path):
        raise pyogrio.errors.DataLayerError("2GB file size limit reached")

    monkeypatch.setitem(making._WRITERS, "shp.zip", refuse)
    city = City(tmp_path, GeometryKind.POINT)
    noted = city.made["lots.shp.zip"]
    assert noted.problem and city.derived.find("lots.shp.zip") == noted
    assert make(city.collection, [Wanted("shp.zip", LONLAT)]) == []


def test_several_processes_make_the_current_files_and_what_is_there_stays(tmp_path):
    catalog = Catalog(tmp_path)
    for number, kind in enumerate(KINDS):
        published(catalog, kind, collection_id=f"layer{number}")
    made = make_current(tmp_path, catalog.ids(), workers=2)
    assert made.files == 36 and made.failed == () and made.size_bytes > 0
    assert make_current(tmp_path, catalog.ids(), workers=2).files == 0


def test_a_disk_that_refuses_fails_one_layer_and_leaves_nothing_half_made(tmp_path, monkeypatch):
    from gisservice.ingest.downloads import making

    def full(content, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    catalog = Catalog(tmp_path)
    published(catalog, GeometryKind.POINT)
    monkeypatch.setitem(making._WRITERS, "csv", full)
    made = make_current(tmp_path, ["lots"], workers=1)
    assert made.failed == ("The files of 'lots' could not all be made: No space left on device.",)
    derived = Derived(catalog.collection("lots"))
    assert derived.find("lots.csv") is None and not derived.path("lots.csv").exists()
    assert not [path for path in derived.folder.iterdir() if path.name.startswith(".new")]


def test_only_the_files_of_the_current_version_are_kept(tmp_path):
    city = City(tmp_path, GeometryKind.POINT)
    before = city.collection.version
    folder = city.derived.folder
    assert folder.is_dir()
    published(city.catalog, GeometryKind.POINT, count=61, style=STYLE)
    assert not folder.exists()
    earlier = city.catalog.version("lots", before)
    assert make(earlier, [Wanted("fgb", LONLAT)])[0] == city.made["lots.fgb"], "made anew, byte for byte"


def test_damage_to_a_file_is_found_and_a_file_of_another_size_is_made_anew(tmp_path):
    city = City(tmp_path, GeometryKind.POINT)
    path = city.path("csv")
    content = bytearray(path.read_bytes())
    content[10] ^= 1
    path.write_bytes(content)
    assert [finding.code for finding in city.catalog.verify()] == ["damaged-download"]
    path.write_bytes(b"short")
    assert city.derived.find("lots.csv") is None
    assert make(city.collection, [Wanted("csv", LONLAT)])[0] == city.made["lots.csv"]
    assert city.catalog.verify() == ()
    path.with_name("lots.csv.json").write_bytes(b"{}")
    assert city.derived.find("lots.csv") is None


def test_pa_types_are_what_the_archive_has(city):
    schema = pq.read_schema(city.path("parquet"))
    archive = pq.read_schema(city.collection.path / "features.parquet")
    assert [schema.field(name).type for name in ("whole", "number", "truth", "day")] == [
        archive.field(name).type for name in ("whole", "number", "truth", "day")
    ]
    assert pa.types.is_timestamp(schema.field("moment").type)
