"""The city's maps as tiles: drawn on the server, for clients that read pictures (WMTS).

A tile has the layers of the map and nothing else. No names are on it, because one is placed where a picture has room
for it, which no two tiles would agree on; no title, scale or arrow. All else is what a larger picture has there.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from gisservice.errors import CatalogError, MapNotFound, TileMatrixSetNotFound, TileOutsideMatrix
from gisservice.model import BBox, MapDeclaration, union
from gisservice.tiles import TileMatrixSet, matrix_set
from gisservice.tiles.matrix import WEB_MERCATOR_QUAD
from gisservice.tiles.rasterimage import PNG
from gisservice.tiles.rasterpyramid import PIXELS
from gisservice.web.exchange import Answer, Request
from gisservice.web.mapimages import MapPicture, answered, drawn_layers
from gisservice.web.rastersets import RasterTileset
from gisservice.web.service import Service
from gisservice.web.tilesets import Limits, Tileset, limits_of

PREFIX = "map."
"""Before the id of a map where layers and maps stand in one list: no id of a layer has a dot."""

ZOOMS_PAST = 3
"""Zooms beyond the last of the layers' pyramids: a step of their positions is there half a pixel."""


@dataclass(frozen=True)
class MapTileset:
    """The tiles of a map: its layers that are published, at least one."""

    service: Service
    declared: MapDeclaration
    layers: tuple[Tileset | RasterTileset, ...]

    @classmethod
    def of(cls, service: Service, declared: MapDeclaration) -> MapTileset:
        """Return the tiles of a declared map. Raises :class:`MapNotFound` where none of its layers is published."""
        layers = drawn_layers(service, declared)
        if not layers:
            raise MapNotFound(f"No layer of the map {declared.id!r} is published.")
        return cls(service, declared, layers)

    @property
    def id(self) -> str:
        """What it is called among layers."""
        return PREFIX + self.declared.id

    @property
    def key(self) -> str:
        """All that determines its tiles, but the release and the registry."""
        return " ".join((self.id, *(f"{layer.id} {layer.version}" for layer in self.layers)))

    @cached_property
    def extent(self) -> BBox:
        """The box of all layers, CRS84."""
        return union([layer.extent for layer in self.layers])

    @property
    def zooms(self) -> range:
        """The zooms of 256 pixels a tile: a vector layer's first shows one later, as its tiles are drawn 512 wide."""
        later = [(layer, 0 if isinstance(layer, RasterTileset) else 1) for layer in self.layers]
        first = min(layer.minzoom + step for layer, step in later)
        last = max(layer.maxzoom + step for layer, step in later)
        return range(first, min(last + ZOOMS_PAST, WEB_MERCATOR_QUAD.maxzoom) + 1)

    def limits(self, grid: TileMatrixSet) -> dict[int, Limits]:
        """Return for each zoom the tiles on which something can be; nothing in grids that maps are not drawn in."""
        return limits_of(grid, self.extent, self.zooms) if grid is WEB_MERCATOR_QUAD else {}


def map_tilesets(service: Service) -> list[MapTileset]:
    """Return the tiles of every declared map that shows something."""
    found = []
    for declared in service.registry.maps:
        with suppress(CatalogError, MapNotFound):
            found.append(MapTileset.of(service, declared))
    return found


def map_tile(service: Service, request: Request, *, map_id: str, set_id: str, address: tuple[str, str, str]) -> Answer:
    """Answer one tile of a map as PNG; ``address`` is the texts of zoom, column and row. 404 outside the limits."""
    from gisservice.maps.drawnmap import Frame

    declared = next((entry for entry in service.registry.maps if entry.id == map_id), None)
    if declared is None:
        raise MapNotFound(f"No map {map_id[:80]!r} is declared.")
    grid = matrix_set(set_id)
    if grid is not WEB_MERCATOR_QUAD:
        raise TileMatrixSetNotFound(f"Maps are drawn in {WEB_MERCATOR_QUAD.id} only, and not in {grid.id}.")
    tile = grid.parse_tile(*address)
    tileset = MapTileset.of(service, declared)
    limits = tileset.limits(grid).get(tile.z)
    if limits is None or not limits.hold(tile):
        raise TileOutsideMatrix(f"Tile {'/'.join(address)} lies outside the limits of the map {map_id!r}.")
    frame = Frame(float(PIXELS << tile.z), float(tile.x * PIXELS), float(tile.y * PIXELS), PIXELS, PIXELS)
    return answered(request, MapPicture(service, declared, tileset.layers, frame, 1, PNG))
