"""The nearest place on many lines, for many points at once, exactly.

Lines are divided into short straight pieces, and a k-d tree finds the pieces whose middles are nearest to a point. A
piece cannot be nearer than its middle less half its length, so a few candidates decide; where they do not, more are
asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gisservice.analysis.ragged import Floats, Ints, Lines

_CANDIDATES = 8


@dataclass(frozen=True)
class Beside:
    """For each point ``asked`` that has a line near: that line, how far along it, and how far away it is."""

    asked: Ints
    line: Ints
    along: Floats
    distance: Floats


class Pieces:
    """Some of the lines, in pieces no longer than ``spacing``."""

    def __init__(self, lines: Lines, chosen: Ints, spacing: float) -> None:
        from scipy.spatial import cKDTree

        self._line, self._start, self._low, self._step = _divided(lines, chosen, spacing)
        self._half = float(np.hypot(*self._step.T).max(initial=0.0)) / 2
        # Unbalanced it is made in half the time, and pieces of streets lie evenly enough.
        self._tree = cKDTree(self._start + self._step / 2, leafsize=8, balanced_tree=False)
        per = 1.0 / (self._step**2).sum(axis=1)
        self._columns = *np.ascontiguousarray(self._start.T), *np.ascontiguousarray(self._step.T), per

    def nearest(self, points: Floats, limit: float) -> Beside:
        """Return the nearest place on the lines for each point (shape (n, 2), finite) that has one within ``limit``."""
        pairs = np.ascontiguousarray(points).view(np.complex128).reshape(-1)  # x and y as one number, to be sorted by
        spots, of_point = np.unique(pairs, return_inverse=True)  # units of a building share one
        points = spots.view(np.float64).reshape(-1, 2)
        pieces = np.zeros(len(points), np.int64)
        shares, distances = np.zeros(len(points)), np.full(len(points), np.inf)
        left, count = np.arange(len(points)), _CANDIDATES
        while len(left) and self._tree.n:
            count = min(count, self._tree.n)
            middles, candidates = self._tree.query(points[left], count, distance_upper_bound=limit + self._half)
            middles, candidates = middles.reshape(len(left), count), candidates.reshape(len(left), count)
            pieces[left], shares[left], distances[left] = self._best(points[left], candidates)
            unsure = distances[left] > middles[:, -1] - self._half
            left = left[unsure & np.isfinite(middles[:, -1])] if count < self._tree.n else left[:0]
            count *= 4
        spot = of_point.reshape(-1)
        asked = np.flatnonzero(distances[spot] <= limit)
        spot = spot[asked]
        piece = pieces[spot]
        length = np.hypot(*self._step[piece].T)
        return Beside(asked, self._line[piece], self._low[piece] + shares[spot] * length, distances[spot])

    def _best(self, points: Floats, candidates: Ints) -> tuple[Ints, Floats, Floats]:
        """Return of each point's candidates the nearest piece, the share of it that lies before, and the distance."""
        pieces, shares = np.zeros(len(points), np.int64), np.zeros(len(points))
        squares = np.full(len(points), np.inf)
        x, y = np.ascontiguousarray(points.T)
        for column in candidates.T:  # one candidate of every point at a time: arrays that stay in the cache
            piece = np.minimum(column, self._tree.n - 1)  # where there is no other candidate, the last piece of all
            start_x, start_y, step_x, step_y, per = (values[piece] for values in self._columns)
            ahead_x, ahead_y = x - start_x, y - start_y
            share = np.clip((ahead_x * step_x + ahead_y * step_y) * per, 0.0, 1.0)
            square = (ahead_x - step_x * share) ** 2 + (ahead_y - step_y * share) ** 2
            better = square < squares
            pieces, shares, squares = (
                np.where(better, new, old) for new, old in ((piece, pieces), (share, shares), (square, squares))
            )
        return pieces, shares, np.sqrt(squares)


def _divided(lines: Lines, chosen: Ints, spacing: float) -> tuple[Ints, Floats, Floats, Floats]:
    """Return line, first position, distance along and extent (x, y) of each piece."""
    part = lines.taken(chosen)
    steps = np.diff(part.coordinates, axis=0)
    lengths = np.hypot(*steps.T)
    own = lengths > 0
    own[part.starts[1:-1] - 1] = False  # from the end of a line to the beginning of the next
    first = np.flatnonzero(own)
    count = np.ceil(lengths[first] / spacing).astype(np.int64)
    begin = np.repeat(first, count)
    rank = np.arange(len(begin)) - np.repeat(np.cumsum(count) - count, count)
    share = 1.0 / np.repeat(count, count)
    step = steps[begin] * share[:, None]
    line = chosen[np.searchsorted(part.starts, begin, side="right") - 1]
    start: npt.NDArray[np.float64] = part.coordinates[begin] + step * rank[:, None]
    return line, start, part.along[begin] + lengths[begin] * share * rank, step
