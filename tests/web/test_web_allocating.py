"""Memory that a worker frees is kept for the next tile."""

from __future__ import annotations

import subprocess
import sys

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
    done = subprocess.run([sys.executable, "-c", PROGRAM, word], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_arrays_of_a_tile_bring_no_new_pages():
    assert faults("kept") < 500 < faults("given back")
