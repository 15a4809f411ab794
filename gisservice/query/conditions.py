"""Conditions that a request can put on items without a filter expression: a column's value, a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from gisservice.catalog import Features
from gisservice.query.columns import equal, moments

Rows = npt.NDArray[np.int64]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Equals:
    """A column has exactly this value; items without a value do not pass. ``spelled`` is the value's canonical text."""

    column: str
    value: Any
    spelled: str

    @property
    def text(self) -> str:
        """Canonical text of the condition."""
        return f"{self.column}={self.spelled}"

    def among(self, features: Features, rows: Rows) -> Rows:
        """Return the rows that pass, ascending."""
        return rows[equal(features, self.column, self.value)[rows]]


@dataclass(frozen=True, slots=True)
class During:
    """A column's date or time meets a closed interval, None for an open end; items without a time pass, too.

    That an item without a time always passes is what OGC API Features 1 asks for (/req/core/fc-time-response, C).
    ``column`` None: the layer has no time, so everything passes.
    """

    column: str | None
    start: datetime | None
    end: datetime | None

    @property
    def text(self) -> str:
        """Canonical text of the condition."""
        ends = ("" if end is None else end.astimezone(UTC).isoformat() for end in (self.start, self.end))
        return f"{self.column} during {'/'.join(ends)}"

    def among(self, features: Features, rows: Rows) -> Rows:
        """Return the rows that pass, ascending."""
        if self.column is None:
            return rows
        first, last, missing = moments(features, self.column)
        passes = np.ones(len(first), dtype=np.bool_)
        if self.start is not None:
            passes &= last >= _microseconds(self.start)
        if self.end is not None:
            passes &= first <= _microseconds(self.end)
        return rows[(passes | missing)[rows]]


def _microseconds(moment: datetime) -> int:
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * _SECOND + since.microseconds
