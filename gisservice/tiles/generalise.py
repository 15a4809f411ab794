"""Shapes of every zoom from one look at how a layer's borders hang together.

A border that two parcels share, or a junction where streets meet, must look the same from both sides at every zoom.
So positions are rounded once, to the units of the deepest zoom, and each distinct position gets one number: the
tolerance at which it may go. Positions where borders meet never go; the others get their number from Douglas and
Peucker's algorithm (1973), run once along each distinct arc between meeting points. A zoom is then a comparison.

All of it is local: what becomes of a geometry depends on those beside it (:mod:`gisservice.tiles.outlines`). The only
thing that can reach farther is a border that gets vertices back, which can make its neighbour need its own; so those
few are followed from one to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gisservice.model import GeometryKind
from gisservice.tiles.grid import PYRAMID_ZOOM_MAX
from gisservice.tiles.noding import Borders, crossings, snap_round
from gisservice.tiles.outlines import Outlines
from gisservice.tiles.shapes import (
    Flags,
    Ints,
    Shapes,
    concatenate,
    distinct,
    enlarged,
    offsets,
    ranges,
    sums,
    tidy,
)
from gisservice.tiles.validity import invalid, repair

TOLERANCE = 1.0
"""Level units; a sixteenth of a pixel where tiles are drawn 256 pixels wide."""

Stays = npt.NDArray[np.uint8]
"""For each vertex how many zooms above the deepest it is still there, where nothing asks for it back."""

_FOR_EVER = 255


@dataclass(frozen=True)
class Deepest:
    """Geometries as they are drawn at the deepest zoom, and what is needed to make those of any smaller one.

    ``crossing`` marks polygons of a coverage whose borders cross another's in the source: they overlap, and are left
    to. ``broken`` marks polygons that rounding had made invalid.
    """

    shapes: Shapes
    stays: Stays
    crossing: Flags
    broken: Flags

    @classmethod
    def joined(cls, parts: Sequence[Deepest]) -> Deepest:
        """Join some end to end."""
        return cls(
            concatenate([part.shapes for part in parts]),
            np.concatenate([part.stays for part in parts]),
            np.concatenate([part.crossing for part in parts]),
            np.concatenate([part.broken for part in parts]),
        )


@dataclass(frozen=True)
class Zoom:
    """The shapes of a zoom, tidy, valid and in level units; ``broken`` marks those that rounding had made invalid.

    ``seeds`` and ``restored`` are vertices of the deepest zoom that got back in, because an edge without them would
    have crossed another: the former in the first round, the latter in any.
    """

    shapes: Shapes
    broken: Flags
    seeds: Ints
    restored: Ints


Run = Callable[[Callable[[Ints], Deepest], Sequence[Ints]], Iterable[Deepest]]

NODED_AT_ONCE, ROUNDED_AT_ONCE = 200_000, 1_000_000
"""Positions in a block: bounds memory, and lets processes share the work; changes no byte."""


class Generaliser:
    """Makes the shapes of any zoom of a layer. ``run`` works on its parts in order, like ``map``."""

    def __init__(self, outlines: Outlines, *, run: Run = map) -> None:
        self.outlines, _ = outlines, outlines.tree  # made once, before processes are forked
        self.deepest = Deepest.joined(list(run(self._block, outlines.blocks(NODED_AT_ONCE))))

    @property
    def crossing(self) -> int:
        """How many polygons of a coverage have borders that cross another's in the source."""
        return int(self.deepest.crossing.sum())

    def _block(self, rows: Ints) -> Deepest:
        some = self.outlines.around(rows)
        noded = node(self.outlines, some)
        places = np.searchsorted(some, rows)
        return part(noded, stays(noded.shapes), places)

    def at(self, z: int) -> tuple[Shapes, int]:
        """Return the shapes of zoom ``z``, tidy, valid and in level units, and how many rounding had broken."""
        zoom = self.zoom(z)
        return zoom.shapes, int(zoom.broken.sum())

    def renewed(self, z: int) -> tuple[Zoom, Flags]:
        """Return the shapes of a zoom, and mark those that are not as they were: all."""
        return self.zoom(z), np.ones(len(self.outlines), dtype=bool)

    def zoom(self, z: int) -> Zoom:
        """Return the shapes of zoom ``z`` and how they came to be."""
        outlines, deepest, shift = self.outlines, self.deepest, self.outlines.maxzoom - z
        none = np.zeros(0, dtype=np.int64)
        if shift == 0:
            return Zoom(deepest.shapes, deepest.broken, none, none)
        keep, blocks = deepest.stays >= shift, outlines.blocks(ROUNDED_AT_ONCE)
        first = np.concatenate([none, *(seeds(outlines, deepest.shapes, keep, rows) for rows in blocks)])
        restored = restore(outlines, deepest.shapes, keep, first)
        parts = [rounded(outlines, deepest.shapes, keep, shift, rows) for rows in blocks]
        shapes = concatenate([shapes for shapes, _ in parts])
        return Zoom(shapes, np.concatenate([broken for _, broken in parts]), first, restored)


@dataclass(frozen=True)
class Noded:
    """Geometries at the deepest zoom; see :class:`Deepest`."""

    shapes: Shapes
    crossing: Flags
    broken: Flags


def part(noded: Noded, lasting: Stays, places: Ints) -> Deepest:
    """Return some of the noded geometries with what is known of their vertices."""
    at = vertices_of(noded.shapes, places)
    return Deepest(noded.shapes.take(places), lasting[at], noded.crossing[places], noded.broken[places])


def node(outlines: Outlines, rows: Ints) -> Noded:
    """Return some geometries at the deepest zoom; borders of a coverage meet in common vertices."""
    some = outlines.around(rows) if outlines.coverage else rows
    places = np.searchsorted(some, rows)
    shift = PYRAMID_ZOOM_MAX - outlines.maxzoom
    crossing = np.zeros(len(some), dtype=bool)
    if outlines.coverage:
        shapes = tidy(outlines.shapes(some, PYRAMID_ZOOM_MAX))
        borders = Borders.of(shapes)
        pairs = crossings(borders, np.ones(len(borders.edges), dtype=bool))
        hit = np.zeros(len(borders.edges), dtype=bool)
        hit[pairs] = True
        crossing[shapes.owners[_rings_with(shapes, hit[borders.edge])]] = True
        shapes = tidy(snap_round(shapes, shift, pairs).take(places))
    else:
        shapes = tidy(outlines.shapes(rows, outlines.maxzoom))
    whole = outlines.shapes(rows, outlines.maxzoom)
    shapes, broken = _valid(enlarged(shapes, whole))  # at the deepest zoom everything is drawn
    return Noded(shapes, crossing[places], broken)


def _rings_with(shapes: Shapes, hit: Flags) -> Ints:
    """Return the rings that have a marked vertex."""
    return np.flatnonzero(sums(hit.astype(np.int64), shapes.rings) > 0)


def vertices_of(shapes: Shapes, rows: Ints) -> Ints:
    """Return the numbers of the vertices of some geometries, end to end."""
    return ranges(shapes.vertices[rows], np.diff(shapes.vertices)[rows])


def owners_of(shapes: Shapes, vertices: Ints) -> Ints:
    """Return the geometries that some vertices belong to."""
    owners: Ints = np.searchsorted(shapes.vertices, vertices, side="right") - 1
    return owners


def seeds(outlines: Outlines, shapes: Shapes, keep: Flags, rows: Ints) -> Ints:
    """Return the vertices of some geometries that must come back, because an edge without them crosses another."""
    if not outlines.coverage:
        return np.zeros(0, dtype=np.int64)
    some = outlines.around(rows)
    back = _wanted_back(shapes, keep, some)
    return back[np.isin(owners_of(shapes, back), rows)]


def restore(outlines: Outlines, shapes: Shapes, keep: Flags, first: Ints) -> Ints:
    """Mark in ``keep`` the vertices ``first`` and all that must come back because of them; return all of these.

    Piece by piece, an edge that crosses another gets back what it replaced. What came back runs as it did at the
    deepest zoom, where nothing crosses; so in the end nothing does, and in what order it is done makes no difference.
    """
    keep[first] = True
    return np.sort(np.concatenate([first, followed(outlines, shapes, keep, owners_of(shapes, first))]))


def followed(outlines: Outlines, shapes: Shapes, keep: Flags, rows: Ints) -> Ints:
    """Mark in ``keep`` the vertices that must come back because those of some geometries did; return them."""
    back = [np.zeros(0, dtype=np.int64)]
    while len(rows):
        more = _wanted_back(shapes, keep, within_reach(outlines, rows))
        keep[more] = True
        back.append(more)
        rows = owners_of(shapes, more)
    return np.concatenate(back)


def within_reach(outlines: Outlines, rows: Ints) -> Ints:
    """Return the geometries, ascending, whose borders could have to get vertices back because those of some did."""
    return outlines.around(outlines.around(distinct(rows)))


def _wanted_back(shapes: Shapes, keep: Flags, rows: Ints) -> Ints:
    """Return the vertices that some geometries must get back, for edges not to cross among these geometries.

    An edge that replaces a winding piece of border and crosses another edge gets its piece back, for both polygons
    that share it.
    """
    at = vertices_of(shapes, rows)
    some, kept = shapes.take(rows), keep[at]
    counts = offsets(kept)
    piece = counts[1:] - 1
    first, last = (np.repeat(counts[cut], some.ring_lengths) for cut in (some.rings[:-1], some.rings[1:]))
    piece = np.where(piece < first, last - 1, piece)
    borders = Borders.of(some.keep_vertices(kept))
    changed = np.zeros(len(borders.edges), dtype=bool)
    changed[borders.edge[np.bincount(piece, minlength=int(counts[-1])) > 1]] = True
    wrong = np.zeros(len(borders.edges), dtype=bool)
    wrong[crossings(borders, changed)] = True
    return at[(wrong & changed)[borders.edge][piece] & ~kept]


def rounded(outlines: Outlines, shapes: Shapes, keep: Flags, shift: int, rows: Ints) -> tuple[Shapes, Flags]:
    """Return some geometries with the vertices to ``keep``, ``shift`` zooms above; and which rounding had broken."""
    own = shapes.take(rows)
    if outlines.coverage:
        some = outlines.around(rows, shift)
        kept = shapes.take(some).keep_vertices(keep[vertices_of(shapes, some)])
        found = tidy(snap_round(kept, shift).take(np.searchsorted(some, rows)))
    elif shapes.kind == GeometryKind.POINT:
        found = tidy(_moved(own, shift))
    else:
        found = tidy(_moved(own.keep_vertices(keep[vertices_of(shapes, rows)]), shift))
    always = outlines.always[rows]
    if always.any():
        found = enlarged(found, _moved(own.keep_rings(always[own.owners]), shift))
    return _valid(found)


def _moved(shapes: Shapes, shift: int) -> Shapes:
    xy = (shapes.xy + (1 << shift >> 1)) >> shift
    return Shapes(shapes.kind, xy, shapes.rings, shapes.starts, shapes.exterior)


def _valid(shapes: Shapes) -> tuple[Shapes, Flags]:
    if shapes.kind != GeometryKind.POLYGON:
        return shapes, np.zeros(len(shapes), dtype=bool)
    bad = invalid(shapes)
    return (repair(shapes, np.flatnonzero(bad)) if bad.any() else shapes), bad


def stays(shapes: Shapes) -> Stays:
    """Return for each vertex how many zooms above the deepest it stays by its importance."""
    share, exponent = np.frexp(importance(shapes) / TOLERANCE)
    # x > 2**s, for the largest s: x is share * 2**exponent, with a share from a half to less than one.
    lasting = exponent - np.where(share > 0.5, 1, 2)
    lasting[np.isinf(share)] = _FOR_EVER
    clipped: Stays = np.clip(lasting, 0, _FOR_EVER).astype(np.uint8)
    return clipped


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
