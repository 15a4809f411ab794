"""The catalog: immutable versions in folders, one atomic pointer a collection.

::

    <home>/collections/<id>/current.json            the pointer and its history
    <home>/collections/<id>/lock                    held by whoever changes the pointer
    <home>/collections/<id>/staging-…/              a version being written; held by its writer
    <home>/collections/<id>/versions/v-<16 hex>/    a version; held by its readers, so that it is not removed
    <home>/collections/<id>/versions/removed-…/     a version on its way out

A publication writes beside, tells every file and folder to the disk, renames the folder into ``versions`` and then
replaces the pointer. Killed at any instant, the last good version is current and whole; what was left lying is
swept by the next :meth:`Catalog.stage`.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gisservice.catalog import archive, frames
from gisservice.catalog.collection import Collection, damage, finish
from gisservice.catalog.diff import Diff, compare
from gisservice.catalog.features import Features
from gisservice.catalog.history import Entry, History
from gisservice.catalog.manifest import Manifest
from gisservice.catalog.shelf import PointerKey, Shelf
from gisservice.catalog.store import let_go, writing
from gisservice.errors import CatalogError, CollectionNotFound, ItemNotFound, PublishError, VersionNotFound
from gisservice.model import RESERVED_ID, BBox, Finding, Version
from gisservice.settings import Settings

if TYPE_CHECKING:
    import geopandas
    import pandas

_COLLECTION_ID = re.compile(r"[a-z0-9_-]{1,64}")

_OPEN_ATTEMPTS = 20
"""A version can be replaced and removed between reading the pointer and opening it; each attempt reads anew."""


class Staging:
    """A version being written: put its files into :attr:`path`, then :meth:`publish`."""

    def __init__(self, shelf: Shelf, path: Path, descriptor: int, versions_kept: int) -> None:
        self._shelf = shelf
        self._descriptor: int | None = descriptor
        self._versions_kept = versions_kept
        self.path = path
        """An empty folder on the catalog's disk."""

    def publish(self, manifest: Manifest) -> Version:
        """Make the files in :attr:`path` the current version, whole or not at all.

        The manifest's ``files`` are filled in here, and every source in it is reduced to its name. Content that is
        already current changes nothing. Raises :class:`PublishError`; the version before is then still current.
        """
        shelf = self._shelf
        if manifest.collection != shelf.id:
            raise ValueError(f"the manifest is of collection {manifest.collection!r}, not {shelf.id!r}")
        with _publishing(shelf.id):
            version = finish(self.path, manifest)
            with shelf.lock():
                history = self._make_current(version, manifest.count)
                shelf.retire(history, self._versions_kept)
        return _described(shelf.id, history.latest()[version], history)

    def close(self) -> None:
        """Remove what was not published. :meth:`Catalog.stage` calls it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._let_go()

    def _make_current(self, version: str, count: int) -> History:
        shelf = self._shelf
        history = shelf.history_or_empty()
        self._let_go()  # readers would wait for it; sweepers wait for the lock
        try:
            adopted = shelf.adopt(self.path, version)
            if history.current != version:
                history = history.then(version, "publish", count)
                adopted = True
            if adopted:  # also where a damaged version was replaced by its like: readers look at the pointer only
                shelf.point(history)
        except BaseException:
            with suppress(OSError, CatalogError):
                shelf.sweep()
            raise
        return history

    def _let_go(self) -> None:
        if self._descriptor is not None:
            let_go(self._descriptor)
            self._descriptor = None


class Catalog:
    """All collections under one home folder. Reading never writes; a missing home is an empty catalog.

    Safe for several threads and processes. :meth:`collection` notices a new version at its next call.
    """

    def __init__(self, home: Path, versions_kept: int = 10) -> None:
        self._root = Path(home) / "collections"
        self._versions_kept = versions_kept
        self._shelves: dict[str, Shelf] = {}
        self._current: dict[str, tuple[PointerKey, Collection]] = {}

    # Reading

    def ids(self) -> tuple[str, ...]:
        """Return the ids of all published collections, sorted."""
        try:
            names = sorted(os.listdir(self._root))
        except (FileNotFoundError, NotADirectoryError):
            return ()
        return tuple(name for name in names if _COLLECTION_ID.fullmatch(name) and self._shelf(name).pointer.exists())

    def collection(self, collection_id: str) -> Collection:
        """Return the current version. Raises :class:`CollectionNotFound`, or :class:`CatalogError` if damaged."""
        shelf = self._shelf(collection_id)
        for _ in range(_OPEN_ATTEMPTS):
            key = shelf.pointer_key()
            cached = self._current.get(collection_id)
            if cached is not None and cached[0] == key:
                return cached[1]
            current = shelf.history().current
            found = shelf.open(current) if current is not None else None
            if found is not None:
                self._current[collection_id] = key, found
                return found
        raise CatalogError(f"{collection_id}: the current version is not on disk; roll back, publish or restore.")

    def version(self, collection_id: str, version: str) -> Collection:
        """Return one kept version. Raises :class:`VersionNotFound` (naming what is kept), CollectionNotFound."""
        shelf = self._shelf(collection_id)
        history = shelf.history()
        found = shelf.open(version) if version in history.latest() else None
        if found is None:
            raise VersionNotFound(
                f"Collection {collection_id!r} has no version {version[:40]!r}, or no longer; "
                f"kept: {', '.join(shelf.kept(history))}."
            )
        return found

    def versions(self, collection_id: str) -> tuple[Version, ...]:
        """Return the kept versions, the one that became current last first."""
        shelf = self._shelf(collection_id)
        history = shelf.history()
        latest = history.latest()
        return tuple(_described(collection_id, latest[version], history) for version in shelf.kept(history))

    def history(self, collection_id: str) -> History:
        """Return every change of a collection's pointer, that of versions no longer kept included."""
        return self._shelf(collection_id).history()

    def as_of(self, collection_id: str, moment: datetime) -> Collection:
        """Return the version that was current at a moment; a moment without a time zone is in UTC.

        Raises :class:`VersionNotFound` when nothing was published yet or the version is no longer kept.
        """
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        history = self._shelf(collection_id).history()
        version = history.at(moment)
        if version is None:
            raise VersionNotFound(
                f"Collection {collection_id!r} had no version at {moment.isoformat()}; "
                f"the first was published at {history.entries[0].at.isoformat()}."
            )
        return self.version(collection_id, version)

    def diff(self, collection_id: str, a: str, b: str) -> Diff:
        """Return what changed from version ``a`` to version ``b``: public columns and geometry, by item id."""
        before, after = self.version(collection_id, a), self.version(collection_id, b)
        return compare(collection_id, (a, _records(before)), (b, _records(after)))

    def read(
        self, collection_id: str, bbox: BBox | None = None, asof: datetime | None = None
    ) -> geopandas.GeoDataFrame:
        """Return items as a frame in the storage CRS, indexed by item id, in stored order.

        ``bbox`` (CRS84) keeps the items whose geometry intersects it, the same as over HTTP. The frame's ``attrs``
        name the ``collection``, its ``version`` and when that was ``published`` (ISO 8601, UTC).
        """
        collection = self.collection(collection_id) if asof is None else self.as_of(collection_id, asof)
        frame = frames.read(collection.path, collection.manifest, _records(collection), bbox)
        frame.attrs = collection.attrs
        return frame

    def read_internal(self, collection_id: str) -> pandas.DataFrame:
        """Return the columns of a layer that are for the office alone, indexed by item id; for its own lists only.

        Nothing that answers a request may call it. A layer without such columns gives a frame without columns.
        """
        collection = self.collection(collection_id)
        return frames.read_internal(collection.path, _records(collection))

    def verify(self, collection_id: str | None = None) -> tuple[Finding, ...]:
        """Read every file of every kept version and name those that are damaged, missing or too many."""
        if collection_id is not None:
            self._shelf(collection_id).pointer_key()
        ids = self.ids() if collection_id is None else (collection_id,)
        findings: list[Finding] = []
        for found_id in ids:
            try:
                findings.extend(self._shelf(found_id).damage())
            except OSError as exc:
                findings.append(Finding("unreadable", f"{found_id} cannot be read: {exc.strerror}.", 1, (found_id,)))
        return tuple(findings)

    def backup(self, file: Path) -> None:
        """Write all collections, with every kept version, into one tar file, which replaces ``file`` when whole."""
        archive.backup([self._shelf(collection_id) for collection_id in self.ids()], file)

    # Writing

    @contextmanager
    def stage(self, collection_id: str) -> Iterator[Staging]:
        """Open a folder for a new version; it is gone afterwards unless it was published.

        Also sweeps what a killed publication left behind. Raises :class:`PublishError`.
        """
        if not _COLLECTION_ID.fullmatch(collection_id):
            raise PublishError(
                f"Collection id {collection_id[:80]!r} cannot be used; expected 1 to 64 of a-z, 0-9, '_' and '-'.",
                source=collection_id,
            )
        if collection_id == RESERVED_ID:
            raise PublishError(
                f"Collection id {collection_id!r} is the collection that lists all layers; expected another id.",
                source=collection_id,
            )
        shelf = self._shelf(collection_id)
        with ExitStack() as stack:
            with _publishing(collection_id):
                shelf.make()
                with shelf.lock():
                    shelf.sweep()
                    staging = Staging(shelf, *shelf.new_staging(), self._versions_kept)
                    stack.callback(staging.close)
            yield staging

    def rollback(self, collection_id: str, version: str) -> Version:
        """Make a kept version current again, after reading all of it. Raises :class:`CatalogError` if damaged."""
        collection = self.version(collection_id, version)
        shelf = self._shelf(collection_id)
        with writing(collection_id), shelf.lock():
            history = shelf.history()
            if history.current != version:
                found = next(damage(collection.path, collection_id), None)
                if found is not None:
                    raise CatalogError(f"Version {version} cannot become current: {found.message}")
                history = history.then(version, "rollback", collection.manifest.count)
                shelf.point(history)
        return _described(collection_id, history.latest()[version], history)

    def restore(self, file: Path) -> tuple[str, ...]:
        """Bring back what :meth:`backup` wrote and return the ids of the collections restored.

        Every file is read and compared with its sha256 before any pointer changes. Versions and history that are
        here already stay; what was current in the backup becomes current. Raises :class:`CatalogError` for a
        damaged backup, :class:`PublishError` when the disk refuses.
        """
        return archive.restore(self._root, file)

    def _shelf(self, collection_id: str) -> Shelf:
        shelf = self._shelves.get(collection_id)
        if shelf is None:
            if not _COLLECTION_ID.fullmatch(collection_id):
                raise CollectionNotFound(f"No collection {collection_id[:80]!r} is published.")
            shelf = self._shelves.setdefault(collection_id, Shelf(self._root, collection_id))
        return shelf


@contextmanager
def _publishing(collection_id: str) -> Iterator[None]:
    """Let a publication fail in one way only, whether the disk refuses or what is there cannot be built upon."""
    try:
        with writing(collection_id):
            yield
    except CatalogError as exc:
        raise PublishError(f"{exc} Restore it from a backup, then publish again.", source=collection_id) from exc


def open_catalog(home: str | Path | None = None) -> Catalog:
    """Open the published data in a folder, by default the one that the settings name (``GISSERVICE_HOME``).

    A folder that is not there yet is an empty catalog.
    """
    return Catalog(Settings.load().home if home is None else Path(home))


def _described(collection_id: str, entry: Entry, history: History) -> Version:
    current = entry.version == history.current
    return Version(collection_id, entry.version, entry.at, entry.action, entry.count, current)


def _records(collection: Collection) -> Features:
    if collection.features is None:
        raise ItemNotFound(f"Collection {collection.id!r} is a raster; it has no items.")
    return collection.features
