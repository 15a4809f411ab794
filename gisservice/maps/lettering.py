"""Letters as outlines: of fonts that set-up installs, so that a map looks alike wherever it is drawn.

Each font has the letters of some scripts; a text takes each letter from the first that has it. What none has is drawn
as the empty box of the first. HarfBuzz joins and places the letters of a run, and the Unicode Bidirectional Algorithm
puts the runs of a line in order.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from unicodedata import category

import numpy as np
import numpy.typing as npt
import uharfbuzz
from fontTools.pens.basePen import BasePen
from fontTools.ttLib import TTFont

from gisservice.maps.bidirectional import first_strong, levels, runs


@dataclass(frozen=True, slots=True)
class Outline:
    """One letter, or a line of them: its outline, and how far the next one is; in parts of :data:`EM`, y upward.

    ``form`` has the operators of PDF with ``%d`` for the numbers of ``points``, shape (n, 2).
    """

    form: str
    points: npt.NDArray[np.float64]
    advance: float

    def width(self, size: float) -> float:
        """Return how wide it is at a size, in the unit of the size."""
        return self.advance / EM * size


EM = 1000.0

_ATTACHED = ("Mn", "Me", "Cf")
"""Marks and joiners, which belong to the letter before them."""


class Lettering:
    """The letters of some font files. Safe for threads."""

    def __init__(self, files: tuple[Path, ...]) -> None:
        self._fonts = [_Font(file) for file in files]

    def line(self, text: str, base: int | None = None) -> Outline:
        """Return a line of text in the order of the screen, in a paragraph of a base level (0: from the left, 1: from
        the right; None: as its own first letter runs).
        """
        return self._placed(text, levels(text, _base(text, base)))

    def lines(self, text: str, size: float, width: float, base: int | None = None) -> list[Outline]:
        """Return a text in lines no wider than ``width``; a word that is wider is cut."""
        text = " ".join(text.split())
        found = levels(text, _base(text, base))
        return [self._placed(text[first:last], found[first:last]) for first, last in self._breaks(text, size, width)]

    def has(self, text: str) -> bool:
        """Tell whether every letter of a text is in a font."""
        return all(
            category(letter) == "Cf" or any(ord(letter) in font.letters for font in self._fonts) for letter in text
        )

    def _breaks(self, text: str, size: float, width: float) -> Iterator[tuple[int, int]]:
        """Yield where the lines of a text begin and end."""
        first = last = place = 0
        for word in text.split():
            end = place + len(word)
            if last > first and self._width(text[first:end], size) > width:
                yield first, last
                first = place
            last, place = end, end + 1
            if self._width(text[first:last], size) > width:  # a word alone that is too wide
                yield first, self._fitting(text, first, end, size, width)
                first = last = place
        if last > first:
            yield first, last

    def _fitting(self, text: str, first: int, end: int, size: float, width: float) -> int:
        places = range(first, end)
        return places[bisect_right(places, width, key=lambda last: self._width(text[first:last], size)) - 1]

    def _width(self, text: str, size: float) -> float:
        return self.line(text).width(size)

    def _placed(self, text: str, found: Sequence[int]) -> Outline:
        """Return a line whose letters have these levels."""
        fonts = self._fonts_of(text)
        parts: list[Outline] = []
        for first, last, leftward in runs(found):
            pieces = [list(places) for _, places in groupby(range(first, last), key=fonts.__getitem__)]
            for places in reversed(pieces) if leftward else pieces:
                font = self._fonts[fonts[places[0]]]
                parts += font.shaped(text[places[0] : places[-1] + 1], leftward)
        return _joined(parts)

    def _fonts_of(self, text: str) -> list[int]:
        found: list[int] = []
        for letter in text:
            having = [number for number, font in enumerate(self._fonts) if ord(letter) in font.letters]
            if found and category(letter) in _ATTACHED and (found[-1] in having or not having):
                found.append(found[-1])
            else:
                found.append(having[0] if having else 0)
        return found


class _Font:
    def __init__(self, file: Path) -> None:
        font, plain = TTFont(file, lazy=False), io.BytesIO()
        self.letters = frozenset(font.getBestCmap())
        font.flavor = None  # HarfBuzz reads no packed fonts
        font.save(plain)
        self._face = uharfbuzz.Face(plain.getvalue())
        self._font = uharfbuzz.Font(self._face)
        self._scale = EM / self._face.upem
        self._outlines: dict[int, Outline] = {}

    def shaped(self, text: str, leftward: bool) -> list[Outline]:
        """Return the letters of a text that runs one way, from left to right on the screen, joined and placed."""
        buffer = uharfbuzz.Buffer()
        buffer.add_str(text)
        buffer.direction = "rtl" if leftward else "ltr"
        buffer.language = "und"  # else that of the process
        buffer.guess_segment_properties()
        uharfbuzz.shape(self._font, buffer)
        return [
            self._moved(info.codepoint, place.x_offset, place.y_offset, place.x_advance)
            for info, place in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True)
        ]

    def _moved(self, glyph: int, x: int, y: int, advance: int) -> Outline:
        outline = self._outlines.get(glyph)
        if outline is None:
            outline = self._outlines[glyph] = self._outline(glyph)
        points = outline.points + np.array([x, y]) * self._scale
        return Outline(outline.form, points, advance * self._scale)

    def _outline(self, glyph: int) -> Outline:
        pen = _Pen()
        self._font.draw_glyph_with_pen(glyph, pen)
        points = np.array(pen.points, dtype=np.float64).reshape(-1, 2) * self._scale
        return Outline("".join(pen.form), points, 0.0)


def _base(text: str, base: int | None) -> int:
    return (first_strong(text) or 0) if base is None else base


def _joined(parts: Sequence[Outline]) -> Outline:
    """Return letters beside each other as one outline."""
    starts = np.cumsum([0.0, *(part.advance for part in parts)])
    moved = [part.points + np.array([start, 0.0]) for part, start in zip(parts, starts.tolist(), strict=False)]
    points = np.concatenate([np.empty((0, 2)), *moved])
    return Outline("".join(part.form for part in parts), points, float(starts[-1]))


class _Pen(BasePen):  # type: ignore[misc]
    """Takes an outline down as operators of PDF; quadratic curves come in as cubic ones."""

    def __init__(self) -> None:
        super().__init__(None)
        self.form: list[str] = []
        self.points: list[tuple[float, float]] = []

    def _moveTo(self, pt: tuple[float, float]) -> None:
        self._add("m ", pt)

    def _lineTo(self, pt: tuple[float, float]) -> None:
        self._add("l ", pt)

    def _curveToOne(self, pt1: tuple[float, float], pt2: tuple[float, float], pt3: tuple[float, float]) -> None:
        self._add("c ", pt1, pt2, pt3)

    def _closePath(self) -> None:
        self.form.append("h ")

    def _add(self, operator: str, *points: tuple[float, float]) -> None:
        self.form.append("%d %d " * len(points) + operator)
        self.points += points


@cache
def lettering(files: tuple[Path, ...]) -> Lettering:
    """Return the letters of some files, read once."""
    return Lettering(files)
