"""What a worker keeps of memory that it does not use just now: enough for the next tile, and not much of it.

A tile is drawn in a few dozen arrays of some hundred kilobytes. By default each is given back to the kernel when it is
freed and comes as fresh pages the next time: 800 page faults a raster tile, a third of its processor time.
"""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path

from gisservice.pack import let_pages_go

TRIM_BYTES = 8 << 20
"""What a heap keeps at its end."""

LARGE_BYTES = 2 << 20
"""From here on memory comes from the kernel and goes back to it at once."""

HEAPS_MAX = 4
"""Heaps of a process, which its threads share: what they keep is bounded, too, and few threads run at a time."""

MAPPED_BYTES_MAX = 80 << 20
"""Pages of files that a worker may have mapped, code included (50 to 70 MiB), before it lets go of them."""

_LOOKS_SECONDS = 1.0

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


def keep_within_bounds() -> None:
    """Look now and then, for good, whether this process has mapped too much; then it gives that back, and freed memory.

    Both come back when they are needed, from memory: that costs milliseconds for what a hundred megabytes hold.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while True:
        time.sleep(_LOOKS_SECONDS)
        if mapped_bytes() > MAPPED_BYTES_MAX:
            let_pages_go()
            if trim is not None:
                trim(0)


def mapped_bytes() -> int:
    """Return how much of the files that are mapped is in this process's memory (proc_pid_statm(5))."""
    return int(Path("/proc/self/statm").read_text().split()[2]) * os.sysconf("SC_PAGE_SIZE")
