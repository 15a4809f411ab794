"""Relief from heights on the pixels of a grid: hillshade, slope, aspect, and heights as colours.

Every function takes heights with one pixel more on each side, so that neighbouring tiles agree at their edges, and
steps: how many metres a pixel is wide and high on the ground. Gradients are Horn's (1981), as in gdaldem.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from gisservice.crs import square_lonlat, unit
from gisservice.tiles.grid import EXTENT
from gisservice.tiles.matrix import WEB_MERCATOR_QUAD, TileMatrixSet
from gisservice.tiles.rasterwarp import Rect

Singles = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Reals = npt.NDArray[np.float64]

MARGIN = 1
"""Pixels around a box that gradients need."""

_EQUATOR_M = 6_378_137.0
_FLATTENING = 1 / 298.257223563
_ECCENTRICITY = _FLATTENING * (2 - _FLATTENING)
_HALF = np.float32(math.sqrt(0.5))


def ground_steps(grid: TileMatrixSet, z: int, size: int, rect: Rect) -> tuple[Singles, Singles]:
    """Return how many metres of ground the pixels of a box are wide and high, each of shape (height, 1).

    On the ellipsoid of WGS 84 for degrees and for Web Mercator, whose pixels shrink towards the poles; in a projected
    grid the unit is taken as it is (Virginia North is true to a ten-thousandth).
    """
    matrix = grid.matrices[z]
    cell = matrix.unit * EXTENT / size
    rows = np.arange(rect.row, rect.row + rect.height) + 0.5
    if grid is WEB_MERCATOR_QUAD:
        shares = np.column_stack([np.zeros_like(rows), rows / (matrix.height * size)])
        latitude = np.radians(square_lonlat(shares)[:, 1])
        degrees_m = cell / _EQUATOR_M  # radians of longitude, which a pixel is wide
        across, down = _radii(latitude)
        return _column(across * degrees_m), _column(down * degrees_m * np.cos(latitude))
    if grid.crs.is_geographic:
        latitude = np.radians(np.clip(matrix.origin[1] - rows * cell, -90.0, 90.0))
        across, down = _radii(latitude)
        return _column(across * math.radians(cell)), _column(down * math.radians(cell))
    step = np.full_like(rows, cell * unit(grid.crs)[1])
    return _column(step), _column(step)


def _radii(latitude: Reals) -> tuple[Reals, Reals]:
    """Return metres a radian of longitude and of latitude (Snyder 1987, 4-20 and 4-18)."""
    bend = 1.0 - _ECCENTRICITY * np.sin(latitude) ** 2
    across = _EQUATOR_M * np.cos(latitude) / np.sqrt(bend)
    return np.maximum(across, 1e-3), _EQUATOR_M * (1.0 - _ECCENTRICITY) / bend**1.5


def _column(values: Reals) -> Singles:
    return values.astype(np.float32)[:, None]


def gradients(heights: Singles, across: Singles, down: Singles) -> tuple[Singles, Singles]:
    """Return how much it rises to the west and to the south, metres a metre, one pixel less on every side."""
    left = heights[:-2, :-2] + 2 * heights[1:-1, :-2] + heights[2:, :-2]
    right = heights[:-2, 2:] + 2 * heights[1:-1, 2:] + heights[2:, 2:]
    above = heights[:-2, :-2] + 2 * heights[:-2, 1:-1] + heights[:-2, 2:]
    below = heights[2:, :-2] + 2 * heights[2:, 1:-1] + heights[2:, 2:]
    eight = np.float32(8)
    return (left - right) / (eight * across), (below - above) / (eight * down)


def hillshade(x: Singles, y: Singles, azimuth: float, altitude: float) -> Bytes:
    """Return shades from 1 (dark) to 255 under a light from an azimuth and a height above the horizon, degrees."""
    turn, height = math.radians(azimuth), math.radians(altitude)
    facing = y * np.float32(math.cos(turn)) + x * np.float32(math.sin(turn))
    light = np.float32(math.sin(height)) + np.float32(math.cos(height)) * facing
    return _shade(np.asarray(light / np.sqrt(1 + x * x + y * y), dtype=np.float32))


def multidirectional(x: Singles, y: Singles, altitude: float) -> Bytes:
    """Return shades under four lights, from the south-west to the north, each weighed by how a slope faces it.

    Mark, R.K. (1992), A multidirectional, oblique-weighted, shaded-relief image of the Island of Hawaii, USGS Open-File
    Report 92-422.
    """
    up, flat = np.float32(math.sin(math.radians(altitude))), np.float32(math.cos(math.radians(altitude)))
    xx, yy = x * x, y * y
    both = xx + yy
    south_west = np.float32(0.5) * both + x * y
    lights = ((south_west, -(x + y) * _HALF), (xx, -x), (both - south_west, (y - x) * _HALF), (yy, y))
    total = sum(weight * np.maximum(up + flat * facing, 0) for weight, facing in lights)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(both > 0, total / both / 2, up)
    return _shade(mean / np.sqrt(1 + both))


def _shade(light: Singles) -> Bytes:
    return np.asarray(np.floor(np.maximum(light, 0) * np.float32(254) + np.float32(1.5)), dtype=np.uint8)


def slope_degrees(x: Singles, y: Singles) -> Singles:
    """Return the steepest slope, in degrees."""
    return np.degrees(np.arctan(np.hypot(x, y)))


def aspect_degrees(x: Singles, y: Singles) -> Singles:
    """Return where a slope faces (downhill), degrees from north over east; not a number where it is flat."""
    faces = np.degrees(np.arctan2(x, y)) % np.float32(360)
    return np.where((x == 0) & (y == 0), np.float32(np.nan), faces.astype(np.float32))


def terrain_rgb(heights_m: Singles) -> Bytes:
    """Return heights as Mapbox Terrain-RGB, shape (height, width, 3): height = (R·65536 + G·256 + B)·0.1 - 10000."""
    return _three_bytes(np.clip(np.floor((heights_m.astype(np.float64) + 10_000.0) * 10.0 + 0.5), 0, 0xFFFFFF))


def terrarium(heights_m: Singles) -> Bytes:
    """Return heights as Terrarium, shape (height, width, 3): height = R·256 + G + B/256 - 32768."""
    return _three_bytes(np.clip(np.floor((heights_m.astype(np.float64) + 32_768.0) * 256.0 + 0.5), 0, 0xFFFFFF))


def _three_bytes(values: Reals) -> Bytes:
    words = values.astype(">u4")
    return np.ascontiguousarray(words.view(np.uint8).reshape(*values.shape, 4)[..., 1:])
