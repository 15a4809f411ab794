"""Starts the server: Granian, several processes over the same mapped files."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
from contextlib import closing
from pathlib import Path
from threading import Thread

from flask import Flask
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from gisservice.errors import SettingsError
from gisservice.maps.sparing import keep_pandas_from_arrow
from gisservice.settings import Settings
from gisservice.web.allocating import keep_freed_memory, keep_within_bounds
from gisservice.web.app import create_app
from gisservice.web.computing import Door
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
    with shared_file() as tally_file:
        ready = _Ready(settings, tally_file)
        _check_address(settings.host, settings.port)
        keep_freed_memory()
        keep_pandas_from_arrow()
        with closing(ready.prepare()):
            _run(settings, ready)


def _run(settings: Settings, ready: _Ready) -> None:
    # Most threads wait; Granian takes them all for busy ones, and would warn of their number at every start.
    logging.getLogger("_granian").addFilter(lambda record: "Python threads" not in record.getMessage())
    os.register_at_fork(after_in_child=_stop_on_signals)
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
    # The target is what the server is called in the process list; the workers get the application itself.
    server.serve(target_loader=ready.application, wrap_loader=False)


class _Ready:
    """The application as the workers are forked with it: what they would each make is made once, and shared.

    This process lets go of it with the last of them. A worker that replaces another makes its own: by then versions
    may have changed, and those of the start are not to be kept open for as long as the server runs.
    """

    def __init__(self, settings: Settings, tally_file: Path) -> None:
        """Raises :class:`SettingsError` for what cannot be served."""
        self._settings, self._tally_file = settings, tally_file
        self._unforked = settings.workers
        self._app: Flask | None = create_app(settings, tally_file)
        _ = self._service(self._app).assets
        self._door: Door | None = None

    def prepare(self) -> Door:
        """Make what the first who ask would wait for, and return the door to the backroom, to be closed at the end."""
        assert self._app is not None
        service = self._service(self._app)
        self._door = service.answering.computer.share()
        service.prepare()
        gc.collect()
        gc.freeze()  # what a collector looks at it writes on, and then it is no longer shared
        os.register_at_fork(after_in_parent=self._forked)
        return self._door

    def application(self) -> WSGIApplication:
        """Return a worker's application; what takes long to make is made meanwhile."""
        service_is_ready = self._app is not None
        app = self._app or create_app(self._settings, self._tally_file)
        service = self._service(app)
        if not service_is_ready:
            service.answering.computer.share(self._door)
            service.prepare()
        Thread(target=service.answering.prepare, daemon=True).start()
        Thread(target=keep_within_bounds, daemon=True).start()
        return FastPath(service, app)

    def _forked(self) -> None:
        self._unforked -= 1
        if not self._unforked:
            self._app = None
            gc.unfreeze()
            gc.collect()

    @staticmethod
    def _service(app: Flask) -> Service:
        service: Service = app.extensions["gisservice"]
        return service


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
