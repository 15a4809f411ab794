"""Files made while somebody waits: by a process of its own, so that no server process grows or slows by it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from subprocess import DEVNULL, Popen, TimeoutExpired
from threading import Lock

from gisservice.catalog import Collection
from gisservice.catalog.derived import Derived, DerivedFile
from gisservice.errors import CatalogError, NotReady
from gisservice.query.downloads import Wanted, file_name
from gisservice.web.gates import Gate

WAIT_SECONDS = 10.0
"""How long a request waits for its file; the largest layers of a city take a few seconds each."""

WAITING_MAX = 2
"""Threads of a worker that may wait for files at once."""


class Workshop:
    """Starts the process that makes files, one at a time for each server process. Safe for threads."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._gate = Gate("files that are to be made", WAITING_MAX)
        self._lock = Lock()
        self._process: Popen[bytes] | None = None

    def file(self, collection: Collection, wanted: Wanted) -> DerivedFile:
        """Return a file of a version, made first when it is not there yet.

        Raises :class:`NotReady` when that takes longer than a request may wait, :class:`Overloaded` when others wait
        already, :class:`CatalogError` when it fails.
        """
        derived = Derived(collection)
        name = file_name(collection.manifest, wanted.extension, wanted.system)
        found = derived.find(name)
        return found or self._waited_for(collection, wanted, derived, name)

    def _waited_for(self, collection: Collection, wanted: Wanted, derived: Derived, name: str) -> DerivedFile:
        until = time.monotonic() + WAIT_SECONDS
        with self._gate.passed():
            while (found := derived.find(name)) is None:
                process, mine = self._start(collection, wanted)
                try:
                    failed = process.wait(max(0.0, until - time.monotonic()))
                except TimeoutExpired:
                    raise NotReady(f"{name} is being made; ask for it again in a few seconds.") from None
                if mine and failed:
                    raise CatalogError(f"{name} of {collection.id} {collection.version} could not be made.")
        return found

    def _start(self, collection: Collection, wanted: Wanted) -> tuple[Popen[bytes], bool]:
        """Return the process under way, or a new one, and whether it is new."""
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                return self._process, False
            command = [sys.executable, "-m", "gisservice.ingest.downloads", str(self._home), collection.id]
            command += [collection.version, wanted.extension, wanted.system]
            self._process = Popen(command, stdin=DEVNULL, stdout=DEVNULL)
            return self._process, True
