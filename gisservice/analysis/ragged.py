"""Lines as flat arrays, and what is asked of all of them at once: how far along, which position, which part.

No line is a Python object here: a city's streets are one array of positions and one of offsets.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
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
