"""Unions of groups of polygons, compared with those that GEOS makes by overlay."""

from __future__ import annotations

import numpy as np
import shapely
from hypothesis import example, given
from hypothesis import strategies as st

from gisservice.model import GeometryKind
from gisservice.tiles.dissolving import dissolve
from gisservice.tiles.shapes import Shapes, from_polygons, offsets, tidy, to_polygons

SIDE = 5
cells = st.sets(st.tuples(st.integers(0, SIDE - 1), st.integers(0, SIDE - 1)), min_size=1, max_size=SIDE * SIDE)


def shapes_of(polygons: list[shapely.Geometry]) -> Shapes:
    return tidy(from_polygons(np.array(polygons, dtype=object)))


def union(polygons: list[list[shapely.Geometry]]) -> list[shapely.Geometry]:
    """Return what is under test for groups of polygons."""
    shapes = shapes_of([polygon for group in polygons for polygon in group])
    cuts = offsets(np.array([len(group) for group in polygons]))
    united = dissolve(shapes, np.arange(len(shapes)), cuts)
    assert united.kind == GeometryKind.POLYGON
    return list(to_polygons(united))


def crooked(seed: int) -> dict[tuple[int, int], shapely.Polygon]:
    """Return a grid of quadrilaterals with crooked borders that all neighbours share, corners included."""
    rng = np.random.default_rng(seed)
    corner = 20 * np.stack(np.meshgrid(np.arange(SIDE + 1), np.arange(SIDE + 1), indexing="ij"), axis=-1)
    corner = corner + rng.integers(-3, 4, corner.shape)
    across = corner[:-1] + 8 + rng.integers(-3, 4, corner[:-1].shape) - (0, 8)
    return {
        (x, y): shapely.Polygon(
            [
                corner[x, y], across[x, y], corner[x + 1, y], corner[x + 1, y + 1], across[x, y + 1], corner[x, y + 1],
            ]
        )
        for x in range(SIDE)
        for y in range(SIDE)
    }  # fmt: skip


@given(st.lists(cells, min_size=1, max_size=4), st.integers(0, 50))
@example([{(0, 0), (1, 1)}], 0)  # that meet at a corner
@example([{(x, y) for x in range(3) for y in range(3)} - {(1, 1)}], 0)  # around a hole
@example([{(x, y) for x in range(4) for y in range(4)} - {(1, 1), (2, 2)}], 0)  # around holes that meet at a corner
@example([{(0, 1), (1, 0), (1, 2), (2, 1)}], 0)  # a hole whose every corner is a corner outside, too
@example([{(x, y) for x in range(5) for y in range(5) if 0 in (x, y) or 4 in (x, y)} | {(2, 2)}], 0)  # with an island
def test_the_union_of_a_part_of_a_coverage(groups: list[set[tuple[int, int]]], seed: int) -> None:
    grid = crooked(seed)
    polygons = [[grid[cell] for cell in sorted(group)] for group in groups]
    for found, members in zip(union(polygons), polygons, strict=True):
        assert found.is_valid
        assert found.equals(shapely.union_all(members))


@given(st.lists(st.tuples(*[st.integers(0, 12)] * 2, *[st.integers(1, 6)] * 2), min_size=1, max_size=8))
@example([(0, 0, 4, 4), (0, 0, 4, 4)])  # one polygon twice
@example([(0, 0, 6, 6), (2, 2, 2, 2)])  # one within the other
@example([(0, 0, 4, 4), (4, 1, 4, 2)])  # neighbours whose corners are not each other's
@example([(0, 0, 4, 4), (4, 0, 4, 4), (2, 1, 4, 2)])  # two neighbours and one across their border
def test_polygons_that_are_no_coverage_are_united_too(boxes: list[tuple[int, int, int, int]]) -> None:
    polygons = [shapely.box(x, y, x + width, y + height) for x, y, width, height in boxes]
    (found,) = union([polygons])
    assert found.is_valid
    assert found.equals(shapely.union_all(polygons))


@given(st.lists(st.lists(st.sampled_from(range(5)), min_size=1, max_size=5), min_size=1, max_size=3))
@example([[0, 1, 0, 2], [3, 4]])  # of three along an edge, the middle one runs it the other way
@example([[0, 3], [1, 2, 2, 4], [4, 0]])
def test_what_becomes_of_a_group_does_not_depend_on_the_others(groups: list[list[int]]) -> None:
    boxes = [shapely.box(*box) for box in ((0, 0, 4, 4), (4, 0, 8, 4), (2, 4, 6, 8), (0, 0, 8, 4), (2, 2, 4, 4))]
    shapes, cuts = shapes_of(boxes), offsets(np.array([len(group) for group in groups]))
    together = dissolve(shapes, np.array([box for group in groups for box in group]), cuts)
    for number, group in enumerate(groups):
        alone = dissolve(shapes, np.array(group), np.array([0, len(group)]))
        again = together.take(np.array([number]))
        assert again.xy.tolist() == alone.xy.tolist()
        assert again.rings.tolist() == alone.rings.tolist()
        assert to_polygons(alone)[0].equals(shapely.union_all([boxes[box] for box in group]))


@given(cells, st.integers(0, 50), st.randoms())
def test_a_union_does_not_depend_on_the_order_of_its_members(group, seed, random) -> None:
    grid = crooked(seed)
    members = [grid[cell] for cell in sorted(group)]
    shuffled = random.sample(members, len(members))
    first, second = (
        dissolve(shapes_of(some), np.arange(len(some)), np.array([0, len(some)])) for some in (members, shuffled)
    )
    assert first.xy.tolist() == second.xy.tolist()
    assert first.rings.tolist() == second.rings.tolist()


def test_no_groups() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    assert len(dissolve(shapes_of([shapely.box(0, 0, 1, 1)]), nothing, np.zeros(1, dtype=np.int64))) == 0


def test_members_without_extent_leave_their_group_as_it_is() -> None:
    shapes = shapes_of([shapely.box(0, 0, 4, 4), shapely.Polygon(), shapely.Polygon()])
    found = to_polygons(dissolve(shapes, np.array([0, 1, 2]), np.array([0, 2, 3])))
    assert found[0].equals(shapely.box(0, 0, 4, 4))
    assert found[1].is_empty
