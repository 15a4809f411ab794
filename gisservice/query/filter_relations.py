"""The relations of CQL2 between geometries (OGC 06-103r4, 6.1.15) and between spans of time (OWL-Time)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from gisservice.catalog import Features
from gisservice.model import BBox
from gisservice.query.filter_terms import ItemGeometry, Region, Shape

Bools = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]

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


def related(op: str, left: Region, right: Region, features: Features, rows: Rows | None) -> Bools:
    """Return for each row (None: each record) whether two geometries relate; shape ``()`` where all are alike.

    The index or the boxes decide first, each distinct geometry that is left is tested once, against a prepared copy
    of the filter's own.
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
        return ~_hits("s_intersects", shape, features, rows)
    return _hits(op, shape, features, rows)


def _hits(op: str, shape: Shape, features: Features, rows: Rows | None) -> Bools:
    """Return where ``op`` of the item's geometry and the shape is true; it is nowhere where they do not meet."""
    geometry = shape.geometry()
    bounds: BBox = tuple(shapely.bounds(geometry).tolist())
    hit = np.zeros(features.count if rows is None else len(rows), dtype=np.bool_)
    if rows is None:
        sure, maybe = features.search(bounds)
        if op == "s_intersects" and _is_whole_box(shape):
            hit[sure] = True
        else:
            maybe = np.union1d(sure, maybe)
        where = candidates = maybe
    else:
        where = np.flatnonzero(_meeting(features.boxes[rows], bounds))
        candidates = rows[where]
    which, uses = np.unique(features.record_geometry[candidates], return_inverse=True)  # a stack is tested once
    if len(which):
        shapely.prepare(geometry)
        turned = _PREDICATES[_TURNED.get(op, op)]  # the prepared geometry has to come first
        hit[where] = turned(geometry, features.distinct_shapes(which))[uses]
    return hit


def _is_whole_box(shape: Shape) -> bool:
    return shape.box is not None and shape.box[0] <= shape.box[2]


def _meeting(boxes: npt.NDArray[np.float64], bounds: BBox) -> Bools:
    minx, miny, maxx, maxy = bounds
    meets: Bools = (boxes[:, 0] <= maxx) & (boxes[:, 2] >= minx) & (boxes[:, 1] <= maxy) & (boxes[:, 3] >= miny)
    return meets


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
