"""What lies in each zone: how many, how long, how much of it, and sums shared out by area."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import shapely

from gisservice.analysis.answers import state
from gisservice.analysis.overlaying import cut, overlapping
from gisservice.analysis.planar import Plane, columns, repairs, same_plane
from gisservice.errors import InvalidParameter

if TYPE_CHECKING:
    import geopandas


def summarize(
    zones: geopandas.GeoDataFrame,
    features: geopandas.GeoDataFrame,
    *,
    sums: Sequence[str] = (),
    means: Sequence[str] = (),
) -> geopandas.GeoDataFrame:
    """Return each zone with what lies in it; zones without anything have 0.

    Adds ``count``: points in the zone (one on a border counts in every zone that it touches), lines and areas of which
    a part lies in it (an area that only touches does not). Lines add ``length_m`` and ``length_ft`` inside the zone.
    Areas add ``area_m2`` and ``area_sqft`` inside the zone, each feature's by itself, and ``area_share``: how much of
    the zone is covered, what overlaps counted once. For each column of ``sums`` a column ``sum_<name>``: of points the
    plain sum; of lines and areas areal weighting, each value in proportion to the part of the feature's length or area
    that lies in the zone, as if it were spread evenly over it. For each of ``means`` a column ``mean_<name>``, weighted
    alike; missing where nothing lies in the zone. A missing value is left out of both.

    >>> summarize(small_area_plans, parcels, sums=["total_value"])                        # doctest: +SKIP
    """
    columns(features, list(sums), "sums", numbers=True)
    columns(features, list(means), "means", numbers=True)
    ground, things = same_plane(zones, features, ("zones", "features"))
    ground = ground.sound
    if len(ground.there) and (shapely.get_dimensions(ground.shapes[ground.there]) < 2).any():
        raise InvalidParameter("zones", "a frame of points or lines", "a frame of areas")
    dimension = int(shapely.get_dimensions(things.shapes).max(initial=0))
    things = things.sound if dimension == 2 else things
    parts = _parts(ground, things, dimension)
    found = zones.copy()
    found["count"] = np.bincount(parts.zone, minlength=len(zones))
    units = {"count": "features"} | _measures(found, parts, ground, dimension)
    for name in sums:
        found[f"sum_{name}"] = _weighted(parts, features[name].to_numpy(float, na_value=np.nan), len(zones))[0]
    for name in means:
        total, weight = _weighted(parts, features[name].to_numpy(float, na_value=np.nan), len(zones))
        found[f"mean_{name}"] = np.divide(total, weight, out=np.full(len(zones), np.nan), where=weight > 0)
    how = ("Points counted", "Lines measured", "Areas measured")[dimension] + " in each zone"
    weighting = "; sums and means by areal weighting" if dimension and (sums or means) else ""
    method = f"{how}{weighting}, in the plane of {ground.name}.{repairs(ground, things)}"
    return state(found, method=method, units=units, sources=(zones, features))


class _Parts:
    """The parts of features in zones: zone, feature, the part and which share of the feature it is."""

    def __init__(
        self,
        zone: npt.NDArray[np.int64],
        feature: npt.NDArray[np.int64],
        pieces: npt.NDArray[Any],
        share: npt.NDArray[Any],
    ) -> None:
        self.zone, self.feature, self.pieces, self.share = zone, feature, pieces, share


def _parts(ground: Plane, things: Plane, dimension: int) -> _Parts:
    feature, zone = overlapping(things, ground)
    if dimension == 0:
        return _Parts(zone, feature, things.shapes[feature], np.ones(len(feature)))
    pieces, feature, zone = cut(things, ground, feature, zone)
    measure = shapely.area if dimension == 2 else shapely.length
    whole = measure(things.shapes)[feature]
    share = np.divide(measure(pieces), whole, out=np.zeros(len(pieces)), where=whole > 0)
    return _Parts(zone, feature, pieces, share)


def _measures(found: geopandas.GeoDataFrame, parts: _Parts, ground: Plane, dimension: int) -> dict[str, str]:
    """Add lengths or areas to the zones and return their units."""
    if dimension == 1:
        length = np.bincount(parts.zone, shapely.length(parts.pieces), len(found))
        found["length_m"], found["length_ft"] = length * ground.metres, length * ground.feet
        return {"length_m": "metre", "length_ft": "US survey foot"}
    if dimension == 2:
        area = np.bincount(parts.zone, shapely.area(parts.pieces), len(found))
        found["area_m2"], found["area_sqft"] = area * ground.metres**2, area * ground.feet**2
        found["area_share"] = _covered(parts, ground)
        return {"area_m2": "square metre", "area_sqft": "square foot (US survey)", "area_share": "from 0 to 1"}
    return {}


def _covered(parts: _Parts, ground: Plane) -> npt.NDArray[np.float64]:
    """Return the share of each zone that pieces cover, what overlaps counted once."""
    areas = shapely.area(ground.shapes)
    order = np.argsort(parts.zone, kind="stable")
    starts = np.searchsorted(parts.zone[order], np.arange(len(areas) + 1))
    covered = np.zeros(len(areas))
    for zone in np.flatnonzero(np.diff(starts)).tolist():
        own = parts.pieces[order[starts[zone] : starts[zone + 1]]]
        covered[zone] = shapely.area(shapely.union_all(_distinct(own)))
    share: npt.NDArray[np.float64] = np.divide(covered, areas, out=np.full(len(areas), np.nan), where=areas > 0)
    return share


def _distinct(shapes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return each shape of a stack once: condominium units share one outline by the hundred."""
    texts = shapely.to_wkb(shapes)
    return shapes[list({text: place for place, text in enumerate(texts)}.values())]


def _weighted(
    parts: _Parts, values: npt.NDArray[np.float64], zones: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the sum of values by share, and the sum of the shares, of each zone; missing values are in neither."""
    known = np.isfinite(values[parts.feature])
    weight = np.where(known, parts.share, 0.0)
    filled = np.where(known, values[parts.feature], 0.0)
    total: npt.NDArray[np.float64] = np.bincount(parts.zone, weight * filled, zones).astype(float)
    return total, np.bincount(parts.zone, weight, zones).astype(float)
