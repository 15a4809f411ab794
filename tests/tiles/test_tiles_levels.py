"""The file of generalised shapes: what went in comes out, in any order, and damage is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely
from tile_factories import make_source

from gisservice.errors import CatalogError
from gisservice.model import GeometryKind
from gisservice.pack import PackWriter
from gisservice.tiles import EXTENT, LEVELS_FILE, Levels, selection
from gisservice.tiles.plan import Plan
from gisservice.tiles.shapes import to_polygons

ORIGIN = np.array([4681, 6271]) * EXTENT


def cells(count: int, z_shift: int = 0) -> list[Any]:
    """Neighbouring boxes with a winding border, so that each zoom has other vertices."""
    across = int(np.ceil(np.sqrt(count)))
    chance = np.random.default_rng(5)
    corner = (
        np.indices((across + 1, across + 1)).T * 90 + chance.integers(0, 30, (across + 1, across + 1, 2))
    ).tolist()
    found = []
    for i in range(count):
        x, y = i % across, i // across
        ring = [corner[y][x], corner[y][x + 1], corner[y + 1][x + 1], corner[y + 1][x]]
        found.append(shapely.Polygon(np.array(ring) + (ORIGIN << z_shift)))
    return found


@pytest.mark.parametrize("z", [14, 19])
def test_shapes_come_out_as_the_generaliser_made_them(build: Any, z: int) -> None:
    source = make_source(cells(40, z - 14), z=z, minzoom=z - 4, coverage=True)
    levels, plan = Levels(build(source).folder / LEVELS_FILE), Plan(source)
    which = np.array([7, 0, 39, 7, 12])
    for zoom in range(z - 4, z + 1):
        expected = plan.generaliser.at(zoom)[0].take(which)
        found = levels.shapes(zoom, which)
        assert found.kind == GeometryKind.POLYGON
        for name in ("xy", "rings", "starts", "exterior"):
            assert np.array_equal(getattr(found, name), getattr(expected, name)), name
        assert found.xy.dtype == np.int64
        assert len(levels.shapes(zoom, np.zeros(0, dtype=np.int64))) == 0


def test_what_is_said_of_each_geometry(build: Any) -> None:
    shapes = cells(30)
    table = pa.table({"zone": ["a", "b", "c"] * 10, "name": [f"lot {i}" for i in range(30)]})
    source = make_source(shapes, minzoom=10, coverage=True, attributes=table, merge_by="zone")
    levels = Levels(build(source).folder / LEVELS_FILE)
    assert (levels.kind, levels.coverage, levels.minzoom, levels.maxzoom) == (GeometryKind.POLYGON, True, 10, 14)
    assert (levels.count, levels.merge_by) == (30, "zone")
    assert levels.class_columns == ("zone", "name")
    areas = shapely.area(np.array(shapes))
    assert np.array_equal(levels.areas, np.round(2 * areas))
    assert (np.diff(areas[np.argsort(levels.ranks)]) <= 0).all()
    box = shapely.bounds(np.array(shapes))
    assert np.array_equal(levels.centres, np.floor((box[:, :2] + box[:, 2:]) / 2))
    assert levels.limit(14) == levels.detail(14) == 30
    assert 0 <= levels.limit(10) <= levels.limit(13) <= 30


def test_a_column_with_many_values_is_no_class(build: Any) -> None:
    table = pa.table({"zone": ["a", "b"] * 150, "name": [f"lot {i}" for i in range(300)]})
    levels = Levels(build(make_source(cells(300), attributes=table)).folder / LEVELS_FILE)
    assert levels.class_columns == ("zone",) and levels.merge_by is None


@pytest.mark.parametrize(
    ("kind", "shapes"),
    [
        (GeometryKind.POINT, [shapely.Point(*(ORIGIN + i)) for i in range(9)]),
        (GeometryKind.LINE, [shapely.LineString([ORIGIN, ORIGIN + 40 * i + 1]) for i in range(9)]),
        (GeometryKind.POLYGON, []),
    ],
)
def test_other_kinds_and_none(build: Any, kind: GeometryKind, shapes: list[Any]) -> None:
    source = make_source(shapes, kind=kind, minzoom=12)
    levels = Levels(build(source).folder / LEVELS_FILE)
    whole = Plan(source).generaliser.at(12)[0]
    found = levels.shapes(12, np.arange(len(shapes)))
    assert levels.kind == found.kind == kind and np.array_equal(found.xy, whole.xy)


def test_a_zoom_that_is_not_there_is_refused(build: Any) -> None:
    levels = Levels(build(make_source(cells(4), minzoom=12)).folder / LEVELS_FILE)
    for z in (11, 15):
        with pytest.raises(ValueError, match=f"zoom {z} is not within 12 to 14"):
            levels.shapes(z, np.zeros(0, dtype=np.int64))


def test_repair_makes_polygons_valid_at_every_zoom(build: Any) -> None:
    levels = Levels(build(make_source(cells(60), minzoom=8, coverage=True)).folder / LEVELS_FILE)
    for z in range(8, 15):
        assert shapely.is_valid(to_polygons(levels.shapes(z, np.arange(60)))).all()


def test_damage_is_told(build: Any, tmp_path: Any) -> None:
    path = build(make_source(cells(9))).folder / LEVELS_FILE
    whole = bytearray(path.read_bytes())
    start = Levels(path)._pack.span("xy_14")[0]
    whole[start + 5] ^= 1
    (tmp_path / "flipped.levels").write_bytes(whole)
    with pytest.raises(CatalogError, match="part 'xy_14' does not match its checksum"):
        Levels(tmp_path / "flipped.levels").shapes(14, np.arange(2))
    (tmp_path / "cut.levels").write_bytes(whole[:-9])
    with pytest.raises(CatalogError, match="is damaged"):
        Levels(tmp_path / "cut.levels")
    with pytest.raises(CatalogError, match=r"gone\.levels cannot be read"):
        Levels(tmp_path / "gone.levels")
    with PackWriter(tmp_path / "other.levels", {"count": 1}):
        pass
    with pytest.raises(CatalogError, match="is of another format; publish the layer again"):
        Levels(tmp_path / "other.levels")


def test_groups_with_the_same_members_are_found_and_no_others() -> None:
    known = [[2, 5, 9], [1], [3, 4], [6, 7]]
    asked = [[1], [2, 5], [3, 4], [6, 8], [2, 5, 9], [10], [7]]
    members, cuts = np.array([n for group in known for n in group]), np.cumsum([0, *map(len, known)])
    some, some_cuts = [n for group in asked for n in group], np.cumsum([0, *map(len, asked)])
    place = selection.same_groups(np.array(some), some_cuts, members, cuts)
    assert [known[at] if at >= 0 else None for at in place] == [g if g in known else None for g in asked]
    none = np.zeros(0, dtype=np.int64)
    assert selection.same_groups(none, np.zeros(1, dtype=np.int64), members, cuts).tolist() == []
    assert selection.same_groups(np.array(some), some_cuts, none, np.zeros(1, dtype=np.int64)).max() == -1
