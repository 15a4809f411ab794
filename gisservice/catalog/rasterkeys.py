"""The registry's table ``raster`` of a layer: how its cells become a picture, and what they mean."""

from __future__ import annotations

from typing import Any

from gisservice.catalog.documents import Table, is_number
from gisservice.model import ColorStop, GeometryKind, RasterClass, RasterStyle
from gisservice.ramps import ramp_names

UNITS_M = {"metre": 1.0, "foot": 0.3048, "US survey foot": 1200 / 3937}
"""Units that heights can be in, in metres."""

_UNIT_NAMES = {
    "m": "metre", "metre": "metre", "meter": "metre", "metres": "metre", "meters": "metre",
    "ft": "foot", "foot": "foot", "feet": "foot", "international foot": "foot",
    "us-ft": "US survey foot", "ftus": "US survey foot", "us survey foot": "US survey foot", "us_ft": "US survey foot",
}  # fmt: skip
"""What files call them, in lower case."""

RESAMPLINGS = ("nearest", "bilinear", "cubic")
FORMATS = ("png", "webp", "jpg")

RASTER_KEYS = ("bands", "rescale", "colormap", "stops", "classes", "resampling", "unit", "format")


def raster_style(layer: Table, geometry: GeometryKind) -> RasterStyle:
    """Read the table ``raster`` of a layer. Raises :class:`RegistryError` for what does not fit."""
    if "raster" not in layer.values:
        return RasterStyle()
    if geometry is not GeometryKind.RASTER:
        layer.fail("raster", f"the layer's geometry is {geometry.value!r}; only rasters have this table.")
    table = layer.table("raster", "raster = {resampling = 'bilinear'}")
    table.only(*RASTER_KEYS)
    stops, classes = _stops(table), _classes(table)
    given = [name for name, value in (("stops", stops), ("classes", classes)) if value]
    given += ["colormap"] if "colormap" in table.values else []
    if len(given) > 1:
        table.fail(given[1], f"{given[0]!r} is there, too; expected one of 'colormap', 'stops' and 'classes'.")
    resampling = (
        table.one_of("resampling", RESAMPLINGS, "a way of resampling") if "resampling" in table.values else None
    )
    if classes and resampling not in (None, "nearest"):
        table.wrong("resampling", "'nearest', or no such key: classes cannot be averaged")
    if classes and table.values.get("format") == "jpg":
        table.wrong("format", "'png' or 'webp': JPEG would change the colours of classes")
    return RasterStyle(
        bands=_bands(table),
        rescale=_rescale(table),
        colormap=table.one_of("colormap", ramp_names(), "a ramp of colours") if "colormap" in table.values else None,
        stops=stops,
        classes=classes,
        resampling=resampling,
        unit=table.one_of("unit", tuple(UNITS_M), "a unit of heights") if "unit" in table.values else None,
        format=table.one_of("format", FORMATS, "a format of pictures") if "format" in table.values else "png",
    )


def height_unit(*names: str | None) -> str | None:
    """Return the unit of :data:`UNITS_M` that the first of some names means, of those that are given; None for none.

    >>> height_unit(None, "ftUS")
    'US survey foot'
    """
    said = next((name for name in names if name), "")
    return _UNIT_NAMES.get(said.lower())


def _bands(table: Table) -> tuple[int, ...]:
    expected = "the number of one band, or of three for red, green and blue, such as [1] or [4, 3, 2]"
    value = table.values.get("bands", [])
    whole = isinstance(value, list) and all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in value)
    if not whole or ("bands" in table.values and len(value) not in (1, 3)):
        table.wrong("bands", expected)
    return tuple(value)


def _rescale(table: Table) -> tuple[tuple[float, float], ...]:
    expected = "two rising values such as [0, 300], or one such pair for each of three bands"
    if "rescale" not in table.values:
        return ()
    value = table.values["rescale"]
    pairs = value if isinstance(value, list) and value and isinstance(value[0], list) else [value]
    if len(pairs) not in (1, 3) or not all(_is_rising(pair) for pair in pairs):
        table.wrong("rescale", expected)
    return tuple((float(low), float(high)) for low, high in pairs)


def _is_rising(pair: Any) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and all(is_number(part) for part in pair) and pair[0] < pair[1]


def _stops(table: Table) -> tuple[ColorStop, ...]:
    if "stops" not in table.values:
        return ()
    found: list[ColorStop] = []
    for entry in table.list_of_tables("stops", 'stops = [{value = 0, color = "#2b5c8a"}]'):
        entry.only("value", "color")
        if not is_number(entry.need("value", "a number")):
            entry.wrong("value", "a number")
        if found and entry.values["value"] <= found[-1].value:
            entry.wrong("value", "values that rise from stop to stop")
        found.append(ColorStop(float(entry.values["value"]), entry.color("color")))
    if len(found) < 2:
        table.fail("stops", "is one stop; expected at least two, a ramp between them.")
    return tuple(found)


def _classes(table: Table) -> tuple[RasterClass, ...]:
    if "classes" not in table.values:
        return ()
    found: dict[int, RasterClass] = {}
    for entry in table.list_of_tables("classes", 'classes = [{value = 1, label = "Water", color = "#4c7fb0"}]'):
        entry.only("value", "label", "color")
        value = entry.need("value", "a whole number")
        if not isinstance(value, int) or isinstance(value, bool):
            entry.wrong("value", "a whole number")
        if value in found:
            entry.fail("value", f"{value} has a class already; expected each value once.")
        found[value] = RasterClass(value, entry.text("label", None), entry.color("color"))
    if len(found) > 255:
        table.fail("classes", f"are {len(found)}; expected at most 255.")
    return tuple(found.values())
