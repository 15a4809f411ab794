"""Assign shapes to tiles and cut what crosses the edge of a tile's buffer, all shapes of a zoom at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gisservice.model import GeometryKind
from gisservice.tiles.grid import BUFFER, EXTENT, EXTENT_BITS
from gisservice.tiles.shapes import Flags, Ints, Shapes, concatenate, following, offsets, positions, ranges, tidy
from gisservice.tiles.validity import invalid, repair

_LOW, _HIGH = -BUFFER, EXTENT + BUFFER
_MANY_TILES = 16
"""Shapes whose boxes touch more tiles are first divided among them, so that no tile has to cut the whole shape."""


@dataclass(frozen=True)
class Placement:
    """Which shape touches which tile of a zoom, buffer included.

    ``rows`` index ``shapes`` (level units), ``origin`` the shapes that were placed; ``inside`` marks pairs whose
    shape lies wholly within the tile and its buffer.
    """

    shapes: Shapes
    rows: Ints
    origin: Ints
    x: Ints
    y: Ints
    inside: Flags

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, pairs: Ints) -> Placement:
        """Return these pairs in this order."""
        return Placement(
            self.shapes, self.rows[pairs], self.origin[pairs], self.x[pairs], self.y[pairs], self.inside[pairs]
        )


@dataclass(frozen=True)
class Pieces:
    """What tiles show: piece ``i`` is ``shapes[which[i]]`` in tile units; it comes from shape ``origin[i]`` and lies in
    tile ``x[i], y[i]``.
    """

    shapes: Shapes
    which: Ints
    origin: Ints
    x: Ints
    y: Ints

    def __len__(self) -> int:
        return len(self.origin)


@dataclass(frozen=True)
class _Blocks:
    """Shapes and the range of tiles that each is meant for; ``low`` and ``high`` are (n, 2), column and row."""

    shapes: Shapes
    origin: Ints
    low: Ints
    high: Ints

    @property
    def tiles(self) -> Ints:
        counts: Ints = (self.high - self.low + 1).prod(axis=1)
        return counts

    def take(self, rows: Ints) -> _Blocks:
        return _Blocks(self.shapes.take(rows), self.origin[rows], self.low[rows], self.high[rows])


def place(shapes: Shapes, z: int) -> Placement:
    """Pair tidy shapes in level units with the tiles of zoom ``z`` that their boxes touch."""
    if shapes.kind == GeometryKind.POINT:
        return _place_points(shapes, z)
    blocks = _touched(shapes, np.arange(len(shapes), dtype=np.int64), z)
    wide = blocks.tiles > _MANY_TILES
    whole = int((~wide).sum())
    if wide.any():
        blocks = _joined([blocks.take(np.flatnonzero(~wide)), *_divided(blocks.take(np.flatnonzero(wide)), z)])
    row, x, y = _cells(blocks.low, blocks.high)
    corner = np.column_stack([x, y]) << EXTENT_BITS
    box = blocks.shapes.bounds()[row]
    inside: Flags = np.logical_and.reduce((box[:, :2] >= corner + _LOW) & (box[:, 2:] <= corner + _HIGH), axis=1)
    inside &= row < whole  # what was divided has been cut, even if nothing of it is left to cut
    return Placement(blocks.shapes, row, blocks.origin[row], x, y, inside)


def place_in(shapes: Shapes, x: int, y: int) -> Placement:
    """Pair shapes in level units with one tile: those whose boxes touch it."""
    box = shapes.bounds() - (np.array([x, y, x, y], dtype=np.int64) << EXTENT_BITS)
    touching = (box[:, 0] <= _HIGH) & (box[:, 1] <= _HIGH) & (box[:, 2] >= _LOW) & (box[:, 3] >= _LOW)
    rows = (touching & (shapes.vertex_counts > 0)).nonzero()[0]
    box = box.take(rows, axis=0)
    inside: Flags = (box[:, 0] >= _LOW) & (box[:, 1] >= _LOW) & (box[:, 2] <= _HIGH) & (box[:, 3] <= _HIGH)
    return Placement(shapes, rows, rows, np.full(len(rows), x), np.full(len(rows), y), inside)


def _touched(shapes: Shapes, origin: Ints, z: int) -> _Blocks:
    """Return the shapes that are not empty, with the tiles that their boxes touch."""
    box = shapes.bounds()
    full = np.flatnonzero(box[:, 0] <= box[:, 2])
    low = np.maximum(-((_HIGH - box[full, :2]) >> EXTENT_BITS), 0)
    high = np.minimum((box[full, 2:] - _LOW) >> EXTENT_BITS, (1 << z) - 1)
    whole = len(full) == len(shapes)
    return _Blocks(shapes if whole else shapes.take(full), origin[full], low, high)


def _cells(low: Ints, high: Ints) -> tuple[Ints, Ints, Ints]:
    """Return one row, column and line for each tile in each range, range after range."""
    across, down = (high - low + 1).T
    row = np.repeat(np.arange(len(low)), across * down)
    within = ranges(np.zeros(len(low), dtype=np.int64), across * down)
    return row, low[row, 0] + within % across[row], low[row, 1] + within // across[row]


def _divided(blocks: _Blocks, z: int) -> list[_Blocks]:
    """Halve ranges of tiles until each has one, giving each half only the vertices that matter to it.

    No vertex is made here: edges stay as they are until a tile cuts them, so neighbours are cut alike.
    """
    done = []
    while len(blocks.low):
        axis = (blocks.high - blocks.low).argmax(axis=1)
        rows = np.arange(len(axis))
        middle = (blocks.low[rows, axis] + blocks.high[rows, axis]) >> 1
        halves = []
        for sign, edge in ((-1, middle + 1), (1, middle + 1)):
            bound = (edge << EXTENT_BITS) - sign * BUFFER
            part = _touched(_thinned(blocks.shapes, axis, bound, sign), rows, z)
            low, high = blocks.low[part.origin].copy(), blocks.high[part.origin].copy()
            (high if sign < 0 else low)[np.arange(len(low)), axis[part.origin]] = (edge - (sign < 0))[part.origin]
            low, high = np.maximum(low, part.low), np.minimum(high, part.high)
            half = _Blocks(part.shapes, blocks.origin[part.origin], low, high)
            halves.append(half.take(np.flatnonzero((low <= high).all(axis=1))))
        blocks = _joined(halves)
        single = blocks.tiles == 1
        done.append(blocks.take(np.flatnonzero(single)))
        blocks = blocks.take(np.flatnonzero(~single))
    return done


def _thinned(shapes: Shapes, axis: Ints, bound: Ints, sign: int) -> Shapes:
    """Drop vertices beyond a line that touch no edge which reaches it; what is on its other side stays exact."""
    counts = np.diff(shapes.vertices)
    along = shapes.xy[np.arange(len(shapes.xy)), np.repeat(axis, counts)]
    inside = sign * (along - np.repeat(bound, counts)) >= 0
    after = following(shapes.rings)
    keep = inside | inside[after]
    keep[after[inside]] = True
    thinned = shapes.keep_vertices(keep)
    gone = thinned.ring_lengths == 0  # wholly beyond the line; a ring without vertices has no commands in a tile
    return thinned.keep_rings(~gone) if gone.any() else thinned


def _joined(blocks: list[_Blocks]) -> _Blocks:
    return _Blocks(
        concatenate([b.shapes for b in blocks]),
        np.concatenate([b.origin for b in blocks]),
        np.concatenate([b.low for b in blocks]),
        np.concatenate([b.high for b in blocks]),
    )


def _place_points(shapes: Shapes, z: int) -> Placement:
    """Pair points with tiles one by one: a geometry of several points may show in tiles far apart."""
    owner = np.repeat(np.arange(len(shapes)), np.diff(shapes.vertices))
    low = np.maximum(-((_HIGH - shapes.xy) >> EXTENT_BITS), 0)
    high = np.minimum((shapes.xy - _LOW) >> EXTENT_BITS, (1 << z) - 1)
    vertex, x, y = _cells(low, high)
    rows, x, y = np.unique(np.column_stack([owner[vertex], x, y]), axis=0).T
    return Placement(shapes, rows, rows, x, y, np.diff(shapes.vertices)[rows] == 1)


def cut(placement: Placement) -> Pieces:
    """Return what tiles show of these pairs; pairs that share nothing with their tile are left out.

    Polygons come out valid, everything tidy.
    """
    inside, crossing = placement.inside.nonzero()[0], (~placement.inside).nonzero()[0]
    shapes = concatenate([_in_tile(placement, inside), _clipped(_in_tile(placement, crossing))])
    which = np.empty(len(placement), dtype=np.int64)
    which[inside], which[crossing] = np.arange(len(inside)), len(inside) + np.arange(len(crossing))
    full = shapes.vertex_counts[which].nonzero()[0]
    return Pieces(shapes, which[full], placement.origin[full], placement.x[full], placement.y[full])


def _in_tile(placement: Placement, pairs: Ints) -> Shapes:
    """Return the shapes of some pairs in the units of their tiles."""
    shapes = placement.shapes.take(placement.rows[pairs])
    xy = np.empty_like(shapes.xy)
    for axis, tile in enumerate((placement.x, placement.y)):
        corner = (tile[pairs] << EXTENT_BITS).repeat(shapes.vertex_counts)
        np.subtract(shapes.xy[:, axis], corner, out=xy[:, axis])
    return Shapes(shapes.kind, xy, shapes.rings, shapes.starts, shapes.exterior)


def _clipped(shapes: Shapes) -> Shapes:
    if shapes.kind == GeometryKind.POINT:
        keep: Flags = np.logical_and.reduce((shapes.xy >= _LOW) & (shapes.xy <= _HIGH), axis=1)
        return shapes.keep_vertices(keep)
    if not len(shapes):
        return shapes
    if shapes.kind == GeometryKind.LINE:
        return tidy(_clip_lines(shapes))
    for axis in (0, 1):
        shapes = _clip_rings(shapes, axis, _LOW, 1)
        shapes = _clip_rings(shapes, axis, _HIGH, -1)
    shapes = _begun_alike(tidy(shapes))
    bad = invalid(shapes).nonzero()[0]
    return _begun_alike(repair(shapes, bad)) if len(bad) else shapes


def _begun_alike(shapes: Shapes) -> Shapes:
    """Let each ring begin at its smallest vertex, however much of it was cut away before it came here."""
    if not len(shapes.xy):
        return shapes
    lengths, firsts = shapes.ring_lengths, shapes.rings[:-1]
    key = shapes.xy[:, 0] * (4 * EXTENT) + shapes.xy[:, 1]
    smallest = (key == np.minimum.reduceat(key, firsts).repeat(lengths)).nonzero()[0]
    begin = smallest[smallest.searchsorted(firsts)]
    place = ranges(begin, lengths)
    over = (place >= shapes.rings[1:].repeat(lengths)).nonzero()[0]
    place[over] -= lengths.repeat(lengths)[over]
    return Shapes(shapes.kind, shapes.xy.take(place, axis=0), shapes.rings, shapes.starts, shapes.exterior)


def _clip_rings(shapes: Shapes, axis: int, bound: int, sign: int) -> Shapes:
    """Keep of each ring what has ``sign * (coordinate - bound) >= 0``: Sutherland and Hodgman's step (1974)."""
    along = shapes.xy[:, axis]
    inside = along >= bound if sign > 0 else along <= bound
    if inside.all():
        return shapes
    after = following(shapes.rings)
    crosses = inside != inside[after]
    place_of = offsets(crosses.view(np.uint8) + inside.view(np.uint8))
    xy = positions(shapes.xy)
    out = np.empty(place_of[-1], dtype=xy.dtype)
    kept, edge = inside.nonzero()[0], crosses.nonzero()[0]
    out[place_of[kept]] = xy[kept]
    out[place_of[edge + 1] - 1] = positions(
        _crossing(shapes.xy.take(edge, axis=0), shapes.xy.take(after[edge], axis=0), axis, bound)
    )
    xy = out.view(np.int64).reshape(-1, 2)
    return Shapes(shapes.kind, xy, place_of[shapes.rings], shapes.starts, shapes.exterior)


def _crossing(start: Ints, end: Ints, axis: int, bound: int) -> Ints:
    """Return where segments meet the line ``axis = bound``; the same whichever way a segment runs."""
    along, other = start[:, axis], start[:, 1 - axis]
    end_along, end_other = end[:, axis], end[:, 1 - axis]
    back = along > end_along
    low, high = np.where(back, end_other, other), np.where(back, other, end_other)
    share = (bound - np.minimum(along, end_along)) / np.abs(end_along - along)
    out = np.empty_like(start)
    out[:, axis] = bound
    out[:, 1 - axis] = np.floor(low + share * (high - low) + 0.5)
    return out


def _clip_lines(shapes: Shapes) -> Shapes:
    """Cut lines at the four sides, segment by segment (Liang and Barsky, 1984); a line may fall into several."""
    line = np.repeat(np.arange(len(shapes.rings) - 1), shapes.ring_lengths)
    first = np.flatnonzero(line[:-1] == line[1:])
    start, step = shapes.xy[first], shapes.xy[first + 1] - shapes.xy[first]
    enter, leave = _visible(start, step)
    kept = np.flatnonzero(enter <= leave)
    enter, leave, first, start, step = enter[kept], leave[kept], first[kept], start[kept], step[kept]
    opens = np.ones(len(kept), dtype=bool)
    opens[1:] = (first[1:] != first[:-1] + 1) | (enter[1:] > 0) | (leave[:-1] < 1)
    place_of = offsets(1 + opens.astype(np.int64))
    xy = np.empty((place_of[-1], 2), dtype=np.int64)
    xy[place_of[:-1][opens]] = np.floor(start + enter[:, None] * step + 0.5)[opens]
    xy[place_of[1:] - 1] = np.floor(start + leave[:, None] * step + 0.5)
    rings = np.append(place_of[:-1][opens], place_of[-1])
    owner = shapes.owners[line[first[opens]]]
    starts = np.searchsorted(owner, np.arange(len(shapes) + 1)).astype(np.int64)
    return Shapes(shapes.kind, xy, rings, starts, np.ones(len(rings) - 1, dtype=bool))


def _visible(start: Ints, step: Ints) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return at which shares of their lengths segments enter and leave the box; enter > leave: not at all."""
    enter, leave = np.zeros(len(start)), np.ones(len(start))
    for axis in (0, 1):
        moves = step[:, axis] != 0
        beside = ~moves & ((start[:, axis] < _LOW) | (start[:, axis] > _HIGH))
        along = np.where(moves, step[:, axis], 1)
        sides = (_LOW - start[:, axis]) / along, (_HIGH - start[:, axis]) / along
        enter = np.where(moves, np.maximum(enter, np.minimum(*sides)), np.where(beside, 2.0, enter))
        leave = np.where(moves, np.minimum(leave, np.maximum(*sides)), leave)
    return enter, leave
