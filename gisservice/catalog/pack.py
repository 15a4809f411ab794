"""One file of named arrays and byte strings, made to be memory-mapped.

::

    magic (8 bytes) | section | section | … | index (JSON) | length of the index (uint64) | magic

Every section starts at a multiple of 64 bytes. The index maps each name to offset, dtype (little-endian) and shape,
and carries a small ``about`` dictionary. One file, and not one a section, because every mapping holds a file
descriptor: a worker that serves hundreds of layers would run out of them.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import orjson

from gisservice.catalog.store import reading
from gisservice.errors import CatalogError

_MAGIC = b"GISPACK1"
_ALIGNMENT = 64


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
                self._file.write(index + len(index).to_bytes(8, "little") + _MAGIC)

    def array(self, name: str, values: npt.NDArray[Any]) -> None:
        """Add an array."""
        stored = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
        offset = self._align()
        self._file.write(stored.reshape(-1).view(np.uint8).data)
        self._sections[name] = {"offset": offset, "dtype": stored.dtype.str, "shape": list(stored.shape)}

    def chunks(self, name: str, chunks: Iterable[bytes]) -> None:
        """Add a byte string that arrives in pieces."""
        offset = self._align()
        size = sum(self._file.write(chunk) for chunk in chunks)
        self._sections[name] = {"offset": offset, "dtype": "|u1", "shape": [size]}

    def _align(self) -> int:
        self._file.write(bytes(-self._file.tell() % _ALIGNMENT))
        return self._file.tell()


class Pack:
    """A packed file, mapped read-only and shared by all processes that map it."""

    def __init__(self, path: Path) -> None:
        name = path.name
        try:
            with reading(name), open(path, "rb") as file:
                self.map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self.about, self._sections = self._index()
        except (ValueError, KeyError, TypeError) as exc:
            raise CatalogError(f"{name} is damaged or of another format: {exc}.") from exc

    def array(self, name: str) -> npt.NDArray[Any]:
        """Return a section as a read-only array over the map; nothing is copied."""
        section = self._sections[name]
        dtype, shape = np.dtype(section["dtype"]), section["shape"]
        count = int(np.prod(shape, dtype=np.int64))
        return np.frombuffer(self.map, dtype, count, section["offset"]).reshape(shape)

    def span(self, name: str) -> tuple[int, int]:
        """Return where a byte string begins and ends in :attr:`map`."""
        section = self._sections[name]
        return section["offset"], section["offset"] + section["shape"][0]

    def _index(self) -> tuple[dict[str, Any], dict[str, Any]]:
        size = len(self.map)
        if size < 24 or self.map[:8] != _MAGIC or self.map[-8:] != _MAGIC:
            raise ValueError("the file does not begin and end as it should")
        end = size - 16
        start = end - int.from_bytes(self.map[end : end + 8], "little")
        if start < 8:
            raise ValueError("its index lies outside the file")
        index = orjson.loads(self.map[start:end])
        for name, section in index["sections"].items():
            length = np.dtype(section["dtype"]).itemsize * int(np.prod(section["shape"], dtype=np.int64))
            if not 8 <= section["offset"] <= section["offset"] + length <= start:
                raise ValueError(f"section {name} lies outside the file")
        return index["about"], index["sections"]
