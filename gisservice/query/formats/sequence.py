"""A page as a GeoJSON text sequence (RFC 8142): each feature between a record separator and a line feed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gisservice.catalog.layout import ITEM_SEPARATOR

_SEPARATOR = b"\x1e"


def encode_sequence(items: Iterable[bytes]) -> Iterator[bytes]:
    """Yield finished GeoJSON features as a text sequence, a piece for each one given.

    A piece of ``items`` is one feature or several joined by comma and line feed, as the stored items are. Inside a
    feature that pair of bytes cannot occur: JSON writes a line feed in a text as an escape.
    """
    for item in items:
        yield b"".join([_SEPARATOR, item.replace(ITEM_SEPARATOR, b"\n" + _SEPARATOR), b"\n"])
