"""A packed Hilbert R-tree over boxes that are already in Hilbert order.

Because rows are stored in the order of the curve, a node of level k is nothing but the 16**k rows from
``node * 16**k`` on: the tree needs boxes only, no pointers, and a node that lies inside the searched box is a run of
rows that need no look at all. (Packing along the curve: Kamel and Faloutsos 1993, "On packing R-trees".)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gisservice.model import BBox

NODE_SIZE = 16

Boxes = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

FIRST_LOOK = 4_096
"""Nodes: a level of so many is compared whole, which is faster than to descend to it; best stored column by column."""

_WHOLE_MIN = 2_048
"""Rows: from so many candidates on, nodes that lie inside the box are taken whole, without a look at their rows."""

_CHILDREN = np.arange(NODE_SIZE, dtype=np.int64)
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


def search(boxes: Boxes, levels: Sequence[Boxes], bbox: BBox) -> tuple[Rows, Rows]:
    """Find the rows whose box meets ``bbox`` (closed: a shared edge counts).

    Returns ``runs``, shape (k, 2), first and one past the last row of stretches whose features surely intersect
    ``bbox``, in order; and ``maybe``, rows in order whose geometry has to be looked at. ``levels`` is lowest first.
    """
    whole, sure, maybe = search_parts(boxes, levels, bbox)
    return merged(whole, sure), maybe


def search_parts(boxes: Boxes, levels: Sequence[Boxes], bbox: BBox) -> tuple[Rows, Rows, Rows]:
    """Like :func:`search`, but the sure rows come in two parts: runs that were taken whole, and single rows."""
    height = next((h for h, level in enumerate(levels, start=1) if len(level) <= FIRST_LOOK), 0)
    nodes: Rows | None = None if height else np.empty(0, dtype=np.int64)
    whole: list[Rows] = []
    while height:
        nodes, corners = _meeting(levels[height - 1], nodes, bbox)
        span = NODE_SIZE**height
        if len(nodes) * span >= _WHOLE_MIN:
            inside = _inside(corners, bbox)
            firsts = nodes[inside] * span
            whole.append(pairs(firsts, np.minimum(firsts + span, len(boxes))))
            nodes = nodes[~inside]
        height -= 1
        nodes = (nodes[:, None] * NODE_SIZE + _CHILDREN).reshape(-1)
        nodes = nodes[: nodes.searchsorted(len(levels[height - 1] if height else boxes))]
    rows, corners = _meeting(boxes, nodes, bbox)
    sure = _surely_intersects(corners, bbox)
    return np.concatenate(whole) if whole else NO_RUNS, rows[sure], rows[~sure]


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


def _meeting(boxes: Boxes, nodes: Rows | None, bbox: BBox) -> tuple[Rows, Boxes]:
    """Return those of the nodes (None: all) whose box meets the searched one, and their boxes."""
    minx, miny, maxx, maxy = bbox
    corners = boxes if nodes is None else boxes.take(nodes, axis=0)
    # A column at a time: one comparison of whole rows would run through numpy's loops four numbers at a time.
    meets = corners[:, 0] <= maxx
    meets &= corners[:, 2] >= minx
    meets &= corners[:, 1] <= maxy
    meets &= corners[:, 3] >= miny
    found = meets.nonzero()[0]
    if nodes is None:
        return found, corners.T.take(found, axis=1).T
    return nodes[found], corners.take(found, axis=0)


def _inside(corners: Boxes, bbox: BBox) -> npt.NDArray[np.bool_]:
    minx, miny, maxx, maxy = bbox
    return (corners[:, 0] >= minx) & (corners[:, 2] <= maxx) & (corners[:, 1] >= miny) & (corners[:, 3] <= maxy)


def _surely_intersects(corners: Boxes, bbox: BBox) -> npt.NDArray[np.bool_]:
    """Tell which features have a vertex inside ``bbox``, from their boxes alone.

    A feature that keeps within the x-range of ``bbox`` and has its lowest or its highest point in the y-range has
    that very point inside; likewise with x and y exchanged. So three of the four edges inside are enough. What is left
    are features over a corner or right across.
    """
    minx, miny, maxx, maxy = bbox
    edges = (corners[:, 0] >= minx).view(np.int8)
    edges += corners[:, 2] <= maxx
    edges += corners[:, 1] >= miny
    edges += corners[:, 3] <= maxy
    return edges >= 3
