"""How deep water stands at a stage: a level surface over the ground, where water can get to it."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from gisservice.analysis.answers import state
from gisservice.analysis.ground import Ground, Patch, areas_of, touched
from gisservice.analysis.isochrones import SQUARE_METRES_PER_ACRE
from gisservice.analysis.placing import positions, repaired
from gisservice.analysis.zones import extracted_areas
from gisservice.catalog.rasterkeys import UNITS_M
from gisservice.errors import InvalidParameter
from gisservice.model import BBox

if TYPE_CHECKING:
    import geopandas

STAGE_MAX_FEET = 30_000.0
FOOT_M = UNITS_M["foot"]

BANDS_FEET = (0.0, 1.0, 3.0, 6.0, math.inf)
"""Where the classes of depth on the map of a flood begin and end: to the ankle, the waist, over a person's head."""


def flood_depth(
    areas: geopandas.GeoDataFrame,
    ground: Ground,
    *,
    stage_feet: float,
    source: geopandas.GeoDataFrame | None = None,
) -> geopandas.GeoDataFrame:
    """Return each area with the water in it when it stands at a stage, in feet above the raster's zero.

    ``wet_percent`` (of the area, by exact shares of cells), ``mean_depth_feet`` (of the wet part) and
    ``max_depth_feet``; dry areas have 0 and missing depths, areas without data have all missing. The surface is level
    ("bathtub"): ground below the stage is wet if water gets there from ``source`` (water bodies, say) over cells below
    the stage that share a side; without ``source``, all ground below the stage is. Nothing is said of flow, time, walls
    or pipes. Raises :class:`InvalidParameter` for a stage that is no number or a raster without unit of height.

    >>> flood_depth(buildings, Ground.open(catalog), stage_feet=10, source=water)  # doctest: +SKIP
    """
    shapes, _ = repaired(positions(areas, ground.crs, "areas"))
    patch = _depths(ground, stage_feet, source, _common(shapes))
    shares = extracted_areas(shapes, patch)
    area, wet = shares.area, shares.value > 0
    count = len(shares.starts) - 1
    cells = np.bincount(area, shares.share, minlength=count)
    soaked = np.bincount(area[wet], shares.share[wet], minlength=count)
    volume = np.bincount(area[wet], (shares.share * shares.value)[wet], minlength=count)
    deepest = np.zeros(count)
    np.maximum.at(deepest, area[wet], shares.value[wet])
    missing = np.full(count, math.nan)
    found = areas.assign(
        wet_percent=np.divide(soaked * 100, cells, out=missing.copy(), where=cells > 0),
        mean_depth_feet=np.divide(volume, soaked, out=missing.copy(), where=soaked > 0),
        max_depth_feet=np.where(soaked > 0, deepest, math.nan),
    )
    units = {"wet_percent": "percent", "mean_depth_feet": "foot", "max_depth_feet": "foot"}
    sources = [ground.source or {}, areas, *([source] if source is not None else [])]
    return state(found, method=_method(stage_feet, source), units=units, sources=sources)


def flood_area(
    ground: Ground,
    *,
    stage_feet: float,
    source: geopandas.GeoDataFrame | None = None,
    within: geopandas.GeoDataFrame | None = None,
) -> geopandas.GeoDataFrame:
    """Return the flooded ground at a stage as areas of rising depth, with ``acres``; only classes that occur.

    ``from_feet`` and ``to_feet`` (missing for the deepest) bound the depth: up to 1, 3 and 6 ft, and deeper. ``within``
    keeps what lies in the box of a frame. Method and errors are those of :func:`flood_depth`.

    >>> flooded = flood_area(Ground.open(catalog), stage_feet=10, source=water)  # doctest: +SKIP
    >>> gisservice.explore(flooded, "from_feet")  # doctest: +SKIP
    """
    import geopandas

    box = ground.whole() if within is None else _common(positions(within, ground.crs, "within"))
    patch = _depths(ground, stage_feet, source, box)
    rows = []
    for low, high in pairwise(BANDS_FEET):
        with np.errstate(invalid="ignore"):
            shape = areas_of(patch, (patch.values > low) & (patch.values <= high))
        if not shape.is_empty:
            acres = shape.area * ground.metres**2 / SQUARE_METRES_PER_ACRE
            rows.append((low, high if math.isfinite(high) else math.nan, acres, shape))
    found = geopandas.GeoDataFrame(
        {name: np.array([row[i] for row in rows], float) for i, name in enumerate(("from_feet", "to_feet", "acres"))},
        geometry=np.array([row[3] for row in rows], dtype=object),
        crs=ground.crs,
    )
    units = {"from_feet": "foot", "to_feet": "foot", "acres": "acre"}
    sources: list[Any] = [ground.source or {}, *(frame for frame in (source, within) if frame is not None)]
    return state(found, method=_method(stage_feet, source), units=units, sources=sources)


def _depths(ground: Ground, stage_feet: float, source: Any, box: BBox | None) -> Patch:
    """Return the depth of water in feet in the cells of a box (widened to the source); 0 where it is dry."""
    if isinstance(stage_feet, bool) or not abs(stage_feet) <= STAGE_MAX_FEET:
        raise InvalidParameter(
            "stage_feet", str(stage_feet), f"feet between -{STAGE_MAX_FEET:g} and {STAGE_MAX_FEET:g}"
        )
    _ = ground.metres  # a raster in degrees is refused before anything is read
    feet = ground.height_metres / FOOT_M
    water = None if source is None else positions(source, ground.crs, "source")
    if box is None:
        return ground.patch((math.inf, math.inf, -math.inf, -math.inf))
    if water is not None and (own := _common(water)) is not None:
        whole = ground.whole()
        own = (max(own[0], whole[0]), max(own[1], whole[1]), min(own[2], whole[2]), min(own[3], whole[3]))
        box = (min(box[0], own[0]), min(box[1], own[1]), max(box[2], own[2]), max(box[3], own[3]))
    patch = ground.patch(box)
    depth = stage_feet - patch.values * feet
    with np.errstate(invalid="ignore"):
        wet = depth > 0
    if water is not None:
        wet &= _reached(patch, wet, water)
    return Patch(np.where(np.isnan(depth), depth, np.where(wet, depth, 0.0)), patch.bounds, patch.left, patch.top)


def _reached(patch: Patch, wet: Any, water: Any) -> Any:
    """Return the wet cells that hang together, side by side, with one that the water touches."""
    from scipy.ndimage import label

    found = touched(patch, [shape for shape in water if shape is not None and not shape.is_empty])
    # Rasters often have no heights in open water: there the source itself carries the water on.
    pools, _ = label(wet | (found & np.isnan(patch.values)))
    return np.isin(pools, np.setdiff1d(pools[found], [0]))


def _common(shapes: Any) -> BBox | None:
    bounds = shapely.bounds(shapes)
    bounds = bounds[np.isfinite(bounds).all(axis=1)]
    if not len(bounds):
        return None
    low, high = bounds[:, :2].min(axis=0), bounds[:, 2:].max(axis=0)
    return (float(low[0]), float(low[1]), float(high[0]), float(high[1]))


def _method(stage_feet: float, source: Any) -> str:
    where = (
        "below it" if source is None else "below it that hangs together with the source over such ground, side by side"
    )
    return f"A level water surface {stage_feet:g} ft above the raster's zero over the ground {where}; no flow, no time."
