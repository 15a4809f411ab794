"""A part of a raster as a file: the cells that a box touches, as they are (after the coverage of OGC API Coverages)."""

from __future__ import annotations

import numpy as np

from gisservice.catalog.rasters import Raster, Window
from gisservice.crs import CRS84, reprojection
from gisservice.errors import InvalidParameter, LimitExceeded
from gisservice.model import BBox
from gisservice.web import exchange
from gisservice.web.exchange import BRIEFLY, INERT, Answer, Headers, Request
from gisservice.web.params import Parameter, numbers, read
from gisservice.web.service import Service

GEOTIFF = "image/tiff; application=geotiff"

CELLS_MAX = 4_000_000
"""Most cells, of all bands together, of a part; the whole is a download."""

NAMES = ("bbox", "f")
PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "bbox",
        "West, south, east, north in degrees (CRS84): every cell that this box touches, and those between, in the "
        "raster's own system. Without it the whole raster.",
        {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4},
    ),
    Parameter("f", "The format of the file.", {"type": "string", "enum": ["tiff"]}),
)

_EXPECTED = "west,south,east,north in degrees, west before east and south before north"


def component(name: str) -> str:
    """Return what the API's description calls a parameter of coverages."""
    return f"coverage-{name}"


def coverage(service: Service, request: Request, *, collection_id: str) -> Answer:
    """Answer the cells of a raster in a box as GeoTIFF. 400 for a box beside it and for more cells than are cut."""
    values = read(request.query, NAMES)
    if values.get("f", "tiff") != "tiff":
        raise InvalidParameter("f", values["f"], "'tiff'")
    box = _box(values["bbox"]) if "bbox" in values else None
    tileset = service.rasters.one(collection_id)
    media = request.media_type(GEOTIFF)
    raster = tileset.raster
    window = Window(0, 0, raster.width, raster.height) if box is None else _window(raster, tileset.extent, box)
    cells = window.width * window.height * raster.count
    if cells > CELLS_MAX:
        raise LimitExceeded("A part (all of it is a download)", cells, CELLS_MAX, "cells")
    key = ("coverage", tileset.id, tileset.version, repr(window))
    etag = exchange.entity_tag(*key, service.edition)
    name = f'attachment; filename="{tileset.id}_part.tif"'
    headers: Headers = (("ETag", etag), ("Cache-Control", BRIEFLY), ("Vary", "Accept"), INERT)
    if request.has(etag):
        return Answer(304, headers)
    content = service.drawn(request, key, lambda: raster.cut(window))
    return Answer(200, (("Content-Type", media), ("Content-Disposition", name), *headers), content)


def _box(text: str) -> BBox:
    west, south, east, north = numbers("bbox", text, 4, _EXPECTED)
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise InvalidParameter("bbox", text, _EXPECTED)
    return west, south, east, north


def _window(raster: Raster, extent: BBox, box: BBox) -> Window:
    """Return the cells from the first to the last that a box touches, its edges bent as they run."""
    beside = InvalidParameter("bbox", ",".join(map(str, box)), f"a box that meets the layer's extent {extent}")
    west, south, east, north = box
    if west > extent[2] or east < extent[0] or south > extent[3] or north < extent[1]:
        raise beside
    # What lies beyond the extent holds no cells, and may have no position in the raster's system.
    grown = tuple(edge + (-0.1, -0.1, 0.1, 0.1)[n] for n, edge in enumerate(extent))
    west, south = max(west, grown[0]), max(south, grown[1])
    east, north = min(east, grown[2]), min(north, grown[3])
    share = np.linspace(0.0, 1.0, 129)
    x, y = west + share * (east - west), south + share * (north - south)
    outline = np.concatenate(
        [np.column_stack([x, np.full_like(x, edge)]) for edge in (south, north)]
        + [np.column_stack([np.full_like(y, edge), y]) for edge in (west, east)]
    )
    at = raster.cells_at(reprojection(raster.crs, CRS84, extent).invert(outline))
    low, high = np.floor(at.min(axis=0)), np.ceil(at.max(axis=0))
    left, top = (int(max(edge, 0)) for edge in low)
    right, bottom = int(min(high[0], raster.width)), int(min(high[1], raster.height))
    if left >= right or top >= bottom:
        raise beside
    return Window(left, top, right - left, bottom - top)
