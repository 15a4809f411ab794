"""Attribute values as finished Vector Tile ``Value`` messages, each distinct one encoded once for a whole layer."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as pat

from gisservice.model import Starts
from gisservice.tiles.shapes import offsets, ranges
from gisservice.tiles.source import ID_MAX

ABSENT = -1

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
    def of(cls, messages: Mapping[bytes, int], records: int) -> Values:
        """Frame messages, numbered from 0, and lay them end to end."""
        framed_messages = [framed(0x22, message) for message in messages]
        lengths = np.array([len(message) for message in framed_messages], dtype=np.int64)
        whole = np.fromiter((messages.get(_integer(n), ABSENT) for n in range(records + 1)), np.int32, records + 1)
        return cls(np.frombuffer(b"".join(framed_messages), dtype=np.uint8), offsets(lengths), whole)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def joined(self, which: npt.NDArray[np.integer[Any]]) -> bytes:
        """Return these messages, one after the other."""
        first = self.starts[which]
        return self.data[ranges(first, self.starts[which + 1] - first)].tobytes()

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
    messages: dict[bytes, int] = {}
    columns, fields, distinct, omitted = [], [], [], {}
    for name in table.column_names:
        array = _dictionary(table.column(name))
        encode, field = _encoder(array.dictionary)
        known = [ABSENT if message is None else messages.setdefault(message, len(messages))
                 for message in map(encode, array.dictionary.to_pylist())]  # fmt: skip
        indices = array.indices.fill_null(len(known)).to_numpy(zero_copy_only=False).astype(np.int64)
        columns.append(np.array([*known, ABSENT], dtype=np.int32)[indices])
        fields.append(field)
        distinct.append(len({code for code in known if code != ABSENT}))
        if pat.is_floating(array.dictionary.type):
            infinite = np.append(np.isinf(array.dictionary.to_numpy(zero_copy_only=False)), False)
            omitted[name] = int(infinite[indices].sum())
    codes = np.column_stack(columns) if columns else np.empty((table.num_rows, 0), dtype=np.int32)
    lost = {name: count for name, count in omitted.items() if count}
    counts = np.array(distinct, dtype=np.int64)
    return Attributes(
        tuple(table.column_names), tuple(fields), codes, Values.of(messages, table.num_rows), counts, lost
    )


def _dictionary(column: pa.ChunkedArray) -> pa.DictionaryArray:
    if not pat.is_dictionary(column.type):
        column = column.dictionary_encode()
    whole = column.unify_dictionaries().combine_chunks()
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole


def _encoder(values: pa.Array) -> tuple[Callable[[Any], bytes | None], str]:
    kind = values.type
    if pat.is_boolean(kind):
        return _boolean, "Boolean"
    if pat.is_integer(kind):
        whole = [value for value in values.to_pylist() if value is not None]
        exact = not whole or (min(whole) >= -ID_MAX and max(whole) <= ID_MAX)
        return (_optional_integer, "Number") if exact else (_text, "String")
    if pat.is_floating(kind) or pat.is_decimal(kind):
        return _number, "Number"
    if pat.is_date(kind):
        return _date, "String"
    if pat.is_timestamp(kind):
        return _moment, "String"
    return _text, "String"


def _text(value: object) -> bytes | None:
    return None if value is None else framed(0x0A, str(value).encode("utf-8", "replace"))


def _integer(value: int) -> bytes:
    return b"\x28" + varint(value) if value >= 0 else b"\x30" + varint(-2 * value - 1)


def _optional_integer(value: int | None) -> bytes | None:
    return None if value is None else _integer(value)


def _number(value: Any) -> bytes | None:
    if value is None or not np.isfinite(number := float(value)):
        return None
    number += 0.0  # turns -0.0 into 0.0
    if abs(number) <= _FLOAT32_MAX and float(np.float32(number)) == number:
        return b"\x15" + struct.pack("<f", number)
    return b"\x19" + struct.pack("<d", number)


def _boolean(value: bool | None) -> bytes | None:
    return None if value is None else b"\x38\x01" if value else b"\x38\x00"


def _date(value: date | None) -> bytes | None:
    return None if value is None else _text(value.isoformat())


def _moment(value: datetime | None) -> bytes | None:
    if value is None or value != value:
        return None
    moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return _text(moment.isoformat().replace("+00:00", "Z"))
