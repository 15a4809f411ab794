"""A packed Hilbert R-tree over boxes that are already in Hilbert order.

Because rows are stored in the order of the curve, a node of level k is nothing but the 16**k rows from
``node * 16**k`` on: the tree needs boxes only, no pointers, and a node that lies inside the searched box is a run of
rows that need no look at all. (Packing along the curve: Kamel and Faloutsos 1993, "On packing R-trees".)
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor

import numpy as np
import numpy.typing as npt

from gisservice.model import BBox

NODE_SIZE = 16

Boxes = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Edges = npt.NDArray[np.int32]

_FIRST_LOOK = 4_096
"""Nodes: a level of so many is compared whole, which is faster than to descend to it."""

_WHOLE_MIN = 2_048
"""Rows: from so many candidates on, nodes that lie inside the box are taken whole, without a look at their rows."""

_STEPS = 1 << 22
"""Of a degree, in which the index counts: 2.7 cm each. A power of two, so that nothing is rounded but on purpose."""

_DEGREES, _NOWHERE = 511.0, 2**31 - 1
"""Beyond these degrees all is alike; the edge of what lies nowhere."""

NO_RUNS: Rows = np.empty((0, 2), dtype=np.int64)
NO_ROWS: Rows = np.empty(0, dtype=np.int64)


def hilbert_keys(world: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint64]:
    """Return the distance of world-grid positions, shape (n, 2), along a Hilbert curve over the whole 2**32 grid.

    The curve is fixed to the world, so a feature keeps its place when others come and go. Algorithm: the bitwise
    rotation of Warren, "Hacker's Delight" (2nd ed., 16-3), over all positions at once.
    """
    x, y = world[:, 0].astype(np.uint64), world[:, 1].astype(np.uint64)
    keys = np.zeros(len(world), dtype=np.uint64)
    for bit in range(31, -1, -1):
        side = np.uint64(1 << bit)
        right, low = (x & side) != 0, (y & side) != 0
        quadrant = (np.uint64(3) * right) ^ low.astype(np.uint64)
        keys += quadrant << np.uint64(2 * bit)
        flip = right & ~low
        mask = np.uint64((1 << bit) - 1)
        x, y = x & mask, y & mask
        x, y = np.where(flip, mask - x, x), np.where(flip, mask - y, y)
        x, y = np.where(low, x, y), np.where(low, y, x)
    return keys


def build_levels(boxes: Boxes) -> list[Boxes]:
    """Return the levels above the rows, lowest first; the last has one node. No rows: no levels."""
    levels: list[Boxes] = []
    below = boxes
    while len(below) > 1 or (len(below) and not levels):
        firsts = np.arange(0, len(below), NODE_SIZE)
        lower = np.minimum.reduceat(below[:, :2], firsts, axis=0)
        upper = np.maximum.reduceat(below[:, 2:], firsts, axis=0)
        below = np.concatenate([lower, upper], axis=1)
        levels.append(below)
    return levels


def level_sizes(count: int) -> list[int]:
    """Return how many nodes each level above ``count`` rows has, lowest first.

    >>> level_sizes(47_174)
    [2949, 185, 12, 1]
    """
    sizes: list[int] = []
    while count > 1 or (count and not sizes):
        count = -(-count // NODE_SIZE)
        sizes.append(count)
    return sizes


class Index:
    """The tree in whole steps of a degree, for looks that cost microseconds: 24 bytes a row, in memory.

    Each box is rounded outward, and its four edges are counted so that a box is the larger the smaller they are: west,
    south, minus east, minus north. So one comparison looks at all edges, and what it is about to find out is whether
    rounded edges say surely yes, surely no, or not surely.
    """

    def __init__(self, boxes: Boxes, levels: Sequence[Boxes]) -> None:
        """Build the index over rows; ``levels`` are those of :func:`build_levels`, lowest first."""
        self._count = len(boxes)
        height = next((h for h, level in enumerate(levels, start=1) if len(level) <= _FIRST_LOOK), 0)
        self._levels = [_edges(level) for level in levels[:height]]
        self._rows = _edges(boxes)
        self._children = np.arange(self._rows[0].size, dtype=np.int64).reshape(-1, NODE_SIZE)

    def search(self, bbox: BBox) -> tuple[Rows, Rows, Mask]:
        """Find the rows whose box meets ``bbox`` (closed: a shared edge counts), and perhaps some within a step of it.

        Returns runs, shape (k, 2), first and one past the last row of stretches whose features surely intersect
        ``bbox``; single rows; and which of these surely intersect it, too. Both ascend, and no row is in both.
        """
        outer, inner = _sought(bbox)
        nodes: Rows | None = None
        whole = []
        for height in range(len(self._levels), 0, -1):
            nodes, edges, found = self._meeting(self._levels[height - 1], nodes, outer)
            span = NODE_SIZE**height
            if len(nodes) * span >= _WHOLE_MIN:
                inside = np.logical_and.reduce(edges.take(found, axis=1) >= inner, axis=0)
                firsts = nodes[inside] * span
                whole.append(pairs(firsts, np.minimum(firsts + span, self._count)))
                nodes = nodes[~inside]
        rows, edges, found = self._meeting(self._rows, nodes, outer)
        # A feature that keeps within the x-range of the searched box and has its lowest or its highest point in the
        # y-range has that very point inside; likewise with x and y exchanged. So three of the four edges inside are
        # enough where the boxes surely meet. What is left are features over a corner or right across.
        clues = (edges >= inner).view(np.int8)
        clues += edges < outer
        sure = np.add.reduce(clues, axis=0, dtype=np.int8) >= 7
        return np.concatenate(whole) if whole else NO_RUNS, rows, sure[found]

    def _meeting(self, edges: Edges, parents: Rows | None, outer: Edges) -> tuple[Rows, Edges, Rows]:
        """Return those below some nodes (None: all) whose box meets the searched one, all edges, and their places."""
        edges = (edges if parents is None else edges.take(parents, axis=1)).reshape(4, -1)
        found = np.logical_and.reduce(edges <= outer, axis=0).nonzero()[0]
        if parents is None:
            return found, edges, found
        return self._children.take(parents, axis=0).reshape(-1)[found], edges, found


def search(boxes: Boxes, index: Index, bbox: BBox) -> tuple[Rows, Rows]:
    """Find the rows whose box meets ``bbox`` (closed: a shared edge counts), by their boxes as they are.

    Returns ``runs``, shape (k, 2), first and one past the last row of stretches whose features surely intersect
    ``bbox``, in order; and ``maybe``, rows in order whose geometry has to be looked at.
    """
    whole, rows, sure = index.search(bbox)
    corners = boxes[rows]
    minx, miny, maxx, maxy = bbox
    west, south, east, north = corners[:, 0], corners[:, 1], corners[:, 2], corners[:, 3]
    meets = (west <= maxx) & (south <= maxy) & (east >= minx) & (north >= miny)
    within = np.add.reduce([west >= minx, south >= miny, east <= maxx, north <= maxy], axis=0, dtype=np.int8)
    sure |= meets & (within >= 3)
    return merged(whole, rows[sure]), rows[meets & ~sure]


def merged(whole: Rows, rows: Rows) -> Rows:
    """Return runs and ascending rows, none of them twice, as runs in order."""
    runs = as_runs(rows)
    if not len(whole):
        return runs
    runs = np.concatenate([whole, runs])
    return runs[runs[:, 0].argsort()]


def pairs(firsts: Rows, lasts: Rows) -> Rows:
    """Return two columns as one array of shape (k, 2); several times faster than ``np.column_stack``."""
    both = np.empty((len(firsts), 2), dtype=np.int64)
    both[:, 0], both[:, 1] = firsts, lasts
    return both


def as_runs(rows: Rows) -> Rows:
    """Return ascending rows as runs of consecutive ones, shape (k, 2): first, one past the last."""
    if not len(rows):
        return NO_RUNS
    breaks = (rows[1:] - rows[:-1] != 1).nonzero()[0]
    runs = np.empty((len(breaks) + 1, 2), dtype=np.int64)
    runs[0, 0], runs[-1, 1] = rows[0], rows[-1] + 1
    runs[1:, 0], runs[:-1, 1] = rows[breaks + 1], rows[breaks] + 1
    return runs


def as_rows(runs: Rows) -> Rows:
    """Return the rows that runs stand for, in the order of the runs."""
    lengths = runs[:, 1] - runs[:, 0]
    before = np.cumsum(lengths) - lengths
    return np.repeat(runs[:, 0] - before, lengths) + np.arange(int(lengths.sum()), dtype=np.int64)


def _edges(boxes: Boxes) -> Edges:
    """Return the edges of boxes in steps, rounded outward, shape (4, nodes above, 16); the last node is filled up."""
    steps = boxes.T * np.array([[_STEPS], [_STEPS], [-_STEPS], [-_STEPS]], dtype=np.float64)
    farthest = _DEGREES * _STEPS
    edges = np.full((4, -(-len(boxes) // NODE_SIZE) * NODE_SIZE), _NOWHERE, dtype=np.int32)
    edges[:, : len(boxes)] = np.where(np.isfinite(steps), np.floor(steps).clip(-farthest, farthest), _NOWHERE)
    return edges.reshape(4, -1, NODE_SIZE)


def _sought(bbox: BBox) -> Edges:
    """Return the edges, shape (4, 1), that those of a box are at most when it meets the searched one, and are at least
    when they lie inside.
    """
    minx, miny, maxx, maxy = bbox
    if not (-_DEGREES < minx and -_DEGREES < miny and maxx < _DEGREES and maxy < _DEGREES):
        minx, miny, maxx, maxy = (min(max(edge, -_DEGREES), _DEGREES) for edge in bbox)
    east, north, west, south = floor(maxx * _STEPS), floor(maxy * _STEPS), floor(-minx * _STEPS), floor(-miny * _STEPS)
    edges = np.array([east, north, west, south, -west, -south, -east, -north], dtype=np.int32)
    return edges.reshape(2, 4, 1)
