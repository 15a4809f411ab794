"""Published rasters, open for reading: windows of cells from the overview that suits, and values at positions.

A raster's levels are its full resolution (level 0), the overviews in its file, and below those, while a side has more
than a few cells, halvings of the last overview that are made when first asked for. Reading is the only thing here
that needs rasterio, which is loaded with the first raster.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from gisservice import crs
from gisservice.catalog.collection import Collection
from gisservice.crs import CRS
from gisservice.errors import LayerUnavailable, LimitExceeded, NotFound

RASTER_FILE = "raster.tif"
"""What the cloud-optimised GeoTIFF of a version is called in its folder."""

CELLS_MAX = 16_000_000
"""Most cells, of all bands together, that are read at once."""

HANDLES_MAX = 24
"""Idle handles that a process keeps open, of all rasters together; those not used for longest are closed."""

BLOCK_CACHE_BYTES = 64 << 20
"""Memory of a process for blocks of cells that GDAL has decoded, of all rasters together."""

_SMALLEST = 4
"""Cells a side below which no level is halved."""

_GDAL = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no sidecar file beside the raster is looked at
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_NUM_THREADS": "1",
}

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Window:
    """A box of cells of a level: ``column`` and ``row`` of its upper left cell, from 0, and how many there are."""

    column: int
    row: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Cells:
    """What was read: ``values`` has shape (bands, height, width), in the raster's own type.

    ``opacity`` has shape (height, width): None where all cells are valid, truth values where each is or is not, and
    for a raster with an alpha band its values, 0 to 255 whatever its type.
    """

    values: npt.NDArray[Any]
    opacity: npt.NDArray[Any] | None


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution: its size in cells, and ``overview``, which the file has (-1: full resolution)."""

    width: int
    height: int
    overview: int
    halvings: int = 0
    """How often the file's last overview is halved for it."""


class Raster:
    """One published raster. Safe for threads: each read has a handle of its own while it runs.

    ``transform`` is (a, b, c, d, e, f): the cell at column ``i``, row ``j`` has its upper left corner at
    x = a·i + b·j + c, y = d·i + e·j + f in :attr:`crs`. Rotated and flipped rasters are no exception.
    """

    def __init__(self, path: Path, name: str, described: dict[str, Any], definition: str) -> None:
        self.path, self.name = path, name
        self.described = described
        """What the manifest says of it: ``bands`` with their statistics, ``resolution``, ``unit``."""
        self.crs: CRS = crs.from_definition(definition)
        with _opened(path, -1) as file:
            self.width, self.height, self.count = int(file.width), int(file.height), int(file.count)
            self.transform: tuple[float, ...] = tuple(file.transform)[:6]
            self.nodata: tuple[float | None, ...] = tuple(file.nodatavals)
            self.dtype: str = str(file.dtypes[0])
            self.units: tuple[str | None, ...] = tuple(file.units)
            self.palette = _palette(file)
            """Code to (red, green, blue, alpha) for a band with a colour table, else None."""
            names = [kind.name for kind in file.colorinterp]
            self.alpha: int | None = names.index("alpha") + 1 if "alpha" in names else None
            """The number of the alpha band."""
            flags = {flag.name for flag in file.mask_flag_enums[0]}
            self._masked = self.alpha is None and "per_dataset" in flags
            sizes = [(self.width // factor, self.height // factor) for factor in file.overviews(1)]
        self.bands: tuple[int, ...] = tuple(band for band in range(1, self.count + 1) if band != self.alpha)
        """The numbers of the bands with values, from 1."""
        self._overviews = len(sizes)

    @classmethod
    def open(cls, collection: Collection) -> Raster:
        """Open the raster of a version.

        Raises :class:`NotFound` for other layers, :class:`LayerUnavailable` for a damaged file.
        """
        manifest = collection.manifest
        if manifest.raster is None:
            raise NotFound(f"Collection {collection.id!r} is no raster.")
        name = f"{collection.id}/{collection.version}/{RASTER_FILE}"
        return cls(collection.path / RASTER_FILE, name, manifest.raster, manifest.storage_crs_definition)

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """All levels, the finest first."""
        found = []
        for overview in range(-1, self._overviews):
            with _opened(self.path, overview) as file:
                found.append(Level(int(file.width), int(file.height), overview))
        last = found[-1]
        width, height, halvings = last.width, last.height, 0
        while min(width, height) >= 2 * _SMALLEST and width * height <= CELLS_MAX // 4:
            width, height, halvings = (width + 1) // 2, (height + 1) // 2, halvings + 1
            found.append(Level(width, height, last.overview, halvings))
        return tuple(found)

    @property
    def is_classes(self) -> bool:
        """Whether cells are codes, which must not be averaged: a single band with a colour table."""
        return self.palette is not None and len(self.bands) == 1

    def read(self, bands: Sequence[int], window: Window, level: int = 0) -> Cells:
        """Read a window, all of it inside the level, of some bands (numbers from 1).

        Raises :class:`LimitExceeded` before anything is read when there are too many cells, and
        :class:`LayerUnavailable` for a file that is damaged.
        """
        cells = window.width * window.height * len(bands)
        if cells > CELLS_MAX:
            raise LimitExceeded("A window", cells, CELLS_MAX, "cells")
        found = self.levels[level]
        if found.halvings:
            return _cut(self._halved(tuple(bands), level), window)
        with _opened(self.path, found.overview) as file:
            return self._read(file, bands, window, None)

    def cut(self, window: Window) -> bytes:
        """Return a window of the finest level as a GeoTIFF of its own: every band, value, colour and mask as they are.

        Raises as :meth:`read` does.
        """
        cells = window.width * window.height * self.count
        if cells > CELLS_MAX:
            raise LimitExceeded("A window", cells, CELLS_MAX, "cells")
        with _opened(self.path, -1) as file:
            return self._copied(file, window)

    def sample(self, xy: Reals, bands: Sequence[int] | None = None) -> Reals:
        """Return the values of the cells that positions lie in, shape (positions, bands); NaN where there is none.

        ``xy`` has shape (n, 2) in :attr:`crs`. Positions near each other are read together.
        """
        chosen = self.bands if bands is None else tuple(bands)
        columns, rows = (np.floor(part + 1e-9).astype(np.int64) for part in self.cells_at(xy).T)
        out = np.full((len(xy), len(chosen)), np.nan)
        inside = (columns >= 0) & (columns < self.width) & (rows >= 0) & (rows < self.height)
        blocks = np.where(inside, (rows >> 9) * (1 + (self.width >> 9)) + (columns >> 9), -1)
        for block in np.unique(blocks[inside]).tolist():
            here = np.flatnonzero(blocks == block)
            left, top = int(columns[here].min()), int(rows[here].min())
            window = Window(left, top, int(columns[here].max()) - left + 1, int(rows[here].max()) - top + 1)
            cells = self.read(chosen, window)
            at = rows[here] - top, columns[here] - left
            values = cells.values[:, at[0], at[1]].T.astype(np.float64)
            if cells.opacity is not None:
                values[cells.opacity[at] == 0] = np.nan
            out[here] = values
        return out

    def cells_at(self, xy: Reals) -> Reals:
        """Return positions in :attr:`crs`, shape (n, 2), as column and row of level 0, not rounded."""
        a, b, c, d, e, f = self.transform
        spread = a * e - b * d
        x, y = xy[:, 0] - c, xy[:, 1] - f
        return np.column_stack([(e * x - b * y) / spread, (a * y - d * x) / spread])

    def _halved(self, bands: tuple[int, ...], level: int) -> Cells:
        """Return a level below the file's last overview, whole; it is small."""
        return _halved(self, bands, level)

    def _read(self, file: Any, bands: Sequence[int], window: Window, size: tuple[int, int] | None) -> Cells:
        from rasterio.enums import Resampling
        from rasterio.errors import RasterioError
        from rasterio.windows import Window as Part

        part = Part(window.column, window.row, window.width, window.height)
        wanted = [*bands, self.alpha] if self.alpha is not None else list(bands)
        options: dict[str, Any] = {"window": part}
        if size is not None:
            options["out_shape"] = (len(wanted), *size)
            options["resampling"] = Resampling.nearest if self.is_classes else Resampling.average
        try:
            values = file.read(wanted, **options)
            if self._masked:
                options.pop("out_shape", None)
                mask = file.read_masks(1, **options, **({"out_shape": size} if size is not None else {}))
                return Cells(values, _or_none(mask != 0))
        except RasterioError as exc:
            raise LayerUnavailable(f"{self.name} is damaged: some of its cells cannot be read.") from exc
        if self.alpha is not None:
            return Cells(values[:-1], _alpha(values[-1]))
        return Cells(values, _or_none(_valid(values, [self.nodata[band - 1] for band in bands])))

    def _copied(self, file: Any, window: Window) -> bytes:
        import rasterio
        from rasterio.errors import RasterioError
        from rasterio.io import MemoryFile
        from rasterio.windows import Window as Part

        part = Part(window.column, window.row, window.width, window.height)
        a, b, c, d, e, f = self.transform
        place = rasterio.Affine(
            a, b, c + a * window.column + b * window.row, d, e, f + d * window.column + e * window.row
        )
        profile = {
            "driver": "GTiff", "width": window.width, "height": window.height, "count": file.count,
            "dtype": file.dtypes[0], "crs": file.crs, "transform": place, "nodata": file.nodata,
            "compress": "deflate", "tiled": True, "blockxsize": 256, "blockysize": 256,
        }  # fmt: skip
        try:
            values = file.read(window=part)
            mask = file.read_masks(1, window=part) if self._masked else None
        except RasterioError as exc:
            raise LayerUnavailable(f"{self.name} is damaged: some of its cells cannot be read.") from exc
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), MemoryFile() as memory:
            with memory.open(**profile) as out:
                out.colorinterp, out.descriptions, out.units = file.colorinterp, file.descriptions, file.units
                if self.palette is not None:
                    out.write_colormap(1, self.palette)
                out.write(values)
                if mask is not None:
                    out.write_mask(mask)
            content: bytes = memory.read()
        return content


class Rasters:
    """The open rasters of a process, one a version; a bounded number, those not used for longest are let go."""

    def __init__(self, kept: int = 64) -> None:
        self._kept = kept
        self._open: OrderedDict[Path, Raster] = OrderedDict()
        self._lock = Lock()

    def one(self, collection: Collection) -> Raster:
        """Return the raster of a version, opened at most once while it is kept."""
        key = collection.path
        with self._lock:
            found = self._open.get(key)
            if found is None:
                found = self._open[key] = Raster.open(collection)
            self._open.move_to_end(key)
            while len(self._open) > self._kept:
                self._open.popitem(last=False)
            return found


def open_raster(collection: Collection) -> Raster:
    """Return the raster of a version from the process's pool.

    >>> raster = open_raster(catalog.collection("elevation"))  # doctest: +SKIP
    >>> raster.sample(np.array([[11_890_000.0, 6_980_000.0]]))  # doctest: +SKIP
    array([[41.7]])
    """
    return _POOL.one(collection)


_POOL = Rasters()


class _Handles:
    """Open files by path and overview: one thread uses a handle at a time, and a bounded number waits idle."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._idle: OrderedDict[tuple[Path, int, int], Any] = OrderedDict()
        self._count = 0
        self._lock = Lock()

    def take(self, path: Path, overview: int) -> Any:
        with self._lock:
            key = next((key for key in reversed(self._idle) if key[0] == path and key[1] == overview), None)
            if key is not None:
                return self._idle.pop(key)
        return _open(path, overview)

    def give_back(self, path: Path, overview: int, file: Any) -> None:
        with self._lock:
            self._count += 1
            self._idle[path, overview, self._count] = file
            spare = self._idle.popitem(last=False)[1] if len(self._idle) > self._kept else None
        if spare is not None:
            spare.close()

    def forget(self, path: Path) -> None:
        with self._lock:
            keys = [key for key in self._idle if key[0] == path]
            files = [self._idle.pop(key) for key in keys]
        for file in files:
            file.close()


_HANDLES = _Handles(HANDLES_MAX)


def close_raster(path: Path) -> None:
    """Close the idle handles of a file that is about to be moved or removed."""
    _HANDLES.forget(path)


@contextmanager
def _opened(path: Path, overview: int) -> Iterator[Any]:
    """Yield a handle; after an error it is closed, and so are those that wait: the file may have been replaced."""
    file = _HANDLES.take(path, overview)
    try:
        yield file
    except BaseException:
        file.close()
        _HANDLES.forget(path)
        raise
    _HANDLES.give_back(path, overview, file)


def _open(path: Path, overview: int) -> Any:
    import rasterio
    from rasterio.errors import RasterioError

    _bound_block_cache()
    options = {"overview_level": overview} if overview >= 0 else {}
    try:
        with rasterio.Env(**_GDAL):
            return rasterio.open(path, driver="GTiff", sharing=False, **options)
    except RasterioError as exc:
        label = f"{path.parent.name}/{path.name}"
        raise LayerUnavailable(f"{label} is damaged: it cannot be opened as a GeoTIFF.") from exc


@lru_cache(maxsize=1)
def _bound_block_cache() -> None:
    """Set the bound of GDAL's block cache for the whole process; inside an Env it would end with the Env."""
    from rasterio._env import set_gdal_config

    set_gdal_config("GDAL_CACHEMAX", BLOCK_CACHE_BYTES)


@lru_cache(maxsize=32)
def _halved(raster: Raster, bands: tuple[int, ...], level: int) -> Cells:
    last = next(entry for entry in raster.levels if entry.halvings == 1)
    whole = raster.levels[raster.levels.index(last) - 1]
    found = raster.levels[level]
    with _opened(raster.path, whole.overview) as file:
        window = Window(0, 0, whole.width, whole.height)
        return raster._read(file, bands, window, (found.height, found.width))


def _cut(cells: Cells, window: Window) -> Cells:
    rows = slice(window.row, window.row + window.height)
    columns = slice(window.column, window.column + window.width)
    opacity = None if cells.opacity is None else cells.opacity[rows, columns]
    return Cells(cells.values[:, rows, columns], opacity)


def _valid(values: npt.NDArray[Any], nodata: Sequence[float | None]) -> npt.NDArray[np.bool_] | None:
    """Return which cells have a value: a cell is empty when all its bands are. None: all have one."""
    found: npt.NDArray[np.bool_] | None = None
    real = values.dtype.kind == "f"
    for band, empty in zip(values, nodata, strict=True):
        here = _valid_band(band, empty, real)
        if here is None:
            return None
        found = here if found is None else found | here
    return found


def _valid_band(band: npt.NDArray[Any], empty: float | None, real: bool) -> npt.NDArray[np.bool_] | None:
    if not real:
        return None if empty is None or math.isnan(empty) else np.asarray(band != empty)
    finite = np.asarray(np.isfinite(band))
    if empty is None or not math.isfinite(empty):
        return finite
    return np.asarray(finite & (band != band.dtype.type(empty)))


def _or_none(valid: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.bool_] | None:
    return None if valid is None or valid.all() else valid


def _alpha(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8] | None:
    """Return alpha from 0 to 255; None where all cells are opaque."""
    if values.dtype != np.uint8:
        top = float(np.iinfo(values.dtype).max) if values.dtype.kind in "ui" else 1.0
        values = np.clip(values.astype(np.float64) / top * 255.0 + 0.5, 0, 255).astype(np.uint8)
    return None if (values == 255).all() else values


def _palette(file: Any) -> dict[int, tuple[int, int, int, int]] | None:
    from rasterio.enums import ColorInterp

    if file.colorinterp[0] is not ColorInterp.palette:
        return None
    found: dict[int, tuple[int, int, int, int]] = file.colormap(1)
    return found
