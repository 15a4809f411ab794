"""A published raster as analysis reads it: patches of cells as numbers, missing where there is no data, and units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from gisservice import crs
from gisservice.analysis.ragged import Floats
from gisservice.catalog import Catalog
from gisservice.catalog.rasterkeys import UNITS_M, height_unit
from gisservice.catalog.rasters import CELLS_MAX, Raster, Window, open_raster
from gisservice.errors import InvalidParameter, LimitExceeded
from gisservice.model import BBox, RasterClass


@dataclass(frozen=True)
class Patch:
    """Some cells: ``values`` (rows, columns), NaN where there is no data; ``bounds`` in the raster's system.

    ``left`` and ``top`` are the column and the row of its upper left cell in the raster.
    """

    values: Floats
    bounds: BBox
    left: int
    top: int


@dataclass(frozen=True)
class Ground:
    """A raster of one band with what is said of it: unit of its heights, meaning of its classes, where it is from."""

    raster: Raster
    unit: str | None = None
    """``metre``, ``foot`` or ``US survey foot``, or what else the file calls it; None where nothing says."""
    classes: tuple[RasterClass, ...] = ()
    source: dict[str, Any] | None = None

    @classmethod
    def open(cls, catalog: Catalog, collection_id: str = "elevation") -> Ground:
        """Open the current version of a raster layer. Raises :class:`NotFound` for a layer that is no raster.

        >>> ground = Ground.open(catalog, "elevation")  # doctest: +SKIP
        """
        collection = catalog.collection(collection_id)
        raster = open_raster(collection)
        declared, stated = collection.layer.raster, raster.units[0] or None
        unit = height_unit(declared.unit, stated) or stated
        return cls(raster, unit, declared.classes, collection.attrs)

    @property
    def crs(self) -> crs.CRS:
        """The raster's system."""
        return self.raster.crs

    @property
    def cell(self) -> tuple[float, float]:
        """Width and height of a cell, in the unit of the system. Raises for a raster that is not north-up."""
        a, b, _, d, e, _ = self.raster.transform
        if b or d or a <= 0 or e >= 0:
            raise InvalidParameter("raster", self.raster.name, "a raster whose rows run east and columns south")
        return a, -e

    @property
    def metres(self) -> float:
        """Metres of a unit of the system. Raises :class:`InvalidParameter` for a raster in degrees or Web Mercator."""
        if not crs.is_measure(self.crs):
            raise InvalidParameter(
                "raster", f"{self.raster.name} in {self.crs.name}",
                "one in a projected system such as EPSG:2283, where distances are those on the ground: reproject it",
            )  # fmt: skip
        return crs.unit(self.crs)[1]

    @property
    def height_metres(self) -> float:
        """Metres of a unit of height. Raises :class:`InvalidParameter` where the layer does not say the unit."""
        if self.unit not in UNITS_M:
            raise InvalidParameter(
                "raster",
                self.raster.name,
                "one whose layer declares the unit of its heights: metre, foot or US survey foot",
            )
        return UNITS_M[self.unit]

    def patch(self, bounds: BBox, margin: int = 0) -> Patch:
        """Return the cells that a box lies in, and ``margin`` more on each side, as far as the raster goes.

        A box outside the raster gives a patch without cells. Raises :class:`LimitExceeded` for more cells than are
        read at once.
        """
        width, height = self.cell
        x, y = self.raster.transform[2], self.raster.transform[5]
        left, right = (bounds[0] - x) / width, (bounds[2] - x) / width
        top, bottom = (y - bounds[3]) / height, (y - bounds[1]) / height
        first_column, first_row = max(_floor(left) - margin, 0), max(_floor(top) - margin, 0)
        columns = min(_behind(left, right) + margin, self.raster.width) - first_column
        rows = min(_behind(top, bottom) + margin, self.raster.height) - first_row
        if columns <= 0 or rows <= 0:
            return Patch(np.zeros((0, 0)), (x, y, x, y), 0, 0)
        if columns * rows > CELLS_MAX:
            raise LimitExceeded("The part of the raster asked for", columns * rows, CELLS_MAX, "cells")
        west, north = x + first_column * width, y - first_row * height
        box = (west, north - rows * height, west + columns * width, north)
        return Patch(self._values(Window(first_column, first_row, columns, rows)), box, first_column, first_row)

    def whole(self) -> BBox:
        """Return the box of the raster in its system."""
        width, height = self.cell
        x, y = self.raster.transform[2], self.raster.transform[5]
        return (x, y - height * self.raster.height, x + width * self.raster.width, y)

    def _values(self, window: Window) -> Floats:
        cells = self.raster.read(self.raster.bands[:1], window)
        values: Floats = cells.values[0].astype(np.float64)
        if cells.opacity is not None:
            values[cells.opacity == 0] = np.nan
        return values


def areas_of(patch: Patch, mask: npt.NDArray[np.bool_]) -> Any:
    """Return the area of the cells of a patch where ``mask`` holds, as one MultiPolygon with cell edges as borders."""
    from rasterio.features import shapes

    if not mask.any():
        return shapely.MultiPolygon()
    found = shapes(mask.astype(np.uint8), mask=mask, connectivity=4, transform=_transform(patch))
    polygons = [shapely.Polygon(ring["coordinates"][0], ring["coordinates"][1:]) for ring, _ in found]
    return shapely.multipolygons(polygons)


def touched(patch: Patch, areas: list[Any]) -> npt.NDArray[np.bool_]:
    """Return which cells of a patch are touched by some areas, none of them missing or empty."""
    from rasterio.features import rasterize

    if not areas or not patch.values.size:
        return np.zeros(patch.values.shape, bool)
    marked = rasterize(
        areas, out_shape=patch.values.shape, transform=_transform(patch), all_touched=True, dtype=np.uint8
    )
    found: npt.NDArray[np.bool_] = marked == 1
    return found


def _transform(patch: Patch) -> Any:
    from rasterio import Affine

    (rows, columns), (west, south, east, north) = patch.values.shape, patch.bounds
    return Affine((east - west) / columns, 0.0, west, 0.0, (south - north) / rows, north)


def _behind(first: float, last: float) -> int:
    """Return the number of the cell behind the last one; a box without extent lies in one cell."""
    return max(-_floor(-last), _floor(first) + 1)


def _floor(value: float) -> int:
    return int(np.floor(np.clip(value, -1e9, 1e9)))
