"""A bound on what a worker takes on at once, so that costly questions never hold all its threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, RLock, Semaphore

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

    Who came first is let in first: nobody waits long because others slip in. Several may share a door, which then
    bounds how many wait for and are in all of them together. Who finds no place at the door, or none inside in time,
    gets :class:`Overloaded`.
    """

    def __init__(self, what: str, at_once: int, door: Gate, patience_seconds: float) -> None:
        self._what = what
        self._door = door
        self.free = at_once
        """Places that nobody holds."""
        self._waiting: deque[Event] = deque()
        self._lock = RLock()  # a place can be given back by the collector of garbage, in the midst of any line
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
        turn = Event()
        with self._lock:
            if self.free:
                self.free -= 1
                return
            self._waiting.append(turn)
        if not turn.wait(self._patience) and self._gave_up(turn):
            self._door.leave()
            raise Overloaded(f"Too many {self._what} are under way at once; ask again in a moment.")

    def leave(self) -> None:
        """Give a place back, to who has waited longest; from any thread."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self.free += 1
        self._door.leave()

    def _gave_up(self, turn: Event) -> bool:
        """Leave the queue; False where the place was handed over in this very moment."""
        with self._lock:
            if turn.is_set():
                return False
            self._waiting.remove(turn)
            return True
