"""The tile servers that are compared, each on a free port of the loopback address with two workers."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import measure
from alexandria import REGISTRY

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = str(Path(sys.executable).parent / "gisservice")
WORKERS = 2
MARTIN = "1.14.0"
INSTALL_MARTIN = (
    f"cargo install martin --version {MARTIN} --locked --no-default-features --features postgres,pmtiles,mbtiles"
)

Place = Callable[[tuple[int, int, int]], str]


class PeerMissing(Exception):
    """A program to compare with is not installed; the message says what to install."""


@dataclass(frozen=True)
class Server:
    """A running server: its name in the table, its address, the path of a tile, its processes."""

    name: str
    base: str
    path: Place
    roots: tuple[int, ...]
    """Processes that, with all that descend from them, are the server and what it cannot answer without."""

    def processes(self) -> list[int]:
        """Return its processes as they are now; a database starts one for each connection."""
        return [pid for root in self.roots for pid in measure.tree(root)]

    def cpu_seconds(self) -> float:
        """Return the processor time that its living processes have taken so far."""
        return sum(measure.cpu_seconds(pid) for pid in self.processes())

    def memory(self) -> str:
        """Return what each process holds: resident, and its share where several have the same page (PSS)."""
        sizes = [(measure.resident_kib(pid) / 1024, measure.proportional_kib(pid) / 1024) for pid in self.processes()]
        each = ", ".join(f"{resident:.0f} ({share:.0f})" for resident, share in sizes)
        return f"{each} MiB; {sum(share for _, share in sizes):.0f} MiB in all"


@contextmanager
def running(command: Sequence[str], port: int, health: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a server, wait until ``health`` answers, and end it afterwards."""
    process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    try:
        _await(process, f"http://127.0.0.1:{port}{health}")
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _await(process: subprocess.Popen[bytes], address: str) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended with {process.returncode} while starting")
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:  # not listening yet, or not answering in time
            time.sleep(0.1)
    raise RuntimeError(f"{process.args} did not answer at {address}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def gisservice(
    name: str, home: Path, layer: str, query: str = "", *, registry: Path = REGISTRY, **settings: str
) -> Iterator[Server]:
    """Serve ``home``; ``query`` follows each tile's address, ``settings`` are environment variables of ours."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    command = [PROGRAM, "--registry", str(registry), "--home", str(home)]
    command += ["serve", "--port", str(port), "--workers", str(WORKERS)]
    with running(command, port, "/healthz", **settings) as process:
        with urllib.request.urlopen(f"{base}/tiles/{layer}.json") as answer:
            template = urlsplit(json.load(answer)["tiles"][0]).path
        yield Server(name, base, lambda t: template.format(z=t[0], x=t[1], y=t[2]) + query, (process.pid,))


@contextmanager
def martin(
    name: str, program: str, source: str, layer: str, cache_mb: int, database: int | None = None
) -> Iterator[Server]:
    """Serve an archive or a database with Martin; ``layer`` is what it calls the tiles of it.

    ``database`` is the first process of the database, if there is one.
    """
    port = free_port()
    command = [program, "--listen-addresses", f"127.0.0.1:{port}", "--workers", str(WORKERS)]
    command += ["--cache-size", str(cache_mb), source]
    with running(command, port, "/health", RUST_LOG="error") as process:
        roots = (process.pid,) if database is None else (process.pid, database)
        yield Server(name, f"http://127.0.0.1:{port}", lambda t: f"/{layer}/{t[0]}/{t[1]}/{t[2]}", roots)


def find_martin(given: str | None) -> str:
    """Return Martin's path or raise :class:`PeerMissing`."""
    found = shutil.which(given or "martin")
    if found is None:
        raise PeerMissing(f"Martin is not installed; with Rust: {INSTALL_MARTIN}")
    return found


@contextmanager
def postgis(frame_file: Path, table: str, settings: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """Load a file into a table of a private PostGIS, in Web Mercator with a GiST index.

    Yields the database's address and the id of its first process.

    Web Mercator is what is best for Martin: no tile has to be reprojected. Raises :class:`PeerMissing`.
    """
    sys.path.insert(0, str(ROOT / "tests"))
    try:
        import psycopg
        from postgis_server import PostgisMissing, postgis_server
    except ImportError as exc:
        raise PeerMissing(f"{exc}; the packages of the tests are needed: make test") from exc
    if shutil.which("ogr2ogr") is None:
        raise PeerMissing("ogr2ogr is not installed; on Debian: apt-get install gdal-bin")
    try:
        with postgis_server(loopback=True, settings=settings) as address:
            load = [
                "ogr2ogr",
                "-f",
                "PostgreSQL",
                "--config",
                "PG_USE_COPY",
                "YES",
                "-nln",
                table,
                "-t_srs",
                "EPSG:3857",
            ]
            load += ["-nlt", "MULTIPOLYGON", "-lco", "GEOMETRY_NAME=geom", "-lco", "SPATIAL_INDEX=GIST"]
            subprocess.run([*load, f"PG:{address}", str(frame_file)], check=True)
            with psycopg.connect(address, autocommit=True) as connection:
                connection.execute(f"VACUUM ANALYZE {table}")
                first = measure.parent(connection.info.backend_pid)
            yield address, first
    except PostgisMissing as exc:
        raise PeerMissing(str(exc)) from exc


def postgis_version() -> str:
    """Return the versions of the PostgreSQL and the PostGIS that the table is in."""
    from postgis_server import programs

    server = subprocess.run([programs() / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    control = Path(f"/usr/share/postgresql/{programs().parts[-2]}/extension/postgis.control").read_text()
    extension = next(line.split("'")[1] for line in control.splitlines() if line.startswith("default_version"))
    return f"{server.split(' (Debian')[0].strip().replace('postgres (PostgreSQL)', 'PostgreSQL')}, PostGIS {extension}"
