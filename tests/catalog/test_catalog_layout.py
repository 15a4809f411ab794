"""What is written of records, read back by independent programs: json, shapely, geopandas, pyarrow."""

from __future__ import annotations

import json
import math
from datetime import date

import geopandas
import numpy as np
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import shape

from gisservice.catalog import Features, write_features
from gisservice.errors import PublishError
from gisservice.model import GeometryKind

KINDS = [GeometryKind.POINT, GeometryKind.LINE, GeometryKind.POLYGON]


def parsed(features):
    """All items, parsed by the strictest reader at hand."""

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return [json.loads(features.item(row), parse_constant=refuse) for row in range(features.count)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_items_are_rfc_7946_features_of_the_records(write, make_records, make_shapes, kind, count):
    geometries = make_shapes(kind, count)
    features = write(make_records(geometries, kind))
    items = parsed(features)
    assert [item["id"] for item in items] == [features.item_id(row) for row in range(count)]
    assert sorted(item["id"] for item in items) == sorted(str(number) for number in range(count))
    for item in items:
        assert list(item) == ["type", "id", "geometry", "properties"] and item["type"] == "Feature"
        assert item["properties"] == {"pid": item["id"]}
        read, original = shape(item["geometry"]), geometries[int(item["id"])]
        assert read.geom_type == original.geom_type
        assert read.normalize().equals_exact(original.normalize(), 1e-8)


def test_rings_run_as_rfc_7946_wants_and_are_closed(write, make_records, make_shapes):
    features = write(make_records(make_shapes(GeometryKind.POLYGON, 40), GeometryKind.POLYGON))
    for item in parsed(features):
        polygons = item["geometry"]["coordinates"]
        for rings in [polygons] if item["geometry"]["type"] == "Polygon" else polygons:
            assert all(ring[0] == ring[-1] for ring in rings)
            assert shapely.LinearRing(rings[0]).is_ccw
            assert not any(shapely.LinearRing(ring).is_ccw for ring in rings[1:])


def test_positions_have_eight_decimals_and_no_minus_zero(write, make_records):
    points = [shapely.Point(-0.0, 1 / 3), shapely.Point(-77.123456789, 38.00000000049), shapely.Point(-1e-9, 2e-8)]
    features = write(make_records(points, GeometryKind.POINT))
    found = {item["id"]: item["geometry"]["coordinates"] for item in parsed(features)}
    assert found == {"0": [0.0, 0.33333333], "1": [-77.12345679, 38.0], "2": [0.0, 2e-8]}
    assert b"-0.0" not in features.items(np.arange(3))


def test_values_keep_their_type(write, make_records):
    columns = {
        "text": ["<5 m & >2 m", "", None, 'a"\\\u2028'],
        "big": [2**53 + 1, -(2**63), 2**63 - 1, 0],
        "maybe": pandas.array([1, None, 3, 4], dtype="Int64"),
        "number": [1.5, math.nan, math.inf, -0.25],
        "flag": pandas.array([True, None, False, True], dtype="boolean"),
        "day": [date(2026, 2, 28), None, date(1700, 1, 1), date(9999, 12, 31)],
        "moment": pandas.to_datetime(
            ["2026-03-04T05:06:07Z", None, "1969-12-31T23:59:59.5Z", "2026-01-01T00:00Z"], format="ISO8601"
        ),
        "local": pandas.to_datetime(
            ["2026-03-04 05:06:07", None, "2026-01-01 00:00", "2026-01-01 00:00"], format="ISO8601"
        ),
    }
    features = write(make_records([shapely.Point(i, i) for i in range(4)], GeometryKind.POINT, columns))
    items = {item["id"]: item["properties"] for item in parsed(features)}
    assert list(items["0"]) == ["pid", *columns]
    assert items["0"]["text"] == "<5 m & >2 m" and items["3"]["text"] == 'a"\\\u2028' and items["2"]["text"] is None
    assert [items[str(i)]["big"] for i in range(4)] == columns["big"]
    assert [items[str(i)]["maybe"] for i in range(4)] == [1, None, 3, 4]
    assert isinstance(items["0"]["maybe"], int)
    assert [items[str(i)]["number"] for i in range(4)] == [1.5, None, None, -0.25]
    assert [items[str(i)]["flag"] for i in range(4)] == [True, None, False, True]
    assert [items[str(i)]["day"] for i in range(4)] == ["2026-02-28", None, "1700-01-01", "9999-12-31"]
    assert [items[str(i)]["moment"] for i in range(3)] == ["2026-03-04T05:06:07Z", None, "1969-12-31T23:59:59.500000Z"]
    assert [items[str(i)]["local"] for i in range(2)] == ["2026-03-04T05:06:07Z", None]


@settings(max_examples=40)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), unique=True, max_size=30))
def test_any_text_is_an_id(tmp_path_factory, make_records, ids):
    folder = tmp_path_factory.mktemp("ids")
    points = [shapely.Point(number, 0) for number in range(len(ids))]
    write_features(folder, make_records(points, GeometryKind.POINT, ids=ids))
    features = Features.open(folder)
    for number, item_id in enumerate(ids):
        row = features.row(item_id)
        assert row is not None and features.item_id(row) == item_id
        assert json.loads(features.item(row))["geometry"]["coordinates"][0] == number
        for near in (item_id + " ", " " + item_id, item_id + "\0", item_id.swapcase()):
            assert near in ids or features.row(near) is None
    assert features.row("\ud800") is None


def test_a_time_of_another_zone_is_published_in_utc(write, make_records):
    moments = pandas.to_datetime(["2026-07-01T08:00:00.25-04:00"]).tz_convert("America/New_York")
    features = write(make_records([shapely.Point(0, 0)], GeometryKind.POINT, {"moment": moments}))
    assert parsed(features)[0]["properties"]["moment"] == "2026-07-01T12:00:00.250000Z"


def test_ids_of_one_hash_are_told_apart(write, make_records, monkeypatch):
    from gisservice.catalog import features as features_module
    from gisservice.catalog import layout

    monkeypatch.setattr(layout, "id_hash", lambda text: len(text))
    monkeypatch.setattr(features_module, "id_hash", lambda text: len(text))
    ids = ["a", "b", "cc", "dd", "ee"]
    features = write(make_records([shapely.Point(0, 0)] * 5, GeometryKind.POINT, ids=ids))
    assert [features.item_id(features.row(item_id)) for item_id in ids] == ids
    assert features.row("x") is None and features.row("xx") is None and features.row("xxx") is None


def test_shared_geometries_are_kept_once_and_records_all(write, make_records, make_shapes):
    distinct = make_shapes(GeometryKind.POLYGON, 5)
    stacked = [distinct[number % 5] for number in range(23)]
    features = write(make_records(stacked, GeometryKind.POLYGON))
    assert features.count == 23 and len(features.geometries) == 5
    for row in range(23):
        expected = stacked[int(features.item_id(row))]
        assert features.shapes(np.array([row]))[0].equals(expected)
        assert features.boxes[row].tolist() == list(expected.bounds)


@pytest.mark.parametrize("kind", KINDS)
def test_geometry_arrays_are_those_of_the_records(write, make_records, make_shapes, kind):
    geometries = make_shapes(kind, 30)
    features = write(make_records(geometries, kind))
    rows = np.random.default_rng(1).permutation(30)
    for row, read in zip(rows, features.shapes(rows), strict=True):
        expected = geometries[int(features.item_id(row))]
        parts, expected_parts = shapely.get_parts(read.normalize()), shapely.get_parts(expected.normalize())
        assert shapely.equals_identical(parts, expected_parts).all()
    assert len(features.world) == len(features.geometries.coordinates)
    assert features.world.dtype == np.uint32 and features.geometries.coordinates.dtype == np.float64


def test_attributes_are_a_table_over_the_map(write, make_records, make_shapes):
    content = make_records(
        make_shapes(GeometryKind.POINT, 9), GeometryKind.POINT, {"zone": list("ABCABCABC"), "n": range(9)}
    )
    features = write(content)
    before = pa.total_allocated_bytes()
    table = features.attributes
    assert pa.total_allocated_bytes() == before, "a value was copied"
    assert table.column_names == ["pid", "zone", "n"] and table.num_rows == 9
    assert table.schema.field("zone").type == pa.dictionary(pa.int32(), pa.string())
    assert table.schema.metadata is None
    for row, values in enumerate(table.to_pylist()):
        assert values["pid"] == features.item_id(row) == str(values["n"]) and values["zone"] == "ABC"[values["n"] % 3]


def test_tile_ids_follow_their_records(write, make_records, make_shapes):
    content = make_records(make_shapes(GeometryKind.POINT, 9), GeometryKind.POINT)
    content.tile_ids[:] = 2**53 - 1 - np.arange(9)
    features = write(content)
    assert [2**53 - 1 - int(features.item_id(row)) for row in range(9)] == features.tile_ids.tolist()


def test_order_and_bytes_do_not_depend_on_the_order_of_the_source(tmp_path, make_records, make_shapes):
    geometries = [*make_shapes(GeometryKind.POLYGON, 20), *make_shapes(GeometryKind.POLYGON, 20)]
    order = np.random.default_rng(3).permutation(40)
    one = make_records(geometries, GeometryKind.POLYGON, {"n": list(range(40))})
    other = make_records(
        [geometries[i] for i in order], GeometryKind.POLYGON, {"n": order.tolist()}, [str(i) for i in order]
    )
    other.tile_ids[:] = order
    for name, content in (("one", one), ("other", other)):
        (tmp_path / name).mkdir()
        write_features(tmp_path / name, content)
    for file in ("features.parquet", "serve/features.bin"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "other" / file).read_bytes()


def test_neighbours_on_the_map_are_neighbours_on_disk(write, make_records):
    grid = [shapely.Point(-77 + x / 1000, 38 + y / 1000) for x in range(32) for y in range(32)]
    boxes = write(make_records(grid, GeometryKind.POINT)).boxes
    steps = np.hypot(*np.diff(boxes[:, :2], axis=0).T)
    assert np.median(steps) < 0.0011 and steps.mean() < 0.003


def test_geoparquet_is_valid_and_read_by_geopandas(tmp_path, make_records, make_shapes):
    content = make_records(make_shapes(GeometryKind.POLYGON, 50), GeometryKind.POLYGON, {"n": range(50)})
    content.frame.to_crs("EPSG:2283", inplace=True)
    write_features(tmp_path, content)
    file = tmp_path / "features.parquet"
    frame = geopandas.read_parquet(file)
    assert list(frame.columns) == ["pid", "n", "geometry"] and frame.crs == "EPSG:2283"
    expected = content.frame.set_index("pid").loc[frame["pid"]]
    assert frame.geometry.geom_equals_exact(expected.geometry.reset_index(drop=True), 0).all()
    minx, miny, maxx, maxy = frame.total_bounds
    box = (minx, miny, (minx + maxx) / 2, (miny + maxy) / 2)
    within = geopandas.read_parquet(file, bbox=box)
    overlapping = frame.cx[:, :].bounds
    assert (
        len(within)
        == (
            (overlapping.minx <= box[2])
            & (overlapping.maxx >= box[0])
            & (overlapping.miny <= box[3])
            & (overlapping.maxy >= box[1])
        ).sum()
    )


def test_geoparquet_metadata_say_what_version_1_1_asks(tmp_path, make_records, make_shapes):
    content = make_records(make_shapes(GeometryKind.POLYGON, 20), GeometryKind.POLYGON)
    write_features(tmp_path, content)
    schema = pq.read_schema(tmp_path / "features.parquet")
    geo = json.loads(schema.metadata[b"geo"])
    assert geo["version"] == "1.1.0" and geo["primary_column"] == "geometry"
    column = geo["columns"]["geometry"]
    assert column["encoding"] == "WKB" and column["geometry_types"] == ["MultiPolygon", "Polygon"]
    assert column["crs"]["id"] == {"authority": "OGC", "code": "CRS84"}
    assert column["bbox"] == content.frame.total_bounds.tolist()
    assert column["covering"]["bbox"] == {corner: ["bbox", corner] for corner in ("xmin", "ymin", "xmax", "ymax")}
    covering = schema.field("bbox").type
    assert [covering.field(i).name for i in range(4)] == ["xmin", "ymin", "xmax", "ymax"]
    assert all(covering.field(i).type == pa.float64() for i in range(4))
    assert schema.field("geometry").type == pa.binary()


def test_a_column_called_bbox_does_not_get_in_the_way(tmp_path, make_records, make_shapes):
    content = make_records(make_shapes(GeometryKind.POINT, 3), GeometryKind.POINT, {"bbox": ["a", "b", "c"]})
    write_features(tmp_path, content)
    assert sorted(geopandas.read_parquet(tmp_path / "features.parquet")["bbox"]) == ["a", "b", "c"]


def test_internal_columns_lie_apart_and_only_their_owner_may_read_them(tmp_path, make_records, make_shapes):
    internal = pandas.DataFrame({"assessor": ["a", "b", "c"]})
    content = make_records(make_shapes(GeometryKind.POINT, 3), GeometryKind.POINT, internal=internal)
    write_features(tmp_path, content)
    table = pq.read_table(tmp_path / "internal.parquet").to_pylist()
    assert {row["item_id"]: row["assessor"] for row in table} == {"0": "a", "1": "b", "2": "c"}
    assert [row["item_id"] for row in table] == [Features.open(tmp_path).item_id(row) for row in range(3)]
    assert (tmp_path / "internal.parquet").stat().st_mode & 0o777 == 0o600
    assert "assessor" not in Features.open(tmp_path).attributes.column_names


def test_no_internal_columns_no_internal_file(tmp_path, make_records, make_shapes):
    write_features(tmp_path, make_records(make_shapes(GeometryKind.POINT, 3), GeometryKind.POINT))
    assert not (tmp_path / "internal.parquet").exists()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda c: c.ids.append("x"), "length"),
        (lambda c: c.ids.__setitem__(0, "1"), "unique"),
        (lambda c: c.tile_ids.__setitem__(0, 1), "unique"),
        (lambda c: c.tile_ids.__setitem__(0, -1), "between"),
        (lambda c: c.tile_ids.__setitem__(0, 2**53), "between"),
        (lambda c: c.lonlat.__setitem__(1, None), "record '1' has no finite geometry of kind point"),
        (lambda c: c.lonlat.__setitem__(1, shapely.Point()), "record '1' has no finite"),
        (lambda c: c.lonlat.__setitem__(1, shapely.Point(np.inf, 1)), "record '1' has no finite"),
        (lambda c: c.lonlat.__setitem__(2, shapely.box(0, 0, 1, 1)), "record '2' has no finite"),
    ],
)
def test_records_that_break_their_promise_are_refused(tmp_path, make_records, make_shapes, spoil, message):
    content = make_records(make_shapes(GeometryKind.POINT, 3), GeometryKind.POINT)
    spoil(content)
    with pytest.raises(ValueError, match=message):
        write_features(tmp_path, content)


def test_a_column_of_mixed_types_is_named(tmp_path, make_records, make_shapes):
    content = make_records(make_shapes(GeometryKind.POINT, 3), GeometryKind.POINT, {"odd": ["a", 2, 3.5]})
    with pytest.raises(PublishError, match="odd"):
        write_features(tmp_path, content)


def test_the_frame_given_is_not_changed(tmp_path, make_records, make_shapes):
    content = make_records(make_shapes(GeometryKind.POLYGON, 5), GeometryKind.POLYGON, {"n": range(5)})
    before = content.frame.copy(), [geometry.wkb for geometry in content.lonlat]
    write_features(tmp_path, content)
    assert content.frame.equals(before[0]) and [geometry.wkb for geometry in content.lonlat] == before[1]


def test_positions_with_a_height_lose_it(write, make_records):
    features = write(make_records([shapely.Point(1, 2, 3)], GeometryKind.POINT))
    assert parsed(features)[0]["geometry"]["coordinates"] == [1.0, 2.0]
