"""A bound on what a worker takes on at once, so that costly questions never hold all its threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Semaphore

from gisservice.errors import Overloaded


class Gate:
    """Lets so many callers in at a time; those who come when it is full get :class:`Overloaded`."""

    def __init__(self, what: str, places: int) -> None:
        self._what = what
        self._places = Semaphore(places)

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Hold a place while the ``with`` block runs."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def enter(self) -> None:
        """Take a place; raises :class:`Overloaded` when there is none."""
        if not self._places.acquire(blocking=False):
            raise Overloaded(f"Too many {self._what} are under way at once; ask again in a moment.")

    def leave(self) -> None:
        """Give a place back; from any thread."""
        self._places.release()
