"""Files made from a version after it was published: kept beside it, each whole or not there, made anew when lost.

::

    <home>/collections/<id>/derived/<version>/<name>         a file
    <home>/collections/<id>/derived/<version>/<name>.json    its sha256 and size, sealed; written last
    <home>/collections/<id>/derived/<version>/.new-<name>     a file being made, by the holder of .<name>.lock

They are no part of the version: its id does not depend on the library that wrote them, a backup has no need of them,
and all but those of the current version are let go when the next one is published. A maker holds a lock on the name,
so of several processes one makes a file and the others wait for it; a killed one leaves a dotted file that the next
maker of that name removes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from gisservice.catalog.collection import Collection
from gisservice.catalog.manifest import seal, unseal
from gisservice.catalog.store import digest, sync, write_new
from gisservice.errors import CatalogError
from gisservice.model import Finding

FOLDER = "derived"
_RECORD = ".json"


@dataclass(frozen=True, slots=True)
class DerivedFile:
    """What is known of a file that was made: its name, its sha256 in hexadecimal digits, and its size in bytes.

    ``problem`` is a sentence when the file cannot be made of this version; it has then no size.
    """

    name: str
    sha256: str
    size: int
    problem: str = ""


class Derived:
    """The files made of one version. Reading never writes; a folder that is not there has no files."""

    def __init__(self, collection: Collection) -> None:
        self.folder = folder_of(collection.path)

    def path(self, name: str) -> Path:
        """Return where a file lies or would lie."""
        return self.folder / name

    def find(self, name: str) -> DerivedFile | None:
        """Return what is known of a file; None when it is not there whole, and has to be made."""
        try:
            found, stored = _read(self.folder / (name + _RECORD))
            whole = not stored or os.stat(self.path(name)).st_size == found.size
        except (OSError, CatalogError, KeyError):  # never made, lost or damaged: all the same to who can make it anew
            return None
        return found if whole and found.name == name else None

    @contextmanager
    def making(self, name: str) -> Iterator[Path]:
        """Wait until nobody else makes a file, and hold it: yield a path to write it to.

        Another may have made it meanwhile. What was written must be handed to :meth:`keep`; else it is removed.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.folder / f".{name}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
        draft = self.folder / f".new-{name}"
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _remove(draft)
            try:
                yield draft
            finally:
                _remove(draft)
        finally:
            os.close(lock)

    def keep(self, name: str, draft: Path) -> DerivedFile:
        """Put a finished file in its place, down to the disk: its bytes first, what is known of them last."""
        sha256, size = digest(draft)
        sync(draft)
        (self.folder / (name + _RECORD)).unlink(missing_ok=True)  # never the record of other bytes
        os.replace(draft, self.path(name))
        return self._record(DerivedFile(name, sha256, size), stored=True)

    def note(self, found: DerivedFile) -> DerivedFile:
        """Write down what is known of a file that needs no place of its own, or that cannot be made."""
        return self._record(found, stored=False)

    def _record(self, found: DerivedFile, *, stored: bool) -> DerivedFile:
        target = self.folder / (found.name + _RECORD)
        fresh = self.folder / f".{found.name}{_RECORD}.new"
        fresh.unlink(missing_ok=True)
        write_new(fresh, seal({**asdict(found), "stored": stored}))
        os.replace(fresh, target)
        sync(self.folder)
        return found


def folder_of(version_folder: Path) -> Path:
    """Return the folder of the files made of a version."""
    return version_folder.parent.parent / FOLDER / version_folder.name


def let_go(collection_folder: Path, kept: Callable[[str], bool]) -> None:
    """Remove the files made of the versions that ``kept`` does not want; who still reads one reads it to its end."""
    with suppress(OSError):
        for name in os.listdir(collection_folder / FOLDER):
            if not kept(name):
                shutil.rmtree(collection_folder / FOLDER / name, ignore_errors=True)


def damage(version_folder: Path, collection_id: str) -> Iterator[Finding]:
    """Read every file made of a version and yield a finding for each that is not what was written down of it.

    Removing such a file, or its record, is all that is needed: it is then made anew.
    """
    folder = folder_of(version_folder)
    for record in sorted(folder.glob(f"[!.]*{_RECORD}")):
        label = f"{collection_id}/{FOLDER}/{version_folder.name}/{record.name.removesuffix(_RECORD)}"
        try:
            found, stored = _read(record)
            whole = not stored or digest(folder / found.name) == (found.sha256, found.size)
        except FileNotFoundError:
            continue  # let go of in the meantime
        except (OSError, CatalogError, KeyError):
            whole = False
        if not whole:
            yield Finding("damaged-download", f"{label} does not match its sha256; remove it.", 1, (label,))


def _read(record: Path) -> tuple[DerivedFile, bool]:
    """Return what is known of a file, and whether it has a place of its own."""
    content = unseal(record.read_bytes(), record.name)
    return DerivedFile(content["name"], content["sha256"], content["size"], content["problem"]), content["stored"]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
