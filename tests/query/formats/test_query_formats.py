"""Pages in every format, read back by readers that are not ours: csv, json, shapely, GDAL."""

from __future__ import annotations

import csv
import io
import json

import geopandas
import numpy as np
import pyogrio
import pyproj
import pytest
import shapely
from typed_layers import FORMULAS, HOSTILE, written

from gisservice.catalog import Features
from gisservice.model import Form, GeometryKind
from gisservice.query.formats import (
    FORMATS,
    Extract,
    encode_csv,
    encode_flatgeobuf,
    encode_jsonfg,
    encode_jsonfg_item,
    encode_sequence,
)

AREA = (-77.2, 38.7, -76.9, 38.9)
FEET = Form(crs="EPSG:2283")
KINDS = (GeometryKind.POINT, GeometryKind.LINE, GeometryKind.POLYGON)


@pytest.fixture(scope="module", params=KINDS, ids=str)
def layer(request, tmp_path_factory) -> Features:
    return written(tmp_path_factory.mktemp(str(request.param)), request.param)


@pytest.fixture(scope="module")
def single_points(tmp_path_factory) -> Features:
    return written(tmp_path_factory.mktemp("single"), GeometryKind.POINT, multi=False)


def extract(features: Features, form: Form = Form(), rows=None) -> Extract:  # noqa: B008
    return Extract(
        features, np.arange(features.count) if rows is None else np.asarray(rows, dtype=np.int64), form, AREA
    )


def properties(features: Features, row: int) -> dict:
    return json.loads(features.item(row))["properties"]


def lonlat(features: Features) -> list:
    return [
        shapely.from_geojson(json.dumps(json.loads(features.item(row))["geometry"])) for row in range(features.count)
    ]


def in_feet(shapes: list) -> list:
    to = pyproj.Transformer.from_crs("OGC:CRS84", "EPSG:2283", always_xy=True)
    return list(shapely.transform(shapes, lambda xy: np.column_stack(to.transform(xy[:, 0], xy[:, 1]))))


def read_csv(content: bytes) -> tuple[list[str], list[list[str]]]:
    rows = list(csv.reader(io.StringIO(content.decode("utf-8"), newline=""), strict=True))
    return rows[0], rows[1:]


@pytest.mark.parametrize(("form", "tolerance"), [(Form(), 1.5e-8), (FEET, 0.01)], ids=["degrees", "feet"])
def test_csv_has_every_record_with_its_values_and_its_shape(layer, form, tolerance):
    names, rows = read_csv(b"".join(encode_csv(extract(layer, form))))
    assert names == ["pid", "text", "whole", "number", "truth", "day", "moment", "WKT"]
    expected = lonlat(layer) if form.crs == "OGC:CRS84" else in_feet(lonlat(layer))
    assert len(rows) == layer.count
    for row, cells in enumerate(rows):
        stored = properties(layer, row)
        text = stored["text"]
        if text is not None and text in HOSTILE[:FORMULAS]:
            text = f"'{text}"
        assert cells[0] == stored["pid"] and cells[1] == (text or "")
        assert ((cells[2] and int(cells[2])) or None) == (stored["whole"] or None)
        assert (float(cells[3]) if cells[3] else None) == stored["number"]
        assert cells[4] == {True: "true", False: "false", None: ""}[stored["truth"]]
        assert cells[5] == (stored["day"] or "") and cells[6] == (stored["moment"] or "")
        shape = shapely.from_wkt(cells[7])
        assert shape.geom_type == expected[row].geom_type
        assert shapely.equals_exact(shape, expected[row], tolerance)


def test_csv_of_single_points_has_two_columns_of_numbers(single_points):
    for form, names, expected in (
        (Form(), ["lon", "lat"], lonlat(single_points)),
        (FEET, ["x", "y"], in_feet(lonlat(single_points))),
        (Form(crs="EPSG:4326"), ["lon", "lat"], lonlat(single_points)),
    ):
        header, rows = read_csv(b"".join(encode_csv(extract(single_points, form))))
        assert header[-2:] == names
        positions = np.array([[float(row[-2]), float(row[-1])] for row in rows])
        assert np.abs(positions - shapely.get_coordinates(expected)).max() < 0.01
        if form == Form():
            assert (positions == shapely.get_coordinates(expected)).all()


def test_csv_lines_end_in_cr_lf_and_no_cell_begins_a_formula(layer):
    content = b"".join(encode_csv(extract(layer, Form(geometry=False)))).decode()
    _, rows = read_csv(content.encode())
    assert content.endswith("\r\n")
    assert not [cell for row in rows for cell in row[:2] if cell[:1] in tuple("=+-@\t\r\n\0＝＋－＠")]
    assert any(row[2].startswith("-") for row in rows), "a negative number stays a number"


def test_csv_tells_a_null_from_an_empty_text(layer):
    content = b"".join(encode_csv(extract(layer, Form(geometry=False, properties=("pid", "text"))))).decode()
    empty = next(row for row in range(layer.count) if properties(layer, row)["text"] == "")
    null = next(row for row in range(layer.count) if properties(layer, row)["text"] is None)
    assert f'\r\np{properties(layer, empty)["pid"][1:]},""\r\n' in content
    assert f"\r\np{properties(layer, null)['pid'][1:]},\r\n" in content


def test_csv_columns_come_from_the_schema_also_without_rows_and_names_do_not_clash(layer):
    assert b"".join(encode_csv(extract(layer, rows=[]))) == b"pid,text,whole,number,truth,day,moment,WKT\r\n"
    from gisservice.query.formats.delimited import position_columns

    assert position_columns(layer.geometries, True, ["wkt", "_WKT"]) == ("__WKT",)


def test_gdal_reads_the_csv(layer, tmp_path):
    (tmp_path / "page.csv").write_bytes(b"".join(encode_csv(extract(layer))))
    frame = pyogrio.read_dataframe(tmp_path / "page.csv", AUTODETECT_TYPE="YES")
    assert len(frame) == layer.count and frame.geometry.notna().all()
    assert frame["pid"].tolist() == [layer.item_id(row) for row in range(layer.count)]
    assert shapely.equals_exact(np.asarray(frame.geometry), np.asarray(lonlat(layer)), 1e-12).all()


@pytest.mark.parametrize("size", [1, 7, 60])
def test_a_text_sequence_has_each_feature_between_rs_and_lf(layer, size):
    starts = range(0, layer.count, size)
    pieces = [layer.items(np.arange(first, min(first + size, layer.count))) for first in starts]
    content = b"".join(encode_sequence(pieces))
    texts = content.split(b"\x1e")
    assert texts[0] == b"" and all(text.endswith(b"\n") for text in texts[1:])
    assert [json.loads(text) for text in texts[1:]] == [json.loads(layer.item(row)) for row in range(layer.count)]


def test_gdal_reads_the_text_sequence(layer, tmp_path):
    (tmp_path / "page.geojsons").write_bytes(b"".join(encode_sequence([layer.items(np.arange(layer.count))])))
    frame = pyogrio.read_dataframe(tmp_path / "page.geojsons")
    assert frame["pid"].tolist() == [layer.item_id(row) for row in range(layer.count)]


@pytest.mark.parametrize(("form", "tolerance"), [(Form(), 1.5e-8), (FEET, 0.01)], ids=["degrees", "feet"])
def test_flatgeobuf_has_every_record_an_index_and_its_system(layer, form, tolerance, tmp_path):
    file = tmp_path / "page.fgb"
    file.write_bytes(encode_flatgeobuf(extract(layer, form), "lots"))
    info = pyogrio.read_info(file)
    assert (
        info["layer_name"] == "lots" and info["features"] == layer.count and info["capabilities"]["fast_spatial_filter"]
    )
    assert info["crs"] == ("EPSG:4326" if form.crs == "OGC:CRS84" else form.crs)
    frame = pyogrio.read_dataframe(file).set_index("pid").loc[[layer.item_id(row) for row in range(layer.count)]]
    expected = lonlat(layer) if form.crs == "OGC:CRS84" else in_feet(lonlat(layer))
    for shape, other in zip(frame.geometry, expected, strict=True):
        assert shapely.equals_exact(shapely.get_parts(shape), shapely.get_parts(other), tolerance).all()
    for row in range(layer.count):
        stored, read = properties(layer, row), frame.iloc[row]
        assert (None if geopandas.pd.isna(read["text"]) else read["text"]) == stored["text"]
        assert (None if geopandas.pd.isna(read["whole"]) else int(read["whole"])) == stored["whole"]
        assert (None if geopandas.pd.isna(read["number"]) else read["number"]) == stored["number"]
        assert (None if geopandas.pd.isna(read["truth"]) else bool(read["truth"])) == stored["truth"]


def test_flatgeobuf_without_rows_and_without_geometry(layer, tmp_path):
    (tmp_path / "none.fgb").write_bytes(encode_flatgeobuf(extract(layer, rows=[]), "lots"))
    assert len(pyogrio.read_dataframe(tmp_path / "none.fgb")) == 0
    (tmp_path / "plain.fgb").write_bytes(encode_flatgeobuf(extract(layer, Form(geometry=False)), "lots"))
    frame = pyogrio.read_dataframe(tmp_path / "plain.fgb")
    assert len(frame) == layer.count and frame.geometry.isna().all()


def test_jsonfg_in_crs84_is_geojson_that_names_its_type(layer):
    items = [layer.items(np.arange(40)), layer.items(np.arange(40, 60))]
    content = b"".join(encode_jsonfg(items, feature_type="lots", kind=layer.kind, members={"numberReturned": 60}))
    found = json.loads(content)
    assert found["conformsTo"][0] == "http://www.opengis.net/spec/json-fg-1/1.0/conf/core"
    assert found["featureType"] == "lots" and found["geometryDimension"] == KINDS.index(layer.kind)
    assert "coordRefSys" not in found and found["numberReturned"] == 60
    assert found["features"] == [json.loads(layer.item(row)) for row in range(60)]
    assert not any("place" in feature or "conformsTo" in feature for feature in found["features"])


@pytest.mark.parametrize("plus", [False, True], ids=["jsonfg", "jsonfg-plus"])
def test_jsonfg_in_another_system_has_place(layer, plus):
    uri = "http://www.opengis.net/def/crs/EPSG/0/2283"
    moved = [b'{"type":"Feature","id":"1","geometry":{"type":"Point","coordinates":[1.5,2]},"properties":{"a":",\\n"}}']
    plain = [
        b'{"type":"Feature","id":"1","geometry":{"type":"Point","coordinates":[-77,38]},"properties":{"a":",\\n"}}'
    ]
    given = {"feature_type": "lots", "kind": GeometryKind.POINT, "crs_uri": uri}
    found = json.loads(b"".join(encode_jsonfg(moved, fallback=plain if plus else None, **given)))
    assert found["coordRefSys"] == uri
    feature = found["features"][0]
    assert feature["place"] == {"type": "Point", "coordinates": [1.5, 2]} and feature["id"] == "1"
    assert feature["geometry"] == ({"type": "Point", "coordinates": [-77, 38]} if plus else None)
    alone = json.loads(
        encode_jsonfg_item(moved[0], fallback=plain[0] if plus else None, links=[{"href": "x"}], **given)
    )
    assert alone["type"] == "Feature" and alone["coordRefSys"] == uri and alone["links"] == [{"href": "x"}]
    assert alone["place"] == feature["place"] and alone["geometry"] == feature["geometry"]
    assert "geometryDimension" not in alone


def test_jsonfg_of_nothing_is_an_empty_collection():
    assert json.loads(b"".join(encode_jsonfg([], feature_type="a", kind=GeometryKind.LINE)))["features"] == []


def test_gdal_reads_jsonfg(layer, tmp_path):
    content = b"".join(encode_jsonfg([layer.items(np.arange(60))], feature_type="lots", kind=layer.kind))
    (tmp_path / "page.json").write_bytes(content)
    assert len(pyogrio.read_dataframe(f"JSONFG:{tmp_path / 'page.json'}")) == 60


def test_the_table_of_formats_is_sound():
    assert next(iter(FORMATS)) == "json" and all(name == entry.name for name, entry in FORMATS.items())
    asked = [media for entry in FORMATS.values() for media in entry.also]
    assert len(asked) == len(set(asked))
