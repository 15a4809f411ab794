"""Assign shapes to tiles and cut what crosses the edge of a tile's buffer, all shapes of a zoom at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gisservice.model import GeometryKind
from gisservice.tiles.grid import BUFFER, EXTENT, EXTENT_BITS
from gisservice.tiles.shapes import Flags, Ints, Shapes, following, offsets, ranges, replace, tidy
from gisservice.tiles.validity import invalid, repair

_LOW, _HIGH = -BUFFER, EXTENT + BUFFER


@dataclass(frozen=True)
class Pieces:
    """What tiles of one zoom show: piece ``i`` is shape ``rows[i]`` in tile ``x[i]``, ``y[i]``, in tile units."""

    shapes: Shapes
    rows: Ints
    x: Ints
    y: Ints

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Placement:
    """Which tiles (with their buffer) the box of which shape touches, and whether it lies wholly inside."""

    rows: Ints
    x: Ints
    y: Ints
    inside: Flags

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, keep: npt.NDArray[np.int64] | Flags) -> Placement:
        """Return some of the pairs."""
        return Placement(self.rows[keep], self.x[keep], self.y[keep], self.inside[keep])


def place(shapes: Shapes, z: int) -> Placement:
    """Pair tidy shapes in level units with the tiles of zoom ``z`` that their boxes touch."""
    if shapes.kind == GeometryKind.POINT:
        return _place_points(shapes, z)
    box = shapes.bounds()
    rows = np.flatnonzero(box[:, 0] <= box[:, 2])
    box = box[rows]
    low = np.maximum(-((_HIGH - box[:, :2]) >> EXTENT_BITS), 0)
    high = np.minimum((box[:, 2:] - _LOW) >> EXTENT_BITS, (1 << z) - 1)
    across, down = (high - low + 1).T
    pair = np.repeat(np.arange(len(rows)), across * down)
    within = ranges(np.zeros(len(rows), dtype=np.int64), across * down)
    x, y = low[pair, 0] + within % across[pair], low[pair, 1] + within // across[pair]
    corner = np.column_stack([x, y]) << EXTENT_BITS
    inside = (box[pair, :2] >= corner + _LOW).all(axis=1) & (box[pair, 2:] <= corner + _HIGH).all(axis=1)
    return Placement(rows[pair], x, y, inside)


def _place_points(shapes: Shapes, z: int) -> Placement:
    owner = np.repeat(np.arange(len(shapes)), np.diff(shapes.vertices))
    low = np.maximum(-((_HIGH - shapes.xy) >> EXTENT_BITS), 0)
    high = np.minimum((shapes.xy - _LOW) >> EXTENT_BITS, (1 << z) - 1)
    across, down = (high - low + 1).T
    vertex = np.repeat(np.arange(len(owner)), across * down)
    within = ranges(np.zeros(len(owner), dtype=np.int64), across * down)
    found = np.column_stack(
        [owner[vertex], low[vertex, 0] + within % across[vertex], low[vertex, 1] + within // across[vertex]]
    )
    rows, x, y = np.unique(found, axis=0).T
    single = np.diff(shapes.vertices)[rows] == 1
    return Placement(rows, x, y, single)


def cut(shapes: Shapes, placement: Placement) -> Pieces:
    """Return the pieces of these pairs in tile units; pairs that share nothing with their tile are left out.

    Polygons come out valid.
    """
    corner = np.column_stack([placement.x, placement.y]) << EXTENT_BITS
    pieces = shapes.take(placement.rows)
    pieces = _moved(pieces, corner)
    crossing = np.flatnonzero(~placement.inside)
    if len(crossing):
        pieces = replace(pieces, crossing, _clipped(pieces.take(crossing)))
    full = np.flatnonzero(np.diff(pieces.vertices) > 0)
    if len(full) < len(placement):
        pieces, placement = pieces.take(full), placement.select(full)
    return Pieces(pieces, placement.rows, placement.x, placement.y)


def _moved(shapes: Shapes, corner: Ints) -> Shapes:
    xy = shapes.xy - np.repeat(corner, np.diff(shapes.vertices), axis=0)
    return Shapes(shapes.kind, xy, shapes.rings, shapes.starts, shapes.exterior)


def _clipped(shapes: Shapes) -> Shapes:
    if shapes.kind == GeometryKind.POINT:
        keep = ((shapes.xy >= _LOW) & (shapes.xy <= _HIGH)).all(axis=1)
        return shapes.keep_vertices(keep)
    if shapes.kind == GeometryKind.LINE:
        return tidy(_clip_lines(shapes))
    for axis in (0, 1):
        shapes = _clip_rings(shapes, axis, _LOW, 1)
        shapes = _clip_rings(shapes, axis, _HIGH, -1)
    shapes = tidy(shapes)
    bad = invalid(shapes)
    return repair(shapes, np.flatnonzero(bad)) if bad.any() else shapes


def _clip_rings(shapes: Shapes, axis: int, bound: int, sign: int) -> Shapes:
    """Keep of each ring what has ``sign * (coordinate - bound) >= 0``: Sutherland and Hodgman's step, 1974."""
    xy = shapes.xy
    after = following(shapes.rings)
    inside = sign * (xy[:, axis] - bound) >= 0
    enters = inside[after]
    crosses = inside != enters
    if not crosses.any() and inside.all():
        return shapes
    place_of = offsets(crosses.astype(np.int64) + enters)
    out = np.empty((place_of[-1], 2), dtype=np.int64)
    out[place_of[1:][enters] - 1] = xy[after[enters]]
    edge = np.flatnonzero(crosses)
    out[place_of[edge]] = _crossing(xy[edge], xy[after[edge]], axis, bound)
    return Shapes(shapes.kind, out, place_of[shapes.rings], shapes.starts, shapes.exterior)


def _crossing(start: Ints, end: Ints, axis: int, bound: int) -> Ints:
    """Return where segments meet the line ``axis = bound``; the same whichever way a segment runs."""
    back = start[:, axis] > end[:, axis]
    low, high = np.where(back[:, None], end, start), np.where(back[:, None], start, end)
    other = 1 - axis
    share = (bound - low[:, axis]) / (high[:, axis] - low[:, axis])
    out = np.empty_like(start)
    out[:, axis] = bound
    out[:, other] = np.floor(low[:, other] + share * (high[:, other] - low[:, other]) + 0.5)
    return out


def _clip_lines(shapes: Shapes) -> Shapes:
    """Cut lines at the four sides, segment by segment (Liang and Barsky, 1984); a line may fall into several."""
    line = np.repeat(np.arange(len(shapes.rings) - 1), shapes.ring_lengths)
    first = np.flatnonzero(line[:-1] == line[1:])
    start, step = shapes.xy[first], shapes.xy[first + 1] - shapes.xy[first]
    enter, leave = np.zeros(len(first)), np.ones(len(first))
    visible = np.ones(len(first), dtype=bool)
    for axis in (0, 1):
        moves = step[:, axis] != 0
        visible &= moves | ((start[:, axis] >= _LOW) & (start[:, axis] <= _HIGH))
        along = np.where(moves, step[:, axis], 1)
        sides = (_LOW - start[:, axis]) / along, (_HIGH - start[:, axis]) / along
        enter = np.where(moves, np.maximum(enter, np.minimum(*sides)), enter)
        leave = np.where(moves, np.minimum(leave, np.maximum(*sides)), leave)
    kept = np.flatnonzero(visible & (enter <= leave))
    enter, leave = enter[kept], leave[kept]
    begin = np.floor(start[kept] + enter[:, None] * step[kept] + 0.5).astype(np.int64)
    finish = np.floor(start[kept] + leave[:, None] * step[kept] + 0.5).astype(np.int64)
    opens = np.ones(len(kept), dtype=bool)
    opens[1:] = (first[kept][1:] != first[kept][:-1] + 1) | (enter[1:] > 0) | (leave[:-1] < 1)
    place_of = offsets(1 + opens.astype(np.int64))
    xy = np.empty((place_of[-1], 2), dtype=np.int64)
    xy[place_of[:-1][opens]] = begin[opens]
    xy[place_of[1:] - 1] = finish
    rings = np.append(place_of[:-1][opens], place_of[-1])
    owner = shapes.owners[line[first[kept][opens]]]
    starts = np.searchsorted(owner, np.arange(len(shapes) + 1)).astype(np.int64)
    return Shapes(shapes.kind, xy, rings, starts, np.ones(len(rings) - 1, dtype=bool))
