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


class Turnstile:
    """Lets so many callers in at a time; others wait at its door for a while, as far as that has places for them.

    Several may share a door, which then bounds how many wait for and are in all of them together. Who finds no place
    at the door, or none inside in time, gets :class:`Overloaded`.
    """

    def __init__(self, what: str, at_once: int, door: Gate, patience_seconds: float) -> None:
        self._what = what
        self._door = door
        self._places = Semaphore(at_once)
        self._patience = patience_seconds

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Hold a place while the ``with`` block runs."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def enter(self) -> None:
        """Take a place, or wait for one; raises :class:`Overloaded` when there is none in time."""
        self._door.enter()
        if not self._places.acquire(timeout=self._patience):
            self._door.leave()
            raise Overloaded(f"Too many {self._what} are under way at once; ask again in a moment.")

    def leave(self) -> None:
        """Give a place back; from any thread."""
        self._places.release()
        self._door.leave()
