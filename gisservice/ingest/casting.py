"""Values into declared types. What cannot be cast is null and counted; nothing is guessed.

Each distinct value is looked at once, however many records hold it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gisservice.ingest.stages import Rows
from gisservice.model import Column, ColumnType

ARROW_TYPES = {
    ColumnType.STRING: pa.string(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.NUMBER: pa.float64(),
    ColumnType.BOOLEAN: pa.bool_(),
    ColumnType.DATE: pa.date32(),
    ColumnType.DATETIME: pa.timestamp("ms", tz="UTC"),
}

EXPECTED = {
    ColumnType.STRING: "text",
    ColumnType.INTEGER: "a whole number",
    ColumnType.NUMBER: "a number",
    ColumnType.BOOLEAN: "true or false (also yes, no, y, n, t, f, 1, 0)",
    ColumnType.DATE: "a day such as 2024-03-31",
    ColumnType.DATETIME: "a time such as 2024-03-31T12:00:00Z",
}

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_DAY = re.compile(r"([0-9]{4})[-/]([0-9]{2})[-/]([0-9]{2})")
_TRUTH = {
    **dict.fromkeys(("true", "yes", "y", "t", "1"), True),
    **dict.fromkeys(("false", "no", "n", "f", "0"), False),
}
_INT64 = 2**63


class _Unusable(Exception):
    """A value that is not of its column's type."""


@dataclass(frozen=True)
class Cast:
    """A column in its declared type, and the rows where something was changed on the way.

    ``bad`` had a value that is not of the type, now null. ``trimmed`` had blanks around their text, ``respelt`` a
    code in other letters than the list's; ``unknown`` have a value that is not in the code list, kept as it is.
    """

    values: pa.Array
    bad: Rows
    trimmed: Rows
    respelt: Rows
    unknown: Rows
    example: str
    """The first unusable value, as text."""


def cast(column: pa.ChunkedArray, declared: Column) -> Cast:
    """Bring one column into its declared type; texts are trimmed, and an empty one is null."""
    encoded = _encode(column)
    seen = encoded.dictionary.to_pylist()
    convert = _CONVERTERS[declared.type]
    codes = {_folded(code): code for code, _ in declared.codes}
    values: list[Any] = []
    kinds = {"bad": [False] * len(seen), "trimmed": [False] * len(seen), "respelt": [False] * len(seen)}
    kinds["unknown"] = [False] * len(seen)
    example = ""
    for position, value in enumerate(seen):
        plain = value.strip() if isinstance(value, str) else value
        kinds["trimmed"][position] = isinstance(value, str) and plain != value
        try:
            result = None if _is_blank(plain) else convert(plain)
        except _Unusable:
            kinds["bad"][position] = True
            example = example or str(value)
            result = None
        if codes and result is not None:
            code = codes.get(_folded(result))
            kinds["respelt"][position] = code is not None and code != result
            kinds["unknown"][position] = code is None
            result = result if code is None else code
        values.append(result)
    indices = encoded.indices
    taken = pa.array(values, type=ARROW_TYPES[declared.type]).take(indices)
    rows = {kind: _rows(indices, flags) for kind, flags in kinds.items()}
    return Cast(taken, rows["bad"], rows["trimmed"], rows["respelt"], rows["unknown"], example)


def _encode(column: pa.ChunkedArray) -> pa.DictionaryArray:
    joined = column.combine_chunks()
    if isinstance(joined, pa.ChunkedArray):
        joined = pa.concat_arrays(joined.chunks)
    if pa.types.is_timestamp(joined.type) and joined.type.unit == "ns":  # a time finer than Python's
        joined = joined.cast(pa.timestamp("us", joined.type.tz), safe=False)
    return joined.dictionary_encode()


def _rows(indices: pa.Array, flags: list[bool]) -> Rows:
    if not any(flags):
        return np.empty(0, dtype=np.int64)
    hit = pc.fill_null(pa.array(flags).take(indices), False)
    return np.flatnonzero(hit.to_numpy(zero_copy_only=False)).astype(np.int64)


def _is_blank(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _Unusable
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value)


def _integer(value: Any) -> int:
    if isinstance(value, float):
        if not value.is_integer():
            raise _Unusable
        value = int(value)
    elif isinstance(value, str):
        if not _INTEGER.fullmatch(value):
            return _integer(_finite(value))
        value = int(value)
    elif not isinstance(value, int):
        raise _Unusable
    if not -_INT64 <= value < _INT64:
        raise _Unusable
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, str):
        return _finite(value)
    if not isinstance(value, int | float) or math.isinf(value):
        raise _Unusable
    return float(value)


def _finite(text: str) -> float:
    if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise _Unusable
    return float(text)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    truth = _TRUTH.get(_text(value).casefold())
    if truth is None:
        raise _Unusable
    return truth


def _date(value: Any) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    if isinstance(value, str):
        match = _DAY.match(value)
        rest = value[match.end() :] if match else ""
        if match and (not rest or rest[0] in " T"):
            try:
                return date(int(match[1]), int(match[2]), int(match[3]))
            except ValueError as exc:
                raise _Unusable from exc
    raise _Unusable


def _datetime(value: Any) -> datetime:
    """Return a time in UTC; one that names no zone is taken as UTC, as GDAL and Esri's services write it."""
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.replace("/", "-"))
        except ValueError as exc:
            raise _Unusable from exc
    if not isinstance(value, datetime):
        raise _Unusable
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError as exc:
        raise _Unusable from exc


_CONVERTERS: dict[ColumnType, Callable[[Any], Any]] = {
    ColumnType.STRING: _text,
    ColumnType.INTEGER: _integer,
    ColumnType.NUMBER: _number,
    ColumnType.BOOLEAN: _boolean,
    ColumnType.DATE: _date,
    ColumnType.DATETIME: _datetime,
}
