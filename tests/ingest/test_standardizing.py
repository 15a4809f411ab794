"""Standardizing: the account adds up, repairs keep the area, ids are stable."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest_sources import SOUTH, STATE_PLANE, WEST, column, layer

from gisservice import crs
from gisservice.errors import ValidationError
from gisservice.ingest import Reading, reproject, standardize, validate
from gisservice.ingest.standardizing import tile_ids
from gisservice.ingest.validating import as_served
from gisservice.model import Column, ColumnType, GeometryKind, Provenance, Visibility

PID = column("pid")


def run(shapes, columns=(PID,), kind=GeometryKind.POLYGON, id_column="pid", system=STATE_PLANE, **table):
    geometry = np.empty(len(shapes), dtype=object)
    geometry[:] = shapes
    names = table or {"pid": [f"p{n}" for n in range(1, len(shapes) + 1)]}
    provenance = Provenance("lots.gpkg", "GeoPackage", "0" * 64, 1, None, system)
    reading = Reading(pa.table(names), geometry, crs.parse(system), columns, provenance)
    declared = layer(*columns, geometry=kind, id_column=id_column, storage_crs=None)
    projection = reproject([reading])
    return standardize(projection, validate(projection, declared))


def square(n: int):
    return shapely.box(WEST + 100 * n, SOUTH, WEST + 100 * n + 90, SOUTH + 90)


def bow_tie(n: int):
    x = WEST + 100 * n
    return shapely.Polygon([(x, SOUTH), (x + 80, SOUTH + 80), (x + 80, SOUTH), (x, SOUTH + 80)])


def codes(findings):
    return {finding.code: finding.count for finding in findings}


def test_invalid_polygons_are_repaired_and_counted():
    standard = run([square(0), bow_tie(1), square(2)])
    repaired = standard.records.frame.geometry[1]
    assert repaired.is_valid
    assert repaired.geom_type == "MultiPolygon"
    assert repaired.area == pytest.approx(80 * 80 / 2)
    assert codes(standard.quality.repaired) == {"invalid-geometry": 1}
    assert standard.quality.repaired[0].records == ("p2",)
    assert shapely.is_valid(standard.records.lonlat).all()


def test_what_collapses_is_refused():
    spike = shapely.Polygon([(WEST, SOUTH), (WEST + 10, SOUTH), (WEST, SOUTH)])
    standard = run([square(0), spike])
    assert (standard.quality.read, standard.quality.published) == (2, 1)
    assert codes(standard.quality.refused) == {"collapsed-geometry": 1}
    assert codes(standard.quality.repaired) == {}
    with pytest.raises(ValidationError, match="no record is left"):
        run([spike])


def test_only_parts_of_the_kind_are_kept():
    line = shapely.LineString([(WEST, SOUTH), (WEST + 10, SOUTH)])
    nested = shapely.GeometryCollection([line, shapely.GeometryCollection([square(3), shapely.Point(WEST, SOUTH)])])
    standard = run([square(0), nested])
    assert standard.records.frame.geometry[1].equals(square(3))
    assert codes(standard.quality.repaired) == {"collection": 1}


def test_columns_are_cast_and_each_change_is_counted():
    columns = (
        PID,
        column("floors", "integer"),
        column("zone", codes=(("RB", "Townhouse"),)),
        column("value", "number", visibility=Visibility.INTERNAL),
    )
    standard = run(
        [square(n) for n in range(4)],
        columns,
        pid=["a", " b", "c", "d"],
        floors=["1", "two", "", "3"],
        zone=["RB", "rb", "rB ", None],
        value=["1.5", "secret", "2", "3"],
    )
    frame = standard.records.frame
    assert list(frame.columns) == ["pid", "floors", "zone", "geometry"]
    assert frame.pid.tolist() == ["a", "b", "c", "d"] == standard.records.ids
    assert frame.floors.to_list()[0] == 1
    assert frame.floors.isna().tolist() == [False, True, True, False]
    assert frame.zone.to_list()[:3] == ["RB", "RB", "RB"]
    assert list(standard.records.internal.columns) == ["value"]
    told = [(f.code, f.count, f.records) for f in standard.quality.repaired]
    assert told == [
        ("trimmed-text", 1, ("b",)),
        ("bad-value", 1, ("b",)),
        ("trimmed-text", 1, ("c",)),
        ("code-spelling", 2, ("b", "c")),
        ("bad-value", 1, ("b",)),
    ]
    assert "for example 'two'" in standard.quality.repaired[1].message
    assert "secret" not in str(standard.quality)
    assert [c.name for c in standard.columns] == ["pid", "floors", "zone"]


def test_records_are_counted_when_nothing_identifies_them():
    standard = run([None, square(1), square(2)], (column("id"),), id_column=None, id=["x", "x", None])
    assert standard.id_column == "record"
    assert standard.records.frame.columns[:2].tolist() == ["record", "id"]
    assert standard.records.ids == ["2", "3"]
    assert standard.records.tile_ids.tolist() == [2, 3]
    assert codes(standard.quality.noted) == {"counted-ids": 3}


def test_points_and_lines():
    points = run([shapely.Point(WEST + n, SOUTH) for n in range(3)], kind=GeometryKind.POINT)
    assert points.records.kind is GeometryKind.POINT
    dot = shapely.LineString([(WEST, SOUTH), (WEST, SOUTH)])
    line = shapely.LineString([(WEST, SOUTH), (WEST + 50, SOUTH)])
    lines = run([line, dot], kind=GeometryKind.LINE)
    assert codes(lines.quality.refused) == {"collapsed-geometry": 1}


COORDINATES = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=3, max_size=9)


@given(st.lists(COORDINATES | st.none(), min_size=1, max_size=6), st.booleans())
@settings(max_examples=60)
def test_the_account_always_adds_up_and_what_is_published_is_valid(rings, in_degrees):
    scale, origin = (1e-8, (-77.05, 38.81)) if in_degrees else (0.7, (WEST, SOUTH))
    shapes = [None if r is None else shapely.Polygon([(origin[0] + x * scale, origin[1] + y * scale) for x, y in r])
              for r in rings]  # fmt: skip
    try:
        standard = run([square(9) if not in_degrees else shapely.box(-77.04, 38.8, -77.03, 38.81), *shapes],
                       system="OGC:CRS84" if in_degrees else STATE_PLANE)  # fmt: skip
    except ValidationError:
        assert sum(shape is None for shape in shapes) * 2 >= len(shapes)
        return
    quality = standard.quality
    assert quality.read == len(shapes) + 1 == quality.published + sum(finding.count for finding in quality.refused)
    assert quality.published == len(standard.records.frame) == len(standard.records.ids)
    assert shapely.is_valid(standard.records.frame.geometry.to_numpy()).all()
    assert shapely.is_valid(as_served(standard.records.lonlat)).all()
    assert not shapely.is_empty(standard.records.lonlat).any()


# Tile ids


def test_whole_numbers_are_their_own_tile_ids():
    assert tile_ids(["7", "0", str(2**53 - 1)], Column("n", ColumnType.INTEGER)).tolist() == [7, 0, 2**53 - 1]


@pytest.mark.parametrize("ids", [["-1", "2"], [str(2**53), "1"]])
def test_other_whole_numbers_are_hashed(ids):
    numbers = tile_ids(ids, Column("n", ColumnType.INTEGER))
    assert numbers.tolist() == tile_ids(ids, Column("n", ColumnType.STRING)).tolist()
    assert numbers[1] not in (1, 2)


@given(st.lists(st.text(), unique=True, max_size=30), st.randoms())
def test_tile_ids_are_different_small_and_the_same_in_any_order(ids, random):
    ids = [text.encode("utf-8", "replace").decode() for text in ids]
    ids = list(dict.fromkeys(ids))
    numbers = tile_ids(ids, Column("n", ColumnType.STRING))
    assert len(set(numbers.tolist())) == len(ids)
    assert all(0 <= number < 2**53 for number in numbers.tolist())
    shuffled = random.sample(ids, len(ids))
    assert dict(zip(shuffled, tile_ids(shuffled, Column("n", ColumnType.STRING)), strict=True)) == dict(
        zip(ids, numbers, strict=True)
    )


def test_a_collision_is_resolved_the_same_way_in_any_order(monkeypatch):
    from gisservice.ingest import standardizing

    real = standardizing._hashed
    monkeypatch.setattr(standardizing, "_hashed", lambda text: 5 if text in ("a", "b") else real(text))
    column_ = Column("n", ColumnType.STRING)
    assert tile_ids(["b", "a"], column_).tolist()[::-1] == tile_ids(["a", "b"], column_).tolist()
    assert tile_ids(["a", "b"], column_)[0] == 5
