"""Bounds on what a worker does at once, so that costly questions never take all its threads from the cheap ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Semaphore

from gisservice.errors import Overloaded


class Gate:
    """Lets ``inside`` callers in at a time and keeps ``waiting`` more; those after them get :class:`Overloaded`."""

    def __init__(self, what: str, inside: int, waiting: int = 0) -> None:
        self._what = what
        self._inside = Semaphore(inside)
        self._places = Semaphore(inside + waiting)

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Wait for a place, and hold it while the ``with`` block runs."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def enter(self) -> None:
        """Wait for a place and take it; raises :class:`Overloaded` when too many wait already."""
        if not self._places.acquire(blocking=False):
            raise Overloaded(f"Too many {self._what} are under way at once; ask again in a moment.")
        self._inside.acquire()

    def leave(self) -> None:
        """Give a place back; from any thread."""
        self._inside.release()
        self._places.release()
