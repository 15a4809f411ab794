"""Zooms agree with each other, borders with their neighbours, sums with the whole."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st
from tile_factories import as_geometries, make_source

from gisservice.model import GeometryKind
from gisservice.tiles import EXTENT
from gisservice.tiles.generalise import TOLERANCE, Generaliser
from gisservice.tiles.outlines import Outlines
from gisservice.tiles.shapes import to_polygons

Z = 14
ORIGIN = np.array([4681, 6271]) * EXTENT


def geometries(shapes: list[Any], kind: GeometryKind = GeometryKind.POLYGON) -> Any:
    return as_geometries(shapes, kind, lambda xy: ((np.asarray(xy) + ORIGIN) * 64).astype(np.uint32))


def generaliser_of(source: Any, maxzoom: int, *, coverage: bool = False) -> Generaliser:
    return Generaliser(Outlines(source, maxzoom, coverage=coverage))


def wiggly_cells(count: int = 6, side: int = 300, points: int = 12, seed: int = 3) -> list[Any]:
    """A clean coverage: squares whose common borders wind, the same way for both neighbours."""
    chance = np.random.default_rng(seed)
    offsets = {}

    def border(x: int, y: int, across: int) -> np.ndarray:
        if (x, y, across) not in offsets:
            along = np.linspace(0, side, points + 2)[1:-1].round()
            aside = chance.integers(-side // 12, side // 12, points)
            step = np.column_stack([along, aside] if across else [aside, along])
            offsets[x, y, across] = np.vstack([[0, 0], step]) + np.array([x, y]) * side
        return offsets[x, y, across]

    cells = []
    for x in range(count):
        for y in range(count):
            top, right = border(x, y, 1), border(x + 1, y, 0)
            bottom, left = border(x, y + 1, 1), border(x, y, 0)
            corner = np.array([[(x + 1) * side, (y + 1) * side]])
            low_left = np.array([[x * side, (y + 1) * side]])
            ring = np.vstack([top, right, corner, bottom[:0:-1], low_left, left[:0:-1], left[:1]])
            cells.append(shapely.Polygon(ring))
    return cells


def test_the_cells_are_a_clean_coverage() -> None:
    assert shapely.coverage_is_valid(np.array(wiggly_cells()))


@pytest.mark.parametrize("z", range(8, Z))
def test_a_clean_coverage_stays_one_at_every_zoom(z: int) -> None:
    """No gap, no overlap: what one polygon gives up its neighbour takes."""
    cells = wiggly_cells()
    shapes, _ = generaliser_of(geometries(cells), Z, coverage=True).at(z)
    polygons = to_polygons(shapes)
    assert shapely.is_valid(polygons).all()
    united = shapely.union_all(polygons)
    assert united.area == shapely.area(polygons).sum()
    assert all(not part.interiors for part in shapely.get_parts(united))
    flat = shapely.get_parts(polygons[~shapely.is_empty(polygons)])
    assert shapely.coverage_is_valid(flat)


def small_cells(seed: int, count: int = 400, side: int = 1200) -> list[Any]:
    """A clean coverage of cells of any form, many of which are a few units wide at small zooms."""
    chance = np.random.default_rng(seed)
    points = shapely.MultiPoint(chance.uniform(0, side, (count, 2)))
    cells = shapely.get_parts(shapely.voronoi_polygons(points, extend_to=shapely.box(0, 0, side, side)))
    inside = shapely.intersection(cells, shapely.box(0, 0, side, side))
    return [cell for cell in inside if cell.area > 0]


@given(st.integers(0, 2**32 - 1), st.integers(7, Z))
def test_no_border_passes_to_the_other_side_of_another(seed: int, z: int) -> None:
    """Where cells are as small as the units they are rounded to, they still do not overlap, and leave no gap."""
    cells = small_cells(seed)
    polygons = to_polygons(generaliser_of(geometries(cells), Z, coverage=True).at(z)[0])
    assert shapely.is_valid(polygons).all()
    united = shapely.union_all(polygons)
    assert united.area == shapely.area(polygons).sum()
    assert not united.interiors


@given(st.integers(0, 2**32 - 1), st.sampled_from([10, 12, Z]))
def test_polygons_that_overlap_in_the_source_go_on_and_no_others_begin(seed: int, z: int) -> None:
    chance = np.random.default_rng(seed)
    cells = small_cells(seed, 60)
    cells += [shapely.Point(*xy).buffer(40) for xy in chance.uniform(50, 1150, (4, 2))]
    generaliser = generaliser_of(geometries(cells), Z, coverage=True)
    before, after = np.array(cells), to_polygons(generaliser.at(z)[0])
    one, other = np.triu_indices(len(cells), 1)
    borders = shapely.boundary(before)
    between = shapely.distance(borders[one], borders[other])
    assume(not ((between > 0) & (between < 0.01)).any())  # borders so near become one before they are compared
    cross = (between == 0) & (other >= len(cells) - 4)  # cells only share theirs
    assert generaliser.crossing == len({*one[cross], *other[cross]})
    overlap = shapely.area(shapely.intersection(before[one], before[other]))
    apart = overlap < 1e-6
    begun = shapely.area(shapely.intersection(after[one[apart]], after[other[apart]]))
    assert begun.sum() == pytest.approx(0, abs=1e-6)


def test_overlaps_of_the_source_are_counted() -> None:
    apart, over = shapely.box(0, 0, 100, 100), shapely.box(300, 50, 400, 150)
    shapes = [apart, shapely.box(100, 0, 200, 100), over, shapely.box(350, 70, 450, 120), shapely.box(150, 30, 250, 90)]
    assert generaliser_of(geometries(shapes), Z, coverage=True).crossing == 4


def test_a_vertex_near_a_border_becomes_part_of_it() -> None:
    """Two lots face a third across one border; their corner lies a hair off it. After rounding all meet."""
    wide = shapely.box(0, 0, 200, 100)
    left = shapely.Polygon([(0, 100), (90.3, 100.004), (90.3, 200), (0, 200)])
    right = shapely.Polygon([(90.3, 100.004), (200, 100), (200, 200), (90.3, 200)])
    for z in range(9, Z + 1):
        polygons = to_polygons(generaliser_of(geometries([wide, left, right]), Z, coverage=True).at(z)[0])
        assert shapely.coverage_is_valid(shapely.get_parts(polygons))


def test_simplification_is_within_its_tolerance() -> None:
    cells = wiggly_cells()
    generaliser = generaliser_of(geometries(cells), Z)
    for z in (12, 13):
        scale = 2.0 ** (Z - z)
        found = shapely.transform(to_polygons(generaliser.at(z)[0]), lambda xy, s=scale: xy * s - ORIGIN)
        away = shapely.hausdorff_distance(shapely.boundary(found), shapely.boundary(np.array(cells)))
        assert away.max() <= (TOLERANCE + 1.0) * scale
        assert shapely.get_num_coordinates(found).sum() < shapely.get_num_coordinates(cells).sum()


@pytest.mark.parametrize("coverage", [False, True])
def test_borders_do_not_depend_on_the_order_of_polygons_or_where_rings_begin(coverage: bool) -> None:
    cells = wiggly_cells()
    chance = np.random.default_rng(5)
    order = chance.permutation(len(cells))
    turned = []
    for cell in np.array(cells)[order]:
        ring = np.array(cell.exterior.coords[:-1])
        ring = np.roll(ring, chance.integers(len(ring)), axis=0)
        turned.append(shapely.Polygon(ring if chance.random() < 0.5 else ring[::-1]))
    one, other = (generaliser_of(geometries(g), Z, coverage=coverage) for g in (cells, turned))
    for z in (11, 13):
        first, second = to_polygons(one.at(z)[0])[order], to_polygons(other.at(z)[0])
        assert shapely.equals_exact(shapely.normalize(first), shapely.normalize(second)).all()


def test_a_polygon_that_fills_a_hole_goes_on_filling_it() -> None:
    angles = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    ring = np.column_stack([np.cos(angles), np.sin(angles)]) * 500 + 1000
    hole = np.roll(ring, 70, axis=0)[::-1]
    shapes = [
        shapely.Polygon([(0, 0), (2000, 0), (2000, 2000), (0, 2000)], [ring.round()]),
        shapely.Polygon(hole.round()),
    ]
    for z in range(8, Z):
        found = to_polygons(generaliser_of(geometries(shapes), Z).at(z)[0])
        assert shapely.union_all(found).area == shapely.area(found).sum() == np.floor(2000 / 2 ** (Z - z) + 0.5) ** 2


def test_streets_keep_their_junctions() -> None:
    """Where lines meet, or one ends on another's vertex, they go on meeting."""
    wave = np.column_stack([np.arange(0, 2001, 20), 40 * np.sin(np.arange(0, 2001, 20) / 90.0)]).round()
    junction = wave[37]
    side = np.array([junction, junction + np.array([3, 50]), junction + np.array([0, 400])])
    shapes = [shapely.LineString(wave), shapely.LineString(side), shapely.LineString(wave[-1] + [[0, 0], [100, 100]])]
    generaliser = generaliser_of(geometries(shapes, GeometryKind.LINE), Z)
    for z in range(8, Z):
        level, _ = generaliser.at(z)
        rows = [set(map(tuple, level.xy[a:b])) for a, b in zip(level.rings[:-1], level.rings[1:], strict=True)]
        owner = dict(zip(level.owners.tolist(), rows, strict=True))
        assert len(owner[0]) < len(wave)
        if 1 in owner:
            assert owner[0] & owner[1]
        if 2 in owner:
            assert owner[0] & owner[2]


def test_what_is_smaller_than_a_unit_is_still_there_at_the_deepest_zoom(build: Any) -> None:
    dot = shapely.box(100.2, 100.2, 100.3, 100.3)
    for shape in (dot, shapely.LineString([(100.2, 100.2), (100.3, 100.3)])):
        built = build(make_source([shapely.transform(shape, lambda xy: xy + ORIGIN)], z=Z))
        (found,) = built.features(Z).values()
        assert len(found) == 1


def rows_of(built: Any, z: int) -> list[Any]:
    return [feature for shown in built.features(z).values() for _, feature in shown]


def areas(built: Any, z: int) -> Any:
    """Area of all features within their tiles, without the buffers, in units of the deepest zoom."""
    drawn = np.array([feature.geometry for feature in rows_of(built, z)])
    return shapely.area(shapely.intersection(drawn, shapely.box(0, 0, EXTENT, EXTENT))).sum() * 4.0 ** (Z - z)


def accounts(built: Any) -> list[dict[str, Any]]:
    zooms = list(built.report["zooms"].values())
    for zoom in zooms:
        lost = sum(zoom["merged"].values()) + sum(zoom["dropped"].values())
        assert zoom["features"] == zoom["kept"] + lost
    return zooms


def test_small_polygons_of_a_coverage_are_merged_and_leave_no_hole(build: Any) -> None:
    side, count = 30, 40
    boxes = [
        shapely.box(x, y, x + side, y + side)
        for x in range(0, side * count, side)
        for y in range(0, side * count, side)
    ]
    shapes = [shapely.transform(box, lambda xy: xy + ORIGIN + 200) for box in boxes]
    table = pa.table(
        {"zone": ["A" if i % (count * 8) < count * 4 else "B" for i in range(len(boxes))], "n": range(len(boxes))}
    )
    built = build(make_source(shapes, z=Z, minzoom=7, coverage=True, attributes=table, merge_by="zone"))
    whole = float((side * count) ** 2)
    for z, zoom in zip(range(7, Z + 1), accounts(built), strict=True):
        found = rows_of(built, z)
        assert areas(built, z) == pytest.approx(whole, rel=0.12)
        assert {f.properties["zone"] for f in found} == {"A", "B"}
        merged = sum(f.properties.get("merged", 0) for f in found)
        assert merged >= zoom["merged"].get("small", 0)
        assert all("n" not in f.properties and f.id is None for f in found if "merged" in f.properties)
    assert accounts(built)[0]["merged"]["small"] > 1500
    assert accounts(built)[-1]["kept"] == len(boxes)


def test_small_buildings_keep_their_area_in_sum(build: Any) -> None:
    chance = np.random.default_rng(2)
    corners = chance.integers(200, 3800, (4000, 2))
    sides = chance.integers(6, 22, (4000, 2))
    boxes = [shapely.box(*c, *(c + s)) for c, s in zip(corners, sides, strict=True)]
    built = build(make_source([shapely.transform(b, lambda xy: xy + ORIGIN) for b in boxes], z=Z, minzoom=8))
    whole = shapely.area(boxes).sum()
    for z, zoom in zip(range(8, Z + 1), accounts(built), strict=True):
        assert areas(built, z) == pytest.approx(whole, rel=0.1)
        assert zoom["kept"] == len(built.features(z))
    assert accounts(built)[0]["kept"] < 400


def test_points_thin_evenly_and_what_shows_goes_on_showing(build: Any) -> None:
    chance = np.random.default_rng(4)
    points = [shapely.Point(*xy) for xy in chance.integers(0, 4096, (6000, 2)) + ORIGIN]
    built = build(make_source(points, z=Z, minzoom=8, ids=chance.permutation(10**6)[:6000]))
    shown = [set(built.features(z)) for z in range(8, Z + 1)]
    assert all(first <= second for first, second in pairwise(shown))
    assert [len(ids) for ids in shown] == [zoom["kept"] for zoom in accounts(built)]
    assert len(shown[0]) <= 16 and len(shown[-1]) == 6000
    for z in range(8, Z):
        at = np.array([f.geometry.centroid.coords[0] for f in rows_of(built, z)]).astype(int) // 16
        assert len(np.unique(at, axis=0)) >= 0.7 * len(at)


@given(st.integers(0, 2**32 - 1))
def test_which_point_stays_does_not_depend_on_the_order(seed: int) -> None:
    from gisservice.tiles.plan import Plan

    chance = np.random.default_rng(seed)
    xy, ids = chance.integers(0, 4096, (60, 2)) + ORIGIN, chance.permutation(10_000)[:60]
    order = chance.permutation(60)
    plans = [
        Plan(make_source([shapely.Point(*p) for p in xy[o]], z=Z, minzoom=8, ids=ids[o]))
        for o in (np.arange(60), order)
    ]
    first, second = (plan.ids[np.argsort(plan.ranks)].tolist() for plan in plans)
    assert first == second
