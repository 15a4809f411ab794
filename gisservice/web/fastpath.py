"""Tiles and items before routing: a small WSGI layer that calls the same functions as the framework's views."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from gisservice.web import htmlapi
from gisservice.web.exchange import Answer, Request
from gisservice.web.links import CATALOG_PATH
from gisservice.web.rasters import map_tile, raster_tile
from gisservice.web.responses import respond
from gisservice.web.service import Service
from gisservice.web.tiles import collection_tile, vector_tile

StartResponse = Callable[..., Any]
WSGIApplication = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

_SHORT = re.compile(
    r"/tiles/(?P<collection_ids>[a-z0-9_,-]{1,4000})(?:/(?P<versions>v-[0-9a-f]{16}(?:,v-[0-9a-f]{16}){0,100}))?"
    r"/(?P<z>[0-9]{1,2})/(?P<x>[0-9]{1,10})/(?P<y>[0-9]{1,10})\.(?:mvt|pbf)",
    re.ASCII,
)
_PICTURE = re.compile(
    r"/tiles/(?P<collection_id>[a-z0-9_-]{1,64})(?:/(?P<version>v-[0-9a-f]{16}))?"
    r"/(?P<z>[0-9]{1,2})/(?P<x>[0-9]{1,10})/(?P<y>[0-9]{1,10}(?:@2x)?)\.(?P<extension>png|webp|jpg)",
    re.ASCII,
)
_MAP = re.compile(
    r"/api/collections/(?P<collection_id>[a-z0-9_-]{1,64})/map/tiles/(?P<tileMatrixSetId>[A-Za-z0-9]{1,40})"
    r"/(?P<tileMatrix>[0-9]{1,2})/(?P<tileRow>[0-9]{1,10})/(?P<tileCol>[0-9]{1,10})",
    re.ASCII,
)
_OGC = re.compile(
    r"/api/collections/(?P<collection_id>[a-z0-9_-]{1,64})/tiles/(?P<tileMatrixSetId>[A-Za-z0-9]{1,40})"
    r"/(?P<tileMatrix>[0-9]{1,2})/(?P<tileRow>[0-9]{1,10})/(?P<tileCol>[0-9]{1,10})",
    re.ASCII,
)
_ITEMS = re.compile(r"/api/collections/(?P<collection_id>[a-z0-9_-]{1,64})/items", re.ASCII)
_ITEM = re.compile(r"/api/collections/(?P<collection_id>[a-z0-9_-]{1,64})/items/(?P<item_id>.+)", re.ASCII)


class FastPath:
    """Answers GET and HEAD of well-formed tile and item addresses itself, hands everything else to ``downstream``."""

    def __init__(self, service: Service, downstream: WSGIApplication) -> None:
        self._service = service
        self._downstream = downstream

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        found = _find(environ.get("PATH_INFO", "")) if environ["REQUEST_METHOD"] in ("GET", "HEAD") else None
        if found is None:
            return self._downstream(environ, start_response)
        handler, address = found
        answer = respond(self._service, Request(environ), lambda s, r: handler(s, r, **address))
        return send(answer, environ, start_response)


def _find(path: str) -> tuple[Callable[..., Answer], dict[str, str]] | None:
    """Return the function that answers a tile's or an item's address, and what the address names; else None."""
    if path.startswith("/tiles/"):
        if match := _SHORT.fullmatch(path):
            return vector_tile, match.groupdict()
        match = _PICTURE.fullmatch(path)
        return match and (raster_tile, match.groupdict())
    if path.startswith("/api/"):
        return _find_in_api(path)
    return None


def _find_in_api(path: str) -> tuple[Callable[..., Answer], dict[str, str]] | None:
    if path.startswith(CATALOG_PATH + "/"):
        return None
    if match := _ITEMS.fullmatch(path):
        return htmlapi.items, match.groupdict()
    if match := _ITEM.fullmatch(path):
        # Bytes come as latin-1 (PEP 3333); what is not UTF-8 is read as Flask reads it.
        item_id = match["item_id"].encode("latin-1").decode("utf-8", "replace")
        return htmlapi.item, {"collection_id": match["collection_id"], "item_id": item_id}
    if match := _OGC.fullmatch(path):
        return collection_tile, match.groupdict()
    match = _MAP.fullmatch(path)
    return match and (map_tile, match.groupdict())


def send(answer: Answer, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Hand an answer to the server (PEP 3333); HEAD has no body, and a part of a file closes when it was read."""
    start_response(answer.line, answer.all_headers())
    if environ["REQUEST_METHOD"] == "HEAD":
        return [b""]
    return [answer.body] if isinstance(answer.body, bytes) else answer.body
