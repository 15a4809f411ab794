"""What was made on request: kept as it is sent, within a bound of bytes, and made by one asker at a time."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sized
from threading import Event, Lock
from typing import Generic, TypeVar

Key = tuple[Hashable, ...]
V = TypeVar("V", bound=Sized)

_ENTRY_BYTES = 400
"""What an entry costs beside its bytes and the texts of its key, about."""


class _Flight(Generic[V]):
    """One making of the bytes of a key; ``value`` stays None when it failed."""

    def __init__(self) -> None:
        self.over = Event()
        self.value: V | None = None


class ByteCache(Generic[V]):
    """Bytes by key, or what has bytes and says with ``len`` how many; those not asked for longest are let go first.

    Safe for threads.

    A key says all that determines its bytes, so nothing here grows stale; what is no longer asked for ages out.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._kept: OrderedDict[Key, V] = OrderedDict()
        self._size = 0
        self._flights: dict[Key, _Flight[V]] = {}
        self._lock = Lock()

    @property
    def size_bytes(self) -> int:
        """What is kept, keys included."""
        return self._size

    def kept(self, key: Key) -> V | None:
        """Return the bytes of a key if they are kept."""
        with self._lock:
            return self._use(key)

    def keep(self, key: Key, made: V) -> None:
        """Keep what was made for a key."""
        if len(made) > self._limit:
            return
        with self._lock:
            if key not in self._kept:
                self._keep(key, made)

    def get(self, key: Key, make: Callable[[], V]) -> V:
        """Return the bytes of a key; when they are not kept, ``make`` makes them.

        Of several threads that ask for one key at a time, one makes its bytes and the others wait for them. An error
        goes to the one who made it and is not kept: of those who waited, the next one tries.
        """
        while True:
            with self._lock:
                kept = self._use(key)
                if kept is not None:
                    return kept
                flight = self._flights.get(key)
                if flight is None:
                    mine = self._flights[key] = _Flight[V]()
                    break
            flight.over.wait()
            if flight.value is not None:
                return flight.value
        try:
            mine.value = make()
            with self._lock:
                self._keep(key, mine.value)
            return mine.value
        finally:
            with self._lock:
                del self._flights[key]
            mine.over.set()

    def _use(self, key: Key) -> V | None:
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
        return kept

    def _keep(self, key: Key, made: V) -> None:
        cost = _cost(key, made)
        if cost > self._limit:
            return
        self._kept[key] = made
        self._size += cost
        while self._size > self._limit:
            self._size -= _cost(*self._kept.popitem(last=False))


def _cost(key: Key, value: Sized) -> int:
    return len(value) + sum(sys.getsizeof(part) for part in key) + _ENTRY_BYTES
