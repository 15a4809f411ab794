"""Contour lines of a raster of heights as vector tiles."""

from __future__ import annotations

from typing import Any

from gisservice.errors import InvalidParameter, NotFound, TileOutsideMatrix
from gisservice.tiles import TileCoord, parse_tile
from gisservice.tiles.contours import LAYER, contour_tile
from gisservice.tiles.matrix import WEB_MERCATOR_QUAD
from gisservice.web import exchange
from gisservice.web.exchange import BRIEFLY, FOR_EVER, INERT, Answer, Headers, Request, document
from gisservice.web.links import JSON, contours_path
from gisservice.web.params import Parameter, decimal, read
from gisservice.web.rastersets import RasterTileset
from gisservice.web.service import Service
from gisservice.web.tiles import CODINGS, vector_answer

INTERVAL = Parameter(
    "interval",
    "The distance between two contours, in the unit of the heights; without it one that suits the zoom.",
    {"type": "number", "minimum": 0.01, "maximum": 10_000},
)
COMPONENT = "contour-interval"

_BY_ZOOM = ((10, 100.0), (11, 50.0), (12, 20.0), (13, 10.0), (14, 5.0), (15, 2.0))
"""Up to a zoom, so many units between contours; 1 at all others."""

_HEADERS: Headers = (("Vary", "Accept-Encoding"), INERT)


def default_interval(z: int) -> float:
    """Return the distance between contours that suits a zoom."""
    return next((interval for last, interval in _BY_ZOOM if z <= last), 1.0)


def tile(
    service: Service, request: Request, *, collection_id: str, z: str, x: str, y: str, version: str | None = None
) -> Answer:
    """Answer the contours of one tile; 404 outside the zooms, 304, 204 where there are none."""
    address = parse_tile(z, x, y)
    interval = _interval(read(request.query, ("interval",)))
    tileset = _tileset(service, collection_id, version)
    if not tileset.minzoom <= address.z <= WEB_MERCATOR_QUAD.maxzoom:
        raise TileOutsideMatrix(
            f"The contours of {tileset.id!r} have the zooms {tileset.minzoom} to {WEB_MERCATOR_QUAD.maxzoom}, and not "
            f"{address.z}."
        )
    interval = default_interval(address.z) if interval is None else interval
    coding = request.coding(*CODINGS)
    key = ("contours", tileset.id, tileset.version, f"{address.z}/{address.x}/{address.y}", repr(interval), coding)
    etag = exchange.entity_tag(*key, service.edition)
    kept = BRIEFLY if version is None else FOR_EVER
    headers: Headers = (("ETag", etag), ("Cache-Control", kept), *_HEADERS)
    if request.has(etag):
        return Answer(304, headers)
    return vector_answer(
        service.drawn(request, key, lambda: _draw(tileset, address, interval, coding)), coding, headers
    )


def tilejson(service: Service, request: Request, *, collection_id: str) -> Answer:
    """Answer the TileJSON of a raster's contours."""
    values = read(request.query, ("interval",))
    _interval(values)
    tileset = _tileset(service, collection_id, None)
    carried = f"interval={values['interval']}" if "interval" in values else ""
    key = ("contours tilejson", service.edition, tileset.id, tileset.version, carried)

    def make() -> dict[str, Any]:
        layer = tileset.collection.layer
        unit = f" ({layer.raster.unit})" if layer.raster.unit else ""
        return {
            "tilejson": "3.0.0",
            "name": f"{layer.title}: contours",
            "attribution": layer.attribution,
            "version": f"1.0.0+{tileset.version.removeprefix('v-')}",
            "scheme": "xyz",
            "tiles": [request.address + contours_path(tileset.id, tileset.version, carried)],
            "minzoom": tileset.minzoom,
            "maxzoom": tileset.maxzoom,
            "bounds": tileset.extent,
            "vector_layers": [
                {
                    "id": LAYER,
                    "description": "Lines of equal height",
                    "minzoom": tileset.minzoom,
                    "maxzoom": tileset.maxzoom,
                    "fields": {"elevation": f"Number: height{unit}", "index": "Boolean: whether it is a fifth contour"},
                }
            ],
        }

    return document(request, request.media_type(JSON), key, make)


def _draw(tileset: RasterTileset, address: TileCoord, interval: float, coding: str) -> bytes:
    rendering = tileset.rendering()
    data = contour_tile(tileset.warp(WEB_MERCATOR_QUAD), *address, rendering.bands[0], rendering.resampling, interval)
    return exchange.compressed(data, coding) if data and coding else data


def _tileset(service: Service, collection_id: str, version: str | None) -> RasterTileset:
    tileset = service.rasters.one(collection_id, version)
    rendering = tileset.rendering()
    if rendering.codes or len(rendering.bands) != 1:
        raise NotFound(f"Collection {collection_id!r} holds no heights; it has no contours.")
    return tileset


def _interval(values: dict[str, str]) -> float | None:
    if "interval" not in values:
        return None
    expected = "a number from 0.01 to 10000"
    found = decimal("interval", values["interval"], expected)
    if not 0.01 <= found <= 10_000:
        raise InvalidParameter("interval", values["interval"], expected)
    return found
