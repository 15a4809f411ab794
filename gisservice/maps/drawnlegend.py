"""The legend on a map that the server draws: a box in the corner where lines of text begin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gisservice.maps.canvas import Canvas
from gisservice.maps.lettering import Outline
from gisservice.model import GeometryKind, Style

_INK, _PAPER = "#26313b", "#ffffff"
_SIZE, _TITLE_SIZE, _LINE = 10.0, 11.0, 1.35
_SYMBOL_WIDTH, _SYMBOL_HEIGHT, _SPACE = 18.0, 10.0, 6.0
_EDGE = 8.0
"""CSS pixels between the box and the picture's edges, and inside it."""

_WIDTH_MIN, _WIDTH_SHARE, _WIDTH_MAX = 480, 0.4, 240.0
"""From which width of a picture there is a legend, and how wide it is at most."""

_MORE = "…"
"""Stands where there is no room for the rest."""


@dataclass(frozen=True)
class LayerLegend:
    """What is said of a layer: its title, and each of its colours with its words; none where it has one look."""

    title: str
    kind: GeometryKind
    style: Style
    heading: str = ""
    entries: tuple[tuple[str, str], ...] = ()

    def of_classes(self, numbers: Sequence[int]) -> LayerLegend:
        """Return the legend of the classes that show in the picture."""
        entries = tuple(self.entries[number] for number in numbers) if self.entries else ()
        return LayerLegend(self.title, self.kind, self.style, self.heading, entries)


@dataclass(frozen=True)
class _Row:
    """A line of the legend; ``color`` is that of the symbol before it, "" where there is none."""

    line: Outline
    size: float
    legend: LayerLegend
    color: str = ""
    is_indented: bool = False

    @property
    def width(self) -> float:
        symbol = _SYMBOL_WIDTH + _SPACE if self.is_indented else 0.0
        return symbol + self.line.width(self.size)


def draw_legend(
    canvas: Canvas, legends: Sequence[LayerLegend], bottom: float, *, leftward: bool
) -> tuple[float, float, float, float] | None:
    """Draw the legends of layers, the topmost first, above ``bottom``; return the box (left, top, right, bottom).

    None, and nothing is drawn, where the picture is too small for one or there is nothing to say.
    """
    room = bottom - 4 * _EDGE
    if canvas.width < _WIDTH_MIN or room < 4 * _TITLE_SIZE or not legends:
        return None
    width = min(_WIDTH_MAX, canvas.width * _WIDTH_SHARE) - 2 * _EDGE
    rows = _fitting(canvas, list(_rows(canvas, legends, width, int(leftward))), room)
    widest, height = max(row.width for row in rows), sum(row.size * _LINE for row in rows)
    left = canvas.width - 3 * _EDGE - widest if leftward else _EDGE
    box = left, _EDGE, left + widest + 2 * _EDGE, _EDGE + height + _EDGE
    canvas.box(box[0], box[1], box[2] - box[0], box[3] - box[1], _PAPER, 0.85)
    start, y = (box[2] - _EDGE if leftward else box[0] + _EDGE), box[1] + _EDGE / 2
    for row in rows:
        y += row.size * _LINE
        _draw(canvas, row, start, y - row.size * 0.3, leftward=leftward)
    return box


def _rows(canvas: Canvas, legends: Sequence[LayerLegend], width: float, base: int) -> Iterator[_Row]:
    indented = width - _SYMBOL_WIDTH - _SPACE
    for legend in legends:
        if not legend.entries and legend.kind is not GeometryKind.RASTER:
            for number, line in enumerate(canvas.letters.lines(legend.title, _TITLE_SIZE, indented, base)):
                yield _Row(line, _TITLE_SIZE, legend, "" if number else legend.style.color, is_indented=True)
            continue
        for text, size in ((legend.title, _TITLE_SIZE), (legend.heading, _SIZE)):
            for line in canvas.letters.lines(text, size, width, base) if text else ():
                yield _Row(line, size, legend)
        for color, text in legend.entries:
            for number, line in enumerate(canvas.letters.lines(text, _SIZE, indented, base)):
                yield _Row(line, _SIZE, legend, "" if number else color, is_indented=True)


def _fitting(canvas: Canvas, rows: list[_Row], room: float) -> list[_Row]:
    """Return as many rows as there is room for; the last says that there are more, if there are."""
    ends = np.cumsum([row.size * _LINE for row in rows])
    count = int(np.searchsorted(ends, room, side="right"))
    if count == len(rows):
        return rows
    return [*rows[: count - 1], _Row(canvas.letters.line(_MORE), _SIZE, rows[count - 1].legend, is_indented=True)]


def _draw(canvas: Canvas, row: _Row, start: float, y: float, *, leftward: bool) -> None:
    """Draw a row on the line ``y`` from where lines start: the left, or the right with ``leftward``."""
    symbol = _SYMBOL_WIDTH + _SPACE if row.is_indented else 0.0
    text = start - symbol - row.line.width(row.size) if leftward else start + symbol
    canvas.text(row.line, text, y, row.size, _INK)
    if row.color:
        left = start - _SYMBOL_WIDTH if leftward else start
        _symbol(canvas, row.legend, row.color, left, y - row.size * 0.35)


def _symbol(canvas: Canvas, legend: LayerLegend, color: str, left: float, middle: float) -> None:
    """Draw a feature of the layer as it looks on the map, no wider and no larger than fits into a line."""
    style, right = legend.style, left + _SYMBOL_WIDTH
    ring = np.array([0, 4])
    if legend.kind is GeometryKind.LINE:
        ends = np.array([[left, middle], [right, middle]])
        canvas.stroke(ends, np.array([0, 2]), color, min(max(style.width, 1.5), 5.0), style.opacity, closed=False)
    elif legend.kind is GeometryKind.POINT:
        centre, radius = np.array([[(left + right) / 2, middle]]), min(max(style.radius, 2.5), 5.0)
        canvas.discs(centre, radius, color, style.opacity)
        canvas.circles(centre, radius, style.outline, style.width)
    else:
        top, bottom = middle - _SYMBOL_HEIGHT / 2, middle + _SYMBOL_HEIGHT / 2
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
        canvas.fill(corners, ring, color, style.opacity)
        canvas.stroke(corners, ring, style.outline, min(max(style.width, 0.5), 2.0), closed=True)
