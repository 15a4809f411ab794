"""One file of named arrays and byte strings, made to be memory-mapped.

::

    magic (8 bytes) | section | section | … | index (JSON) | CRC-32 and length of the index (uint64 each) | magic

Every section starts at a multiple of 64 bytes. The index maps each name to offset, dtype (little-endian), shape and
CRC-32, and carries a small ``about`` dictionary. One file, and not one a section, because every mapping holds a file
descriptor: a worker that serves hundreds of layers would run out of them.

Arrays are compared with their CRC when they are first asked for, since one flipped bit in an offset can end the
process inside a C library. Byte strings are not: they are sent as they are, and the manifest's sha256 covers them.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, BinaryIO
from weakref import WeakSet

import numpy as np
import numpy.typing as npt
import orjson
from isal.isal_zlib import crc32

from gisservice.errors import CatalogError

_MAGIC = b"GISPACK1"
_TAIL = struct.Struct("<QQ8s")
_ALIGNMENT = 64

_maps: WeakSet[mmap.mmap] = WeakSet()
_maps_lock = Lock()


def mapped(path: Path) -> mmap.mmap:
    """Map a file to be read. Raises OSError, and ValueError for an empty one."""
    with open(path, "rb") as file:
        found = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with _maps_lock:
        _maps.add(found)
    return found


def let_pages_go() -> None:
    """Let go of all pages of mapped files that this process has looked at; what is read next comes back by itself.

    They stay in the system's memory for as long as it has room, so reading them again is no reading from the disk.
    """
    with _maps_lock:
        maps = list(_maps)
    for one in maps:
        with suppress(ValueError):  # closed meanwhile
            one.madvise(mmap.MADV_DONTNEED)


class PackWriter:
    """Writes sections one after the other; the file is complete when the ``with`` block ends without an error."""

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        self._about = about
        self._sections: dict[str, dict[str, Any]] = {}
        self._file: BinaryIO = open(path, "wb")
        self._file.write(_MAGIC)

    def __enter__(self) -> PackWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with self._file:
            if kind is None:
                index = orjson.dumps({"about": self._about, "sections": self._sections})
                self._file.write(index + _TAIL.pack(crc32(index), len(index), _MAGIC))

    def array(self, name: str, values: npt.NDArray[Any]) -> None:
        """Add an array."""
        stored = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
        offset, content = self._align(), stored.reshape(-1).view(np.uint8).data
        self._file.write(content)
        self._sections[name] = {
            "offset": offset,
            "dtype": stored.dtype.str,
            "shape": list(stored.shape),
            "crc": crc32(content),
        }

    def chunks(self, name: str, chunks: Iterable[bytes]) -> None:
        """Add a byte string that arrives in pieces."""
        offset, size, crc = self._align(), 0, 0
        for chunk in chunks:
            size += self._file.write(chunk)
            crc = crc32(chunk, crc)
        self._sections[name] = {"offset": offset, "dtype": "|u1", "shape": [size], "crc": crc}

    def _align(self) -> int:
        self._file.write(bytes(-self._file.tell() % _ALIGNMENT))
        return self._file.tell()


class Pack:
    """A packed file, mapped read-only and shared by all processes that map it."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        try:
            self.map = mapped(path)
            self.about, self._sections = self._index()
        except OSError as exc:
            raise CatalogError(f"{self._name} cannot be read: {exc.strerror or exc}.") from exc
        except ValueError as exc:
            raise CatalogError(f"{self._name} is damaged or of another format: {exc}.") from exc

    def array(self, name: str) -> npt.NDArray[Any]:
        """Return a section as a read-only array over the map; nothing is copied.

        Raises :class:`CatalogError` when its bytes do not match their CRC.
        """
        section = self._section(name)
        dtype, shape = np.dtype(section["dtype"]), section["shape"]
        count = int(np.prod(shape, dtype=np.int64))
        found = np.frombuffer(self.map, dtype, count, section["offset"]).reshape(shape)
        if crc32(found.reshape(-1).view(np.uint8).data) != section["crc"]:
            raise CatalogError(f"{self._name} is damaged: part {name!r} does not match its checksum.")
        return found

    def __contains__(self, name: str) -> bool:
        """Whether there is a section of this name."""
        return name in self._sections

    def span(self, name: str) -> tuple[int, int]:
        """Return where a byte string begins and ends in :attr:`map`."""
        section = self._section(name)
        return section["offset"], section["offset"] + section["shape"][0]

    def _section(self, name: str) -> dict[str, Any]:
        if name not in self._sections:
            raise CatalogError(f"{self._name} is of another format: it has no part {name!r}.")
        section: dict[str, Any] = self._sections[name]
        return section

    def _index(self) -> tuple[dict[str, Any], dict[str, Any]]:
        end = len(self.map) - _TAIL.size
        if end < len(_MAGIC) or self.map[: len(_MAGIC)] != _MAGIC:
            raise ValueError("it does not begin as it should")
        crc, length, magic = _TAIL.unpack(self.map[end:])
        text = self.map[max(end - length, 0) : end]
        if magic != _MAGIC or crc32(text) != crc:
            raise ValueError("it does not end as it should")
        index = orjson.loads(text)
        return index["about"], index["sections"]
