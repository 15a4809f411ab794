"""Polygons that fit together in the source: where do they overlap at a zoom, where do they gape?

Of a coverage (parcels, zones) each zoom is compared with the deepest one, and the deepest with the source. What is
found is ground, in square metres, that

overlaps
    lies in two drawn polygons at once, although the finer polygons they stand for do not overlap;
gaps
    is bare, although it is covered by the finer polygons and is farther than ``REACH`` from anything they leave bare.
    The borders of streets may move by so much when they are simplified and rounded; inside a block nothing may open.

For polygons whose borders meet only in vertices, which is what :mod:`gisservice.tiles.noding` makes, overlaps show in
the edges alone. Take one piece of ground that two polygons have in common. Each edge around it either belongs to one
of them and runs through the inside of the other, or belongs to both and runs in the same direction in both. An edge
that meets others only at its ends is inside a polygon when its middle is, and a run of edges without a junction is
when one of its edges is: so one point is looked at for each run.

The borders of a gap are *open*: more polygons are on one side than on the other. So are those of streets. Ends and
middles of open edges that are farther than ``REACH`` from every open edge of the finer polygons tell where gaps are;
what is bare there is then measured whole. (Not seen is a gap with all its vertices and all middles of its edges that
near to streets.)

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
from gisservice.tiles.shapes import Flags, Ints, Shapes, following, offsets, ranges, to_polygons

Polygons = npt.NDArray[Any]
Reals = npt.NDArray[np.float64]

REACH = 2.0
"""Level units, an eighth of a pixel where tiles are drawn 256 pixels wide."""

_INTERIORS_MEET = "T********"
"""Of the nine intersections of two geometries (OGC 06-103r4, 6.1.15): that of their interiors is not empty."""


class Arrangement:
    """The distinct edges of tidy polygons, in level units of zoom ``z``, whose borders meet only in vertices."""

    def __init__(self, shapes: Shapes, z: int) -> None:
        self.shapes, self.z = shapes, z
        self.borders = Borders.of(shapes)
        self.forward = self.borders.edges[self.borders.edge, 0] == self.borders.index
        """Whether the edge that leaves each vertex runs from its smaller position."""
        count = len(self.borders.edges)
        ways = [np.bincount(self.borders.edge[way], minlength=count) for way in (self.forward, ~self.forward)]
        self.uses = np.column_stack(ways)
        """How many polygons use each edge forward and backward, shape (m, 2)."""

    @cached_property
    def open(self) -> Flags:
        """Mark edges with more polygons on one side than on the other."""
        unequal: Flags = self.uses[:, 0] != self.uses[:, 1]
        return unequal

    @cached_property
    def owners(self) -> Ints:
        """The polygon of each vertex."""
        return np.repeat(self.shapes.owners, self.shapes.ring_lengths)

    @cached_property
    def polygons(self) -> Polygons:
        """The polygons themselves."""
        return to_polygons(self.shapes)

    @cached_property
    def tree(self) -> shapely.STRtree:
        """An index of the polygons by their boxes."""
        return shapely.STRtree(self.polygons)

    @cached_property
    def runs(self) -> tuple[Ints, Ints]:
        """The first vertex and the number of edges of each distinct run of edges between junctions."""
        branching = np.bincount(self.borders.edges.ravel(), minlength=len(self.borders.positions)) != 2
        opens = branching[self.borders.index]
        opens[self.shapes.rings[:-1]] = True
        first = np.flatnonzero(opens)
        lengths = np.diff(np.append(first, len(opens)))
        _, one = np.unique(self.borders.edge[first], return_index=True)
        return first[one], lengths[one]

    @cached_property
    def open_lines(self) -> shapely.STRtree:
        """An index of the open edges, run by run."""
        first, lengths = self.runs
        some = np.flatnonzero(self.open[self.borders.edge[first]])
        first, lengths = first[some], lengths[some]
        vertices = ranges(first, lengths + 1)
        cuts = offsets(lengths + 1)
        vertices[cuts[1:] - 1] = following(self.shapes.rings)[first + lengths - 1]
        line = np.repeat(np.arange(len(first)), lengths + 1)
        return shapely.STRtree(shapely.linestrings(self.shapes.xy[vertices].astype(np.float64), indices=line))

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

    def to_json(self) -> dict[str, Any]:
        """Return the ground of each kind in m², and its pieces as x, y (of a position in it, level units) and m²."""
        overlaps, gaps = _rows(self.overlaps, self.z), _rows(self.gaps, self.z)
        return {"overlap_m2": _sum(overlaps), "gap_m2": _sum(gaps), "overlaps": overlaps, "gaps": gaps}


def _sum(rows: list[list[float]]) -> float:
    return round(sum(m2 for _, _, m2 in rows), 3)


def _rows(pieces: Polygons, z: int) -> list[list[float]]:
    xy = shapely.get_coordinates(shapely.point_on_surface(pieces))
    area = ground_m2(shapely.area(pieces), xy[:, 1], z)
    return [[x, y, m2] for (x, y), m2 in zip(np.floor(xy).tolist(), area.round(3).tolist(), strict=True)]


def conflicts(drawn: Arrangement, parts: Ints, cuts: Ints, finer: Arrangement) -> Conflicts:
    """Compare the polygons that a zoom draws with finer ones.

    Drawn polygon ``i`` stands for the finer polygons ``parts[cuts[i]:cuts[i + 1]]``.
    """
    pairs = overlapping(drawn)
    fresh = pairs[~_overlap_too(pairs, parts, cuts, finer)]
    common = shapely.intersection(drawn.polygons[fresh[:, 0]], drawn.polygons[fresh[:, 1]])
    return Conflicts(drawn.z, _pieces(common), _gaps(drawn, finer))


def _pieces(polygons: Polygons) -> Polygons:
    """Return the connected pieces of a union of polygons; lines and points that are left over are not ground."""
    parts: Polygons = shapely.get_parts(shapely.union_all(polygons))
    areal: Polygons = parts[shapely.get_dimensions(parts) == 2]
    return areal


def overlapping(drawn: Arrangement) -> Ints:
    """Return the pairs of polygons that have ground in common, the smaller number first, shape (k, 2)."""
    pairs = np.concatenate([_side_by_side(drawn), _across(drawn)])
    pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    different: Ints = pairs[pairs[:, 0] != pairs[:, 1]]
    return different


def _side_by_side(drawn: Arrangement) -> Ints:
    """Return pairs of polygons that use an edge in the same direction."""
    edge, way = drawn.borders.edge, drawn.forward.astype(np.int64)
    vertices = np.flatnonzero(drawn.uses[edge, 1 - way] > 1)
    use = 2 * edge[vertices] + way[vertices]
    order = np.argsort(use, kind="stable")
    counts = np.unique(use[order], return_counts=True)[1]
    owner = drawn.owners[vertices[order]]
    group = np.repeat(offsets(counts)[:-1], counts)
    size = np.repeat(counts, counts)
    return np.column_stack([np.repeat(owner, size), owner[ranges(group, size)]])


def _across(drawn: Arrangement) -> Ints:
    """Return pairs of a polygon and one inside which an edge of it runs."""
    first, _ = drawn.runs
    edge, owner = drawn.borders.edge[first], drawn.owners[first]
    middle = drawn.middles(edge)
    run, polygon = drawn.tree.query(shapely.points(middle))
    own = np.unique(drawn.owners * len(drawn.borders.edges) + drawn.borders.edge)
    other = ~_places(polygon * len(drawn.borders.edges) + edge[run], own)[1]
    run, polygon = run[other], polygon[other]
    shapely.prepare(drawn.polygons[np.unique(polygon)])
    inside = shapely.contains_xy(drawn.polygons[polygon], middle[run, 0], middle[run, 1])
    pairs = np.column_stack([owner[run[inside]], polygon[inside]])
    return pairs


def _overlap_too(pairs: Ints, parts: Ints, cuts: Ints, finer: Arrangement) -> Flags:
    """Mark the pairs of drawn polygons that stand for finer polygons of which some overlap."""
    counts = np.diff(cuts)
    ones, others = counts[pairs[:, 0]], counts[pairs[:, 1]]
    pair = np.repeat(np.arange(len(pairs)), ones * others)
    within = ranges(np.zeros(len(pairs), dtype=np.int64), ones * others)
    one = parts[cuts[pairs[pair, 0]] + within // others[pair]]
    other = parts[cuts[pairs[pair, 1]] + within % others[pair]]
    box = finer.shapes.bounds()
    near = ((box[one, :2] < box[other, 2:]) & (box[other, :2] < box[one, 2:])).all(axis=1)
    pair, one, other = pair[near], one[near], other[near]
    which, place = np.unique(np.concatenate([one, other]), return_inverse=True)
    polygons = to_polygons(finer.shapes.take(which))
    shapely.prepare(polygons)
    meet = shapely.relate_pattern(polygons[place[: len(one)]], polygons[place[len(one) :]], _INTERIORS_MEET)
    result: Flags = np.bincount(pair[meet], minlength=len(pairs)) > 0
    return result


def _gaps(drawn: Arrangement, finer: Arrangement) -> Polygons:
    """Return what is bare far from anything that is bare in the finer polygons."""
    at = _far(drawn, finer)
    if not len(at):
        return np.zeros(0, dtype=object)
    scale = 2.0 ** (drawn.z - finer.z)
    found = []
    window = shapely.box(*(at - 8 * REACH).T, *(at + 8 * REACH).T)
    while len(window):
        window = shapely.get_parts(shapely.union_all(shapely.envelope(_pieces(window))))
        gaps = [_bare(box, drawn, finer, scale) for box in window]
        cut = np.array([not shapely.contains_properly(box, gap) for box, gap in zip(window, gaps, strict=True)])
        found += [gap for gap, short in zip(gaps, cut, strict=True) if not short]
        window = shapely.buffer(window[cut], np.sqrt(shapely.area(window[cut])), join_style="mitre")
    return _pieces(np.array(found, dtype=object))


def _bare(window: Any, drawn: Arrangement, finer: Arrangement, scale: float) -> Any:
    """Return what is bare in a window, farther than ``REACH`` from anything the finer polygons leave bare."""
    wide = shapely.buffer(window, 2 * REACH, join_style="mitre")
    near = shapely.make_valid(finer.polygons[finer.tree.query(shapely.transform(wide, lambda xy: xy / scale))])
    covered = shapely.transform(shapely.union_all(near), lambda xy: xy * scale)
    kept = shapely.intersection(shapely.buffer(covered, -REACH), window)
    return shapely.difference(kept, shapely.union_all(drawn.polygons[drawn.tree.query(window)]))


def _far(drawn: Arrangement, finer: Arrangement) -> Reals:
    """Return ends and middles of open edges that are farther than ``REACH`` from all open edges of ``finer``.

    Ends and edges that are those of ``finer``, rounded, are near; only the others are measured.
    """
    shift = finer.z - drawn.z
    known_ends, known_edges = _images(drawn, finer, shift)
    loose_edges = np.flatnonzero(drawn.open & ~known_edges)
    loose_ends = np.unique(drawn.borders.edges[loose_edges])
    loose_ends = loose_ends[~known_ends[loose_ends]]
    at = np.concatenate([drawn.borders.positions[loose_ends], drawn.middles(loose_edges)])
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
    packed: Ints = pairs[:, 0] << 32 | pairs[:, 1]
    return packed


def _places(numbers: Ints, ascending: Ints) -> tuple[Ints, Flags]:
    """Return where numbers are in an ascending array, and mark those that are there."""
    if not len(ascending):
        return np.zeros(len(numbers), dtype=np.int64), np.zeros(len(numbers), dtype=bool)
    place = np.minimum(np.searchsorted(ascending, numbers), len(ascending) - 1)
    found: Flags = ascending[place] == numbers
    return place, found
