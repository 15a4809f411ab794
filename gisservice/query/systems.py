"""The reference systems that items are offered in: their names, axis order, unit, and the way there from CRS84."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from gisservice import crs
from gisservice.errors import ReprojectionError, SettingsError
from gisservice.model import BBox

CRS84_CODE = "OGC:CRS84"

DEGREE_DECIMALS = 8
"""1.1 mm at the equator: what stored items have."""

LENGTH_DECIMALS = 4
"""Of feet or metres: 0.1 mm at most, finer than any degree written here."""


@dataclass(frozen=True, slots=True)
class System:
    """One reference system as the API offers it.

    ``north_first``: the authority puts northing or latitude first, so positions and boxes are written in that order.
    ``decimals`` is how many are written where nobody says.
    """

    code: str
    uri: str
    geographic: bool
    north_first: bool
    decimals: int

    def as_written(self, bbox: BBox) -> BBox:
        """Return an x-before-y box in the authority's order, or one in that order as x before y."""
        return (bbox[1], bbox[0], bbox[3], bbox[2]) if self.north_first else bbox


@lru_cache(maxsize=256)
def system(code: str) -> System:
    """Return the system of an authority code. Raises :class:`ReprojectionError` for one that does not exist."""
    found = crs.parse(code)
    first = found.axis_info[0].direction.lower()
    decimals = DEGREE_DECIMALS if found.is_geographic else LENGTH_DECIMALS
    return System(code, crs.uri(found), found.is_geographic, first in ("north", "south"), decimals)


def offered(storage: str, codes: Iterable[str], area: BBox | None = None) -> tuple[System, ...]:
    """Return the systems that a layer can be had in, each once: CRS84, the one it is stored in, then the others.

    ``area`` (CRS84) is where the layer lies. Left out are a storage system that no authority lists, because it has no
    URI to be asked for by, and systems that no operation of known accuracy leads to.
    """
    found: dict[str, System] = {}
    for code in (CRS84_CODE, storage, *codes):
        with suppress(ReprojectionError):
            way_to(code, area)
            found.setdefault(code, system(code))
    return tuple(found.values())


def check_systems(codes: Iterable[str]) -> None:
    """Raise :class:`SettingsError` for a code that names no reference system."""
    for code in codes:
        try:
            system(code)
        except ReprojectionError as exc:
            raise SettingsError(f"The setting crs_offered holds {code!r}. {exc}") from exc


@lru_cache(maxsize=256)
def way_to(code: str, area: BBox | None) -> crs.Reprojection:
    """Return the operation from CRS84 to a system, the most accurate for an area (CRS84); never a ballpark one.

    Raises :class:`ReprojectionError` when PROJ knows none of stated accuracy.
    """
    return crs.reprojection(crs.CRS84, crs.parse(code), area)
