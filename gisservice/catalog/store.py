"""The few things a catalog does to files that must hold when the power fails: write, replace, lock, remove.

A file counts as written when it and its folder have been told to the disk (fsync). A pointer changes by renaming
a finished file over the old one. Locks are advisory (flock), so a killed process leaves none behind.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gisservice.errors import CatalogError, PublishError

REMOVED = "removed-"
"""How the names of folders begin that are on their way out."""


def write_new(path: Path, data: bytes) -> None:
    """Write a file that does not exist yet, down to the disk."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync(path: Path) -> None:
    """Tell a file or a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_pointer(path: Path, data: bytes) -> None:
    """Replace the content of a file at once. When even the last step fails, the old content is put back."""
    fresh, former = path.with_name(f".{path.name}.new"), path.with_name(f".{path.name}.old")
    for leftover in (fresh, former):
        leftover.unlink(missing_ok=True)
    try:
        write_new(fresh, data)
        with suppress(FileNotFoundError):  # the first pointer has no former one
            write_new(former, path.read_bytes())
        os.replace(fresh, path)
        try:
            sync(path.parent)
        except OSError:
            _put_back(path, former)
            raise
    finally:
        for leftover in (fresh, former):
            with suppress(OSError):
                leftover.unlink(missing_ok=True)


def _put_back(path: Path, former: Path) -> None:
    if former.exists():
        os.replace(former, path)
    else:
        path.unlink()


def digest(path: Path) -> tuple[str, int]:
    """Return the sha256 of a file in hexadecimal digits, and its size in bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), os.fstat(file.fileno()).st_size


def files_in(folder: Path) -> list[Path]:
    """Return all files under a folder, in order of their names."""
    return sorted(Path(parent, name) for parent, _, names in _walk(folder) for name in names)


def folders_in(folder: Path) -> list[Path]:
    """Return a folder and all folders under it, the deepest first."""
    return [Path(parent) for parent, _, _ in _walk(folder, topdown=False)]


def _walk(folder: Path, *, topdown: bool = True) -> Iterator[tuple[str, list[str], list[str]]]:
    def refuse(error: OSError) -> None:  # by default what cannot be listed counts as empty
        raise error

    return os.walk(folder, topdown=topdown, onerror=refuse)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the exclusive lock of a file, waiting for it; the file is made when it is missing."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        let_go(descriptor)


def hold(folder: Path, *, exclusive: bool = False) -> int | None:
    """Lock a folder that another process may rename or remove, and return the descriptor that holds it.

    Shared locks wait; an exclusive one is refused (None) while anyone holds the folder. None also when the folder
    is no longer there. Let go with :func:`let_go`.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB if exclusive else fcntl.LOCK_SH)
        if os.path.samestat(os.fstat(descriptor), os.stat(folder)):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def let_go(descriptor: int) -> None:
    """Give up a lock, at once even where a forked process still has the descriptor."""
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def doomed_name(folder: Path) -> Path:
    """Return a name beside a folder under which it can wait for its removal."""
    return folder.with_name(f"{REMOVED}{secrets.token_hex(8)}")


def remove_if_free(folder: Path) -> bool:
    """Remove a folder unless a process holds it; it vanishes from its name at once, then from the disk."""
    descriptor = hold(folder, exclusive=True)
    if descriptor is None:
        return False
    try:
        doomed = doomed_name(folder)
        os.rename(folder, doomed)
    finally:
        let_go(descriptor)
    shutil.rmtree(doomed, ignore_errors=True)
    return True


@contextmanager
def writing(source: str) -> Iterator[None]:
    """Turn what the disk refuses into a :class:`PublishError` that says so."""
    try:
        yield
    except OSError as exc:
        raise PublishError(f"{_refusal(exc)} What was published before is still current.", source=source) from exc


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn what the disk does not give into a :class:`CatalogError` that names the file."""
    try:
        yield
    except OSError as exc:
        raise CatalogError(f"{name} cannot be read: {exc.strerror or exc}.") from exc


def _refusal(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk is full; free some space and try again."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "The folder of published data may not be written to; allow it, or choose another with --home."
    reason = os.strerror(error.errno) if error.errno else str(error)
    return f"The disk refused to write: {reason}; check it and try again."
