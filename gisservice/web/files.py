"""The files below ``static/``: style sheets, scripts and the browser libraries that set-up installs."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import os
import re
import stat
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import brotli
from werkzeug.security import safe_join

from gisservice.errors import NotFound
from gisservice.maps.languages import LANGUAGES
from gisservice.web import params
from gisservice.web.exchange import (
    CODINGS,
    FOR_EVER,
    GZIP_BYTES_MIN,
    PER_VISIT,
    Answer,
    Headers,
    Offer,
    Request,
    entity_tag,
    to_json,
)
from gisservice.web.service import Service

_POLICY = ("Content-Security-Policy", "default-src 'self'; frame-ancestors 'self'; object-src 'none'")
_WORKER_POLICY = ("Content-Security-Policy", "default-src 'none'; connect-src 'self'")
_SMALL_BYTES = 200_000
"""Up to here a file is compressed as well as can be."""

_DAILY = "public, max-age=86400"
_DIGEST = re.compile(r".+\.[0-9a-f]{12}\.[a-z0-9]+")
_TYPES = {".mjs": "text/javascript", ".js": "text/javascript", ".map": "application/json", ".woff2": "font/woff2"}


def static_file(service: Service, request: Request, *, filename: str) -> Answer:
    """Answer a file. Where its address holds a digest of it (in ``v`` or in the name), it may be kept for ever."""
    values = params.read(request.query, ("v",))
    path, state = _find(service.settings.static, filename)
    media = _media_type(path)
    coding = request.coding(*CODINGS) if _is_text(media) and state.st_size >= GZIP_BYTES_MIN else ""
    etag = entity_tag("static", filename, str(state.st_mtime_ns), str(state.st_size), coding)
    caching = FOR_EVER if values.get("v") or _DIGEST.fullmatch(path.name) else _DAILY
    headers: Headers = (("ETag", etag), ("Cache-Control", caching), ("Vary", "Accept-Encoding"), _POLICY)
    if request.has(etag):
        return Answer(304, headers)
    headers = (("Content-Type", media), *headers)
    if coding:
        return Answer(200, (("Content-Encoding", coding), *headers), _compressed(path, coding, state.st_mtime_ns))
    return Answer(200, headers, path.read_bytes())


def worker(service: Service, request: Request) -> Answer:
    """Answer the service worker: at the root, so that it may keep every page, and under its edition, the digest of all
    files that it keeps. Browsers ask for it at each visit; another edition replaces what was kept.
    """
    params.read(request.query, ())
    program = _find(service.settings.static, "worker.js")[0].read_bytes()
    assets = [f"{request.base}/static/{asset.path}" for asset in service.assets.shell().values()]
    offline = {code: f"{request.base}/offline?lang={code}" for code in LANGUAGES}
    content = b"".join([program, *(path.encode() for path in assets), service.edition.encode()])
    edition = hashlib.sha256(content).hexdigest()[:12]
    shell = {"edition": edition, "assets": assets, "offline": offline}
    offer = Offer.make(request, "text/javascript; charset=utf-8", ("worker", edition), PER_VISIT)
    offer = offer.under(_WORKER_POLICY)
    return offer.unchanged() or offer.send(b"const SHELL = " + to_json(shell) + b";\n" + program)


def _find(root: Path, filename: str) -> tuple[Path, os.stat_result]:
    """Return a plain file below ``root`` with its state; hidden files are none."""
    joined = safe_join(str(root), filename)
    if joined is not None and not any(part.startswith(".") for part in filename.split("/")):
        with suppress(OSError, ValueError):  # no such file, a name too long for the disk, a NUL in it
            state = os.stat(joined)
            if stat.S_ISREG(state.st_mode):
                return Path(joined), state
    raise NotFound("There is no such static file.")


@lru_cache(maxsize=256)
def _compressed(path: Path, coding: str, modified: int) -> bytes:
    """Compress a file once for each time it changed (``modified``, in nanoseconds)."""
    content = path.read_bytes()
    if coding == "gzip":
        return gzip.compress(content, 9, mtime=0)
    # Leaflet takes a third of a second for a tenth fewer bytes; Swagger UI, ten times as large, would take four.
    packed: bytes = brotli.compress(content, quality=11 if len(content) <= _SMALL_BYTES else 9)
    return packed


def _media_type(path: Path) -> str:
    media = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return f"{media}; charset=utf-8" if media.startswith("text/") else media


def _is_text(media: str) -> bool:
    return media.startswith("text/") or media in ("application/json", "image/svg+xml", "application/manifest+json")
