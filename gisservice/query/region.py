"""Items in a box of any reference system: decided in CRS84 by the items' geometry at full precision.

The edges of a box are straight in its own system and bent in CRS84. There each edge is followed with as many points
as keep it within a tenth of a millimetre of its true run, and the geometry is tested against that polygon. The box
inscribed in the polygon lets the index decide most items without a look at their geometry.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import shapely

from gisservice import crs
from gisservice.catalog import Features
from gisservice.catalog.index import NO_RUNS, Rows, as_rows
from gisservice.errors import ReprojectionError
from gisservice.model import BBox, Box
from gisservice.query.systems import CRS84_CODE, system, way_to

_DEVIATION_MAX = 1e-9
"""Degrees: about a tenth of a millimetre."""

_PIECES_MAX = 2048
"""Of one edge; a box over half a continent needs some hundred."""


def parts_in(features: Features, box: Box, area: BBox | None) -> tuple[Rows, Rows]:
    """Return the rows whose geometry meets a box, a shared edge counts: runs of shape (k, 2) and single rows.

    ``area`` (CRS84) is where the layer lies; it chooses the operation between the systems. Raises
    :class:`ReprojectionError` for a box with no place in CRS84.
    """
    if box.crs == CRS84_CODE or (system(box.crs).geographic and way_to(box.crs, area).is_identity):
        return features.intersecting_parts(box.bbox)
    edges = bent_edges(box.bbox, way_to(box.crs, area))
    outline = shapely.polygons(np.concatenate(edges))
    within = _inscribed(edges)
    sure = np.zeros(features.count, dtype=np.bool_)
    if within is not None:
        sure[as_rows(features.search_runs(within)[0])] = True
    rest = np.sort(np.concatenate(features.search(tuple(outline.bounds))))
    rest = rest[~sure[rest]]
    which, uses = np.unique(features.record_geometry[rest], return_inverse=True)  # a stack is tested once
    shapely.prepare(outline)
    if len(rest):
        sure[rest[shapely.intersects(outline, features.distinct_shapes(which))[uses]]] = True
    return NO_RUNS, np.flatnonzero(sure)


def bent_edges(bbox: BBox, operation: crs.Reprojection) -> tuple[npt.NDArray[np.float64], ...]:
    """Return the bottom, right, top and left edge of a box in CRS84, each from corner to corner, counter-clockwise.

    ``operation`` leads from CRS84 to the box's system.
    """
    minx, miny, maxx, maxy = bbox
    corners = np.array([[minx, miny], [maxx, miny], [maxx, maxy], [minx, maxy], [minx, miny]])
    return tuple(_bent_edge(corners[i], corners[i + 1], operation) for i in range(4))


def _bent_edge(
    start: npt.NDArray[np.float64], end: npt.NDArray[np.float64], operation: crs.Reprojection
) -> npt.NDArray[np.float64]:
    pieces = 16
    while True:
        shares = np.linspace(0.0, 1.0, 2 * pieces + 1)[:, None]
        run = operation.invert(start * (1 - shares) + end * shares)
        if not np.isfinite(run).all():
            raise ReprojectionError("The box has no place on the earth.")
        bows = np.abs(run[1::2] - (run[:-1:2] + run[2::2]) / 2).max()
        if bows <= 4 * _DEVIATION_MAX or pieces >= _PIECES_MAX:  # the halves bow a quarter as much
            return run
        pieces = min(_PIECES_MAX, pieces * 2 ** max(1, math.ceil(math.log2(bows / (4 * _DEVIATION_MAX)) / 2)))


def _inscribed(edges: tuple[npt.NDArray[np.float64], ...]) -> BBox | None:
    """Return a box that lies inside the outline on all sides, or None where there is none, as after a turn."""
    bottom, right, top, left = edges
    west, south = float(left[:, 0].max()), float(bottom[:, 1].max())
    east, north = float(right[:, 0].min()), float(top[:, 1].min())
    return (west, south, east, north) if west < east and south < north else None
