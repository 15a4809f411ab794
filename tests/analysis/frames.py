"""Small frames in EPSG:2283, around a corner of Alexandria."""

from __future__ import annotations

from typing import Any

import geopandas
import numpy as np
import shapely

X, Y = 11_890_000.0, 6_980_000.0
"""A place in Old Town, in US survey feet."""

FOOT_M = 1200 / 3937


def frame(shapes: list[Any], **columns: Any) -> geopandas.GeoDataFrame:
    """A frame of shapes given in feet from the corner; rows are called a, b, c …"""
    moved = shapely.transform(np.array(shapes, dtype=object), lambda xy: xy + np.array([X, Y])) if shapes else []
    index = [chr(97 + place) if place < 26 else f"r{place}" for place in range(len(shapes))]
    return geopandas.GeoDataFrame(columns, geometry=list(moved), crs=2283, index=index)


def scattered(count: int, kind: str, seed: int = 0, *, size: float = 5000.0) -> geopandas.GeoDataFrame:
    """Points, lines or polygons (some of them multi) scattered over a square of feet."""
    random = np.random.default_rng(seed)
    at = random.uniform(0, size, (count, 2))
    points = shapely.points(at)
    if kind == "point":
        shapes = points
    elif kind == "line":
        shapes = shapely.linestrings(np.stack([at, at + random.uniform(-600, 600, (count, 2))], axis=1))
    else:
        shapes = shapely.buffer(points, random.uniform(20, 400, count), quad_segs=3)
        shapes[::7] = shapely.union(shapes[::7], shapely.box(0, 0, 50, 80))
    return frame(list(shapes), value=random.normal(100, 30, count), group=random.integers(0, 5, count))
