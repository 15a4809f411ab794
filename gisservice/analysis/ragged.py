"""Lines as flat arrays, and what is asked of all of them at once: how far along, which position, which part.

No line is a Python object here: a city's streets are one array of positions and one of offsets.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Lines:
    """Line ``i`` has the positions ``coordinates[starts[i]:starts[i + 1]]``, at least two; shape (c, 2), x before y."""

    coordinates: Floats
    starts: Ints

    @classmethod
    def of(cls, shapes: npt.NDArray[Any]) -> Lines:
        """Take LineStrings, none of them empty."""
        coordinates, owner = shapely.get_coordinates(shapes, return_index=True)
        return cls(coordinates, np.searchsorted(owner, np.arange(len(shapes) + 1)))

    def __len__(self) -> int:
        return len(self.starts) - 1

    @cached_property
    def along(self) -> Floats:
        """How far each position lies from the beginning of its line, in the unit of the coordinates."""
        steps = np.zeros(len(self.coordinates))
        steps[1:] = np.hypot(*np.diff(self.coordinates, axis=0).T)
        steps[self.starts[:-1]] = 0.0
        total = np.cumsum(steps)
        along: Floats = total - np.repeat(total[self.starts[:-1]], np.diff(self.starts))
        return along

    @cached_property
    def lengths(self) -> Floats:
        """Length of each line."""
        lengths: Floats = self.along[self.starts[1:] - 1]
        return lengths

    @cached_property
    def offsets(self) -> Floats:
        """What is added to a distance along each line, so that places on all lines are in one ascending order."""
        return np.concatenate([[0.0], np.cumsum(self.lengths + 1.0)])

    @cached_property
    def shapes(self) -> npt.NDArray[Any]:
        """The lines as LineStrings."""
        return self._made(self.coordinates, self.starts)

    def ends(self) -> Floats:
        """Return first and last position of each line, shape (n, 2, 2)."""
        return np.stack([self.coordinates[self.starts[:-1]], self.coordinates[self.starts[1:] - 1]], axis=1)

    def taken(self, chosen: Ints) -> Lines:
        """Return some of the lines, in the order given."""
        counts = np.diff(self.starts)[chosen]
        starts = np.concatenate([[0], np.cumsum(counts)])
        inside = np.arange(starts[-1]) - np.repeat(starts[:-1], counts)
        return Lines(self.coordinates[np.repeat(self.starts[:-1][chosen], counts) + inside], starts)

    def positions(self, line: Ints, distance: Floats) -> Floats:
        """Return the positions at distances along lines, shape (k, 2)."""
        before = np.searchsorted(self._keys, self.offsets[line] + distance, side="right") - 1
        before = np.clip(before, self.starts[line], self.starts[line + 1] - 2)
        span = self.along[before + 1] - self.along[before]
        share = np.clip((distance - self.along[before]) / np.where(span > 0, span, 1.0), 0.0, 1.0)[:, None]
        here, there = self.coordinates[before], self.coordinates[before + 1]
        found: Floats = here + (there - here) * share
        return found

    def parts(self, line: Ints, low: Floats, high: Floats) -> Lines:
        """Return the parts of lines from ``low`` to ``high`` along them, one line for each entry."""
        first = np.searchsorted(self._keys, self.offsets[line] + low, side="right")
        inside = np.maximum(np.searchsorted(self._keys, self.offsets[line] + high, side="left") - first, 0)
        starts = np.concatenate([[0], np.cumsum(inside + 2)])
        coordinates = np.empty((starts[-1], 2))
        coordinates[starts[:-1]] = self.positions(line, low)
        coordinates[starts[1:] - 1] = self.positions(line, high)
        rank = np.arange(inside.sum()) - np.repeat(np.cumsum(inside) - inside, inside)
        coordinates[np.repeat(starts[:-1] + 1, inside) + rank] = self.coordinates[np.repeat(first, inside) + rank]
        return Lines(coordinates, starts)

    @cached_property
    def _keys(self) -> Floats:
        keys: Floats = self.along + np.repeat(self.offsets[:-1], np.diff(self.starts))
        return keys

    @staticmethod
    def _made(coordinates: Floats, starts: Ints) -> npt.NDArray[Any]:
        made: npt.NDArray[Any] = shapely.from_ragged_array(
            shapely.GeometryType.LINESTRING, np.ascontiguousarray(coordinates), (np.asarray(starts),)
        )
        return made


def joined(lines: Lines, nodes: Ints) -> Lines:
    """Return the same lines put end to end where they meet, straight on rather than round corners: few long ones.

    ``nodes``, shape (n, 2), says in which node each line begins and ends; -1 where it meets no other.
    """
    mates = _mates(lines, nodes).tolist()
    seen, order, heads = bytearray(len(lines)), list[int](), list[int]()
    for end in chain((end for end, mate in enumerate(mates) if mate < 0), range(0, len(mates), 2)):  # then rings
        if not seen[end >> 1]:
            heads.append(len(order))
        while end >= 0 and not seen[end >> 1]:
            seen[end >> 1] = 1
            order.append(end)
            end = mates[end ^ 1]
    entered = np.array(order, np.int64)
    line, back = entered >> 1, (entered & 1).astype(bool)
    counts = np.diff(lines.starts)[line]
    behind = np.concatenate([[0], np.cumsum(counts)])
    rank = np.arange(behind[-1]) - np.repeat(behind[:-1], counts)
    begin, step = np.where(back, lines.starts[line + 1] - 1, lines.starts[line]), np.where(back, -1, 1)
    place = np.repeat(begin, counts) + np.repeat(step, counts) * rank
    return Lines(lines.coordinates[place], behind[[*heads, len(order)]])


def _mates(lines: Lines, nodes: Ints) -> Ints:
    """Return for each end (2 i where line i begins, 2 i + 1 where it ends) the one that it is joined to, or -1.

    Ends at a node are sorted by how their lines lean, and neighbours are joined: so those of one street mostly are.
    """
    first, last = lines.starts[:-1], lines.starts[1:] - 1
    inward = np.stack([first + 1, last - 1], axis=1).reshape(-1)
    step = lines.coordinates[inward] - lines.coordinates[np.stack([first, last], axis=1).reshape(-1)]
    node, lean = nodes.reshape(-1), np.arctan2(step[:, 1], step[:, 0]) % np.pi
    at = np.flatnonzero(node >= 0)
    at = at[np.lexsort((lean[at], node[at]))]
    rank = np.arange(len(at)) - np.searchsorted(node[at], node[at])
    one = np.flatnonzero((rank[:-1] % 2 == 0) & (node[at[:-1]] == node[at[1:]]))
    mates = np.full(len(node), -1)
    mates[at[one]], mates[at[one + 1]] = at[one + 1], at[one]
    return mates


def merged(line: Ints, low: Floats, high: Floats) -> tuple[Ints, Floats, Floats]:
    """Join intervals on lines where they overlap or touch; sorted by line, then by where they begin."""
    if not len(line):
        return line, low, high
    order = np.lexsort((low, line))
    line, low, high = line[order], low[order], high[order]
    shift = line * (float(high.max()) + 1.0)  # intervals of different lines then never overlap
    far = np.maximum.accumulate(high + shift)
    begins = np.concatenate([[True], (low + shift)[1:] > far[:-1]])
    first = np.flatnonzero(begins)
    last = np.concatenate([first[1:], [len(line)]]) - 1
    return line[first], low[first], (far - shift)[last]
