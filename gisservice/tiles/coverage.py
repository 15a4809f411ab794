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

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from gisservice.tiles.grid import ground_m2
from gisservice.tiles.noding import Borders
from gisservice.tiles.shapes import Flags, Ints, Shapes, distinct, ranges, sums, to_polygons

Polygons = npt.NDArray[Any]
Reals = npt.NDArray[np.float64]

REACH = 2.0
"""Level units, an eighth of a pixel where tiles are drawn 256 pixels wide."""

_INTERIORS_MEET = "T********"
"""Of the nine intersections of two geometries (OGC 06-103r4, 6.1.15): that of their interiors is not empty."""

_PAIRS_AT_ONCE = 5_000


class Arrangement:
    """Tidy polygons in level units of zoom ``z``, and their distinct edges."""

    def __init__(self, shapes: Shapes, z: int) -> None:
        self.shapes, self.z = shapes, z
        self.borders = Borders.of(shapes)
        forward = self.borders.edges[self.borders.edge, 0] == self.borders.index
        balance = np.bincount(self.borders.edge, np.where(forward, 1, -1), minlength=len(self.borders.edges))
        self.open: Flags = balance != 0
        """Marks the edges with more polygons on one side than on the other."""

    @cached_property
    def polygons(self) -> Polygons:
        """The polygons themselves."""
        return to_polygons(self.shapes)

    @cached_property
    def tree(self) -> shapely.STRtree:
        """An index of the polygons by their boxes."""
        return shapely.STRtree(self.polygons)

    @cached_property
    def open_edges(self) -> tuple[Reals, Reals, shapely.STRtree]:
        """Where the open edges begin and end, and an index of them."""
        start, end = (ends[self.open] for ends in self.borders.ends)
        return start, end, shapely.STRtree(shapely.linestrings(np.stack([start, end], axis=1)))

    def near_open_edges(self, at: Reals, reach: float) -> Flags:
        """Mark the positions, shape (n, 2), that are no farther than ``reach`` from an open edge."""
        start, end, tree = self.open_edges
        place, edge = tree.query(shapely.box(*(at - reach).T, *(at + reach).T))
        begin, step = start[edge], (end - start)[edge]
        offset = at[place] - begin
        share = np.clip((offset * step).sum(axis=1) / (step * step).sum(axis=1), 0.0, 1.0)
        away = offset - share[:, None] * step
        near = np.zeros(len(at), dtype=bool)
        near[place[(away * away).sum(axis=1) <= reach * reach]] = True
        return near

    def middles(self, edges: Ints) -> Reals:
        """Return the middles of edges, shape (n, 2)."""
        start, end = self.borders.ends
        middle: Reals = (start[edges] + end[edges]) / 2.0
        return middle


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

    def conflicts(self) -> Conflicts:
        """Return what overlaps and what gapes, and does not among the finer polygons."""
        drawn, touched = Arrangement(self.drawn, self.z), self.touched
        pairs = overlapping(drawn, None if touched is None else touched.drawn)
        fresh = pairs[~_overlap_too(pairs, self.parts, self.cuts, self.finer)]
        common = shapely.intersection(drawn.polygons[fresh[:, 0]], drawn.polygons[fresh[:, 1]])
        at = _far(drawn, self.finer, touched)
        missing = _missing(drawn, self.parts, self.cuts, self.finer, touched)
        windows = np.concatenate([at - 8 * REACH, at + 8 * REACH], axis=1)
        windows = np.concatenate([windows, missing])
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
    some = np.arange(len(drawn.shapes)) if touched is None else np.flatnonzero(touched)
    one, other = drawn.tree.query(drawn.polygons[some])
    one = some[one]
    sizes: Ints = sums(drawn.shapes.areas(), drawn.shapes.starts)
    true: Flags = np.greater(sizes, 2)
    once = one < other if touched is None else (one < other) | ~touched[other]
    once &= true[one] & true[other] & (one != other)
    pairs = np.column_stack([np.minimum(one, other)[once], np.maximum(one, other)[once]])
    pairs = pairs[_boxes_meet(drawn.shapes.bounds(), pairs)]
    pairs = pairs[_meet(drawn.polygons, pairs)]
    ascending: Ints = pairs[np.lexsort([pairs[:, 1], pairs[:, 0]])]
    return ascending


def _boxes_meet(boxes: npt.NDArray[Any], pairs: Ints) -> Flags:
    """Mark the pairs of polygons whose boxes have ground in common."""
    one, other = boxes[pairs[:, 0]], boxes[pairs[:, 1]]
    meet: Flags = np.logical_and.reduce((one[:, :2] < other[:, 2:]) & (other[:, :2] < one[:, 2:]), axis=1)
    return meet


def _meet(polygons: Polygons, pairs: Ints) -> Flags:
    """Mark the pairs of polygons whose insides meet; quickest where pairs of the same first polygon lie together.

    What GEOS prepares for that takes more memory than the polygons, so it is not kept.
    """
    meet = np.zeros(len(pairs), dtype=bool)
    for first in range(0, len(pairs), _PAIRS_AT_ONCE):
        some = pairs[first : first + _PAIRS_AT_ONCE]
        ones = polygons[distinct(some[:, 0])]
        shapely.prepare(ones)
        meet[first : first + len(some)] = shapely.relate_pattern(
            polygons[some[:, 0]], polygons[some[:, 1]], _INTERIORS_MEET
        )
        shapely.destroy_prepared(ones)
    return meet


def _overlap_too(pairs: Ints, parts: Ints, cuts: Ints, finer: Arrangement) -> Flags:
    """Mark the pairs of drawn polygons that stand for finer polygons of which some overlap."""
    counts = np.diff(cuts)
    ones, others = counts[pairs[:, 0]], counts[pairs[:, 1]]
    pair = np.repeat(np.arange(len(pairs)), ones * others)
    within = ranges(np.zeros(len(pairs), dtype=np.int64), ones * others)
    one = parts[cuts[pairs[pair, 0]] + within // others[pair]]
    other = parts[cuts[pairs[pair, 1]] + within % others[pair]]
    near = _boxes_meet(finer.shapes.bounds(), np.column_stack([one, other]))
    pair, one, other = pair[near], one[near], other[near]
    which, place = np.unique(np.column_stack([one, other]), return_inverse=True)
    meet = _meet(to_polygons(finer.shapes.take(which)), place.reshape(-1, 2))
    result: Flags = np.bincount(pair[meet], minlength=len(pairs)) > 0
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
    inner = shapely.buffer(_sound(to_polygons(finer.shapes.take(rows))), -REACH / scale)
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
    near = _sound(finer.polygons[finer.tree.query(shapely.transform(wide, lambda xy: xy / scale))])
    near = shapely.transform(near, lambda xy: xy * scale)
    covered = shapely.union_all(shapely.intersection(near, wide))
    kept = shapely.intersection(shapely.buffer(covered, -REACH), window)
    over = shapely.intersection(drawn.polygons[drawn.tree.query(window)], window)
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
        start, end = (ends[loose_edges] for ends in drawn.borders.ends)
        loose_edges = loose_edges[touched.meets(np.concatenate([np.minimum(start, end), np.maximum(start, end)], 1))]
    loose_ends = distinct(drawn.borders.edges[loose_edges].ravel())
    loose_ends = loose_ends[~known_ends[loose_ends]]
    at = np.concatenate([drawn.borders.positions[loose_ends], drawn.middles(loose_edges)])
    if not len(at):
        return at  # as most often, and then the open edges need no index
    return at[~finer.near_open_edges(at * (1 << shift), REACH * (1 << shift))]


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
    packed: Ints = pairs[:, 0] << 32 | pairs[:, 1]
    return packed


def _places(numbers: Ints, ascending: Ints) -> tuple[Ints, Flags]:
    """Return where numbers are in an ascending array, and mark those that are there."""
    if not len(ascending):
        return np.zeros(len(numbers), dtype=np.int64), np.zeros(len(numbers), dtype=bool)
    place = np.minimum(np.searchsorted(ascending, numbers), len(ascending) - 1)
    found: Flags = ascending[place] == numbers
    return place, found
