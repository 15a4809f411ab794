"""A version's columns as arrays that can be compared at once, worked out when first asked for and kept with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gisservice.catalog import Features

Ranks = npt.NDArray[np.int32]
Moments = npt.NDArray[np.int64]

NO_VALUE = np.int32(-1)
"""The rank of an item without a value."""

_DAY = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RANKS: WeakKeyDictionary[Features, dict[str, Ranks]] = WeakKeyDictionary()
_MOMENTS: WeakKeyDictionary[Features, dict[str, tuple[Moments, Moments, npt.NDArray[np.bool_]]]] = WeakKeyDictionary()


def values(features: Features, name: str) -> Any:
    """Return a column as one Arrow array, one value a row."""
    column = features.attributes[name]
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def ranks(features: Features, name: str) -> Ranks:
    """Return where each row's value stands among the column's distinct values, from 0; -1 for no value.

    Texts are in the order of their Unicode code points, false comes before true; a number that is not finite in the
    data is no value, as it is null in items.
    """
    known = _RANKS.setdefault(features, {})
    if name not in known:
        known[name] = _ranks(values(features, name))
    return known[name]


def _ranks(column: Any) -> Ranks:
    if pa.types.is_dictionary(column.type):
        order = pc.sort_indices(column.dictionary).to_numpy()
        place = np.empty(len(order), dtype=np.int32)
        place[order] = np.arange(len(order), dtype=np.int32)
        codes = pc.fill_null(column.indices, -1).to_numpy(zero_copy_only=False)
        return np.where(codes < 0, NO_VALUE, np.append(place, NO_VALUE)[codes])
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_finite(column), column, None)
    missing = pc.is_null(column).to_numpy(zero_copy_only=False)
    found = pc.rank(column, tiebreaker="dense").to_numpy().astype(np.int32) - 1
    return np.where(missing, NO_VALUE, found)


def equal(features: Features, name: str, value: Any) -> npt.NDArray[np.bool_]:
    """Return which rows have exactly this value; one without a value never has."""
    column = values(features, name)
    if pa.types.is_dictionary(column.type):
        code = pc.index(column.dictionary, pa.scalar(value, column.dictionary.type)).as_py()
        if code < 0:
            return np.zeros(len(column), dtype=np.bool_)
        column, value = column.indices, code
    found = pc.fill_null(pc.equal(column, pa.scalar(value, column.type)), False)
    return found.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def moments(features: Features, name: str) -> tuple[Moments, Moments, npt.NDArray[np.bool_]]:
    """Return the first and last microsecond (UTC, since 1970) of each row's date or time, and which rows have none.

    A time without a zone is UTC; a date lasts its whole day.
    """
    known = _MOMENTS.setdefault(features, {})
    if name not in known:
        known[name] = _moments(values(features, name))
    return known[name]


def span(features: Features, name: str) -> tuple[datetime, datetime] | None:
    """Return the first and the last moment (UTC) in a column of dates or times, None where it has none."""
    first, last, missing = moments(features, name)
    if missing.all():
        return None
    ends = int(first[~missing].min()), int(last[~missing].max())
    return _EPOCH + timedelta(microseconds=ends[0]), _EPOCH + timedelta(microseconds=ends[1])


def _moments(column: Any) -> tuple[Moments, Moments, npt.NDArray[np.bool_]]:
    missing = pc.is_null(column).to_numpy(zero_copy_only=False)
    lasts = _DAY - 1 if pa.types.is_date(column.type) else 0
    timed = column.cast(pa.timestamp("us"), safe=False) if pa.types.is_date(column.type) else column
    zone = timed.type.tz
    instants = timed.cast(pa.timestamp("us", zone), safe=False).cast(pa.int64())
    first = pc.fill_null(instants, 0).to_numpy(zero_copy_only=False)
    return first, first + lasts, missing
