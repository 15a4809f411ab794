"""The pyramid's grid: addresses, their order in an archive, and where a tile lies.

The grid is WebMercatorQuad (OGC 17-083r4): zoom ``z`` has ``2**z`` columns and rows, row 0 in the north. A tile is
4,096 units a side; the same units, counted from the world's north-west corner, are called level units here, so a
position has one place per zoom, whatever tile it is drawn in.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gisservice.crs import WORLD_BITS
from gisservice.errors import TileOutsideMatrix
from gisservice.model import BBox

EXTENT_BITS = 12
EXTENT = 1 << EXTENT_BITS
"""Units a side of a tile."""

BUFFER = 64
"""Units beyond each side of a tile that its geometries reach, so that outlines meet unseen."""

ZOOM_MAX = 30
"""The deepest zoom an address can have."""

PYRAMID_ZOOM_MAX = WORLD_BITS - EXTENT_BITS
"""The deepest zoom whose units the world grid still tells apart (20): pyramids end there at the latest."""

_EQUATOR_M = 6_378_137.0
"""The radius of the ellipsoid of WGS 84 at the equator."""

_DIGITS = frozenset("0123456789")


class TileCoord(NamedTuple):
    """The address of a tile: zoom, column from the west, row from the north. ``TileCoord(16, 18729, 25085)``."""

    z: int
    x: int
    y: int


def parse_tile(z: str, x: str, y: str) -> TileCoord:
    """Read a tile address from a URL's three texts.

    Only plain decimal digits without leading zeros are numbers here: ``1_0``, ``+1``, ``01`` and digits of other
    scripts are not. Raises :class:`TileOutsideMatrix` for those and for addresses outside the grid, before any
    long text is turned into a number.

    >>> parse_tile("3", "7", "0")
    TileCoord(z=3, x=7, y=0)
    """
    zoom, column, row = address_number(z), address_number(x), address_number(y)
    if zoom > ZOOM_MAX or column >> zoom or row >> zoom:
        raise TileOutsideMatrix(
            f"No tile {zoom}/{column}/{row}: a zoom is at most {ZOOM_MAX}, columns and rows are less than 2**zoom."
        )
    return TileCoord(zoom, column, row)


def address_number(text: str) -> int:
    """Read one number of a tile address; at most ten plain decimal digits, so that the cost has a bound."""
    plain = 0 < len(text) <= 10 and _DIGITS.issuperset(text) and (text == "0" or text[0] != "0")
    if not plain:
        shown = text if len(text) <= 20 else text[:17] + "..."
        raise TileOutsideMatrix(f"{shown!r} is no part of a tile address; expected plain decimal digits.")
    return int(text)


@lru_cache(maxsize=1 << 16)
def tile_id(tile: TileCoord) -> int:
    """Return the place of a tile in the order of PMTiles v3: all smaller zooms, then a Hilbert curve.

    >>> tile_id(TileCoord(1, 1, 0))
    4
    """
    z, x, y = tile
    place = ((1 << (2 * z)) - 1) // 3
    for level in range(z - 1, -1, -1):
        side = 1 << level
        right, lower = x & side, y & side
        place += ((3 if right else 0) ^ (1 if lower else 0)) << (2 * level)
        if not lower:
            if right:
                x, y = ~x, ~y
            x, y = y, x
    return place


def tile_ids(z: int, x: npt.NDArray[np.int64], y: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the places (see :func:`tile_id`) of many tiles of one zoom, shape (n,)."""
    if not len(x):
        return np.zeros(0, dtype=np.int64)
    west, north = int(x.min()), int(y.min())
    across, down = int(x.max()) - west + 1, int(y.max()) - north + 1
    if across * down >= len(x):
        return _hilbert(z, x, y)
    rows, columns = np.divmod(np.arange(across * down, dtype=np.int64), across)
    places: npt.NDArray[np.int64] = _hilbert(z, columns + west, rows + north)[(y - north) * across + (x - west)]
    return places


def _hilbert(z: int, x: npt.NDArray[np.int64], y: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    place = np.full(len(x), ((1 << (2 * z)) - 1) // 3, dtype=np.int64)
    x, y = x.copy(), y.copy()
    for level in range(z - 1, -1, -1):
        right, lower = (x >> level) & 1, (y >> level) & 1
        place += ((3 * right) ^ lower) << (2 * level)
        turn = lower == 0
        mirror = turn & (right == 1)
        x[mirror], y[mirror] = ~x[mirror], ~y[mirror]
        x[turn], y[turn] = y[turn], x[turn]
    return place


def tile_of_id(place: int) -> TileCoord:
    """Return the tile at a place; the inverse of :func:`tile_id`."""
    z = ((3 * place + 1).bit_length() - 1) // 2
    rest = place - ((1 << (2 * z)) - 1) // 3
    x = y = 0
    for level in range(z):
        side = 1 << level
        right = (rest >> 1) & 1
        lower = (rest ^ right) & 1
        if not lower:
            if right:
                x, y = side - 1 - x, side - 1 - y
            x, y = y, x
        x += side * right
        y += side * lower
        rest >>= 2
    return TileCoord(z, x, y)


def bounds(tile: TileCoord) -> BBox:
    """Return a tile's box in CRS84, without its buffer.

    >>> bounds(TileCoord(0, 0, 0))
    (-180.0, -85.0511287798066, 180.0, 85.0511287798066)
    """
    side = float(1 << tile.z)
    west, east = (tile.x / side * 360.0 - 180.0, (tile.x + 1) / side * 360.0 - 180.0)
    return west, _latitude((tile.y + 1) / side), east, _latitude(tile.y / side)


def _latitude(share: float) -> float:
    return math.degrees(math.atan(math.sinh(math.pi * (1.0 - 2.0 * share))))


def quantise(world: npt.NDArray[Any], z: int) -> npt.NDArray[np.int64]:
    """Turn world-grid steps into level units of zoom ``z`` (at most 20), halves upward, any shape."""
    shift = PYRAMID_ZOOM_MAX - z
    steps = world.astype(np.int64)
    return (steps + ((1 << shift) >> 1)) >> shift


_FLATTENING = 1 / 298.257223563
_ECCENTRICITY = _FLATTENING * (2 - _FLATTENING)
"""Of the ellipsoid of WGS 84, squared."""


def ground_m2(areas: npt.NDArray[Any], y: npt.NDArray[Any], z: int) -> npt.NDArray[np.float64]:
    """Return how many square metres of ground some areas are, given in square level units of zoom ``z``.

    ``y`` is where their middles lie, level units from the north. The grid is a Mercator projection, whose scale
    changes with latitude; the answer is the area on the ellipsoid of WGS 84 (Snyder 1987, Map Projections, 4-18 and
    4-20), exact for an area so small that the scale is the same in all of it, and to a millionth for a city block.
    """
    side = 2.0 ** (z + EXTENT_BITS)
    latitude = np.arctan(np.sinh(np.pi * (1.0 - 2.0 * np.asarray(y, dtype=np.float64) / side)))
    bend = 1.0 - _ECCENTRICITY * np.sin(latitude) ** 2
    radii = _EQUATOR_M**2 * (1.0 - _ECCENTRICITY) / bend**2
    metres: npt.NDArray[np.float64] = np.asarray(areas) * radii * (np.cos(latitude) * 2.0 * np.pi / side) ** 2
    return metres
