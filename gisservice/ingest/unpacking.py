"""Opening zip and gzip files that strangers made: judged by their directory first, then unpacked with counted bytes.

Nothing is handed to GDAL inside an archive: two readers of one zip file may see different files in it.
"""

from __future__ import annotations

import errno
import gzip
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path, PurePosixPath

from gisservice.errors import SourceError

ENTRIES_MAX = 2000
"""A file geodatabase has about ten files a table."""

UNPACKED_BYTES_MAX = 2 * 1024**3

RATIO_MAX = 200
"""Unpacked to packed, for what unpacks to more than :data:`RATIO_FREE_BYTES`. Blank-padded tables reach 100."""

RATIO_FREE_BYTES = 16 * 1024**2

_ARCHIVES = (".zip", ".kmz", ".7z", ".rar", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
_CHUNK = 1024 * 1024


def unzip(path: Path, folder: Path, name: str) -> None:
    """Unpack a zip file into an empty folder. Raises :class:`SourceError`; then nothing of it may be used.

    ``name`` is what the messages call the source.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.filename.startswith("__MACOSX/")]
            _judge(entries, path.stat().st_size, name)
            for entry in entries:
                _unpack(archive, entry, folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as exc:
        raise SourceError(
            f"{name} is not a whole zip file: it is truncated or damaged. Copy or download it again.", source=name
        ) from exc
    except OSError as exc:
        raise _disk_error(exc, name) from exc


def gunzip(path: Path, target: Path, name: str) -> None:
    """Unpack a gzip file. Raises :class:`SourceError`."""
    allowed = min(UNPACKED_BYTES_MAX, max(RATIO_FREE_BYTES, path.stat().st_size * RATIO_MAX))
    done = 0
    try:
        with gzip.open(path) as packed, open(target, "wb") as file:
            while chunk := packed.read(_CHUNK):
                done += len(chunk)
                if done > allowed:
                    raise _too_large(name, allowed)
                file.write(chunk)
    except (gzip.BadGzipFile, zlib.error, EOFError) as exc:
        raise SourceError(
            f"{name} is not a whole gzip file: it is truncated or damaged. Copy or download it again.", source=name
        ) from exc
    except OSError as exc:
        raise _disk_error(exc, name) from exc


def _judge(entries: list[zipfile.ZipInfo], packed_bytes: int, name: str) -> None:
    """Refuse an archive by its directory, before a byte of it is unpacked."""
    if not any(not entry.is_dir() for entry in entries):
        raise SourceError(f"{name} is a zip file without any file in it.", source=name)
    if len(entries) > ENTRIES_MAX:
        raise SourceError(f"{name} holds {len(entries):,} files; expected at most {ENTRIES_MAX:,}.", source=name)
    for entry in entries:
        problem = _entry_problem(entry)
        if problem:
            raise SourceError(f"{name} holds {entry.filename[:80]!r}, which {problem}; it is refused.", source=name)
    _refuse_collisions((entry.filename for entry in entries), name)
    _refuse_overlaps(entries, name)
    total = sum(entry.file_size for entry in entries)
    if total > UNPACKED_BYTES_MAX or (total > RATIO_FREE_BYTES and total > RATIO_MAX * packed_bytes):
        raise _too_large(name, min(UNPACKED_BYTES_MAX, max(RATIO_FREE_BYTES, RATIO_MAX * packed_bytes)))


def _entry_problem(entry: zipfile.ZipInfo) -> str | None:
    path = PurePosixPath(entry.filename)
    if path.is_absolute() or ".." in path.parts or "\\" in entry.filename or ":" in entry.filename:
        return "leads out of the archive"
    if any(ord(character) < 32 for character in entry.orig_filename) or not path.parts:
        return "has a name that no file can have"
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "is a symbolic link"
    if entry.filename.lower().endswith(_ARCHIVES):
        return "is an archive inside the archive"
    if entry.flag_bits & _ENCRYPTED:
        return "is locked with a password"
    if entry.compress_type not in _METHODS:
        return "is compressed in a way that is not read (expected deflate)"
    return None


def _refuse_collisions(filenames: Iterable[str], name: str) -> None:
    seen: set[str] = set()
    for filename in filenames:
        folded = filename.casefold()
        if folded in seen:
            raise SourceError(f"{name} holds {filename[:80]!r} twice (upper and lower case count as one).", source=name)
        seen.add(folded)


def _refuse_overlaps(entries: list[zipfile.ZipInfo], name: str) -> None:
    """Refuse entries that share bytes: the trick by which 42 kB become terabytes."""
    ordered = sorted(entries, key=lambda entry: entry.header_offset)
    for entry, following in pairwise(ordered):
        if entry.header_offset + entry.compress_size >= following.header_offset:
            raise SourceError(f"{name} holds files that overlap one another; it is refused.", source=name)


def _unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path) -> None:
    target = folder / entry.filename
    if entry.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(entry) as packed, open(target, "xb") as file:
        shutil.copyfileobj(packed, file, _CHUNK)


def _too_large(name: str, allowed: int) -> SourceError:
    return SourceError(
        f"{name} unpacks to more than {allowed / 1024**2:,.0f} MiB, the most that is taken from a file of its size. "
        "If it is genuine, unpack it and convert it to a GeoPackage.",
        source=name,
    )


def _disk_error(error: OSError, name: str) -> SourceError:
    if error.errno == errno.ENOSPC:
        return SourceError(f"{name} cannot be unpacked: the disk for temporary files is full.", source=name)
    return SourceError(f"{name} cannot be unpacked: {error.strerror or error}.", source=name)
