"""The two rasters: elevation and land cover, written as GeoTIFF. The only part of the sample that uses rasterio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import rasterio
import shapely
from rasterio.features import rasterize
from rasterio.transform import Affine

from gisservice.ingest.sample.ground import Ground, water_shapes
from gisservice.ingest.sample.nature import CELL, MARGIN, Terrain
from gisservice.ingest.sample.plane import Positions, Shapes, Values

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
    transform = Affine(CELL, 0.0, terrain.left, 0.0, -CELL, terrain.top)
    near = ground.city.buffer(MARGIN * 0.8, quad_segs=4)
    inside = np.zeros(heights.shape, dtype=np.uint8)
    _burn(inside, transform, [near], 1)
    heights[inside == 0] = NODATA
    _write(path, heights, transform, dtype="float32", nodata=NODATA, predictor=3, zlevel=4)


@dataclass(frozen=True)
class Cover:
    """What covers the ground: shapes in feet, later ones over earlier ones; ``leafy`` land is half under trees."""

    paved: Shapes
    leafy: Shapes
    woods: Shapes
    roads: Shapes
    trees: Positions
    buildings: Shapes


def write_land_cover(path: Path, ground: Ground, parts: Cover, random: np.random.Generator) -> None:
    """Write the classes of land cover (uint8 with a palette); 0 is nodata, outside the city."""
    left, bottom, right, top = shapely.bounds(ground.city)
    left, top = np.floor(left), np.ceil(top)
    shape = (int((top - bottom) // COVER_CELL) + 1, int((right - left) // COVER_CELL) + 1)
    transform = Affine(COVER_CELL, 0.0, left, 0.0, -COVER_CELL, top)
    cover = np.zeros(shape, dtype=np.uint8)
    _burn(cover, transform, [ground.city], GRASS)
    _burn(cover, transform, [ground.railway.buffer(26)], BARE)
    _burn(cover, transform, parts.leafy, CANOPY)
    cover[(cover == CANOPY) & _clearings(shape, random)] = GRASS
    _burn(cover, transform, parts.paved, PAVED)
    _burn(cover, transform, parts.woods, CANOPY)
    _burn(cover, transform, parts.roads, ROAD)
    _burn_crowns(cover, transform, parts.trees)
    _burn(cover, transform, parts.buildings, BUILDING)
    _burn(cover, transform, [water for _, _, water in water_shapes(ground)], WATER)
    inside = np.zeros(shape, dtype=np.uint8)
    _burn(inside, transform, [ground.city], 1)
    _write(path, cover * inside, transform, dtype="uint8", nodata=0, palette=_PALETTE)


def _burn(values: Values, transform: Affine, shapes: Sequence[shapely.Geometry] | Shapes, value: int) -> None:
    """Give the cells whose middle lies in a shape a value."""
    texts = shapely.to_geojson(np.asarray(shapes, dtype=object))
    rasterize([orjson.loads(text) for text in texts], out=values, transform=transform, default_value=value)


def _clearings(shape: tuple[int, int], random: np.random.Generator) -> Values:
    """Return where leafy land is open: a half of the cells, in patches of a few yards up to a hundred."""
    mix = np.zeros(shape)
    for size, weight in ((3, 0.6), (9, 0.8), (27, 1.0)):
        patches = random.normal(0, weight, (shape[0] // size + 1, shape[1] // size + 1))
        mix += np.kron(patches, np.ones((size, size)))[: shape[0], : shape[1]]
    return np.asarray(mix > 0)


def _burn_crowns(values: Values, transform: Affine, trees: Positions) -> None:
    """Give the cells around each tree the class of canopy."""
    columns, rows = ((trees - [transform.c, transform.f]) / [transform.a, transform.e]).astype(int).T
    for down, across in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (1, -1), (-1, 1)):
        inside = (rows + down >= 0) & (rows + down < values.shape[0])
        inside &= (columns + across >= 0) & (columns + across < values.shape[1])
        values[rows[inside] + down, columns[inside] + across] = CANOPY


def _write(
    path: Path,
    values: Values,
    transform: Affine,
    palette: dict[int, tuple[int, int, int, int]] | None = None,
    **options: object,
) -> None:
    height, width = values.shape
    with rasterio.open(
        path, "w", height=height, width=width, crs="EPSG:2283", transform=transform, **_TILED, **options
    ) as raster:
        raster.write(values, 1)
        if palette:
            raster.write_colormap(1, palette)
