"""Whole pyramids as PMTiles, for clients that read archives by ranges."""

from __future__ import annotations

from gisservice.errors import NotFound
from gisservice.tiles import TILES_FILE
from gisservice.web.exchange import BRIEFLY, FOR_EVER, Answer, Request
from gisservice.web.params import read
from gisservice.web.ranges import file_answer
from gisservice.web.rastersets import RasterTileset
from gisservice.web.service import Service
from gisservice.web.tilesets import Tileset

PMTILES = "application/vnd.pmtiles"


def archive(service: Service, request: Request, *, collection_id: str, version: str | None = None) -> Answer:
    """Answer the archive of a version, whole or the part asked for; without ``version`` that of the current one."""
    read(request.query, ())
    tileset: Tileset | RasterTileset
    if service.rasters.holds(collection_id):
        tileset = service.rasters.one(collection_id, version)
        if tileset.archive is None:
            raise NotFound(f"No tiles of {collection_id!r} are stored; they are drawn when they are asked for.")
    else:
        tileset = service.tilesets.one(collection_id, version)
    path = tileset.collection.path / TILES_FILE
    size = tileset.collection.manifest.files[TILES_FILE]["size"]
    etag = f'"{tileset.version}.pmtiles"'
    kept = BRIEFLY if version is None else FOR_EVER
    name = ("Content-Disposition", f'inline; filename="{tileset.id}.pmtiles"')
    return file_answer(request, path, size, etag, PMTILES, kept, service.downloads, (name,))
