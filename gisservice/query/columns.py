"""A version's columns as they are compared: decoded once, kept with the version, shared by all threads.

Numbers, days and times are numpy arrays. A text column is a code for each record and the distinct texts that the
codes stand for, so a predicate looks at each distinct text once, and its answers are kept for the next tile.
Everything kept is bounded in number and goes when the version goes.

Filters, conditions on one value, times and orders all look at these, so they agree on what a value is: texts are in
Unicode's normal form C, and a number that is not finite in the data is no value, as it is null in items.
"""

from __future__ import annotations

import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gisservice.catalog import Features
from gisservice.query.folding import NO_FOLDS, Folds, folded

Bools = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]
Ranks = npt.NDArray[np.int32]
Moments = npt.NDArray[np.int64]

NO_VALUE = np.int32(-1)
"""The code and the rank of an item without a value."""

_COLUMNS_KEPT = 128
_FOLDED_KEPT = 8
_ANSWERS_KEPT = 64
"""Of text predicates, one byte a distinct text each: at most some megabytes a version."""

_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}
_DAY = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_Kept = TypeVar("_Kept")


@dataclass(frozen=True)
class Vector:
    """One value a record, or one for all (shape ``()``). ``valid`` tells where there is one; None: everywhere."""

    data: npt.NDArray[Any]
    valid: Bools | None = None


@dataclass(frozen=True)
class Texts:
    """A text for each record: ``distinct[codes[i]]``, no text where the code is -1."""

    codes: npt.NDArray[np.int32]
    distinct: pa.Array
    name: str
    folds: Folds


class Recent:
    """The results used last, at most ``size`` of them. Two threads may make one result twice; none waits."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], _Kept]) -> _Kept:
        """Return what is kept under the key, made now where nothing is."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                found: _Kept = self._kept[key]
                return found
        made = make()
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return made


class Columns:
    """The decoded columns of one version."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self._columns = Recent(_COLUMNS_KEPT)
        self._folded = Recent(_FOLDED_KEPT)
        self._answers = Recent(_ANSWERS_KEPT)

    @staticmethod
    def of(features: Features) -> Columns:
        """Return the columns of a version, the same object every time."""
        with _LOCK:
            known = _KNOWN.get(features)
        if known is not None:
            return known
        made = Columns(features.attributes)
        with _LOCK:
            return _KNOWN.setdefault(features, made)

    def vector(self, name: str) -> Vector:
        """Return a column of numbers, truths, days (since 1970) or times (microseconds since 1970, UTC)."""
        return self._columns.get(name, lambda: _vector(_joined(self._table[name])))

    def texts(self, name: str, folds: Folds = NO_FOLDS) -> Texts:
        """Return a column of texts, normalized (NFC) and folded."""
        codes, distinct = self._columns.get(name, lambda: _coded(_joined(self._table[name])))
        if folds:
            distinct = self._folded.get((name, folds), lambda: _folded(distinct, folds))
        return Texts(codes, distinct, name, folds)

    def ranks(self, name: str) -> Ranks:
        """Return where each row's value stands among the column's values, from 0; -1 for no value."""
        return self._columns.get((name, "ranks"), lambda: self._ranked(name))

    def _ranked(self, name: str) -> Ranks:
        if _is_text(self._table.schema.field(name).type):
            texts = self.texts(name)
            return np.append(_dense(texts.distinct), NO_VALUE)[texts.codes]
        vector = self.vector(name)
        found = _dense(pa.array(vector.data))
        return found if vector.valid is None else np.where(vector.valid, found, NO_VALUE)

    def answers(self, texts: Texts, question: Hashable, ask: Callable[[pa.Array], pa.Array]) -> Bools:
        """Return for each distinct text whether ``ask`` says yes, and a no for code -1 behind them.

        ``question`` tells one ``ask`` from another.
        """
        return self._answers.get((texts.name, texts.folds, question), lambda: _answered(ask(texts.distinct)))


_KNOWN: WeakKeyDictionary[Features, Columns] = WeakKeyDictionary()
_LOCK = threading.Lock()


def values(features: Features, name: str) -> pa.Array:
    """Return a column as it is stored: one Arrow array, one value a row."""
    return _joined(features.attributes[name])


def ranks(features: Features, name: str) -> Ranks:
    """Return where each row's value stands among the column's values, from 0; -1 for no value.

    Texts are in the order of their Unicode code points, false comes before true.
    """
    return Columns.of(features).ranks(name)


def equal(features: Features, name: str, value: str | bool | float | date) -> Bools:
    """Return which rows have exactly this value, of the column's type; one without a value never has."""
    columns = Columns.of(features)
    if isinstance(value, str):
        texts = columns.texts(name)
        code = pc.index(texts.distinct, pa.scalar(unicodedata.normalize("NFC", value), texts.distinct.type)).as_py()
        return texts.codes == code if code >= 0 else np.zeros(len(texts.codes), dtype=np.bool_)
    vector = columns.vector(name)
    same: Bools = vector.data == _number_of(value)
    return same if vector.valid is None else same & vector.valid


def moments(features: Features, name: str) -> tuple[Moments, Moments, Bools]:
    """Return the first and last microsecond (UTC, since 1970) of each row's date or time, and which rows have none.

    A time without a zone is UTC; a date lasts its whole day.
    """
    vector = Columns.of(features).vector(name)
    missing = np.zeros(len(vector.data), dtype=np.bool_) if vector.valid is None else ~vector.valid
    if pa.types.is_date(features.attributes.schema.field(name).type):
        first = vector.data * _DAY
        return first, first + (_DAY - 1), missing
    return vector.data, vector.data, missing


def span(features: Features, name: str) -> tuple[datetime, datetime] | None:
    """Return the first and the last moment (UTC) in a column of dates or times, None where it has none."""
    first, last, missing = moments(features, name)
    if missing.all():
        return None
    ends = int(first[~missing].min()), int(last[~missing].max())
    return _EPOCH + timedelta(microseconds=ends[0]), _EPOCH + timedelta(microseconds=ends[1])


def _number_of(value: bool | float | date) -> bool | float:
    """Return a value as vectors have it: days and microseconds since 1970."""
    if isinstance(value, datetime):
        return (value - _EPOCH) // timedelta(microseconds=1)
    return (value - _EPOCH.date()).days if isinstance(value, date) else value


def _joined(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_dictionary(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _dense(column: pa.Array) -> Ranks:
    ranked: Ranks = pc.rank(column, tiebreaker="dense").to_numpy().astype(np.int32) - 1
    return ranked


def _coded(column: pa.Array) -> tuple[npt.NDArray[np.int32], pa.Array]:
    if pa.types.is_null(column.type):
        return np.full(len(column), -1, dtype=np.int32), pa.array([], type=pa.string())
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    distinct = encoded.dictionary
    if not pc.all(pc.string_is_ascii(distinct)).as_py():
        distinct = pc.utf8_normalize(distinct, "NFC")
    return codes, distinct


def _folded(distinct: pa.Array, folds: Folds) -> pa.Array:
    return pa.array([folded(text, folds) for text in distinct.to_pylist()], type=pa.string())


def _vector(column: pa.Array) -> Vector:
    kind = column.type
    if pa.types.is_null(kind):
        return Vector(np.zeros(len(column), dtype=np.int64), np.zeros(len(column), dtype=np.bool_))
    valid = None if not column.null_count else pc.is_valid(column).to_numpy(zero_copy_only=False)
    if pa.types.is_boolean(kind):
        return Vector(pc.fill_null(column, False).to_numpy(zero_copy_only=False), valid)
    if pa.types.is_timestamp(kind):
        plain = column.cast(pa.int64())
        data = _plain(plain)
        return Vector(data // 1_000 if kind.unit == "ns" else data * _MICROSECONDS[kind.unit], valid)
    if pa.types.is_date(kind):
        return Vector(_plain(column.cast(pa.date32()).cast(pa.int32())).astype(np.int64), valid)
    data = _plain(column)
    if pa.types.is_floating(kind):
        finite = np.isfinite(data)  # as in items, where a number that is not finite is null
        if not finite.all():
            valid = finite if valid is None else valid & finite
            data = np.where(finite, data, 0.0)
        return Vector(data.astype(np.float64, copy=False), valid)
    return Vector(data.astype(np.int64, copy=False), valid)


def _plain(column: pa.Array) -> npt.NDArray[Any]:
    """Return the values of a column of numbers, with a zero where there is none."""
    filled: npt.NDArray[Any] = pc.fill_null(column, 0).to_numpy(zero_copy_only=False)
    return filled


def _answered(answers: pa.Array) -> Bools:
    return np.append(answers.to_numpy(zero_copy_only=False), False).astype(np.bool_)
