"""A packed Hilbert R-tree over boxes that are already in Hilbert order.

Because rows are stored in the order of the curve, a node of level k is nothing but the 16**k rows from
``node * 16**k`` on: the tree needs boxes only, no pointers, and a node that lies inside the searched box is a run of
rows that need no look at all. (Packing along the curve: Kamel and Faloutsos 1993, "On packing R-trees".)
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gisservice.model import BBox

NODE_SIZE = 16

Boxes = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Lanes = npt.NDArray[np.uint64]

_FIRST_LOOK = 4_096
"""Nodes: a level of so many is compared whole, which is faster than to descend to it."""

_WHOLE_MIN = 2_048
"""Rows: from so many candidates on, nodes that lie inside the box are taken whole, without a look at their rows."""

_RANKS, _NOWHERE = 2**15 - 2, 2**15 - 1
"""Highest rank of an edge; the edge of what lies nowhere."""

_ONES = 1 | 1 << 16 | 1 << 32 | 1 << 48
_GUARDS = np.array(_ONES << 15, dtype=np.uint64)
"""One, and the highest bit, in each of four lanes of 16 bits. Arrays without dimensions are combined with others at two
thirds of what a row of one, or a number, costs.
"""

_LANES = 0x0000FFFF0000FFFF, 0xFFFF0000FFFF0000
"""Those of west and east, and those of south and north."""

_THREE = np.array(3, dtype=np.uint8)

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
    """The tree in ranks, for looks that cost microseconds: 16 bytes a row, in memory.

    An edge is told by its rank: how many of some 32,000 cuts, taken evenly from all edges of an axis, it reaches, to
    the east and north how many it has left behind. Ranks keep the order, so one that is less belongs to an edge that
    surely is; of two alike nothing is known, unless all edges are cuts. The four of a box share a word, 15 bits and a
    free one each, and are counted so that a box is the larger the smaller they are: west, south, then what east and
    north lack of the highest rank. One subtraction then compares four edges: the free bit of a lane stays where it did
    not have to be borrowed from.
    """

    def __init__(self, boxes: Boxes, levels: Sequence[Boxes]) -> None:
        """Build the index over rows; ``levels`` are those of :func:`build_levels`, lowest first."""
        self._count = len(boxes)
        height = next((h for h, level in enumerate(levels, start=1) if len(level) <= _FIRST_LOOK), 0)
        cuts = _cuts(boxes[:, 0::2]), _cuts(boxes[:, 1::2])
        self._cuts = cuts[0].data, cuts[1].data  # one by one they are read quickest as plain views
        # Where each edge is a cut, ranks that are alike do not leave open which edge is less.
        self._unsure = sum(_ONES & lanes for axis, lanes in zip(cuts, _LANES, strict=True) if len(axis) == _RANKS)
        self._levels = [_lanes(level, cuts) for level in levels[:height]]
        self._rows = _lanes(boxes, cuts)
        self._children = np.arange(self._rows.size, dtype=np.int64).reshape(-1, NODE_SIZE)

    def search(self, bbox: BBox) -> tuple[Rows, Rows, Mask]:
        """Find the rows whose box meets ``bbox`` (closed: a shared edge counts), and perhaps some that nearly do.

        Returns runs, shape (k, 2), first and one past the last row of stretches whose features surely intersect
        ``bbox``; single rows; and which of these surely intersect it, too. Both ascend, and no row is in both.
        """
        meets, before, behind = self._sought(bbox)
        nodes: Rows | None = None
        whole = []
        for height in range(len(self._levels), 0, -1):
            nodes, lanes, found = self._meeting(self._levels[height - 1], nodes, meets)
            span = NODE_SIZE**height
            if len(nodes) * span >= _WHOLE_MIN:
                inside = _within(lanes.take(found), before, behind) == _GUARDS
                firsts = nodes[inside] * span
                whole.append(pairs(firsts, np.minimum(firsts + span, self._count)))
                nodes = nodes[~inside]
        rows, lanes, found = self._meeting(self._rows, nodes, meets)
        # A feature that keeps within the x-range of the searched box and has its lowest or its highest point in the
        # y-range has that very point inside; likewise with x and y exchanged. So three of the four edges inside are
        # enough. What is left are features over a corner or right across.
        sure = np.bitwise_count(_within(lanes.take(found), before, behind)) >= _THREE
        return np.concatenate(whole) if whole else NO_RUNS, rows, sure

    def _meeting(self, level: Lanes, parents: Rows | None, meets: Lanes) -> tuple[Rows, Lanes, Rows]:
        """Return those below some nodes (None: all) whose box meets the searched one, all edges, and their places."""
        lanes = (level if parents is None else level.take(parents, axis=0)).reshape(-1)
        over = meets - lanes
        over &= _GUARDS
        found = (over == _GUARDS).nonzero()[0]
        if parents is None:
            return found, lanes, found
        return self._children.take(parents, axis=0).reshape(-1).take(found), lanes, found

    def _sought(self, bbox: BBox) -> tuple[Lanes, Lanes, Lanes]:
        """Return what the edges of a box are subtracted from, to see whether it meets the searched one and whether they
        lie before its further edges; and what they are added to, to see whether they lie behind its nearer ones.
        """
        x, y = self._cuts
        west, south, east, north = (
            bisect_left(x, bbox[0]), bisect_left(y, bbox[1]), bisect_right(x, bbox[2]), bisect_right(y, bbox[3])
        )  # fmt: skip
        further = east | north << 16 | _RANKS - west << 32 | _RANKS - south << 48
        nearer = west | south << 16 | _RANKS - east << 32 | _RANKS - north << 48
        meets = further + (_ONES << 15)
        sought = np.array([meets, meets - self._unsure, (_ONES << 15) - _ONES - nearer], dtype=np.uint64)
        return sought[0, ...], sought[1, ...], sought[2, ...]


def _within(lanes: Lanes, before: Lanes, behind: Lanes) -> Lanes:
    """Return the highest bit of each lane whose edge surely lies between the edges of the searched box."""
    within: Lanes = before - lanes
    within &= lanes + behind
    within &= _GUARDS
    return within


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


def _cuts(edges: Boxes) -> Boxes:
    """Return the values, ascending, that edges along an axis are compared with: all of them where they are few."""
    known = np.unique(edges[np.isfinite(edges)])
    if len(known) < _RANKS:
        return known
    return known[np.linspace(0, len(known) - 1, _RANKS).astype(np.int64)]


def _lanes(boxes: Boxes, cuts: tuple[Boxes, Boxes]) -> Lanes:
    """Return the edges of boxes in ranks, a word a box, shape (nodes above, 16); the last node is filled up."""
    found = np.zeros(-(-len(boxes) // NODE_SIZE) * NODE_SIZE, dtype=np.uint64)
    for lane in range(4):
        ranks = np.full(len(found), _NOWHERE, dtype=np.uint64)
        edges = boxes[:, lane]
        reached = cuts[lane % 2].searchsorted(edges, side="right" if lane < 2 else "left")
        ranks[: len(boxes)] = np.where(np.isfinite(edges), reached if lane < 2 else _RANKS - reached, _NOWHERE)
        found |= ranks << np.uint64(16 * lane)
    return found.reshape(-1, NODE_SIZE)
