"""Frames made measurable: in one projected system, with sound geometries, and a distance in a unit that is named.

Lengths and areas are those of the plane of a projected system. A frame in degrees, or in Web Mercator, whose plane
is no measure, is measured in EPSG:2283 (NAD83 / Virginia North) if it lies in that system's area; any other is
refused with a word on what to do.
"""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import shapely

from gisservice import crs
from gisservice.analysis.placing import check_unit, flat, repaired
from gisservice.errors import InvalidParameter
from gisservice.model import BBox

if TYPE_CHECKING:
    import geopandas
    import pandas

DISTANCE_MAX_M = 100_000.0
"""The farthest that anything is looked for: beyond it the plane of one projected system is no good measure."""


@dataclass(frozen=True, eq=False)
class Plane:
    """Geometries in a projected system, one for each row of a frame; what a row lacks is None."""

    shapes: npt.NDArray[Any]
    system: crs.CRS
    metres: float
    """Of the system's unit."""
    repaired: int = 0
    """How many polygons were not valid and were repaired."""

    @property
    def feet(self) -> float:
        """US survey feet of the system's unit; exactly 1 where that is the unit, so that no distance is rounded."""
        feet = self.metres / crs.SURVEY_FOOT_M
        return 1.0 if abs(feet - 1) < 1e-12 else feet

    @cached_property
    def there(self) -> npt.NDArray[np.int64]:
        """The rows that have a geometry."""
        return np.flatnonzero(~(shapely.is_missing(self.shapes) | shapely.is_empty(self.shapes)))

    @cached_property
    def tree(self) -> shapely.STRtree:
        """An index of the geometries that are there; it answers with places in :attr:`there`."""
        return shapely.STRtree(self.shapes[self.there])

    @cached_property
    def sound(self) -> Plane:
        """The same with invalid polygons repaired: what areas and pieces are worked out with."""
        shapes, count = repaired(self.shapes)
        return replace(self, shapes=shapes, repaired=count) if count else self

    @cached_property
    def name(self) -> str:
        """The system, for a method's sentence."""
        return crs.code(self.system) or self.system.name


@dataclass(frozen=True)
class _Kept:
    """A plane that was made before, of which array of geometries, and what told these apart from all others."""

    array: weakref.ref[npt.NDArray[Any]]
    pointers: bytes
    system: crs.CRS
    plane: Plane
    held: npt.NDArray[Any]
    """The geometries: while they are held no other can come to lie where one of them lies."""

    def is_in(self, system: crs.CRS) -> bool:
        """Tell whether the geometries were in this system."""
        return self.system is system or self.system == system


_KEPT: dict[int, _Kept] = {}
"""Planes of frames that still live, so that the next question of the same frame finds its index made."""


def plane(frame: geopandas.GeoDataFrame, name: str) -> Plane:
    """Return a frame's geometries in the plane in which they are measured.

    A geometry with a position that is no finite number counts as missing. What was made of a frame is kept while the
    frame lives and its geometries stay the same objects. Raises :class:`InvalidParameter` for a frame without
    reference system, in another unit than it states, or in degrees outside the area of EPSG:2283.
    """
    return _plane(frame.geometry, name)


def _plane(geometry: geopandas.GeoSeries, name: str) -> Plane:
    system = geometry.crs
    if system is None:
        raise InvalidParameter(name, "a frame without reference system", "one that states it; use set_crs")
    array = np.asarray(geometry.array)
    pointers = array.tobytes()  # of an array of objects: where each lies; those of a kept plane stay there
    kept = _KEPT.get(id(array))
    if kept and kept.array() is array and kept.pointers == pointers and kept.is_in(system):
        return kept.plane
    made = _made(array, system, name)
    key = id(array)
    _KEPT[key] = _Kept(weakref.ref(array, lambda _: _KEPT.pop(key, None)), pointers, system, made, array.copy())
    return made


def _made(array: npt.NDArray[Any], stated: crs.CRS, name: str) -> Plane:
    shapes, box = flat(array)
    check_unit(name, stated, box)
    system = crs.measuring(stated)
    if system is not stated:
        _check_area(name, box, stated, system)
        shapes = crs.reproject(shapes, crs.reprojection(stated, system))
    return Plane(shapes, system, crs.unit(system)[1])


def same_plane(
    first: geopandas.GeoDataFrame, second: geopandas.GeoDataFrame, names: tuple[str, str]
) -> tuple[Plane, Plane]:
    """Return two frames in one plane. Raises :class:`InvalidParameter` naming both systems where they differ."""
    geometries = first.geometry, second.geometry  # to get at them and their system costs as much as a small search
    systems = geometries[0].crs, geometries[1].crs
    if systems[0] is not systems[1] and None not in systems and systems[0] != systems[1]:
        ours, theirs = (crs.code(system) or system.name for system in systems)
        raise InvalidParameter(
            names[1], f"a frame in {theirs}", f"one in {ours} as {names[0]!r} is; use to_crs({ours!r})"
        )
    return _plane(geometries[0], names[0]), _plane(geometries[1], names[1])


def distance(
    distance_ft: float | None, distance_m: float | None, system: Plane, *, least: float = 0.0
) -> tuple[float, str, float]:
    """Return a distance in the plane's unit, the column name for distances in the unit asked, and how many of that
    the plane's unit is.

    Exactly one of the two has to be given. Raises :class:`InvalidParameter` for both, neither, a negative or infinite
    one, NaN, and more than 100 km.
    """
    if (distance_ft is None) == (distance_m is None):
        came = "neither" if distance_ft is None else f"{distance_ft:g} ft and {distance_m:g} m"
        raise InvalidParameter(
            "distance_ft", came, "exactly one of distance_ft (US survey feet) and distance_m (metres)"
        )
    name, given, unit = (
        ("distance_m", distance_m, 1.0) if distance_ft is None else ("distance_ft", distance_ft, crs.SURVEY_FOOT_M)
    )
    value = math.nan if given is None or isinstance(given, bool) else float(given)
    if not least <= value <= DISTANCE_MAX_M / unit:  # neither is NaN
        raise InvalidParameter(name, str(given), f"a number from {least:g} to {math.floor(DISTANCE_MAX_M / unit):,}")
    ratio = system.feet if name == "distance_ft" else system.metres
    return value / ratio, name, ratio


def repairs(*planes: Plane) -> str:
    """Return the sentence that tells of repaired polygons, with a blank before it, or nothing."""
    count = sum(one.repaired for one in planes)
    return f" {count:,} invalid polygon{'s were' if count > 1 else ' was'} repaired first." if count else ""


def columns(frame: pandas.DataFrame, names: list[str] | tuple[str, ...], what: str, *, numbers: bool) -> None:
    """Refuse names that are no columns of a frame or, with ``numbers``, hold no numbers."""
    shape = getattr(frame, "_geometry_column_name", None)
    known = [str(column) for column in frame.columns if column != shape]
    for name in names:
        if name not in known:
            from difflib import get_close_matches

            near = get_close_matches(str(name), known, n=1, cutoff=0.5)
            raise InvalidParameter(
                what, str(name), f"a column; did you mean {near[0]!r}?" if near else f"one of {', '.join(known)}"
            )
        kind = getattr(frame[name].dtype, "kind", "O")
        if numbers and kind not in "iuf":
            raise InvalidParameter(what, str(name), f"a column of numbers; it is of type {frame[name].dtype}")


def _check_area(name: str, box: BBox | None, stated: crs.CRS, working: crs.CRS) -> None:
    if box is None:
        return
    west, south, east, north = crs.transform_bbox(box, stated, crs.CRS84) if stated.is_projected else box
    area = working.area_of_use
    assert area is not None
    inside = area.west - 1 <= west and east <= area.east + 1 and area.south - 1 <= south and north <= area.north + 1
    if not inside:
        raise InvalidParameter(
            name, f"a frame in {crs.code(stated) or stated.name}", "one in a projected system of its area; use to_crs"
        )
