"""The query parameters of raster tiles: what of a raster is drawn, and how."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from urllib.parse import urlencode

from gisservice.catalog.rasterkeys import RESAMPLINGS, UNITS_M
from gisservice.errors import InvalidParameter
from gisservice.query.rastering import PLAIN, RasterOptions
from gisservice.ramps import ramp_names
from gisservice.tiles.rasterdraw import Product
from gisservice.tiles.rasterwarp import Resampling
from gisservice.web.params import Parameter, decimal

NAMES = (
    "render", "bands", "rescale", "colormap", "resampling", "azimuth", "altitude", "exaggeration", "unit",
)  # fmt: skip
"""What the short addresses take."""

COLLECTION_NAMES = (*NAMES, "f")
"""What a tile takes in OGC API Tiles."""

_DEGREES: dict[str, object] = {"type": "number", "minimum": 0, "maximum": 360}

PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "render",
        "What is drawn: the values, or of heights a hillshade under one light or four, slope or aspect in degrees, or "
        "the heights as colours (Mapbox Terrain-RGB, Terrarium).",
        {"type": "string", "enum": [product.value for product in Product], "default": Product.VALUES.value},
    ),
    Parameter(
        "bands",
        "One band, or three for red, green and blue, by number or name, separated by commas.",
        {"type": "array", "items": {"type": "string"}},
    ),
    Parameter(
        "rescale",
        "The values that become the first and the last colour: two numbers, or two for each of three bands. Without "
        "it the smallest and the largest value of the whole layer.",
        {"type": "array", "items": {"type": "number"}},
    ),
    Parameter(
        "colormap", "The name of a ramp of colours for one band.", {"type": "string", "enum": list(ramp_names())}
    ),
    Parameter("resampling", "How a pixel comes of cells.", {"type": "string", "enum": list(RESAMPLINGS)}),
    Parameter("azimuth", "Where the light of a hillshade comes from, degrees over east.", {**_DEGREES, "default": 315}),
    Parameter("altitude", "How high that light stands, degrees.", {"type": "number", "minimum": 0, "maximum": 90}),
    Parameter(
        "exaggeration", "By how much heights are exaggerated.", {"type": "number", "minimum": 0.01, "maximum": 100}
    ),
    Parameter("unit", "The unit of heights, where the layer says none.", {"type": "string", "enum": list(UNITS_M)}),
    Parameter(
        "f", "The format of the tile, instead of the Accept header.", {"type": "string", "enum": ["png", "webp", "jpg"]}
    ),
)
"""What the names above mean, as the API publishes it."""


def component(name: str) -> str:
    """Return what the API's description calls a parameter of raster tiles."""
    return f"raster-{name}"


def parse(values: Mapping[str, str]) -> RasterOptions:
    """Check the parameters of a raster tile as far as that needs no layer. Raises :class:`InvalidParameter`."""
    if not values.keys() - {"f"}:
        return PLAIN
    return RasterOptions(
        product=Product(_one_of(values, "render", [product.value for product in Product]) or Product.VALUES),
        bands=tuple(values["bands"].split(",")) if "bands" in values else None,
        rescale=_rescale(values["rescale"]) if "rescale" in values else None,
        colormap=_one_of(values, "colormap", ramp_names()),
        resampling=Resampling(found) if (found := _one_of(values, "resampling", RESAMPLINGS)) else None,
        azimuth=_between(values, "azimuth", 0, 360, PLAIN.azimuth),
        altitude=_between(values, "altitude", 0, 90, PLAIN.altitude),
        exaggeration=_between(values, "exaggeration", 0.01, 100, PLAIN.exaggeration),
        unit=_one_of(values, "unit", tuple(UNITS_M)),
    )


def canonical(values: Mapping[str, str]) -> str:
    """Return the query string to be carried into links: what was given, in one order."""
    return urlencode([(name, values[name]) for name in NAMES if name in values], safe=",:/")


def _one_of(values: Mapping[str, str], name: str, known: tuple[str, ...] | list[str]) -> str | None:
    text = values.get(name)
    if text is not None and text not in known:
        near = get_close_matches(text[:40].lower(), known, n=1, cutoff=0.5)
        shown = ", ".join(repr(value) for value in known) if len(known) < 12 else "one that the API's description lists"
        raise InvalidParameter(name, text, f"{near[0]!r} perhaps, or {shown}" if near else shown)
    return text


def _rescale(text: str) -> tuple[tuple[float, float], ...]:
    expected = "two rising numbers such as 0,300, or two for each of three bands"
    parts = text.split(",")
    if len(parts) not in (2, 6):
        raise InvalidParameter("rescale", text, expected)
    numbers = [decimal("rescale", part, expected) for part in parts]
    pairs = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    if any(low >= high for low, high in pairs):
        raise InvalidParameter("rescale", text, expected)
    return pairs


def _between(values: Mapping[str, str], name: str, low: float, high: float, default: float) -> float:
    if name not in values:
        return default
    expected = f"a number from {low:g} to {high:g}"
    number = decimal(name, values[name], expected)
    if not low <= number <= high:
        raise InvalidParameter(name, values[name], expected)
    return number
