"""Memory that a worker frees is kept for the next tile."""

from __future__ import annotations

import os
import subprocess
import sys

from gisservice.pack import let_pages_go, mapped
from gisservice.web.allocating import mapped_bytes

PROGRAM = """
import resource
import sys
import numpy as np
from gisservice.web.allocating import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
before = 0
for turn in range(60):
    if turn == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    held = [np.ones(size) for size in (60_000, 33_000, 60_000, 33_000, 90_000)]
    del held
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(word: str) -> int:
    """The bound is the C library's own, which it would raise by itself if something large was freed, as a module is."""
    env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(128 << 10)}
    done = subprocess.run([sys.executable, "-c", PROGRAM, word], capture_output=True, text=True, check=True, env=env)
    return int(done.stdout)


def test_arrays_of_a_tile_bring_no_new_pages():
    assert faults("kept") < 500 < faults("given back")


def test_pages_of_mapped_files_are_let_go_and_come_back(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * (1 << 17))
    held = mapped(path)
    assert held[-1] == 255 and bytes(held).count(7) == 1 << 17
    before = mapped_bytes()
    let_pages_go()
    assert before - mapped_bytes() > 30 << 20
    assert bytes(held).count(7) == 1 << 17
