"""Contour lines from heights on the pixels of a grid, as one layer of a vector tile.

Marching squares: in every square of four neighbouring pixel middles a line runs between the sides that it crosses, at
the height's share of the way. Heights are those that every other tile has, so lines of neighbouring tiles meet.
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt
import shapely

from gisservice.errors import LimitExceeded
from gisservice.model import GeometryKind
from gisservice.tiles.attributes import framed, varint
from gisservice.tiles.encode import geometry_commands, varint_bytes, varint_lengths
from gisservice.tiles.grid import BUFFER, EXTENT
from gisservice.tiles.rasterwarp import Pixels, Rect, Resampling, Warp
from gisservice.tiles.shapes import Shapes, offsets

Reals = npt.NDArray[np.float64]

LAYER = "contours"
"""What the layer is called inside a tile."""

LEVELS_MAX = 400
"""Most heights whose lines a tile shows."""

PIXELS = 256
INDEX_EVERY = 5
"""Every so many contours one is an index contour, which maps draw stronger."""

_MARGIN = BUFFER * PIXELS // EXTENT + 1
_UNIT = EXTENT // PIXELS
_TOP, _RIGHT, _BOTTOM, _LEFT = range(4)
# Which sides a line joins, by which of the four corners are as high: upper left 8, upper right 4, lower right 2,
# lower left 1. The two saddles have two lines; here they part the high corners.
_JOINS: dict[int, tuple[tuple[int, int], ...]] = {
    1: ((_LEFT, _BOTTOM),), 2: ((_BOTTOM, _RIGHT),), 3: ((_LEFT, _RIGHT),), 4: ((_TOP, _RIGHT),),
    5: ((_LEFT, _BOTTOM), (_TOP, _RIGHT)), 6: ((_TOP, _BOTTOM),), 7: ((_LEFT, _TOP),), 8: ((_LEFT, _TOP),),
    9: ((_TOP, _BOTTOM),), 10: ((_LEFT, _TOP), (_BOTTOM, _RIGHT)), 11: ((_TOP, _RIGHT),), 12: ((_LEFT, _RIGHT),),
    13: ((_BOTTOM, _RIGHT),), 14: ((_LEFT, _BOTTOM),),
}  # fmt: skip


def contour_tile(warp: Warp, z: int, x: int, y: int, band: int, how: Resampling, interval: float) -> bytes:
    """Return the contours of a tile as a vector tile (MVT 2.1), not compressed; nothing where there are none.

    Each feature is all lines of one height, with ``elevation`` in the raster's own unit and ``index``, whether it is
    a fifth contour. Raises :class:`LimitExceeded` for more than :data:`LEVELS_MAX` heights.
    """
    rect = Rect(x * PIXELS, y * PIXELS, PIXELS, PIXELS).grown(_MARGIN)
    pixels = warp.pixels(z, PIXELS, rect, [band], how)
    if pixels.is_empty:
        return b""
    features = []
    for number, lines in contours(pixels, interval):
        shapes = _in_tile_units(lines, rect, x, y)
        if len(shapes.rings) > 1:
            features.append((number, shapes))
    return _encoded(features, interval) if features else b""


def contours(pixels: Pixels, interval: float) -> list[tuple[int, npt.NDArray[np.object_]]]:
    """Return for each multiple of an interval its number and its lines, in pixels from the first pixel's middle."""
    heights = pixels.values[0].astype(np.float64)
    whole = np.ones((heights.shape[0] - 1, heights.shape[1] - 1), dtype=bool)
    if pixels.opacity is not None:
        shown = pixels.opacity > 0
        whole = shown[:-1, :-1] & shown[:-1, 1:] & shown[1:, :-1] & shown[1:, 1:]
        heights_shown = heights[shown]
    else:
        heights_shown = heights.ravel()
    low, high = float(heights_shown.min()) / interval, float(heights_shown.max()) / interval
    numbers = range(int(np.floor(low)) + 1, int(np.floor(high)) + 1)
    if len(numbers) > LEVELS_MAX:
        raise LimitExceeded("A tile of contours", len(numbers), LEVELS_MAX, "heights")
    found = []
    for number in numbers:
        segments = _segments(heights, whole, number * interval)
        if len(segments):
            merged = shapely.line_merge(shapely.multilinestrings(shapely.linestrings(segments)))
            found.append((number, shapely.get_parts(merged)))
    return found


def _segments(heights: Reals, whole: npt.NDArray[np.bool_], level: float) -> Reals:
    """Return the lines of a height inside each square, shape (n, 2, 2)."""
    above = heights >= level
    corners = above[:-1, :-1] * 8 + above[:-1, 1:] * 4 + above[1:, 1:] * 2 + above[1:, :-1]
    rows, columns = np.nonzero((corners > 0) & (corners < 15) & whole)
    kinds = corners[rows, columns]
    mean = (heights[rows, columns] + heights[rows, columns + 1] + heights[rows + 1, columns]
            + heights[rows + 1, columns + 1]) / 4  # fmt: skip
    saddle = (kinds == 5) | (kinds == 10)
    kinds = np.where(saddle & (mean >= level), 15 - kinds, kinds)  # a high middle joins the high corners
    parts = []
    for kind, joins in _JOINS.items():
        here = np.flatnonzero(kinds == kind)
        if len(here):
            ends = [_crossings(heights, rows[here], columns[here], level, side) for pair in joins for side in pair]
            parts += [np.stack(ends[k : k + 2], axis=1) for k in range(0, len(ends), 2)]
    return np.concatenate(parts) if parts else np.empty((0, 2, 2))


def _crossings(
    heights: Reals, rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], level: float, side: int
) -> Reals:
    """Return where a height lies on a side of squares; the square beyond that side finds the same position."""
    across = side in (_TOP, _BOTTOM)
    rows = rows + (side == _BOTTOM)
    columns = columns + (side == _RIGHT)
    first = heights[rows, columns]
    second = heights[rows, columns + 1] if across else heights[rows + 1, columns]
    share = (level - first) / (second - first)
    return np.column_stack([columns + share, rows] if across else [columns, rows + share])


def _in_tile_units(lines: npt.NDArray[np.object_], rect: Rect, x: int, y: int) -> Shapes:
    """Return lines as one geometry in tile units; positions are rounded over the whole zoom, so tiles agree."""
    xy, owners = shapely.get_coordinates(lines, return_index=True)
    corner = np.array([rect.column + 0.5, rect.row + 0.5])
    places = np.floor((xy + corner) * _UNIT + 0.5).astype(np.int64)
    units = places - np.array([x * EXTENT, y * EXTENT])
    fresh = np.ones(len(units), dtype=bool)
    fresh[1:] = (np.diff(units, axis=0) != 0).any(axis=1) | (np.diff(owners) != 0)
    units, owners = units[fresh], owners[fresh]
    lengths = np.bincount(owners, minlength=len(lines))
    near = _near(units, owners, len(lines)) & (lengths > 1)
    units, lengths = units[near[owners]], lengths[near]
    rings = offsets(lengths)
    return Shapes(GeometryKind.LINE, units, rings, np.array([0, len(lengths)]), np.ones(len(lengths), dtype=bool))


def _near(units: npt.NDArray[np.int64], owners: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.bool_]:
    """Tell of each line whether a vertex of it lies in the tile or its buffer."""
    inside = ((units >= -BUFFER) & (units <= EXTENT + BUFFER)).all(axis=1)
    return np.asarray(np.bincount(owners[inside], minlength=count) > 0)


def _encoded(features: list[tuple[int, Shapes]], interval: float) -> bytes:
    body = [framed(0x0A, LAYER.encode()), b"\x78\x02"]
    values: list[bytes] = []
    for number, shapes in features:
        commands, _ = geometry_commands(shapes)
        geometry = varint_bytes(commands, offsets(varint_lengths(commands))).tobytes()
        index = number % INDEX_EVERY == 0
        tags = varint(0) + varint(len(values)) + varint(1) + varint(len(values) + 1)
        values += [b"\x19" + struct.pack("<d", number * interval), b"\x38" + varint(int(index))]
        body.append(framed(0x12, framed(0x12, tags) + b"\x18\x02" + framed(0x22, geometry)))
    body += [framed(0x1A, b"elevation"), framed(0x1A, b"index")]
    body += [framed(0x22, value) for value in values]
    body.append(b"\x28" + varint(EXTENT))
    return framed(0x1A, b"".join(body))
