"""Run every benchmark, one after another. Each prints its conditions beside its figures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

for script in ("publish.py",):
    subprocess.run([sys.executable, str(Path(__file__).with_name(script))], check=True)
