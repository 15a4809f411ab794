"""One version of a collection in its folder: finished, opened, checked."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC
from functools import cached_property
from pathlib import Path

from gisservice.catalog.features import Features
from gisservice.catalog.manifest import FileDigest, Manifest, seal, unseal, version_id
from gisservice.catalog.store import digest, files_in, folders_in, reading, sync, write_new
from gisservice.errors import CatalogError, LayerUnavailable
from gisservice.model import Finding, GeometryKind, Layer

MANIFEST_FILE = "manifest.json"


class Collection:
    """One version of a collection, open for reading. While it lives, the version's files stay on disk."""

    def __init__(self, path: Path, collection_id: str, manifest: Manifest, descriptor: int) -> None:
        self.id = collection_id
        self.version: str = path.name
        self.path = path
        """The version's folder."""
        self.manifest = manifest
        self._descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)

    @classmethod
    def open(cls, path: Path, collection_id: str, descriptor: int) -> Collection:
        """Open a version that ``descriptor`` holds; the hold ends with the collection.

        Raises :class:`CatalogError` for a damaged manifest or a missing file, and :class:`LayerUnavailable` for a file
        of another size.
        """
        try:
            manifest = _manifest(path, collection_id)
            for name, entry in manifest.files.items():
                _check_size(path, name, entry)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, collection_id, manifest, descriptor)

    def is_at(self, path: Path) -> bool:
        """Tell whether the folder at ``path`` is still the one that was opened."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.stat(path))
        except FileNotFoundError:
            return False

    def is_whole(self, names: Iterable[str]) -> bool:
        """Read some files and tell whether they are as they were published."""
        try:
            return all(digest(self.path / name) == _expected(self.manifest.files[name]) for name in names)
        except (KeyError, OSError):
            return False

    @property
    def layer(self) -> Layer:
        """The declaration that the version was published under."""
        return self.manifest.layer

    @property
    def attrs(self) -> dict[str, str]:
        """What a frame or an answer made of this version says of where it comes from."""
        published = self.manifest.created.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return {"collection": self.id, "version": self.version, "published": published}

    @cached_property
    def features(self) -> Features | None:
        """The records, mapped at first use; None for a raster."""
        return None if self.manifest.kind is GeometryKind.RASTER else Features.open(self.path)


def finish(folder: Path, manifest: Manifest) -> str:
    """Write the manifest of the files in a staged folder, tell all of it to the disk, and return the version's id."""
    (folder / MANIFEST_FILE).unlink(missing_ok=True)  # of an attempt that failed
    files: dict[str, FileDigest] = {}
    for path in files_in(folder):
        sync(path)
        sha256, size = digest(path)
        files[path.relative_to(folder).as_posix()] = {"sha256": sha256, "size": size}
    content = replace(manifest.without_paths(), files=files).to_json()
    write_new(folder / MANIFEST_FILE, seal(content))
    for path in folders_in(folder):
        sync(path)
    return version_id(content)


def damage(path: Path, collection_id: str) -> Iterator[Finding]:
    """Read every file of a version and yield a finding for each that is damaged, missing or too many."""
    try:
        manifest = _manifest(path, collection_id)
    except CatalogError as exc:
        yield Finding("damaged-manifest", str(exc), 1, (f"{collection_id}/{path.name}/{MANIFEST_FILE}",))
        return
    for name, entry in manifest.files.items():
        label = f"{collection_id}/{path.name}/{name}"
        try:
            if digest(path / name) != _expected(entry):
                yield Finding("damaged-file", f"{label} does not match its sha256.", 1, (label,))
        except FileNotFoundError:
            yield Finding("missing-file", f"{label} is missing.", 1, (label,))
        except OSError as exc:
            yield Finding("unreadable-file", f"{label} cannot be read: {exc.strerror}.", 1, (label,))
    present = {found.relative_to(path).as_posix() for found in files_in(path)}
    for name in sorted(present - set(manifest.files) - {MANIFEST_FILE}):
        label = f"{collection_id}/{path.name}/{name}"
        yield Finding("unknown-file", f"{label} is not in the manifest.", 1, (label,))


def _manifest(path: Path, collection_id: str) -> Manifest:
    label = f"{collection_id}/{path.name}/{MANIFEST_FILE}"
    with reading(label):
        content = unseal((path / MANIFEST_FILE).read_bytes(), label)
    manifest = Manifest.from_json(content)
    if manifest.collection != collection_id or version_id(content) != path.name:
        raise CatalogError(f"{label} describes another version than the folder it lies in.")
    return manifest


def _expected(entry: FileDigest) -> tuple[str, int]:
    return entry["sha256"], entry["size"]


def _check_size(path: Path, name: str, entry: FileDigest) -> None:
    label = f"{path.name}/{name}"
    with reading(label):
        size = os.stat(path / name).st_size
    if size != entry["size"]:
        raise LayerUnavailable(f"{label} is damaged: it has {size} bytes and should have {entry['size']}.")
