"""Mapbox Vector Tile 2.1 from arrays: the features of many tiles become bytes in one pass.

Every part of a feature message but its attribute texts is a stream of varints, tags and lengths included. So the
numbers of all features are laid out end to end, their byte lengths are found by thresholds, and all bytes are
written at once; a tile is then a slice between two features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from gisservice.model import GeometryKind
from gisservice.tiles.attributes import ABSENT, Values, framed, varint
from gisservice.tiles.grid import EXTENT
from gisservice.tiles.shapes import Flags, Ints, Shapes, offsets, ranges, sums

_TYPES = {GeometryKind.POINT: 1, GeometryKind.LINE: 2, GeometryKind.POLYGON: 3}
_MOVE, _LINE, _CLOSE = 1, 2, 15
_MORE = np.array([0, 0, 0x80, 0x8080, 0x808080, *[0x80808080] * 6], dtype=np.uint32)
"""For each length of a varint the bits of its first four bytes that say that another byte follows."""
_USED = (np.arange(4) < np.arange(11)[:, None]).view(np.uint32).ravel()
"""For each length which of the first four bytes there are."""
_VERSION = b"\x78\x02"
_EXTENT_FIELD = b"\x28" + varint(EXTENT)


@dataclass(frozen=True)
class TileFeatures:
    """The features of some tiles, tile after tile, in the order in which they are drawn.

    ``tile`` (ascending from 0) and ``piece`` say where each feature lies and which of ``pieces`` it has; ``ids`` is
    -1 for a feature without one. ``codes[i, k]`` is what feature ``i`` has for key ``k``: an index into the layer's
    values, or that many plus a whole number, or ``ABSENT``.
    """

    pieces: Shapes
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
    extra = 1 if point else 3 if polygon else 2
    sizes = 2 * lengths + extra
    cuts = offsets(sizes)
    out = np.empty(cuts[-1], dtype=np.uint32)
    firsts = cuts[:-1]
    out[firsts] = _MOVE | (lengths << 3) if point else _MOVE | (1 << 3)
    within = ranges(np.zeros(len(lengths), dtype=np.int64), lengths)
    at = np.repeat(firsts + 1, lengths) + 2 * within
    if not point:
        out[firsts + 3] = _LINE | ((lengths - 1) << 3)
        at += within > 0
    if polygon:
        out[cuts[1:] - 1] = _CLOSE
    steps = shapes.xy.copy()
    steps[1:] -= shapes.xy[:-1]
    begins = shapes.vertices[:-1]
    begins = begins[begins < len(steps)]
    steps[begins] = shapes.xy[begins]
    zigzag = ((steps << 1) ^ (steps >> 63)).astype(np.uint32)
    out[at], out[at + 1] = zigzag[:, 0], zigzag[:, 1]
    return out, cuts[shapes.starts]


def varint_lengths(numbers: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return how many bytes each number takes as a varint."""
    lengths = np.ones(len(numbers), dtype=np.uint8)
    lengths += numbers > 0x7F
    wide = np.flatnonzero(numbers > 0x3FFF)
    rest = numbers[wide] >> 14
    while len(wide):
        lengths[wide] += 1
        more = rest > 0x7F
        wide, rest = wide[more], rest[more] >> 7
    return lengths


def varint_bytes(numbers: npt.NDArray[Any], lengths: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return numbers as varints, end to end; ``lengths`` is what :func:`varint_lengths` says.

    The first four bytes of each number are made at once, as one word; what longer ones have beyond is put in after.
    """
    longer = np.flatnonzero(lengths > 4)
    low = (numbers & 0xFFFFFFF).astype(np.uint32, copy=False)
    words = low & 0x7F
    for place in (1, 2, 3):
        words |= (low << place) & (0x7F << 8 * place)
    words |= _MORE[lengths]
    used = np.flatnonzero(_USED[lengths].view(np.bool_))  # several times faster than to index by truth values
    out = words.astype("<u4", copy=False).view(np.uint8)[used]
    if len(longer):
        tails = numbers[longer] >> 28
        tail_lengths = varint_lengths(tails)
        ends = np.cumsum(np.minimum(lengths, 4), dtype=np.int64)[longer]
        out = np.insert(out, np.repeat(ends, tail_lengths), varint_bytes(tails, tail_lengths))
    return out


def encode_tiles(name: str, features: TileFeatures, keys: Sequence[str], values: Values) -> list[bytes]:
    """Return the uncompressed tiles 0, 1, … that these features make; each has one layer called ``name``."""
    tiles = int(features.tile[-1]) + 1 if len(features) else 0
    cuts_of = np.searchsorted(features.tile, np.arange(tiles + 1))
    tags = _Tags.of(values.known(features.codes), cuts_of.tolist())
    stream, cuts = _feature_stream(features, tags)
    lengths = varint_lengths(stream)
    body = varint_bytes(stream, lengths).tobytes()
    ends = offsets(lengths)[cuts[cuts_of]].tolist()
    head = _VERSION + framed(0x0A, name.encode())
    framed_keys = [framed(0x1A, key.encode()) for key in keys]
    out = []
    for tile in range(tiles):
        parts = [head, body[ends[tile] : ends[tile + 1]]]
        parts += [framed_keys[key] for key in tags.keys[tile]]
        parts += _value_table(tags.codes[tile], values)
        out.append(framed(0x1A, b"".join([*parts, _EXTENT_FIELD])))
    return out


def _value_table(codes: npt.NDArray[np.int32], values: Values) -> list[bytes]:
    """Return the messages of codes, in their order: the layer's values and, in the last keys, counts among them."""
    parts, done = [], 0
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
        first_use = np.empty(int(codes.max(initial=0)) + 1, dtype=np.int32)
        present = codes != ABSENT
        numbers, keys, tables = [np.empty((0, 2), dtype=np.uint32)], [], []
        for first, last in pairwise(tiles):
            tags, used, table = _numbered(codes[first:last], present[first:last], first_use)
            numbers.append(tags)
            keys.append(used)
            tables.append(table)
        cuts = 2 * offsets(present.sum(axis=1))
        return cls(np.concatenate(numbers).ravel(), cuts, keys, tables)


def _numbered(
    codes: npt.NDArray[np.int32], present: Flags, first_use: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.uint32], list[int], npt.NDArray[np.int32]]:
    """Return a tile's tags (key, value), feature by feature, the keys it uses and the codes of its values.

    ``first_use`` is room for one number a code; what it holds before does not matter.
    """
    by_key = np.ascontiguousarray(codes.T).ravel()
    at = np.flatnonzero(by_key != ABSENT)
    column = by_key[at]
    place = np.arange(len(column), dtype=np.int32)
    first_use[column[::-1]] = place[::-1]  # where a code comes more than once, its first place is written last
    use = first_use[column]
    first = use == place
    local = np.empty(codes.size, dtype=np.uint32)
    local[at] = (np.cumsum(first, dtype=np.uint32) - 1)[use]
    at = np.flatnonzero(present)
    used = present.any(axis=0)
    tags = np.empty((len(at), 2), dtype=np.uint32)
    tags[:, 0] = np.broadcast_to(np.cumsum(used, dtype=np.uint32) - 1, codes.shape).ravel()[at]
    tags[:, 1] = np.ascontiguousarray(local.reshape(codes.shape[::-1]).T).ravel()[at]
    return tags, np.flatnonzero(used).tolist(), np.compress(first, column)


def _feature_stream(features: TileFeatures, tags: _Tags) -> tuple[npt.NDArray[Any], Ints]:
    """Return all feature messages, with tag and length, as numbers to be written as varints, and their cuts."""
    commands, command_cuts = geometry_commands(features.pieces)
    counts = np.diff(command_cuts)[features.piece]
    tag_counts = np.diff(tags.cuts)
    tag_bytes = sums(varint_lengths(tags.numbers), tags.cuts)
    geometry_bytes = sums(varint_lengths(commands), command_cuts)[features.piece]
    tagged, named = (tag_counts > 0).astype(np.int64), (features.ids >= 0).astype(np.int64)
    cuts = offsets(6 + 2 * tagged + 2 * named + tag_counts + counts)
    wide = features.ids.max(initial=0) >> 32
    out = np.empty(cuts[-1], dtype=np.uint64 if wide else np.uint32)  # half the memory is half the time
    first, tag_first, last = cuts[:-1], cuts[:-1] + 2 + 2 * named, cuts[1:] - counts
    ids = np.maximum(features.ids, 0)
    id_part, tag_part = named * (1 + _lengths(ids)), tagged * (1 + _lengths(tag_bytes)) + tag_bytes
    out[first], out[first + 1] = 0x12, id_part + tag_part + 3 + _lengths(geometry_bytes) + geometry_bytes
    rows = np.flatnonzero(named)
    out[first[rows] + 2], out[first[rows] + 3] = 0x08, ids[rows]
    rows = np.flatnonzero(tagged)
    out[tag_first[rows]], out[tag_first[rows] + 1] = 0x12, tag_bytes[rows]
    out[ranges(tag_first + 2 * tagged, tag_counts)] = tags.numbers
    out[last - 4], out[last - 3] = 0x18, _TYPES[features.pieces.kind]
    out[last - 2], out[last - 1] = 0x22, geometry_bytes
    out[ranges(last, counts)] = commands[ranges(command_cuts[:-1][features.piece], counts)]
    return out, cuts


def _lengths(numbers: npt.NDArray[Any]) -> Ints:
    return varint_lengths(numbers.astype(np.uint64)).astype(np.int64)
