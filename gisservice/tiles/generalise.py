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
from gisservice.tiles.grid import PYRAMID_ZOOM_MAX
from gisservice.tiles.noding import Borders, crossings, snap_round
from gisservice.tiles.shapes import Flags, Ints, Shapes, enlarged, from_geometries, offsets, ranges, sums, tidy
from gisservice.tiles.validity import invalid, repair

TOLERANCE = 1.0
"""Level units; a sixteenth of a pixel where tiles are drawn 256 pixels wide."""


class Generaliser:
    """A layer's geometries at the deepest zoom, and what is needed to make those of any smaller one."""

    def __init__(
        self, geometries: Geometries, maxzoom: int, *, coverage: bool = False, always: Flags | None = None
    ) -> None:
        """``always`` marks the geometries that have an extent at every zoom, if only of one unit."""
        self._maxzoom, self._coverage = maxzoom, coverage
        self._always = np.zeros(len(geometries), dtype=bool) if always is None else always
        self.crossing = 0
        """Polygons of a coverage whose borders cross another's in the source: they overlap, and are left to."""
        if coverage:
            shapes = self._noded(tidy(from_geometries(geometries, PYRAMID_ZOOM_MAX)))
        else:
            shapes = tidy(from_geometries(geometries, maxzoom))
        whole = from_geometries(geometries, maxzoom)
        self._deepest, self._broken = _valid(enlarged(shapes, whole))  # at the deepest zoom everything is drawn
        self._importance = importance(self._deepest)

    def _noded(self, shapes: Shapes) -> Shapes:
        borders = Borders.of(shapes)
        crossing = crossings(borders, np.ones(len(borders.edges), dtype=bool))
        hit = np.zeros(len(borders.edges), dtype=bool)
        hit[crossing] = True
        self.crossing = len(np.unique(shapes.owners[_rings_with(shapes, hit[borders.edge])]))
        return tidy(snap_round(shapes, PYRAMID_ZOOM_MAX - self._maxzoom, crossing))

    def at(self, z: int) -> tuple[Shapes, int]:
        """Return the shapes of zoom ``z``, tidy, valid and in level units, and how many rounding had broken."""
        shapes, shift = self._deepest, self._maxzoom - z
        if shift == 0:
            return shapes, self._broken
        keep = self._importance > TOLERANCE * (1 << shift)
        if self._coverage:
            kept = shapes.keep_vertices(_without_crossings(shapes, keep))
            return _valid(self._with_extent(tidy(snap_round(kept, shift)), shift))
        if shapes.kind != GeometryKind.POINT:
            shapes = shapes.keep_vertices(keep)
        return _valid(self._with_extent(tidy(_rounded(shapes, shift)), shift))

    def _with_extent(self, shapes: Shapes, shift: int) -> Shapes:
        if not self._always.any():
            return shapes
        return enlarged(shapes, _rounded(self._deepest.keep_rings(self._always[self._deepest.owners]), shift))


def _rounded(shapes: Shapes, shift: int) -> Shapes:
    xy = (shapes.xy + (1 << shift >> 1)) >> shift
    return Shapes(shapes.kind, xy, shapes.rings, shapes.starts, shapes.exterior)


def _rings_with(shapes: Shapes, hit: Flags) -> Ints:
    """Return the rings that have a marked vertex."""
    return np.flatnonzero(sums(hit.astype(np.int64), shapes.rings) > 0)


def _without_crossings(shapes: Shapes, keep: Flags) -> Flags:
    """Mark more vertices to keep, where a border without them would run across another.

    The shapes themselves must not cross. An edge that replaces a winding piece of border and crosses another edge
    gets its piece back, for both polygons that share it; that is repeated until nothing crosses.
    """
    while True:
        counts = offsets(keep)
        piece = counts[1:] - 1
        first, last = (np.repeat(counts[cut], shapes.ring_lengths) for cut in (shapes.rings[:-1], shapes.rings[1:]))
        piece = np.where(piece < first, last - 1, piece)
        borders = Borders.of(shapes.keep_vertices(keep))
        changed = np.zeros(len(borders.edges), dtype=bool)
        changed[borders.edge[np.bincount(piece, minlength=int(counts[-1])) > 1]] = True
        pairs = crossings(borders, changed)
        wrong = np.zeros(len(borders.edges), dtype=bool)
        wrong[pairs] = True
        more = keep | (wrong & changed)[borders.edge][piece]
        if not len(pairs) or (more == keep).all():
            return keep
        keep = more


def _valid(shapes: Shapes) -> tuple[Shapes, int]:
    if shapes.kind != GeometryKind.POLYGON:
        return shapes, 0
    bad = np.flatnonzero(invalid(shapes))
    return (repair(shapes, bad) if len(bad) else shapes), len(bad)


def importance(shapes: Shapes) -> npt.NDArray[np.float64]:
    """Return for each vertex the tolerance (units of ``shapes``) at which it may go; infinity: never.

    Equal positions get equal numbers, whichever shape they are part of and however the shapes are ordered.
    """
    if not len(shapes.xy) or shapes.kind == GeometryKind.POINT:
        return np.full(len(shapes.xy), np.inf)
    borders = Borders.of(shapes)
    meeting = _meeting(shapes, borders)
    worth = np.where(meeting, np.inf, 0.0)
    _rank_arcs(borders.positions.astype(np.float64), _arcs(shapes, borders, meeting[borders.index]), worth)
    return worth[borders.index]


def _meeting(shapes: Shapes, borders: Borders) -> Flags:
    """Mark the positions where arcs begin and end: other than two edges meet there, or a line ends.

    A ring that meets no other gets one such position, its smallest, so that it is the same however the ring begins.
    """
    meeting: Flags = np.bincount(borders.edges.ravel(), minlength=len(borders.positions)) != 2
    firsts = shapes.rings[:-1]
    if shapes.kind == GeometryKind.LINE:
        meeting[borders.index[firsts]] = meeting[borders.index[shapes.rings[1:] - 1]] = True
    alone = ~np.logical_or.reduceat(meeting[borders.index], firsts)
    meeting[np.minimum.reduceat(borders.index, firsts)[alone]] = True
    return meeting


@dataclass(frozen=True)
class _Arcs:
    """Distinct arcs as positions end to end, cut by ``cuts``; each has its two ends and what is between."""

    positions: Ints
    cuts: Ints


def _arcs(shapes: Shapes, borders: Borders, meeting: Flags) -> _Arcs:
    """Return each distinct arc once, running from its end of smaller position."""
    order = _from_meeting(shapes, meeting)
    index, edges = borders.index[order], borders.edge[order]
    line = shapes.kind == GeometryKind.LINE
    opens = meeting[order] & (edges >= 0)
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


def _from_meeting(shapes: Shapes, meeting: Flags) -> Ints:
    """Return vertex numbers with each ring turned so that it begins where arcs meet; lines stay as they are."""
    order = np.arange(len(shapes.xy), dtype=np.int64)
    if shapes.kind == GeometryKind.LINE:
        return order
    lengths = shapes.ring_lengths
    begins = np.where(meeting, order, len(order))
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
