"""Ports for the servers of the tests."""

from __future__ import annotations

import secrets
import socket

_LOWEST, _MANY = 20_000, 12_000
"""Below the ports that systems give to whoever connects somewhere (32768 and more on Linux)."""


def free_port() -> int:
    """Return a port of this machine that nobody has, and nobody is given until a server comes to take it."""
    while True:
        port = _LOWEST + secrets.randbelow(_MANY)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
