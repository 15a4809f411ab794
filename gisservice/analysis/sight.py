"""What can be seen from a place over the ground: the horizon is carried outwards from ring to ring of cells."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import shapely

from gisservice.analysis.answers import state
from gisservice.analysis.ground import Ground, areas_of
from gisservice.analysis.isochrones import SQUARE_METRES_PER_ACRE
from gisservice.analysis.placing import middle, positions
from gisservice.analysis.ragged import Floats
from gisservice.errors import InvalidParameter, LimitExceeded

if TYPE_CHECKING:
    import geopandas

RADIUS_MAX_M = 20_000.0
OBSERVERS_MAX = 50

CURVATURE = 1 - 1 / 7
"""How much of the earth's curvature is left when light bends in ordinary air (refraction 1/7)."""

EARTH_DIAMETER_M = 2 * 6_371_008.8
"""Of the sphere with the mean radius of GRS 80 (2a + b)/3."""


def viewshed(
    observers: geopandas.GeoDataFrame,
    ground: Ground,
    *,
    radius_m: float,
    observer_height_m: float = 1.7,
    target_height_m: float = 0.0,
) -> geopandas.GeoDataFrame:
    """Return for each observer the ground seen within a radius, with ``visible_acres`` and ``visible_percent`` of it.

    Eyes are ``observer_height_m`` above the ground of the cell they are in, targets ``target_height_m`` above theirs.
    The horizon of each ring of cells is interpolated from the ring inside it (Franklin and Ray 1994), with the earth's
    curvature and refraction of 1/7. Bare ground only: no trees, no buildings, unless the raster has them. Cells without
    data are not seen and hide nothing. An observer without ground has an empty area and a ``reason``. Raises
    :class:`InvalidParameter` for a radius not above 0 and up to 20,000 m, a raster in degrees or without a unit of
    height, :class:`LimitExceeded` for more than 50 observers.

    >>> viewshed(tower, Ground.open(catalog), radius_m=2000, observer_height_m=30)  # doctest: +SKIP
    """
    import geopandas

    _check("radius_m", radius_m, RADIUS_MAX_M, above=True)
    _check("observer_height_m", observer_height_m, 1000.0)
    _check("target_height_m", target_height_m, 1000.0)
    if len(observers) > OBSERVERS_MAX:
        raise LimitExceeded("The number of observers", len(observers), OBSERVERS_MAX, "observers")
    points = middle(positions(observers, ground.crs, "observers"))
    shapes: list[Any] = []
    known: list[float] = []
    for point in points:
        seen, cells = _seen(ground, point, radius_m, observer_height_m, target_height_m)
        shapes.append(seen)
        known.append(cells)
    acre = ground.cell[0] * ground.cell[1] * ground.metres**2 / SQUARE_METRES_PER_ACRE
    visible = shapely.area(np.array(shapes, dtype=object)) * ground.metres**2 / SQUARE_METRES_PER_ACRE
    within = np.array(known) * acre
    found = geopandas.GeoDataFrame(
        {
            "visible_acres": visible,
            "visible_percent": np.divide(visible * 100, within, out=np.full(len(within), math.nan), where=within > 0),
            "reason": [None if cells else "no ground" for cells in known],
        },
        geometry=np.array(shapes, dtype=object),
        index=observers.index,
        crs=ground.crs,
    )
    method = (
        f"Ground seen within {radius_m:g} m from {observer_height_m:g} m above it, targets {target_height_m:g} m above "
        "it, the horizon interpolated from ring to ring of cells (Franklin and Ray 1994), curvature and refraction 1/7."
    )
    units = {"visible_acres": "acre", "visible_percent": "percent"}
    return state(found, method=method, units=units, sources=[ground.source or {}, observers])


def _seen(ground: Ground, point: Any, radius_m: float, eyes_m: float, target_m: float) -> tuple[Any, float]:
    """Return the area seen from a point, and how many cells with data lie within the radius; 0 without ground there."""
    if point is None or point.is_empty:
        return shapely.MultiPolygon(), 0
    radius = radius_m / ground.metres
    patch = ground.patch((point.x - radius, point.y - radius, point.x + radius, point.y + radius))
    column, row = (int(part) for part in np.floor(ground.raster.cells_at(np.array([[point.x, point.y]])))[0])
    column, row = column - patch.left, row - patch.top
    rows, columns = patch.values.shape
    if not (0 <= row < rows and 0 <= column < columns) or math.isnan(patch.values[row, column]):
        return shapely.MultiPolygon(), 0
    width, height = (side * ground.metres for side in ground.cell)
    away = np.hypot((np.arange(columns) - column) * width, ((np.arange(rows) - row) * height)[:, None])
    near = away <= radius_m
    seen = visible_cells(patch.values * ground.height_metres, away, row, column, eyes_m, target_m) & near
    return areas_of(patch, seen), float((near & ~np.isnan(patch.values)).sum())


def visible_cells(
    heights_m: Floats, away_m: Floats, row: int, column: int, eyes_m: float, target_m: float
) -> npt.NDArray[np.bool_]:
    """Return which cells are seen from the cell at ``row``, ``column``; those without data are not.

    ``away_m`` are the distances of the cells from the observer's. Each cell is compared with the line of sight over the
    horizon of the two cells inside it that the line runs between.
    """
    drop = CURVATURE * away_m**2 / EARTH_DIAMETER_M
    ground = heights_m - heights_m[row, column] - eyes_m - drop
    target = ground + target_m
    reach = max(row, column, heights_m.shape[0] - 1 - row, heights_m.shape[1] - 1 - column)
    padded = np.full((2 * reach + 1, 2 * reach + 1), np.nan)  # the observer in the middle: rings are whole
    own = np.s_[reach - row : reach - row + heights_m.shape[0], reach - column : reach - column + heights_m.shape[1]]
    padded[own] = ground
    goal = np.full_like(padded, np.nan)
    goal[own] = target
    seen = np.zeros(padded.shape, bool)
    seen[reach - 1 : reach + 2, reach - 1 : reach + 2] = True  # nothing lies between
    horizon = np.where(np.isnan(padded), -np.inf, padded)
    for ring in range(2, reach + 1):
        _next_ring(horizon, goal, seen, reach, ring)
    return seen[own] & ~np.isnan(heights_m)


def _next_ring(horizon: Floats, goal: Floats, seen: npt.NDArray[np.bool_], middle_cell: int, ring: int) -> None:
    """Work out the four sides of a ring from the one inside it; corners lie on two sides and come out alike."""
    across = np.arange(-ring, ring + 1) * (ring - 1) / ring
    low = np.minimum(np.floor(across).astype(np.int64), ring - 2)
    share = across - low
    stretch = ring / (ring - 1)
    span = np.s_[middle_cell - ring : middle_cell + ring + 1]
    inner = np.s_[middle_cell - ring + 1 : middle_cell + ring]
    for sign in (-1, 1):
        for side, inside in (
            ((middle_cell + sign * ring, span), (middle_cell + sign * (ring - 1), inner)),
            ((span, middle_cell + sign * ring), (inner, middle_cell + sign * (ring - 1))),
        ):
            known = horizon[inside]
            one, other = known[low + ring - 1], known[low + ring]
            with np.errstate(invalid="ignore"):  # 0 times the infinite depth of a cell that hides nothing
                line = (
                    np.where(share == 0, one, np.where(share == 1, other, one * (1 - share) + other * share)) * stretch
                )
            seen[side] = goal[side] >= line
            horizon[side] = np.maximum(horizon[side], line)


def _check(name: str, value: float, most: float, *, above: bool = False) -> None:
    if isinstance(value, bool) or not (0 < value if above else 0 <= value) or not value <= most:
        raise InvalidParameter(name, str(value), f"metres {'above' if above else 'from'} 0 and up to {most:g}")
