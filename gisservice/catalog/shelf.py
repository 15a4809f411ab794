"""The folder of one collection: its pointer, its versions, and what a killed writer left lying."""

from __future__ import annotations

import logging
import os
import re
import secrets
import shutil
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gisservice.catalog import derived
from gisservice.catalog.collection import Collection, damage
from gisservice.catalog.history import History
from gisservice.catalog.store import REMOVED, doomed_name, hold, locked, reading, remove_if_free, replace_pointer, sync
from gisservice.errors import CatalogError, CollectionNotFound
from gisservice.model import Finding

_POINTER = "current.json"
_VERSION_ID = re.compile(r"v-[0-9a-f]{16}")

_log = logging.getLogger(__name__)

PointerKey = tuple[int, int, int]
"""Inode, size and time of the pointer file: another content has another key."""


class Shelf:
    """One collection on disk. Methods that change anything are called while :meth:`lock` is held."""

    def __init__(self, root: Path, collection_id: str) -> None:
        self.id = collection_id
        self.folder = root / collection_id
        self.versions = self.folder / "versions"
        self.pointer = self.folder / _POINTER
        self._pointer_name = os.fspath(self.pointer)
        self._open: weakref.WeakValueDictionary[str, Collection] = weakref.WeakValueDictionary()

    def pointer_key(self) -> PointerKey:
        """Return what tells one state of the pointer from another. Raises :class:`CollectionNotFound`."""
        try:
            status = os.stat(self._pointer_name)
        except OSError as exc:
            raise self._without_pointer(exc) from exc
        return status.st_ino, status.st_size, status.st_mtime_ns

    def history(self) -> History:
        """Read the pointer. Raises :class:`CollectionNotFound`, or :class:`CatalogError` when it is damaged."""
        try:
            text = self.pointer.read_bytes()
        except OSError as exc:
            raise self._without_pointer(exc) from exc
        return History.from_bytes(text, f"{self.id}/{_POINTER}")

    def history_or_empty(self) -> History:
        """Read the pointer; a collection that was never published has an empty history."""
        try:
            return self.history()
        except CollectionNotFound:
            return History()

    def kept(self, history: History) -> list[str]:
        """Return the versions on disk, the one that was current last first."""
        return [version for version in history.latest() if (self.versions / version).is_dir()]

    def open(self, version: str) -> Collection | None:
        """Open a version, or return None when it is not (or no longer) there."""
        found = self._open.get(version)
        with reading(f"{self.id}/{version}"):
            if found is not None and found.is_at(self.versions / version):
                return found
            descriptor = hold(self.versions / version)
        if descriptor is None:
            return None
        found = self._open[version] = Collection.open(self.versions / version, self.id, descriptor)
        return found

    def damage(self) -> Iterator[Finding]:
        """Yield what is wrong with the pointer and with the files of the kept versions."""
        try:
            history = self.history()
        except CatalogError as exc:
            yield Finding("damaged-pointer", str(exc), 1, (f"{self.id}/{_POINTER}",))
            return
        if history.current is not None and not (self.versions / history.current).is_dir():
            label = f"{self.id}/{history.current}"
            yield Finding("missing-version", f"{label} is current, but not on disk.", 1, (label,))
        for version in self.kept(history):
            descriptor = hold(self.versions / version)
            if descriptor is not None:  # else retired in the meantime
                try:
                    yield from damage(self.versions / version, self.id)
                    yield from derived.damage(self.versions / version, self.id)
                finally:
                    os.close(descriptor)

    # Changing

    def make(self) -> None:
        """Make the folders of the collection, down to the disk."""
        if not self.versions.is_dir():
            self.versions.mkdir(parents=True, exist_ok=True)
            for folder in (self.folder, self.folder.parent, self.folder.parent.parent):
                sync(folder)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep every other writer of this collection out, in this process or another."""
        with locked(self.folder / "lock"):
            yield

    def new_staging(self) -> tuple[Path, int]:
        """Make a folder to write a version into; return it with the descriptor that holds it."""
        path = self.folder / f"staging-{secrets.token_hex(8)}"
        path.mkdir()
        try:
            descriptor = hold(path, exclusive=True)
        except OSError:
            path.rmdir()
            raise
        assert descriptor is not None, "nobody else knows the folder's name"
        return path, descriptor

    def adopt(self, staged: Path, version: str) -> bool:
        """Move a finished folder among the versions, and tell whether it was moved.

        One that is there already stays, unless it is damaged.
        """
        target, doomed = self.versions / version, doomed_name(self.versions / version)
        if target.is_dir():
            if not any(damage(target, self.id)):
                return False
            os.rename(target, doomed)
        os.rename(staged, target)
        sync(self.versions)
        shutil.rmtree(doomed, ignore_errors=True)
        return True

    def point(self, history: History) -> None:
        """Replace the pointer, down to the disk."""
        replace_pointer(self.pointer, history.to_bytes())

    def retire(self, history: History, keep: int) -> None:
        """Remove versions beyond the newest ``keep``; one that is being read stays until the next time.

        The files made of a version go when it is no longer current: they are large, seldom asked for then, and
        made anew when they are.
        """
        try:
            for version in self.kept(history)[max(keep, 1) :]:
                remove_if_free(self.versions / version)
            derived.let_go(self.folder, lambda version: version == history.current)
        except OSError as exc:  # the publication itself is done; the next one tries again
            _log.warning("an old version of %s could not be removed: %s", self.id, exc.strerror)

    def sweep(self) -> None:
        """Remove what killed writers left: staged folders nobody holds, versions no pointer ever named."""
        for path in self.folder.glob("staging-*"):
            remove_if_free(path)
        for path in (*self.folder.glob(f"{REMOVED}*"), *self.versions.glob(f"{REMOVED}*")):
            shutil.rmtree(path, ignore_errors=True)
        named = self.history_or_empty().latest()
        for path in self.versions.iterdir():
            if _VERSION_ID.fullmatch(path.name) and path.name not in named:
                remove_if_free(path)

    def _without_pointer(self, error: OSError) -> CollectionNotFound | CatalogError:
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return CollectionNotFound(f"No collection {self.id!r} is published.")
        return CatalogError(f"{self.id}/{_POINTER} cannot be read: {error.strerror}.")
