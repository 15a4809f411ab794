"""A private PostGIS for as long as a test session or a benchmark lasts.

Debian's own programs are run on a new folder under the system's temporary one, reachable by a Unix socket or, for
clients that cannot use one, by the loopback address on a free port with a password of its own. PostgreSQL refuses to
run as root, so root starts it as the user ``postgres`` that Debian's package makes.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
from free_ports import free_port

DATABASE = "gis"
_START_SECONDS = 180
_STOP_SECONDS = 30

# Nothing here has to survive a power cut, and several servers may run side by side on a small machine.
_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "40",
    "timezone": "UTC",
    "jit": "off",
    "log_min_messages": "fatal",
}


class PostgisMissing(Exception):
    """PostgreSQL or its PostGIS extension is not installed; the message says what to install."""


def programs() -> Path:
    """Return the folder of the newest PostgreSQL that has PostGIS, or raise :class:`PostgisMissing`."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    for initdb in reversed(found):
        if Path(f"/usr/share/postgresql/{initdb.parts[-3]}/extension/postgis.control").exists():
            return initdb.parent
    raise PostgisMissing("PostGIS is not installed here; on Debian: apt-get install postgresql-postgis")


@contextmanager
def postgis_server(*, loopback: bool = False, settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run a PostGIS of one's own and yield the address of its database (a ``postgresql://`` URL).

    ``loopback`` listens on 127.0.0.1 as well as on the Unix socket and yields the former with a password;
    ``settings`` are lines of postgresql.conf that replace ours. The extension is created. The server is stopped by its
    own process id and its folder removed, whatever happens inside. Raises :class:`PostgisMissing`.
    """
    binaries = programs()
    folder = Path(tempfile.mkdtemp(prefix="postgis-"))
    owner = "postgres" if os.geteuid() == 0 else None
    password = secrets.token_urlsafe(16)
    try:
        if owner:
            shutil.chown(folder, owner, owner)
        (folder / "password").write_text(password)
        _run(binaries / "initdb", folder, owner)
        port = free_port()
        command = _command(binaries / "postgres", folder, port, loopback, {**_SETTINGS, **(settings or {})})
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, user=owner, group=owner)
        try:
            inside = f"postgresql://postgres@/{{}}?host={folder}&port={port}"
            _await(server, inside.format("postgres"), folder / "log")
            _create(inside)
            outside = f"postgresql://postgres:{password}@127.0.0.1:{port}/{DATABASE}"
            yield outside if loopback else inside.format(DATABASE)
        finally:
            _stop(server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(initdb: Path, folder: Path, owner: str | None) -> None:
    (folder / "password").chmod(0o644)  # inside a folder of mode 0700
    command = [initdb, "-D", folder / "data", "-U", "postgres", "--pwfile", folder / "password", "--no-sync"]
    command += ["--encoding", "UTF8", "--locale", "C.UTF-8", "--auth-local", "trust", "--auth-host", "scram-sha-256"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, user=owner, group=owner)
    if done.returncode:
        raise RuntimeError(f"initdb failed: {done.stderr.strip()}")


def _command(postgres: Path, folder: Path, port: int, loopback: bool, settings: Mapping[str, str]) -> list[str]:
    command = [str(postgres), "-D", str(folder / "data"), "-k", str(folder), "-p", str(port)]
    command += ["-c", f"listen_addresses={'127.0.0.1' if loopback else ''}"]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    return command


def _await(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    """Return when the server takes connections; it says so nowhere else."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg.connect(address).close()
            return
        except psycopg.OperationalError as exc:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {log.read_text(errors='replace').strip()}") from exc
        time.sleep(0.05)


def _create(address: str) -> None:
    with psycopg.connect(address.format("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {DATABASE}")
    with psycopg.connect(address.format(DATABASE), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION postgis")


def _stop(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        server.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown: sessions are ended
        try:
            server.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
