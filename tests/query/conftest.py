"""A small layer to ask for pages of."""

from __future__ import annotations

import geopandas
import numpy as np
import pytest
import shapely

from gisservice.catalog import Features, Records, write_features
from gisservice.model import GeometryKind


@pytest.fixture(scope="session")
def triangles(tmp_path_factory) -> Features:
    """300 triangles: the box of each is twice as large as the triangle."""
    random = np.random.default_rng(7)
    corners = random.uniform((-77.1, 38.7), (-77.0, 38.9), (300, 1, 2))
    corners = corners + random.uniform(0.0001, 0.01, (300, 1, 1)) * np.array([[0, 0], [1, 0], [0, 1]])
    shapes = shapely.polygons(corners)
    ids = [f"t{number}" for number in range(300)]
    frame = geopandas.GeoDataFrame({"pid": ids}, geometry=shapes, crs="OGC:CRS84")
    folder = tmp_path_factory.mktemp("triangles")
    write_features(folder, Records(frame, ids, np.arange(300), shapes, None, GeometryKind.POLYGON))
    return Features.open(folder)
