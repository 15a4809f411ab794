"""Files over HTTP, whole or in part (RFC 9110, 14), in the same memory whatever their length."""

from __future__ import annotations

from pathlib import Path

from gisservice.errors import RangeNotSatisfiable
from gisservice.web.exchange import INERT, Answer, Headers, Request
from gisservice.web.fileparts import FilePart, Framed, Span, is_whole, parse_range
from gisservice.web.gates import Gate

HELD_BYTES_MAX = 1 << 20
"""Parts up to this length are read at once, so that a slow reader of a small part holds no thread of ours."""


def file_answer(
    request: Request, file: Path | Framed, size: int, etag: str, media: str, cache: str, gate: Gate, extra: Headers = ()
) -> Answer:
    """Answer a file of ``size`` bytes that never changes while its strong ``etag`` stays: 200, 206, 304 or 416.

    Its bytes are sent as they are, in no content coding, as parts of them are asked for by place. One part is sent
    at a time: a request for several gets the whole file. ``gate`` bounds how many long parts are under way.
    """
    headers: Headers = (("ETag", etag), ("Cache-Control", cache), ("Accept-Ranges", "bytes"), *extra, INERT)
    if request.has(etag):
        return Answer(304, headers)
    headers = (("Content-Type", media), *headers)
    span = _asked(request, size, etag)
    if span is None:
        return Answer(200, headers, _body(request, file, Span(0, size), gate))
    if not span.length:
        raise RangeNotSatisfiable(size)
    covered = f"bytes {span.start}-{span.start + span.length - 1}/{size}"
    return Answer(206, (*headers, ("Content-Range", covered)), _body(request, file, span, gate))


def _asked(request: Request, size: int, etag: str) -> Span | None:
    """Return the span asked for; only GET has one (RFC 9110, 14.2)."""
    environ = request.environ
    header = environ.get("HTTP_RANGE")
    if header is None or request.method != "GET" or is_whole(environ.get("HTTP_IF_RANGE"), etag):
        return None
    return parse_range(header, size)


def _body(request: Request, file: Path | Framed, span: Span, gate: Gate) -> bytes | FilePart:
    if span.length <= HELD_BYTES_MAX or request.method == "HEAD":
        part = FilePart(file, span)
        return part if request.method == "HEAD" else part.read()
    gate.enter()
    try:
        return FilePart(file, span, gate.leave)
    except BaseException:
        gate.leave()
        raise
