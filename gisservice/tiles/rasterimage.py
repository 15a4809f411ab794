"""Pictures as PNG, WebP and JPEG: equal pictures give equal bytes.

PNG is written here: filter and compression take a quarter of a millisecond for a tile of 256 pixels, with Intel's
deflate; the same picture takes Pillow, which writes the two other formats, ten times as long for as many bytes.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

Bytes = npt.NDArray[np.uint8]

PNG, WEBP, JPEG = "image/png", "image/webp", "image/jpeg"

FORMATS: dict[str, str] = {"png": PNG, "webp": WEBP, "jpg": JPEG}
"""Media types by the extension of addresses."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KINDS = {1: 0, 2: 4, 3: 2, 4: 6}
"""Channels to the colour type of PNG: grey, grey and alpha, colours, colours and alpha."""
_PALETTE_KIND = 3
_UP = 2
_LEVEL, _FLAT_LEVEL = 1, 6
_WEBP_QUALITY, _JPEG_QUALITY = 80, 85


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of bytes: ``pixels`` has shape (height, width, channels): grey, grey and alpha, RGB or RGBA.

    With a ``palette``, shape (n, 4) of red, green, blue and alpha with n at most 256, there is one channel of indexes
    into it. ``exact`` pictures hold codes or heights, which no lossy format keeps.
    """

    pixels: Bytes
    palette: Bytes | None = None
    exact: bool = False

    def rgba(self) -> Bytes:
        """Return the picture as red, green, blue and alpha, shape (height, width, 4)."""
        if self.palette is not None:
            return self.palette[self.pixels[..., 0]]
        channels = self.pixels.shape[2]
        alpha = self.pixels[..., -1:] if channels in (2, 4) else np.full_like(self.pixels[..., :1], 255)
        colours = self.pixels[..., :3] if channels > 2 else np.repeat(self.pixels[..., :1], 3, axis=2)
        return np.concatenate([colours, alpha], axis=2)


def encode(picture: Picture, media: str) -> bytes:
    """Return a picture in one of the media types of :data:`FORMATS`.

    JPEG has no transparency: what is transparent becomes white. WebP is lossless for exact pictures and palettes.
    """
    if media == PNG:
        return encode_png(picture)
    return _by_pillow(picture, media)


def encode_png(picture: Picture, *, flat: bool = False) -> bytes:
    """Return a picture as PNG (W3C PNG, third edition).

    A ``flat`` one has areas of one colour, as maps have: it takes ten times as long and a third less bytes.
    """
    pixels = picture.pixels
    height, width, channels = pixels.shape
    kind = _KINDS[channels] if picture.palette is None else _PALETTE_KIND
    parts = [_SIGNATURE, _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))]
    if picture.palette is not None:
        parts.append(_chunk(b"PLTE", picture.palette[:, :3].tobytes()))
        if (picture.palette[:, 3] < 255).any():
            last = int(np.flatnonzero(picture.palette[:, 3] < 255)[-1])
            parts.append(_chunk(b"tRNS", picture.palette[: last + 1, 3].tobytes()))
    rows = _filtered(pixels.reshape(height, width * channels), picture.palette is None and not flat).tobytes()
    content = zlib.compress(rows, _FLAT_LEVEL) if flat else isal_zlib.compress(rows, _LEVEL)
    return b"".join([*parts, _chunk(b"IDAT", content), _chunk(b"IEND", b"")])


def _filtered(rows: Bytes, smooth: bool) -> Bytes:
    """Return the rows, each with its filter before it: the difference to the row above, but for indexes."""
    out = np.empty((rows.shape[0], rows.shape[1] + 1), dtype=np.uint8)
    out[:, 0] = _UP if smooth else 0
    out[:, 1:] = rows
    if smooth:
        out[1:, 1:] -= rows[:-1]
    return out


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))


def _by_pillow(picture: Picture, media: str) -> bytes:
    from PIL import Image

    rgba = picture.rgba()
    opaque = bool((rgba[..., 3] == 255).all())
    out = io.BytesIO()
    options: dict[str, Any]
    if media == JPEG:
        image = Image.fromarray(_on_white(rgba) if not opaque else np.ascontiguousarray(rgba[..., :3]))
        options = {"format": "JPEG", "quality": _JPEG_QUALITY}
    else:
        image = Image.fromarray(np.ascontiguousarray(rgba[..., :3]) if opaque else rgba)
        exact = picture.exact or picture.palette is not None
        lossless: dict[str, Any] = {"lossless": True, "quality": 0, "exact": True}
        options = {"format": "WEBP", "method": 0, **(lossless if exact else {"quality": _WEBP_QUALITY})}
    image.save(out, **options)
    return out.getvalue()


def _on_white(rgba: Bytes) -> Bytes:
    alpha = rgba[..., 3:].astype(np.uint16)
    mixed = (rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
    return mixed.astype(np.uint8)
