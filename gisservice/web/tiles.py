"""Vector tiles over HTTP: one function for the framework's view and for the fast path before it."""

from __future__ import annotations

from collections.abc import Iterable

from gisservice.errors import TileOutsideMatrix
from gisservice.tiles import TileCoord, TileMatrixSet, matrix_set, parse_tile
from gisservice.tiles.matrix import WEB_MERCATOR_QUAD
from gisservice.web import tileparams
from gisservice.web.drawing import Drawing
from gisservice.web.exchange import BRIEFLY, FOR_EVER, INERT, Answer, Headers, Request
from gisservice.web.params import read
from gisservice.web.service import Service
from gisservice.web.tilesets import Gridded, Tileset

MVT = "application/vnd.mapbox-vector-tile"

CODINGS = ("br", "gzip")
"""What tiles are compressed with, the smaller first."""

_BY_CODING = ("Vary", "Accept-Encoding")
_CURRENT: Headers = (("Cache-Control", BRIEFLY), _BY_CODING, INERT)
_PINNED: Headers = (("Cache-Control", FOR_EVER), _BY_CODING, INERT)
_NEGOTIATED: Headers = (("Cache-Control", BRIEFLY), ("Vary", "Accept, Accept-Encoding"), INERT)


def vector_tile(
    service: Service, request: Request, *, collection_ids: str, z: str, x: str, y: str, versions: str | None = None
) -> Answer:
    """Answer one tile of one layer or of several (ids separated by commas): stored where it is, else drawn.

    404 outside the grid and the zooms, 304, 204 for an empty tile, else its bytes. Without ``versions`` it is a tile
    of the current ones.
    """
    tile = parse_tile(z, x, y)
    headers = _CURRENT if versions is None else _PINNED
    if not request.query and "," not in collection_ids:
        tileset = service.tilesets.one(collection_ids, versions)
        if tile.z <= tileset.maxzoom:
            return _stored(request, tileset, tile, headers)
    asked = tileparams.parse(read(request.query, tileparams.NAMES))
    tilesets = service.tilesets.several(collection_ids, versions)
    return _drawn(service, request, Drawing.make(tilesets, WEB_MERCATOR_QUAD, tile, asked), headers)


def collection_tile(
    service: Service,
    request: Request,
    *,
    collection_id: str,
    tileMatrixSetId: str,
    tileMatrix: str,
    tileRow: str,
    tileCol: str,
) -> Answer:
    """Answer one tile of a collection in any grid (OGC API Tiles 1, /req/core/tc-success); 404 outside its limits."""
    grid, tile = _address(tileMatrixSetId, tileMatrix, tileRow, tileCol)
    values = read(request.query, tileparams.COLLECTION_NAMES) if request.query else {}
    _negotiate(request, values)
    tileset = service.tilesets.one(collection_id)
    check_limits([tileset], grid, tile)
    if not values.keys() - {"f"} and grid is WEB_MERCATOR_QUAD and tile.z <= tileset.maxzoom:
        return _stored(request, tileset, tile, _NEGOTIATED)
    return _drawn(service, request, Drawing.make([tileset], grid, tile, tileparams.parse(values)), _NEGOTIATED)


def dataset_tile(
    service: Service, request: Request, *, tileMatrixSetId: str, tileMatrix: str, tileRow: str, tileCol: str
) -> Answer:
    """Answer one tile of all collections, or of those chosen with ``collections`` (OGC API Tiles 1, 12)."""
    grid, tile = _address(tileMatrixSetId, tileMatrix, tileRow, tileCol)
    values = read(request.query, tileparams.DATASET_NAMES)
    _negotiate(request, values)
    asked = tileparams.parse(values)
    tilesets = chosen(service, values)
    check_limits(tilesets, grid, tile)
    return _drawn(service, request, Drawing.make(tilesets, grid, tile, asked), _NEGOTIATED)


def chosen(service: Service, values: dict[str, str]) -> list[Tileset]:
    """Return the tilesets that ``collections`` names, in that order; without it those of all collections, by id."""
    if "collections" in values:
        return service.tilesets.several(values["collections"], name="collections")
    return service.tilesets.published(service.published())


def _address(set_id: str, zoom: str, row: str, column: str) -> tuple[TileMatrixSet, TileCoord]:
    """Read a tile's address as OGC API Tiles spells it: the row comes before the column."""
    grid = matrix_set(set_id)
    return grid, grid.parse_tile(zoom, column, row)


def _negotiate(request: Request, values: dict[str, str]) -> None:
    """Check that the caller takes vector tiles: by ``f``, else by the Accept header."""
    if "f" in values:
        tileparams.check_format(values["f"])
    else:
        request.media_type(MVT)


def check_limits(tilesets: Iterable[Gridded], grid: TileMatrixSet, tile: TileCoord) -> None:
    """Raise :class:`TileOutsideMatrix` outside the published limits (OGC API Tiles 1, /req/core/tc-error)."""
    if not any(tileset.reaches(grid, tile) for tileset in tilesets):
        raise TileOutsideMatrix(
            f"Tile {tile.z}/{tile.y}/{tile.x} (zoom, row, column) lies outside the limits of this tileset; they are "
            "in its description."
        )


def _stored(request: Request, tileset: Tileset, tile: TileCoord, headers: Headers) -> Answer:
    """Answer a stored tile: its version never changes, so its id, the address and the coding say all of it."""
    if tile.z < tileset.minzoom:
        raise TileOutsideMatrix(
            f"The tiles of {tileset.id!r} begin at zoom {tileset.minzoom}; expected that or more, and not {tile.z}."
        )
    coding = request.coding(*CODINGS)
    etag = f'"{tileset.version}.{tile.z}.{tile.x}.{tile.y}.{coding or "plain"}"'
    headers = (("ETag", etag), *headers)
    if request.has(etag):
        return Answer(304, headers)
    return vector_answer(tileset.stored(tile, coding), coding, headers)


def _drawn(service: Service, request: Request, drawing: Drawing, headers: Headers) -> Answer:
    """Answer a tile that is put together on request; its ETag is known before anything is drawn."""
    drawing.check_zoom()
    coding = request.coding(*CODINGS)
    etag = drawing.entity_tag(service.edition, coding)
    headers = (("ETag", etag), *headers)
    if request.has(etag):
        return Answer(304, headers)
    return vector_answer(service.drawn(request, drawing.key(coding), lambda: drawing.draw(coding)), coding, headers)


def vector_answer(data: bytes | None, coding: str, headers: Headers) -> Answer:
    """Answer with the bytes of a vector tile in a content coding; 204 where there are none."""
    if not data:
        return Answer(204, headers)
    if coding:
        headers = (("Content-Encoding", coding), *headers)
    return Answer(200, (("Content-Type", MVT), *headers), data)
