"""A file has to be what its name says, before GDAL sees it."""

from __future__ import annotations

import sqlite3
import struct
import tempfile
from pathlib import Path

import pytest
from ingest_sources import zip_folder

from gisservice.errors import SourceError
from gisservice.ingest.formats import Format, prepare


@pytest.fixture
def prepared(tmp_path):
    def prepared(path: Path, layer: str | None = None):
        return prepare(path, Path(tempfile.mkdtemp(dir=tmp_path)), layer, path.name)

    return prepared


def told(prepared, path: Path, layer: str | None = None) -> str:
    with pytest.raises(SourceError) as caught:
        prepared(path, layer)
    assert caught.value.step == "read"
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lots.shp.zip", Format.SHAPEFILE),
        ("lots.gdb.zip", Format.GEODATABASE),
        ("lots.gpkg", Format.GEOPACKAGE),
        ("lots.geojson", Format.GEOJSON),
        ("lots.geojson.gz", Format.GEOJSON),
        ("lots.csv", Format.CSV),
        ("lots.csv.gz", Format.CSV),
        ("lots.parquet", Format.PARQUET),
        ("lots.fgb", Format.FLATGEOBUF),
        ("lots.kml", Format.KML),
    ],
)
def test_every_format_is_recognised(make, prepared, name, expected):
    assert prepared(make(name)).format is expected


def test_missing_empty_folder_and_unknown(prepared, tmp_path):
    assert "does not exist" in told(prepared, tmp_path / "none.gpkg")
    (tmp_path / "empty.geojson").touch()
    assert "empty (0 bytes)" in told(prepared, tmp_path / "empty.geojson")
    (tmp_path / "x.gdb").mkdir()
    assert "zip the folder" in told(prepared, tmp_path / "x.gdb")
    (tmp_path / "x.dwg").write_bytes(b"AC1027")
    assert "expected a zipped Shapefile" in told(prepared, tmp_path / "x.dwg")
    (tmp_path / "x.shp").write_bytes(b"\0\0\x27\x0a")
    assert "zip it with all the files" in told(prepared, tmp_path / "x.shp")


@pytest.mark.parametrize("name", ["lots.vrt", "lots.pkl", "lots.npz", "lots.xml", "PG:dbname=city", "lots.gml", "lots"])
def test_formats_that_lead_elsewhere_are_not_opened(prepared, tmp_path, name):
    (tmp_path / name).write_text('<OGRVRTDataSource><OGRVRTLayer name="a"/></OGRVRTDataSource>')
    assert "cannot be read" in told(prepared, tmp_path / name)


@pytest.mark.parametrize("name", ["lots.geojson", "lots.gpkg", "lots.fgb", "lots.parquet", "lots.kml", "lots.tif"])
def test_a_disguise_is_seen(prepared, tmp_path, name):
    (tmp_path / name).write_text('<OGRVRTDataSource><OGRVRTLayer name="a"/></OGRVRTDataSource>')
    assert "does not begin as one" in told(prepared, tmp_path / name)


@pytest.mark.parametrize("name", ["lots.geojson", "lots.csv", "lots.gpkg", "lots.kml", "lots.tif"])
def test_a_web_page_is_called_one(prepared, tmp_path, name):
    (tmp_path / name).write_text("\n<!DOCTYPE html><html><title>502 Bad Gateway</title></html>")
    assert "is a web page, not data" in told(prepared, tmp_path / name)


def test_utf16_is_called_so(prepared, tmp_path):
    (tmp_path / "lots.csv").write_text("x,y\n1,2\n", encoding="utf-16")
    assert "UTF-16" in told(prepared, tmp_path / "lots.csv")


def test_virtual_paths_are_only_names(prepared):
    for location in ("/vsicurl/http://127.0.0.1:1/lots.geojson", "/vsizip/x.zip/lots.shp"):
        assert "does not exist" in told(prepared, Path(location))


# Shapefiles


@pytest.fixture
def parts(make, tmp_path) -> Path:
    make("lots.shp.zip")
    return tmp_path / "lots.shp.zip.parts"


def test_a_shapefile_in_a_subfolder(parts, prepared, tmp_path):
    path = zip_folder(parts, tmp_path / "sub.zip", inside="export/2024/")
    assert prepared(path).path.name == "lots.shp"


@pytest.mark.parametrize(("extension", "words"), [(".dbf", "no lots.dbf"), (".shx", "no lots.shx")])
def test_a_missing_part_is_named(parts, prepared, tmp_path, extension, words):
    (parts / f"lots{extension}").unlink()
    assert words in told(prepared, zip_folder(parts, tmp_path / "a.zip"))


@pytest.mark.parametrize("extension", [".dbf", ".shx", ".shp"])
def test_a_truncated_part_is_named(parts, prepared, tmp_path, extension):
    part = parts / f"lots{extension}"
    part.write_bytes(part.read_bytes()[:-40])
    message = told(prepared, zip_folder(parts, tmp_path / "a.zip"))
    assert f"lots{extension} is truncated" in message


def test_shapes_and_rows_have_to_be_as_many(parts, prepared, tmp_path):
    part = parts / "lots.dbf"
    data = bytearray(part.read_bytes())
    data[4:8] = struct.pack("<I", 5)
    part.write_bytes(data)
    assert "has 6 shapes and lots.dbf 5 rows" in told(prepared, zip_folder(parts, tmp_path / "a.zip"))


@pytest.mark.parametrize(
    ("text", "codec"), [("UTF-8", "utf-8"), ("1252", "cp1252"), ("ISO-8859-1", "iso8859-1"), ("88591", "iso8859-1")]
)
def test_the_encoding_is_taken_from_the_cpg(parts, prepared, tmp_path, text, codec):
    (parts / "lots.cpg").write_text(text)
    assert prepared(zip_folder(parts, tmp_path / "a.zip")).encoding == codec


def test_an_unknown_encoding_is_named(parts, prepared, tmp_path):
    (parts / "lots.cpg").write_text("KLINGON-8")
    assert "'KLINGON-8', which is not known" in told(prepared, zip_folder(parts, tmp_path / "a.zip"))


def test_one_of_several_is_picked_by_name(parts, make, prepared, tmp_path):
    make("lots.geojson").rename(parts / "Roads.geojson")
    path = zip_folder(parts, tmp_path / "several.zip")
    assert prepared(path, "roads").format is Format.GEOJSON
    assert "holds 2 layers: Roads, lots. Name one with --layer" in told(prepared, path)
    assert "has no layer 'x'; it has: Roads, lots" in told(prepared, path, "x")


def test_an_archive_with_nothing_to_read(prepared, tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "readme.txt").write_text("hello")
    assert "holds nothing that is read" in told(prepared, zip_folder(folder, tmp_path / "a.zip"))


# GeoPackage


def test_a_geopackage_whose_layer_is_a_view_is_refused(make, prepared):
    path = make("lots.gpkg")
    with sqlite3.connect(path) as database:
        database.execute("CREATE VIEW spy AS SELECT * FROM lots")
        database.execute("INSERT INTO gpkg_contents (table_name, data_type) VALUES ('spy', 'features')")
    database.close()
    assert "'spy' is a view" in told(prepared, path)


def test_a_database_that_is_no_geopackage_is_refused(prepared, tmp_path):
    path = tmp_path / "city.gpkg"
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE a (b)")
    database.close()
    assert "is not a GeoPackage" in told(prepared, path)


def test_a_damaged_page_is_found(make, prepared):
    path = make("lots.gpkg")
    data = bytearray(path.read_bytes())
    page = int.from_bytes(data[16:18], "big")
    for start in range(4 * page, len(data), page):
        data[start : start + 64] = b"\xff" * 64
    path.write_bytes(data)
    assert "is a damaged GeoPackage" in told(prepared, path)


# KML


@pytest.mark.parametrize(
    "text",
    [
        '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">]><kml xmlns="http://www.opengis.net/kml/2.2"/>',
        '<?xml version="1.0"?><!doctype kml SYSTEM "http://127.0.0.1:1/x.dtd"><kml/>',
    ],
)
def test_xml_entities_are_refused(prepared, tmp_path, text):
    (tmp_path / "a.kml").write_text(text)
    assert "XML entities" in told(prepared, tmp_path / "a.kml")
