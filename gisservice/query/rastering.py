"""From what is asked of a raster, and how its layer is declared, to what is drawn: a settled rendering."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gisservice.catalog.rasterkeys import UNITS_M, height_unit
from gisservice.catalog.rasters import Raster
from gisservice.errors import InvalidParameter
from gisservice.model import RasterStyle
from gisservice.ramps import ramp_names
from gisservice.tiles.rasterdraw import HEIGHT_CODES, Product, Rendering
from gisservice.tiles.rasterwarp import Resampling

_SPANS = {Product.SLOPE: (0.0, 90.0), Product.ASPECT: (0.0, 360.0)}
_SHADES = (0.0, 255.0)


@dataclass(frozen=True, slots=True)
class RasterOptions:
    """What a request asks of a raster; None: as the layer is declared."""

    product: Product = Product.VALUES
    bands: tuple[str, ...] | None = None
    """Numbers or names."""
    rescale: tuple[tuple[float, float], ...] | None = None
    colormap: str | None = None
    resampling: Resampling | None = None
    azimuth: float = 315.0
    altitude: float = 45.0
    exaggeration: float = 1.0
    unit: str | None = None

    @property
    def is_plain(self) -> bool:
        """Whether nothing is asked but the layer as it is declared."""
        return self == PLAIN


PLAIN = RasterOptions()
RELIEF = RasterOptions(product=Product.HILLSHADE, exaggeration=5.0)
"""Light and shade of the ground, as maps draw it that declare so: five times as steep, or a city's hills are flat."""


def settle(raster: Raster, style: RasterStyle, asked: RasterOptions = PLAIN) -> Rendering:
    """Return what is drawn. Raises :class:`InvalidParameter` for a band, a ramp or a product that does not fit."""
    bands = _bands(raster, style, asked)
    codes = _codes(raster, style) if bands == raster.bands[:1] or style.classes else ()
    if asked.product is not Product.VALUES:
        return _terrain(raster, style, asked, bands, bool(codes))
    if codes:
        _refuse_for_codes(asked)
        return Rendering(Product.VALUES, bands[:1], (_SHADES,), Resampling.NEAREST, codes=codes)
    if asked.colormap is not None and len(bands) != 1:
        raise InvalidParameter("colormap", asked.colormap, "none for a picture of three bands")
    name = asked.colormap if asked.colormap is not None else style.colormap if len(bands) == 1 else None
    own = style.stops if asked.colormap is None and len(bands) == 1 else ()
    stops = tuple((stop.value, stop.color) for stop in own)
    return Rendering(
        Product.VALUES,
        bands,
        _ranges(raster, style, asked, bands, stops),
        asked.resampling or Resampling(style.resampling or Resampling.BILINEAR),
        ramp=_ramp(name),
        stops=stops,
    )


def height_unit_m(raster: Raster, style: RasterStyle, band: int, asked: str | None = None) -> float | None:
    """Return how many metres a unit of the heights in a band is: as asked, declared, or said in the file; else None."""
    name = height_unit(asked, style.unit, raster.units[band - 1])
    return UNITS_M[name] if name else None


def shows_relief(raster: Raster, style: RasterStyle) -> bool:
    """Tell whether relief can be drawn of a raster as it is declared: one band of heights whose unit is known."""
    return len(raster.bands) == 1 and not _codes(raster, style) and height_unit_m(raster, style, 1) is not None


def band_numbers(raster: Raster, names: Sequence[str], parameter: str = "bands") -> tuple[int, ...]:
    """Return the numbers of bands given by number or by name, any case. Raises :class:`InvalidParameter`."""
    known = {str(number): number for number in raster.bands}
    for number, band in zip(range(1, raster.count + 1), raster.described.get("bands", ()), strict=False):
        if number in raster.bands:
            for name in (band.get("interpretation"), band.get("description")):
                if name:
                    known[str(name).lower()] = number
    found = []
    for name in names:
        if name.lower() not in known:
            raise InvalidParameter(parameter, name, f"a band of this layer: {', '.join(known)}")
        found.append(known[name.lower()])
    return tuple(found)


def _bands(raster: Raster, style: RasterStyle, asked: RasterOptions) -> tuple[int, ...]:
    if asked.bands is not None:
        found = band_numbers(raster, asked.bands)
        if len(found) not in (1, 3):
            raise InvalidParameter("bands", ",".join(asked.bands), "one band, or three for red, green and blue")
        return found
    declared = tuple(band for band in style.bands if band in raster.bands)
    if declared and len(declared) == len(style.bands):
        return declared
    is_picture = len(raster.bands) >= 3 and raster.dtype == "uint8"
    return raster.bands[:3] if is_picture else raster.bands[:1]


def _codes(raster: Raster, style: RasterStyle) -> tuple[tuple[int, str], ...]:
    """Return codes and their colours: as declared, else those of the file's colour table that occur."""
    if style.classes:
        return tuple((entry.value, entry.color) for entry in style.classes)
    if not raster.is_classes or style.colormap or style.stops:
        return ()
    for band in raster.described.get("bands", ())[:1]:
        return tuple((int(code), color) for code, color in band.get("colors", {}).items())
    return ()


def _refuse_for_codes(asked: RasterOptions) -> None:
    for name, given in (("rescale", asked.rescale), ("colormap", asked.colormap)):
        if given is not None:
            raise InvalidParameter(
                name, str(given), "no such parameter for a layer of classes, which have their colours"
            )
    if asked.resampling not in (None, Resampling.NEAREST):
        raise InvalidParameter("resampling", asked.resampling or "", "'nearest': classes cannot be averaged")


def _ranges(
    raster: Raster,
    style: RasterStyle,
    asked: RasterOptions,
    bands: tuple[int, ...],
    stops: tuple[tuple[float, str], ...],
) -> tuple[tuple[float, float], ...]:
    given = asked.rescale if asked.rescale is not None else style.rescale
    if given and len(given) not in (1, len(bands)):
        text = ",".join(f"{low:g},{high:g}" for low, high in given)
        raise InvalidParameter("rescale", text, f"one pair of values, or {len(bands)}")
    if given:
        return given if len(given) == len(bands) else given * len(bands)
    if stops:
        return ((stops[0][0], stops[-1][0]),)
    return tuple(_range(raster, band) for band in bands)


def _range(raster: Raster, band: int) -> tuple[float, float]:
    """Return the values that become 0 and 255: of bytes their range, else the band's smallest and largest."""
    if raster.dtype == "uint8":
        return _SHADES
    described = raster.described.get("bands", ())
    known = described[band - 1] if len(described) >= band else {}
    low, high = known.get("min"), known.get("max")
    if low is None or high is None:
        return 0.0, 1.0
    return (float(low), float(high)) if low < high else (float(low), float(low) + 1.0)


def _ramp(name: str | None) -> str | None:
    if name is not None and name not in ramp_names():
        raise InvalidParameter(
            "colormap", name, "the name of a ramp of colours, such as 'viridis', 'terrain' or 'gray'"
        )
    return name


def _terrain(
    raster: Raster, style: RasterStyle, asked: RasterOptions, bands: tuple[int, ...], codes: bool
) -> Rendering:
    product = asked.product
    if codes or len(bands) != 1:
        raise InvalidParameter("render", product.value, "'values': this layer holds no heights")
    unit_m = height_unit_m(raster, style, bands[0], asked.unit)
    if unit_m is None:
        raise InvalidParameter(
            "render",
            product.value,
            "'values', or the unit of the heights as well (unit=metre): the layer's declaration says none",
        )
    if product in HEIGHT_CODES and asked.colormap is not None:
        raise InvalidParameter("colormap", asked.colormap, "none for heights as colours")
    span = asked.rescale[0] if asked.rescale else _SPANS.get(product, _SHADES)
    lit = product in (Product.HILLSHADE, Product.MULTIDIRECTIONAL)
    return Rendering(
        product,
        bands,
        (_SHADES if lit else span,),
        asked.resampling or Resampling(style.resampling or Resampling.BILINEAR),
        ramp=_ramp(asked.colormap),
        unit_m=unit_m,
        exaggeration=asked.exaggeration,
        azimuth=asked.azimuth,
        altitude=asked.altitude,
    )
