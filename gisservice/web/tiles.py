"""Vector tiles over HTTP: one function for the framework's view and for the fast path before it."""

from __future__ import annotations

import zlib

from gisservice.errors import TileOutsideMatrix
from gisservice.tiles import TileCoord, parse_tile
from gisservice.web import params
from gisservice.web.exchange import BRIEFLY, FOR_EVER, INERT, Answer, Headers, Request, document
from gisservice.web.links import JSON, tiles_path
from gisservice.web.service import Service

MVT = "application/vnd.mapbox-vector-tile"

_VARY = ("Vary", "Accept-Encoding")
_CURRENT: Headers = (("Cache-Control", BRIEFLY), _VARY, INERT)
_PINNED: Headers = (("Cache-Control", FOR_EVER), _VARY, INERT)


def vector_tile(
    service: Service, request: Request, *, collection_id: str, z: str, x: str, y: str, version: str | None = None
) -> Answer:
    """Answer one tile: 404 outside the grid and the zooms, 304, 204 for an empty tile, else its bytes as stored.

    A tile is stored as gzip and sent so to all who take it. Without ``version`` it is a tile of the current one.
    """
    params.read(request.query, ())
    tile = parse_tile(z, x, y)
    if version is None:
        collection, archive = service.tilesets.current(collection_id)
    else:
        collection, archive = service.tilesets.pinned(collection_id, version)
    if not archive.minzoom <= tile.z <= archive.maxzoom:
        raise TileOutsideMatrix(
            f"The tiles of {collection_id!r} have zooms {archive.minzoom} to {archive.maxzoom}, and not {tile.z}."
        )
    gzipped = request.takes_gzip()
    etag = _entity_tag(collection.version, tile, gzipped)
    headers: Headers = (("ETag", etag), *(_CURRENT if version is None else _PINNED))
    if request.has(etag):
        return Answer(304, headers)
    data = archive.get(tile)
    if data is None:
        return Answer(204, headers)
    if gzipped:
        return Answer(200, (("Content-Type", MVT), ("Content-Encoding", "gzip"), *headers), data)
    return Answer(200, (("Content-Type", MVT), *headers), zlib.decompress(data, 31))


def tilejson(service: Service, request: Request, *, collection_id: str) -> Answer:
    """Answer the TileJSON 3.0.0 of a collection's current version; its tile addresses name that version."""
    params.read(request.query, ())
    collection, archive = service.tilesets.current(collection_id)
    layer = collection.layer
    west, south, east, north = archive.bounds

    def make() -> dict[str, object]:
        return {
            "tilejson": "3.0.0",
            "name": layer.title,
            "description": layer.description,
            "attribution": layer.attribution,
            # A semantic version, as TileJSON asks; ours has no order, so it stands in the build part.
            "version": f"1.0.0+{collection.version.removeprefix('v-')}",
            "scheme": "xyz",
            "tiles": [request.address + tiles_path(collection.id, collection.version)],
            "minzoom": archive.minzoom,
            "maxzoom": archive.maxzoom,
            "bounds": [west, south, east, north],
            "center": [(west + east) / 2, (south + north) / 2, archive.minzoom],
            "vector_layers": archive.metadata.get("vector_layers", []),
        }

    key = ("tilejson", service.edition, collection.id, collection.version)
    return document(request, request.media_type(JSON), key, make)


def _entity_tag(version: str, tile: TileCoord, gzipped: bool) -> str:
    """Return the strong tag of a tile: a version never changes, so its id and the address say all."""
    return f'"{version}.{tile.z}.{tile.x}.{tile.y}{".gzip" if gzipped else ""}"'
