"""What raster tiles are answered from: the raster of each version, opened once per process, and its stored tiles."""

from __future__ import annotations

from functools import cached_property, lru_cache

from gisservice.catalog import Collection
from gisservice.catalog.rasters import Raster, open_raster
from gisservice.errors import CatalogError, NotFound
from gisservice.model import BBox, GeometryKind
from gisservice.query.rastering import PLAIN, RasterOptions, settle
from gisservice.tiles import TILES_FILE, Archive, TileMatrixSet
from gisservice.tiles.rasterdraw import Rendering
from gisservice.tiles.rasterimage import FORMATS, JPEG
from gisservice.tiles.rasterwarp import Warp
from gisservice.web.tilesets import Gridded, OpenVersions

RENDERINGS_KEPT = 128
"""Settled renderings of a version that are remembered: those of a map's tiles are all the same."""


class RasterTileset(Gridded):
    """The picture tiles of one version of a raster; the zooms of its pyramid are those that the layer declares."""

    def __init__(self, collection: Collection) -> None:
        layer = collection.layer
        super().__init__(collection, layer.minzoom, layer.maxzoom)
        self.media = FORMATS[layer.raster.format]
        """The format of the stored tiles."""
        stored = TILES_FILE in collection.manifest.files
        self.archive = Archive(collection.path / TILES_FILE) if stored else None
        """The stored tiles, where there are any."""
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

    @property
    def formats(self) -> dict[str, str]:
        """The formats in which it can be had as it is declared: media types by extension."""
        exact = self.rendering().is_exact
        return {extension: media for extension, media in FORMATS.items() if not (exact and media == JPEG)}

    def _settle(self, asked: RasterOptions = PLAIN) -> Rendering:
        return settle(self.raster, self.collection.layer.raster, asked)


class RasterTilesets(OpenVersions[RasterTileset]):
    """The open tilesets of rasters."""

    def holds(self, collection_id: str) -> bool:
        """Tell whether an id is that of a published raster; whatever else is wrong with it is told elsewhere."""
        try:
            return self._catalog.collection(collection_id).manifest.kind is GeometryKind.RASTER
        except (NotFound, CatalogError):
            return False

    def _opened(self, collection: Collection) -> RasterTileset:
        if collection.manifest.kind is not GeometryKind.RASTER or collection.manifest.raster is None:
            raise NotFound(f"Collection {collection.id!r} is no raster; its tiles are vector tiles (.mvt).")
        return RasterTileset(collection)
