"""Mapbox Vector Tile 2.1 from arrays: the features of many tiles become bytes in one pass.

A feature's tags and its geometry are streams of numbers. Those of all features are laid out end to end, their byte
lengths are found by thresholds, and all bytes are written at once; Arrow puts the parts of each message together. A
tile is then a slice between two features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gisservice.model import GeometryKind, Starts
from gisservice.tiles.attributes import ABSENT, Values, binary_array, byte_strings, framed, varint
from gisservice.tiles.grid import EXTENT
from gisservice.tiles.shapes import Flags, Ints, Shapes, offsets

_TYPES = {GeometryKind.POINT: 1, GeometryKind.LINE: 2, GeometryKind.POLYGON: 3}
_MOVE, _LINE, _CLOSE = 1, 2, 15
_VERSION = b"\x78\x02"
_EXTENT_FIELD = b"\x28" + varint(EXTENT)
# An empty text, made of buffers: pa.scalar would load pandas into every server.
_NOTHING = pa.LargeBinaryArray.from_buffers(pa.large_binary(), 1, [None, pa.py_buffer(bytes(16)), pa.py_buffer(b"")])[0]


@dataclass(frozen=True)
class Encoded:
    """Geometries of one kind as tiles hold them: the command integers of each (Vector Tile 2.1, 4.3) as varints.

    ``sizes`` says how many bytes each takes.
    """

    kind: GeometryKind
    commands: pa.LargeBinaryArray
    sizes: Ints

    @classmethod
    def of(cls, shapes: Shapes) -> Encoded:
        """Encode tidy shapes in tile units."""
        return cls(shapes.kind, *_varints(*geometry_commands(shapes)))

    @classmethod
    def joined(cls, parts: Sequence[Encoded]) -> Encoded:
        """Return pieces of one kind end to end."""
        if len(parts) == 1:
            return parts[0]
        commands = pa.concat_arrays([part.commands for part in parts])
        return cls(parts[0].kind, commands, np.concatenate([part.sizes for part in parts]))

    def __len__(self) -> int:
        return len(self.sizes)

    def take(self, rows: Ints) -> Encoded:
        """Return these pieces in this order; a row may come more than once."""
        if len(rows) == len(self) and (rows == np.arange(len(rows))).all():
            return self
        return Encoded(self.kind, self.commands.take(pa.array(rows)), self.sizes[rows])


@dataclass(frozen=True)
class TileFeatures:
    """The features of some tiles, tile after tile, in the order in which they are drawn.

    ``tile`` (ascending from 0) and ``piece`` say where each feature lies and which of ``pieces`` it has; ``ids`` is
    -1 for a feature without one. ``codes[i, k]`` is what feature ``i`` has for key ``k``: an index into the layer's
    values, or that many plus a whole number, or ``ABSENT``.
    """

    pieces: Encoded
    tile: Ints
    piece: Ints
    ids: npt.NDArray[np.int64]
    codes: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.tile)


def geometry_commands(shapes: Shapes) -> tuple[npt.NDArray[np.uint32], Ints]:
    """Return the command integers of all geometries (Vector Tile 2.1, 4.3) and where each geometry's begin.

    ``shapes`` must be tidy and in tile units.
    """
    lengths = shapes.ring_lengths
    polygon, point = shapes.kind == GeometryKind.POLYGON, shapes.kind == GeometryKind.POINT
    cuts = offsets(2 * lengths + (1 if point else 3 if polygon else 2))
    out = np.empty(cuts[-1], dtype=np.uint32)
    step = np.ones(len(out), dtype=bool)
    firsts = cuts[:-1]
    out[firsts] = _MOVE | (lengths << 3) if point else _MOVE | (1 << 3)
    step[firsts] = False
    if not point:
        out[firsts + 3] = _LINE | ((lengths - 1) << 3)
        step[firsts + 3] = False
    if polygon:
        out[cuts[1:] - 1] = _CLOSE
        step[cuts[1:] - 1] = False
    out[step.nonzero()[0]] = _steps(shapes)
    return out, cuts[shapes.starts]


def _steps(shapes: Shapes) -> npt.NDArray[np.uint32]:
    """Return how far each vertex lies from the one before it in its geometry, x and y in turn, as zigzag numbers."""
    xy = shapes.xy.astype(np.int32)  # of tile units; and half the width is half the time
    steps = xy.copy()
    steps[1:] -= xy[:-1]
    begins = shapes.vertices[:-1]
    begins = begins[begins < len(steps)]
    steps[begins] = xy.take(begins, axis=0)
    zigzag: npt.NDArray[np.uint32] = ((steps << 1) ^ (steps >> 31)).view(np.uint32).ravel()
    return zigzag


def varint_lengths(numbers: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return how many bytes each number takes as a varint."""
    lengths = np.ones(len(numbers), dtype=np.uint8)
    for bits in range(7, int(numbers.max(initial=0)).bit_length(), 7):
        lengths += (numbers >= 1 << bits).view(np.uint8)
    return lengths


def varint_bytes(numbers: npt.NDArray[Any], starts: Starts) -> npt.NDArray[np.uint8]:
    """Return numbers as varints, end to end; ``starts`` are the offsets of their lengths (:func:`varint_lengths`).

    The first byte of every number is written at once, then the second of those that have one, and so on.
    """
    out = np.empty(starts[-1], dtype=np.uint8)
    at = starts[:-1]
    while len(at):
        more = numbers > 0x7F
        out[at] = numbers.astype(np.uint8) | more.view(np.uint8) << 7
        rows = more.nonzero()[0]
        at, numbers = at.take(rows) + 1, numbers.take(rows) >> 7
    return out


def encode_tiles(name: str, features: TileFeatures, keys: Sequence[str], values: Values) -> list[bytes]:
    """Return the uncompressed tiles 0, 1, … that these features make; each has one layer called ``name``."""
    if not len(features):
        return []
    cuts_of = features.tile.searchsorted(np.arange(int(features.tile[-1]) + 2))
    tags = _Tags.of(values.known(features.codes), cuts_of.tolist())
    body, starts = byte_strings(_messages(features, tags))
    ends = starts[cuts_of].tolist()
    head = _VERSION + framed(0x0A, name.encode())
    framed_keys = [framed(0x1A, key.encode()) for key in keys]
    out = []
    for tile, (first, last) in enumerate(pairwise(ends)):
        parts: list[bytes | memoryview] = [head, body[first:last]]
        parts += [framed_keys[key] for key in tags.keys[tile]]
        parts += _value_table(tags.codes[tile], values)
        out.append(framed(0x1A, b"".join([*parts, _EXTENT_FIELD])))
    return out


def _value_table(codes: npt.NDArray[np.int32], values: Values) -> list[bytes | memoryview]:
    """Return the messages of codes, in their order: the layer's values and, in the last keys, counts among them."""
    parts: list[bytes | memoryview] = []
    done = 0
    for at in np.flatnonzero(codes >= len(values)).tolist():
        parts += [values.joined(codes[done:at]), _counted(int(codes[at]) - len(values))]
        done = at + 1
    return [*parts, values.joined(codes[done:])]


def _counted(number: int) -> bytes:
    return framed(0x22, b"\x28" + varint(number))


@dataclass(frozen=True)
class _Tags:
    """Tag numbers of all features end to end (``numbers``, cut by ``cuts``), and the tables of each tile."""

    numbers: npt.NDArray[np.uint32]
    cuts: Ints
    keys: list[list[int]]
    codes: list[npt.NDArray[np.int32]]

    @classmethod
    def of(cls, codes: npt.NDArray[np.int32], tiles: Sequence[int]) -> _Tags:
        """Number keys and values tile by tile; ``tiles`` cuts the features into tiles.

        Values come key by key in the order of their first use: like beside like compresses well, and a tile's bytes
        depend on nothing outside it.
        """
        first_use = np.empty(int(codes.max(initial=0)) + 2, dtype=np.int64)
        present = codes != ABSENT
        numbers, keys, tables = [], [], []
        for first, last in pairwise(tiles):
            tags, used, table = _numbered(codes[first:last], present[first:last], first_use)
            numbers.append(tags)
            keys.append(used)
            tables.append(table)
        cuts = 2 * offsets(present.sum(axis=1))
        return cls(np.concatenate(numbers), cuts, keys, tables)


def _numbered(
    codes: npt.NDArray[np.int32], present: Flags, first_use: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint32], list[int], npt.NDArray[np.int32]]:
    """Return a tile's tags (key, value), feature by feature, the keys it uses and the codes of its values.

    ``first_use`` is room for one number a code, with one more at the end for what is absent; what it holds before
    does not matter.
    """
    by_key = codes.T.astype(np.int64, order="C").ravel()
    place = np.arange(len(by_key))
    first_use[by_key[::-1]] = place[::-1]  # where a code comes more than once, its first place is written last
    use = first_use[by_key]
    first = (use == place) & (by_key != ABSENT)
    local = first.cumsum(dtype=np.uint32).take(use)
    used: Flags = np.logical_or.reduce(present)
    tags = np.empty((*codes.shape, 2), dtype=np.uint32)
    tags[:, :, 0] = used.cumsum(dtype=np.uint32)
    tags[:, :, 1] = local.reshape(codes.shape[::-1]).T
    tags -= 1  # numbers count from 0
    pairs = tags.view(np.uint64).ravel()  # a tag is moved as one number
    numbers = pairs.take(np.flatnonzero(present)).view(np.uint32)
    return numbers, used.nonzero()[0].tolist(), by_key[first.nonzero()[0]].astype(np.int32)


def _messages(features: TileFeatures, tags: _Tags) -> pa.LargeBinaryArray:
    """Return the message of each feature, with the tag and the length that it has as a field of its layer."""
    tag_strings, tag_bytes = _varints(tags.numbers, tags.cuts)
    geometry = features.pieces.take(features.piece)
    geometry_bytes = geometry.sizes
    ids = features.ids.astype(np.uint64)
    named, tagged = features.ids >= 0, tag_bytes > 0
    length = 3 + _lengths(geometry_bytes) + geometry_bytes
    length += np.where(named, 1 + _lengths(ids), 0) + np.where(tagged, 1 + _lengths(tag_bytes) + tag_bytes, 0)
    before = np.empty((len(features), 6), dtype=np.uint64)
    before[:, 0], before[:, 1] = 0x12, length
    before[:, 2], before[:, 3] = 0x08, ids
    before[:, 4], before[:, 5] = 0x12, tag_bytes
    between = np.empty((len(features), 4), dtype=np.uint32)
    between[:, :3] = 0x18, _TYPES[geometry.kind], 0x22
    between[:, 3] = geometry_bytes
    parts = (_fields(before, named, tagged), tag_strings, _fields(between), geometry.commands)
    return pc.binary_join_element_wise(*parts, _NOTHING)


def _fields(numbers: npt.NDArray[Any], *there: Flags) -> pa.LargeBinaryArray:
    """Return rows of numbers as varints; of the last pairs of columns only those that a row has."""
    rows, width = numbers.shape
    if all(flags.all() for flags in there):
        return _varints(numbers.ravel(), width * np.arange(rows + 1))[0]
    kept = np.ones((rows, width // 2), dtype=bool)
    kept[:, -len(there) :] = np.column_stack(there)
    flat = numbers.reshape(-1, 2)[kept.ravel()].ravel()
    return _varints(flat, 2 * offsets(kept.sum(axis=1)))[0]


def _varints(numbers: npt.NDArray[Any], cuts: Ints) -> tuple[pa.LargeBinaryArray, Ints]:
    """Return slices of numbers, between consecutive cuts, as varints end to end, and how many bytes each takes."""
    starts = offsets(varint_lengths(numbers))
    ends = starts[cuts]
    return binary_array(varint_bytes(numbers, starts), ends), ends[1:] - ends[:-1]


def _lengths(numbers: npt.NDArray[Any]) -> Ints:
    return varint_lengths(numbers).astype(np.int64)
