"""Chromium of the system, driven by playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

QUIET = (
    "--no-sandbox",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
)


@contextmanager
def chromium(playwright: Any, *arguments: str) -> Iterator[Any]:
    """Yield a browser started with more ``arguments``; the test is skipped where none is installed."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium is installed (make system, or apt-get install chromium)")
    opened = playwright.chromium.launch(executable_path=program, args=[*QUIET, *arguments])
    yield opened
    opened.close()
