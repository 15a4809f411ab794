"""Raster tiles over HTTP: one function for the framework's view and for the fast path before it."""

from __future__ import annotations

from dataclasses import dataclass

from gisservice.errors import InvalidParameter, TileOutsideMatrix
from gisservice.query.rastering import PLAIN, RasterOptions
from gisservice.tiles import TileCoord, TileMatrixSet, matrix_set, parse_tile
from gisservice.tiles.matrix import WEB_MERCATOR_QUAD
from gisservice.tiles.rasterdraw import Rendering
from gisservice.tiles.rasterimage import FORMATS, JPEG, PNG, WEBP
from gisservice.tiles.rasterpyramid import PIXELS, draw_tile
from gisservice.web import exchange, rasterparams
from gisservice.web.exchange import BRIEFLY, FOR_EVER, INERT, Answer, Headers, Request
from gisservice.web.params import read
from gisservice.web.rastersets import RasterTileset
from gisservice.web.service import Service
from gisservice.web.tiles import check_limits

_RETINA = "@2x"
"""Behind the row of a tile of twice as many pixels each way."""

_CURRENT: Headers = (("Cache-Control", BRIEFLY), INERT)
_PINNED: Headers = (("Cache-Control", FOR_EVER), INERT)
_NEGOTIATED: Headers = (("Cache-Control", BRIEFLY), ("Vary", "Accept"), INERT)


@dataclass(frozen=True)
class RasterDrawing:
    """One tile to draw: of which raster, where, and how."""

    tileset: RasterTileset
    grid: TileMatrixSet
    tile: TileCoord
    size: int
    asked: RasterOptions
    media: str

    @property
    def is_stored(self) -> bool:
        """Whether it is one of the tiles that publication made."""
        plain = self.asked.is_plain and self.size == PIXELS and self.media == self.tileset.media
        return plain and self.grid is WEB_MERCATOR_QUAD and self.tile.z in self.tileset.stored_zooms

    def check_zoom(self) -> None:
        """Raise :class:`TileOutsideMatrix` for a zoom at which the layer has no tiles."""
        first, last = self.tileset.zooms(self.grid)
        if not first <= self.tile.z <= last:
            raise TileOutsideMatrix(
                f"The tiles of {self.tileset.id!r} in {self.grid.id} have the zooms {first} to {last}, and not "
                f"{self.tile.z}."
            )

    def rendering(self) -> Rendering:
        """Return what is drawn; raises :class:`InvalidParameter` for what the layer does not have."""
        found = self.tileset.rendering(self.asked)
        if self.media == JPEG and found.is_exact:
            raise InvalidParameter("f", "jpg", "'png' or 'webp': JPEG would change colours that are codes")
        return found

    def key(self, rendering: Rendering) -> tuple[str, ...]:
        """Return all that determines the tile's bytes."""
        z, x, y = self.tile
        place = f"{self.grid.id} {z}/{x}/{y} {self.size}"
        return ("raster", self.tileset.id, self.tileset.version, place, rendering.key, self.media)

    def make(self, rendering: Rendering) -> bytes:
        """Draw the tile; nothing for an empty one."""
        return draw_tile(self.tileset.warp(self.grid), rendering, self.tile, self.media, self.size)


def raster_tile(
    service: Service,
    request: Request,
    *,
    collection_id: str,
    z: str,
    x: str,
    y: str,
    extension: str,
    version: str | None = None,
) -> Answer:
    """Answer one tile of a raster: stored where it is, else drawn. ``y`` may end in ``@2x``.

    404 outside the grid and the zooms, 304, 204 where the raster shows nothing, else its bytes.
    """
    size = PIXELS
    if y.endswith(_RETINA):
        y, size = y[: -len(_RETINA)], 2 * PIXELS
    tile = parse_tile(z, x, y)
    asked = rasterparams.parse(read(request.query, rasterparams.NAMES))
    tileset = service.rasters.one(collection_id, version)
    drawing = RasterDrawing(tileset, WEB_MERCATOR_QUAD, tile, size, asked, FORMATS[extension])
    return _answer(service, request, drawing, _CURRENT if version is None else _PINNED)


def map_tile(
    service: Service,
    request: Request,
    *,
    collection_id: str,
    tileMatrixSetId: str,
    tileMatrix: str,
    tileRow: str,
    tileCol: str,
) -> Answer:
    """Answer one map tile of a raster in any grid (OGC API Tiles 1, map tilesets); 404 outside its limits."""
    values = read(request.query, rasterparams.COLLECTION_NAMES)
    return grid_tile(
        service,
        request,
        collection_id=collection_id,
        set_id=tileMatrixSetId,
        address=(tileMatrix, tileCol, tileRow),
        media=negotiated(request, values),
        asked=rasterparams.parse(values),
    )


def grid_tile(
    service: Service,
    request: Request,
    *,
    collection_id: str,
    set_id: str,
    address: tuple[str, str, str],
    media: str,
    asked: RasterOptions = PLAIN,
) -> Answer:
    """Answer one tile of any grid; ``address`` is the texts of zoom, column and row. 404 outside the limits."""
    grid = matrix_set(set_id)
    tile = grid.parse_tile(*address)
    tileset = service.rasters.one(collection_id)
    check_limits([tileset], grid, tile)
    return _answer(service, request, RasterDrawing(tileset, grid, tile, PIXELS, asked, media), _NEGOTIATED)


def negotiated(request: Request, values: dict[str, str]) -> str:
    """Return the media type that the caller asks for: by ``f``, else by the Accept header."""
    if "f" not in values:
        return request.media_type(PNG, WEBP, JPEG)
    if values["f"] not in FORMATS:
        raise InvalidParameter("f", values["f"], ", ".join(repr(name) for name in FORMATS))
    return FORMATS[values["f"]]


def _answer(service: Service, request: Request, drawing: RasterDrawing, headers: Headers) -> Answer:
    drawing.check_zoom()
    if drawing.is_stored:
        z, x, y = drawing.tile
        etag = f'"{drawing.tileset.version}.{z}.{x}.{y}.{drawing.media[6:]}"'
        headers = (("ETag", etag), *headers)
        if request.has(etag):
            return Answer(304, headers)
        assert drawing.tileset.archive is not None
        return _sent(drawing.tileset.archive.get(drawing.tile), drawing.media, headers)
    rendering = drawing.rendering()
    key = drawing.key(rendering)
    etag = exchange.entity_tag(*key, service.edition)
    headers = (("ETag", etag), *headers)
    if request.has(etag):
        return Answer(304, headers)
    return _sent(service.drawn(request, key, lambda: drawing.make(rendering)), drawing.media, headers)


def _sent(data: bytes | None, media: str, headers: Headers) -> Answer:
    return Answer(200, (("Content-Type", media), *headers), data) if data else Answer(204, headers)
