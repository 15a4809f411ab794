"""What is said about raster tiles: TileJSON, MapLibre style, and the map tilesets of OGC API Tiles."""

from __future__ import annotations

from typing import Any

from gisservice.tiles import TileMatrixSet, matrix_set
from gisservice.tiles.matrix import WEB_MERCATOR_QUAD
from gisservice.tiles.rasterdraw import HEIGHT_CODES, Product
from gisservice.tiles.rasterpyramid import PIXELS
from gisservice.web import rasterparams
from gisservice.web.exchange import Answer, Request, document
from gisservice.web.links import (
    JSON,
    REL,
    collection_path,
    link,
    map_tiles_path,
    raster_tiles_path,
    tilejson_path,
)
from gisservice.web.ogctiles import about, box, limits_listed, listed, reference, scheme_link
from gisservice.web.params import parse_format, read
from gisservice.web.rastersets import RasterTileset
from gisservice.web.service import Service

_ENCODINGS = {Product.TERRAIN_RGB: "mapbox", Product.TERRARIUM: "terrarium"}
_START_ZOOM = 12


def tilejson(service: Service, request: Request, *, collection_id: str) -> Answer:
    """Answer the TileJSON of a raster's current version; its tile address names it, and carries what is asked."""
    values = read(request.query, rasterparams.NAMES)
    tileset = service.rasters.one(collection_id)
    rendering = tileset.rendering(rasterparams.parse(values))
    carried = rasterparams.canonical(values)
    key = ("raster tilejson", service.edition, tileset.id, tileset.version, carried)

    def make() -> dict[str, Any]:
        layer = tileset.collection.layer
        west, south, east, north = tileset.extent
        extension = _extension(tileset, rendering.product)
        path = raster_tiles_path(tileset.id, tileset.version, extension, carried)
        encoding = _ENCODINGS.get(rendering.product)
        return {
            "tilejson": "3.0.0",
            "name": layer.title,
            "description": layer.description,
            "attribution": layer.attribution,
            "version": f"1.0.0+{tileset.version.removeprefix('v-')}",
            "scheme": "xyz",
            "tiles": [request.address + path],
            "minzoom": tileset.minzoom,
            "maxzoom": tileset.maxzoom,
            "bounds": [west, south, east, north],
            "center": [(west + east) / 2, (south + north) / 2, tileset.minzoom],
            "tileSize": PIXELS,
            "format": extension,
            **({"encoding": encoding} if encoding else {}),
        }

    return document(request, request.media_type(JSON), key, make)


def style(service: Service, request: Request, *, collection_id: str) -> Answer:
    """Answer the MapLibre style of a raster: one source and one layer."""
    read(request.query, ())
    tileset = service.rasters.one(collection_id)
    key = ("raster style", service.edition, tileset.id, tileset.version)

    def make() -> dict[str, Any]:
        layer = tileset.collection.layer
        west, south, east, north = tileset.extent
        return {
            "version": 8,
            "name": layer.title,
            "metadata": {"description": layer.description},
            "sources": {tileset.id: source(request, tileset)},
            "layers": [drawn_as(tileset)],
            "center": ((west + east) / 2, (south + north) / 2),
            "zoom": min(max(_START_ZOOM, tileset.minzoom), tileset.maxzoom),
        }

    return document(request, request.media_type(JSON), key, make)


def source(request: Request, tileset: RasterTileset) -> dict[str, Any]:
    """Return the source of a MapLibre style: the raster as it is declared."""
    attribution = tileset.collection.layer.attribution
    extension = _extension(tileset, Product.VALUES)
    return {
        "type": "raster",
        "tiles": [request.address + raster_tiles_path(tileset.id, tileset.version, extension)],
        "tileSize": PIXELS,
        "minzoom": tileset.minzoom,
        "maxzoom": tileset.maxzoom,
        "bounds": tileset.extent,
        **({"attribution": attribution} if attribution else {}),
    }


def drawn_as(tileset: RasterTileset) -> dict[str, Any]:
    """Return the layer of a MapLibre style. Classes are not mixed where the map is enlarged."""
    layer = tileset.collection.layer
    paint: dict[str, Any] = {"raster-opacity": layer.style.opacity}
    if tileset.rendering().codes:
        paint["raster-resampling"] = "nearest"
    return {"id": tileset.id, "type": "raster", "source": tileset.id, "paint": paint}


def map_tilesets(service: Service, request: Request, *, collection_id: str) -> Answer:
    """Answer the map tilesets of a raster: one for each grid."""
    parse_format(read(request.query, ("f",)))
    tileset = service.rasters.one(collection_id)
    key = ("map tilesets", service.edition, tileset.id, tileset.version)
    path = map_tiles_path(collection_id)

    title = tileset.collection.layer.title
    return document(request, request.media_type(JSON), key, lambda: listed(request, path, title, "map"))


def map_tileset(service: Service, request: Request, *, collection_id: str, tileMatrixSetId: str) -> Answer:
    """Answer the description of a raster's map tiles in a grid (17-083r4, 7.2)."""
    parse_format(read(request.query, ("f",)))
    grid = matrix_set(tileMatrixSetId)
    tileset = service.rasters.one(collection_id)
    key = ("map tileset", service.edition, grid.id, tileset.id, tileset.version)
    return document(request, request.media_type(JSON), key, lambda: _described(request, tileset, grid))


def _described(request: Request, tileset: RasterTileset, grid: TileMatrixSet) -> dict[str, Any]:
    path = f"{map_tiles_path(tileset.id)}/{grid.id}"
    address = f"{path}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}"
    items = [
        {**link(request, f"{address}?f={extension}", "item", media, "A tile"), "templated": True}
        for extension, media in tileset.formats.items()
    ]
    links = [
        link(request, path, "self", JSON, "This document"),
        *items,
        scheme_link(request, grid),
        link(request, collection_path(tileset.id), f"{REL}/geodata", JSON, "The collection"),
    ]
    if grid is WEB_MERCATOR_QUAD:
        links.append(link(request, tilejson_path(tileset.id), "alternate", JSON, "The same tiles as TileJSON"))
    return {
        **about(tileset),
        **reference(grid, "map"),
        "mediaTypes": list(tileset.formats.values()),
        "tileMatrixSetLimits": limits_listed(grid, [tileset]),
        "boundingBox": box(tileset.extent),
        "links": links,
    }


def _extension(tileset: RasterTileset, product: Product) -> str:
    """Return the format of a layer's tiles; heights as colours are never lossy."""
    declared = tileset.collection.layer.raster.format
    return "png" if product in HEIGHT_CODES and declared == "jpg" else declared
