"""Starts the server: Granian, several processes over the same mapped files."""

from __future__ import annotations

import logging
import os
import signal
import socket
from functools import partial
from pathlib import Path
from threading import Thread

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from gisservice.errors import SettingsError
from gisservice.maps.sparing import keep_pandas_from_arrow
from gisservice.settings import Settings
from gisservice.web.allocating import keep_freed_memory
from gisservice.web.app import create_app
from gisservice.web.fastpath import FastPath, WSGIApplication
from gisservice.web.service import THREADS, Service
from gisservice.web.tally import shared_file

CONNECTIONS_MAX = 1024
"""Connections a worker holds at once, idle ones included; further ones wait in the listen queue."""

STOP_SECONDS_MAX = 20
"""How long a stopping worker may take to finish its answers."""


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM, then finish the answers under way. A worker that dies is replaced.

    Raises :class:`SettingsError` before any process is started: for a registry with a mistake, for browser
    libraries that are not installed, for an address that cannot be listened on.
    """
    _ = Service.open(settings).assets
    _check_address(settings.host, settings.port)
    server = Granian(
        "gisservice.web.wsgi:app",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        workers=settings.workers,
        blocking_threads=THREADS,
        backpressure=CONNECTIONS_MAX,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS_MAX,
        websockets=False,
        log_level=LogLevels.warning,
    )
    # Most threads wait; Granian takes them all for busy ones, and would warn of their number at every start.
    logging.getLogger("_granian").addFilter(lambda record: "Python threads" not in record.getMessage())
    os.register_at_fork(after_in_child=_stop_on_signals)
    with shared_file() as tally_file:
        # The workers get these very settings; the target above is what the server is called in the process list.
        server.serve(target_loader=partial(_worker, settings, tally_file), wrap_loader=False)


def _worker(settings: Settings, tally_file: Path | None) -> WSGIApplication:
    """Return a worker's application, which answers at once; what the first who ask would wait for is made meanwhile."""
    keep_freed_memory()
    keep_pandas_from_arrow()
    app = create_app(settings, tally_file)
    service: Service = app.extensions["gisservice"]
    Thread(target=service.prepare, daemon=True).start()
    return FastPath(service, app)


def _stop_on_signals() -> None:
    """Let a new worker end on a signal to stop.

    It is forked with its parent's handlers, which only note the signal for the parent; the server sets the worker's
    own once the application is loaded.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def _check_address(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as exc:
        raise SettingsError(
            f"Cannot listen on {host}, port {port}: {exc.strerror or exc}. Choose another with --host and --port."
        ) from exc
