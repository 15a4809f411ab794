"""Pieces where two layers overlap, and features put together: exact geometry, vectorised over pairs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import shapely

from gisservice.analysis.answers import state
from gisservice.analysis.planar import Plane, columns, plane, repairs, same_plane
from gisservice.errors import InvalidParameter

if TYPE_CHECKING:
    import geopandas

HOWS = ("intersection", "difference", "identity")


def overlay(
    features: geopandas.GeoDataFrame, others: geopandas.GeoDataFrame, *, how: str = "intersection"
) -> geopandas.GeoDataFrame:
    """Return the features cut by the others.

    ``intersection``: a row for each pair that overlaps, with the columns of both (those of the others that have a
    name of ours get ``_other``) and ``feature`` and ``other``, their index values. ``difference``: each feature
    without what the others cover. ``identity``: both. What only touches (an edge, a corner) is no overlap: pieces
    have the dimension of the feature. Areas get ``area_m2``, ``area_sqft`` and ``area_share`` (of the feature's
    area), lines ``length_m``, ``length_ft`` and ``length_share``, all in the plane. Pieces are in the features'
    reference system.

    >>> overlay(parcels, flood_zones).groupby("zone").area_sqft.sum()                     # doctest: +SKIP
    """
    if how not in HOWS:
        raise InvalidParameter("how", str(how), f"one of {', '.join(HOWS)}")
    ours, theirs = (one.sound for one in same_plane(features, others, ("features", "others")))
    row, other = overlapping(ours, theirs)
    pieces, row, other = cut(ours, theirs, row, other)
    parts = []
    if how != "difference":
        parts.append(_joined(features, others, row, other, pieces))
    if how != "intersection":
        rest, left = _without(ours, theirs, *overlapping(ours, theirs))
        parts.append(_joined(features, others, left, np.full(len(left), -1), rest))
    found = _together(parts, features, ours)
    method = f"{how.capitalize()} in the plane of {ours.name}; what only touches is no overlap.{repairs(ours, theirs)}"
    return state(found, method=method, units=_units(found), sources=(features, others))


def dissolve(
    features: geopandas.GeoDataFrame, *, by: str | Sequence[str] | None = None, sums: Sequence[str] = ()
) -> geopandas.GeoDataFrame:
    """Return features put together: one row for each value of ``by`` (one for all, if None), in order of the values.

    Columns: those of ``by``, ``count``, the sum of each column of ``sums``, and ``area_m2`` and ``area_sqft`` (or
    ``length_m`` and ``length_ft``) of the union, in which what overlaps counts once. Features without a value in
    ``by`` are a group of their own.

    >>> dissolve(parcels, by="zoning", sums=["land_area"])                                # doctest: +SKIP
    """
    import geopandas
    import pandas

    names = [by] if isinstance(by, str) else list(by or ())
    columns(features, names, "by", numbers=False)
    columns(features, list(sums), "sums", numbers=True)
    ours = plane(features, "features").sound
    keys = pandas.DataFrame({name: features[name].to_numpy() for name in names}) if names else None
    group = (
        keys.groupby(names, dropna=False, sort=True).ngroup().to_numpy()
        if keys is not None
        else np.zeros(len(features), int)
    )
    count = int(group.max()) + 1 if len(group) else 0
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(count + 1))
    unions = [shapely.union_all(ours.shapes[order[first:last]]) for first, last in pairwise(starts.tolist())]
    first = order[starts[:-1]]
    found = features.iloc[first][names].reset_index(drop=True) if names else pandas.DataFrame(index=range(count))
    found["count"] = np.diff(starts)
    for name in sums:
        found[name] = features[name].groupby(group).sum().to_numpy() if count else np.empty(0)
    shapes = np.array(unions, dtype=object)
    result = measured(
        geopandas.GeoDataFrame(found, geometry=back(shapes, ours, features), crs=features.crs), shapes, ours
    )
    method = f"Union of each group in the plane of {ours.name}.{repairs(ours)}"
    return state(result, method=method, units=_units(result), sources=(features,))


def overlapping(ours: Plane, theirs: Plane) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the pairs of rows whose geometries meet, in order of ours, then theirs."""
    mine, targets = ours.there, theirs.there
    if not len(mine) or not len(targets):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    other, row = ours.tree.query(
        theirs.shapes[targets], predicate="intersects"
    )  # prepares theirs: zones, few and large
    row, other = mine[row], targets[other]
    order = np.lexsort([other, row])
    return row[order], other[order]


def cut(
    ours: Plane, theirs: Plane, row: npt.NDArray[np.int64], other: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the part of each pair that is in both, of the dimension of ours, and the pairs that have one.

    A feature that lies inside the other is that part itself: only those on the border are cut.
    """
    shapely.prepare(theirs.shapes[np.unique(other)])
    inside = shapely.covers(theirs.shapes[other], ours.shapes[row])
    pieces = ours.shapes[row].copy()
    border = np.flatnonzero(~inside)
    both = shapely.intersection(ours.shapes[row[border]], theirs.shapes[other[border]])
    pieces[border] = of_dimension(both, shapely.get_dimensions(ours.shapes[row[border]]))
    kept = ~shapely.is_empty(pieces)
    return pieces[kept], row[kept], other[kept]


def of_dimension(shapes: npt.NDArray[Any], dimensions: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return shapes without their parts of a lower dimension: the lines and points along which areas meet."""
    found = shapes.copy()
    lower = shapely.get_dimensions(shapes) < dimensions
    found[lower] = shapely.from_wkt("GEOMETRYCOLLECTION EMPTY")
    mixed = np.flatnonzero((shapely.get_type_id(shapes) == shapely.GeometryType.GEOMETRYCOLLECTION) & ~lower)
    for place in mixed.tolist():
        parts = shapely.get_parts(shapes[place])
        found[place] = shapely.union_all(parts[shapely.get_dimensions(parts) == dimensions[place]])
    return found


def _without(
    ours: Plane, theirs: Plane, row: npt.NDArray[np.int64], other: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Return what is left of each of ours without all of theirs, and the rows of which something is."""
    rest = ours.shapes.copy()
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    ends = np.append(starts[1:], len(row))[: len(starts)]
    for first, last in zip(starts.tolist(), ends.tolist(), strict=True):
        place = row[first]
        rest[place] = shapely.difference(ours.shapes[place], shapely.union_all(theirs.shapes[other[first:last]]))
    kept = np.flatnonzero(~(shapely.is_missing(rest) | shapely.is_empty(rest)))
    return of_dimension(rest[kept], shapely.get_dimensions(ours.shapes[kept])), kept


def _joined(
    features: geopandas.GeoDataFrame,
    others: geopandas.GeoDataFrame,
    row: npt.NDArray[np.int64],
    other: npt.NDArray[np.int64],
    pieces: npt.NDArray[Any],
) -> tuple[Any, npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Return the columns of pairs (-1: no other), their pieces and their rows."""
    import pandas

    ours = pandas.DataFrame(features.drop(columns=features.geometry.name))
    theirs = pandas.DataFrame(others.drop(columns=others.geometry.name))
    left = ours.iloc[row].reset_index(drop=True)
    taken = theirs.reindex(columns=list(theirs.columns))
    right = taken.iloc[other] if (other >= 0).all() else taken.iloc[np.empty(0, int)].reindex(range(len(other)))
    right = right.reset_index(drop=True)
    right.columns = [f"{name}_other" if name in left.columns else name for name in right.columns]
    left.insert(0, "feature", features.index[row])
    left.insert(1, "other", others.index[other] if (other >= 0).all() else None)
    return pandas.concat([left, right], axis=1), pieces, row


def _together(
    parts: list[tuple[Any, npt.NDArray[Any], npt.NDArray[np.int64]]],
    features: geopandas.GeoDataFrame,
    ours: Plane,
) -> geopandas.GeoDataFrame:
    import geopandas
    import pandas

    pieces = np.concatenate([piece for _, piece, _ in parts])
    row = np.concatenate([rows for _, _, rows in parts])
    table = parts[0][0] if len(parts) == 1 else pandas.concat([frame for frame, _, _ in parts], ignore_index=True)
    found = measured(
        geopandas.GeoDataFrame(table, geometry=back(pieces, ours, features), crs=features.crs), pieces, ours
    )
    whole = np.where(shapely.area(ours.shapes) > 0, shapely.area(ours.shapes), shapely.length(ours.shapes))[row]
    part = np.where(shapely.area(pieces) > 0, shapely.area(pieces), shapely.length(pieces))
    for name, measure in (("area_share", "area_m2"), ("length_share", "length_m")):
        if measure in found.columns:
            found[name] = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return found


def measured(frame: geopandas.GeoDataFrame, shapes: npt.NDArray[Any], measuring: Plane) -> geopandas.GeoDataFrame:
    """Add the area of areas, or the length of lines, measured in the plane; points get neither."""
    dimension = int(shapely.get_dimensions(measuring.shapes).max(initial=-1))
    if dimension == 2:
        area = shapely.area(shapes)
        frame["area_m2"], frame["area_sqft"] = area * measuring.metres**2, area * measuring.feet**2
    elif dimension == 1:
        length = shapely.length(shapes)
        frame["length_m"], frame["length_ft"] = length * measuring.metres, length * measuring.feet
    return frame


def back(shapes: npt.NDArray[Any], measuring: Plane, frame: geopandas.GeoDataFrame) -> npt.NDArray[Any]:
    """Return shapes of the plane in the reference system of a frame."""
    from gisservice import crs

    return (
        shapes
        if measuring.system == frame.crs
        else crs.reproject(shapes, crs.reprojection(measuring.system, frame.crs))
    )


def _units(frame: geopandas.GeoDataFrame) -> dict[str, str]:
    units = {
        "area_m2": "square metre", "area_sqft": "square foot (US survey)", "area_share": "from 0 to 1",
        "length_m": "metre", "length_ft": "US survey foot", "length_share": "from 0 to 1",
    }  # fmt: skip
    return {name: unit for name, unit in units.items() if name in frame.columns}
