"""Errors on their way out: the one table from class to status, and the two bodies an error can have.

Programs get a problem document (RFC 9457), browsers that look at pages get a page. What went wrong inside is
logged whole, as one JSON line with an id, and shown as a fixed sentence with the same id; no trace, path or text of
another library leaves the process.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
import traceback
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from gisservice import errors
from gisservice.maps.pages import ErrorContext, render_error
from gisservice.web.exchange import INERT, NOT_KEPT, Answer, Headers, Request, to_json
from gisservice.web.service import Service
from gisservice.web.sites import site_of

PROBLEM = "application/problem+json"
PAGE = "text/html; charset=utf-8"
ALLOWED = "GET, HEAD, OPTIONS"

Handler = Callable[[Service, Request], Answer]

_log = logging.getLogger("gisservice.web")


class Status(NamedTuple):
    """What a class of errors is over HTTP: the status, its title, and the sentence a page says."""

    code: int
    title: str
    sentence: str


_BAD = "The address asks for something in a form that is not understood. Please check it."
_INTERNAL = "Something went wrong on our side, and is in our log."

STATUSES: dict[type[Exception], Status] = {
    Exception: Status(500, "Internal error", _INTERNAL),
    errors.GISServiceError: Status(500, "Internal error", _INTERNAL),
    errors.Overloaded: Status(503, "Too much at once", "Many people are asking at this moment. Please try again."),
    errors.NotReady: Status(503, "Being made", "This file is being made. Please ask for it again in a few seconds."),
    errors.CatalogError: Status(500, "Published data cannot be read", _INTERNAL),
    errors.LayerUnavailable: Status(503, "Published data cannot be read", _INTERNAL),
    errors.RequestError: Status(400, "The request cannot be understood", _BAD),
    errors.InvalidParameter: Status(400, "A parameter has an unusable value", _BAD),
    errors.UnknownParameter: Status(400, "Unknown parameter", _BAD),
    errors.LimitExceeded: Status(400, "The request is over a limit", _BAD),
    errors.ContentTooLarge: Status(413, "The body is too large", _BAD),
    errors.UnsupportedMediaType: Status(415, "Unsupported media type", _BAD),
    errors.RangeNotSatisfiable: Status(416, "No such part of the file", _BAD),
    errors.NotAcceptable: Status(406, "Not acceptable", "This address has no answer in the form asked for."),
    errors.NotFound: Status(404, "Not found", "There is nothing at this address."),
    errors.CollectionNotFound: Status(404, "No such collection", "No layer of this name is published."),
    errors.ItemNotFound: Status(404, "No such item", "The layer has no item of this name."),
    errors.VersionNotFound: Status(404, "No such version", "This version of the layer does not exist or is not kept."),
    errors.VersionGone: Status(410, "The version is gone", "This version of the layer is no longer kept."),
    errors.AddressNotFound: Status(404, "No such address", "No address of the city is surely meant."),
    errors.MapNotFound: Status(404, "No such map", "No map of this name exists."),
    errors.ProcessNotFound: Status(404, "No such process", "Nothing is worked out under this name."),
    errors.JobNotFound: Status(404, "No such job", "There is no such job, or it is no longer kept."),
    errors.ResultNotReady: Status(404, "No result", "The job has no result yet."),
    errors.TileMatrixSetNotFound: Status(404, "No such tile matrix set", "No tile grid of this name exists."),
    errors.TileOutsideMatrix: Status(404, "No such tile", "The tile lies outside the layer's grid or zooms."),
}
"""Looked up along a class's bases, nearest first."""


def respond(service: Service, request: Request, handler: Handler, allowed: str = ALLOWED) -> Answer:
    """Answer a request: the one door through which every route and every error of the service goes out."""
    started = time.perf_counter_ns()
    answer = _answered(service, request, handler, allowed)
    service.tally.request(request.path, answer.status, time.perf_counter_ns() - started)
    return answer.at_last() if request.leaves else answer


def _answered(service: Service, request: Request, handler: Handler, allowed: str) -> Answer:
    try:
        service.admit(request)
        if request.method == "OPTIONS":
            return preflight(allowed)
        return handler(service, request)
    except Exception as error:
        return failure(service, request, error)


def preflight(allowed: str = ALLOWED) -> Answer:
    """Answer OPTIONS, and with it the preflight of a browser on another site: what is public is open to all."""
    return Answer(
        204,
        (
            ("Allow", allowed),
            ("Access-Control-Allow-Methods", allowed),
            (
                "Access-Control-Allow-Headers",
                "Accept, Accept-Language, Content-Type, If-None-Match, If-Range, Prefer, Range",
            ),
            ("Access-Control-Max-Age", "86400"),
        ),
    )


def ordered_methods(names: Iterable[str]) -> str:
    """Return the value of an Allow header."""
    known = ("GET", "HEAD", "POST", "DELETE", "OPTIONS")
    return ", ".join(name for name in known if name in set(names))


def status_of(error: Exception) -> Status:
    """Return the row of :data:`STATUSES` for the nearest class that has one."""
    return next(STATUSES[base] for base in type(error).__mro__ if base in STATUSES)


def failure(service: Service, request: Request, error: Exception) -> Answer:
    """Turn an error into an answer: a page for a browser outside the API, else a problem document."""
    status, detail = _described(error)
    reference = ""
    if status.code == 500 or isinstance(error, errors.CatalogError):
        reference = _record(request, error)
        detail = f"{_said_of(error)} Its reference there is {reference}."
    headers: Headers = (("Cache-Control", NOT_KEPT), ("Vary", "Accept"))
    headers = (*headers, *_headers_of(error))
    if not _is_for_programs(request.path) and request.prefers_html():
        try:
            return _page(service, request, status, reference, headers)
        except Exception as second:  # an error page that fails must not hide the error
            _record(request, second)
    problem: dict[str, Any] = {
        "type": _type(type(error)),
        "title": status.title,
        "status": status.code,
        "detail": detail,
        "instance": quote(request.path, encoding="latin-1"),
    }
    if isinstance(error, errors.AddressNotFound) and error.suggestions:
        problem["suggestions"] = list(error.suggestions)
    return Answer(status.code, (("Content-Type", PROBLEM), *headers, INERT), to_json(problem))


def _said_of(error: Exception) -> str:
    """Return the fixed sentence about what went wrong inside."""
    if isinstance(error, errors.LayerUnavailable):
        return "The files of this layer cannot be read, which is in our log; all other layers are served."
    return _INTERNAL


def _headers_of(error: Exception) -> Headers:
    """Return the headers that the status of some errors calls for (RFC 9110)."""
    if isinstance(error, MethodNotAllowed):
        return (("Allow", ordered_methods(error.valid_methods or ALLOWED.split(", "))),)
    if isinstance(error, errors.RangeNotSatisfiable):
        return (("Content-Range", f"bytes */{error.size}"),)
    if isinstance(error, errors.Overloaded):
        return (("Retry-After", "5" if isinstance(error, errors.NotReady) else "1"),)
    if isinstance(error, errors.LayerUnavailable):
        return (("Retry-After", "60"),)  # somebody has to put it right
    return ()


def page_headers(nonce: str, framed: bool = False) -> Headers:
    """Return the headers of a page: only our own files and the scripts and styles marked with this nonce run in it.

    Only with ``framed`` may another site show it inside a page of its own.
    """
    ancestors = "*" if framed else "'self'"
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'self'; "
        f"frame-ancestors {ancestors}; object-src 'none'; "
        f"script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; "
        "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; worker-src 'self'"
    )
    return (("Content-Type", PAGE), ("Content-Security-Policy", policy))


def new_nonce() -> str:
    """Return a fresh nonce of 128 random bits for one page."""
    return secrets.token_urlsafe(16)


def _page(service: Service, request: Request, status: Status, reference: str, headers: Headers) -> Answer:
    nonce = new_nonce()
    site = site_of(service, request, nonce, None)
    text = render_error(ErrorContext(site, status.code, status.title, status.sentence, reference))
    return Answer(status.code, (*page_headers(nonce), *headers), text.encode())


def _is_for_programs(path: str) -> bool:
    return path.startswith(("/api", "/tiles/", "/static/", "/healthz", "/metrics"))


def _described(error: Exception) -> tuple[Status, str]:
    """Return the status of an error and the sentence for programs; what the framework refused gets words of ours."""
    if not isinstance(error, HTTPException):
        return status_of(error), str(error)
    if error.code == 404:
        return STATUSES[errors.NotFound], "No resource has this address; '/api' links to all there are."
    if error.code == 405:
        sentence = "This address does not take this method."
        allowed = ordered_methods(getattr(error, "valid_methods", None) or ALLOWED.split(", "))
        return Status(405, "Method not allowed", sentence), f"{sentence} Expected one of {allowed}."
    if error.code is None or error.code >= 500:
        return STATUSES[Exception], _INTERNAL
    return Status(error.code, error.name, _BAD), f"The server does not take this request: {error.name}."


_OGC_TYPES = {
    kind: f"http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/{name}"
    for kind, name in (
        (errors.ProcessNotFound, "no-such-process"),
        (errors.JobNotFound, "no-such-job"),
        (errors.ResultNotReady, "result-not-ready"),
    )
}
"""What a standard calls a kind of problem (OGC 18-062r2)."""


def _type(kind: type) -> str:
    """Return the stable name of a kind of problem; ``about:blank`` where the status says it all (RFC 9457, 4.2.1)."""
    if kind in _OGC_TYPES:
        return _OGC_TYPES[kind]
    if issubclass(kind, errors.RequestError | errors.NotFound | errors.Overloaded | errors.CatalogError):
        return "urn:gisservice:problem:" + re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind.__name__).lower()
    return "about:blank"


def _record(request: Request, error: Exception) -> str:
    """Log an error as one JSON line; return its id."""
    reference = secrets.token_hex(8)
    line = {
        "event": "error",
        "id": reference,
        "method": request.method[:16],
        "path": request.path[:500],
        "query": request.query[:500],
        "error": type(error).__name__,
        "trace": "".join(traceback.format_exception(error)),
    }
    _log.error("%s", orjson.dumps(line).decode())
    return reference
