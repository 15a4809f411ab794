"""A picture of shapes, images and letters: written as one page of PDF, which PDFium turns into pixels.

So the picture and the print are one drawing. Paths are written from arrays, a layer at a time; there is no object for
a feature. No font is named in the file, so none is looked for: letters are outlines.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from gisservice.maps.lettering import EM, Lettering, Outline
from gisservice.tiles.rasterdraw import rgb
from gisservice.tiles.rasterimage import Bytes, Picture, encode_png

Positions = npt.NDArray[np.float64]
Starts = npt.NDArray[np.int64]

STEPS = 100
"""Steps of a pixel that positions are rounded to: so fine that an edge cut elsewhere changes no pixel one can see."""

_POINTS_PX = 0.75
"""Points (1/72 inch) of a CSS pixel (1/96 inch)."""

_PATH_VERTICES, _PATH_VERTICES_OF_TILE = 20_000, 200_000
"""Vertices that are filled or stroked at a time: PDFium keeps a bounded number of covered pixels of one path. A tile
has few pixels, and all of a layer in one path: where a path ended would depend on the tile.
"""

_TILE_SIDE = 512

_INSET = 0.005
"""CSS pixels that the box of an image is smaller on each side: PDFium widens it to whole pixels, which a last digit
beyond one of them would make one too many.
"""

_ROUND = 0.5522847498
"""How far the handles of a cubic curve are that runs like a quarter of a circle of radius 1."""

_PDFIUM = Lock()
"""PDFium is not safe for threads; while it draws, other threads do other things."""


class Canvas:
    """A page of ``width`` and ``height`` CSS pixels, x to the right and y down; each thing is drawn over those before.

    Colours are ``#rrggbb``, opacities from 0 to 1, widths in CSS pixels. ``pixels`` are those of the picture for each
    CSS pixel: lines thinner than one of them are drawn one wide and lighter. A page without pixels (0) is for print.
    """

    def __init__(self, width: int, height: int, letters: Lettering, pixels: int = 0) -> None:
        self.width, self.height, self.pixels = width, height, pixels
        self.letters = letters
        is_tile = pixels > 0 and max(width, height) * pixels <= _TILE_SIDE
        self._most = _PATH_VERTICES_OF_TILE if is_tile else _PATH_VERTICES
        self._content: list[bytes] = []
        self._opacities: dict[int, bytes] = {}
        self._images: list[bytes] = []

    def fill(self, xy: Positions, rings: Starts, color: str, opacity: float = 1.0) -> None:
        """Fill polygons: rings without their closing vertex, holes the other way round than what they lie in."""
        self._paint(b"f", _paths(xy, rings, self._most, closed=True), color, opacity)

    def stroke(
        self, xy: Positions, rings: Starts, color: str, width: float, opacity: float = 1.0, *, closed: bool
    ) -> None:
        """Draw along lines, or around rings with ``closed``; ends and corners are round."""
        if self.pixels and width * self.pixels < 1:
            width, opacity = 1 / self.pixels, opacity * width * self.pixels
        if width > 0:
            pen = b"%d w" % max(1, round(width * STEPS))
            self._paint(b"S", _paths(xy, rings, self._most, closed=closed), color, opacity, pen)

    def discs(self, centres: Positions, radius: float, color: str, opacity: float = 1.0) -> None:
        """Draw filled circles; where they meet they are one."""
        if len(centres):
            self._paint(b"f", _circles(centres, radius, self._most), color, opacity)

    def circles(self, centres: Positions, radius: float, color: str, width: float) -> None:
        """Draw circles."""
        if width > 0 and len(centres):
            self._paint(b"S", _circles(centres, radius, self._most), color, 1.0, b"%d w" % max(1, round(width * STEPS)))

    def image(self, rgba: Bytes, left: float, top: float, width: float, height: float, opacity: float = 1.0) -> None:
        """Draw an image, shape (rows, columns, 4), in a box."""
        name = self._add_image(rgba)
        left, top, width, height = left + _INSET, top + _INSET, width - 2 * _INSET, height - 2 * _INSET
        box = b"%.4f 0 0 %.4f %.4f %.4f cm" % (
            width * STEPS, -height * STEPS, left * STEPS, (top + height) * STEPS,
        )  # fmt: skip
        self._content.append(b"q %s gs %s /%s Do Q" % (self._opacity(opacity), box, name))

    def text(self, line: Outline, x: float, y: float, size: float, color: str, halo: str | None = None) -> None:
        """Draw a line of text that begins at ``x`` and stands on ``y``; with a ``halo`` around its letters."""
        if not line.form:
            return
        # One path for the whole line: PDFium widens a path that is a rectangle, as a letter can be, to whole pixels.
        placed = line.points * (size / EM, -size / EM) + (x, y)
        whole = np.rint(placed * STEPS).astype(np.int64)
        path = (line.form % tuple(whole.reshape(-1).tolist())).encode()
        if halo is not None:
            self._paint(b"S", [path], halo, 1.0, b"%d w" % (3 * STEPS))
        self._paint(b"f", [path], color)

    def box(self, left: float, top: float, width: float, height: float, color: str, opacity: float = 1.0) -> None:
        """Fill a rectangle."""
        corners = [[left, top], [left + width, top], [left + width, top + height], [left, top + height]]
        self.fill(np.array(corners, dtype=np.float64), np.array([0, 4]), color, opacity)

    def pdf(self, title: str, language: str = "en") -> bytes:
        """Return the page as PDF 1.7, called by a title in a language; equal pages are equal bytes."""
        return self._file(title, language, packed=True)

    def png(self) -> bytes:
        """Return the page as PNG, ``pixels`` for each CSS pixel, on white."""
        size = self.width * self.pixels, self.height * self.pixels
        return encode_png(Picture(_rendered(self._file("", "en", packed=False), *size)), flat=True)

    def _paint(
        self, operator: bytes, paths: Sequence[bytes], color: str, opacity: float = 1.0, pen: bytes = b""
    ) -> None:
        if opacity <= 0:
            return
        ink = b"%s %s" % (_ink(color), b"RG" if operator == b"S" else b"rg")
        self._content.append(b"q %s gs %s %s" % (self._opacity(opacity), ink, pen))
        for path in paths:
            self._content += [path, operator]
        self._content.append(b"Q")

    def _opacity(self, opacity: float) -> bytes:
        share = round(min(max(opacity, 0.0), 1.0) * 1000)
        return self._opacities.setdefault(share, b"/A%d" % share)

    def _add_image(self, rgba: Bytes) -> bytes:
        height, width = rgba.shape[:2]
        mask = b""
        if (rgba[..., 3] < 255).any():
            self._images.append(_image(rgba[..., 3], width, height, b"/DeviceGray"))
            mask = b"/SMask %d 0 R" % self._image_number(len(self._images) - 1)
        self._images.append(_image(rgba[..., :3], width, height, b"/DeviceRGB", mask))
        return b"I%d" % (len(self._images) - 1)

    @staticmethod
    def _image_number(index: int) -> int:
        return 6 + index

    def _file(self, title: str, language: str, *, packed: bool) -> bytes:
        sides = self.width * _POINTS_PX, self.height * _POINTS_PX
        head = b"%.6f 0 0 %.6f 0 %.4f cm 1 J 1 j" % (_POINTS_PX / STEPS, -_POINTS_PX / STEPS, sides[1])
        content = b"\n".join([head, *self._content])
        states = b" ".join(b"%s << /ca %.3f /CA %.3f >>" % (name, n / 1000, n / 1000) for n, name in
                           sorted(self._opacities.items()))  # fmt: skip
        images = b" ".join(b"/I%d %d 0 R" % (n, self._image_number(n)) for n in range(len(self._images)))
        objects = [
            b"<< /Type /Catalog /Pages 2 0 R /Lang (%s) /ViewerPreferences << /DisplayDocTitle true >> >>"
            % language.encode(),
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %.4f %.4f] /Contents 4 0 R /Resources << /ExtGState << %s >> "
            b"/XObject << %s >> >> >>" % (*sides, states, images),
            _stream(b"", content, packed=packed),
            b"<< /Title <FEFF%s> >>" % title.encode("utf-16-be").hex().upper().encode(),
            *self._images,
        ]
        return _assembled(objects)


def _ink(color: str) -> bytes:
    return b"%.4f %.4f %.4f" % tuple(value / 255 for value in rgb(color))


def _paths(xy: Positions, rings: Starts, most: int, *, closed: bool) -> list[bytes]:
    """Return rings as operators, at most so many vertices a piece."""
    whole = np.rint(xy * STEPS).astype(np.int64)
    found, first = [], 0
    while first < len(rings) - 1:
        last = max(int(np.searchsorted(rings, rings[first] + most, side="right")) - 1, first + 1)
        lengths = np.diff(rings[first : last + 1]).tolist()
        numbers = whole[rings[first] : rings[last]].reshape(-1).tolist()
        found.append(("".join([_form(length, closed) for length in lengths]) % tuple(numbers)).encode())
        first = last
    return found


@lru_cache(maxsize=1 << 12)
def _form(vertices: int, closed: bool) -> str:
    if not vertices:
        return ""
    return "%d %d m " + "%d %d l " * (vertices - 1) + ("h\n" if closed else "\n")


def _circles(centres: Positions, radius: float, most: int) -> list[bytes]:
    r, h = radius, radius * _ROUND
    around = np.array(
        [
            (r, 0), (r, h), (h, r), (0, r), (-h, r), (-r, h), (-r, 0),
            (-r, -h), (-h, -r), (0, -r), (h, -r), (r, -h), (r, 0),
        ]
    )  # fmt: skip
    form = "%d %d m " + "%d %d %d %d %d %d c " * 4 + "h\n"
    whole = np.rint((centres[:, None, :] + around) * STEPS).astype(np.int64)
    step = most // len(around)
    pieces = (whole[first : first + step] for first in range(0, len(whole), step))
    return [(form * len(piece) % tuple(piece.reshape(-1).tolist())).encode() for piece in pieces]


def _image(values: Bytes, width: int, height: int, space: bytes, extra: bytes = b"") -> bytes:
    about = b"/Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace %s /BitsPerComponent 8 %s" % (
        width, height, space, extra,
    )  # fmt: skip
    return _stream(about, np.ascontiguousarray(values).tobytes(), packed=True)


def _stream(about: bytes, content: bytes, *, packed: bool) -> bytes:
    if packed:
        content, about = zlib.compress(content, 1), about + b" /Filter /FlateDecode"
    return b"<< %s /Length %d >>\nstream\n%s\nendstream" % (about, len(content), content)


def _assembled(objects: Sequence[bytes]) -> bytes:
    """Return objects, numbered from 1, as a file: the first is the catalog, the fifth says what it is."""
    out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R /Info 5 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(out)


def _rendered(file: bytes, width: int, height: int) -> Bytes:
    """Return the page of a file in pixels, shape (height, width, 3)."""
    import pypdfium2
    from pypdfium2 import raw

    with _PDFIUM:
        document = pypdfium2.PdfDocument(file)
        page = document[0]
        bitmap = pypdfium2.PdfBitmap.new_native(width, height, raw.FPDFBitmap_BGRx)
        bitmap.fill_rect((255, 255, 255, 255), 0, 0, width, height)
        raw.FPDF_RenderPageBitmap(bitmap, page, 0, 0, width, height, 0, raw.FPDF_REVERSE_BYTE_ORDER)
        pixels: npt.NDArray[Any] = bitmap.to_numpy()[..., :3].copy()
        for part in (bitmap, page, document):
            part.close()
    return pixels
