"""What lies at a point and what is nearest to it, in one published version: by the packed index, without a frame."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from gisservice import crs
from gisservice.catalog import Collection
from gisservice.errors import InvalidParameter

_FIRST_LOOK_M = 60.0
_METRES_A_DEGREE = 110_500.0
"""Of latitude, rounded down: the least on the ellipsoid is 110,574 m, so a box made with it is never too small."""


def rows_at(collection: Collection, lonlat: tuple[float, float]) -> list[int]:
    """Return the rows of a layer whose geometry holds a point (CRS84; borders count), in stored order."""
    features = collection.features
    if features is None:
        return []
    x, y = lonlat
    runs = features.intersecting((x, y, x, y))
    return [row for first, last in runs.tolist() for row in range(first, last)]


Only = tuple[str, tuple[str, ...]]
"""A column and its values: records with another value are passed over."""


def rows_with(collection: Collection, only: Only | None) -> npt.NDArray[np.int64]:
    """Return the rows of a layer that have one of the values; all of them for None."""
    features = collection.features
    assert features is not None
    if only is None:
        return np.arange(features.count)
    name, values = only
    if name not in features.attributes.column_names:
        return np.arange(0)
    return np.flatnonzero([value in values for value in features.attributes[name].to_pylist()])


def nearest_rows(
    collection: Collection, lonlat: tuple[float, float], count: int, distance_m: float, only: Only | None = None
) -> list[tuple[int, float]]:
    """Return the ``count`` rows nearest to a point (CRS84) and their distances in metres, the nearest first.

    Distances are straight lines in the layer's storage system (in EPSG:2283 where that is in degrees), 0 inside a
    polygon. Nothing farther than ``distance_m`` is looked at; rows at one distance are in stored order. The box that
    is searched grows until what it holds is surely the nearest.
    """
    check_distance(distance_m)
    features = collection.features
    if features is None or not features.count:
        return []
    radius = min(_FIRST_LOOK_M, distance_m)
    while True:
        rows = _rows_around(collection, lonlat, radius)
        rows = rows if only is None else np.intersect1d(rows, rows_with(collection, only))
        if len(rows) >= count or radius >= distance_m:
            distances = _distances(collection, rows, lonlat)
            order = np.lexsort([rows, distances])[:count]
            enough = len(order) == count and distances[order[-1]] <= radius
            if enough or radius >= distance_m:
                found = [(int(rows[place]), float(distances[place])) for place in order]
                return [one for one in found if one[1] <= distance_m]
        radius = min(radius * 3, distance_m)


def check_distance(distance_m: float) -> None:
    """Refuse a distance that is no distance."""
    if not (math.isfinite(distance_m) and 0 < distance_m <= 100_000):
        raise InvalidParameter("distance_m", f"{distance_m:g}", "metres, more than 0 and at most 100,000")


def _rows_around(collection: Collection, lonlat: tuple[float, float], radius_m: float) -> npt.NDArray[np.int64]:
    """Return the rows whose box comes within ``radius_m`` of a point: a few too many, never too few."""
    assert collection.features is not None
    x, y = lonlat
    up = radius_m / _METRES_A_DEGREE
    side = up / max(0.01, math.cos(math.radians(min(89.0, abs(y) + up))))
    sure, maybe = collection.features.search((x - side, y - up, x + side, y + up))
    return np.sort(np.concatenate([sure, maybe]))


def _distances(
    collection: Collection, rows: npt.NDArray[np.int64], lonlat: tuple[float, float]
) -> npt.NDArray[np.float64]:
    assert collection.features is not None
    operation, metres = _measuring(collection.manifest.storage_crs)
    point = shapely.points(operation.apply(np.array([lonlat])))[0]
    shapes: npt.NDArray[Any] = crs.reproject(collection.features.shapes(rows), operation)
    distances: npt.NDArray[np.float64] = shapely.distance(shapes, point) * metres
    return distances


@lru_cache(maxsize=32)
def _measuring(storage: str) -> tuple[crs.Reprojection, float]:
    """Return the way from CRS84 to the system that distances are measured in, and the metres of its unit."""
    system = crs.measuring(crs.parse(storage))
    return crs.reprojection(crs.CRS84, system), crs.unit(system)[1]
