"""Attribute values as finished Vector Tile ``Value`` messages, each distinct one encoded once for a whole layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from gisservice.model import Starts
from gisservice.tiles.shapes import offsets, ranges
from gisservice.tiles.source import ID_MAX

ABSENT = -1

_WHOLE = 0x28
"""Tag of a whole number that is not negative, in a ``Value``."""

_FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Values:
    """Distinct ``Value`` messages, framed as fields of a layer, end to end. They carry their type: 1, 1.0, true differ.

    Message ``i`` is ``data[starts[i]:starts[i + 1]]``, bytes as uint8. ``whole[n]`` is the message of the whole
    number ``n``, or ``ABSENT``: for all numbers that records can be counted to.
    """

    data: npt.NDArray[np.uint8]
    starts: Starts
    whole: npt.NDArray[np.int32]

    @classmethod
    def of(cls, messages: _Messages, records: int) -> Values:
        """Frame distinct messages, numbered from 0."""
        whole = np.full(records + 1, ABSENT, dtype=np.int32)
        rows, numbers = messages.counts()
        within = numbers <= records
        whole[numbers[within]] = rows[within]
        table = messages.framed(0x22)
        return cls(table.data, table.starts, whole)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def joined(self, which: npt.NDArray[np.integer[Any]]) -> memoryview:
        """Return these messages, one after the other."""
        return byte_strings(self.strings.take(pa.array(which)))[0]

    @cached_property
    def strings(self) -> pa.LargeBinaryArray:
        """The messages as an array of Arrow."""
        return binary_array(self.data, self.starts)

    def known(self, codes: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Return codes in which counts (the number of messages plus a count) that have a message are that message."""
        counted = codes >= len(self)
        if not counted.any():
            return codes
        known = codes.copy()
        message = self.whole[codes[counted] - len(self)]
        known[counted] = np.where(message == ABSENT, codes[counted], message)
        return known


@dataclass(frozen=True)
class Attributes:
    """``codes[i, k]`` is the index in ``values`` of what record ``i`` has for key ``k``, or ``ABSENT``."""

    keys: tuple[str, ...]
    fields: tuple[str, ...]
    """For each key the word that TileJSON 3 uses: Number, Boolean or String."""
    codes: npt.NDArray[np.int32]
    values: Values
    distinct: npt.NDArray[np.int64]
    """Distinct values of each key."""
    omitted: dict[str, int]
    """Values that a tile cannot hold (infinite numbers), by key."""


def varint(value: int) -> bytes:
    """Return a whole number as a protobuf varint.

    >>> varint(300).hex()
    'ac02'
    """
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def framed(tag: int, content: bytes) -> bytes:
    """Return a length-delimited protobuf field."""
    length = len(content)
    return bytes((tag, length)) + content if length < 0x80 else bytes((tag,)) + varint(length) + content


def encode_attributes(table: pa.Table) -> Attributes:
    """Encode every distinct value of a table of strings, numbers, booleans, dates and times.

    Nulls and NaN are left out, infinite numbers too (and counted); -0.0 becomes 0. A column with a whole number
    beyond ±(2**53 - 1) becomes text, because browsers would round it. Dates and times become RFC 3339 text; a
    time without a zone is taken as UTC.
    """
    dictionaries = [_dictionary(table.column(name)) for name in table.column_names]
    encoded = [_encoded(array.dictionary) for array in dictionaries]
    messages, numbers = _Messages.joined([messages for messages, _ in encoded]).distinct()
    columns, distinct, omitted = [], [], {}
    first = 0
    for name, array in zip(table.column_names, dictionaries, strict=True):
        known, first = numbers[first : first + len(array.dictionary)], first + len(array.dictionary)
        indices = array.indices.fill_null(len(known)).to_numpy(zero_copy_only=False).astype(np.int64)
        columns.append(np.append(known, np.int32(ABSENT))[indices])
        distinct.append(np.count_nonzero(np.bincount(known[known != ABSENT])))
        if pat.is_floating(array.dictionary.type):
            infinite = np.append(np.isinf(array.dictionary.to_numpy(zero_copy_only=False)), False)
            omitted[name] = int(infinite[indices].sum())
    codes = np.column_stack(columns) if columns else np.empty((table.num_rows, 0), dtype=np.int32)
    return Attributes(
        tuple(table.column_names),
        tuple(field for _, field in encoded),
        codes,
        Values.of(messages, table.num_rows),
        np.array(distinct, dtype=np.int64),
        {name: count for name, count in omitted.items() if count},
    )


@dataclass(frozen=True)
class _Messages:
    """Byte strings end to end: number ``i`` is ``data[starts[i]:starts[i + 1]]``, where it is ``there`` at all."""

    data: npt.NDArray[np.uint8]
    starts: Starts
    there: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, texts: Iterable[bytes | None]) -> _Messages:
        found = list(texts)
        data = b"".join(text or b"" for text in found)
        lengths = np.array([len(text or b"") for text in found], dtype=np.int64)
        there = np.array([text is not None for text in found], dtype=bool)
        return cls(np.frombuffer(data, dtype=np.uint8), offsets(lengths), there)

    @classmethod
    def joined(cls, parts: Sequence[_Messages]) -> _Messages:
        lengths = [np.diff(part.starts) for part in parts]
        return cls(
            np.concatenate([np.zeros(0, dtype=np.uint8), *(part.data for part in parts)]),
            offsets(np.concatenate([np.zeros(0, dtype=np.int64), *lengths])),
            np.concatenate([np.zeros(0, dtype=bool), *(part.there for part in parts)]),
        )

    def binary(self) -> pa.Array:
        """Return them as an array of Arrow, null where they are not there."""
        return binary_array(self.data, self.starts, pa.array(self.there).buffers()[1])

    def distinct(self) -> tuple[_Messages, npt.NDArray[np.int32]]:
        """Return those that differ, in the order in which they first come, and for each its number among these."""
        encoded = self.binary().dictionary_encode()
        numbers = encoded.indices.fill_null(ABSENT).to_numpy(zero_copy_only=False).astype(np.int32)
        return _binary_messages(encoded.dictionary), numbers

    def counts(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return which of them are whole numbers from 0 to 2**28 - 1, and these numbers."""
        lengths, first = np.diff(self.starts), self.starts[:-1]
        rows = np.flatnonzero((lengths > 1) & (lengths < 6))
        rows = rows[self.data[first[rows]] == _WHOLE]
        numbers = np.zeros(len(rows), dtype=np.int64)
        for place in range(4):
            longer = lengths[rows] > place + 1
            byte = self.data[first[rows[longer]] + 1 + place]
            numbers[longer] |= (byte & 0x7F).astype(np.int64) << 7 * place
        return rows, numbers

    def framed(self, tag: int) -> _Messages:
        """Return them as length-delimited fields."""
        lengths = np.diff(self.starts)
        return self._led_by(_Messages.joined([]) if not len(lengths) else _varints(lengths, np.full(len(lengths), tag)))

    def _led_by(self, heads: _Messages) -> _Messages:
        """Return each with its head before it."""
        head, body = np.diff(heads.starts), np.diff(self.starts)
        starts = offsets(head + body)
        leads = np.zeros(int(starts[-1]), dtype=bool)
        leads[ranges(starts[:-1], head)] = True
        data = np.empty(len(leads), dtype=np.uint8)
        data[leads], data[~leads] = heads.data, self.data
        return _Messages(data, starts, self.there)


def _varints(numbers: npt.NDArray[np.int64], tags: npt.NDArray[np.int64]) -> _Messages:
    """Return fields of whole numbers from 0 on: a tag, less than 128, and a varint."""
    sizes = np.ones(len(numbers), dtype=np.int64)
    for bits in range(7, 63, 7):
        sizes += numbers >> bits > 0
    starts = offsets(1 + sizes)
    data = np.empty(int(starts[-1]), dtype=np.uint8)
    data[starts[:-1]] = tags
    for place in range(int(sizes.max(initial=0))):
        rows = np.flatnonzero(sizes > place)
        more = (sizes[rows] > place + 1).astype(np.int64) << 7
        data[starts[rows] + 1 + place] = numbers[rows] >> 7 * place & 0x7F | more
    return _Messages(data, starts, np.ones(len(numbers), dtype=bool))


def _dictionary(column: pa.ChunkedArray) -> pa.DictionaryArray:
    if not pat.is_dictionary(column.type):
        column = column.dictionary_encode()
    whole = column.unify_dictionaries().combine_chunks()
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole


def _encoded(values: pa.Array) -> tuple[_Messages, str]:
    """Return distinct values as messages, and what TileJSON calls their type."""
    kind = values.type
    if pat.is_string(kind) or pat.is_large_string(kind):
        return _binary_messages(values.cast(pa.large_string()).cast(pa.large_binary())).framed(0x0A), "String"
    if pat.is_boolean(kind):
        return _Messages.of(map(_boolean, values.to_pylist())), "Boolean"
    if pat.is_integer(kind) and _exact(values):
        there = values.is_valid().to_numpy(zero_copy_only=False)
        messages = _integers(values.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64))
        return _Messages(messages.data, messages.starts, there), "Number"
    if pat.is_floating(kind):
        return _numbers(values.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)), "Number"
    if pat.is_decimal(kind):
        numbers = [np.nan if value is None else float(value) for value in values.to_pylist()]
        return _numbers(np.array(numbers, dtype=np.float64)), "Number"
    encode = _date if pat.is_date(kind) else _moment if pat.is_timestamp(kind) else _text
    return _Messages.of(map(encode, values.to_pylist())), "String"


def binary_array(data: npt.NDArray[np.uint8], starts: Starts, there: pa.Buffer | None = None) -> pa.LargeBinaryArray:
    """Return byte strings that lie end to end as an array of Arrow; ``there`` marks those that are not null."""
    buffers = [there, pa.py_buffer(starts), pa.py_buffer(np.ascontiguousarray(data))]
    return pa.Array.from_buffers(pa.large_binary(), len(starts) - 1, buffers)


def byte_strings(strings: pa.LargeBinaryArray) -> tuple[memoryview, Starts]:
    """Return byte strings of Arrow end to end, and where each of them begins; nothing is copied."""
    _, cuts, data = strings.buffers()
    if not len(strings) or data is None:
        return memoryview(b""), np.zeros(len(strings) + 1, dtype=np.int64)
    starts = np.frombuffer(cuts, dtype=np.int64)[strings.offset : strings.offset + len(strings) + 1]
    return memoryview(data)[int(starts[0]) : int(starts[-1])], starts - starts[0]


def _binary_messages(values: pa.Array) -> _Messages:
    """Return an array of large binary values as messages."""
    data, starts = byte_strings(values)
    return _Messages(np.frombuffer(data, dtype=np.uint8), starts, values.is_valid().to_numpy(zero_copy_only=False))


def _exact(values: pa.Array) -> bool:
    """Tell whether browsers read all of these whole numbers exactly."""
    span = pc.min_max(values).as_py()
    return span["min"] is None or (span["min"] >= -ID_MAX and span["max"] <= ID_MAX)


def _integers(numbers: npt.NDArray[np.int64]) -> _Messages:
    negative = numbers < 0
    return _varints(np.where(negative, -2 * numbers - 1, numbers), np.where(negative, 0x30, _WHOLE))


def _numbers(numbers: npt.NDArray[np.float64]) -> _Messages:
    """Return numbers as messages, of 32 bits where that is exact; those that are not finite are not there."""
    there = np.isfinite(numbers)
    plain = np.where(there, numbers, 0.0) + 0.0  # turns -0.0 into 0.0
    short = np.clip(plain, -_FLOAT32_MAX, _FLOAT32_MAX).astype("<f4")
    exact = short == plain
    room = np.zeros((len(plain), 9), dtype=np.uint8)
    room[:, 0] = np.where(exact, 0x15, 0x19)
    room[:, 1:] = plain.astype("<f8").view(np.uint8).reshape(-1, 8)
    room[exact, 1:5] = short.view(np.uint8).reshape(-1, 4)[exact]
    used = np.arange(9) < np.where(exact, 5, 9)[:, None]
    return _Messages(room[used], offsets(used.sum(axis=1)), there)


def _text(value: object) -> bytes | None:
    return None if value is None else framed(0x0A, str(value).encode("utf-8", "replace"))


def _boolean(value: bool | None) -> bytes | None:
    return None if value is None else b"\x38\x01" if value else b"\x38\x00"


def _date(value: date | None) -> bytes | None:
    return None if value is None else _text(value.isoformat())


def _moment(value: datetime | None) -> bytes | None:
    if value is None or value != value:
        return None
    moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return _text(moment.isoformat().replace("+00:00", "Z"))
