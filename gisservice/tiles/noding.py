"""Borders that meet, meet in the same positions, before and after rounding.

A border shared by two polygons is one set of edges here, so whatever is done to it is done for both. Rounding is
snap rounding (Hobby 1999; Guibas and Marimont 1998): every edge is led through the rounded positions whose unit
square it crosses. Edges then only meet in whole-unit positions, and no rounded border passes to the other side of
another: polygons that did not overlap do not overlap, and between neighbours no gap opens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from gisservice.model import GeometryKind
from gisservice.tiles.shapes import Flags, Ints, Shapes, distinct, following, offsets, ranges

Reals = npt.NDArray[np.float64]

_LOW_BITS = (1 << 32) - 1

_BLOCK = 1 << 20
"""Pairs that are looked at together."""


@dataclass(frozen=True)
class Borders:
    """The distinct positions and edges of shapes (lines or polygons, tidy), in the order of their coordinates."""

    positions: Ints
    """Shape (n, 2)."""
    index: Ints
    """For each vertex its position."""
    edges: Ints
    """Shape (m, 2): the two positions of each edge, the smaller first."""
    edge: Ints
    """For each vertex the edge to the next one around its ring; -1 at the end of a line."""

    @classmethod
    def of(cls, shapes: Shapes) -> Borders:
        """Find what is distinct in some shapes."""
        packed = _packed(shapes.xy)
        places, index = np.unique(packed, return_inverse=True)
        after = index[following(shapes.rings)]
        pairs = np.minimum(index, after) << 32 | np.maximum(index, after)
        if shapes.kind == GeometryKind.LINE:
            last = shapes.rings[1:] - 1
            inner = np.ones(len(pairs), dtype=bool)
            inner[last] = False
            edge = np.full(len(pairs), -1, dtype=np.int64)
            edges, edge[inner] = np.unique(pairs[inner], return_inverse=True)
        else:
            edges, edge = np.unique(pairs, return_inverse=True)
        return cls(_unpacked(places), index, _unpacked(edges), edge)

    @cached_property
    def ends(self) -> tuple[Reals, Reals]:
        """Where each edge begins and ends."""
        at = self.positions.astype(np.float64)
        return at[self.edges[:, 0]], at[self.edges[:, 1]]


def _packed(positions: Ints) -> Ints:
    packed: Ints = positions[:, 0] << 32 | positions[:, 1]
    return packed


def _unpacked(packed: Ints) -> Ints:
    # East of Greenwich a position takes the sign's bit, too.
    return np.column_stack([packed >> 32 & _LOW_BITS, packed & _LOW_BITS])


def edges_apart(*sides: tuple[Shapes, Ints]) -> tuple[Reals, Ints]:
    """Return the boxes (minx, miny, maxx, maxy) of the edges that only one of two sides has, and their numbers.

    A side is shapes, and a number for each vertex, in which the edges that begin there must agree too.
    """
    found: list[Ints] = []
    for shapes, numbers in sides:
        packed = _packed(shapes.xy)
        after = packed[following(shapes.rings)]
        whole = np.ones(len(packed), dtype=bool)
        if shapes.kind == GeometryKind.LINE:
            whole[shapes.rings[1:] - 1] = False
        ends = np.minimum(packed, after), np.maximum(packed, after)
        found.append(np.stack([*ends, numbers, np.full_like(packed, len(found))])[:, whole])
    first, second, number, side = np.concatenate(found, axis=1)
    order = np.lexsort([number, second, first])
    first, second, number, side = first[order], second[order], number[order], side[order]
    opens = np.ones(len(order) + 1, dtype=bool)
    opens[1:-1] = (first[1:] != first[:-1]) | (second[1:] != second[:-1]) | (number[1:] != number[:-1])
    cuts = np.flatnonzero(opens)
    alone = cuts[:-1][side[cuts[:-1]] == side[cuts[1:] - 1]]
    low, high = _unpacked(first[alone]), _unpacked(second[alone])
    return np.concatenate([np.minimum(low, high), np.maximum(low, high)], axis=1).astype(np.float64), number[alone]


@dataclass(frozen=True)
class _Strips:
    """Edges cut into horizontal strips of equal height: where in a strip an edge runs, from west to east."""

    edge: Ints
    row: Ints
    west: Ints
    east: Ints

    @classmethod
    def of(cls, start: Reals, end: Reals, height: float, margin: float) -> _Strips:
        """Cut edges, widened by ``margin`` on all sides."""
        low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
        first = np.floor((low - margin) / height).astype(np.int64)
        counts = np.floor((high + margin) / height).astype(np.int64) - first + 1
        edge, row = np.repeat(np.arange(len(start)), counts), ranges(first, counts)
        begin, step = start[edge], (end - start)[edge]
        rise = np.where(step[:, 1] == 0, 1.0, step[:, 1])
        top, bottom = row * height - margin, (row + 1) * height + margin
        shares = [np.clip((y - begin[:, 1]) / rise, 0.0, 1.0) for y in (top, bottom)]
        flat = step[:, 1] == 0
        one = begin[:, 0] + np.where(flat, 0.0, shares[0]) * step[:, 0]
        other = begin[:, 0] + np.where(flat, 1.0, shares[1]) * step[:, 0]
        west = np.floor(np.minimum(one, other) - margin).astype(np.int64)
        return cls(edge, row, west, np.ceil(np.maximum(one, other) + margin).astype(np.int64))

    @property
    def keys(self) -> tuple[Ints, Ints]:
        """Where each strip begins and ends in the order of rows, then of x."""
        return _key(self.row, self.west), _key(self.row, self.east)


def _key(row: Ints, x: Ints) -> Ints:
    return (row << 34) + x


def _height(start: Reals, end: Reals) -> float:
    """Return a height of strips that suits these edges; it changes how fast things are found, not what."""
    return float(max(1.0, np.abs(end - start).sum(axis=1).mean())) if len(start) else 1.0


def crossings(borders: Borders, changed: Flags) -> Ints:
    """Return pairs of edges, shape (k, 2), that cross between their ends; at least one of each pair is ``changed``."""
    start, end = borders.ends
    strips = _Strips.of(start, end, _height(start, end), 0.0)
    west, east = strips.keys
    order = np.argsort(west, kind="stable")
    west, east, edge = west[order], east[order], strips.edge[order]
    counts = np.searchsorted(west, east, side="right") - np.arange(1, len(west) + 1)
    found = [np.zeros(0, dtype=np.int64)]
    for first, last in _blocks(counts):
        some = np.arange(first, last)
        one = edge[np.repeat(some, counts[some])]
        other = edge[ranges(some + 1, counts[some])]
        found.append(_crossing_pairs(borders, one, other, changed))
    return _unpacked(distinct(np.concatenate(found)))


def _crossing_pairs(borders: Borders, one: Ints, other: Ints, changed: Flags) -> Ints:
    """Return those of some pairs of edges that cross, the smaller edge in the upper bits."""
    some = np.flatnonzero(changed[one] | changed[other])
    one, other = one[some], other[some]
    (a, b), (c, d) = borders.edges[one].T, borders.edges[other].T
    apart = (a != c) & (a != d) & (b != c) & (b != d)
    one, other = one[apart], other[apart]
    start, end = borders.ends
    across = _cross(start[one], end[one], start[other], end[other])
    one, other = one[across], other[across]
    packed: Ints = np.minimum(one, other) << 32 | np.maximum(one, other)
    return packed


def _blocks(counts: Ints) -> Iterator[tuple[int, int]]:
    """Cut a row of tasks into blocks of bounded work, to bound the memory that they take."""
    load = np.cumsum(counts) // _BLOCK
    cuts = np.flatnonzero(np.diff(load, prepend=-1))
    return pairwise([*cuts.tolist(), len(counts)])


def _cross(a: Reals, b: Reals, c: Reals, d: Reals) -> Flags:
    beside = np.sign(_turn(a, b, c)) * np.sign(_turn(a, b, d)) < 0
    across: Flags = beside & (np.sign(_turn(c, d, a)) * np.sign(_turn(c, d, b)) < 0)
    return across


def _turn(a: Reals, b: Reals, c: Reals) -> Reals:
    turn: Reals = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    return turn


def snap_round(shapes: Shapes, shift: int, crossing: Ints | None = None) -> Shapes:
    """Round polygons to units ``2**shift`` times as large, halves upward, so that borders stay together.

    ``crossing`` are the pairs of edges (of ``Borders.of(shapes)``) that cross; they get a common position there.
    The answer is not tidy: rings may touch or repeat themselves where they became thin.
    """
    borders = Borders.of(shapes)
    pixels = (borders.positions + (1 << shift >> 1)) >> shift
    hot = pixels
    if crossing is not None and len(crossing):
        hot = np.concatenate([pixels, _meeting_pixels(borders, crossing, shift)])
    hot = _unpacked(distinct(_packed(hot)))
    edge, pixel = _passes(borders, pixels, hot, shift)
    return _led_through(shapes, borders, pixels, edge, hot[pixel])


def _meeting_pixels(borders: Borders, crossing: Ints, shift: int) -> Ints:
    start, end = borders.ends
    a, b, c, d = start[crossing[:, 0]], end[crossing[:, 0]], start[crossing[:, 1]], end[crossing[:, 1]]
    share = _turn(c, d, a) / (_turn(c, d, a) - _turn(c, d, b))
    at = a + share[:, None] * (b - a)
    return np.floor(at / (1 << shift) + 0.5).astype(np.int64)


def _passes(borders: Borders, pixels: Ints, hot: Ints, shift: int) -> tuple[Ints, Ints]:
    """Return (edge, hot pixel) for each pixel that an edge crosses between its ends, in order along the edge."""
    start, end = borders.ends
    half = float(1 << shift) / 2.0
    centre = hot << shift
    height = _height(start, end)
    keys = _key(np.floor(centre[:, 1] / height).astype(np.int64), centre[:, 0])
    order = np.argsort(keys, kind="stable")
    strips = _Strips.of(start, end, height, half)
    west, east = strips.keys
    first, last = np.searchsorted(keys[order], west, "left"), np.searchsorted(keys[order], east, "right")
    places, ends = _packed(hot), _packed(pixels)
    of_start, of_end = ends[borders.edges[:, 0]], ends[borders.edges[:, 1]]
    found = [np.zeros((0, 2), dtype=np.int64)]
    for begin, finish in _blocks(last - first):
        some = slice(begin, finish)
        counts = last[some] - first[some]
        edge, pixel = np.repeat(strips.edge[some], counts), order[ranges(first[some], counts)]
        between = (of_start[edge] != places[pixel]) & (of_end[edge] != places[pixel])
        edge, pixel = edge[between], pixel[between]
        hit = _crossed(borders, edge, centre[pixel], half)
        found.append(np.column_stack([edge[hit], pixel[hit]]))
    edge, pixel = np.concatenate(found).T
    along = ((centre[pixel] - start[edge]) * (end - start)[edge]).sum(axis=1)
    order = np.lexsort([pixel, along, edge])
    return edge[order], pixel[order]


def _crossed(borders: Borders, edge: Ints, centre: Ints, half: float) -> Flags:
    """Mark the pairs of an edge and a pixel, by its centre and half its side, that the edge crosses."""
    start, end = (at[edge] for at in borders.ends)
    at, step = centre - start, end - start
    reach = half * (np.abs(step[:, 0]) + np.abs(step[:, 1]))
    crossed: Flags = np.abs(step[:, 0] * at[:, 1] - step[:, 1] * at[:, 0]) < reach
    crossed |= (step[:, 0] == 0) | (step[:, 1] == 0)
    for x in (0, 1):
        crossed &= np.abs(at[:, x] - step[:, x] / 2.0) <= np.abs(step[:, x]) / 2.0 + half
        # A unit square has its lower sides and not its upper ones: that is what rounding halves upward means.
        crossed &= np.minimum(start[:, x], end[:, x]) - half < centre[:, x]
    return crossed


def _led_through(shapes: Shapes, borders: Borders, pixels: Ints, edge: Ints, passed: Ints) -> Shapes:
    """Return the shapes in pixels, with those passed between two vertices put in."""
    cuts = offsets(np.bincount(edge, minlength=len(borders.edges)))
    counts = np.diff(cuts)[borders.edge]
    backward = borders.edges[borders.edge, 0] != borders.index
    place = offsets(1 + counts)
    xy = np.empty((place[-1], 2), dtype=np.int64)
    xy[place[:-1]] = pixels[borders.index]
    along = ranges(np.zeros_like(counts), counts)
    vertex = np.repeat(np.arange(len(counts)), counts)
    turned = np.where(backward[vertex], counts[vertex] - 1 - along, along)
    xy[place[vertex] + 1 + along] = passed[cuts[borders.edge[vertex]] + turned]
    return Shapes(shapes.kind, xy, place[shapes.rings], shapes.starts, shapes.exterior)
