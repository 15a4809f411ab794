"""Counts of what a server does, shared by its processes through one small mapped file.

Each process has a slot of the file to itself, which it holds by a lock that the kernel lets go of when it ends; the
process that replaces it goes on counting where it stopped. So sums over all slots never fall, and whichever process is
asked tells the figures of all. Nothing that tells one caller from another is counted.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import re
import tempfile
import weakref
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

KINDS = (
    "tile", "picture", "archive", "items", "item", "document", "analysis", "download", "page", "static", "operation",
    "other",
)  # fmt: skip
"""What requests are told apart by; fixed, so that no caller can make up more."""

STATUSES = (200, 201, 204, 206, 304, 400, 404, 405, 406, 410, 413, 415, 416, 500, 503)
"""Statuses that are counted by themselves; all others are counted together."""

BOUNDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Upper bounds of durations, in seconds; what takes longer than the last is counted beside."""

CACHES = ("tiles", "items")
SLOTS = 96
"""Processes that can count at a time: more than a server may have."""

_CROWD = 2
"""Drawings from which on a process asks whether another has fewer."""

_BOUNDS_NS = [round(bound * 1e9) for bound in BOUNDS]
_SUM = len(STATUSES) + 1 + len(BOUNDS) + 1
_KIND_CELLS = _SUM + 1
"""Of a kind of request: a count for each status and for others, for each span of time and for longer, nanoseconds."""

_CACHE_AT = 1 + len(KINDS) * _KIND_CELLS
_DRAWN_AT = _CACHE_AT + 2 * len(CACHES)
_DRAWING_AT = _DRAWN_AT + 1
_CELLS = _DRAWING_AT + 1
"""Of a slot, 8 bytes each. The first is the id of the process."""

_STATUS_AT = {status: place for place, status in enumerate(STATUSES)}
_KIND_AT = {kind: 1 + place * _KIND_CELLS for place, kind in enumerate(KINDS)}

_BY_ENDING = {
    ".mvt": "tile", ".pbf": "tile", ".png": "picture", ".webp": "picture", ".jpg": "picture", ".pdf": "picture",
    ".pmtiles": "archive",
}  # fmt: skip
_PATHS = (
    (re.compile(r"/api/collections/[^/]+/items/?"), "items"),
    (re.compile(r"/api/collections/[^/]+/items/.+", re.DOTALL), "item"),
    (re.compile(r"/api/(?:collections/[^/]+/)?tiles/[^/]+/.+", re.DOTALL), "tile"),
    (re.compile(r"/api/collections/[^/]+/map/tiles/[^/]+/.+", re.DOTALL), "picture"),
    (re.compile(r"/api/(?:processes|jobs)(?:/.*)?", re.DOTALL), "analysis"),
    (
        re.compile(r"/api/(?:lookup|geocode|reverse|reach|route|within|nearest|summarize|elevation|profile).*"),
        "analysis",
    ),
    (re.compile(r"/api/collections/[^/]+/aggregate"), "analysis"),
    (re.compile(r"/(?:tiles|maps|wmts)(?:/.*)?(\.[a-z]+)", re.DOTALL), ""),
    (
        re.compile(r"/(?:api|tiles|wmts)(?:/.*)?|/maps/.*\.json|/(?:catalog|data)\.json|/feed\.xml", re.DOTALL),
        "document",
    ),
    (re.compile(r"/download/.*", re.DOTALL), "download"),
    (re.compile(r"/static/.*", re.DOTALL), "static"),
    (re.compile(r"/healthz|/metrics"), "operation"),
    (re.compile(r"/(?:(?:maps|layers)(?:/.*)?|address.*|accessibility|offline|worker\.js)?", re.DOTALL), "page"),
)


def kind_of(path: str) -> str:
    """Return what a request for a path is counted as.

    >>> kind_of("/tiles/parcels/14/4685/6272.mvt"), kind_of("/api/collections/parcels/items"), kind_of("/wp-login.php")
    ('tile', 'items', 'other')
    """
    if path.endswith(".mvt"):
        return "tile"
    for pattern, kind in _PATHS:
        if match := pattern.fullmatch(path):
            found = kind or _BY_ENDING.get(match[1])
            if found:
                return found
    return "other"


@dataclass(frozen=True)
class Totals:
    """Sums over all processes, as they stand."""

    cells: tuple[int, ...]

    def requests(self, kind: str) -> dict[str, int]:
        """Return how many requests of a kind were answered, by status; ``other`` for those not listed."""
        first = _KIND_AT[kind]
        names = (*map(str, STATUSES), "other")
        return dict(zip(names, self.cells[first : first + len(names)], strict=True))

    def durations(self, kind: str) -> tuple[tuple[int, ...], float]:
        """Return how many answers of a kind took at most each of :data:`BOUNDS`, then all; and seconds together."""
        first = _KIND_AT[kind] + len(STATUSES) + 1
        counts, total = [], 0
        for count in self.cells[first : first + len(BOUNDS) + 1]:
            total += count
            counts.append(total)
        return tuple(counts), self.cells[_KIND_AT[kind] + _SUM] / 1e9

    def lookups(self, cache: str) -> tuple[int, int]:
        """Return how often a cache had what was asked for, and how often it had not."""
        first = _CACHE_AT + 2 * CACHES.index(cache)
        return self.cells[first], self.cells[first + 1]

    @property
    def drawn(self) -> int:
        """Tiles and pictures that were drawn."""
        return self.cells[_DRAWN_AT]


class Tally:
    """Counts in one process; safe for threads. A process counts in a slot of its own from its first count on."""

    def __init__(self, path: Path | None = None) -> None:
        """Count in the file that the processes of a server share; without one, for those forked from here alone."""
        size = 8 * SLOTS * _CELLS
        self._file = os.memfd_create("gisservice-tally") if path is None else os.open(path, os.O_RDWR)
        weakref.finalize(self, os.close, self._file)
        if path is None:
            os.truncate(self._file, size)
        self._cells = memoryview(mmap.mmap(self._file, size)).cast("Q")
        self._lock = Lock()
        self._owner = 0
        self._slot = self._cells[:0]

    def request(self, path: str, status: int, nanoseconds: int) -> None:
        """Count a request that was answered."""
        first = _KIND_AT[kind_of(path)]
        span = first + len(STATUSES) + 1 + bisect_left(_BOUNDS_NS, nanoseconds)
        with self._lock:
            slot = self._mine()
            slot[first + _STATUS_AT.get(status, len(STATUSES))] += 1
            slot[span] += 1
            slot[first + _SUM] += nanoseconds

    def looked_up(self, cache: str, found: bool) -> None:
        """Count a look into a cache."""
        self._add(_CACHE_AT + 2 * CACHES.index(cache) + (not found))

    def drew(self) -> None:
        """Count a tile or a picture that was drawn."""
        self._add(_DRAWN_AT)

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Count one drawing as under way, or as waiting for others here, while the ``with`` block runs."""
        self._add(_DRAWING_AT)
        try:
            yield
        finally:
            self._add(_DRAWING_AT, -1)

    def is_crowded(self) -> bool:
        """Tell whether this process has clearly more drawings under way than another: two more, and half as many again.

        The kernel deals out connections by chance. Of two, both are one process's every other time, and take turns
        at its interpreter lock while the other idles.
        """
        with self._lock:
            mine = self._mine()[_DRAWING_AT]
        if mine < _CROWD:
            return False
        firsts = [at * _CELLS for at in range(SLOTS) if self._cells[at * _CELLS] not in (0, self._owner)]
        others = [self._cells[first + _DRAWING_AT] for first in firsts]
        return bool(others) and mine >= _CROWD + 1.5 * min(others)

    def totals(self) -> Totals:
        """Return the sums over all processes."""
        firsts = [at * _CELLS for at in range(SLOTS) if self._cells[at * _CELLS]]
        slots = [self._cells[first : first + _CELLS].tolist() for first in firsts]
        return Totals(tuple(map(sum, zip([0] * _CELLS, *slots, strict=True))))

    def processes(self) -> tuple[int, ...]:
        """Return the ids of the processes that count, or did so last in their slots."""
        return tuple(pid for at in range(SLOTS) if (pid := self._cells[at * _CELLS]))

    def _add(self, cell: int, count: int = 1) -> None:
        with self._lock:
            self._mine()[cell] += count

    def _mine(self) -> memoryview:
        if self._owner != os.getpid():
            self._owner = os.getpid()
            self._slot = self._claimed()
        return self._slot

    def _claimed(self) -> memoryview:
        """Return a slot that nobody else holds; where there is none, counts of this process are lost."""
        for at in range(SLOTS):
            with suppress(OSError):
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, at)
                slot = self._cells[at * _CELLS : (at + 1) * _CELLS]
                slot[0], slot[_DRAWING_AT] = self._owner, 0  # who held it before may have ended while it drew
                return slot
        return memoryview(bytearray(8 * _CELLS)).cast("Q")


@contextmanager
def shared_file() -> Iterator[Path]:
    """Give an empty file for the processes of a server to count in; it is gone when the ``with`` block ends."""
    with tempfile.NamedTemporaryFile(prefix="gisservice-tally-") as file:
        file.truncate(8 * SLOTS * _CELLS)
        yield Path(file.name)
