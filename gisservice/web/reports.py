"""What became of every record in the tiles: per zoom, and for one tile."""

from __future__ import annotations

from typing import Any

from gisservice.tiles import parse_tile
from gisservice.web.exchange import Answer, Request, document
from gisservice.web.links import JSON, Link, link, report_path
from gisservice.web.params import read
from gisservice.web.service import Service


def report(service: Service, request: Request, *, collection_id: str) -> Answer:
    """Answer the account of a layer's tiles, zoom by zoom."""
    read(request.query, ())
    tileset = service.tilesets.one(collection_id)
    key = ("tile report", service.edition, tileset.id, tileset.version)

    def make() -> dict[str, Any]:
        summary = tileset.report.summary()
        links = [_self(request, report_path(tileset.id))]
        return {"collection": tileset.id, "version": tileset.version, **summary, "links": links}

    return document(request, request.media_type(JSON), key, make)


def tile_report(service: Service, request: Request, *, collection_id: str, z: str, x: str, y: str) -> Answer:
    """Answer the account of one tile."""
    read(request.query, ())
    tile = parse_tile(z, x, y)
    tileset = service.tilesets.one(collection_id)
    account = tileset.report.tile(tile)
    key = ("tile report", service.edition, tileset.id, tileset.version, f"{tile.z}/{tile.x}/{tile.y}")

    def make() -> dict[str, Any]:
        links = [_self(request, f"{report_path(tileset.id)}/{tile.z}/{tile.x}/{tile.y}")]
        return {"collection": tileset.id, "version": tileset.version, **account, "links": links}

    return document(request, request.media_type(JSON), key, make)


def _self(request: Request, path: str) -> Link:
    return link(request, path, "self", JSON, "This document")
