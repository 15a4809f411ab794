"""What is near what: within a distance, the nearest few, and whom to tell of an application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import shapely

from gisservice.analysis.answers import state
from gisservice.analysis.planar import Plane, distance, repairs, same_plane
from gisservice.errors import InvalidParameter, LimitExceeded

if TYPE_CHECKING:
    import geopandas
    import pandas

NEAREST_MAX = 100
"""The most neighbours of one feature that are asked for."""

_FEW = 32
"""So many others are looked for one by one in the index of the features."""

_SOME = 256
"""Up to so many others are compared with each feature by their boxes, which is quicker than a search for each."""

_BLOCK = 1_000_000
"""Pairs of boxes that are compared at once: 8 MB an array."""

PAIRS_MAX = 20_000_000
"""The most pairs of features that are held at once: 320 MB."""


def within(
    features: geopandas.GeoDataFrame,
    others: geopandas.GeoDataFrame,
    *,
    distance_ft: float | None = None,
    distance_m: float | None = None,
) -> geopandas.GeoDataFrame:
    """Return the features that lie within a distance of any of the others, that distance included.

    Adds ``nearest`` (index value of the nearest other) and ``distance_ft`` or ``distance_m`` to it, as the distance
    was given: from edge to edge, 0 where they touch or overlap. Exactly one of ``distance_ft`` (US survey feet) and
    ``distance_m``, from 0 to 100 km. Rows keep their order, index, columns and reference system; those without a
    geometry are never near. Raises :class:`InvalidParameter` for another distance and for frames in two systems.

    >>> stations, addresses = catalog.read("metro_stations"), catalog.read("addresses")   # doctest: +SKIP
    >>> within(addresses, stations, distance_ft=500)                                      # doctest: +SKIP
    """
    ours, theirs = same_plane(features, others, ("features", "others"))
    reach, name, ratio = distance(distance_ft, distance_m, ours)
    row, other, apart = _closest(ours, theirs, reach)
    found = features.iloc[row]
    found["nearest"] = others.index[other]
    found[name] = apart * ratio
    method = (
        f"Within {_asked(distance_ft, distance_m)}, edge to edge, in the plane of {ours.name}.{repairs(ours, theirs)}"
    )
    return state(found, method=method, units={name: _unit(name)}, sources=(features, others))


def nearest(features: geopandas.GeoDataFrame, others: geopandas.GeoDataFrame, *, k: int = 1) -> geopandas.GeoDataFrame:
    """Return for each feature the ``k`` (1 to 100) others nearest to it, one row a pair, the nearest first.

    The frame has the features' columns and geometry, each row up to ``k`` times, and ``rank`` (from 1), ``nearest``
    (index value of the other), ``distance_ft`` (US survey feet) and ``distance_m``, edge to edge, 0 where they touch
    or overlap. Others at one distance come in the order of their frame. A feature without geometry has no row.

    >>> nearest(parcels, parks, k=2)[["nearest", "distance_ft"]]                          # doctest: +SKIP
    """
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= NEAREST_MAX:
        raise InvalidParameter("k", str(k), f"a whole number from 1 to {NEAREST_MAX}")
    ours, theirs = same_plane(features, others, ("features", "others"))
    row, other, apart, rank = _neighbours(ours, theirs, int(k))
    found = features.iloc[row]
    found["rank"] = rank
    found["nearest"] = others.index[other]
    found["distance_ft"] = apart * ours.feet
    found["distance_m"] = apart * ours.metres
    method = f"The {k} nearest, edge to edge, in the plane of {ours.name}.{repairs(ours, theirs)}"
    units = {"distance_ft": _unit("distance_ft"), "distance_m": _unit("distance_m")}
    return state(found, method=method, units=units, sources=(features, others))


def notify(
    parcels: geopandas.GeoDataFrame,
    subject: geopandas.GeoDataFrame,
    *,
    distance_ft: float | None = None,
    distance_m: float | None = None,
    office: pandas.DataFrame | None = None,
) -> geopandas.GeoDataFrame:
    """Return the parcels whose owners are to be told of an application for the subject's land.

    Those within a statutory distance of it, edge to edge, the nearest first; ``is_subject`` marks records whose land
    is (more than by touching it) the subject's own. Each record of a stack of condominium units is listed. The list
    names no owners: ``office`` are columns that only the office may see, indexed by item id
    (``Catalog.read_internal``), and whoever passes them answers for it. The HTTP service never does.

    >>> subject = parcels[parcels.pid == "10000104"]                                      # doctest: +SKIP
    >>> notify(parcels, subject, distance_ft=300)                                         # doctest: +SKIP
    """
    if not len(subject):
        raise InvalidParameter("subject", "no parcel", "at least one")
    near = within(parcels, subject, distance_ft=distance_ft, distance_m=distance_m)
    name = "distance_ft" if distance_ft is not None else "distance_m"
    near["is_subject"] = _overlaps(near, subject)
    if office is not None:
        near = near.join(office[[column for column in office.columns if column not in near.columns]])
    near = near.drop(columns="nearest").sort_values([name], kind="stable")
    method = f"Parcels within {_asked(distance_ft, distance_m)} of the subject's land, edge to edge."
    return state(near, method=method, units={name: _unit(name)}, sources=(parcels, subject))


def _asked(distance_ft: float | None, distance_m: float | None) -> str:
    return f"{distance_m:,g} metres" if distance_ft is None else f"{distance_ft:,g} US survey feet"


def _unit(name: str) -> str:
    return "US survey foot" if name.endswith("_ft") else "metre"


def _overlaps(near: geopandas.GeoDataFrame, subject: geopandas.GeoDataFrame) -> npt.NDArray[np.bool_]:
    ours, theirs = (one.sound for one in same_plane(near, subject, ("parcels", "subject")))
    land = shapely.union_all(theirs.shapes[theirs.there])
    areas = shapely.area(ours.shapes)
    shared = shapely.area(shapely.intersection(ours.shapes, land))
    mine: npt.NDArray[np.bool_] = np.where(areas > 0, shared > 0.5 * areas, shapely.intersects(ours.shapes, land))
    return mine


def _closest(
    ours: Plane, theirs: Plane, reach: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the rows of ours within ``reach`` of any of theirs, the nearest of theirs and the distance."""
    mine, targets = ours.there, theirs.there
    if not len(mine) or not len(targets):
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    if len(targets) <= _FEW:
        return _around_few(ours, theirs, reach)
    # A little beyond, then cut: the tree's own limit need not be closed.
    pairs, apart = theirs.tree.query_nearest(
        ours.shapes[mine], max_distance=max(reach * (1 + 1e-9), 1e-6), return_distance=True, all_matches=False
    )
    kept = apart <= reach
    return mine[pairs[0][kept]], targets[pairs[1][kept]], apart[kept]


def _around_few(
    ours: Plane, theirs: Plane, reach: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the same where theirs are few: by the index of ours, so that what is far is never looked at."""
    few = theirs.shapes[theirs.there]
    other, row = ours.tree.query(few, predicate="dwithin", distance=reach)
    apart = shapely.distance(ours.shapes[ours.there[row]], few[other])
    order = np.lexsort([other, apart, row])
    first = order[np.flatnonzero(np.diff(row[order], prepend=-1))]
    first = first[apart[first] <= reach]
    return ours.there[row[first]], theirs.there[other[first]], apart[first]


def _neighbours(ours: Plane, theirs: Plane, k: int) -> tuple[npt.NDArray[Any], ...]:
    """Return pairs of rows, their distance and rank: for each of ours the k nearest of theirs.

    The k-th nearest of points in theirs, from a point in ours, is at least as far as the k-th nearest of theirs: so
    all within that distance hold the k nearest, and are compared exactly.
    """
    mine, targets = ours.there, theirs.there
    k = min(k, len(targets))
    if not len(mine) or not k:
        none = np.empty(0, np.int64)
        return none, none, np.empty(0), none
    if k == 1:
        return _first_neighbours(ours, theirs)
    from scipy.spatial import cKDTree

    points = shapely.get_coordinates(shapely.point_on_surface(ours.shapes[mine]))
    anchors = shapely.get_coordinates(shapely.point_on_surface(theirs.shapes[targets]))
    apart, _ = cKDTree(anchors).query(points, k=[k])
    reach = apart[:, 0] * (1 + 1e-9) + 1e-9
    row, other = theirs.tree.query(ours.shapes[mine], predicate="dwithin", distance=reach)
    if len(row) > PAIRS_MAX:
        raise LimitExceeded("The number of pairs", len(row), PAIRS_MAX, "pairs")
    exact = shapely.distance(ours.shapes[mine[row]], theirs.shapes[targets[other]])
    order = np.lexsort([other, exact, row])
    row, other, exact = row[order], other[order], exact[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row) + 1
    kept = rank <= k
    return mine[row[kept]], targets[other[kept]], exact[kept], rank[kept]


def _first_neighbours(ours: Plane, theirs: Plane) -> tuple[npt.NDArray[Any], ...]:
    """Return the pairs of each of ours with the nearest of theirs; of several, the first in their frame."""
    if len(theirs.there) <= _SOME:
        row, other = _maybe_nearest(ours.shapes[ours.there], theirs.shapes[theirs.there])
        apart = shapely.distance(ours.shapes[ours.there[row]], theirs.shapes[theirs.there[other]])
        order = np.lexsort([other, apart, row])
    else:
        (row, other), apart = theirs.tree.query_nearest(ours.shapes[ours.there], return_distance=True)
        order = np.lexsort([other, row])
    first = order[np.flatnonzero(np.diff(row[order], prepend=-1))]
    return ours.there[row[first]], theirs.there[other[first]], apart[first], np.ones(len(first), np.int64)


def _maybe_nearest(
    shapes: npt.NDArray[Any], others: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return pairs of places in both, the nearest of each shape among them: what its box cannot rule out.

    One is ruled out by another whose box is, at its farthest, nearer than the one's at its nearest.
    """
    boxes, targets = shapely.bounds(shapes), shapely.bounds(others).T
    step = max(1, _BLOCK // len(others))
    rows, found = [], []
    for begin in range(0, len(boxes), step):
        west, south, east, north = boxes[begin : begin + step].T[:, :, None]
        near_x = np.maximum(np.maximum(targets[0] - east, west - targets[2]), 0.0)
        near_y = np.maximum(np.maximum(targets[1] - north, south - targets[3]), 0.0)
        far_x = np.maximum(targets[2] - west, east - targets[0])
        far_y = np.maximum(targets[3] - south, north - targets[1])
        surely = (far_x * far_x + far_y * far_y).min(axis=1, keepdims=True) * (1 + 1e-9)
        row, other = np.nonzero(near_x * near_x + near_y * near_y <= surely)
        rows.append(row + begin)
        found.append(other)
    return np.concatenate(rows), np.concatenate(found)
