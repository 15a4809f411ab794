"""MapLibre styles of layers and maps, made from how the registry draws them.

A style names the tiles of the versions it was made for. It has no labels: the service keeps no glyphs, and letters
of somebody else's server are no part of it.
"""

from __future__ import annotations

from typing import Any

from gisservice.catalog import Collection
from gisservice.errors import CatalogError, CollectionNotFound, MapNotFound
from gisservice.model import GeometryKind, Layer, MapDeclaration, Style, union
from gisservice.web import rasterdocs
from gisservice.web.exchange import Answer, Request, document
from gisservice.web.links import JSON, tiles_path
from gisservice.web.params import read
from gisservice.web.service import Service
from gisservice.web.tilesets import Tileset

StyleLayer = dict[str, Any]

_START_ZOOM = 12


def layer_style(service: Service, request: Request, *, collection_id: str) -> Answer:
    """Answer the style of one layer."""
    if service.rasters.holds(collection_id):
        return rasterdocs.style(service, request, collection_id=collection_id)
    read(request.query, ())
    tileset = service.tilesets.one(collection_id)
    key = ("style", service.edition, tileset.id, tileset.version)
    layer = tileset.collection.layer
    declared = MapDeclaration(tileset.id, layer.title, layer.description, (tileset.id,))
    return document(request, request.media_type(JSON), key, lambda: _style(request, declared, [tileset]))


def map_style(service: Service, request: Request, *, map_id: str) -> Answer:
    """Answer the style of a declared map: its layers that are published and have tiles, bottom first."""
    read(request.query, ())
    declared = next((entry for entry in service.registry.maps if entry.id == map_id), None)
    if declared is None:
        raise MapNotFound(f"No map {map_id[:80]!r} is declared; a layer's own style is at '/tiles/{{id}}/style.json'.")
    tilesets = service.tilesets.published(_published(service, declared))
    key = ("map style", service.edition, map_id, *(f"{tileset.id} {tileset.version}" for tileset in tilesets))
    return document(request, request.media_type(JSON), key, lambda: _style(request, declared, tilesets))


def _published(service: Service, declared: MapDeclaration) -> tuple[Collection, ...]:
    found = []
    for name in declared.layers:
        try:
            found.append(service.catalog.collection(name))
        except (CollectionNotFound, CatalogError):  # the map is drawn without it, as its page is
            continue
    return tuple(found)


def _style(request: Request, declared: MapDeclaration, tilesets: list[Tileset]) -> dict[str, Any]:
    style: dict[str, Any] = {
        "version": 8,
        "name": declared.title,
        "metadata": {"description": declared.description},
        "sources": {tileset.id: _source(request, tileset) for tileset in tilesets},
        "layers": [layer for tileset in tilesets for layer in _layers(tileset, declared)],
    }
    if tilesets:
        west, south, east, north = union([tileset.extent for tileset in tilesets])
        style["center"] = declared.center or ((west + east) / 2, (south + north) / 2)
        style["zoom"] = _START_ZOOM if declared.zoom is None else declared.zoom
    return style


def _source(request: Request, tileset: Tileset) -> dict[str, Any]:
    attribution = tileset.collection.layer.attribution
    return {
        "type": "vector",
        "tiles": [request.address + tiles_path([tileset.id], [tileset.version])],
        "minzoom": tileset.minzoom,
        "maxzoom": tileset.maxzoom,
        "bounds": tileset.extent,
        **({"attribution": attribution} if attribution else {}),
    }


def _layers(tileset: Tileset, declared: MapDeclaration) -> list[StyleLayer]:
    return drawn_as(tileset.id, declared.styled(tileset.collection.layer), tileset.collection.manifest.kind)


def drawn_as(name: str, layer: Layer, kind: GeometryKind) -> list[StyleLayer]:
    """Return the style's layers for a collection, bottom first: a fill and its outline, lines, or circles."""
    style = layer.style
    common = {"source": name, "source-layer": name}
    colour = _colour(style)
    if kind is GeometryKind.POLYGON:
        fill = {"fill-color": colour, "fill-opacity": style.opacity, "fill-antialias": True}
        line = {"line-color": style.outline, "line-width": style.width}
        return [
            {"id": name, "type": "fill", **common, "paint": fill},
            {"id": f"{name} outline", "type": "line", **common, "paint": line},
        ]
    if kind is GeometryKind.LINE:
        rounded = {"line-cap": "round", "line-join": "round"}
        line = {"line-color": colour, "line-width": style.width, "line-opacity": style.opacity}
        return [{"id": name, "type": "line", **common, "layout": rounded, "paint": line}]
    circle = {
        "circle-color": colour,
        "circle-opacity": style.opacity,
        "circle-radius": style.radius,
        "circle-stroke-color": style.outline,
        "circle-stroke-width": style.width,
    }
    return [{"id": name, "type": "circle", **common, "paint": circle}]


def _colour(style: Style) -> str | list[Any]:
    """Return the colour of a layer, or the expression that finds it in the class of a feature."""
    if style.by is None or not style.classes:
        return style.color
    if style.classes[0].least is not None:
        number = ["to-number", ["get", style.by], -1e300]  # no number at all is below the first class
        return ["step", number, style.color, *(part for entry in style.classes for part in (entry.least, entry.color))]
    # Classes are named by text; a column may hold numbers. QGIS reads labels in lists only.
    expression: list[Any] = ["match", ["to-string", ["get", style.by]]]
    for entry in {entry.value: entry for entry in style.classes}.values():
        expression += [[entry.value], entry.color]
    return [*expression, style.color]
