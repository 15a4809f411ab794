"""How the C library of a worker keeps memory that is freed: for the next tile, and not much of it.

A tile is drawn in a few dozen arrays of some hundred kilobytes. By default each is given back to the kernel when it is
freed and comes as fresh pages the next time: 800 page faults a raster tile, a third of its processor time.
"""

from __future__ import annotations

import ctypes

TRIM_BYTES = 8 << 20
"""What a heap keeps at its end."""

LARGE_BYTES = 2 << 20
"""From here on memory comes from the kernel and goes back to it at once."""

HEAPS_MAX = 4
"""Heaps of a process, which its threads share: what they keep is bounded, too, and few threads run at a time."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8


def keep_freed_memory() -> None:
    """Set the bounds above (mallopt(3) of glibc), before the process starts its threads; elsewhere do nothing."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for name, value in (
            (_ARENA_MAX, HEAPS_MAX),
            (_MMAP_THRESHOLD, LARGE_BYTES),
            (_TRIM_THRESHOLD, TRIM_BYTES),
        ):
            mallopt(name, value)
