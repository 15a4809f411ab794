"""Backup and restore: all collections in one tar file, every byte checked on the way back."""

from __future__ import annotations

import io
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from gisservice.catalog.collection import damage
from gisservice.catalog.history import History
from gisservice.catalog.shelf import Shelf
from gisservice.catalog.store import files_in, folders_in, hold, let_go, remove_if_free, sync, writing
from gisservice.errors import CatalogError, PublishError

_MEMBER = re.compile(r"[a-z0-9_-]{1,64}/(current\.json|versions/v-[0-9a-f]{16}(/[A-Za-z0-9_][A-Za-z0-9._-]*)+)")
_POINTER = "current.json"
_BESIDE = ".restore-"


def backup(shelves: Sequence[Shelf], file: Path) -> None:
    """Write the collections into a tar file (not compressed: what is large in it already is).

    Publishing may go on meanwhile: of each collection the state at the moment it is reached is written. The file
    can hold internal columns, so only its owner may read it.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        try:
            with os.fdopen(descriptor, "wb") as target:
                with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
                    for shelf in shelves:
                        _add_collection(tar, shelf)
                target.flush()
                os.fsync(target.fileno())
            os.replace(name, file)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(name)
        sync(file.parent)
    except OSError as exc:
        reason = exc.strerror or str(exc)
        raise PublishError(f"The backup {file.name} could not be written: {reason}.", source=file.name) from exc


def _add_collection(tar: tarfile.TarFile, shelf: Shelf) -> None:
    with ExitStack() as stack:
        with shelf.lock():  # only while the versions are being taken hold of
            history = shelf.history()
            versions = [version for version in shelf.kept(history) if _hold(stack, shelf.versions / version)]
        _add(tar, f"{shelf.id}/{_POINTER}", 0o644, history.to_bytes())
        for version in versions:
            for path in files_in(shelf.versions / version):
                name = f"{shelf.id}/versions/{version}/{path.relative_to(shelf.versions / version).as_posix()}"
                _add(tar, name, path.stat().st_mode & 0o777, path)


def _hold(stack: ExitStack, folder: Path) -> bool:
    descriptor = hold(folder)
    if descriptor is not None:
        stack.callback(os.close, descriptor)
    return descriptor is not None


def _add(tar: tarfile.TarFile, name: str, mode: int, content: bytes | Path) -> None:
    member = tarfile.TarInfo(name)
    member.mode = mode
    with open(content, "rb") if isinstance(content, Path) else io.BytesIO(content) as stream:
        member.size = os.fstat(stream.fileno()).st_size if isinstance(content, Path) else len(content)
        tar.addfile(member, stream)


def restore(root: Path, file: Path) -> tuple[str, ...]:
    """Bring the collections of a backup into the folder of collections; return their ids.

    The whole backup is unpacked beside and verified before the first pointer changes. Each collection then changes
    at once; its own versions and history stay, joined with those of the backup.
    """
    with writing(file.name):
        root.mkdir(parents=True, exist_ok=True)
        for leftover in root.glob(f"{_BESIDE}*"):  # of a restore that was killed
            remove_if_free(leftover)
        beside = Path(tempfile.mkdtemp(prefix=_BESIDE, dir=root))
        descriptor = hold(beside, exclusive=True)
        try:
            _unpack(file, beside)
            found = [Shelf(beside, name) for name in sorted(os.listdir(beside))]
            for shelf in found:
                _check(shelf, file.name)
            for shelf in found:
                _bring_in(shelf, Shelf(root, shelf.id))
        finally:
            shutil.rmtree(beside, ignore_errors=True)
            if descriptor is not None:
                let_go(descriptor)
    return tuple(shelf.id for shelf in found)


def _unpack(file: Path, target: Path) -> None:
    try:
        with tarfile.open(file, mode="r:") as tar:
            for member in tar:
                if not member.isreg() or not _MEMBER.fullmatch(member.name) or ".." in member.name:
                    raise CatalogError(
                        f"{file.name} holds {member.name[:80]!r}, which no backup has; nothing restored."
                    )
                path = target / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                content = tar.extractfile(member)
                assert content is not None, "a regular file has content"
                descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, member.mode & 0o666)
                with os.fdopen(descriptor, "wb") as out:
                    shutil.copyfileobj(content, out)
                    out.flush()
                    os.fsync(out.fileno())
    except (tarfile.TarError, EOFError, FileExistsError) as exc:
        raise CatalogError(f"{file.name} is not a whole backup: {exc}; nothing was restored.") from exc


def _check(shelf: Shelf, source: str) -> None:
    """Refuse a collection of the backup that is not whole: pointer, versions, every file."""
    try:
        history = shelf.history()
    except CatalogError as exc:
        raise CatalogError(f"{source} is damaged: {exc} Nothing was restored.") from exc
    if history.current is None or not (shelf.versions / history.current).is_dir():
        raise CatalogError(f"{source} lacks the current version of {shelf.id}; nothing was restored.")
    for path in sorted(shelf.versions.iterdir()):
        found = next(damage(path, shelf.id), None)
        if found is not None:
            raise CatalogError(f"{source} is damaged: {found.message} Nothing was restored.")
        for folder in folders_in(path):
            sync(folder)


def _bring_in(restored: Shelf, target: Shelf) -> None:
    target.make()
    history = restored.history()
    with target.lock():
        for path in sorted(restored.versions.iterdir()):
            target.adopt(path, path.name)
        merged = _own_history(target).merged(history)
        last = history.entries[-1]
        if merged.current != last.version:
            merged = merged.then(last.version, "rollback", last.count)
        target.point(merged)


def _own_history(shelf: Shelf) -> History:
    """Return the history that is here; a damaged pointer, which a restore repairs, counts as none."""
    try:
        return shelf.history_or_empty()
    except CatalogError:
        return History()
