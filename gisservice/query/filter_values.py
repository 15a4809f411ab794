"""A version's columns as a filter compares them: decoded once, kept with the version, shared by all threads.

Numbers, days and times are numpy arrays. A text column is a code for each record and the distinct texts that the
codes stand for, so a predicate looks at each distinct text once, and its answers are kept for the next tile.
Everything kept is bounded in number and goes when the version goes.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gisservice.catalog import Features

Bools = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]
Folds = frozenset[str]
"""``casei`` and ``accenti``, either or both: which stands inside the other makes no difference."""

NO_FOLDS: Folds = frozenset()

_COLUMNS_KEPT = 128
_FOLDED_KEPT = 8
_ANSWERS_KEPT = 64
"""Of text predicates, one byte a distinct text each: at most some megabytes a version."""

_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}
_VOICING = frozenset("\u3099\u309a")
"""Japanese voicing marks make other syllables; CQL2 recommends to keep them."""

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

    def answers(self, texts: Texts, question: Hashable, ask: Callable[[pa.Array], pa.Array]) -> Bools:
        """Return for each distinct text whether ``ask`` says yes, and a no for code -1 behind them.

        ``question`` tells one ``ask`` from another.
        """
        return self._answers.get((texts.name, texts.folds, question), lambda: _answered(ask(texts.distinct)))


_KNOWN: WeakKeyDictionary[Features, Columns] = WeakKeyDictionary()
_LOCK = threading.Lock()


def folded(text: str, folds: Folds) -> str:
    """Return a text normalized (NFC) and folded.

    ``casei`` is Unicode's full case folding; ``accenti`` takes the nonspacing marks off what is decomposed (OGC
    21-065r2, 7.3 and 7.4).

    >>> folded("Weiße Élan", frozenset({"accenti", "casei"}))
    'weisse elan'
    """
    if "accenti" in folds:
        text = _unaccented(text)
    if "casei" in folds:
        text = unicodedata.normalize("NFC", text).casefold()
        text = _unaccented(text) if "accenti" in folds else text  # folding the case of a letter may set marks free
    return unicodedata.normalize("NFC", text)


def pattern_regex(pattern: str, folds: Folds) -> str:
    r"""Return a LIKE pattern as a regular expression of RE2, which needs time linear in the text whatever it is.

    ``%`` is any run of characters, ``_`` any one, and a backslash takes the next character as it is.

    >>> pattern_regex(r"50\%_a%", frozenset())
    '\\A(?s:50\\%.a.*)\\z'
    """
    pieces, plain, at = [], "", 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character in "%_":
            pieces += [_literal(folded(plain, folds)), ".*" if character == "%" else "."]
            plain = ""
        elif character == "\\":
            plain += pattern[at]
            at += 1
        else:
            plain += character
    pieces.append(_literal(folded(plain, folds)))
    return rf"\A(?s:{re.sub(r'(?:[.][*])+', '.*', ''.join(pieces))})\z"


def _literal(text: str) -> str:
    return re.sub(r"[^\w\s]", lambda match: _escaped(match[0]), text, flags=re.ASCII)


def _escaped(character: str) -> str:
    if character == "\0":
        return r"\x00"
    return f"\\{character}" if character.isascii() else character


def _unaccented(text: str) -> str:
    if text.isascii():
        return text
    decomposed = unicodedata.normalize("NFD", text)
    return "".join(c for c in decomposed if unicodedata.category(c) != "Mn" or c in _VOICING)


def _joined(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


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
