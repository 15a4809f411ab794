"""A picture of what analysis returns, as SVG: for notebooks and reports, without any other library.

It says by itself what one needs to read it: title, legend with units and counts, scale, north, sources with their
version and day. Texts are escaped; there is nothing in it that runs or is fetched.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt
import shapely

from gisservice import crs
from gisservice.errors import InvalidParameter
from gisservice.maps.answerparts import ABSENT, Shown, shown

if TYPE_CHECKING:
    import geopandas

WIDTH, MAP_HEIGHT, LEGEND_WIDTH, MARGIN = 860, 560, 230, 16
"""Pixels."""

SEEN_PIXELS = 8
FEW = 300
"""Of up to so many features each is seen: what is smaller than so many pixels is drawn as a point."""

_BACKGROUND = "#e9e6df"
_ILLEGAL = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 0x7F, 0xFFFE, 0xFFFF])
"""Characters that XML cannot hold."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished picture. A notebook shows it; :meth:`save` writes it."""

    svg: str

    def save(self, path: str | Path) -> None:
        """Write the picture as an SVG file."""
        Path(path).write_text(self.svg, encoding="utf-8")

    def _repr_svg_(self) -> str:
        return self.svg


@dataclass(frozen=True, slots=True)
class _View:
    """From the plane to pixels."""

    left: float
    top: float
    pixels: float
    """Of a unit of the plane."""
    metres: float
    """Of a unit of the plane."""
    width: float
    height: float

    def placed(self, positions: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.column_stack(
            [(positions[:, 0] - self.left) * self.pixels, (self.top - positions[:, 1]) * self.pixels]
        )


def plot(
    frame: geopandas.GeoDataFrame,
    column: str | None = None,
    *,
    title: str | None = None,
    background: geopandas.GeoDataFrame | None = None,
    classes: int = 5,
) -> Picture:
    """Return a picture of a frame, coloured by a column: numbers in classes, texts each with its colour.

    ``background`` (parcels, a boundary) is drawn pale below it. Without ``title`` the column's name is the title. North
    is up, in the frame's projected system, degrees in EPSG:2283. Raises :class:`InvalidParameter` for a column that is
    not there, :class:`LimitExceeded` for more than 100,000 features.

    >>> plot(reach(network, stations, minutes=[5, 10]), "minutes", background=parcels)      # doctest: +SKIP
    """
    wanted = shown(frame, column, title, classes)
    plane = crs.measuring(frame.crs)
    shapes = _in(frame, plane)
    below = _in(background, plane) if background is not None else np.empty(0, dtype=object)
    view = _view(shapes, below, plane)
    seen = _seen(shapes, view) if len(shapes) <= FEW else shapes
    parts = [_paths(below, view, _BACKGROUND, "#d2cdc3", 0.5)] if len(below) else []
    rows = [wanted.places == (-1 if entry.colour == ABSENT else n) for n, entry in enumerate(wanted.classes)]
    areas = [float(shapely.area(shapes[these]).sum()) for these in rows]
    for place in sorted(range(len(rows)), key=lambda place: -areas[place]):  # what is reached sooner lies on top
        parts.append(_paths(seen[rows[place]], view, wanted.classes[place].colour, "#ffffff", 0.4))
    return Picture(_document(wanted, view, parts))


def _in(frame: geopandas.GeoDataFrame, plane: Any) -> npt.NDArray[Any]:
    if frame.crs is None:
        raise InvalidParameter("background", "a frame without reference system", "one that states it; use set_crs")
    operation = crs.reprojection(frame.crs, plane)
    shapes: npt.NDArray[Any] = shapely.force_2d(frame.geometry.to_numpy())
    return shapes if operation.is_identity else crs.reproject(shapes, operation)


def _view(shapes: npt.NDArray[Any], below: npt.NDArray[Any], plane: Any) -> _View:
    bounds = shapely.bounds(np.concatenate([shapes, below])).reshape(-1, 4)
    bounds = bounds[np.isfinite(bounds).all(axis=1)]
    metres = crs.unit(plane)[1]
    width, height = float(WIDTH - LEGEND_WIDTH - 2 * MARGIN), float(MAP_HEIGHT)
    if not len(bounds):
        return _View(0.0, 0.0, 1.0, metres, width, height)
    (west, south), (east, north) = bounds[:, :2].min(axis=0).tolist(), bounds[:, 2:].max(axis=0).tolist()
    least = 100 / metres  # a single point is shown with a hundred metres around it
    wide, high = max(east - west, least) * 1.04, max(north - south, least) * 1.04
    pixels = min(width / wide, height / high)
    height = max(min(height, high * pixels), height / 2)
    middle = (west + east) / 2, (south + north) / 2
    return _View(middle[0] - width / pixels / 2, middle[1] + height / pixels / 2, pixels, metres, width, height)


def _seen(shapes: npt.NDArray[Any], view: _View) -> npt.NDArray[Any]:
    """Return shapes with those that would be too small to be seen as points of theirs."""
    west, south, east, north = shapely.bounds(shapes).T
    small = np.maximum(east - west, north - south) * view.pixels < SEEN_PIXELS  # False of what is empty
    return np.where(small, shapely.point_on_surface(shapes), shapes)


def _paths(shapes: npt.NDArray[Any], view: _View, fill: str, edge: str, stroke: float) -> str:
    """Return all shapes of one colour: areas and lines as one path each, points as round ends of lines of no length."""
    shapes = shapes[~(shapely.is_missing(shapes) | shapely.is_empty(shapes))]
    shapes = shapely.simplify(shapes, 0.4 / view.pixels, preserve_topology=False)
    parts = shapely.get_parts(shapely.get_parts(shapes))
    kinds = shapely.get_dimensions(parts)
    rings = shapely.get_rings(parts[kinds == 2])
    found = []
    if len(rings):
        text = _lines(rings, view, "Z")
        style = f'fill="{fill}" fill-rule="evenodd" stroke="{edge}" stroke-width="{stroke}" stroke-linejoin="round"'
        found.append(f'<path d="{text}" {style}/>')
    if (kinds == 1).any():
        text = _lines(parts[kinds == 1], view, "")
        style = 'stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round"'
        found.append(f'<path d="{text}" fill="none" stroke="{fill}" {style}/>')
    if (kinds == 0).any():
        points = view.placed(shapely.get_coordinates(parts[kinds == 0]))
        size = 7 if len(points) < 300 else 4
        text = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in np.unique(np.round(points, 1), axis=0).tolist())
        for colour, width in (("#ffffff", size + 1.5), (fill, size)):
            found.append(
                f'<path d="{text}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linecap="round"/>'
            )
    return "".join(found)


def _lines(lines: npt.NDArray[Any], view: _View, end: str) -> str:
    positions, place = shapely.get_coordinates(lines, return_index=True)
    texts = [f"{x:.1f} {y:.1f}" for x, y in view.placed(positions).tolist()]
    starts = np.searchsorted(place, np.arange(len(lines) + 1)).tolist()
    return "".join(f"M{'L'.join(texts[first:last])}{end}" for first, last in pairwise(starts) if last > first)


def _document(wanted: Shown, view: _View, parts: list[str]) -> str:
    notes = [*wrap(wanted.method, 120), *wrap(_origin(wanted), 120)]
    top = 44
    height = round(top + view.height + 40 + 17 * len(notes) + MARGIN)
    summary = "; ".join(f"{entry.label}: {entry.count:,}" for entry in wanted.classes)
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'role="img" aria-labelledby="picture-title picture-text" font-family="system-ui, sans-serif" font-size="13" '
        'fill="#222222">',
        f'<title id="picture-title">{_text(wanted.title)}</title>',
        f'<desc id="picture-text">{_text(f"{wanted.heading}. {summary}." if wanted.heading else summary)}</desc>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{MARGIN}" y="28" font-size="19" font-weight="600">{_text(wanted.title)}</text>',
        f'<svg x="{MARGIN}" y="{top}" width="{view.width:g}" height="{view.height:g}">'
        f'<rect width="100%" height="100%" fill="#f7f6f3"/>{"".join(parts)}{_north(view)}</svg>',
        *_legend(wanted, top),
        _scale(view, top + view.height + 14),
        *(_note(note, top + view.height + 56 + 17 * line) for line, note in enumerate(notes)),
        "</svg>",
    ]
    return "".join(body)


def _note(words: str, y: float) -> str:
    return f'<text x="{MARGIN}" y="{y:g}" font-size="12" fill="#555555">{_text(words)}</text>'


def _origin(wanted: Shown) -> str:
    return f"Sources: {', '.join(wanted.sources)}." if wanted.sources else "Sources: not stated."


def _legend(wanted: Shown, top: int) -> list[str]:
    left = WIDTH - LEGEND_WIDTH
    found, line = [], top + 14
    for words in wrap(wanted.heading, 30):
        found.append(f'<text x="{left}" y="{line}" font-weight="600">{_text(words)}</text>')
        line += 18
    for entry in wanted.classes:
        found.append(f'<rect x="{left}" y="{line - 6}" width="18" height="13" fill="{entry.colour}" stroke="#777777"/>')
        label = entry.label if entry.label.endswith("features") else f"{entry.label}  ({entry.count:,})"
        for words in wrap(label, 29):
            found.append(f'<text x="{left + 26}" y="{line + 5}">{_text(words)}</text>')
            line += 18
        line += 4
    return found


def _scale(view: _View, top: float) -> str:
    """Return a scale bar of a round number of feet, with the same in metres."""
    feet_a_pixel = view.metres / crs.SURVEY_FOOT_M / view.pixels
    most = 200 * feet_a_pixel
    step = 10 ** math.floor(math.log10(most))
    feet = max(step * factor for factor in (1, 2, 5) if step * factor <= most)
    wide = feet / feet_a_pixel
    metres = feet * crs.SURVEY_FOOT_M
    words = f"{feet:,.0f} ft ({metres:,.0f} m)" if feet < 5_280 else f"{feet:,.0f} ft ({metres / 1000:,.1f} km)"
    bar = f"M{MARGIN} {top - 4}v8M{MARGIN} {top}h{wide:.1f}M{MARGIN + wide:.1f} {top - 4}v8"
    return (
        f'<path d="{bar}" fill="none" stroke="#222222" stroke-width="1.5"/>'
        f'<text x="{MARGIN + wide + 8:.1f}" y="{top + 5}">{words}</text>'
    )


def _north(view: _View) -> str:
    x = view.width - 22
    return (
        f'<path d="M{x:g} 12l-7 20 7-5 7 5Z" fill="#222222"/>'
        f'<text x="{x:g}" y="48" text-anchor="middle" font-size="12">N</text>'
    )


def _text(words: str) -> str:
    return escape(words.translate(_ILLEGAL))
