"""What each zoom shows: one global rank decides, so that all tiles of a zoom agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gisservice.model import GeometryKind
from gisservice.tiles.budget import ALWAYS
from gisservice.tiles.dissolving import dissolve
from gisservice.tiles.shapes import (
    Flags,
    Ints,
    Shapes,
    concatenate,
    offsets,
    ranges,
    sums,
)

SMALL_AREA = 4
"""Square level units (half a pixel by half a pixel at 512 pixels a tile, and less): polygons below it are summed up."""

CELL_BITS = 6
"""Small polygons are summed up within cells of 64 level units: 4 to 8 pixels."""

_DUST_AREA = 16.0
"""Square level units of the square that stands for small polygons that share no borders."""

_POINT_CELL_BITS = 4
"""Of the points in a cell of 16 level units (1 or 2 pixels) one is drawn."""

_LENGTH_PARTS = 1024
"""Lengths are added up in this part of a unit."""

_TIE_BITS, _SIZE_SHIFT = 16, 24
"""A weight has the first 40 bits of the size, a positive float64, and 16 bits that tell equal sizes apart."""

_LARGEST = 0x7FE0_0000_0000_0000
"""The bits of a size that is larger than any other and still a number."""


Merge = Callable[[Shapes, Ints, Ints], Shapes]
"""Makes one shape of each group of shapes: members and where groups begin."""


@dataclass(frozen=True)
class Groups:
    """Polygons drawn as one: the shape of each group, its members end to end, and where those of each begin."""

    shapes: Shapes
    members: Ints
    cuts: Ints


@dataclass(frozen=True)
class Selection:
    """What a zoom draws: the shapes of the geometries ``drawn``, then one shape for each group of small ones.

    ``members`` are the geometries of all groups end to end, cut by ``cuts``.
    """

    shapes: Shapes
    drawn: Ints
    members: Ints
    cuts: Ints

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return len(self.cuts) - 1

    @property
    def merged(self) -> Groups:
        """The groups, with their shapes."""
        return Groups(self.shapes.take(len(self.drawn) + np.arange(self.groups)), self.members, self.cuts)


def representatives(owner: Ints, always: Flags, count: int) -> tuple[Ints, Ints]:
    """Return the records that geometries are drawn for, geometry after geometry, and where those of each begin.

    Record ``i`` has geometry ``owner[i]`` of ``count``. A stack is drawn for its first record; but each record that
    is always drawn is a feature of its own, and if there are such, they are drawn for the others too.
    """
    order = np.lexsort([~always, owner]) if always.any() else np.argsort(owner, kind="stable")
    stack = np.bincount(owner, minlength=count)
    named = np.maximum(np.bincount(owner[always], minlength=count), stack > 0)
    return order[ranges(offsets(stack)[:-1], named)], offsets(named)


def weights(shapes: Shapes, priority: Ints, bits: int, always: Flags) -> Ints:
    """Return the weight of each geometry: what weighs more is kept longer.

    Those that are ``always`` drawn weigh most. Polygons weigh by area and lines by length. Points weigh by how far
    zoomed out they are still the first of their cell, so that what is kept is spread out evenly; ``priority``
    (distinct numbers) says which point of a cell comes first, and breaks ties. ``bits`` is the width of a coordinate.
    """
    if shapes.kind == GeometryKind.POINT:
        size = _point_levels(shapes, priority, bits) + 1.0
    else:
        size = sizes(shapes)
    ties = (1 << _TIE_BITS - 1) - 1 - (priority >> 64 - _TIE_BITS)
    return np.where(always, ALWAYS, _weight(size) + ties)


def _weight(size: npt.NDArray[np.float64]) -> Ints:
    """Return the weight of sizes, without what breaks ties: their first bits, which order as they do."""
    weight: Ints = size.view(np.int64) >> _SIZE_SHIFT << _TIE_BITS
    return weight


def size_above(weight: int) -> float:
    """Return a size that nothing of less weight has."""
    bits = min((weight >> _TIE_BITS) + 1 << _SIZE_SHIFT, _LARGEST)
    return float(np.array(bits, dtype=np.int64).view(np.float64))


def natural_weight(kind: GeometryKind, shift: int) -> int:
    """Return the weight from which anything is worth drawing ``shift`` zooms above the deepest, whatever the bytes."""
    if kind == GeometryKind.LINE:
        return 0
    size = _POINT_CELL_BITS + shift + 1.0 if kind == GeometryKind.POINT else float(SMALL_AREA << 2 * shift)
    return int(_weight(np.array([size]))[0])


def ranks(weight: Ints, priority: Ints) -> Ints:
    """Return the rank of each geometry, 0 for the one that weighs most."""
    out = np.empty(len(weight), dtype=np.int64)
    out[np.lexsort([priority, -weight])] = np.arange(len(weight))
    return out


def sizes(shapes: Shapes) -> npt.NDArray[np.float64]:
    """Return the area of each polygon or the length of each line, in (square) units; 1 for points."""
    if shapes.kind == GeometryKind.POLYGON:
        return sums(shapes.areas(), shapes.starts) / 2.0
    if shapes.kind == GeometryKind.POINT or not len(shapes.xy):
        return np.ones(len(shapes))
    step = np.hypot(*np.diff(shapes.xy, axis=0, append=shapes.xy[-1:]).T)
    step[shapes.rings[1:] - 1] = 0.0
    # Whole numbers, so that a line's length does not depend on what was added up before it.
    return sums(np.rint(step * _LENGTH_PARTS).astype(np.int64), shapes.vertices) / _LENGTH_PARTS


def _point_levels(shapes: Shapes, priority: Ints, bits: int) -> npt.NDArray[np.float64]:
    """Return for each geometry the power of two of the largest cell that has no better first point; -1: empty."""
    level = np.full(len(shapes), -1.0)
    full = np.flatnonzero(np.diff(shapes.vertices) > 0)
    at = shapes.xy[shapes.vertices[full]]
    for size in range(bits + 1):
        cell = (at[:, 0] >> size) << 32 | (at[:, 1] >> size)
        order = np.lexsort([priority[full], cell])
        best = order[np.concatenate([[True], np.diff(cell[order]) != 0])] if len(order) else order
        full, at = full[best], at[best]
        level[full] = size
    return level


def whole(shapes: Shapes, rows: Ints) -> Selection:
    """Draw these geometries."""
    return Selection(shapes.take(rows), rows, np.zeros(0, dtype=np.int64), np.zeros(1, dtype=np.int64))


def select(shapes: Shapes, ranks: Ints, limit: int) -> Selection:
    """Draw the geometries of rank below ``limit`` that have any extent."""
    return whole(shapes, np.flatnonzero((ranks < limit) & _full(shapes)))


def select_with_merged(
    shapes: Shapes, ranks: Ints, limit: int, classes: Ints, centres: Ints, merge: Merge | None = None
) -> Selection:
    """Draw the polygons of a coverage of rank below ``limit``, and the rest in groups without inner borders.

    ``classes`` (any whole numbers) is what the members of a group have in common, beside being near each other by
    their ``centres`` (n, 2). What has no extent here is still counted with its group. ``merge`` makes the shapes of
    the groups (:func:`dissolve`, unless it is known how they look).
    """
    chosen = select(shapes, ranks, limit)
    rest = np.flatnonzero(ranks >= limit)
    members, cuts = groups(rest, centres[rest] >> CELL_BITS, classes[rest])
    return Selection(
        concatenate([chosen.shapes, (merge or dissolve)(shapes, members, cuts)]), chosen.drawn, members, cuts
    )


def same_groups(members: Ints, cuts: Ints, others: Ints, other_cuts: Ints) -> Ints:
    """Return for each group the place of the one with the same members among other groups, or -1.

    No geometry is in two of the others. Members come in the same order in both.
    """
    place = np.full(len(cuts) - 1, -1, dtype=np.int64)
    if len(other_cuts) < 2 or len(cuts) < 2:
        return place
    lead = others[other_cuts[:-1]]
    order = np.argsort(lead)
    near = order[np.minimum(np.searchsorted(lead, members[cuts[:-1]], sorter=order), len(order) - 1)]
    alike = np.flatnonzero(np.diff(other_cuts)[near] == np.diff(cuts))
    one, _ = part_of_groups(members, cuts, alike)
    other, their_cuts = part_of_groups(others, other_cuts, near[alike])
    same = alike[sums((one != other).astype(np.int64), their_cuts) == 0]
    place[same] = near[same]
    return place


def dissolved(shapes: Shapes, members: Ints, cuts: Ints, place: Ints, known: Callable[[Ints], Shapes]) -> Shapes:
    """Return the shapes of groups, as :func:`dissolve`: those with a ``place`` (not -1) as they are ``known`` there."""
    there, anew = np.flatnonzero(place >= 0), np.flatnonzero(place < 0)
    made = dissolve(shapes, *part_of_groups(members, cuts, anew))
    back = np.empty(len(place), dtype=np.int64)
    back[there], back[anew] = np.arange(len(there)), len(there) + np.arange(len(anew))
    return concatenate([known(place[there]), made]).take(back)


def groups(rest: Ints, cells: Ints, classes: Ints) -> tuple[Ints, Ints]:
    """Return geometries (ascending) group by group, and where groups begin: those alike in cell and class.

    Groups come in the order of their first members, which does not depend on how classes are numbered.
    """
    alike = np.column_stack([cells, classes])
    order = np.lexsort(alike.T[::-1])
    alike = alike[order]
    opens = np.ones(len(rest), dtype=bool)
    opens[1:] = (alike[1:] != alike[:-1]).any(axis=1)
    first = rest[order[np.flatnonzero(opens)]]
    group = np.cumsum(opens) - 1
    again = np.lexsort([rest[order], first[group]])
    return rest[order[again]], offsets(np.bincount(np.argsort(np.argsort(first))[group], minlength=len(first)))


def dust_side(drawn: int, weights: Ints, shift: int) -> int:
    """Return the side of the squares of a zoom: no polygon that weighs less than ``drawn`` has more area.

    The squares of a zoom, ``shift`` zooms above the deepest, are of one size. ``weights`` are those of the layer.
    """
    heaviest = int(weights[weights < ALWAYS].max(initial=0))
    return int(np.ceil(np.sqrt(max(_DUST_AREA, size_above(min(drawn - 1, heaviest)) / (1 << 2 * shift)))))


def select_with_dust(
    shapes: Shapes, ranks: Ints, limit: int, areas: Ints, centres: Ints, shift: int, side: int
) -> Selection:
    """Draw the polygons of rank below ``limit``, and squares for the rest (:func:`dust`)."""
    chosen = select(shapes, ranks, limit)
    rest = np.flatnonzero(ranks >= limit)
    standing, squares = dust(ranks[rest], areas[rest], centres[rest], shift, side)
    drawn = np.concatenate([chosen.drawn, rest[standing]])
    return replace(chosen, shapes=concatenate([chosen.shapes, squares]), drawn=drawn)


def dust(ranks: Ints, areas: Ints, centres: Ints, shift: int, side: int) -> tuple[Ints, Shapes]:
    """Return squares that have as much area as some small polygons together, and the polygons that they stand for.

    ``areas`` (doubled) and ``centres`` (n, 2) are those of the polygons ``shift`` zooms deeper, so that what has no
    extent here counts too; ``side`` is that of a square (:func:`dust_side`). Areas are added up cell by cell in the
    order of rank; where the sum passes a multiple of a square's area, the polygon there is drawn as that square.
    """
    cells = centres >> (shift + CELL_BITS)
    order = np.lexsort([ranks, cells[:, 1], cells[:, 0]])
    cells, areas = cells[order], areas[order]
    total = np.cumsum(areas)
    opens = np.ones(len(order), dtype=bool)
    opens[1:] = (cells[1:] != cells[:-1]).any(axis=1)
    within = total - (total - areas)[np.maximum.accumulate(np.where(opens, np.arange(len(order)), 0))]
    square = side * side << (2 * shift + 1)
    passes = (within + square // 2) // square > (within - areas + square // 2) // square
    standing = order[passes]
    return standing, _squares((centres[standing] >> shift) - side // 2, side)


def _squares(corners: Ints, side: int) -> Shapes:
    count = len(corners)
    around = np.array([[0, 0], [side, 0], [side, side], [0, side]], dtype=np.int64)
    xy = (corners[:, None, :] + around).reshape(-1, 2)
    rows = np.arange(count + 1, dtype=np.int64)
    return Shapes(GeometryKind.POLYGON, xy, 4 * rows, rows, np.ones(count, dtype=bool))


def _full(shapes: Shapes) -> Flags:
    full: Flags = np.diff(shapes.vertices) > 0
    return full


def part_of_groups(members: Ints, cuts: Ints, which: Ints) -> tuple[Ints, Ints]:
    """Return the members of some groups end to end, and where these begin."""
    counts = np.diff(cuts)[which]
    return members[ranges(cuts[which], counts)], offsets(counts)
