"""The value of a raster at a place, as the position query of OGC API EDR 1.1 asks for it (19-086r6, 8.2.1)."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from gisservice import crs
from gisservice.crs import CRS84, reprojection
from gisservice.errors import InvalidParameter, LimitExceeded, ReprojectionError
from gisservice.query.rastering import band_numbers
from gisservice.web.exchange import Answer, Request, document
from gisservice.web.links import GEOJSON
from gisservice.web.params import Parameter, decimal, read
from gisservice.web.rastersets import RasterTileset
from gisservice.web.service import Service

POSITIONS_MAX = 1_000
"""Most places in a request."""

NAMES = ("coords", "crs", "parameter-name", "f")

COORDS = Parameter(
    "coords",
    f"Where: POINT(x y), or MULTIPOINT((x y),(x y)) with at most {POSITIONS_MAX} places; longitude before latitude.",
    {"type": "string"},
)
PARAMETERS: tuple[Parameter, ...] = (
    COORDS,
    Parameter(
        "crs", "The system of coords, as an OGC URI or a code, x before y; without it CRS84.", {"type": "string"}
    ),
    Parameter(
        "parameter-name",
        "Bands, by number or name, separated by commas; without it all.",
        {"type": "array", "items": {"type": "string"}},
    ),
    Parameter("f", "The format of the answer.", {"type": "string", "enum": ["json", "geojson"]}),
)

_EXPECTED = "POINT(x y) or MULTIPOINT((x y),(x y)), such as POINT(-77.05 38.81)"
_POINT = re.compile(r"\s*POINT\s*\(\s*([^\s()]+)\s+([^\s()]+)\s*\)\s*", re.IGNORECASE)
_MULTIPOINT = re.compile(r"\s*MULTIPOINT\s*\((.+)\)\s*", re.IGNORECASE)


def component(name: str) -> str:
    """Return what the API's description calls a parameter of position queries."""
    return f"position-{name}"


def position(service: Service, request: Request, *, collection_id: str) -> Answer:
    """Answer the values of the cells that places lie in, as GeoJSON points; null where the raster has no value."""
    values = read(request.query, NAMES)
    if values.get("f", "json") not in ("json", "geojson"):
        raise InvalidParameter("f", values["f"], "'json' or 'geojson'")
    if "coords" not in values:
        raise InvalidParameter("coords", "", _EXPECTED)
    places = parse_coords(values["coords"])
    tileset = service.rasters.one(collection_id)
    system = _system(values.get("crs"))
    names = values["parameter-name"].split(",") if "parameter-name" in values else []
    raster = tileset.raster
    bands = band_numbers(raster, names, "parameter-name") if names else raster.bands
    key = ("position", service.edition, tileset.id, tileset.version, repr(places), str(system), repr(bands))
    return document(request, request.media_type(GEOJSON), key, lambda: _features(tileset, places, system, bands))


def parse_coords(text: str) -> list[tuple[float, float]]:
    """Read the places of a WKT point or multipoint, x before y. Raises :class:`InvalidParameter`.

    >>> parse_coords("POINT(-77.05 38.81)")
    [(-77.05, 38.81)]
    """
    single, several = _POINT.fullmatch(text), _MULTIPOINT.fullmatch(text)
    if single:
        pairs = [single.groups()]
    elif several:
        parts = [part.strip().removeprefix("(").removesuffix(")").split() for part in several[1].split(",")]
        if len(parts) > POSITIONS_MAX:
            raise LimitExceeded("A request", len(parts), POSITIONS_MAX, "places")
        if any(len(part) != 2 for part in parts):
            raise InvalidParameter("coords", text, _EXPECTED)
        pairs = [(part[0], part[1]) for part in parts]
    else:
        raise InvalidParameter("coords", text, _EXPECTED)
    return [(decimal("coords", x, _EXPECTED), decimal("coords", y, _EXPECTED)) for x, y in pairs]


def _system(name: str | None) -> crs.CRS:
    if name is None:
        return CRS84
    try:
        return crs.parse(name)
    except ReprojectionError as exc:
        expected = "a reference system such as 'http://www.opengis.net/def/crs/EPSG/0/2283'"
        raise InvalidParameter("crs", name, expected) from exc


def _features(
    tileset: RasterTileset, places: list[tuple[float, float]], system: crs.CRS, bands: tuple[int, ...]
) -> dict[str, Any]:
    raster = tileset.raster
    given = np.array(places, dtype=np.float64)
    lonlat = given if system == CRS84 else reprojection(system, CRS84, tileset.extent).apply(given)
    lonlat = np.where(np.isfinite(lonlat), lonlat, np.nan)
    there = reprojection(raster.crs, CRS84, tileset.extent).invert(np.nan_to_num(lonlat, nan=1e9))
    found = raster.sample(np.where(np.isfinite(there), there, 1e18), bands)
    style = tileset.collection.layer.raster
    labels = {entry.value: entry.label for entry in style.classes}
    described = raster.described.get("bands", [])
    names = [_name(described, band) for band in bands]
    features = []
    for (x, y), row in zip(lonlat.tolist(), found.tolist(), strict=True):
        values: dict[str, Any] = {
            name: None if math.isnan(value) else value for name, value in zip(names, row, strict=True)
        }
        if labels and not math.isnan(row[0]):
            values["label"] = labels.get(int(row[0]))
        inside = math.isfinite(x) and math.isfinite(y)
        geometry = {"type": "Point", "coordinates": [round(x, 8), round(y, 8)]} if inside else None
        features.append({"type": "Feature", "geometry": geometry, "properties": values})
    return {
        "type": "FeatureCollection",
        "collection": tileset.id,
        "version": tileset.version,
        **({"units": {names[0]: style.unit}} if style.unit else {}),
        "numberReturned": len(features),
        "features": features,
    }


def _name(described: list[dict[str, Any]], band: int) -> str:
    """Return what a value is called: as the file describes its band, else ``band_1``."""
    said = described[band - 1].get("description") if len(described) >= band else None
    return str(said) if said else f"band_{band}"
