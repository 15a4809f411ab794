"""The relations of CQL2 between geometries (OGC 06-103r4, 6.1.15) and between spans of time (OWL-Time).

Geometries are compared by the positions that items are written with, rounded to a millimetre, and not by those that
they were published from: whoever takes the polygon of an item, or the union of several, into a filter gets these items.
Unrounded, nearly every one of their borders would stick out of such a filter by a part of 10^-14 degrees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import thread_time
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from gisservice.catalog import Features
from gisservice.catalog.features import shapes_of, take
from gisservice.catalog.layout import DECIMALS
from gisservice.errors import LimitExceeded
from gisservice.model import BBox
from gisservice.query.filter_limits import GEOMETRY_SECONDS_MAX
from gisservice.query.filter_terms import ItemGeometry, Region, Shape

Bools = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]
Boxes = npt.NDArray[np.float64]

_PREDICATES: dict[str, Callable[[Any, Any], Any]] = {
    "s_contains": shapely.contains,
    "s_crosses": shapely.crosses,
    "s_disjoint": shapely.disjoint,
    "s_equals": shapely.equals,
    "s_intersects": shapely.intersects,
    "s_overlaps": shapely.overlaps,
    "s_touches": shapely.touches,
    "s_within": shapely.within,
}
_TURNED = {"s_contains": "s_within", "s_within": "s_contains"}
_AREAS = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)

_STEP = 10.0**-DECIMALS

_FEW = 32
"""Geometries that are sooner tested themselves than by their boxes first."""

_FIRST_BATCH = 16
_BATCH_SECONDS = 0.05


class Clock:
    """The processor time that one evaluation may spend on geometries, however busy the machine is."""

    def __init__(self) -> None:
        self._spent = 0.0

    def spend(self, seconds: float) -> None:
        """Count time. Raises :class:`LimitExceeded` when there is none left."""
        self._spent += seconds
        if self._spent > GEOMETRY_SECONDS_MAX:
            raise LimitExceeded("Comparing the geometries of a filter", self._spent, GEOMETRY_SECONDS_MAX, "seconds")


def related(op: str, left: Region, right: Region, features: Features, rows: Rows | None, clock: Clock) -> Bools:
    """Return for each row (None: each record) whether two geometries relate; shape ``()`` where all are alike.

    The index or the boxes decide first, each distinct geometry that is left is tested once, against a prepared copy
    of the filter's own. Raises :class:`LimitExceeded` when that takes too long.
    """
    if isinstance(left, Shape) and isinstance(right, Shape):
        return np.asarray(_PREDICATES[op](left.geometry(), right.geometry()))
    if isinstance(left, ItemGeometry) and isinstance(right, ItemGeometry):
        return np.asarray(op in ("s_contains", "s_equals", "s_intersects", "s_within"))  # a geometry and itself
    if isinstance(left, Shape):
        op = _TURNED.get(op, op)
    shape = left if isinstance(left, Shape) else right
    assert isinstance(shape, Shape)
    if op == "s_disjoint":
        return ~_hits("s_intersects", shape, features, rows, clock)
    return _hits(op, shape, features, rows, clock)


def _hits(op: str, shape: Shape, features: Features, rows: Rows | None, clock: Clock) -> Bools:
    """Return where ``op`` of the item's geometry and the shape is true; it is nowhere where they do not meet."""
    geometry = _as_written(shape.geometry())
    bounds: BBox = tuple(shapely.bounds(geometry).tolist())
    hit = np.zeros(features.count if rows is None else len(rows), dtype=np.bool_)
    around = _wider(bounds, _STEP)
    if rows is None:
        where = candidates = np.sort(np.concatenate(features.search(around)))
        if op == "s_intersects" and _is_whole_box(shape):
            hit[features.search(_wider(bounds, -_STEP))[0]] = True  # they have a position well inside
            where = candidates = where[~hit[where]]
    else:
        where = np.flatnonzero(_meeting(features.boxes[rows], around))
        candidates = rows[where]
    boxes = np.round(features.boxes[candidates], DECIMALS)
    possible = _possible(op, boxes, bounds)
    where, candidates, boxes = where[possible], candidates[possible], boxes[possible]
    which, first, uses = np.unique(  # a stack is tested once
        features.record_geometry[candidates], return_index=True, return_inverse=True
    )
    shapely.prepare(geometry)
    hit[where] = _in_batches(op, geometry, features, which, boxes[first], clock)[uses]
    return hit


def _as_written(stated: shapely.Geometry) -> shapely.Geometry:
    """Return a geometry with positions as items have them; the same where it is too small for that."""
    rounded = shapely.transform(stated, lambda positions: np.round(positions, DECIMALS))
    return rounded if shapely.is_valid(rounded) else stated


def _is_whole_box(shape: Shape) -> bool:
    return shape.box is not None and shape.box[0] <= shape.box[2]


def _wider(bounds: BBox, by: float) -> BBox:
    return bounds[0] - by, bounds[1] - by, bounds[2] + by, bounds[3] + by


def _meeting(boxes: Boxes, bounds: BBox) -> Bools:
    minx, miny, maxx, maxy = bounds
    return (boxes[:, 0] <= maxx) & (boxes[:, 2] >= minx) & (boxes[:, 1] <= maxy) & (boxes[:, 3] >= miny)


def _possible(op: str, boxes: Boxes, bounds: BBox) -> Bools:
    """Return which of the boxes that meet ``bounds`` can be of a geometry for which ``op`` is true."""
    if op not in ("s_within", "s_contains", "s_equals"):
        return np.ones(len(boxes), dtype=np.bool_)
    low, high = np.array(bounds[:2]), np.array(bounds[2:])
    within: Bools = np.all(boxes[:, :2] >= low, axis=1) & np.all(boxes[:, 2:] <= high, axis=1)
    around: Bools = np.all(boxes[:, :2] <= low, axis=1) & np.all(boxes[:, 2:] >= high, axis=1)
    if op == "s_within":
        return within
    return around if op == "s_contains" else within & around


def _in_batches(
    op: str, geometry: shapely.Geometry, features: Features, which: npt.NDArray[np.uint32], boxes: Boxes, clock: Clock
) -> Bools:
    """Test distinct geometries, a few at first and more as long as it goes fast, so that the clock is looked at."""
    answers = np.zeros(len(which), dtype=np.bool_)
    start, size = 0, _FIRST_BATCH
    while start < len(which):
        begun = thread_time()
        batch = slice(start, start + size)
        answers[batch] = _tested(op, geometry, features, which[batch], boxes[batch])
        spent = thread_time() - begun
        clock.spend(spent)
        start += size
        size = size * 4 if spent < _BATCH_SECONDS else max(1, size // 2)
    return answers


def _tested(
    op: str, geometry: shapely.Geometry, features: Features, which: npt.NDArray[np.uint32], boxes: Boxes
) -> Bools:
    answers = np.zeros(len(which), dtype=np.bool_)
    left = np.arange(len(which))
    if len(which) > _FEW and shapely.get_type_id(geometry) in _AREAS:
        solid = ((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])).nonzero()[0]
        outlines = shapely.box(*boxes[solid].T)
        inside = solid[shapely.contains_properly(geometry, outlines)]
        apart = solid[~shapely.intersects(geometry, outlines)]  # several times faster than disjoint
        answers[inside] = op in ("s_intersects", "s_within")  # what lies within an area does nothing else with it
        left = np.setdiff1d(left, np.concatenate([inside, apart]), assume_unique=True)
    turned = _PREDICATES[_TURNED.get(op, op)]  # the prepared geometry has to come first
    answers[left] = turned(geometry, _written_shapes(features, which[left]))
    return answers


def _written_shapes(features: Features, which: npt.NDArray[np.uint32]) -> npt.NDArray[Any]:
    """Return distinct geometries with positions as items have them."""
    found = take(features.geometries, which.astype(np.int64))
    return shapes_of(replace(found, coordinates=np.round(found.coordinates, DECIMALS)))


def spans_related(op: str, left: tuple[Any, Any], right: tuple[Any, Any]) -> Any:
    """Return whether two spans of time, each its first and last moment, relate; element by element over arrays.

    The definitions are those of OWL-Time, on spans closed at both ends (OGC 21-065r2, tables 7 and 8).
    """
    return _SPANS[op](left[0], left[1], right[0], right[1])


_SPANS: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
    "t_after": lambda first, last, start, end: first > end,
    "t_before": lambda first, last, start, end: last < start,
    "t_disjoint": lambda first, last, start, end: (last < start) | (first > end),
    "t_equals": lambda first, last, start, end: (first == start) & (last == end),
    "t_intersects": lambda first, last, start, end: (last >= start) & (first <= end),
    "t_contains": lambda first, last, start, end: (first < start) & (last > end),
    "t_during": lambda first, last, start, end: (first > start) & (last < end),
    "t_finishedby": lambda first, last, start, end: (first < start) & (last == end),
    "t_finishes": lambda first, last, start, end: (first > start) & (last == end),
    "t_meets": lambda first, last, start, end: last == start,
    "t_metby": lambda first, last, start, end: first == end,
    "t_overlappedby": lambda first, last, start, end: (first > start) & (first < end) & (last > end),
    "t_overlaps": lambda first, last, start, end: (first < start) & (last > start) & (last < end),
    "t_startedby": lambda first, last, start, end: (first == start) & (last > end),
    "t_starts": lambda first, last, start, end: (first == start) & (last < end),
}
