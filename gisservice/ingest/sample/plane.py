"""Positions of the facts, and the plane the sample city is built in: EPSG:2283, US survey feet.

The facts are written as text, a position as two numbers: ten-thousandths of a degree west of 77° W and north of
38° N, so that ``"470,8051"`` is 77.0470° W, 38.8051° N. That is a step of about 30 feet, as fine as they are meant.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from gisservice.crs import CRS84, Reprojection, parse, reproject, reprojection

Positions = npt.NDArray[np.float64]
"""Shape (n, 2): x, y."""

Shapes = npt.NDArray[Any]
"""An array of shapely geometries."""

Values = npt.NDArray[Any]
"""One number, word or flag for each of many things."""

GRID = 0.01
"""Feet; all linework is noded on this grid, so that neighbours share their vertices to the last bit."""


@lru_cache(maxsize=1)
def _operation() -> Reprojection:
    return reprojection(CRS84, parse("EPSG:2283"))


def positions(text: str) -> Positions:
    """Return the positions of a fact, in feet of EPSG:2283.

    >>> positions("470,8051").shape
    (1, 2)
    """
    pairs = np.array([[float(part) for part in pair.split(",")] for pair in text.split()])
    lonlat = np.column_stack([-77.0 - pairs[:, 0] / 1e4, 38.0 + pairs[:, 1] / 1e4])
    return _operation().apply(lonlat)


def course(text: str) -> shapely.LineString:
    """Return the line through the positions of a fact, in feet."""
    return shapely.LineString(positions(text))


def area(text: str) -> shapely.Polygon:
    """Return the polygon around the positions of a fact, in feet; the ring closes itself."""
    return shapely.Polygon(positions(text))


def to_lonlat(xy: Positions) -> Positions:
    """Return positions in feet as longitude and latitude (CRS84)."""
    return _operation().invert(xy)


def shapes_to_lonlat(shapes: Shapes) -> Shapes:
    """Return geometries in feet as geometries in CRS84."""
    return reproject(shapes, reprojection(parse("EPSG:2283"), CRS84))


def generator(seed: int, topic: str) -> np.random.Generator:
    """Return the random numbers of one topic, so that a change in one leaves the others as they were."""
    return np.random.default_rng([seed, *topic.encode()])
