"""What comes out of a tile is what went in, rounded; by an independent reader, on arbitrary shapes."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mapbox_vector_tile
import numpy as np
import pytest
import shapely
import strict_mvt
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tile_factories import Built, make_source

from gisservice.tiles import BUFFER, EXTENT, TileCoord
from gisservice.tiles.archive import decompress

Z = 14
X, Y = 4681, 6271
CORNER = np.array([X, Y]) * EXTENT

inside = st.tuples(st.integers(BUFFER, EXTENT - BUFFER), st.integers(BUFFER, EXTENT - BUFFER))
around = st.tuples(st.integers(-300, EXTENT + 300), st.integers(-300, EXTENT + 300))
near = st.tuples(st.integers(100, 130), st.integers(100, 130))
positions = st.one_of(inside, near)


def on_grid(geometry: Any) -> Any:
    """The polygonal part of a geometry, valid, on whole units."""
    valid = shapely.set_precision(shapely.make_valid(geometry), 1.0)
    parts = [p for p in shapely.get_parts(shapely.get_parts(valid)) if p.geom_type == "Polygon" and not p.is_empty]
    return shapely.union_all(parts) if parts else shapely.Polygon()


def polygons(points: st.SearchStrategy[tuple[int, int]]) -> st.SearchStrategy[Any]:
    ring = st.lists(points, min_size=3, max_size=12)
    return ring.map(lambda xy: on_grid(shapely.Polygon(xy))).filter(lambda g: not g.is_empty and g.is_valid)


def lines(points: st.SearchStrategy[tuple[int, int]]) -> st.SearchStrategy[Any]:
    line = st.lists(points, min_size=2, max_size=10)
    return st.lists(line, min_size=1, max_size=3).map(shapely.MultiLineString)


def built(*shapes: Any, **options: Any) -> Built:
    moved = [shapely.transform(shape, lambda xy: xy + CORNER) for shape in shapes]
    with TemporaryDirectory() as folder:
        return Built(make_source(moved, z=Z, **options), Path(folder) / "a.pmtiles")


def in_tile(*shapes: Any, dx: int = 0, dy: int = 0, **options: Any) -> list[Any]:
    """What tile ``X + dx, Y + dy`` shows of shapes given in the units of tile ``X, Y``."""
    pyramid = built(*shapes, **options)
    tile = TileCoord(Z, X + dx, Y + dy)
    if pyramid.archive.get(tile) is None:
        return []
    return [feature.geometry for feature in pyramid.layer(tile).features]


def parts_of(geometry: Any) -> list[Any]:
    return sorted(shapely.to_wkt(shapely.get_parts(shapely.normalize(geometry))).tolist())


@given(st.lists(polygons(positions), min_size=1, max_size=4))
def test_polygons_come_back_exactly(shapes: list[Any]) -> None:
    for shape, found in zip(shapes, in_tile(*shapes), strict=True):
        assert shapely.is_valid(found)
        assert parts_of(found) == parts_of(shape)


@given(st.lists(st.lists(positions, min_size=3, max_size=12).map(shapely.Polygon), min_size=1, max_size=4))
def test_polygons_that_cross_themselves_come_back_valid(shapes: list[Any]) -> None:
    assume(all(strict_mvt.area2([(int(x), int(y)) for x, y in shape.exterior.coords[:-1]]) for shape in shapes))
    for shape, found in zip(shapes, in_tile(*shapes), strict=True):
        expected = shapely.make_valid(shape, method="structure", keep_collapsed=False)
        assert shapely.is_valid(found)
        slack = 2.0 * shape.length + 4.0
        assert shapely.symmetric_difference(found, expected).area <= slack


@given(st.lists(lines(positions), min_size=1, max_size=4))
def test_lines_come_back_exactly(shapes: list[Any]) -> None:
    assume(all(len(set(map(tuple, line.coords))) > 1 for shape in shapes for line in shape.geoms))
    for shape, found in zip(shapes, in_tile(*shapes), strict=True):
        expected = [shapely.remove_repeated_points(line) for line in shape.geoms]
        assert [line.coords[:] for line in found.geoms] == [line.coords[:] for line in expected]


@given(st.lists(st.lists(positions, min_size=1, max_size=8), min_size=1, max_size=4))
def test_points_come_back_exactly_and_once(shapes: list[list[tuple[int, int]]]) -> None:
    for points, found in zip(shapes, in_tile(*map(shapely.MultiPoint, shapes)), strict=True):
        assert [(p.x, p.y) for p in found.geoms] == list(dict.fromkeys(points))


@given(polygons(around))
def test_polygons_are_cut_where_a_tile_ends(shape: Any) -> None:
    box = shapely.box(-BUFFER, -BUFFER, EXTENT + BUFFER, EXTENT + BUFFER)
    expected = shapely.intersection(shape, box)
    found = shapely.union_all(in_tile(shape))
    assert found.is_empty or shapely.covered_by(found, box)
    assert shapely.symmetric_difference(found, expected).area <= 2.0 * shape.length + 4.0


@given(lines(around))
def test_lines_are_cut_where_a_tile_ends(shape: Any) -> None:
    box = shapely.box(-BUFFER, -BUFFER, EXTENT + BUFFER, EXTENT + BUFFER)
    expected = shapely.intersection(shape, box)
    found = shapely.union_all([shapely.MultiLineString([]), *in_tile(shape)])
    assert found.is_empty or shapely.covered_by(found, box)
    if expected.length > 4:
        assert found.within(expected.buffer(1.0))
        assert expected.within(found.buffer(4.0))


@given(st.lists(around, min_size=1, max_size=8))
def test_points_are_in_every_tile_whose_buffer_they_touch(points: list[tuple[int, int]]) -> None:
    pyramid = built(shapely.MultiPoint(points))
    for tile in (TileCoord(Z, X + dx, Y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)):
        left, top = (tile.x - X) * EXTENT, (tile.y - Y) * EXTENT
        expected = {
            (x - left, y - top)
            for x, y in points
            if -BUFFER <= x - left <= EXTENT + BUFFER and -BUFFER <= y - top <= EXTENT + BUFFER
        }
        data = pyramid.archive.get(tile)
        found = [] if data is None else pyramid.layer(tile).features[0].geometry.geoms
        assert {(p.x, p.y) for p in found} == expected


@given(polygons(around))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_neighbouring_tiles_agree_where_both_draw(shape: Any) -> None:
    both = shapely.box(EXTENT - BUFFER, -BUFFER, EXTENT + BUFFER, EXTENT + BUFFER)
    left = shapely.union_all([shapely.Polygon(), *in_tile(shape)])
    right = shapely.transform(
        shapely.union_all([shapely.Polygon(), *in_tile(shape, dx=1)]), lambda xy: xy + np.array([EXTENT, 0])
    )
    differ = shapely.symmetric_difference(left & both, right & both)
    # Each tile rounds only where it cuts: the two drawings part by less than a unit along the edges of the shape.
    assert differ.area <= 1.5 * shapely.intersection(shape, both.buffer(1)).length + 4.0


def test_a_straight_edge_is_cut_alike_on_both_sides() -> None:
    low = shapely.Polygon([(4000, 1000), (5003, 1717), (5003, 3000), (4000, 3000)])
    high = shapely.Polygon([(4000, 1000), (4000, 100), (5003, 100), (5003, 1717)])
    for dx in (0, 1):
        first, second = in_tile(low, high, dx=dx)
        assert shapely.intersection(first, second).area == 0
        assert shapely.union_all([first, second]).area == first.area + second.area
        assert shapely.intersection(first, second).length > 0


@pytest.mark.parametrize(("steps", "shown"), [(-0.51, False), (-0.5, True), (-0.49, True), (0.49, True)])
def test_rounding_at_the_edge_of_the_buffer(steps: float, shown: bool) -> None:
    """A point half a unit outside the buffer is rounded onto its edge; one further out is not in the tile."""
    assert bool(in_tile(shapely.Point(-BUFFER + steps, 500))) == shown


def test_a_hole_whose_direction_flips_by_rounding_is_turned_again() -> None:
    """gdal#13305: orientation is found after rounding, so the hole stays a hole."""
    unit = 1 / 64
    hole = [(20, 20), (20 + 30 * unit, 29.6), (20.6, 20.4), (21.4, 29.4)]
    shape = shapely.Polygon([(0, 0), (0, 60), (60, 60), (60, 0)], [hole])
    (found,) = in_tile(shape)
    assert shapely.is_valid(found)
    assert found.area <= 3600


def test_either_winding_of_the_source_gives_the_same_tile() -> None:
    shell, hole = [(0, 0), (0, 60), (60, 60), (60, 0)], [(10, 10), (20, 10), (20, 20), (10, 20)]
    areas = {in_tile(shapely.Polygon(s, [h]))[0].area for s in (shell, shell[::-1]) for h in (hole, hole[::-1])}
    assert areas == {3500.0}


def test_an_island_in_a_hole_is_a_polygon_of_its_own() -> None:
    ring = shapely.box(0, 0, 100, 100) - shapely.box(20, 20, 80, 80)
    island = shapely.MultiPolygon([ring, shapely.box(40, 40, 60, 60)])
    (found,) = in_tile(island)
    assert parts_of(found) == parts_of(island)


def test_rings_come_shell_first_and_the_cursor_stays_at_the_last_vertex() -> None:
    """ClosePath does not move the cursor: the hole's MoveTo starts from the shell's last vertex."""
    shape = shapely.box(0, 0, 100, 100) - shapely.box(20, 20, 80, 80)
    pyramid = built(shape)
    (feature,) = pyramid.layer(TileCoord(Z, X, Y)).features
    data = pyramid.archive.get(TileCoord(Z, X, Y))
    theirs = mapbox_vector_tile.decode(decompress(data or b""), default_options={"y_coord_down": True})
    (other,) = theirs["layer"]["features"]
    assert shapely.equals(shapely.geometry.shape(other["geometry"]), shape)
    assert shapely.equals(feature.geometry, shape)
    assert feature.commands.count(15) == 2


def test_a_ring_that_touches_itself_is_split_there() -> None:
    eight = shapely.Polygon([(0, 0), (10, 0), (10, 10), (20, 10), (20, 20), (10, 20), (10, 10), (0, 10)])
    (found,) = in_tile(eight)
    assert shapely.is_valid(found)
    assert found.area == 200
    assert len(found.geoms) == 2


def test_spikes_and_slivers_vanish_and_the_rest_stays() -> None:
    spiky = shapely.Polygon([(0, 0), (50, 0), (90, 0), (50, 0), (50, 50), (0, 50)])
    (found,) = in_tile(spiky)
    assert shapely.is_valid(found)
    assert found.area == 2500


def test_the_clip_of_a_comb_falls_into_valid_parts() -> None:
    """A shape that leaves and enters a tile often makes rings along the edge that touch; they come out apart."""
    teeth = [(-200, y) if (y // 40) % 2 else (200, y) for y in range(0, 2000, 20)]
    comb = shapely.Polygon([(300, 0), *teeth, (300, 1990)])
    assert comb.is_valid
    (found,) = in_tile(comb)
    assert shapely.is_valid(found)
    expected = comb & shapely.box(-BUFFER, -BUFFER, EXTENT + BUFFER, EXTENT + BUFFER)
    assert found.area == pytest.approx(expected.area, rel=0.01)


def test_a_bowtie_keeps_both_its_wings() -> None:
    (found,) = in_tile(shapely.Polygon([(0, 0), (100, 100), (100, 0), (0, 80)]))
    assert shapely.is_valid(found)
    assert found.area == pytest.approx(4444, rel=0.05)


@pytest.mark.parametrize("z", [14, 20])
def test_a_shape_as_large_as_the_world_is_cut_to_the_tile(z: int, tmp_path: Path) -> None:
    """Parameters stay small (fixtures 049, 050), and far tiles cost nothing: here a strip of tiles is asked for."""
    size = EXTENT << z
    strip = shapely.box(10, size // 2 - 5, min(size - 10, 3000 * EXTENT), size // 2 + 5)
    pyramid = Built(make_source([strip], z=z), tmp_path / "a.pmtiles")
    for tile in pyramid.addresses()[::500]:
        (feature,) = pyramid.layer(tile).features
        assert feature.geometry.area == (EXTENT + 2 * BUFFER - (10 + BUFFER if tile.x == 0 else 0)) * 5 or (
            feature.geometry.area > 0
        )


def test_a_large_ragged_shape_is_the_same_however_it_is_divided() -> None:
    """Shapes over many tiles are divided first; each tile must show what a direct cut shows."""
    angles = np.linspace(0, 2 * np.pi, 4000, endpoint=False)
    radius = 30_000 + 2_000 * np.sin(angles * 90)
    shape = on_grid(
        shapely.Polygon(np.column_stack([radius * np.cos(angles), radius * np.sin(angles)]))
        - shapely.Point(5_000, 5_000).buffer(9_000)
    )
    pyramid = built(shape)
    assert len(pyramid.addresses()) > 150
    for tile in pyramid.addresses():
        left, top = (tile.x - X) * EXTENT, (tile.y - Y) * EXTENT
        box = shapely.box(left - BUFFER, top - BUFFER, left + EXTENT + BUFFER, top + EXTENT + BUFFER)
        (feature,) = pyramid.layer(tile).features
        found = shapely.transform(feature.geometry, lambda xy, at=(left, top): xy + at)
        assert shapely.is_valid(found)
        assert shapely.symmetric_difference(found, shape & box).area <= 2.0 * (shape & box).length


def test_a_long_line_is_the_same_however_it_is_divided() -> None:
    steps = np.arange(0, 60_000, 37)
    shape = shapely.LineString(np.column_stack([steps, 9_000 * np.sin(steps / 5_000.0)]).round())
    pyramid = built(shape)
    for tile in pyramid.addresses():
        left, top = (tile.x - X) * EXTENT, (tile.y - Y) * EXTENT
        box = shapely.box(left - BUFFER, top - BUFFER, left + EXTENT + BUFFER, top + EXTENT + BUFFER)
        (feature,) = pyramid.layer(tile).features
        found = shapely.transform(feature.geometry, lambda xy, at=(left, top): xy + at)
        assert found.length == pytest.approx((shape & box).length, abs=3.0)


def test_tiles_at_the_corners_of_the_world_exist_and_no_others() -> None:
    top = (EXTENT << 14) - 1
    points = [shapely.Point(0, 0), shapely.Point(top, 0), shapely.Point(0, top), shapely.Point(top, top)]
    with TemporaryDirectory() as folder:
        pyramid = Built(make_source(points, z=14), Path(folder) / "a.pmtiles")
        last = 2**14 - 1
        assert set(pyramid.addresses()) == {(14, 0, 0), (14, last, 0), (14, 0, last), (14, last, last)}
