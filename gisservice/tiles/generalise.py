"""Shapes of every zoom from one look at how a layer's borders hang together.

A border that two parcels share, or a junction where streets meet, must look the same from both sides at every zoom.
So positions are rounded once, to the units of the deepest zoom, and each distinct position gets one number: the
tolerance at which it may go. Positions where borders meet never go; the others get their number from Douglas and
Peucker's algorithm (1973), run once along each distinct arc between meeting points. A zoom is then a comparison.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gisservice.model import Geometries, GeometryKind
from gisservice.tiles.shapes import Flags, Ints, Shapes, following, from_geometries, offsets, ranges, replace, tidy
from gisservice.tiles.validity import invalid, repair

TOLERANCE = 1.0
"""Level units; a sixteenth of a pixel where tiles are drawn 256 pixels wide."""


class Generaliser:
    """A layer's geometries at the deepest zoom, and what is needed to make those of any smaller one."""

    def __init__(self, geometries: Geometries, maxzoom: int) -> None:
        self._maxzoom = maxzoom
        self._deepest, self._broken = _valid(_enlarged(tidy(from_geometries(geometries, maxzoom)), geometries, maxzoom))
        self._importance = importance(self._deepest)

    def at(self, z: int) -> tuple[Shapes, int]:
        """Return the shapes of zoom ``z``, tidy, valid and in level units, and how many rounding had broken."""
        if z == self._maxzoom:
            return self._deepest, self._broken
        shift = self._maxzoom - z
        shapes = self._deepest
        if shapes.kind != GeometryKind.POINT:
            shapes = shapes.keep_vertices(self._importance > TOLERANCE * (1 << shift))
        xy = (shapes.xy + (1 << shift >> 1)) >> shift
        return _valid(tidy(Shapes(shapes.kind, xy, shapes.rings, shapes.starts, shapes.exterior)))


def _valid(shapes: Shapes) -> tuple[Shapes, int]:
    if shapes.kind != GeometryKind.POLYGON:
        return shapes, 0
    bad = np.flatnonzero(invalid(shapes))
    return (repair(shapes, bad) if len(bad) else shapes), len(bad)


def _enlarged(shapes: Shapes, geometries: Geometries, maxzoom: int) -> Shapes:
    """Give polygons and lines too small for the deepest zoom one unit of extent: there, everything is drawn."""
    if shapes.kind == GeometryKind.POINT:
        return shapes
    whole = from_geometries(geometries, maxzoom)
    gone = np.flatnonzero((np.diff(shapes.starts) == 0) & (np.diff(whole.vertices) > 0))
    if not len(gone):
        return shapes
    around = np.array([[0, 0], [1, 0], [1, 1], [0, 1]] if shapes.kind == GeometryKind.POLYGON else [[0, 0], [1, 0]])
    rows = np.arange(len(gone) + 1, dtype=np.int64)
    xy = (whole.xy[whole.vertices[gone]][:, None, :] + around).reshape(-1, 2)
    small = Shapes(shapes.kind, xy, len(around) * rows, rows, np.ones(len(gone), dtype=bool))
    return replace(shapes, gone, small)


def importance(shapes: Shapes) -> npt.NDArray[np.float64]:
    """Return for each vertex the tolerance (units of ``shapes``) at which it may go; infinity: never.

    Equal positions get equal numbers, whichever shape they are part of and however the shapes are ordered.
    """
    if not len(shapes.xy) or shapes.kind == GeometryKind.POINT:
        return np.full(len(shapes.xy), np.inf)
    points = _Positions.of(shapes)
    arcs = _arcs(shapes, points)
    worth = np.zeros(points.count)
    worth[points.meeting] = np.inf
    _rank_arcs(points.xy, arcs, worth)
    return worth[points.index]


@dataclass(frozen=True)
class _Positions:
    """The distinct positions of some shapes, in the order of their coordinates."""

    index: Ints
    """For each vertex its position."""
    xy: npt.NDArray[np.float64]
    edges: Ints
    """For each vertex the number of the (undirected) edge to the next; -1 at the end of a line."""
    meeting: Flags
    """Where arcs begin and end."""

    @property
    def count(self) -> int:
        return len(self.xy)

    @classmethod
    def of(cls, shapes: Shapes) -> _Positions:
        packed = (shapes.xy[:, 0] << 32) | shapes.xy[:, 1]
        distinct, index = np.unique(packed, return_inverse=True)
        after = following(shapes.rings)
        low, high = np.minimum(index, index[after]), np.maximum(index, index[after])
        pairs, edges = np.unique(low << 32 | high, return_inverse=True)
        last = shapes.rings[1:] - 1
        meeting = np.zeros(len(distinct), dtype=bool)
        if shapes.kind == GeometryKind.LINE:
            edges[last] = -1
            pairs = np.unique((low << 32 | high)[edges >= 0])
            meeting[index[last]] = meeting[index[shapes.rings[:-1]]] = True
        ends = np.concatenate([pairs >> 32, pairs & 0xFFFFFFFF])
        meeting |= np.bincount(ends, minlength=len(distinct)) != 2
        alone = np.flatnonzero(~np.logical_or.reduceat(meeting[index], shapes.rings[:-1]))
        meeting[np.minimum.reduceat(index, shapes.rings[:-1])[alone]] = True
        xy = np.column_stack([distinct >> 32, distinct & 0xFFFFFFFF]).astype(np.float64)
        return cls(index, xy, edges, meeting)


@dataclass(frozen=True)
class _Arcs:
    """Distinct arcs as positions end to end, cut by ``cuts``; each has its two ends and what is between."""

    positions: Ints
    cuts: Ints


def _arcs(shapes: Shapes, points: _Positions) -> _Arcs:
    """Return each distinct arc once, running from its end of smaller position."""
    order = _from_meeting(shapes, points)
    index, edges = points.index[order], points.edges[order]
    line = shapes.kind == GeometryKind.LINE
    opens = points.meeting[index] & (edges >= 0)
    first = np.flatnonzero(opens)
    ring = np.repeat(np.arange(len(shapes.rings) - 1), shapes.ring_lengths)
    last_of_ring = shapes.rings[1:] - (1 if line else 0)
    stop = np.minimum(np.append(first[1:], len(index)), last_of_ring[ring[first]])
    smallest = np.minimum.reduceat(np.where(edges < 0, np.iinfo(np.int64).max, edges), first)
    _, one = np.unique(smallest, return_index=True)
    first, stop = first[one], stop[one]
    closing = (stop == shapes.rings[1:][ring[first]]) & (not line)
    finish = np.where(closing, shapes.rings[:-1][ring[first]], np.minimum(stop, len(index) - 1))
    lengths = stop - first + 1
    at = ranges(first, lengths)
    cuts = offsets(lengths)
    at[cuts[1:] - 1] = finish
    positions = index[at]
    return _Arcs(positions[_canonical(positions, cuts)], cuts)


def _from_meeting(shapes: Shapes, points: _Positions) -> Ints:
    """Return vertex numbers with each ring turned so that it begins where arcs meet; lines stay as they are."""
    order = np.arange(len(shapes.xy), dtype=np.int64)
    if shapes.kind == GeometryKind.LINE:
        return order
    lengths = shapes.ring_lengths
    begins = np.where(points.meeting[points.index], order, len(order))
    shift = np.minimum.reduceat(begins, shapes.rings[:-1]) - shapes.rings[:-1]
    start, length = np.repeat(shapes.rings[:-1], lengths), np.repeat(lengths, lengths)
    return start + (order - start + np.repeat(shift, lengths)) % length


def _canonical(positions: Ints, cuts: Ints) -> Ints:
    """Return the order that makes each arc run from its smaller end; a loop, towards its smaller neighbour."""
    first, last = positions[cuts[:-1]], positions[cuts[1:] - 1]
    second, second_last = positions[cuts[:-1] + 1], positions[cuts[1:] - 2]
    turn = np.where(first == last, second > second_last, first > last)
    order = np.arange(len(positions), dtype=np.int64)
    flip = np.repeat(turn, np.diff(cuts))
    ends = np.repeat(cuts[:-1] + cuts[1:] - 1, np.diff(cuts))
    order[flip] = ends[flip] - order[flip]
    return order


def _rank_arcs(xy: npt.NDArray[np.float64], arcs: _Arcs, worth: npt.NDArray[np.float64]) -> None:
    """Fill ``worth`` for the inner positions of all arcs: all spans of one depth of the recursion at a time."""
    low, high = arcs.cuts[:-1], arcs.cuts[1:] - 1
    limit = np.full(len(low), np.inf)
    while True:
        wide = high - low > 1
        low, high, limit = low[wide], high[wide], limit[wide]
        if not len(low):
            return
        inner = ranges(low + 1, high - low - 1)
        cuts = offsets(high - low - 1)[:-1]
        span = np.repeat(np.arange(len(low)), high - low - 1)
        start, end = xy[arcs.positions[low]], xy[arcs.positions[high]]
        away = _distance(xy[arcs.positions[inner]], start[span], (end - start)[span])
        most = np.maximum.reduceat(away, cuts)
        hits = np.flatnonzero(away == most[span])
        farthest = inner[hits[np.searchsorted(span[hits], np.arange(len(low)))]]
        limit = np.minimum(limit, most)
        worth[arcs.positions[farthest]] = limit
        worthy = limit > TOLERANCE
        low, high = np.concatenate([low[worthy], farthest[worthy]]), np.concatenate([farthest[worthy], high[worthy]])
        limit = np.concatenate([limit[worthy], limit[worthy]])


def _distance(
    xy: npt.NDArray[np.float64], start: npt.NDArray[np.float64], step: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return how far positions are from segments (not from the lines through them)."""
    offset = xy - start
    length = (step * step).sum(axis=1)
    share = np.clip((offset * step).sum(axis=1) / np.where(length > 0, length, 1.0), 0.0, 1.0)
    away = offset - share[:, None] * step
    result: npt.NDArray[np.float64] = np.hypot(away[:, 0], away[:, 1])
    return result
