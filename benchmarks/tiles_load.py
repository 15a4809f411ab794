"""The load on a tile server: wrk with a list of addresses, one and the same for every server."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

SCRIPT = Path(__file__).with_suffix(".lua")


class WrkMissing(Exception):
    """The load generator is not installed; the message says what to install."""


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk saw."""

    rate: float
    """Answers a second."""
    p50_ms: float
    p99_ms: float
    mean_bytes: float
    """Of an answer, its headers included."""
    requests: int


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, as a client that asks for it alone gets it."""

    status: int
    encoding: str
    etag: str
    length: int


def program() -> str:
    """Return wrk's path or raise :class:`WrkMissing`."""
    found = shutil.which("wrk")
    if found is None:
        raise WrkMissing("wrk is not installed; on Debian: apt-get install wrk")
    return found


def load(base: str, lines: Sequence[str], *, encoding: str, connections: int, seconds: int) -> Load:
    """Ask ``base`` for ``lines`` (paths, with a tab and an entity tag where one is sent) for so many seconds.

    Raises RuntimeError when any answer was an error: a server that refuses is not fast.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        options = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s", "--latency", "-s", str(SCRIPT)]
        command = [program(), *options, base, "--", file.name, encoding]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout.splitlines()[-1])
    if seen["faults"] or not seen["requests"]:
        raise RuntimeError(f"{base}: {seen['faults']} of {seen['requests']} requests failed, such as {lines[0]}")
    rate, size = seen["requests"] / seen["seconds"], seen["bytes"] / seen["requests"]
    return Load(rate, seen["p50_ms"], seen["p99_ms"], size, seen["requests"])


def ask_each(base: str, paths: Sequence[str], *, encoding: str) -> dict[str, Answer]:
    """Ask for every distinct path once, on one connection: what is there, and everything warm that can be."""
    connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=120)
    answers = {}
    for path in dict.fromkeys(paths):
        connection.request("GET", path, headers={"Accept-Encoding": encoding})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status not in (200, 204):
            raise RuntimeError(f"{base}{path}: {answer.status} {body[:200].decode(errors='replace')}")
        encoded, tag = answer.headers.get("Content-Encoding", ""), answer.headers.get("ETag", "")
        answers[path] = Answer(answer.status, encoded, tag, len(body))
    connection.close()
    return answers
