"""The geometries of a frame in the system that is worked in, and refusals of positions that cannot be in their unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import shapely

from gisservice import crs
from gisservice.errors import InvalidParameter
from gisservice.model import BBox

if TYPE_CHECKING:
    import geopandas


def positions(frame: geopandas.GeoDataFrame, system: crs.CRS, what: str) -> npt.NDArray[Any]:
    """Return the geometries of a frame in a system; those with a position that is no number are None."""
    if frame.crs is None:
        raise InvalidParameter(what, "a frame without reference system", "one that states it; use set_crs")
    shapes, box = flat(frame.geometry.to_numpy())
    check_unit(what, frame.crs, box)
    operation = crs.reprojection(frame.crs, system)
    return shapes if operation.is_identity else flat(crs.reproject(shapes, operation))[0]


def flat(shapes: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], BBox | None]:
    """Return geometries in x and y alone, None for those with a position that is no finite number, and their box."""
    plain = shapely.force_2d(shapes) if shapely.has_z(shapes).any() else shapes.copy()
    bounds = shapely.bounds(plain).reshape(len(plain), 4)
    finite = np.isfinite(bounds).all(axis=1)
    rest = np.flatnonzero(~finite)
    plain[rest[~shapely.is_empty(plain[rest])]] = None
    bounds = bounds[finite] if len(rest) else bounds
    if not len(bounds):
        return plain, None
    west, south, east, north = bounds[:, 0].min(), bounds[:, 1].min(), bounds[:, 2].max(), bounds[:, 3].max()
    return plain, (float(west), float(south), float(east), float(north))


def repaired(shapes: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], int]:
    """Return geometries with those that are not valid repaired, and how many these are."""
    wrong = np.flatnonzero(~shapely.is_valid(shapes) & ~shapely.is_missing(shapes))
    if not len(wrong):
        return shapes, 0
    sound = shapes.copy()
    sound[wrong] = shapely.make_valid(shapes[wrong], method="structure", keep_collapsed=False)
    return sound, len(wrong)


def middle(shapes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a point of each geometry: points as they are, of lines and areas one that lies on them."""
    points = shapes.copy()
    dimensions = shapely.get_dimensions(shapes)
    wide, narrow = np.flatnonzero(dimensions > 0), np.flatnonzero(dimensions == 0)
    points[wide] = shapely.point_on_surface(shapes[wide])
    several = narrow[shapely.get_type_id(shapes[narrow]) == shapely.GeometryType.MULTIPOINT]
    points[several] = shapely.get_geometry(shapes[several], 0)
    return points


def check_unit(what: str, system: crs.CRS, box: BBox | None) -> None:
    """Refuse positions that cannot be in the unit their system states: degrees called feet, and feet called degrees.

    ``box`` holds all positions; None where there are none.
    """
    if box is None:
        return
    degrees = -180 <= box[0] and box[2] <= 180 and -90 <= box[1] and box[3] <= 90
    where, unit = f"{box[0]:.6g}, {box[1]:.6g}", crs.unit(system)[0]
    if system.is_geographic and (max(-box[0], box[2]) > 360 or max(-box[1], box[3]) > 90):
        raise InvalidParameter(
            what, where, f"degrees, as {system.name} says; these look like feet or metres: state their own system"
        )
    if system.is_projected and degrees and not _reaches_origin(system):
        raise InvalidParameter(
            what, where, f"positions in the unit {unit} of {system.name}; these look like degrees: use OGC:CRS84"
        )


def _reaches_origin(system: crs.CRS) -> bool:
    """Tell whether positions near 0, 0 are inside the area that a projected system is made for."""
    if system.area_of_use is None:
        return True
    bounds = crs.transform_bbox(system.area_of_use.bounds, crs.CRS84, system)
    return bounds[0] <= 180 and bounds[2] >= -180 and bounds[1] <= 90 and bounds[3] >= -90
