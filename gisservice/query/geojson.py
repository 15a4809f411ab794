"""Items as GeoJSON: stored bytes with a head and links around them, or written anew in the form asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Lock
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from gisservice.catalog import Features
from gisservice.catalog.layout import ITEM_SEPARATOR, geometry_texts, properties_texts
from gisservice.model import STORED, BBox, Form, Page
from gisservice.query.shaping import decimals_of, shaped_distinct

Rows = npt.NDArray[np.int64]

END = b"\n]}\n"
"""What closes a page that :func:`opening` began."""

_PIECE_BYTES = 1 << 18
"""Of stored items that are sliced at once, a larger one by itself."""

_ROWS_AT_ONCE = 256
"""Items in a form of their own are written so many at a time; the bounds of a page are looked at between."""

_GEOMETRY, _PROPERTIES = b',"geometry":', b',"properties":'


Links = Sequence[Mapping[str, str]] | orjson.Fragment
"""Links as objects, or as the JSON array that they are written as."""

Alarm = Callable[[], bool]
"""Tells whether the time is over."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where a page is cut: after so many bytes of items, or once ``is_late`` says so; it has one item at least."""

    bytes_max: int
    is_late: Alarm = lambda: False


class Stored(NamedTuple):
    """Stored items as views of the file, to be put one behind the other, and their bytes, a separator for each."""

    views: list[memoryview]
    size: int


UNBOUNDED = Bounds(1 << 62)


@dataclass(frozen=True, slots=True)
class Written:
    """The items of a page, one a line, in pieces of one or several that are to be joined by ``,\\n``.

    ``size`` is how many bytes they have when joined, None where the pieces have to be counted.
    """

    pieces: Iterable[bytes]
    count: int
    size: int | None = None
    was_late: bool = False


def opening(page: Page, links: Links = (), timestamp: datetime | None = None) -> bytes:
    """Return the beginning of a FeatureCollection (OGC API Features 1, 17-069r4, 7.15), up to its first item.

    ``links`` are objects with ``href``, ``rel`` and so on; ``timestamp`` is written in UTC to the second, and left
    out when None.
    """
    head: dict[str, object] = {"type": "FeatureCollection"}
    if timestamp is not None:
        head["timeStamp"] = timestamp.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    head |= {"numberMatched": page.number_matched, "numberReturned": page.number_returned, "links": links}
    return orjson.dumps(head)[:-1] + b',"features":[\n'


def encode_collection(
    features: Features,
    page: Page,
    links: Sequence[Mapping[str, str]] = (),
    timestamp: datetime | None = None,
    area: BBox | None = None,
) -> bytes:
    """Return a whole page as a GeoJSON FeatureCollection, each item on a line of its own."""
    written = write_items(features, page.rows, page.query.form, area)
    return b"".join([opening(page, links, timestamp), joined(written.pieces), END])


def stored(features: Features, rows: Rows) -> Stored:
    """Return the stored items in some rows."""
    views = features.item_views(rows)
    return Stored(views, sum(map(len, views)) + len(ITEM_SEPARATOR))


def stored_page(page: Page, found: Stored, links: Links) -> bytes:
    """Return a whole page of stored items."""
    return b"".join([opening(page, links), *found.views, END])


def encode_item(
    features: Features,
    row: int,
    links: Sequence[Mapping[str, str]] = (),
    form: Form = STORED,
    area: BBox | None = None,
) -> bytes:
    """Return one item as a GeoJSON Feature, with ``links`` as a member of it when there are any."""
    if form.is_stored:
        item = features.item(row)
    else:
        (item,) = write_items(features, np.array([row], dtype=np.int64), form, area).pieces
    if not links:
        return item
    return b"".join([item[:-1], b',"links":', orjson.dumps(list(links)), b"}"])


def joined(pieces: Iterable[bytes]) -> bytes:
    """Return the items of a page as they stand in it."""
    return ITEM_SEPARATOR.join(pieces)


def fitting(features: Features, rows: Rows, bytes_max: int) -> int:
    """Return how many of the stored items in these rows fit into so many bytes; one always does."""
    sizes = features.item_sizes(rows)
    if int(sizes.sum()) <= bytes_max:
        return len(rows)
    return max(1, int(np.searchsorted(sizes.cumsum(), bytes_max, side="right")))


def write_items(features: Features, rows: Rows, form: Form, area: BBox | None, bounds: Bounds = UNBOUNDED) -> Written:
    """Return items in a form. What is stored in that form is sliced, and nothing is parsed or formatted again.

    ``area`` (CRS84) is where the layer lies. Raises what :func:`gisservice.query.shaping.shaped_distinct` raises.
    """
    if form.is_stored:
        size = int(features.item_sizes(rows).sum()) - len(ITEM_SEPARATOR)
        if 0 < size <= min(_PIECE_BYTES, bounds.bytes_max):
            return Written([features.items(rows)], len(rows), size)
        count = fitting(features, rows, bounds.bytes_max)
        size = int(features.item_sizes(rows[:count]).sum()) - len(ITEM_SEPARATOR) if count else 0
        return Written(features.item_pieces(rows[:count], _PIECE_BYTES), count, size)
    pieces: list[bytes] = []
    size = count = 0
    for texts in _in_form(features, rows, form, area):
        if pieces and bounds.is_late():
            return Written(pieces, count, was_late=True)
        for text in texts:
            size += len(text) + len(ITEM_SEPARATOR)
            if pieces and size > bounds.bytes_max:
                return Written(pieces, count)
            pieces.append(text)
            count += 1
    return Written(pieces, count)


def _in_form(features: Features, rows: Rows, form: Form, area: BBox | None) -> Iterator[list[bytes]]:
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        some = rows[first : first + _ROWS_AT_ONCE]
        stored = [features.item(row) for row in some.tolist()]
        geometries = _geometries(features, some, form, area, stored)
        properties = _properties(features, some, form, stored)
        yield [
            b"".join([item[: item.index(_GEOMETRY)], _GEOMETRY, geometry, _PROPERTIES, values, b"}"])
            for item, geometry, values in zip(stored, geometries, properties, strict=True)
        ]


def _geometries(features: Features, rows: Rows, form: Form, area: BBox | None, stored: list[bytes]) -> list[bytes]:
    if not form.geometry:
        return [b"null"] * len(rows)
    if replace(form, properties=None).is_stored:
        return [item[item.index(_GEOMETRY) + len(_GEOMETRY) : _properties_at(item)] for item in stored]
    return _TEXTS.of(features, features.record_geometry[rows].tolist(), replace(form, properties=None), area)


class _GeometryTexts:
    """Geometries written in a form of their own, kept for the next page that shows them: those used last.

    A text depends on its geometry and form alone, so it is the same whether it was kept or is written anew.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def of(self, features: Features, geometries: list[int], form: Form, area: BBox | None) -> list[bytes]:
        """Return the texts of distinct geometries, by their positions in ``features.geometries``."""
        manner = f"{features.number} {form.crs} {form.decimals} {form.tolerance_m} {area}"  # a text is hashed once
        found = self._known(manner, geometries)
        missing = sorted(set(geometries).difference(found))
        if missing:
            shapes = shaped_distinct(features, np.array(missing, dtype=np.int64), form, area)
            fresh = dict(zip(missing, geometry_texts(shapes, decimals_of(form)), strict=True))
            self._keep(manner, fresh)
            found |= fresh
        return [found[geometry] for geometry in geometries]

    def _known(self, manner: str, geometries: list[int]) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        with self._lock:
            for geometry in geometries:
                text = self._kept.get((manner, geometry))
                if text is not None:
                    self._kept.move_to_end((manner, geometry))
                    found[geometry] = text
        return found

    def _keep(self, manner: str, fresh: dict[int, bytes]) -> None:
        with self._lock:
            for geometry, text in fresh.items():
                if len(text) <= self._bytes_max // 16 and (manner, geometry) not in self._kept:
                    self._kept[manner, geometry] = text
                    self._bytes += len(text) + _ENTRY_BYTES
            while self._bytes > self._bytes_max:
                self._bytes -= len(self._kept.popitem(last=False)[1]) + _ENTRY_BYTES


_TEXTS = _GeometryTexts(1 << 24)
"""Of the 26,000 geometries of a city's parcels, all in one system and more."""

_ENTRY_BYTES = 300
"""What an entry costs beside its text, about."""


def _properties(features: Features, rows: Rows, form: Form, stored: list[bytes]) -> list[bytes]:
    if form.properties is None:
        return [item[_properties_at(item) + len(_PROPERTIES) : -1] for item in stored]
    return list(properties_texts(features.attributes.select(list(form.properties)).take(pa.array(rows))))


def _properties_at(item: bytes) -> int:
    """Return where the properties of a stored item begin.

    No text before them can hold the bytes that are looked for: inside a JSON text the quotes are escaped.
    """
    return item.index(_PROPERTIES, item.index(_GEOMETRY))
