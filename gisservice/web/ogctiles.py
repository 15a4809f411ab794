"""The documents of OGC API Tiles 1 (20-057): tile matrix sets, and the tilesets of collections and of the dataset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any

from gisservice import crs
from gisservice.model import BBox, Column, ColumnType, GeometryKind, union
from gisservice.tiles import MATRIX_SETS, TileMatrixSet, matrix_set
from gisservice.tiles.matrix import WEB_MERCATOR_QUAD
from gisservice.web.exchange import Answer, Request, document
from gisservice.web.links import (
    GEOJSON,
    JSON,
    REL,
    TemplatedLink,
    collection_path,
    items_path,
    link,
    matrix_set_path,
    tilejson_path,
)
from gisservice.web.params import parse_format, read
from gisservice.web.service import Service
from gisservice.web.tiles import MVT, chosen
from gisservice.web.tilesets import Gridded, Limits, Tileset

CRS84_URI = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"

_DIMENSIONS = {GeometryKind.POINT: 0, GeometryKind.LINE: 1, GeometryKind.POLYGON: 2}
_SCHEMAS: dict[ColumnType, dict[str, str]] = {
    ColumnType.STRING: {"type": "string"},
    ColumnType.INTEGER: {"type": "integer"},
    ColumnType.NUMBER: {"type": "number"},
    ColumnType.BOOLEAN: {"type": "boolean"},
    ColumnType.DATE: {"type": "string", "format": "date"},
    ColumnType.DATETIME: {"type": "string", "format": "date-time"},
}


def matrix_sets(service: Service, request: Request) -> Answer:
    """Answer the list of tile matrix sets."""
    parse_format(read(request.query, ("f",)))

    def make() -> dict[str, Any]:
        described = [
            {
                "id": grid.id,
                "title": grid.title,
                **({"uri": grid.uri} if grid.uri else {}),
                "crs": crs.uri(grid.crs),
                "links": [link(request, matrix_set_path(grid.id), "self", JSON, grid.title)],
            }
            for grid in MATRIX_SETS.values()
        ]
        here = link(request, "/api/tileMatrixSets", "self", JSON, "This document")
        return {"tileMatrixSets": described, "links": [here]}

    return document(request, request.media_type(JSON), ("tile matrix sets", service.edition), make)


def one_matrix_set(service: Service, request: Request, *, tileMatrixSetId: str) -> Answer:
    """Answer the definition of a tile matrix set (17-083r4, JSON)."""
    parse_format(read(request.query, ("f",)))
    grid = matrix_set(tileMatrixSetId)
    return document(request, request.media_type(JSON), ("tile matrix set", service.edition, grid.id), grid.to_json)


def collection_tilesets(service: Service, request: Request, *, collection_id: str) -> Answer:
    """Answer the tilesets of a collection: one for each grid."""
    parse_format(read(request.query, ("f",)))
    tileset = service.tilesets.one(collection_id)
    title = tileset.collection.layer.title
    key = ("tilesets", service.edition, tileset.id, tileset.version)
    path = f"{collection_path(collection_id)}/tiles"
    return document(request, request.media_type(JSON), key, lambda: listed(request, path, title))


def dataset_tilesets(service: Service, request: Request) -> Answer:
    """Answer the tilesets of all collections together: one for each grid."""
    parse_format(read(request.query, ("f",)))
    key = ("dataset tilesets", service.edition)
    title = service.registry.city.name
    return document(request, request.media_type(JSON), key, lambda: listed(request, "/api/tiles", title))


def collection_tileset(service: Service, request: Request, *, collection_id: str, tileMatrixSetId: str) -> Answer:
    """Answer the description of a collection's tiles in a grid."""
    parse_format(read(request.query, ("f",)))
    grid = matrix_set(tileMatrixSetId)
    tileset = service.tilesets.one(collection_id)
    path = f"{collection_path(collection_id)}/tiles/{grid.id}"
    key = ("tileset", service.edition, grid.id, tileset.id, tileset.version)

    def make() -> dict[str, Any]:
        links = [link(request, collection_path(collection_id), f"{REL}/geodata", JSON, "The collection")]
        if grid is WEB_MERCATOR_QUAD:
            links.append(link(request, tilejson_path(collection_id), "alternate", JSON, "The same tiles as TileJSON"))
        return _described(request, grid, [tileset], path, "", about(tileset), links)

    return document(request, request.media_type(JSON), key, make)


def dataset_tileset(service: Service, request: Request, *, tileMatrixSetId: str) -> Answer:
    """Answer the description of the tiles of all collections in a grid, or of those that ``collections`` names."""
    values = read(request.query, ("collections", "f"))
    parse_format(values)
    grid = matrix_set(tileMatrixSetId)
    tilesets = chosen(service, values)
    query = f"?collections={values['collections']}" if "collections" in values else ""
    said = {"title": service.registry.city.name, "description": service.registry.city.notice}
    key = ("dataset tileset", service.edition, grid.id, query, *(f"{entry.id} {entry.version}" for entry in tilesets))

    def make() -> dict[str, Any]:
        links = [link(request, "/api", f"{REL}/dataset", JSON, "The dataset")]
        return _described(request, grid, tilesets, f"/api/tiles/{grid.id}", query, said, links)

    return document(request, request.media_type(JSON), key, make)


def listed(request: Request, path: str, title: str, data_type: str = "vector") -> dict[str, Any]:
    """Return a list of tilesets below a path: one for each grid."""
    tilesets = [
        {
            "title": f"{title}, {grid.title}",
            **reference(grid, data_type),
            "links": [
                link(request, f"{path}/{grid.id}", "self", JSON, "The description of this tileset"),
                scheme_link(request, grid),
            ],
        }
        for grid in MATRIX_SETS.values()
    ]
    return {"links": [link(request, path, "self", JSON, "This document")], "tilesets": tilesets}


def reference(grid: TileMatrixSet, data_type: str = "vector") -> dict[str, Any]:
    """Return what a tileset says of its grid, and whether it has vector tiles or maps."""
    uri = {"tileMatrixSetURI": grid.uri} if grid.uri else {}
    return {"dataType": data_type, "crs": crs.uri(grid.crs), **uri}


def about(tileset: Gridded) -> dict[str, Any]:
    """Return what a tileset says of the layer that it shows, where there is something to say."""
    layer = tileset.collection.layer
    said = {
        "title": layer.title,
        "description": layer.description,
        "attribution": layer.attribution,
        "version": tileset.version,
        "updated": tileset.collection.manifest.created,
    }
    return {name: value for name, value in said.items() if value}


def scheme_link(request: Request, grid: TileMatrixSet) -> TemplatedLink:
    """Return the link to a grid's definition."""
    return link(request, matrix_set_path(grid.id), f"{REL}/tiling-scheme", JSON, f"The grid: {grid.title}")


def _described(
    request: Request,
    grid: TileMatrixSet,
    tilesets: list[Tileset],
    path: str,
    query: str,
    said: dict[str, Any],
    links: Sequence[TemplatedLink],
) -> dict[str, Any]:
    """Return tile set metadata (17-083r4, 7.2) of some layers together."""
    address = f"{path}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}"
    item = {**link(request, address + query, "item", MVT, "A tile"), "templated": True}
    here = link(request, path + query, "self", JSON, "This document")
    return {
        **{name: value for name, value in said.items() if value},
        **reference(grid),
        "mediaTypes": [MVT],
        **_contents(request, grid, tilesets),
        "links": [here, item, scheme_link(request, grid), *links],
    }


def _contents(request: Request, grid: TileMatrixSet, tilesets: list[Tileset]) -> dict[str, Any]:
    if not tilesets:
        return {"tileMatrixSetLimits": []}
    return {
        "tileMatrixSetLimits": limits_listed(grid, tilesets),
        "boundingBox": box(union([tileset.extent for tileset in tilesets])),
        "layers": [_layer(request, grid, tileset) for tileset in tilesets],
    }


def limits_listed(grid: TileMatrixSet, tilesets: Iterable[Gridded]) -> list[dict[str, Any]]:
    """Return the tiles of each zoom of a grid on which any of some tilesets can show something."""
    found: dict[int, list[Limits]] = {}
    for tileset in tilesets:
        for z, limits in tileset.limits(grid).items():
            found.setdefault(z, []).append(limits)
    spans = ((z, reduce(Limits.and_those, found[z])) for z in sorted(found))
    return [
        {
            "tileMatrix": str(z),
            "minTileRow": span.top,
            "maxTileRow": span.bottom,
            "minTileCol": span.left,
            "maxTileCol": span.right,
        }
        for z, span in spans
    ]


def _layer(request: Request, grid: TileMatrixSet, tileset: Tileset) -> dict[str, Any]:
    collection = tileset.collection
    first, last = tileset.zooms(grid)
    links = [
        link(request, collection_path(tileset.id), f"{REL}/geodata", JSON, "The collection"),
        link(request, items_path(tileset.id), "items", GEOJSON, "Its items as GeoJSON"),
    ]
    return {
        "id": tileset.id,
        "title": collection.layer.title,
        "description": collection.layer.description,
        "dataType": "vector",
        "geometryDimension": _DIMENSIONS[collection.manifest.kind],
        "minTileMatrix": str(first),
        "maxTileMatrix": str(last),
        "boundingBox": box(tileset.extent),
        "propertiesSchema": {
            "type": "object",
            "properties": {column.name: _property(column) for column in tileset.columns},
        },
        "links": links,
    }


def _property(column: Column) -> dict[str, str]:
    meaning = {"title": column.meaning} if column.meaning else {}
    unit = {"x-ogc-unit": column.unit} if column.unit else {}
    return {**meaning, **_SCHEMAS[column.type], **unit}


def box(bbox: BBox) -> dict[str, Any]:
    """Return a box (CRS84) as tilesets write it (17-083r4, 6.2)."""
    west, south, east, north = bbox
    return {"lowerLeft": [west, south], "upperRight": [east, north], "crs": CRS84_URI}
