"""The city's own parcels, published whole: 47,174 records on 28,413 geometries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import numpy.typing as npt
import shapely

from gisservice.catalog import Features, Records, write_features
from gisservice.model import Geometries, GeometryKind
from gisservice.tiles import TileSource, build_pyramid

KIND = GeometryKind.POLYGON


def repaired(frame: geopandas.GeoDataFrame) -> npt.NDArray[Any]:
    """Return the geometries, the invalid ones repaired."""
    shapes = frame.geometry.to_numpy().copy()
    bad = ~shapely.is_valid(shapes)
    shapes[bad] = shapely.make_valid(shapes[bad], method="structure", keep_collapsed=False)
    return shapes


def publish(frame: geopandas.GeoDataFrame, folder: Path) -> None:
    """Write features and tiles of zooms 10 to 16 with all columns; what is small is merged by its zoning."""
    shapes = repaired(frame)
    ids = frame["OBJECTID"].to_numpy(dtype=np.int64)
    content = geopandas.GeoDataFrame(frame.drop(columns=["OBJECTID", "geometry"]), geometry=shapes, crs="OGC:CRS84")
    folder.mkdir()
    write_features(folder, Records(content, ids.astype(str).tolist(), ids, shapes, None, KIND))
    features = Features.open(folder)
    plain = features.geometries
    source = TileSource(
        "parcels",
        KIND,
        Geometries(KIND, features.world, plain.rings, plain.parts, plain.starts),
        features.record_geometry,
        features.tile_ids,
        features.attributes,
        coverage=True,
        minzoom=10,
        maxzoom=16,
        merge_by="ZONING",
    )
    build_pyramid(source, folder, workers=2)
