"""Run every benchmark, one after another. Each prints its conditions beside its figures.

A benchmark that cannot run (a program or the real data is missing) says so and does not stop the others; the exit code
is then 1.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPTS = (
    "publish.py",
    "build.py",
    "validity.py",
    "republish.py",
    "scale.py",
    "tiles.py",
    "features.py",
    "raster.py",
    "memory.py",
    "analysis.py",
    "analysis_network.py",
    "browser.py",
)

stopped = []
for script in SCRIPTS:
    print(f"\n== benchmarks/{script}\n", flush=True)
    if subprocess.run([sys.executable, str(Path(__file__).with_name(script))], check=False).returncode:
        stopped.append(script)
if stopped:
    sys.exit(f"\nNot finished: {', '.join(stopped)}")
