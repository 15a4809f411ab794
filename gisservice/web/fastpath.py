"""Tiles before routing: a small WSGI layer that calls the same function as the framework's view."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from gisservice.web.exchange import Answer, Request
from gisservice.web.responses import respond
from gisservice.web.service import Service
from gisservice.web.tiles import vector_tile

StartResponse = Callable[..., Any]
WSGIApplication = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

_TILE = re.compile(
    r"/tiles/(?P<collection_id>[a-z0-9_-]{1,64})(?:/(?P<version>v-[0-9a-f]{16}))?"
    r"/(?P<z>[0-9]{1,2})/(?P<x>[0-9]{1,10})/(?P<y>[0-9]{1,10})\.(?:mvt|pbf)",
    re.ASCII,
)


class TileFastPath:
    """Answers GET and HEAD of well-formed tile addresses itself and hands everything else to ``downstream``."""

    def __init__(self, service: Service, downstream: WSGIApplication) -> None:
        self._service = service
        self._downstream = downstream

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        method = environ["REQUEST_METHOD"]
        match = _TILE.fullmatch(environ.get("PATH_INFO", "")) if method in ("GET", "HEAD") else None
        if match is None:
            return self._downstream(environ, start_response)
        answer = respond(self._service, Request(environ), lambda s, r: vector_tile(s, r, **match.groupdict()))
        return send(answer, environ, start_response)


def send(answer: Answer, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Hand an answer to the server (PEP 3333); HEAD has no body, and a part of a file closes when it was read."""
    start_response(answer.line, answer.all_headers())
    if environ["REQUEST_METHOD"] == "HEAD":
        return [b""]
    return [answer.body] if isinstance(answer.body, bytes) else answer.body
