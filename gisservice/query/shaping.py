"""The geometry of items in another form than the stored one: simplified, in another system, with other decimals."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import shapely

from gisservice.catalog import Features
from gisservice.catalog.features import shapes_of, take
from gisservice.catalog.layout import ragged
from gisservice.errors import InvalidParameter
from gisservice.model import BBox, Form, Geometries, GeometryKind
from gisservice.query.systems import CRS84_CODE, system, way_to

_EQUATOR_M = 6_378_137.0
_FLATTENING = 1 / 298.257223563
_ECCENTRICITY2 = _FLATTENING * (2 - _FLATTENING)
"""Of WGS 84's ellipsoid."""


@dataclass(frozen=True)
class Shaped:
    """Geometries in the form that was asked for, and the one of each row: row ``i`` has ``geometries[uses[i]]``.

    Positions are in the authority's axis order and not yet rounded to ``decimals``.
    """

    geometries: Geometries
    uses: npt.NDArray[np.int64]
    decimals: int


def shaped(features: Features, rows: npt.NDArray[np.int64], form: Form, area: BBox | None) -> Shaped:
    """Return the geometries of rows in a form; each distinct one is worked on once.

    ``area`` (CRS84) is where the layer lies. Raises :class:`InvalidParameter` when an item has no place in the
    system, :class:`ReprojectionError` when no operation of known accuracy leads there.
    """
    which, uses = np.unique(features.record_geometry[rows], return_inverse=True)
    return Shaped(shaped_distinct(features, which.astype(np.int64), form, area), uses, decimals_of(form))


def shaped_distinct(features: Features, which: npt.NDArray[np.int64], form: Form, area: BBox | None) -> Geometries:
    """Like :func:`shaped`, of distinct geometries by their positions in ``features.geometries``."""
    found = take(features.geometries, which)
    if form.tolerance_m > 0:
        found = simplified(found, form.tolerance_m)
    return _moved(found, form.crs, area)


def decimals_of(form: Form) -> int:
    """Return how many decimals positions have in a form."""
    return system(form.crs).decimals if form.decimals is None else form.decimals


def simplified(geometries: Geometries, tolerance_m: float) -> Geometries:
    """Return geometries (CRS84) of which no line runs further than a tolerance in metres from where it ran.

    Measured on the ellipsoid: degrees are weighted with the lengths they have at each geometry's own middle. Positions
    are left out (Douglas and Peucker 1973), never moved; rings stay closed and polygons valid.
    """
    if geometries.kind is GeometryKind.POINT or not len(geometries):
        return geometries
    scales = np.repeat(_metres_per_degree(geometries), _position_counts(geometries), axis=0)
    metric = replace(geometries, coordinates=geometries.coordinates * scales)
    lines = shapely.simplify(shapes_of(metric), tolerance_m, preserve_topology=True)
    kept = ragged(lines, geometries.kind)
    back = np.repeat(_metres_per_degree(geometries), _position_counts(kept), axis=0)
    return replace(kept, coordinates=kept.coordinates / back)


def _moved(geometries: Geometries, code: str, area: BBox | None) -> Geometries:
    if code == CRS84_CODE:
        return geometries
    target, operation = system(code), way_to(code, area)
    xy = geometries.coordinates if operation.is_identity else operation.apply(geometries.coordinates)
    if not np.isfinite(xy).all():
        raise InvalidParameter("crs", target.uri, "a system in which every item asked for has a place")
    return replace(geometries, coordinates=xy[:, ::-1] if target.north_first else xy)


def _position_counts(geometries: Geometries) -> npt.NDArray[np.int64]:
    edges = geometries.rings[geometries.parts[geometries.starts]]
    return np.diff(edges)


def _metres_per_degree(geometries: Geometries) -> npt.NDArray[np.float64]:
    """Return the metres of a degree of longitude and of latitude at the middle of each geometry, shape (n, 2).

    From the radii of curvature of the ellipsoid: along the parallel N·cos φ, along the meridian M.
    """
    firsts = geometries.rings[geometries.parts[geometries.starts[:-1]]]
    north = np.maximum.reduceat(geometries.coordinates[:, 1], firsts)
    south = np.minimum.reduceat(geometries.coordinates[:, 1], firsts)
    middle = np.radians(np.clip((north + south) / 2, -89.0, 89.0))
    curve = 1 - _ECCENTRICITY2 * np.sin(middle) ** 2
    along_parallel = _EQUATOR_M / np.sqrt(curve) * np.cos(middle)
    along_meridian = _EQUATOR_M * (1 - _ECCENTRICITY2) / curve**1.5
    return np.radians(np.column_stack([along_parallel, along_meridian]))
