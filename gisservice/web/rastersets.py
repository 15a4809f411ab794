"""What raster tiles are answered from: the raster of each version, opened once per process, and its stored tiles."""

from __future__ import annotations

from collections import OrderedDict
from functools import cached_property, lru_cache
from threading import Lock

from gisservice.catalog import Catalog, Collection
from gisservice.catalog.rasters import Raster, open_raster
from gisservice.errors import CatalogError, NotFound
from gisservice.model import BBox, GeometryKind
from gisservice.query.rastering import PLAIN, RasterOptions, settle
from gisservice.tiles import TILES_FILE, Archive, TileCoord, TileMatrixSet
from gisservice.tiles.rasterdraw import Rendering
from gisservice.tiles.rasterimage import FORMATS
from gisservice.tiles.rasterwarp import Warp
from gisservice.web.tilesets import Limits, limits_of

RENDERINGS_KEPT = 128
"""Settled renderings of a version that are remembered: those of a map's tiles are all the same."""


class RasterTileset:
    """The picture tiles of one version of a raster."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self.id, self.version = collection.id, collection.version
        layer = collection.layer
        self.minzoom, self.maxzoom = layer.minzoom, layer.maxzoom
        """The zooms that the layer declares."""
        self.media = FORMATS[layer.raster.format]
        """The format of the stored tiles."""
        stored = TILES_FILE in collection.manifest.files
        self.archive = Archive(collection.path / TILES_FILE) if stored else None
        """The stored tiles, where there are any."""
        self._limits: dict[str, dict[int, Limits]] = {}
        self._warps: dict[str, Warp] = {}
        self.rendering = lru_cache(maxsize=RENDERINGS_KEPT)(self._settle)

    @cached_property
    def raster(self) -> Raster:
        """The cells. Raises :class:`CatalogError` for a damaged file."""
        return open_raster(self.collection)

    @cached_property
    def extent(self) -> BBox:
        """The box of the raster, CRS84."""
        extent = self.collection.manifest.extent
        return (-180.0, -90.0, 180.0, 90.0) if extent is None else extent.bbox

    @cached_property
    def stored_zooms(self) -> range:
        """The zooms of WebMercatorQuad that are stored."""
        return range(0) if self.archive is None else range(self.archive.minzoom, self.archive.maxzoom + 1)

    def warp(self, grid: TileMatrixSet) -> Warp:
        """Return the raster on the pixels of a grid."""
        found = self._warps.get(grid.id)
        if found is None:
            found = self._warps[grid.id] = Warp(self.raster, grid, self.extent)
        return found

    def zooms(self, grid: TileMatrixSet) -> tuple[int, int]:
        """Return the first and the last zoom of a grid at which there are tiles."""
        return max(self.minzoom - grid.pyramid_shift, 0), grid.maxzoom

    def limits(self, grid: TileMatrixSet) -> dict[int, Limits]:
        """Return for each zoom of a grid the tiles on which the raster can show."""
        found = self._limits.get(grid.id)
        if found is None:
            first, last = self.zooms(grid)
            found = self._limits[grid.id] = limits_of(grid, self.extent, range(first, last + 1))
        return found

    def reaches(self, grid: TileMatrixSet, tile: TileCoord) -> bool:
        """Tell whether a tile lies inside the limits."""
        limits = self.limits(grid).get(tile.z)
        return limits is not None and limits.hold(tile)

    def _settle(self, asked: RasterOptions = PLAIN) -> Rendering:
        return settle(self.raster, self.collection.layer.raster, asked)


class RasterTilesets:
    """The open raster tilesets, a bounded number of versions; those not used for longest are let go."""

    KEPT = 64

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._open: OrderedDict[tuple[str, str], RasterTileset] = OrderedDict()
        self._lock = Lock()

    def one(self, collection_id: str, version: str | None = None) -> RasterTileset:
        """Return the tiles of a raster's current version, or of a named one.

        Raises :class:`NotFound` for what is not published and for what is no raster.
        """
        if version is not None:
            found = self._open.get((collection_id, version))
            return found or self._add(self._catalog.version(collection_id, version))
        collection = self._catalog.collection(collection_id)
        return self._open.get((collection_id, collection.version)) or self._add(collection)

    def holds(self, collection_id: str) -> bool:
        """Tell whether an id is that of a published raster; whatever else is wrong with it is told elsewhere."""
        try:
            return self._catalog.collection(collection_id).manifest.kind is GeometryKind.RASTER
        except (NotFound, CatalogError):
            return False

    def _add(self, collection: Collection) -> RasterTileset:
        if collection.manifest.kind is not GeometryKind.RASTER or collection.manifest.raster is None:
            raise NotFound(f"Collection {collection.id!r} is no raster; its tiles are vector tiles (.mvt).")
        with self._lock:
            key = (collection.id, collection.version)
            if key not in self._open:
                self._open[key] = RasterTileset(collection)
                while len(self._open) > self.KEPT:
                    self._open.popitem(last=False)
            return self._open[key]
