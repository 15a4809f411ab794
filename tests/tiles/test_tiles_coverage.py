"""What overlaps and gapes at a zoom: broken coverages of known areas, and GEOS asked for the same."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from tile_factories import make_source

from gisservice.tiles import EXTENT, Previous, build_pyramid, coverage, generalise, renewal
from gisservice.tiles.coverage import REACH, Arrangement, Comparison, Touched, overlapping
from gisservice.tiles.grid import ground_m2
from gisservice.tiles.outlines import Outlines
from gisservice.tiles.plan import Plan
from gisservice.tiles.shapes import Shapes, from_polygons, tidy, to_polygons

Z = 14
ORIGIN = np.array([4681, 6271]) * EXTENT
SIDE = 20


def shapes_of(polygons: Any) -> Shapes:
    return tidy(from_polygons(np.array(polygons, dtype=object)))


def moved(polygon: Any) -> Any:
    return shapely.transform(polygon, lambda xy: xy + ORIGIN)


def lot(x: int, y: int, wide: int = 1, high: int = 1) -> Any:
    """A rectangle of cells, with a vertex in every corner of a cell."""
    return moved(shapely.segmentize(shapely.box(x * SIDE, y * SIDE, (x + wide) * SIDE, (y + high) * SIDE), SIDE))


def block(across: int = 5, down: int = 4) -> list[Any]:
    return [lot(x, y) for y in range(down) for x in range(across)]


def with_vertex(polygon: Any, after: tuple[int, int], at: tuple[int, int]) -> Any:
    """The polygon with a vertex put in after the one at ``after``."""
    ring = shapely.get_coordinates(polygon)[:-1]
    (place,) = np.flatnonzero((ring == np.array(after) + ORIGIN).all(axis=1))
    return shapely.Polygon(np.insert(ring, place + 1, np.array(at) + ORIGIN, axis=0))


def compare(drawn: list[Any], source: list[Any], stands_for: list[list[int]] | None = None, z: int = Z) -> Any:
    """The conflicts of polygons in units of zoom ``z`` with a source whose units are four zooms finer."""
    fine = Arrangement(shapes_of([shapely.transform(polygon, lambda xy: xy * 16) for polygon in source]), z + 4)
    groups = [[i] for i in range(len(drawn))] if stands_for is None else stands_for
    cuts = np.cumsum([0, *map(len, groups)])
    return Comparison(z, shapes_of(drawn), np.concatenate(groups), cuts, fine).conflicts()


def areas(found: Any) -> tuple[float, float]:
    return shapely.area(found.overlaps).sum(), shapely.area(found.gaps).sum()


def bare(drawn: list[Any], source: list[Any]) -> float:
    """The definition, word for word, by GEOS."""
    inside = shapely.buffer(shapely.union_all(source), -REACH)
    return shapely.area(shapely.difference(inside, shapely.union_all(drawn)))


def doubled(polygons: list[Any]) -> float:
    pairs = [shapely.intersection(a, b) for i, a in enumerate(polygons) for b in polygons[:i]]
    return shapely.area(shapely.union_all(pairs))


def test_a_coverage_has_no_conflicts_with_itself() -> None:
    found = compare(block(), block())
    assert areas(found) == (0, 0)
    assert found.to_json() == {"overlap_m2": 0.0, "gap_m2": 0.0, "overlaps": [], "gaps": []}


def test_streets_are_no_gaps_however_their_borders_move() -> None:
    streets = [*block(3, 3), *(shapely.transform(lot, lambda xy: xy + np.array([4 * SIDE, 0])) for lot in block(3, 3))]
    narrower = [shapely.transform(lot, lambda xy: xy + np.array([2, -1])) for lot in streets[:9]] + streets[9:]
    assert areas(compare(narrower, streets)) == (0, 0)


def test_a_notch_in_a_shared_border_is_a_gap_of_its_area() -> None:
    """The border of lots 6 and 7 bends 6 units into lot 6, and lot 7 does not follow: a triangle of 20 by 6."""
    source = drawn = block()
    drawn = [*source]
    drawn[6] = with_vertex(source[6], (40, 20), (34, 30))
    overlap, gap = areas(compare(drawn, source))
    assert (overlap, gap) == (0, pytest.approx(60)) and gap == pytest.approx(bare(drawn, source))
    assert not shapely.coverage_is_valid(np.array(drawn), gap_width=7)


def test_a_bulge_in_a_shared_border_is_an_overlap_of_its_area() -> None:
    source = block()
    drawn = [*source]
    drawn[6] = with_vertex(source[6], (40, 20), (46, 30))
    overlap, gap = areas(compare(drawn, source))
    assert (overlap, gap) == (pytest.approx(60), 0)
    assert overlap == pytest.approx(doubled(drawn))
    assert shapely.length(shapely.coverage_invalid_edges(np.array(drawn))).sum() > 0


def test_the_same_edge_used_twice_in_one_direction_is_an_overlap() -> None:
    source = [lot(0, 0), lot(1, 0)]
    drawn = [lot(0, 0), lot(0, 0, 2)]
    assert areas(compare(drawn, source)) == (pytest.approx(SIDE * SIDE), 0)


def test_a_wedge_that_opens_towards_a_street_is_a_gap_but_for_the_streets_reach() -> None:
    source = block(2, 1)
    drawn = [moved(shapely.Polygon([(0, 0), (20, 0), (14, 20), (0, 20)])), source[1]]
    overlap, gap = areas(compare(drawn, source))
    assert overlap == 0
    assert gap == pytest.approx(bare(drawn, source)) and 20 < gap < 60


@pytest.mark.parametrize("missing", [0, 2, 7])
def test_a_polygon_that_is_not_drawn_is_a_gap(missing: int) -> None:
    source = block()
    drawn = [lot for i, lot in enumerate(source) if i != missing]
    members = [[i] for i in range(len(source)) if i != missing]
    overlap, gap = areas(compare(drawn, source, members))
    assert overlap == 0
    assert gap == pytest.approx(bare(drawn, source))
    assert missing != 7 or gap == pytest.approx(SIDE * SIDE)


def test_what_overlaps_in_the_source_may_overlap() -> None:
    source = [*block(), lot(1, 1, 2, 2)]
    assert areas(compare(source, source)) == (0, 0)
    grown = [*block(), lot(1, 1, 3, 2)]
    assert areas(compare(grown, source)) == (pytest.approx(2 * SIDE * SIDE), 0)


def test_a_merged_polygon_may_overlap_what_its_members_overlap() -> None:
    source = [*block(), lot(1, 1)]
    drawn = [lot(0, 0, 5, 2), *source[10:]]
    members = [list(range(10)), *([i] for i in range(10, 21))]
    assert areas(compare(drawn, source, members)) == (0, 0)
    assert areas(compare(drawn, source, [[*range(6), 7, 8, 9], *members[1:]]))[0] == pytest.approx(SIDE**2)


def test_a_large_gap_is_measured_whole() -> None:
    """It is wider than any window that one looks through first."""
    source = block(20, 20)
    drawn = [lot for i, lot in enumerate(source) if not (3 <= i % 20 < 15 and 3 <= i // 20 < 15)]
    members = [[i] for i in range(400) if not (3 <= i % 20 < 15 and 3 <= i // 20 < 15)]
    found = compare(drawn, source, members)
    assert areas(found) == (0, pytest.approx(144 * SIDE * SIDE))
    assert len(found.gaps) == 1


def test_pieces_are_told_with_their_place_and_their_ground() -> None:
    source = block()
    drawn = [*source]
    drawn[6] = with_vertex(source[6], (40, 20), (46, 30))
    drawn[13] = with_vertex(source[13], (80, 40), (74, 50))
    told = compare(drawn, source).to_json()
    (overlap,), (gap,) = told["overlaps"], told["gaps"]
    assert ORIGIN[0] + 40 <= overlap[0] < ORIGIN[0] + 46 and ORIGIN[0] + 74 <= gap[0] < ORIGIN[0] + 80
    unit = 40_075_016.686 / 2**26
    for kind, row in (("overlap_m2", overlap), ("gap_m2", gap)):
        latitude = np.arctan(np.sinh(np.pi * (1 - 2 * row[1] / 2**26)))
        assert told[kind] == row[2] == pytest.approx(60 * unit**2 * np.cos(latitude) ** 2, rel=0.005)


@pytest.mark.parametrize("z", [4, 10, 16])
@pytest.mark.parametrize("latitude", [-60.0, 0.1, 38.8])
def test_areas_are_those_on_the_ellipsoid(z: int, latitude: float) -> None:
    size = 2.0 ** (z + 12)
    y = (1 - np.arcsinh(np.tan(np.radians(latitude))) / np.pi) / 2 * size
    box = shapely.segmentize(shapely.box(0, y, min(300, size / 3600), y + min(300, size / 3600)), size / 1e6)
    lonlat = shapely.transform(
        box,
        lambda xy: np.column_stack(
            [xy[:, 0] / size * 360 - 180, np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * xy[:, 1] / size))))]
        ),
    )
    truth = abs(pyproj.Geod(ellps="WGS84").geometry_area_perimeter(lonlat)[0])
    (ours,) = ground_m2(np.array([shapely.area(box)]), np.array([shapely.centroid(box).y]), z)
    assert ours == pytest.approx(truth, rel=2e-6)


cells = st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(1, 3), st.integers(1, 3))


@given(st.lists(cells, min_size=1, max_size=7))
def test_overlapping_pairs_are_those_that_geos_finds(rectangles: list[tuple[int, int, int, int]]) -> None:
    lots = [lot(*rectangle) for rectangle in rectangles]
    pairs = [
        (i, j)
        for i in range(len(lots))
        for j in range(i + 1, len(lots))
        if shapely.relate_pattern(lots[i], lots[j], "T********")
    ]
    assert overlapping(Arrangement(shapes_of(lots), Z)).tolist() == [list(pair) for pair in pairs]


@given(st.lists(cells, min_size=1, max_size=7), st.lists(cells, min_size=1, max_size=7))
def test_conflicts_are_those_that_geos_finds(drawn: list[Any], source: list[Any]) -> None:
    """Each polygon was drawn somewhere else than it was; so all sorts of overlaps and gaps come about."""
    count = min(len(drawn), len(source))
    mine, theirs = ([lot(*rectangle) for rectangle in rows[:count]] for rows in (drawn, source))
    fresh = [
        shapely.intersection(mine[i], mine[j])
        for i in range(count)
        for j in range(i)
        if not shapely.relate_pattern(theirs[i], theirs[j], "T********")
    ]
    overlap, gap = areas(compare(mine, theirs))
    assert overlap == pytest.approx(shapely.area(shapely.union_all(fresh)))
    assert gap == pytest.approx(bare(mine, theirs))


@given(st.integers(0, 19), cells, st.booleans())
def test_what_one_change_breaks_is_seen_where_it_is(place: int, elsewhere: Any, stays: bool) -> None:
    """In a clean coverage one lot is drawn somewhere else, or not at all: what is touched shows it as a look at all."""
    source = block()
    fine = Arrangement(shapes_of([shapely.transform(polygon, lambda xy: xy * 16) for polygon in source]), Z + 4)
    members = np.array([i for i in range(20) if stays or i != place])
    drawn = [lot(*elsewhere) if i == place else source[i] for i in members]
    boxes = shapely.bounds(np.array([source[place], *([lot(*elsewhere)] if stays else [])])) + np.array([-8, -8, 8, 8])
    touched = Touched(members == place, boxes)
    whole = Comparison(Z, shapes_of(drawn), members, np.arange(len(members) + 1), fine)
    overlap, gap = areas(whole.conflicts())
    near_overlap, near_gap = areas(replace(whole, touched=touched).conflicts())
    assert near_overlap == pytest.approx(overlap)
    assert near_gap == pytest.approx(gap)


def test_a_simplified_coverage_of_crooked_lots_has_none() -> None:
    chance = np.random.default_rng(5)
    joints = (np.stack(np.meshgrid(np.arange(13), np.arange(13), indexing="ij"), -1) * 400).astype(float)
    joints[1:-1, 1:-1] += chance.integers(-150, 150, (11, 11, 2))
    lots = []
    for i in range(12):
        for j in range(12):
            corners = [joints[i, j], joints[i + 1, j], joints[i + 1, j + 1], joints[i, j + 1], joints[i, j]]
            sides = [crooked(a, b) for a, b in pairwise(corners)]
            lots.append(shapely.Polygon(np.concatenate(sides) + ORIGIN))
    source = make_source(lots, z=Z, minzoom=10, coverage=True)
    generaliser = generalise.Generaliser(Outlines(source.geometries, Z, coverage=True))
    deepest = Arrangement(generaliser.at(Z)[0], Z)
    each = np.arange(len(lots) + 1)
    for z in range(10, Z):
        shapes = generaliser.at(z)[0]
        assert not len(Comparison(z, shapes, each[:-1], each, deepest).conflicts())
        assert bare(list(to_polygons(shapes)), list(scaled(to_polygons(deepest.shapes), Z - z))) == pytest.approx(
            0, abs=1e-6
        )


def scaled(shapes: Any, zooms: int) -> Any:
    """Shapes in the units of a smaller zoom; halves are exact."""
    return shapely.transform(shapes, lambda xy: xy / 2**zooms)


def crooked(a: Any, b: Any) -> Any:
    """A winding way from a to b, the same when walked the other way."""
    first, last = sorted([tuple(a), tuple(b)])
    chance = np.random.default_rng(hash((first, last)) % 2**32)
    way = np.linspace(first, last, 21)[:-1]
    way[1:] += chance.integers(-12, 12, (19, 2))
    way = np.rint(np.vstack([way, last]))
    return (way if tuple(a) == first else way[::-1])[:-1]


def test_a_layer_that_is_no_coverage_is_not_measured(build: Any) -> None:
    assert "conflicts" not in build(make_source([lot(0, 0)])).report["zooms"]["14"]
    assert build(make_source([lot(0, 0)], coverage=True)).report["zooms"]["14"]["conflicts"]["gap_m2"] == 0.0


def displaced(shapes: Shapes, which: int = 6) -> Shapes:
    """The same shapes, but for one, which is 8 units farther south and east."""
    xy = shapes.xy.copy()
    xy[slice(*shapes.vertices[[which, which + 1]])] += 8
    return Shapes(shapes.kind, xy, shapes.rings, shapes.starts, shapes.exterior)


@pytest.mark.parametrize("z", [Z - 3, Z])
def test_what_breaks_while_a_pyramid_is_built_is_published(build: Any, monkeypatch: Any, z: int) -> None:
    """A polygon that moves away from its neighbours shows in the report of that zoom alone."""
    zoom_of, part = generalise.Generaliser.zoom, generalise.part

    def at_zoom(self: Any, zoom: int) -> Any:
        found = zoom_of(self, zoom)
        return replace(found, shapes=displaced(found.shapes)) if zoom == z < Z else found

    def at_deepest(*given: Any) -> Any:
        found = part(*given)
        return replace(found, shapes=displaced(found.shapes)) if z == Z else found

    monkeypatch.setattr(generalise.Generaliser, "zoom", at_zoom)
    monkeypatch.setattr(generalise, "part", at_deepest)
    lots = [shapely.transform(lot, lambda xy: (xy - ORIGIN) * 20 + ORIGIN) for lot in block()]
    report = build(make_source(lots, minzoom=Z - 4, coverage=True)).report
    for zoom, account in report["zooms"].items():
        side = SIDE * 20 >> (Z - int(zoom))
        moved_away = 2 * side * 8 - 64 if int(zoom) == z else 0
        at_city = ground_m2(np.array([moved_away]), np.array([ORIGIN[1] >> (Z - int(zoom))]), int(zoom))[0]
        assert account["conflicts"]["overlap_m2"] == pytest.approx(at_city, rel=1e-3)
        assert account["conflicts"]["gap_m2"] == pytest.approx(at_city, rel=1e-3)


def land(edited: bool) -> Any:
    """A coverage of lots of 400 units; edited, the border of lots 6 and 7 has one vertex more."""
    lots = [shapely.transform(lot, lambda xy: (xy - ORIGIN) * 20 + ORIGIN) for lot in block(12, 12)]
    if edited:
        lots[19] = with_vertex(lots[19], (3200, 400), (3230, 600))
        lots[20] = shapely.difference(lots[20], lots[19])
    return make_source(lots, minzoom=Z - 4, coverage=True)


def republished(build: Any, tmp_path: Any, first: Any, second: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The report of a version built from nothing, and built on the one before."""
    before, whole = build(first), build(second)
    folder = tmp_path / "again"
    folder.mkdir()
    again = build_pyramid(second, folder, workers=1, previous=Previous(first, before.folder))
    assert (folder / "tiles.json").read_bytes() == (whole.folder / "tiles.json").read_bytes()
    return whole.report["zooms"], again["zooms"]


def test_a_change_that_breaks_nothing_is_looked_at_alone(build: Any, tmp_path: Any, monkeypatch: Any) -> None:
    looked_at: list[int] = []
    find = coverage.Comparison.conflicts

    def watched(self: Any, *given: Any) -> Any:
        looked_at.append(len(self.drawn))
        return find(self, *given)

    monkeypatch.setattr(coverage.Comparison, "conflicts", watched)
    _, again = republished(build, tmp_path, land(False), land(True))
    assert all(zoom["conflicts"]["overlap_m2"] == zoom["conflicts"]["gap_m2"] == 0 for zoom in again.values())
    assert looked_at[:10] == [144] * 10 and max(looked_at[10:]) < 30 and len(looked_at) == 15


def test_what_a_change_breaks_is_found_near_it(build: Any, tmp_path: Any, monkeypatch: Any) -> None:
    """A lot that is displaced when it is rounded to z12, once it has more than four vertices."""
    genuine = generalise.rounded

    def rounded(outlines: Any, shapes: Any, keep: Any, shift: int, rows: Any) -> Any:
        found, broken = genuine(outlines, shapes, keep, shift, rows)
        place = np.flatnonzero(rows == 19)
        bent = len(place) and np.diff(shapes.vertices)[19] > 4
        return (displaced(found, int(place[0])) if bent and shift == 2 else found), broken

    monkeypatch.setattr(generalise, "rounded", rounded)
    monkeypatch.setattr(renewal, "rounded", rounded)
    _, again = republished(build, tmp_path, land(False), land(True))
    assert {z for z, zoom in again.items() if zoom["conflicts"]["gaps"] and zoom["conflicts"]["overlaps"]} == {"12"}


@pytest.fixture(scope="module")
def real_plan(real_parcels: Any) -> Plan:
    return Plan(real_parcels)


@pytest.mark.slow
def test_the_real_parcels_gain_no_overlap(real_plan: Plan) -> None:
    """What did not overlap in the source does not overlap at any zoom, by not a square millimetre."""
    generaliser = real_plan.generaliser
    deepest = to_polygons(generaliser.at(16)[0])
    assert generaliser.crossing > 500
    for z in (10, 13):
        polygons = to_polygons(generaliser.at(z)[0])
        one, other = shapely.STRtree(polygons).query(polygons, predicate="intersects")
        one, other = one[one < other], other[one < other]
        apart = shapely.area(shapely.intersection(deepest[one], deepest[other])) == 0
        assert shapely.area(shapely.intersection(polygons[one[apart]], polygons[other[apart]])).sum() == 0


@pytest.mark.slow
def test_the_real_parcels_do_not_gape_or_overlap(real_plan: Plan) -> None:
    """By the report's figures, and by GEOS for the whole city at two zooms."""
    plan = real_plan
    assert not len(plan.source_conflicts(None))
    deepest = Arrangement(plan.deepest, plan.maxzoom)
    whole = shapely.union_all(to_polygons(deepest.shapes))
    each = np.arange(len(plan.deepest) + 1)
    for z in range(plan.minzoom, plan.maxzoom):
        drawn = Arrangement(plan.generaliser.at(z)[0], z)
        assert not len(Comparison(z, drawn.shapes, each[:-1], each, deepest).conflicts())
        if z in (11, 14):
            assert bare(list(to_polygons(drawn.shapes)), [scaled(whole, plan.maxzoom - z)]) == pytest.approx(0, abs=1)


def test_the_reach_is_wider_than_what_generalising_moves() -> None:
    assert generalise.TOLERANCE + np.sqrt(0.5) < coverage.REACH
