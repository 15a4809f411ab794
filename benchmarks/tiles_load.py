"""The load on a tile server: a list of addresses, one and the same for every server.

For a time (:func:`load`), by wrk, where answers are so many that the client's own cost matters; or to the end
(:func:`load_whole`), where answers are so few that it does not: in a given time a slow server would finish the small
tiles of its list and be counted without the large ones that it had begun.
"""

from __future__ import annotations

import http.client
import json
import math
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
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
    """Bytes, headers included."""


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


def load_whole(base: str, paths: Sequence[str], *, encoding: str, connections: int) -> Load:
    """Ask ``base`` for all ``paths``, each connection for the next when it has its answer.

    Raises RuntimeError when any answer was an error.
    """
    waiting = iter(paths)
    started = time.perf_counter()
    with ThreadPoolExecutor(connections) as pool:
        seen = [
            turn for taken in pool.map(lambda _: _take(base, waiting, encoding), range(connections)) for turn in taken
        ]
    seconds = time.perf_counter() - started
    times = sorted(took for took, _ in seen)
    p50, p99 = (1000 * times[math.ceil(share * len(times)) - 1] for share in (0.50, 0.99))
    return Load(len(seen) / seconds, p50, p99, sum(size for _, size in seen) / len(seen), len(seen))


def _take(base: str, waiting: Iterator[str], encoding: str) -> list[tuple[float, int]]:
    """Return seconds and bytes of each answer that one connection was given, until no address is left."""
    connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=120)
    seen = []
    for path in waiting:  # a list's iterator gives each address to one thread only
        started = time.perf_counter()
        answer = _ask(connection, path, encoding)
        seen.append((time.perf_counter() - started, answer.length))
    connection.close()
    return seen


def ask_each(base: str, paths: Sequence[str], *, encoding: str) -> dict[str, Answer]:
    """Ask for every distinct path once, on one connection: what is there, and everything warm that can be."""
    connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=120)
    answers = {path: _ask(connection, path, encoding) for path in dict.fromkeys(paths)}
    connection.close()
    return answers


def _ask(connection: http.client.HTTPConnection, path: str, encoding: str) -> Answer:
    connection.request("GET", path, headers={"Accept-Encoding": encoding})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status not in (200, 204):
        raise RuntimeError(f"{connection.host}{path}: {answer.status} {body[:200].decode(errors='replace')}")
    encoded, tag = answer.headers.get("Content-Encoding", ""), answer.headers.get("ETag", "")
    return Answer(answer.status, encoded, tag, len(body) + len(str(answer.headers)))
