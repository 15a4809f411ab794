"""What is installed here, and is it fit: libraries, reference systems, browser libraries, security.

Vectors are reprojected by pyproj, written by pyogrio's GDAL and rasters read by rasterio's GDAL; each wheel brings
a PROJ of its own. They have to agree, or the layers of one map would not fit each other.
"""

from __future__ import annotations

import platform
import stat
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import geopandas
import numpy as np
import numpy.typing as npt
import pyogrio
import rasterio
import rasterio.warp
import shapely

from gisservice import crs
from gisservice.settings import Settings

AGREEMENT_M = 0.001
"""Metres; three copies of PROJ may differ by no more than this."""

_METRES_PER_DEGREE = 111_320.0
_STATE_PLANE = "EPSG:2283"
_PROBES = np.array([[11_870_000.0, 6_970_000.0], [11_890_000.0, 6_985_000.0], [11_902_000.0, 6_995_000.0]])
"""Three places in Alexandria, EPSG:2283, US survey feet."""


@dataclass(frozen=True, slots=True)
class Examination:
    """One thing looked at: ``ok``, ``note`` (works, but should be known) or ``fail``."""

    subject: str
    state: Literal["ok", "note", "fail"]
    found: str


def examine(settings: Settings) -> tuple[Examination, ...]:
    """Look at everything the service needs and return what was found, in reading order."""
    return (
        _libraries(),
        _agreement(),
        _grids(),
        _network(),
        _browser_libraries(settings),
        _home(settings),
        _addresses(settings),
    )


def _libraries() -> Examination:
    names = ("gisservice", "geopandas", "shapely", "pyproj", "pyogrio", "rasterio", "flask", "granian", "folium")
    found = [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in names)]
    found += [f"GEOS {shapely.geos_version_string}", f"PROJ {crs.proj_version()}"]
    found += [f"GDAL {pyogrio.__gdal_version_string__} for vectors, {rasterio.__gdal_version__} for rasters"]
    return Examination("libraries", "ok", ", ".join(found))


def _agreement() -> Examination:
    """Reproject the same places with each library's own PROJ, from state plane feet to longitude and latitude."""
    ours = crs.reprojection(crs.parse(_STATE_PLANE), crs.CRS84).apply(_PROBES)
    lon, lat = rasterio.warp.transform(_STATE_PLANE, "OGC:CRS84", _PROBES[:, 0], _PROBES[:, 1])
    apart = max(_distance_m(ours, np.column_stack([lon, lat])), _distance_m(ours, _written_by_gdal()))
    state: Literal["ok", "fail"] = "ok" if apart <= AGREEMENT_M else "fail"
    return Examination(
        "agreement of the three PROJ",
        state,
        f"{apart * 1000:.4f} mm apart at most; {AGREEMENT_M * 1000:.0f} mm allowed",
    )


def _written_by_gdal() -> npt.NDArray[np.float64]:
    """Let the GeoJSON driver of pyogrio's GDAL reproject: RFC 7946 output is always in longitude and latitude."""
    frame = geopandas.GeoDataFrame(geometry=shapely.points(_PROBES), crs=_STATE_PLANE)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "probes.geojson"
        pyogrio.write_dataframe(frame, file, driver="GeoJSON", RFC7946="YES", COORDINATE_PRECISION=12)
        positions: npt.NDArray[np.float64] = shapely.get_coordinates(pyogrio.read_dataframe(file).geometry.array)
        return positions


def _distance_m(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    shrink = np.array([np.cos(np.radians(a[0, 1])), 1.0])
    return float(np.hypot(*((a - b) * shrink).T).max() * _METRES_PER_DEGREE)


def _grids() -> Examination:
    record = crs.reprojection(crs.parse(_STATE_PLANE), crs.CRS84).record
    found = f"{record.name}, accuracy {record.accuracy_m} m"
    if not record.missing_grids:
        return Examination("PROJ grids", "ok", found)
    better = ", ".join(record.missing_grids)
    return Examination("PROJ grids", "note", f"{found}; more accurate with the grids {better}, not installed")


def _network() -> Examination:
    if crs.network_enabled():
        return Examination("PROJ network", "fail", "PROJ may fetch grids at run time; set PROJ_NETWORK=OFF")
    return Examination("PROJ network", "ok", "off: no grid is fetched at run time")


def _browser_libraries(settings: Settings) -> Examination:
    if (settings.static / "vendor" / "manifest.json").is_file():
        return Examination("browser libraries", "ok", "installed")
    return Examination("browser libraries", "fail", "not installed: maps stay blank; run 'make install'")


def _home(settings: Settings) -> Examination:
    if not settings.home.is_dir():
        return Examination("published data", "note", "nothing published yet")
    if settings.home.stat().st_mode & stat.S_IWOTH:
        return Examination("published data", "fail", "every user of this machine may write there; remove that right")
    return Examination("published data", "ok", "only its owner may write there")


def _addresses(settings: Settings) -> Examination:
    if "*" in settings.trusted_hosts:
        return Examination("host names", "fail", "'*' trusts every host name; name the service's own")
    open_to_all = settings.host not in ("127.0.0.1", "localhost", "::1")
    if open_to_all and not settings.public_url:
        return Examination("host names", "note", f"listens on {settings.host} without a public_url: set one")
    return Examination("host names", "ok", f"trusted: {', '.join(settings.trusted_hosts)}")
