"""How much a zoom may show for every tile to stay within its bytes.

One threshold holds for all tiles of a zoom, so that they agree at their edges: geometries of less than some weight
are not drawn one by one. Before that, features of less than some weight lose the properties that are no classes.

A threshold must not move with every small change of the data, or each change would touch every tile. So it is not
the best one, but the roundest number within a range that is good enough: a range that moves a little nearly always
has the same roundest number in it. Where the range lies is reckoned from estimates, which are sums over features and
so cost next to nothing; whether the tiles really fit is seen when they are compressed, and if one does not, the next
attempt aims lower.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gisservice.tiles.shapes import Ints

BUDGET_BYTES = 500_000
"""Most bytes of a compressed tile, but at the deepest zoom, where every record is present whatever it takes."""

ALWAYS = 1 << 62
"""The weight of what is always drawn; all others weigh less."""

PARTS = 1024
"""Estimates are whole numbers of this part of a byte: sums come out alike on every machine."""

_AIM, _LOWER = 0.97, 0.9
"""Share of the budget that the first attempt aims at, and how much lower each further one does."""

_GOOD = 0.88
"""Share of what is aimed at that is good enough."""


@dataclass(frozen=True)
class Thresholds:
    """The weight from which geometries are ``drawn`` one by one, and from which features are ``detailed``."""

    drawn: int
    detailed: int


@dataclass(frozen=True)
class Sample:
    """Features of the tile at ``place`` that were compressed to learn how many bytes those of its zoom take.

    ``geometries`` (ascending) are what they were made of; ``least`` are their bytes with only their classes, ``most``
    those with all properties.
    """

    place: int
    geometries: Ints
    least: int
    most: int

    def to_array(self) -> Ints:
        """Return all of it as one array."""
        return np.concatenate([[self.place, self.least, self.most], self.geometries]).astype(np.int64)

    @classmethod
    def from_array(cls, numbers: Ints) -> Sample:
        """Return what :meth:`to_array` made an array of."""
        place, least, most = numbers[:3].tolist()
        return cls(place, numbers[3:], least, most)


@dataclass(frozen=True)
class Load:
    """What the tiles of a zoom would take: one entry for each geometry and tile that show each other.

    ``tile`` counts tiles from 0; ``plain`` is what a feature with only its classes takes, ``detail`` what its other
    properties add, ``merged`` what is left of a geometry that is not drawn by itself: all in 1/1024 of a byte.
    """

    tile: Ints
    weight: Ints
    plain: Ints
    detail: Ints
    merged: Ints

    @classmethod
    def of(cls, tile: Ints, weight: Ints, plain: Ints, detail: Ints, *, merges: bool) -> Load:
        """Return a load that takes as many bytes as given; ``merges``: geometries not drawn alone are merged."""
        return cls(tile, weight, plain * PARTS, detail * PARTS, plain * PARTS // 2 if merges else np.zeros_like(plain))

    def heaviest(self, natural: int) -> int | None:
        """Return the tile with most of what is worth drawing, or None when none could be over the budget."""
        drawn = self.weight >= natural
        total = self._by_tile(np.where(drawn, self.plain + self.detail, self.merged))
        return int(total.argmax()) if (total > BUDGET_BYTES * PARTS).any() else None

    def scaled(self, entries: Ints, sample: Sample) -> Load:
        """Return the load with estimates in proportion to what a sample takes, which some entries are."""
        plain, detail = (max(int(values[entries].sum()), 1) for values in (self.plain, self.detail))
        ratio, more = sample.least * PARTS, max(sample.most - sample.least, 0) * PARTS
        return Load(
            self.tile, self.weight, _share(self.plain, ratio, plain), _share(self.detail, more, detail),
            _share(self.merged, ratio, plain),
        )  # fmt: skip

    def thresholds(self, natural: int) -> Iterator[Thresholds]:
        """Yield thresholds that should let all tiles fit, each lower than the one before; the last show least.

        ``natural`` is the weight from which anything is worth drawing by itself.
        """
        last = None
        aim = _AIM * BUDGET_BYTES * PARTS
        while last is None or last.drawn < ALWAYS:
            found = self._within(int(aim), int(aim * _GOOD), natural) if aim > 1 else Thresholds(ALWAYS, ALWAYS)
            if found != last:
                yield found
            last, aim = found, aim * _LOWER

    def _within(self, most: int, good: int, natural: int) -> Thresholds:
        drawn = self.weight >= natural
        plain = self._by_tile(np.where(drawn, self.plain, self.merged))
        if (plain + self._by_tile(np.where(drawn, self.detail, 0)) <= most).all():
            return Thresholds(natural, 0)
        if (plain <= most).all():
            cost = np.where(drawn, self.detail, 0)
            return Thresholds(natural, roundest(*(self._least(cost, room - plain) for room in (most, good))))
        merged = self._by_tile(self.merged)
        cost = np.where(drawn, self.plain, self.merged) - self.merged
        least = roundest(*(self._least(cost, room - merged) for room in (most, good)))
        return Thresholds(max(natural, least), ALWAYS)

    def _by_tile(self, values: Ints) -> Ints:
        out: Ints = np.zeros(int(self.tile.max(initial=-1)) + 1, dtype=np.int64)
        np.add.at(out, self.tile, values)
        return out

    def _least(self, cost: Ints, room: Ints) -> int:
        """Return the smallest weight from which all features together cost a tile no more than its room."""
        order = np.lexsort([-self.weight, self.tile])
        tile, total = self.tile[order], np.cumsum(cost[order])
        before = np.concatenate([[0], total])[np.searchsorted(tile, np.arange(len(room)))]
        over = (total - before[tile] > room[tile]) & (cost[order] > 0)
        return min(int(self.weight[order][over].max(initial=-1)) + 1, ALWAYS)


def _share(values: Ints, part: int, whole: int) -> Ints:
    """Return ``values * part / whole``, rounded down, without overflow."""
    return values * ((part << 20) // whole) >> 20


def roundest(low: int, high: int) -> int:
    """Return the number from ``low`` to ``high`` that a higher power of two divides than any other there.

    >>> roundest(21, 27)
    24
    """
    if low <= 0:
        return 0
    bits = ((low - 1) ^ high).bit_length() - 1
    return high >> bits << bits
