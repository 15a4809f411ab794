"""PMTiles version 3: one file with a whole pyramid, each tile compressed as it will be sent.

Specification: github.com/protomaps/PMTiles, spec/v3. Written here: clustered (tiles lie in the order of their
places), deduplicated (equal tiles are stored once), directories run-length coded and split into leaves only when
the root would not fit the first 16 KiB. Tiles are compressed with gzip (without a time in it) or brotli, directories
and metadata always with gzip; equal input gives equal bytes.
"""

from __future__ import annotations

import hashlib
import struct
import tempfile
import zlib
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import brotli
import numpy as np
import numpy.typing as npt
import orjson
from isal import isal_zlib

from gisservice.errors import CatalogError
from gisservice.model import BBox
from gisservice.pack import mapped
from gisservice.tiles.grid import TileCoord, tile_id

TILES_FILE = "tiles.pmtiles"
"""What the archive of a version is called in its folder; its tiles are compressed with gzip."""

BROTLI_FILE = "tiles.br.pmtiles"
"""What the archive of the same tiles, compressed with brotli, is called."""

_HEADER = struct.Struct("<7sB 8Q 3Q 6B 4i B 2i")
_ROOT_BYTES_MAX = 16_384 - _HEADER.size
_LEAF_ENTRIES = 4_096
_GZIP = 2
_CODES = {"": 1, "gzip": _GZIP, "br": 3}
_ENCODINGS = {code: name for name, code in _CODES.items()}
_KINDS = {"mvt": 1, "png": 2, "jpg": 3, "webp": 4}
_KIND_NAMES = {code: name for name, code in _KINDS.items()}
_GZIP_LEVEL, _BROTLI_QUALITY = 5, 5
"""Measured on the real parcels: one more takes half as long again, for 0.3 % (gzip) and 0.05 % (brotli) fewer bytes."""

_DEGREES = 10_000_000


def compress(data: bytes, level: int = _GZIP_LEVEL) -> bytes:
    """Return one gzip member (RFC 1952) that holds no time and no name: equal input, equal bytes."""
    coder = zlib.compressobj(level, zlib.DEFLATED, 31, 9)
    return coder.compress(data) + coder.flush()


def decompress(data: bytes) -> bytes:
    """Return what :func:`compress` was given."""
    content: bytes = isal_zlib.decompress(data, 31)
    return content


def compress_brotli(data: bytes) -> bytes:
    """Return one brotli stream (RFC 7932); equal input, equal bytes."""
    packed: bytes = brotli.compress(data, quality=_BROTLI_QUALITY)
    return packed


@dataclass(frozen=True, slots=True)
class Header:
    """The fixed part of an archive: where its sections lie and what it covers. Offsets and lengths in bytes."""

    root_offset: int
    root_length: int
    metadata_offset: int
    metadata_length: int
    leaves_offset: int
    leaves_length: int
    data_offset: int
    data_length: int
    addressed: int
    """Tiles that can be asked for."""
    entries: int
    """Rows of the directories: runs of equal tiles count once."""
    contents: int
    """Distinct tiles stored."""
    minzoom: int
    maxzoom: int
    bounds: BBox
    """CRS84."""
    encoding: str
    """How the tiles are compressed: ``gzip`` or ``br``, as HTTP calls it, or not at all: the empty text."""
    kind: str = "mvt"
    """What a tile is: ``mvt``, ``png``, ``jpg`` or ``webp``."""

    def to_bytes(self) -> bytes:
        """Return the 127 bytes that an archive begins with."""
        west, south, east, north = (_fixed(value) for value in self.bounds)
        middle = _fixed((self.bounds[0] + self.bounds[2]) / 2), _fixed((self.bounds[1] + self.bounds[3]) / 2)
        return _HEADER.pack(
            b"PMTiles", 3,
            self.root_offset, self.root_length, self.metadata_offset, self.metadata_length,
            self.leaves_offset, self.leaves_length, self.data_offset, self.data_length,
            self.addressed, self.entries, self.contents,
            1, _GZIP, _CODES[self.encoding], _KINDS[self.kind], self.minzoom, self.maxzoom,
            west, south, east, north, self.minzoom, *middle,
        )  # fmt: skip

    @classmethod
    def from_bytes(cls, data: bytes) -> Header:
        """Read the first 127 bytes of an archive; raises :class:`CatalogError` for anything but our kind of it."""
        if len(data) < _HEADER.size or data[:7] != b"PMTiles":
            raise CatalogError("The tile archive is damaged: it does not begin as a PMTiles file.")
        fields = _HEADER.unpack(data[: _HEADER.size])
        internal, tile, kind = fields[14:17]
        if fields[1] != 3 or internal != _GZIP or tile not in _ENCODINGS or kind not in _KIND_NAMES:
            raise CatalogError(
                "The tile archive is not PMTiles 3 with vector tiles compressed by gzip or brotli, or with pictures."
            )
        west, south, east, north = (value / _DEGREES for value in fields[19:23])
        values: list[Any] = [*fields[2:13], *fields[17:19], (west, south, east, north), _ENCODINGS[tile]]
        values.append(_KIND_NAMES[kind])
        return cls(*values)


def _fixed(degrees: float) -> int:
    return round(degrees * _DEGREES)


@dataclass(frozen=True)
class Directory:
    """Rows of a directory as columns: the first place of a run, its length (0: a leaf), and where its bytes lie."""

    places: npt.NDArray[np.int64]
    runs: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, rows: slice) -> Directory:
        return Directory(self.places[rows], self.runs[rows], self.offsets[rows], self.lengths[rows])

    def to_bytes(self) -> bytes:
        """Return the directory as stored: column after column, as varints, compressed."""
        steps = np.diff(self.places, prepend=0)
        follows = np.zeros(len(self), dtype=bool)
        follows[1:] = self.offsets[1:] == self.offsets[:-1] + self.lengths[:-1]
        offsets = np.where(follows, 0, self.offsets + 1)
        numbers = np.concatenate([[len(self)], steps, self.runs, self.lengths, offsets])
        return compress(b"".join(_varint(value) for value in numbers.tolist()), 9)

    @classmethod
    def from_bytes(cls, data: bytes) -> Directory:
        """Read a stored directory; the inverse of :meth:`to_bytes`."""
        numbers = _read_varints(decompress(data))
        count = int(numbers[0])
        if len(numbers) != 1 + 4 * count:
            raise CatalogError("The tile archive is damaged: a directory has too few or too many numbers.")
        steps, runs, lengths, stated = numbers[1:].reshape(4, count)
        offsets = stated - 1
        for row in np.flatnonzero(stated == 0).tolist():
            offsets[row] = offsets[row - 1] + lengths[row - 1]
        return cls(np.cumsum(steps), runs, offsets, lengths)

    @classmethod
    def concatenate(cls, directories: list[Directory]) -> Directory:
        """Join directories end to end."""
        columns = ([getattr(d, name) for d in directories] for name in ("places", "runs", "offsets", "lengths"))
        return cls(*(np.concatenate([np.empty(0, dtype=np.int64), *column]) for column in columns))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varints(data: bytes) -> npt.NDArray[np.int64]:
    raw = np.frombuffer(data, dtype=np.uint8)
    ends = np.flatnonzero(raw < 0x80)
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    within = np.arange(len(raw)) - np.repeat(starts, ends - starts + 1)
    if not len(ends) or ends[-1] != len(raw) - 1 or within.max() > 8:
        raise CatalogError("The tile archive is damaged: a directory holds a broken number.")
    return np.add.reduceat((raw & 0x7F).astype(np.int64) << (7 * within), starts)


class ArchiveWriter:
    """Collects the tiles of one archive in any order and writes it when its ``with`` block ends without an error.

    Tiles wait in a temporary file, so an archive may be larger than memory. On an error nothing is left behind.
    """

    def __init__(
        self,
        path: Path,
        *,
        metadata: dict[str, Any],
        bounds: BBox,
        minzoom: int,
        maxzoom: int,
        encoding: str = "gzip",
        kind: str = "mvt",
    ) -> None:
        self._path = path
        self._metadata, self._bounds, self._zooms, self._encoding = metadata, bounds, (minzoom, maxzoom), encoding
        self._kind = kind
        self._spool: IO[bytes] = tempfile.TemporaryFile(dir=path.parent)
        self._tiles: list[tuple[int, int]] = []
        self._contents: dict[bytes, int] = {}
        self._stored: list[tuple[int, int]] = []
        self._size = 0

    def add(self, place: int, tile: bytes) -> None:
        """Take one tile, compressed as the archive says. Each place is given once; empty tiles are left out."""
        digest = hashlib.blake2b(tile, digest_size=20).digest()
        content = self._contents.setdefault(digest, len(self._stored))
        if content == len(self._stored):
            self._stored.append((self._size, len(tile)))
            self._spool.write(tile)
            self._size += len(tile)
        self._tiles.append((place, content))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._spool.close()

    def _finish(self) -> None:
        directory, order = self._directory()
        root, leaves = _split(directory)
        metadata = compress(orjson.dumps(self._metadata, option=orjson.OPT_SORT_KEYS), 9)
        after_root = _HEADER.size + len(root)
        after_metadata = after_root + len(metadata)
        header = Header(
            _HEADER.size, len(root), after_root, len(metadata),
            after_metadata, len(leaves), after_metadata + len(leaves), self._size,
            len(self._tiles), len(directory), len(self._stored), *self._zooms, self._bounds,
            self._encoding, self._kind,
        )  # fmt: skip
        self._spool.flush()
        with self._path.open("wb") as out:
            out.write(header.to_bytes() + root + metadata + leaves)
            for content in order:
                offset, length = self._stored[content]
                self._spool.seek(offset)
                out.write(self._spool.read(length))

    def _directory(self) -> tuple[Directory, list[int]]:
        """Return the whole directory and the distinct tiles in the order in which they are written."""
        order: list[int] = []
        offsets: dict[int, int] = {}
        rows: list[list[int]] = []
        size = 0
        last = -1
        for place, content in sorted(self._tiles):
            length = self._stored[content][1]
            if content not in offsets:
                offsets[content] = size
                order.append(content)
                size += length
            if rows and content == last and place == rows[-1][0] + rows[-1][1]:
                rows[-1][1] += 1
            else:
                rows.append([place, 1, offsets[content], length])
            last = content
        columns = np.array(rows, dtype=np.int64).reshape(-1, 4).T
        return Directory(*columns), order


def _split(directory: Directory) -> tuple[bytes, bytes]:
    """Return the root directory and all leaves as stored; leaves are empty while everything fits the root."""
    root = directory.to_bytes()
    size = _LEAF_ENTRIES
    leaves: list[bytes] = []
    while len(root) > _ROOT_BYTES_MAX:
        firsts = range(0, len(directory), size)
        leaves = [directory[first : first + size].to_bytes() for first in firsts]
        lengths = np.array([len(leaf) for leaf in leaves], dtype=np.int64)
        offsets = np.cumsum(lengths) - lengths
        root = Directory(directory.places[::size], np.zeros(len(leaves), np.int64), offsets, lengths).to_bytes()
        size *= 2
    return root, b"".join(leaves)


class Archive:
    """A PMTiles file, memory-mapped; all its directories are read once, when it is opened.

    Safe to share between threads; processes share the file's pages. Raises :class:`CatalogError` for a file that
    is missing, damaged or of another kind.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._map = mapped(path)
        except (OSError, ValueError) as exc:
            raise CatalogError(f"The tile archive {path} cannot be read.") from exc
        self.header = Header.from_bytes(self._map[: _HEADER.size])
        if self.header.data_offset + self.header.data_length > len(self._map):
            raise CatalogError(f"The tile archive {path} is damaged: it is shorter than it says.")
        try:
            self.directory = self._read_directory(self.header.root_offset, self.header.root_length)
        except (isal_zlib.IsalError, IndexError, ValueError) as exc:  # type: ignore[misc]  # its stub says an instance
            raise CatalogError(f"The tile archive {path} is damaged: a directory cannot be read.") from exc
        self._places: list[int] = self.directory.places.tolist()
        self._ends: list[int] = (self.directory.places + self.directory.runs).tolist()
        self._starts: list[int] = (self.directory.offsets + self.header.data_offset).tolist()
        self._lengths: list[int] = self.directory.lengths.tolist()

    @property
    def minzoom(self) -> int:
        """The smallest zoom with tiles."""
        return self.header.minzoom

    @property
    def maxzoom(self) -> int:
        """The deepest zoom with tiles."""
        return self.header.maxzoom

    @property
    def encoding(self) -> str:
        """How the tiles are compressed: ``gzip`` or ``br``, as HTTP calls it."""
        return self.header.encoding

    @property
    def bounds(self) -> BBox:
        """What the archive covers, CRS84."""
        return self.header.bounds

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """What the archive says of itself; ``vector_layers`` lists its layers and their fields."""
        start = self.header.metadata_offset
        document: dict[str, Any] = orjson.loads(decompress(self._map[start : start + self.header.metadata_length]))
        return document

    def get(self, tile: TileCoord) -> bytes | None:
        """Return a tile's bytes as stored, or None where the archive has none."""
        return self.at(tile_id(tile))

    def at(self, place: int) -> bytes | None:
        """Return the bytes of the tile at a place (:func:`gisservice.tiles.grid.tile_id`), or None without one."""
        row = bisect_right(self._places, place) - 1
        if row < 0 or place >= self._ends[row]:
            return None
        start = self._starts[row]
        return self._map[start : start + self._lengths[row]]

    def tiles(self) -> Iterable[int]:
        """Yield the places of all tiles in order."""
        for place, end in zip(self._places, self._ends, strict=True):
            yield from range(place, end)

    def places(self, z: int) -> npt.NDArray[np.int64]:
        """Return the places of all tiles of a zoom in order."""
        first, last = ((1 << 2 * zoom) // 3 for zoom in (z, z + 1))
        rows = np.flatnonzero((self.directory.places >= first) & (self.directory.places < last))
        runs = self.directory.runs[rows]
        ends = np.cumsum(runs)
        return np.repeat(self.directory.places[rows] - (ends - runs), runs) + np.arange(runs.sum())

    def _read_directory(self, offset: int, length: int, depth: int = 0) -> Directory:
        directory = Directory.from_bytes(self._map[offset : offset + length])
        if depth > 3:
            raise CatalogError("The tile archive is damaged: its directories are nested without end.")
        if not (directory.runs == 0).any():
            return directory
        parts = []
        for row in range(len(directory)):
            if directory.runs[row]:
                parts.append(directory[row : row + 1])
            else:
                start = self.header.leaves_offset + int(directory.offsets[row])
                parts.append(self._read_directory(start, int(directory.lengths[row]), depth + 1))
        return Directory.concatenate(parts)
