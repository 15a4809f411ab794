"""For any WSGI server: ``gisservice.web.wsgi:app``, built from the environment at the first request."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from threading import Lock
from typing import Any

from gisservice.web.app import wsgi_app
from gisservice.web.fastpath import StartResponse, WSGIApplication

_lock = Lock()


def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Answer a request with the service that the environment variables ``GISSERVICE_…`` describe."""
    with _lock:
        built = _build()
    return built(environ, start_response)


@cache
def _build() -> WSGIApplication:
    return wsgi_app()
