"""The geometries that a filter states: read, checked and brought to CRS84, the system that items are compared in.

Refused are what is empty, has more than three dimensions, crosses itself or is not closed (so that an answer never
depends on a guess at what was meant), and what lies outside the reference system. Heights are left out: items have
none. An edge is straight in the system it is stated in; in CRS84 it is bent, and followed with as many points as keep
it within a millimetre.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from gisservice import crs
from gisservice.crs import CRS, CRS84
from gisservice.errors import LimitExceeded, ReprojectionError
from gisservice.model import BBox
from gisservice.query.filter_limits import VERTICES_MAX, Refusal
from gisservice.query.filter_terms import Shape

_DEVIATION_MAX = 1e-8
"""Degrees: about a millimetre."""

_POINTS_MAX = 8_192
"""Into which the edges of one geometry are cut at most."""

_LEVELS = {"Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}
"""How deep the lists of positions of each type of GeoJSON geometry are nested."""

_Positions = npt.NDArray[np.float64]


class ShapeReader:
    """Reads the geometries of one filter, whose coordinates are all in one reference system."""

    def __init__(self, system: CRS) -> None:
        self.system = system
        self.vertices = 0
        self.swapped = system.axis_info[0].direction.lower() in ("north", "south")

    def read(self, tree: Any) -> Shape:
        """Return the geometry of a GeoJSON object, a ``{"bbox": [...]}`` or a shapely geometry.

        Raises :class:`Refusal`, :class:`LimitExceeded` and :class:`ReprojectionError`.
        """
        if isinstance(tree, dict) and "bbox" in tree:
            return self._box(tree)
        stated = tree if isinstance(tree, shapely.Geometry) else self._from_geojson(tree)
        return Shape(_plain_wkb(self._placed(self._checked(stated))))

    def _from_geojson(self, tree: dict[str, Any]) -> shapely.Geometry:
        self._check_geojson(tree, "")
        try:
            return shapely.from_geojson(json.dumps(tree))
        except shapely.GEOSException as exc:
            raise Refusal(f"a GeoJSON geometry ({_told(exc)})") from exc

    def _check_geojson(self, tree: Any, at: str) -> None:
        if not isinstance(tree, dict):
            raise Refusal(f"a GeoJSON geometry{at}")
        kind, inside = tree.get("type"), "geometries" if tree.get("type") == "GeometryCollection" else "coordinates"
        if kind != "GeometryCollection" and kind not in _LEVELS:
            names = ", ".join([*_LEVELS, "GeometryCollection"])
            raise Refusal(f"a geometry of a type from {names}, not {str(kind)[:40]!r}")
        if set(tree) != {"type", inside}:
            raise Refusal(f"a {kind} with the members 'type' and '{inside}' and no others")
        if kind != "GeometryCollection":
            self._check_positions(tree["coordinates"], _LEVELS[kind], "/coordinates")
            return
        if not isinstance(tree["geometries"], list):
            raise Refusal("a list of geometries in /geometries")
        for number, member in enumerate(tree["geometries"]):
            if isinstance(member, dict) and member.get("type") == "GeometryCollection":
                raise Refusal("no GeometryCollection inside another")
            self._check_geojson(member, f" in /geometries/{number}")

    def _check_positions(self, found: Any, levels: int, at: str) -> None:
        if not isinstance(found, list) or not found:
            raise Refusal(f"a list that is not empty in {at}")
        if levels:
            for number, member in enumerate(found):
                self._check_positions(member, levels - 1, f"{at}/{number}")
            return
        self._count(1)
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in found)
        if not numbers or len(found) not in (2, 3) or not all(math.isfinite(_float(value)) for value in found):
            raise Refusal(f"a position of two or three finite numbers in {at}")

    def _count(self, more: int) -> None:
        self.vertices += more
        if self.vertices > VERTICES_MAX:
            raise LimitExceeded("The geometries of a filter", self.vertices, VERTICES_MAX, "positions")

    def _checked(self, stated: shapely.Geometry) -> shapely.Geometry:
        parts = shapely.get_parts([stated])
        if stated.is_empty or shapely.is_empty(parts).any():
            raise Refusal("a geometry that is not empty")
        if (shapely.get_type_id(parts) == shapely.GeometryType.GEOMETRYCOLLECTION).any():
            raise Refusal("no GeometryCollection inside another")
        flat = shapely.force_2d(stated)
        if not np.isfinite(shapely.get_coordinates(flat)).all():
            raise Refusal("a geometry whose positions are finite numbers")
        reason = shapely.is_valid_reason(flat)
        if reason != "Valid Geometry":
            raise Refusal(f"a valid geometry ({reason})")
        return shapely.transform(flat, _swap) if self.swapped else flat

    def _box(self, tree: dict[str, Any]) -> Shape:
        numbers = tree["bbox"]
        listed = isinstance(numbers, list) and len(numbers) in (4, 6) and set(tree) == {"bbox"}
        if not listed or any(isinstance(value, bool) or not isinstance(value, int | float) for value in numbers):
            raise Refusal("a box of four (or six) numbers: the lower corner, then the upper, as in BBOX(1,2,3,4)")
        self._count(4)
        half = len(numbers) // 2
        lower, upper = [float(value) for value in numbers[:half]], [float(value) for value in numbers[half:]]
        if self.swapped:
            lower[:2], upper[:2] = lower[1::-1], upper[1::-1]
        (west, south), (east, north) = lower[:2], upper[:2]
        if south > north or lower[2:] > upper[2:]:
            raise Refusal("a box whose lower corner comes before its upper one")
        if west <= east:
            halves = [_simplest((west, south, east, north))]
        elif self.system.is_geographic and -180 <= east and west <= 180:  # it runs over the 180th meridian
            halves = [_simplest((west, south, 180.0, north)), _simplest((-180.0, south, east, north))]
        else:
            raise Refusal("a box whose lower corner lies west of its upper one")
        placed = [self._placed(half) for half in halves]
        unmoved = all(after is before for after, before in zip(placed, halves, strict=True))
        whole = shapely.union_all(placed) if len(placed) > 1 else placed[0]
        return Shape(_plain_wkb(whole), (west, south, east, north) if unmoved else None)

    def _placed(self, stated: shapely.Geometry) -> shapely.Geometry:
        """Return a geometry in CRS84; the very same object where nothing moves it."""
        operation = self._operation(stated)
        moved = stated if operation is None else shapely.transform(_cut(stated, operation.apply), operation.apply)
        if not _on_earth(shapely.get_coordinates(moved)):
            raise self._outside(stated)
        return moved

    def _operation(self, stated: shapely.Geometry) -> crs.Reprojection | None:
        """Return the operation to CRS84 that is made for where the geometry lies; None where nothing moves it."""
        if self.system == CRS84:
            return None
        bounds: BBox = tuple(shapely.bounds(stated).tolist())
        try:
            area = crs.transform_bbox(bounds, self.system, CRS84)
        except ReprojectionError as exc:
            raise self._outside(stated) from exc
        if not _on_earth(np.array([area[:2], area[2:]])):
            raise self._outside(stated)
        try:
            operation = crs.reprojection(self.system, CRS84, area if area[0] <= area[2] else None)
        except ReprojectionError as exc:
            use = self.system.area_of_use
            crs.reprojection(self.system, CRS84, use.bounds if use else None)  # fails where there is no way at all
            raise self._outside(stated) from exc
        return None if operation.is_identity else operation

    def _outside(self, stated: shapely.Geometry) -> Refusal:
        first = shapely.get_coordinates(stated)[0].tolist()
        name = crs.code(self.system) or self.system.name
        return Refusal(
            f"positions inside the extent of {name}, the system the filter's coordinates are read in (its first "
            f"position is {first[0]:g}, {first[1]:g}); filter-crs names another system"
        )


def _on_earth(lonlat: _Positions) -> bool:
    return bool((np.abs(lonlat) <= (180.0, 90.0)).all())  # neither for infinity nor for NaN


def _cut(stated: shapely.Geometry, move: Callable[[_Positions], _Positions]) -> shapely.Geometry:
    """Return a geometry with points added on its edges, so that moving the points moves the edges.

    An edge's middle shows how far the edge bends; the bend shrinks with the square of the edge's length.
    """
    starts, ends = _edges(stated)
    if not len(starts):
        return stated
    lengths = np.hypot(*(ends - starts).T)
    bends = np.abs(move((starts + ends) / 2) - (move(starts) + move(ends)) / 2).max(axis=1)
    if not np.isfinite(bends).all() or bends.max() <= _DEVIATION_MAX:
        return stated
    steepest = float(np.max(bends / np.maximum(lengths, np.finfo(np.float64).tiny) ** 2))
    longest = max(math.sqrt(_DEVIATION_MAX / steepest), float(lengths.sum()) / _POINTS_MAX)
    return shapely.segmentize(stated, longest)


def _edges(stated: shapely.Geometry) -> tuple[_Positions, _Positions]:
    parts = shapely.get_parts(shapely.get_parts([stated]))
    polygons = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    lines = shapely.get_type_id(parts) == shapely.GeometryType.LINESTRING
    runs = np.concatenate([shapely.get_rings(parts[polygons]), parts[lines]])
    positions, run = shapely.get_coordinates(runs, return_index=True)
    same = run[1:] == run[:-1]
    return positions[:-1][same], positions[1:][same]


def _simplest(box: BBox) -> shapely.Geometry:
    """Return a box as a geometry; one without width or height is a line or a point."""
    west, south, east, north = box
    if west < east and south < north:
        return shapely.box(*box)
    return (
        shapely.Point(west, south)
        if (west, south) == (east, north)
        else shapely.LineString([(west, south), (east, north)])
    )


def _swap(positions: _Positions) -> _Positions:
    return positions[:, ::-1]


def _plain_wkb(geometry: shapely.Geometry) -> bytes:
    wkb: bytes = shapely.to_wkb(geometry, byte_order=1)
    return wkb


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _told(exc: Exception) -> str:
    return str(exc).partition(":")[2].strip() or str(exc)
