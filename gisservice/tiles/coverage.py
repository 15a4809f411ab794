"""Polygons that fit together in the source: where do they overlap at a zoom, where do they gape?

Of a coverage (parcels, zones) each zoom is compared with the deepest one, and the deepest with the source. What is
found is ground, in square metres, that

overlaps
    lies in two drawn polygons at once, although the finer polygons they stand for do not overlap;
gaps
    is bare, although it is covered by the finer polygons and is farther than ``REACH`` from anything they leave bare.
    The borders of streets may move by so much when they are simplified and rounded; inside a block nothing may open.

Overlaps are looked for among all polygons whose boxes overlap, with GEOS, exactly.

The borders of a gap are *open* edges: polygons use them in one direction more often than in the other. So are those of
streets. Ends and middles of open edges that are farther than ``REACH`` from every open edge of the finer polygons tell
where gaps are; so do finer polygons that nothing is drawn for in their place. What is bare there is measured whole.
(Not seen is a gap with all its vertices and all middles of its edges that near to streets.)

Areas are those on the ellipsoid, not those of the grid: Mercator's projection enlarges a city at 39 degrees 1.65 times.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from gisservice.tiles.grid import ground_m2
from gisservice.tiles.noding import Borders
from gisservice.tiles.shapes import Flags, Ints, Shapes, distinct, following, offsets, ranges, sums, to_polygons

Polygons = npt.NDArray[Any]
Reals = npt.NDArray[np.float64]

REACH = 2.0
"""Level units, an eighth of a pixel where tiles are drawn 256 pixels wide."""

_INTERIORS_MEET = "T********"
"""Of the nine intersections of two geometries (OGC 06-103r4, 6.1.15): that of their interiors is not empty."""

_PAIRS_AT_ONCE, _POLYGONS_AT_ONCE, _PARTS_AT_ONCE = 5_000, 50_000, 1 << 20
"""Bounds of memory: pairs compared by GEOS, polygons whose neighbours are looked for, pairs of finer polygons."""


class Arrangement:
    """Tidy polygons in level units of zoom ``z``, and their distinct edges."""

    def __init__(self, shapes: Shapes, z: int) -> None:
        self.shapes, self.z = shapes, z
        self.borders = _short(Borders.of(shapes))
        forward = self.borders.edges[self.borders.edge, 0] == self.borders.index
        balance = np.bincount(self.borders.edge, np.where(forward, 1, -1), minlength=len(self.borders.edges))
        self.open: Flags = balance != 0
        """Marks the edges with more polygons on one side than on the other."""

    def polygons(self, rows: Ints) -> Polygons:
        """Return some of the polygons; they are made anew each time, since GEOS takes a kilobyte for each."""
        return to_polygons(self.shapes.take(rows)).astype(object)  # of none too

    @cached_property
    def _full(self) -> Ints:
        return np.flatnonzero(self.shapes.vertex_counts)

    @cached_property
    def _tree(self) -> shapely.STRtree:
        """An index of the boxes of the polygons that are not empty."""
        return shapely.STRtree(_diagonals(self.shapes.bounds()[self._full]))

    def near(self, area: Any) -> Ints:
        """Return the polygons whose boxes touch that of an area."""
        rows: Ints = self._full[self._tree.query(area)]
        return rows

    def neighbours(self, rows: Flags | None = None) -> Iterator[Ints]:
        """Yield pairs of polygons whose boxes touch, shape (k, 2), first polygon after first polygon.

        The first is one of the ``rows`` marked, or any.
        """
        full = self._full if rows is None else self._full[rows[self._full]]
        for first in range(0, len(full), _POLYGONS_AT_ONCE):
            some = full[first : first + _POLYGONS_AT_ONCE]
            one, other = self._tree.query(_diagonals(self.shapes.bounds()[some]))
            yield np.column_stack([some[one], self._full[other]])

    @cached_property
    def open_lines(self) -> shapely.STRtree:
        """An index of the open edges, as lines from junction to junction."""
        branching = np.bincount(self.borders.edges.ravel(), minlength=len(self.borders.positions)) != 2
        begins = branching[self.borders.index]
        begins[self.shapes.rings[:-1]] = True
        first = np.flatnonzero(begins)
        lengths = np.diff(np.append(first, len(begins)))
        some = np.flatnonzero(self.open[self.borders.edge[first]])
        first, lengths = first[some], lengths[some]
        vertices = ranges(first, lengths + 1)
        cuts = offsets(lengths + 1)
        vertices[cuts[1:] - 1] = following(self.shapes.rings)[first + lengths - 1]
        line = np.repeat(np.arange(len(first)), lengths + 1)
        return shapely.STRtree(shapely.linestrings(self.shapes.xy[vertices].astype(np.float64), indices=line))

    def middles(self, edges: Ints) -> Reals:
        """Return the middles of edges, shape (n, 2)."""
        ends = self.borders.positions[self.borders.edges[edges]].astype(np.float64)
        middle: Reals = (ends[:, 0] + ends[:, 1]) / 2.0
        return middle


def _short(borders: Borders) -> Borders:
    """Return borders with numbers in half the bytes: a layer has fewer than 2**31 positions and edges."""
    return replace(
        borders,
        index=borders.index.astype(np.int32),
        edges=borders.edges.astype(np.int32),
        edge=borders.edge.astype(np.int32),
    )


def _diagonals(boxes: Ints) -> Polygons:
    """Return lines with these boxes as envelopes."""
    lines: Polygons = shapely.linestrings(boxes.reshape(-1, 2, 2).astype(np.float64))
    return lines


@dataclass(frozen=True)
class Conflicts:
    """What overlaps and what gapes at a zoom: polygons in level units, each one connected piece of ground."""

    z: int
    overlaps: Polygons
    gaps: Polygons

    def __len__(self) -> int:
        return len(self.overlaps) + len(self.gaps)

    def to_json(self) -> dict[str, Any]:
        """Return the ground of each kind in m², and its pieces as x, y (of a position in it, level units) and m²."""
        overlaps, gaps = _rows(self.overlaps, self.z), _rows(self.gaps, self.z)
        return {"overlap_m2": _sum(overlaps), "gap_m2": _sum(gaps), "overlaps": overlaps, "gaps": gaps}


NO_CONFLICTS = Conflicts(0, np.zeros(0, dtype=object), np.zeros(0, dtype=object))
"""Nothing overlaps and nothing gapes."""


def _sum(rows: list[list[float]]) -> float:
    return round(sum((m2 for _, _, m2 in rows), 0.0), 3)


def _rows(pieces: Polygons, z: int) -> list[list[float]]:
    xy = shapely.get_coordinates(shapely.point_on_surface(pieces))
    area = ground_m2(shapely.area(pieces), xy[:, 1], z)
    return [[x, y, m2] for (x, y), m2 in zip(np.floor(xy).tolist(), area.round(3).tolist(), strict=True)]


@dataclass(frozen=True)
class Touched:
    """What is not as it was when nothing was wrong: only there anything can be wrong now.

    ``drawn`` marks the polygons that are drawn otherwise or stand for others. ``boxes`` (minx, miny, maxx, maxy,
    level units of the zoom) hold them, as they are and as they were, and what a gap beside them depends on.
    """

    drawn: Flags
    boxes: Reals

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(shapely.box(*self.boxes.T))

    def cut(self, boxes: Reals) -> Reals:
        """Return what some boxes have in common with those touched."""
        one, other = self._tree.query(shapely.box(*boxes.T))
        common = np.concatenate(
            [np.maximum(boxes[one, :2], self.boxes[other, :2]), np.minimum(boxes[one, 2:], self.boxes[other, 2:])],
            axis=1,
        )
        return common

    def meets(self, boxes: Reals) -> Flags:
        """Mark the boxes that meet one that is touched."""
        meet = np.zeros(len(boxes), dtype=bool)
        meet[self._tree.query(shapely.box(*boxes.T))[0]] = True
        return meet


@dataclass(frozen=True)
class Comparison:
    """Polygons drawn at zoom ``z`` beside finer ones, both in level units of their zoom.

    Drawn polygon ``i`` stands for the finer polygons ``parts[cuts[i]:cuts[i + 1]]``. Looked at is all, or what can be
    wrong because of what is ``touched``.
    """

    z: int
    drawn: Shapes
    parts: Ints
    cuts: Ints
    finer: Arrangement
    touched: Touched | None = None

    def conflicts(self, arranged: Arrangement | None = None) -> Conflicts:
        """Return what overlaps and what gapes, and does not among the finer polygons.

        ``arranged`` are the drawn polygons, if they were arranged before.
        """
        drawn, touched = arranged or Arrangement(self.drawn, self.z), self.touched
        pairs = overlapping(drawn, None if touched is None else touched.drawn)
        fresh = pairs[~_overlap_too(pairs, self.parts, self.cuts, self.finer)]
        common = shapely.intersection(drawn.polygons(fresh[:, 0]), drawn.polygons(fresh[:, 1]))
        at = _far(drawn, self.finer, touched)
        missing = _missing(drawn, self.parts, self.cuts, self.finer, touched)
        windows = np.concatenate([np.concatenate([at - 8 * REACH, at + 8 * REACH], axis=1), missing])
        if touched is not None:
            windows = touched.cut(windows)
        return Conflicts(self.z, _pieces(common), _gaps(shapely.box(*windows.T), drawn, self.finer))


def closed(some: Flags, parts: Ints, cuts: Ints) -> tuple[Flags, Ints]:
    """Mark some finer polygons and all others of the drawn ones they are part of; return those drawn ones, too."""
    drawn = np.flatnonzero(sums(some[parts].astype(np.int64), cuts))
    marked = some.copy()
    marked[parts[ranges(cuts[drawn], np.diff(cuts)[drawn])]] = True
    return marked, drawn


def _pieces(polygons: Polygons) -> Polygons:
    """Return the connected pieces of a union of polygons; lines and points that are left over are not ground."""
    parts: Polygons = shapely.get_parts(shapely.union_all(polygons))
    areal: Polygons = parts[shapely.get_dimensions(parts) == 2]
    return areal


def overlapping(drawn: Arrangement, touched: Flags | None = None) -> Ints:
    """Return the pairs of polygons that have ground in common, ascending, the smaller number first, shape (k, 2).

    Where ``touched`` is given, one of each is. Polygons of one square unit are left out: they are marks for what is
    too small to be drawn true to its extent.
    """
    sizes: Ints = sums(drawn.shapes.areas(), drawn.shapes.starts)
    true: Flags = np.greater(sizes, 2)
    found = [np.zeros((0, 2), dtype=np.int64)]
    for pairs in drawn.neighbours(touched):
        one, other = pairs.T
        once = one < other if touched is None else (one < other) | ((one > other) & ~touched[other])
        pairs = np.sort(pairs[once & true[one] & true[other]], axis=1)
        pairs = pairs[_boxes_meet(drawn.shapes.bounds(), pairs)]
        found.append(pairs[_meet(drawn, pairs)])
    pairs = np.concatenate(found)
    ascending: Ints = pairs[np.lexsort([pairs[:, 1], pairs[:, 0]])]
    return ascending


def _boxes_meet(boxes: npt.NDArray[Any], pairs: Ints) -> Flags:
    """Mark the pairs of polygons whose boxes have ground in common."""
    one, other = boxes[pairs[:, 0]], boxes[pairs[:, 1]]
    meet: Flags = np.logical_and.reduce((one[:, :2] < other[:, 2:]) & (other[:, :2] < one[:, 2:]), axis=1)
    return meet


def _meet(arrangement: Arrangement, pairs: Ints) -> Flags:
    """Mark the pairs of polygons whose insides meet; quickest where pairs of the same first polygon lie together.

    Polygons, and what GEOS prepares of them, which takes more memory still, are made for some pairs and let go of.
    """
    meet = np.zeros(len(pairs), dtype=bool)
    for first in range(0, len(pairs), _PAIRS_AT_ONCE):
        some = pairs[first : first + _PAIRS_AT_ONCE]
        rows = distinct(some.ravel())
        polygons, (one, other) = arrangement.polygons(rows), np.searchsorted(rows, some.T)
        shapely.prepare(polygons[distinct(one)])
        meet[first : first + len(some)] = shapely.relate_pattern(polygons[one], polygons[other], _INTERIORS_MEET)
    return meet


def _overlap_too(pairs: Ints, parts: Ints, cuts: Ints, finer: Arrangement) -> Flags:
    """Mark the pairs of drawn polygons that stand for finer polygons of which some overlap."""
    counts = np.diff(cuts)
    load = np.cumsum(counts[pairs].prod(axis=1)) // _PARTS_AT_ONCE
    begins = np.flatnonzero(np.diff(load, prepend=-1)).tolist()
    marks = [_some_overlap(pairs[first:last], parts, cuts, finer) for first, last in pairwise([*begins, len(pairs)])]
    return np.concatenate([np.zeros(0, dtype=bool), *marks])


def _some_overlap(pairs: Ints, parts: Ints, cuts: Ints, finer: Arrangement) -> Flags:
    counts = np.diff(cuts)
    ones, others = counts[pairs[:, 0]], counts[pairs[:, 1]]
    pair = np.repeat(np.arange(len(pairs)), ones * others)
    within = ranges(np.zeros(len(pairs), dtype=np.int64), ones * others)
    one = parts[cuts[pairs[pair, 0]] + within // others[pair]]
    other = parts[cuts[pairs[pair, 1]] + within % others[pair]]
    near = _boxes_meet(finer.shapes.bounds(), np.column_stack([one, other]))
    meet = _meet(finer, np.column_stack([one[near], other[near]]))
    result: Flags = np.bincount(pair[near][meet], minlength=len(pairs)) > 0
    return result


def _missing(drawn: Arrangement, parts: Ints, cuts: Ints, finer: Arrangement, touched: Touched | None) -> Reals:
    """Return boxes around all wide places of finer polygons that are not drawn, or stick out of what is drawn for them.

    Where they are narrow, a gap they leave has borders that are far from any street.
    """
    scale = 2.0 ** (drawn.z - finer.z)
    box = finer.shapes.bounds().astype(np.float64) * scale
    outer = np.full(box.shape, [np.inf, np.inf, -np.inf, -np.inf])
    outer[parts] = np.repeat(drawn.shapes.bounds(), np.diff(cuts), axis=0)
    out = (box[:, :2] < outer[:, :2] - REACH).any(axis=1) | (box[:, 2:] > outer[:, 2:] + REACH).any(axis=1)
    wide = (box[:, 2:] - box[:, :2] > 2 * REACH).all(axis=1)
    rows = np.flatnonzero(out & wide)
    if touched is not None:
        rows = rows[touched.meets(box[rows])]
    inner = shapely.buffer(_sound(finer.polygons(rows)), -REACH / scale)
    inner = shapely.get_parts(inner[~shapely.is_empty(inner)])
    found: Reals = shapely.bounds(inner).reshape(-1, 4) * scale + REACH * np.array([-1, -1, 1, 1])
    return found


def _sound(polygons: Polygons) -> Polygons:
    """Return polygons with those that are not valid made so: only the source has such, and looking is cheaper."""
    bad = ~shapely.is_valid(polygons)
    polygons[bad] = shapely.make_valid(polygons[bad])
    return polygons


def _gaps(window: Polygons, drawn: Arrangement, finer: Arrangement) -> Polygons:
    """Return what is bare, in some windows and on from there, far from anything that is bare in the finer polygons."""
    scale = 2.0 ** (drawn.z - finer.z)
    found: list[Any] = []
    while len(window):
        window = shapely.envelope(_pieces(window))
        gaps = np.array([_bare(box, drawn, finer, scale) for box in window], dtype=object)
        whole = shapely.is_empty(gaps) | shapely.contains_properly(window, gaps)
        found += gaps[whole].tolist()
        wider = np.sqrt(shapely.area(window[~whole]))
        window = shapely.buffer(window[~whole], wider, join_style="mitre")
    return _pieces(np.array(found, dtype=object))


def _bare(window: Any, drawn: Arrangement, finer: Arrangement, scale: float) -> Any:
    """Return what is bare in a window, farther than ``REACH`` from anything the finer polygons leave bare."""
    wide = shapely.buffer(window, 2 * REACH, join_style="mitre")
    near = _sound(finer.polygons(finer.near(shapely.transform(wide, lambda xy: xy / scale))))
    near = shapely.transform(near, lambda xy: xy * scale)
    covered = shapely.union_all(shapely.intersection(near, wide))
    kept = shapely.intersection(shapely.buffer(covered, -REACH), window)
    over = shapely.intersection(drawn.polygons(drawn.near(window)), window)
    return shapely.difference(kept, shapely.union_all(over))


def _far(drawn: Arrangement, finer: Arrangement, touched: Touched | None) -> Reals:
    """Return ends and middles of open edges that are farther than ``REACH`` from all open edges of ``finer``.

    Of what is ``touched``, those of edges there. Ends and edges that are those of ``finer``, rounded, are near; only
    the others are measured.
    """
    shift = finer.z - drawn.z
    known_ends, known_edges = _images(drawn, finer, shift)
    loose_edges = np.flatnonzero(drawn.open & ~known_edges)
    if touched is not None:
        ends = drawn.borders.positions[drawn.borders.edges[loose_edges]].astype(np.float64)
        loose_edges = loose_edges[touched.meets(np.concatenate([ends.min(axis=1), ends.max(axis=1)], axis=1))]
    loose_ends = distinct(drawn.borders.edges[loose_edges].ravel())
    loose_ends = loose_ends[~known_ends[loose_ends]]
    at = np.concatenate([drawn.borders.positions[loose_ends], drawn.middles(loose_edges)])
    if not len(at):
        return at  # as most often, and then the open edges need no index
    close = finer.open_lines.query(shapely.points(at * (1 << shift)), "dwithin", REACH * (1 << shift))[0]
    far = np.ones(len(at), dtype=bool)
    far[close] = False
    return at[far]


def _images(drawn: Arrangement, finer: Arrangement, shift: int) -> tuple[Flags, Flags]:
    """Mark the positions and the edges of ``drawn`` that are open ones of ``finer``, rounded."""
    ends, edges = (np.zeros(len(of), dtype=bool) for of in (drawn.borders.positions, drawn.borders.edges))
    theirs = finer.borders.edges[finer.open]
    pixels = (finer.borders.positions + (1 << shift >> 1)) >> shift
    place, found = _places(_packed(pixels), _packed(drawn.borders.positions))
    ends[place[theirs[found[theirs]]]] = True
    pairs = np.sort(place[theirs[found[theirs].all(axis=1)]], axis=1)
    place, found = _places(_packed(pairs), _packed(drawn.borders.edges))
    edges[place[found]] = True
    return ends, edges


def _packed(pairs: Ints) -> Ints:
    packed: Ints = pairs[:, 0].astype(np.int64) << 32 | pairs[:, 1]
    return packed


def _places(numbers: Ints, ascending: Ints) -> tuple[Ints, Flags]:
    """Return where numbers are in an ascending array, and mark those that are there."""
    if not len(ascending):
        return np.zeros(len(numbers), dtype=np.int64), np.zeros(len(numbers), dtype=bool)
    place = np.minimum(np.searchsorted(ascending, numbers), len(ascending) - 1)
    found: Flags = ascending[place] == numbers
    return place, found
