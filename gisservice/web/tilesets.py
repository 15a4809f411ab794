"""What tiles are answered from: the archives and shapes of each version, opened once per process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property, lru_cache, partial
from threading import Lock
from typing import Generic, NamedTuple, TypeVar

from gisservice import crs
from gisservice.catalog import Catalog, Collection, Features
from gisservice.errors import CatalogError, InvalidParameter, LimitExceeded, NotFound, VersionNotFound
from gisservice.model import BBox, Column, Condition
from gisservice.query.filter import parse_filter
from gisservice.query.tiling import zoom_range
from gisservice.tiles import BROTLI_FILE, LEVELS_FILE, TILES_FILE, Archive, Levels, TileCoord, TileMatrixSet
from gisservice.tiles.account import REPORT_FILE, Report, read_report
from gisservice.tiles.archive import decompress
from gisservice.web.tileparams import TileOptions

LAYERS_MAX = 50
"""Most layers that a tile is put together from."""

FILTERS_KEPT = 128
"""Parsed filters of a version that are remembered: those of a map's tiles are all the same."""


class Limits(NamedTuple):
    """The tiles of a zoom from the first to the last column and row."""

    left: int
    top: int
    right: int
    bottom: int

    def hold(self, tile: TileCoord) -> bool:
        """Tell whether a tile is among them."""
        return self.left <= tile.x <= self.right and self.top <= tile.y <= self.bottom

    def and_those(self, other: Limits) -> Limits:
        """Return the smallest span that holds both."""
        return Limits(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )


def limits_of(grid: TileMatrixSet, extent: BBox, zooms: Iterable[int]) -> dict[int, Limits]:
    """Return the limits of a grid's zooms for what lies in a box (CRS84)."""
    return {
        int(entry["tileMatrix"]): Limits(
            entry["minTileCol"], entry["minTileRow"], entry["maxTileCol"], entry["maxTileRow"]
        )
        for entry in grid.limits(extent, zooms)
    }


class Gridded(ABC):
    """The tiles of one version of a collection, in any grid: at which zooms they are, and where."""

    def __init__(self, collection: Collection, minzoom: int, maxzoom: int) -> None:
        self.collection = collection
        self.id, self.version = collection.id, collection.version
        self.minzoom, self.maxzoom = minzoom, maxzoom
        """The zooms of the pyramid."""
        self._limits: dict[str, dict[int, Limits]] = {}

    @cached_property
    @abstractmethod
    def extent(self) -> BBox:
        """The box of all that they show, CRS84."""

    @abstractmethod
    def zooms(self, grid: TileMatrixSet) -> tuple[int, int]:
        """Return the first and the last zoom of a grid at which there are tiles."""

    def limits(self, grid: TileMatrixSet) -> dict[int, Limits]:
        """Return for each zoom of a grid the tiles on which something can be."""
        found = self._limits.get(grid.id)
        if found is None:
            first, last = self.zooms(grid)
            found = self._limits[grid.id] = limits_of(grid, self.extent, range(first, last + 1))
        return found

    def reaches(self, grid: TileMatrixSet, tile: TileCoord) -> bool:
        """Tell whether a tile lies inside the limits."""
        limits = self.limits(grid).get(tile.z)
        return limits is not None and limits.hold(tile)


class Tileset(Gridded):
    """The vector tiles of one version: as stored, and what others are drawn from."""

    def __init__(self, collection: Collection) -> None:
        self.archive = Archive(collection.path / TILES_FILE)
        """The stored tiles as gzip."""
        super().__init__(collection, self.archive.minzoom, self.archive.maxzoom)
        self._brotli = Archive(collection.path / BROTLI_FILE)
        self._filters = lru_cache(maxsize=FILTERS_KEPT)(partial(_parse, collection.manifest.columns))

    @cached_property
    def levels(self) -> Levels:
        """The generalised shapes of each stored zoom."""
        return Levels(self.collection.path / LEVELS_FILE)

    @cached_property
    def report(self) -> Report:
        """What became of every record."""
        return read_report(self.collection.path / REPORT_FILE)

    @property
    def features(self) -> Features:
        """The records."""
        found = self.collection.features
        assert found is not None  # a raster has no tileset
        return found

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The columns that its features can have."""
        return self.collection.manifest.columns

    @cached_property
    def extent(self) -> BBox:
        """The box of all records, CRS84."""
        extent = self.collection.manifest.extent
        return self.archive.bounds if extent is None else extent.bbox

    def zooms(self, grid: TileMatrixSet) -> tuple[int, int]:
        """Return the first and the last zoom of a grid at which there are tiles."""
        return zoom_range(self.levels, grid)

    def filter_of(self, asked: TileOptions) -> Condition | None:
        """Return the filter that is asked for, or None. Raises :class:`InvalidParameter` and others."""
        if asked.filter_text is None:
            return None
        return self._filters(asked.filter_text, asked.filter_lang, asked.filter_crs)

    def stored(self, tile: TileCoord, coding: str) -> bytes | None:
        """Return a stored tile in a content coding (``br``, ``gzip`` or none: ""); None for an empty one."""
        if coding == "br":
            return self._brotli.get(tile)
        data = self.archive.get(tile)
        return data if coding or data is None else decompress(data)


def _parse(columns: tuple[Column, ...], text: str, lang: str, filter_crs: str) -> Condition:
    return parse_filter(text, lang, columns, crs.parse(filter_crs))


T = TypeVar("T", bound=Gridded)


class OpenVersions(ABC, Generic[T]):
    """The open tilesets of a kind, one a version; those of versions no longer current are closed after a while."""

    RETIRED_MAX = 8
    """Tilesets of earlier versions kept open for clients that still hold their addresses."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._open: dict[tuple[str, str], T] = {}
        self._lock = Lock()

    def one(self, collection_id: str, version: str | None = None) -> T:
        """Return the tiles of a collection's current version, or of a named one.

        Raises :class:`NotFound` for what is not published and for a collection that has no tiles of this kind.
        """
        if version is not None:
            opened = self._open.get((collection_id, version))
            return opened or self._add(self._catalog.version(collection_id, version))
        collection = self._catalog.collection(collection_id)
        return self._open.get((collection_id, collection.version)) or self._add(collection)

    @abstractmethod
    def _opened(self, collection: Collection) -> T:
        """Open the tiles of a version. Raises :class:`NotFound` where it has none of this kind."""

    def _add(self, collection: Collection) -> T:
        with self._lock:
            key = (collection.id, collection.version)
            if key not in self._open:
                self._open[key] = self._opened(collection)
                self._retire()
            return self._open[key]

    def _retire(self) -> None:
        """Let go of the tilesets opened first among those that are not current; their maps close with them."""
        retired = [key for key in self._open if not self._is_current(*key)]
        for key in retired[: -self.RETIRED_MAX]:
            del self._open[key]

    def _is_current(self, collection_id: str, version: str) -> bool:
        try:
            return self._catalog.collection(collection_id).version == version
        except (NotFound, CatalogError):
            return False


class Tilesets(OpenVersions[Tileset]):
    """The open tilesets of vector tiles."""

    def several(self, collection_ids: str, versions: str | None = None, name: str = "collection_ids") -> list[Tileset]:
        """Return the tiles of collections named with commas between them, in that order, each once.

        ``versions`` has as many, in the same order. Raises :class:`LimitExceeded` for more than :data:`LAYERS_MAX`,
        :class:`InvalidParameter` (of parameter ``name``) for one named twice, and what :meth:`one` raises.
        """
        ids = collection_ids.split(",")
        if len(ids) > LAYERS_MAX:
            raise LimitExceeded("A tile", len(ids), LAYERS_MAX, "layers")
        pinned = [None] * len(ids) if versions is None else versions.split(",")
        if len(pinned) != len(ids):
            raise VersionNotFound(
                f"{len(ids)} collections are named and {len(pinned)} versions; expected one version for each, in order."
            )
        found = [self.one(*pair) for pair in zip(ids, pinned, strict=True)]
        if len(set(ids)) != len(ids):
            raise InvalidParameter(name, collection_ids, "each collection once")
        return found

    def published(self, collections: tuple[Collection, ...]) -> list[Tileset]:
        """Return the tilesets of those of the collections that have tiles; one that is damaged is left out."""
        found = []
        for entry in collections:
            with suppress(CatalogError):
                if entry.manifest.tiles is not None:
                    found.append(self._open.get((entry.id, entry.version)) or self._add(entry))
        return found

    def _opened(self, collection: Collection) -> Tileset:
        if collection.manifest.tiles is None:
            raise NotFound(f"Collection {collection.id!r} has no vector tiles.")
        return Tileset(collection)
