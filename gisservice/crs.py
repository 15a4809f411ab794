"""Every word about coordinate reference systems: name, operation, accuracy, reprojection. Always x, y.

Only this module and the tile grid import pyproj, so its errors end here. Axis order inside the package is x
(easting, longitude) before y, whatever the authority says; the authority's order matters only at the web's door.
"""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyproj
import pyproj.network
import shapely
from pyproj import CRS
from pyproj.aoi import AreaOfInterest
from pyproj.enums import TransformDirection
from pyproj.exceptions import CRSError, ProjError
from pyproj.transformer import TransformerGroup

from gisservice.errors import ReprojectionError
from gisservice.model import BBox, Operation

__all__ = [
    "CRS",
    "CRS84",
    "SURVEY_FOOT_M",
    "WORLD_BITS",
    "Reprojection",
    "code",
    "from_definition",
    "is_measure",
    "measuring",
    "network_enabled",
    "parse",
    "proj_version",
    "reproject",
    "reprojection",
    "square_lonlat",
    "square_positions",
    "transform_bbox",
    "unit",
    "uri",
    "world_positions",
]

CRS84 = CRS.from_authority("OGC", "CRS84")
"""Longitude, latitude on WGS 84: the system of RFC 7946 and of every ``bbox`` that states no other."""

WORLD_BITS = 32
"""The world grid has 2**32 steps a side: 0.9 cm at the equator, and zoom 20 with 4,096 steps a tile is exact."""

SURVEY_FOOT_M = 1200 / 3937
"""Metres of a US survey foot, the foot of state planes of NAD 83."""

_WORKING = "EPSG:2283"
"""NAD83 / Virginia North (ftUS), the city's own: what is measured in where a system's plane is no measure."""

_MERCATOR_LATITUDE_MAX = 85.0511287798066
"""Degrees; where the square of EPSG:3857 ends (OGC 17-083r4, WebMercatorQuad)."""

_CODE = re.compile(r"(EPSG|ESRI|OGC|IGNF):([A-Za-z0-9_.-]{1,24})")
_URI = re.compile(r"https?://www\.opengis\.net/def/crs/(EPSG|ESRI|OGC|IGNF)/[0-9.]{1,8}/([A-Za-z0-9_.-]{1,24})")
_URN = re.compile(r"urn:ogc:def:crs:(EPSG|ESRI|OGC|IGNF):[0-9.]{0,8}:([A-Za-z0-9_.-]{1,24})")
_EXPECTED = "a code such as 'EPSG:2283', 'OGC:CRS84' or 'http://www.opengis.net/def/crs/EPSG/0/2283'"


@lru_cache(maxsize=256)
def parse(text: str) -> CRS:
    """Return the reference system that a code, OGC URI or URN names.

    Definitions (PROJ strings, WKT, JSON) are refused: they can name files. Raises :class:`ReprojectionError`.

    >>> parse("EPSG:2283").name
    'NAD83 / Virginia North (ftUS)'
    """
    match = next((m for p in (_CODE, _URI, _URN) if (m := p.fullmatch(text))), None)
    if match is None:
        raise ReprojectionError(f"Coordinate reference system {text[:80]!r} is not understood; expected {_EXPECTED}.")
    try:
        return CRS.from_authority(match[1], match[2])
    except CRSError as exc:
        raise ReprojectionError(
            f"Coordinate reference system {match[1]}:{match[2]} is not in the registry of PROJ {proj_version()}; "
            f"expected {_EXPECTED}."
        ) from exc


def from_definition(definition: str) -> CRS:
    """Return the system of a definition found inside a trusted local file (WKT, mostly), or of a code.

    A geographic or projected system that an authority lists under a code is returned as that listed system, so
    that an Esri ``.prj`` and its EPSG twin are equal. Raises :class:`ReprojectionError`.
    """
    try:
        found = CRS.from_user_input(definition)
        if found.is_compound:
            found = found.to_2d()
        listed = found.to_authority(min_confidence=70)
        return CRS.from_authority(*listed) if listed else found
    except CRSError as exc:
        raise ReprojectionError(
            f"The source's coordinate reference system cannot be read: {definition[:80]!r}."
        ) from exc


def code(crs: CRS) -> str | None:
    """Return the authority code (``"EPSG:2283"``), or None for a system without one."""
    listed = crs.to_authority(min_confidence=100)
    return f"{listed[0]}:{listed[1]}" if listed else None


def uri(crs: CRS) -> str:
    """Return the OGC URI of a system with a code, for example ``http://www.opengis.net/def/crs/EPSG/0/2283``.

    Raises :class:`ReprojectionError` for a system that no authority lists.
    """
    listed = crs.to_authority(min_confidence=100)
    if listed is None:
        raise ReprojectionError(f"{crs.name!r} has no code, so no URI; expected {_EXPECTED}.")
    release = "1.3" if listed[0] == "OGC" else "0"
    return f"http://www.opengis.net/def/crs/{listed[0]}/{release}/{listed[1]}"


def unit(crs: CRS) -> tuple[str, float]:
    """Return the name of the horizontal unit and how many metres (or, for angles, radians) it is.

    >>> unit(parse("EPSG:2283"))
    ('US survey foot', 0.30480060960121924)
    """
    axis = crs.axis_info[0]
    return axis.unit_name, axis.unit_conversion_factor


def is_measure(crs: CRS) -> bool:
    """Tell whether lengths and areas in a system's plane are nearly those on the ground.

    Not in degrees, and not in any Mercator projection of the whole world, Web Mercator among them: 28 % too long in
    Alexandria.

    >>> [is_measure(parse(code)) for code in ("EPSG:2283", "EPSG:3857", "OGC:CRS84")]
    [True, False, False]
    """
    operation = crs.coordinate_operation if crs.is_projected else None
    return operation is not None and not operation.method_name.startswith(_WORLD_MERCATORS)


_WORLD_MERCATORS = ("Mercator", "Popular Visualisation Pseudo Mercator")
"""How their methods' names begin; those of a zone are called transverse or oblique."""


def measuring(crs: CRS) -> CRS:
    """Return a system itself where it :func:`is_measure`, else EPSG:2283."""
    return crs if is_measure(crs) else parse(_WORKING)


def proj_version() -> str:
    """Return the version of the PROJ library that reprojects vectors."""
    return pyproj.proj_version_str


def network_enabled() -> bool:
    """Return whether PROJ would fetch missing grids from the network."""
    return bool(pyproj.network.is_network_enabled())  # type: ignore[attr-defined]  # public, but not re-exported


@dataclass(frozen=True)
class Reprojection:
    """One chosen operation, ready to be applied; ``record`` is what is kept with the data."""

    record: Operation
    _transformer: pyproj.Transformer | None

    @property
    def is_identity(self) -> bool:
        """Whether positions, x before y, stay as they are."""
        return not self.record.definition or self.record.definition.split()[0] == "proj=noop"

    def apply(self, xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Reproject positions, shape (n, 2) in, shape (n, 2) out, x before y.

        Positions outside the operation's domain come back as infinity; the caller decides what that means.
        """
        return self._transform(xy, TransformDirection.FORWARD)

    def invert(self, xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Reproject back, with the same operation run backwards."""
        return self._transform(xy, TransformDirection.INVERSE)

    def apply_bbox(self, bbox: BBox) -> BBox:
        """Return the smallest box that holds the whole of a box after the operation, edges bent as they really run.

        Raises :class:`ReprojectionError` when part of the box has no position there.
        """
        return self._bent(bbox, TransformDirection.FORWARD)

    def invert_bbox(self, bbox: BBox) -> BBox:
        """Return the box of a box like :meth:`apply_bbox`, with the same operation run backwards."""
        return self._bent(bbox, TransformDirection.INVERSE)

    def _bent(self, bbox: BBox, direction: TransformDirection) -> BBox:
        if self._transformer is None:
            return bbox
        return _bent(self._transformer, bbox, self.record.source_crs, self.record.target_crs, direction)

    def _transform(self, xy: npt.NDArray[np.float64], direction: TransformDirection) -> npt.NDArray[np.float64]:
        if self._transformer is None or not len(xy):
            return np.array(xy, dtype=np.float64)
        x, y = self._transformer.transform(xy[:, 0], xy[:, 1], direction=direction)
        return np.column_stack([x, y])


def reprojection(source: CRS, target: CRS, area: BBox | None = None, *, allow_ballpark: bool = False) -> Reprojection:
    """Choose the most accurate operation that this installation can run.

    ``area`` (CRS84) narrows the choice to operations made for it. An operation between datums that PROJ only
    guesses ("ballpark", error unknown) is refused with :class:`ReprojectionError` unless ``allow_ballpark``.
    """
    if source == target or (code(source) is not None and code(source) == code(target)):
        return Reprojection(Operation(_label(source), _label(target), "none", "", 0.0), None)
    interest: Any = AreaOfInterest(*area) if area is not None else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a better grid is missing: recorded below, not printed
            group = TransformerGroup(
                source, target, always_xy=True, area_of_interest=interest, allow_ballpark=allow_ballpark
            )
    except ProjError as exc:
        raise ReprojectionError(f"No operation from {_label(source)} to {_label(target)}: PROJ knows none.") from exc
    better = [op for op in group.unavailable_operations if op.grids]
    grids = {grid.short_name for op in better for grid in op.grids if not grid.available}
    if not group.transformers:
        wanted = f" without one of the grids {', '.join(sorted(grids))}" if grids else ""
        raise ReprojectionError(
            f"No operation of known accuracy from {_label(source)} to {_label(target)}{wanted}; "
            "install the grids, or allow a ballpark operation by name."
        )
    chosen = group.transformers[0]
    accuracy = chosen.accuracy if chosen.accuracy is not None and chosen.accuracy >= 0 else None
    record = Operation(
        _label(source), _label(target), chosen.description, chosen.definition, accuracy, tuple(sorted(grids))
    )
    return Reprojection(record, chosen)


def reproject(geometries: npt.NDArray[Any], operation: Reprojection) -> npt.NDArray[Any]:
    """Reproject an array of shapely geometries; Z and M are dropped, None stays None."""
    moved: npt.NDArray[Any] = shapely.transform(geometries, operation.apply, include_z=False)
    return moved


def transform_bbox(bbox: BBox, source: CRS, target: CRS) -> BBox:
    """Return the smallest box in ``target`` that holds the whole of ``bbox``, edges bent as they really run.

    Raises :class:`ReprojectionError` when part of the box has no position in ``target``.
    """
    if source == target:
        return bbox
    return _bent(_transformer(source, target), bbox, _label(source), _label(target))


def _bent(
    transformer: pyproj.Transformer,
    bbox: BBox,
    source: str,
    target: str,
    direction: TransformDirection = TransformDirection.FORWARD,
) -> BBox:
    if direction == TransformDirection.INVERSE:
        source, target = target, source
    problem = f"The box {bbox} in {source} has no image in {target}."
    try:
        bounds = transformer.transform_bounds(*bbox, densify_pts=21, direction=direction)
    except ProjError as exc:
        raise ReprojectionError(problem) from exc
    if not all(math.isfinite(value) for value in bounds):
        raise ReprojectionError(problem)
    return bounds


def world_positions(lonlat: npt.NDArray[np.float64]) -> npt.NDArray[np.uint32]:
    """Return positions on the world grid of the Web Mercator square: x to the east, y to the south.

    ``lonlat`` has shape (n, 2), degrees in CRS84; so has the answer, in steps of the 2**32 grid, rounded half up
    so that a shared position lands alike for all that share it. Latitudes beyond the square (±85.05°) are moved to
    its edge. For drawing only: no area or length is ever taken from it. Formula: EPSG method 1024.
    """
    size = float(2**WORLD_BITS)
    grid = np.floor(square_positions(lonlat) * size + 0.5)
    return np.clip(grid, 0, size - 1).astype(np.uint32)


def square_positions(lonlat: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return positions as shares of the Web Mercator square: 0, 0 in its north-west corner, 1, 1 in its south-east.

    ``lonlat`` has shape (n, 2), degrees in CRS84; latitudes beyond the square (±85.05°) are moved to its edge.
    """
    out = np.empty(lonlat.shape)
    lat = np.clip(lonlat[:, 1], -_MERCATOR_LATITUDE_MAX, _MERCATOR_LATITUDE_MAX)
    out[:, 0] = (lonlat[:, 0] + 180.0) / 360.0
    out[:, 1] = (1.0 - np.arcsinh(np.tan(np.radians(lat))) / np.pi) / 2.0
    return out


def square_lonlat(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the degrees in CRS84 of shares of the Web Mercator square; the inverse of :func:`square_positions`."""
    out = np.empty(shares.shape)
    out[:, 0] = shares[:, 0] * 360.0 - 180.0
    out[:, 1] = np.degrees(np.arctan(np.sinh(np.pi * (1.0 - 2.0 * shares[:, 1]))))
    return out


@lru_cache(maxsize=64)
def _transformer(source: CRS, target: CRS) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


def _label(crs: CRS) -> str:
    return code(crs) or crs.name
