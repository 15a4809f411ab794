"""Shapes of one zoom, made once for the whole zoom."""

from __future__ import annotations

import numpy as np

from gisservice.model import Geometries, GeometryKind
from gisservice.tiles.shapes import Shapes, from_geometries, tidy
from gisservice.tiles.validity import invalid, repair


def generalise(geometries: Geometries, z: int) -> tuple[Shapes, int]:
    """Return valid shapes in level units of zoom ``z``, and how many polygons rounding had broken."""
    shapes = tidy(from_geometries(geometries, z))
    if shapes.kind != GeometryKind.POLYGON:
        return shapes, 0
    bad = np.flatnonzero(invalid(shapes))
    return (repair(shapes, bad), len(bad)) if len(bad) else (shapes, 0)
