"""Heights from an elevation raster: at points, along lines, and how steep the ground is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import shapely

from gisservice.analysis.answers import state
from gisservice.analysis.ground import Ground, Patch
from gisservice.analysis.noding import line_parts
from gisservice.analysis.placing import middle, positions
from gisservice.analysis.ragged import Floats, Lines
from gisservice.errors import InvalidParameter, LimitExceeded

if TYPE_CHECKING:
    import geopandas

PROFILE_POINTS_MAX = 100_000


def elevation(points: geopandas.GeoDataFrame, ground: Ground, *, method: str = "bilinear") -> geopandas.GeoDataFrame:
    """Return each place with its ``elevation``, in the raster's unit of height, and ``reason`` where it has none.

    ``bilinear`` weighs the middles of the four cells around a point (at the raster's border the two or the one there
    are); ``nearest`` takes the cell a point lies in. Lines and areas count as a point inside them. ``reason`` is
    ``outside`` the raster, ``no data`` in a cell that is needed, or ``no place``. Raises :class:`InvalidParameter`.

    >>> elevation(hydrants, Ground.open(catalog)).elevation.min()  # doctest: +SKIP
    """
    if method not in ("bilinear", "nearest"):
        raise InvalidParameter("method", str(method), "bilinear or nearest")
    shapes = middle(positions(points, ground.crs, "points"))
    there = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    heights, inside = np.full(len(points), math.nan), np.zeros(len(points), bool)
    heights[there], inside[there] = _heights(ground, shapely.get_coordinates(shapes[there]), method)
    reason = np.where(~there, "no place", np.where(~inside, "outside", np.where(np.isnan(heights), "no data", "")))
    found = points.assign(elevation=heights, reason=[text or None for text in reason.tolist()])
    words = "Height interpolated between the four nearest cells" if method == "bilinear" else "Height of the cell"
    return state(
        found,
        method=f"{words} of the elevation raster.",
        units=_height_unit(ground),
        sources=[ground.source or {}, points],
    )


def profile(lines: geopandas.GeoDataFrame, ground: Ground, *, step_m: float | None = None) -> geopandas.GeoDataFrame:
    """Return points along each line with ``line`` (index value), ``distance_m`` from its beginning and ``elevation``.

    A point lies at each ``step_m`` metres (without: the width of a cell) and at the end; parts of a multi-line follow
    one another. Heights are bilinear; they are missing outside the raster and beside cells without data. Raises
    :class:`InvalidParameter` for a raster in degrees, :class:`LimitExceeded` for more than 100,000 points.

    >>> profile(trail, Ground.open(catalog)).plot("distance_m", "elevation")  # doctest: +SKIP
    """
    import geopandas

    step = ground.cell[0] * ground.metres if step_m is None else step_m
    if not 0 < step < math.inf:
        raise InvalidParameter("step_m", str(step_m), "metres above 0")
    parts, row = line_parts(positions(lines, ground.crs, "lines"))
    long_enough = shapely.length(parts) > 0
    row, chain = row[long_enough], Lines.of(parts[long_enough])
    count = np.ceil(chain.lengths * ground.metres / step - 1e-9).astype(np.int64) + 1
    if count.sum() > PROFILE_POINTS_MAX:
        raise LimitExceeded("The number of points", float(count.sum()), PROFILE_POINTS_MAX, "points")
    part = np.repeat(np.arange(len(chain)), count)
    rank = np.arange(len(part)) - np.repeat(np.cumsum(count) - count, count)
    along = np.minimum(rank * step / ground.metres, chain.lengths[part])
    before = np.cumsum(chain.lengths) - chain.lengths
    first = np.searchsorted(row, row)  # the first part of the same line
    xy = chain.positions(part, along)
    found = geopandas.GeoDataFrame(
        {
            "line": lines.index.to_numpy()[row[part]],
            "distance_m": (along + (before - before[first])[part]) * ground.metres,
            "elevation": _heights(ground, xy, "bilinear")[0],
        },
        geometry=shapely.points(xy),
        crs=ground.crs,
    )
    method = f"Heights every {step:g} m along the line, interpolated between the four nearest cells."
    units = {"distance_m": "metre", **_height_unit(ground)}
    return state(found, method=method, units=units, sources=[ground.source or {}, lines])


def slope(places: geopandas.GeoDataFrame, ground: Ground) -> geopandas.GeoDataFrame:
    """Return each place with ``slope_percent`` and ``slope_degrees`` of the cell it lies in; areas count as a point.

    Slope by Horn (1981) from the eight neighbours, heights and distances in the same unit; missing where one of the
    nine has no data, as at the raster's border. Of whole areas take ``zonal`` over :func:`slope_patch`. Raises
    :class:`InvalidParameter` for a raster in degrees or without a unit of height.

    >>> slope(parcels, Ground.open(catalog)).slope_percent.median()  # doctest: +SKIP
    """
    shapes = middle(positions(places, ground.crs, "places"))
    there = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    percent = np.full(len(places), math.nan)
    xy = shapely.get_coordinates(shapes[there])
    if len(xy):
        half = np.array(ground.cell) / 2  # a point on a border belongs to the cell behind it
        patch = slope_patch(ground, (*(xy.min(axis=0) - half), *(xy.max(axis=0) + half)))
        percent[there] = _cell_values(ground, patch, xy)
    found = places.assign(slope_percent=percent, slope_degrees=np.degrees(np.arctan(percent / 100)))
    units = {"slope_percent": "percent", "slope_degrees": "degree"}
    return state(found, method="Slope of the cell by Horn (1981).", units=units, sources=[ground.source or {}, places])


def slope_patch(ground: Ground, bounds: tuple[float, float, float, float]) -> Patch:
    """Return the slope of the cells in a box, in percent (Horn 1981)."""
    scale = ground.height_metres / ground.metres
    width, height = ground.cell
    patch = ground.patch(bounds, margin=1)
    if not patch.values.size:
        return patch
    z = np.pad(patch.values * scale, 1, constant_values=np.nan)
    north, south = z[:-2, :-2] + 2 * z[:-2, 1:-1] + z[:-2, 2:], z[2:, :-2] + 2 * z[2:, 1:-1] + z[2:, 2:]
    west, east = z[:-2, :-2] + 2 * z[1:-1, :-2] + z[2:, :-2], z[:-2, 2:] + 2 * z[1:-1, 2:] + z[2:, 2:]
    steep = np.hypot((east - west) / (8 * width), (south - north) / (8 * height)) * 100
    steep[np.isnan(patch.values)] = np.nan
    return Patch(steep, patch.bounds, patch.left, patch.top)


def _cell_values(ground: Ground, patch: Patch, xy: Floats) -> Floats:
    column, row = (np.floor(part + 1e-9).astype(np.int64) for part in ground.raster.cells_at(xy).T)
    column, row = column - patch.left, row - patch.top
    inside = (column >= 0) & (row >= 0) & (column < patch.values.shape[1]) & (row < patch.values.shape[0])
    values = np.full(len(xy), math.nan)
    values[inside] = patch.values[row[inside], column[inside]]
    return values


def _heights(ground: Ground, xy: Floats, method: str) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return the heights at positions, and which of them lie in the raster."""
    raster = ground.raster
    size = np.array([raster.width, raster.height])
    cells = raster.cells_at(xy)
    inside: npt.NDArray[np.bool_] = np.all((cells >= 0) & (cells <= size), axis=1)
    if method == "nearest":
        last = np.minimum(cells, size - 0.5)  # the raster's far border belongs to its last cells
        return np.where(inside, raster.sample(_positions(ground, last), raster.bands[:1])[:, 0], math.nan), inside
    at = np.clip(cells - 0.5, 0.0, size - 1.0)
    low = np.minimum(np.floor(at), np.maximum(size - 2.0, 0.0))
    share = at - low
    heights = np.zeros(len(xy))
    for right in (0, 1):
        for down in (0, 1):
            weight = np.abs(1 - right - share[:, 0]) * np.abs(1 - down - share[:, 1])
            corner = np.minimum(low + np.array([right, down]), size - 1.0) + 0.5
            values = raster.sample(_positions(ground, corner), raster.bands[:1])[:, 0]
            heights += np.where(weight > 0, weight * values, 0.0)
    return np.where(inside, heights, math.nan), inside


def _positions(ground: Ground, cells: Floats) -> Floats:
    """Return the positions of columns and rows."""
    a, b, c, d, e, f = ground.raster.transform
    return np.column_stack([a * cells[:, 0] + b * cells[:, 1] + c, d * cells[:, 0] + e * cells[:, 1] + f])


def _height_unit(ground: Ground) -> dict[str, str]:
    return {"elevation": ground.unit or "the raster's unit, which its layer does not state"}
