"""TileJSON 3.0.0: where the tiles of one layer or of several are, and what is in them."""

from __future__ import annotations

from typing import Any

from gisservice.model import Column, union
from gisservice.web import rasterdocs, tileparams
from gisservice.web.drawing import Part, parts_of
from gisservice.web.exchange import Answer, Request, document
from gisservice.web.links import JSON, tiles_path
from gisservice.web.params import read
from gisservice.web.service import Service


def tilejson(service: Service, request: Request, *, collection_ids: str) -> Answer:
    """Answer the TileJSON of the current versions; its tile addresses name them, and carry filter and properties."""
    if service.rasters.holds(collection_ids):
        return rasterdocs.tilejson(service, request, collection_id=collection_ids)
    asked = tileparams.parse(read(request.query, tileparams.NAMES))
    parts = parts_of(service.tilesets.several(collection_ids), asked)
    carried = asked.query([part.filter for part in parts if part.filter is not None])
    key = ("tilejson", service.edition, carried, *(part.key for part in parts))
    return document(request, request.media_type(JSON), key, lambda: _describe(request, parts, carried))


def _describe(request: Request, parts: tuple[Part, ...], carried: str) -> dict[str, Any]:
    tilesets = [part.tileset for part in parts]
    layers = [tileset.collection.layer for tileset in tilesets]
    west, south, east, north = union([tileset.extent for tileset in tilesets])
    minzoom = min(tileset.minzoom for tileset in tilesets)
    maxzoom = max(tileset.maxzoom for tileset in tilesets)
    path = tiles_path([tileset.id for tileset in tilesets], [tileset.version for tileset in tilesets], carried)
    return {
        "tilejson": "3.0.0",
        "name": ", ".join(layer.title for layer in layers),
        "description": " ".join(layer.description for layer in layers if layer.description),
        "attribution": ", ".join(dict.fromkeys(layer.attribution for layer in layers if layer.attribution)),
        # A semantic version, as TileJSON asks; ours have no order, so they stand in the build part.
        "version": "1.0.0+" + ".".join(tileset.version.removeprefix("v-") for tileset in tilesets),
        "scheme": "xyz",
        "tiles": [request.address + path],
        "minzoom": minzoom,
        "maxzoom": maxzoom,
        "bounds": [west, south, east, north],
        "center": [(west + east) / 2, (south + north) / 2, minzoom],
        "vector_layers": [vector_layer(part, maxzoom) for part in parts],
    }


def vector_layer(part: Part, maxzoom: int) -> dict[str, Any]:
    """Return what TileJSON says of one layer: its fields, by type and meaning, and its zooms."""
    tileset = part.tileset
    (stored,) = tileset.archive.metadata["vector_layers"]
    columns = {column.name: column for column in tileset.columns}
    chosen = stored["fields"] if part.properties is None else part.properties
    return {
        "id": tileset.id,
        "description": tileset.collection.layer.description,
        "minzoom": tileset.minzoom,
        "maxzoom": maxzoom,
        "fields": {name: meaning(stored["fields"].get(name, ""), columns.get(name)) for name in chosen},
    }


def meaning(kind: str, column: Column | None) -> str:
    """Return the type of a property (``String``, ``Number``, ``Boolean``), what it means and its unit.

    A property that is no column counts the records that a feature stands for.

    >>> from gisservice.model import ColumnType
    >>> meaning("Number", Column("area", ColumnType.NUMBER, "Area", "m²"))
    'Number: Area (m²)'
    """
    said = "records that are drawn as this one feature" if column is None else column.meaning
    unit = f"({column.unit})" if column is not None and column.unit else ""
    return ": ".join(filter(None, (kind, " ".join(filter(None, (said, unit))))))
