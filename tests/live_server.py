"""The real server on loopback, in a process of its own, for the tests that bring a client from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gisservice.settings import Settings

PROGRAM = "from gisservice.settings import Settings; from gisservice.web import serve; serve(Settings.load())"


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """Start the server with these settings, yield its address, and stop it; the port should be a free one."""
    server = subprocess.Popen([sys.executable, "-c", PROGRAM], env={**os.environ, **settings.environment()})
    try:
        base = f"http://127.0.0.1:{settings.port}"
        wait_until_ready(base, server)
        yield base
    finally:
        server.terminate()
        server.wait(120)


def wait_until_ready(base: str, server: subprocess.Popen) -> None:
    for _ in range(1200):
        assert server.poll() is None, "the server stopped while starting"
        try:
            urllib.request.urlopen(f"{base}/healthz", timeout=30).close()
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail("the server did not become ready")
