"""Letters as outlines: of fonts that set-up installs, so that a map looks alike wherever it is drawn.

Each font has the letters of some scripts; a text takes each letter from the first that has it. What none has is drawn
as the empty box of the first. Scripts whose letters change with their neighbours (Arabic, Devanagari) have no font
here: a box tells the truth where wrongly joined letters would not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from fontTools.pens.basePen import BasePen
from fontTools.ttLib import TTFont


@dataclass(frozen=True, slots=True)
class Glyph:
    """One letter: its outline, and how far the next one is; in parts of :data:`EM`, y upward.

    ``form`` has the operators of PDF with ``%d`` for the numbers of ``points``, shape (n, 2).
    """

    form: str
    points: npt.NDArray[np.float64]
    advance: float


EM = 1000.0


class Lettering:
    """The letters of some font files, read when they are first needed. Safe for threads."""

    def __init__(self, files: tuple[Path, ...]) -> None:
        self._fonts = [_Font(TTFont(file, lazy=False)) for file in files]
        self._glyphs: dict[str, Glyph] = {}

    def glyphs(self, text: str) -> list[Glyph]:
        """Return the letters of a text from left to right."""
        return [self._glyph(letter) for letter in text]

    def width(self, text: str, size: float) -> float:
        """Return how wide a text of a size is, in the unit of the size."""
        return sum(glyph.advance for glyph in self.glyphs(text)) / EM * size

    def has(self, text: str) -> bool:
        """Tell whether every letter of a text is in a font."""
        return all(any(ord(letter) in font.names for font in self._fonts) for letter in text)

    def wrapped(self, text: str, size: float, width: float) -> list[str]:
        """Return a text in lines no wider than ``width``; a word that is wider is cut."""
        lines: list[str] = []
        line = ""
        for word in text.split():
            longer = f"{line} {word}" if line else word
            if self.width(longer, size) <= width:
                line = longer
                continue
            if line:
                lines.append(line)
            line = self.shortened(word, size, width)
        return [*lines, line] if line else lines

    def shortened(self, text: str, size: float, width: float) -> str:
        """Return as much of a text as fits into ``width``."""
        while text and self.width(text, size) > width:
            text = text[:-1]
        return text

    def _glyph(self, letter: str) -> Glyph:
        found = self._glyphs.get(letter)
        if found is None:
            font = next((font for font in self._fonts if ord(letter) in font.names), self._fonts[0])
            found = self._glyphs[letter] = font.glyph(letter)
        return found


class _Font:
    def __init__(self, font: TTFont) -> None:
        self.names: dict[int, str] = font.getBestCmap()
        self._set = font.getGlyphSet()
        self._scale = EM / font["head"].unitsPerEm

    def glyph(self, letter: str) -> Glyph:
        drawn = self._set[self.names.get(ord(letter), ".notdef")]
        pen = _Pen(self._set)
        drawn.draw(pen)
        points = np.array(pen.points, dtype=np.float64).reshape(-1, 2) * self._scale
        return Glyph("".join(pen.form), points, drawn.width * self._scale)


class _Pen(BasePen):  # type: ignore[misc]
    """Takes an outline down as operators of PDF; quadratic curves come in as cubic ones."""

    def __init__(self, glyphs: object) -> None:
        super().__init__(glyphs)
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
