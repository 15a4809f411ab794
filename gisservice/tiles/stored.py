"""A tile of the pyramid taken apart: its geometries as the bytes that they are there, for tiles that show them again.

A geometry in a stored tile has been cut, made tidy and valid, and encoded. A tile at the same place that is drawn
with a filter or other properties shows it just so. What is read here was written by :mod:`gisservice.tiles.encode`:
features come first behind the layer's name, and in each the geometry comes last.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gisservice.model import GeometryKind
from gisservice.tiles.attributes import binary_array
from gisservice.tiles.encode import Encoded
from gisservice.tiles.shapes import Ints

_FEATURE, _ID, _TAGS = 0x12, 0x08, 0x12
_BEFORE_GEOMETRY = 3
"""Bytes between the tags of a feature and the length of its geometry: the type, and the tag of the geometry."""


@dataclass(frozen=True)
class StoredTile:
    """The features of a stored tile that have an id: ``ids``, and which of ``pieces`` each of them is."""

    ids: Ints
    piece: Ints
    pieces: Encoded

    @classmethod
    def read(cls, tile: bytes, kind: GeometryKind) -> StoredTile:
        """Take apart the uncompressed tile of a layer whose geometries are of a kind; ``b""`` shows nothing."""
        places = _features(tile)
        data = np.frombuffer(tile, dtype=np.uint8)
        _, begins = _numbers(data, places[:-1] + 1)
        named = (data[begins] == _ID).nonzero()[0]
        ids, at = _numbers(data, begins[named] + 1)
        tagged = data[at] == _TAGS
        tags, behind = _numbers(data, at + 1)
        _, first = _numbers(data, np.where(tagged, behind + tags, at) + _BEFORE_GEOMETRY)
        cuts = np.column_stack([first, places[1:][named]]).ravel()
        # What lies between two geometries is a piece, too, which nobody asks for: so nothing has to be copied here.
        pieces = Encoded(kind, binary_array(data, cuts if len(cuts) else np.zeros(1, dtype=np.int64)), np.diff(cuts))
        return cls(ids, 2 * np.arange(len(ids)), pieces)

    def rows(self, ids: npt.NDArray[np.int64]) -> Ints:
        """Return for each feature here the place of its id among some distinct ids; -1 where it is not among them."""
        if not len(ids):
            return np.full(len(self.ids), -1, dtype=np.int64)
        order = ids.argsort()
        place = order[np.minimum(ids.searchsorted(self.ids, sorter=order), len(ids) - 1)]
        return np.where(ids[place] == self.ids, place, -1)


def _features(tile: bytes) -> Ints:
    """Return where each feature begins, with its tag, and at last where they end."""
    if not tile:
        return np.zeros(1, dtype=np.int64)
    _, layer = _number(tile, 1)
    length, name = _number(tile, layer + 3)  # behind the version, and the tag of the name
    at = name + length
    places = [at]
    while tile[at] == _FEATURE:  # one leads to the next, so this is a loop over bytes, and as short as can be
        low = tile[at + 1]
        if low < 0x80:
            at += low + 2
        elif (high := tile[at + 2]) < 0x80:
            at += (low & 0x7F | high << 7) + 3
        else:
            length, behind = _number(tile, at + 1)
            at = behind + length
        places.append(at)
    return np.array(places, dtype=np.int64)


def _number(tile: bytes, at: int) -> tuple[int, int]:
    """Return the varint at a place, and the place behind it."""
    value = shift = 0
    while tile[at] > 0x7F:
        value, shift, at = value | (tile[at] & 0x7F) << shift, shift + 7, at + 1
    return value | tile[at] << shift, at + 1


def _numbers(data: npt.NDArray[np.uint8], at: Ints) -> tuple[Ints, Ints]:
    """Return the varints at some places, and the places behind them."""
    byte = data[at]
    values, behind = (byte & 0x7F).astype(np.int64), at + 1
    rows, shift = (byte > 0x7F).nonzero()[0], 7
    while len(rows):
        byte = data[behind[rows]]
        values[rows] |= (byte & 0x7F).astype(np.int64) << shift
        behind[rows] += 1
        rows, shift = rows[byte > 0x7F], shift + 7
    return values, behind
