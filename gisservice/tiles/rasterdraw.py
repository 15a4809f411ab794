"""A raster's pixels as pictures: values by ramp or class, photographs, and relief.

A :class:`Rendering` is settled before anything is read: it is frozen, and its ``key`` says all that determines the
picture beside the version and the place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from gisservice.ramps import ramp
from gisservice.tiles import relief
from gisservice.tiles.rasterimage import Picture
from gisservice.tiles.rasterwarp import Pixels, Rect, Resampling, Warp

Bytes = npt.NDArray[np.uint8]


class Product(StrEnum):
    """What is drawn of a raster."""

    VALUES = "values"
    HILLSHADE = "hillshade"
    MULTIDIRECTIONAL = "multidirectional"
    SLOPE = "slope"
    ASPECT = "aspect"
    TERRAIN_RGB = "terrain-rgb"
    TERRARIUM = "terrarium"


HEIGHT_CODES = (Product.TERRAIN_RGB, Product.TERRARIUM)
"""Products whose colours are numbers."""


@dataclass(frozen=True)
class Rendering:
    """What a picture shows of a raster.

    ``bands`` are one, or red, green and blue. ``ranges`` has for each band the values that become 0 and 255. ``ramp``
    names one; ``stops`` are values and colours of a ramp of one's own; ``codes`` are values and colours of classes.
    Colours are ``#rrggbb``. ``unit_m`` is how many metres a unit of the values is, times the exaggeration.
    """

    product: Product
    bands: tuple[int, ...]
    ranges: tuple[tuple[float, float], ...]
    resampling: Resampling
    ramp: str | None = None
    stops: tuple[tuple[float, str], ...] = ()
    codes: tuple[tuple[int, str], ...] = ()
    unit_m: float = 1.0
    exaggeration: float = 1.0
    azimuth: float = 315.0
    altitude: float = 45.0

    @property
    def key(self) -> str:
        """All that determines the picture, as text."""
        return repr(self)

    @property
    def is_exact(self) -> bool:
        """Whether its colours are codes or numbers, which no lossy format keeps."""
        return bool(self.codes) or self.product in HEIGHT_CODES


def draw(warp: Warp, z: int, size: int, rect: Rect, rendering: Rendering) -> Picture | None:
    """Return the picture of a box of pixels, or None where nothing of the raster is in it."""
    if rendering.product is Product.VALUES:
        pixels = warp.pixels(z, size, rect, rendering.bands, rendering.resampling)
        return None if pixels.is_empty else _values(pixels, rendering)
    margin = 0 if rendering.product in HEIGHT_CODES else relief.MARGIN
    pixels = warp.pixels(z, size, rect.grown(margin), rendering.bands, rendering.resampling)
    if pixels.is_empty:
        return None
    heights = pixels.values[0].astype(np.float32, copy=False)
    if rendering.product in HEIGHT_CODES:
        return _height_codes(heights, pixels.opacity, rendering)
    return _relief(heights, pixels.opacity, relief.ground_steps(warp.grid, z, size, rect), rendering)


def _values(pixels: Pixels, rendering: Rendering) -> Picture:
    if rendering.codes:
        return _classes(pixels, rendering.codes)
    if len(rendering.bands) == 3:
        channels = [_scaled(band, *span) for band, span in zip(pixels.values, rendering.ranges, strict=True)]
        return _with_opacity(np.stack(channels, axis=-1), pixels.opacity)
    (low, high), *_ = rendering.ranges
    grey = _scaled(pixels.values[0], low, high)
    return _ramped(grey, pixels.opacity, rendering)


def _scaled(band: npt.NDArray[Any], low: float, high: float) -> Bytes:
    """Return values as bytes: ``low`` and below is 0, ``high`` and above 255, halves upward."""
    if band.dtype == np.uint8 and (low, high) == (0.0, 255.0):
        return np.asarray(band)
    scale = 255.0 / (high - low)
    if band.dtype != np.float32:
        band = band.astype(np.float32)
    steps = band * np.float32(scale)
    steps += np.float32(0.5 - low * scale)
    np.clip(steps, 0, 255, out=steps)
    return steps.astype(np.uint8)


def _ramped(grey: Bytes, opacity: npt.NDArray[Any] | None, rendering: Rendering) -> Picture:
    """Return bytes as grey, or by the ramp; a pixel that is not shown takes an index that no other has, if there is."""
    if rendering.ramp is None and not rendering.stops:
        return _with_opacity(grey[..., np.newaxis], opacity)
    colours = _ramp_of(rendering)
    if opacity is None:
        return Picture(grey[..., np.newaxis], colours)
    if opacity.dtype == np.bool_:
        used = np.bincount(grey[opacity], minlength=256)
        free = np.flatnonzero(used == 0)
        if len(free):
            colours = colours.copy()
            colours[free[0]] = 0
            return Picture(np.where(opacity, grey, np.uint8(free[0]))[..., np.newaxis], colours)
    rgba = colours[grey]
    rgba[..., 3] = _alpha(opacity)
    return Picture(rgba)


def _with_opacity(channels: Bytes, opacity: npt.NDArray[Any] | None) -> Picture:
    if opacity is None:
        return Picture(channels)
    return Picture(np.concatenate([channels, _alpha(opacity)[..., np.newaxis]], axis=-1))


def _alpha(opacity: npt.NDArray[Any]) -> Bytes:
    return opacity.astype(np.uint8) * np.uint8(255) if opacity.dtype == np.bool_ else opacity


def _classes(pixels: Pixels, codes: Sequence[tuple[int, str]]) -> Picture:
    """Return codes by their colours; index 0 is transparent: cells that are empty or of no class."""
    values = pixels.values[0]
    palette = _code_colours(tuple(codes))
    if values.dtype == np.uint8:
        indexes = _code_table(tuple(codes)).take(values)
    else:
        known = np.array([code for code, _ in codes])
        order = np.argsort(known)
        whole = values if values.dtype.kind in "iu" else np.floor(values + 0.5)
        at = np.clip(np.searchsorted(known, whole, sorter=order), 0, len(known) - 1)
        indexes = np.where(known[order[at]] == whole, order[at] + 1, 0).astype(np.uint8)
    if pixels.opacity is not None:
        indexes = np.where(pixels.opacity > 0, indexes, np.uint8(0))
    return Picture(indexes[..., np.newaxis], palette, exact=True)


def _height_codes(heights: npt.NDArray[np.float32], opacity: npt.NDArray[Any] | None, rendering: Rendering) -> Picture:
    """Return heights as numbers in colours. What is not shown has the height 0 and is opaque.

    A transparent pixel would come out of a browser as black, which is a pit of ten kilometres.
    """
    metres = heights * np.float32(rendering.unit_m * rendering.exaggeration)
    if opacity is not None:
        metres = np.where(opacity > 0, metres, np.float32(0))
    encode = relief.terrain_rgb if rendering.product is Product.TERRAIN_RGB else relief.terrarium
    return Picture(encode(metres), exact=True)


def _relief(
    heights: npt.NDArray[np.float32],
    opacity: npt.NDArray[Any] | None,
    steps: tuple[relief.Singles, relief.Singles],
    rendering: Rendering,
) -> Picture | None:
    """Return a relief, one pixel less on every side; shown where all nine heights around a pixel are."""
    shown = None if opacity is None else _all_around(opacity > 0)
    if shown is not None and not shown.any():
        return None
    shown = None if shown is not None and shown.all() else shown
    factor = rendering.unit_m * (1.0 if rendering.product is Product.SLOPE else rendering.exaggeration)
    x, y = relief.gradients(heights * np.float32(factor), *steps)
    if rendering.product is Product.HILLSHADE:
        return _ramped(relief.hillshade(x, y, rendering.azimuth, rendering.altitude), shown, rendering)
    if rendering.product is Product.MULTIDIRECTIONAL:
        return _ramped(relief.multidirectional(x, y, rendering.altitude), shown, rendering)
    (low, high), *_ = rendering.ranges
    if rendering.product is Product.SLOPE:
        return _ramped(_scaled(relief.slope_degrees(x, y), low, high), shown, rendering)
    faces = relief.aspect_degrees(x, y)
    sloping = np.isfinite(faces)
    shown = sloping if shown is None else shown & sloping
    grey = _scaled(np.where(sloping, faces, np.float32(0)), low, high)
    return _ramped(grey, None if shown.all() else shown, rendering)


def _all_around(shown: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    across = shown[:, :-2] & shown[:, 1:-1] & shown[:, 2:]
    return np.asarray(across[:-2] & across[1:-1] & across[2:])


def _ramp_of(rendering: Rendering) -> Bytes:
    if rendering.stops:
        return mixed(rendering.stops)
    assert rendering.ramp is not None
    return ramp(rendering.ramp)


@lru_cache(maxsize=64)
def mixed(stops: tuple[tuple[float, str], ...]) -> Bytes:
    """Return a ramp of 256 colours from the first to the last of some stops, mixed evenly between them."""
    values = np.array([value for value, _ in stops])
    at = np.linspace(values[0], values[-1], 256)
    colours = np.array([rgb(color) for _, color in stops], dtype=np.float64)
    channels = [np.floor(np.interp(at, values, colours[:, k]) + 0.5) for k in range(3)]
    return np.column_stack([*channels, np.full(256, 255.0)]).astype(np.uint8)


def rgb(color: str) -> tuple[int, int, int]:
    """Return red, green and blue of ``#rrggbb``.

    >>> rgb("#3b6ea5")
    (59, 110, 165)
    """
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


@lru_cache(maxsize=64)
def _code_colours(codes: tuple[tuple[int, str], ...]) -> Bytes:
    return np.array([(0, 0, 0, 0), *((*rgb(color), 255) for _, color in codes)], dtype=np.uint8)


@lru_cache(maxsize=64)
def _code_table(codes: tuple[tuple[int, str], ...]) -> Bytes:
    table = np.zeros(256, dtype=np.uint8)
    for number, (code, _) in enumerate(codes):
        if 0 <= code < 256:
            table[code] = number + 1
    return table
