"""The two rasters: elevation and land cover, written as GeoTIFF. The only part of the sample that uses rasterio."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
import shapely
from rasterio.features import rasterize
from rasterio.transform import Affine, from_origin

from gisservice.ingest.sample.ground import Ground, water_shapes
from gisservice.ingest.sample.nature import CELL, MARGIN, Terrain
from gisservice.ingest.sample.plane import Positions, Shapes

NODATA = -9999.0
COVER_CELL = 8.0
"""Feet; side of a cell of the land-cover grid."""
WATER, CANOPY, GRASS, BARE, BUILDING, PAVED, ROAD = 1, 2, 3, 4, 5, 6, 7
_PALETTE = {
    0: (0, 0, 0, 0),
    WATER: (76, 127, 176, 255),
    CANOPY: (59, 122, 59, 255),
    GRASS: (166, 207, 122, 255),
    BARE: (201, 166, 107, 255),
    BUILDING: (163, 75, 63, 255),
    PAVED: (185, 185, 185, 255),
    ROAD: (90, 90, 90, 255),
}
_TILED = {"driver": "GTiff", "tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate", "count": 1}


def write_elevation(path: Path, terrain: Terrain, ground: Ground, random: np.random.Generator) -> None:
    """Write heights in metres (float32); the ground farther than a quarter mile from the city is nodata."""
    heights = terrain.refined(random)
    transform = from_origin(terrain.left, terrain.top, CELL, CELL)
    near = ground.city.buffer(MARGIN * 0.8, quad_segs=4)
    heights[_burn([(near, 1)], heights.shape, transform) == 0] = NODATA
    _write(path, heights, transform, dtype="float32", nodata=NODATA, predictor=3, zlevel=4)


def write_land_cover(
    path: Path, ground: Ground, roads: Shapes, paved: Shapes, buildings: Shapes, trees: Positions, woods: Shapes
) -> None:
    """Write the classes of land cover (uint8 with a palette); 0 is nodata, outside the city."""
    left, bottom, right, top = shapely.bounds(ground.city)
    left, top = np.floor(left), np.ceil(top)
    shape = (int((top - bottom) // COVER_CELL) + 1, int((right - left) // COVER_CELL) + 1)
    transform = from_origin(left, top, COVER_CELL, COVER_CELL)
    crowns = shapely.buffer(shapely.points(trees), 13, quad_segs=2)
    beds = shapely.buffer(ground.railway, 26)
    layers = [(ground.city, GRASS), (beds, BARE)]
    layers += [
        (shape_, value) for shapes, value in ((paved, PAVED), (woods, CANOPY), (roads, ROAD)) for shape_ in shapes
    ]
    layers += [(crown, CANOPY) for crown in crowns]
    layers += [(building, BUILDING) for building in buildings]
    layers += [(water, WATER) for _, _, water in water_shapes(ground)]
    cover = _burn(layers, shape, transform)
    cover[_burn([(ground.city, 1)], shape, transform) == 0] = 0
    _write(path, cover, transform, dtype="uint8", nodata=0, palette=_PALETTE)


def _burn(layers: list[tuple[shapely.Geometry, int]], shape: tuple[int, ...], transform: Affine) -> np.ndarray:
    return np.asarray(rasterize(layers, out_shape=shape, transform=transform, dtype="uint8"))


def _write(
    path: Path,
    values: np.ndarray,
    transform: Affine,
    palette: dict[int, tuple[int, ...]] | None = None,
    **options: object,
) -> None:
    height, width = values.shape
    with rasterio.open(
        path, "w", height=height, width=width, crs="EPSG:2283", transform=transform, **_TILED, **options
    ) as raster:
        raster.write(values, 1)
        if palette:
            raster.write_colormap(1, palette)
