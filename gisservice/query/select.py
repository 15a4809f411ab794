"""Query to page: which rows of a version match, in which order, and which of them are on this page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gisservice.catalog import Features
from gisservice.catalog.index import NO_ROWS, Rows, as_rows, as_runs, merged
from gisservice.errors import InvalidParameter
from gisservice.model import BBox, Page, Query
from gisservice.query.region import parts_in
from gisservice.query.sorting import ordered


class Selection(Protocol):
    """The rows that match a query, in its order: of any length, a window of it cheap."""

    @property
    def count(self) -> int:
        """How many rows match."""

    @property
    def size_bytes(self) -> int:
        """What it takes to keep."""

    def window(self, first: int, last: int) -> Rows:
        """Return the rows at the places ``first`` to ``last - 1``; places that there are not are left out."""

    def place(self, row: int) -> int | None:
        """Return the place of a row, or None where it does not match."""


@dataclass(frozen=True)
class Runs:
    """Rows in row order, kept as runs of consecutive ones, shape (k, 2): first, one past the last."""

    runs: Rows
    ends: Rows
    """How many rows there are up to the end of each run."""

    @classmethod
    def of(cls, runs: Rows) -> Runs:
        """Make a selection of runs in row order."""
        return cls(runs, np.cumsum(runs[:, 1] - runs[:, 0]))

    @property
    def count(self) -> int:
        """How many rows match."""
        return int(self.ends[-1]) if len(self.ends) else 0

    @property
    def size_bytes(self) -> int:
        """What it takes to keep."""
        return self.runs.nbytes + self.ends.nbytes

    def window(self, first: int, last: int) -> Rows:
        """Return the rows at these places."""
        wanted = np.arange(min(first, self.count), min(last, self.count), dtype=np.int64)
        run = np.searchsorted(self.ends, wanted, side="right")
        rows: Rows = self.runs[run, 1] - (self.ends[run] - wanted)
        return rows

    def place(self, row: int) -> int | None:
        """Return the place of a row."""
        run = int(np.searchsorted(self.runs[:, 0], row, side="right")) - 1
        if run < 0 or row >= self.runs[run, 1]:
            return None
        return int(self.ends[run] - (self.runs[run, 1] - row))


@dataclass(frozen=True)
class Ordered:
    """Rows one by one, in any order."""

    rows: Rows

    @property
    def count(self) -> int:
        """How many rows match."""
        return len(self.rows)

    @property
    def size_bytes(self) -> int:
        """What it takes to keep."""
        return self.rows.nbytes

    def window(self, first: int, last: int) -> Rows:
        """Return the rows at these places."""
        return self.rows[first:last]

    def place(self, row: int) -> int | None:
        """Return the place of a row."""
        found = np.flatnonzero(self.rows == row)
        return int(found[0]) if len(found) else None


@dataclass(frozen=True)
class Ascending(Ordered):
    """Rows in row order, kept as they are: where they are few, quicker than runs."""

    def place(self, row: int) -> int | None:
        """Return the place of a row."""
        found = int(self.rows.searchsorted(row))
        return found if found < len(self.rows) and self.rows[found] == row else None


def matching(features: Features, query: Query, area: BBox | None = None) -> Selection:
    """Return the rows that match a query, in its order; limit, offset and ``after`` do not matter here.

    ``query.box`` keeps the items whose geometry intersects it, decided by the geometry itself; each condition keeps
    those that pass it. ``area`` (CRS84) is where the layer lies, see :func:`gisservice.query.region.rows_in`.
    """
    whole, rows = np.array([[0, features.count]], dtype=np.int64)[: features.count], NO_ROWS
    if query.box is not None:
        whole, rows = parts_in(features, query.box, area)
    if not query.conditions and not query.sortby:
        return Runs.of(merged(whole, rows)) if len(whole) else Ascending(rows)
    if len(whole):
        rows = as_rows(merged(whole, rows))
    for condition in query.conditions:
        rows = condition.among(features, rows)
    if query.sortby:
        return Ordered(ordered(features, rows, query.sortby))
    return Runs.of(as_runs(rows))


def page_of(selection: Selection, query: Query) -> Page:
    """Return the page that a query asks for of the rows that match it.

    An offset beyond the last row gives no rows. Raises :class:`InvalidParameter` when ``query.after`` does not match.
    """
    start = query.offset
    if query.after is not None:
        found = selection.place(query.after) if query.after >= 0 else -1
        if found is None:
            raise InvalidParameter("token", str(query.after), "a token from a link of this very query")
        start = found + 1
    rows = selection.window(start, start + query.limit)
    return Page(query, rows, selection.count, start, _before(selection, start, query.limit))


def select(features: Features, query: Query, area: BBox | None = None) -> Page:
    """Return the page that a query asks for; see :func:`matching` and :func:`page_of`."""
    return page_of(matching(features, query, area), query)


def _before(selection: Selection, start: int, limit: int) -> int | None:
    """Return the row behind which the page before begins, -1 for the first page, None where there is none before."""
    first = min(start, selection.count) - max(limit, 1)
    if start == 0 or selection.count == 0:
        return None
    return int(selection.window(first - 1, first)[0]) if first > 0 else -1
