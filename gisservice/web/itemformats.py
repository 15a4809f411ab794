"""Items in the formats that ``f`` and Accept can ask for: which one, and its bytes piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from gisservice.catalog import Features
from gisservice.catalog.layout import ITEM_SEPARATOR
from gisservice.errors import InvalidParameter
from gisservice.model import STORED, BBox, Page
from gisservice.query import geojson
from gisservice.query.formats import (
    CSV,
    FLATGEOBUF,
    FORMATS,
    GEOJSON,
    JSON_FG,
    SEQUENCE,
    Extract,
    Format,
    encode_csv,
    encode_flatgeobuf,
    encode_jsonfg,
    encode_jsonfg_item,
    encode_sequence,
)  # fmt: skip
from gisservice.query.geojson import Bounds
from gisservice.query.systems import CRS84_CODE
from gisservice.web.exchange import Request
from gisservice.web.itemparams import ItemsRequest, Terms
from gisservice.web.links import JSON, Link, Written

PAGE_FORMATS = tuple(FORMATS.values())
"""Formats of a page, the default first."""

ITEM_FORMATS = (GEOJSON, JSON_FG)
"""Formats of one item."""

WHOLE_ROWS, WHOLE_BYTES = 1_000, 2 << 20
"""A page of so many items, and so many bytes as stored, is put together at once (a thousand parcels are less); a larger
one is sent while it is written.
"""

LinkUp = Callable[[Page], Written]


@dataclass(frozen=True)
class Leaf:
    """What a page is written from: items of one version."""

    layer: str
    features: Features
    area: BBox | None
    terms: Terms


@dataclass(frozen=True)
class Writing:
    """A page in a format: its pieces, how many bytes they have (None: not known yet), how many items are in it."""

    page: Page
    links: Written
    pieces: Iterable[bytes]
    size: int | None = None
    was_late: bool = False


def negotiate(request: Request, asked: ItemsRequest, formats: tuple[Format, ...]) -> tuple[Format, str]:
    """Return the format that a caller asks for, and the media type to send it as.

    ``f`` decides alone where it is given. Raises :class:`InvalidParameter`, :class:`NotAcceptable`.
    """
    if asked.form is not None:
        found = next((entry for entry in formats if entry.name == asked.form), None)
        if found is None:
            names = ", ".join(repr(entry.name) for entry in formats)
            raise InvalidParameter("f", asked.form, f"one of {names}, 'html'")
        return found, found.media
    by_media = _by_media(formats)
    media = request.media_type(*by_media)
    chosen = by_media[media]
    return chosen, JSON if media == JSON else chosen.media


@lru_cache
def _by_media(formats: tuple[Format, ...]) -> dict[str, Format]:
    found: dict[str, Format] = {}
    for entry in formats:
        for media in (entry.media, *entry.also):
            found.setdefault(media, entry)
    return found


def write_page(leaf: Leaf, chosen: Format, asked: ItemsRequest, page: Page, bounds: Bounds, link_up: LinkUp) -> Writing:
    """Return a page in a format, cut where the bounds cut it. ``link_up`` makes the links of the page as it is then.

    Raises what :func:`gisservice.query.shaping.shaped` raises.
    """
    form, rows = asked.query.form, page.rows
    if chosen in (CSV, FLATGEOBUF):  # measured by what the items are as GeoJSON
        page = page.shortened(geojson.fitting(leaf.features, rows, bounds.bytes_max))
        extract = Extract(leaf.features, page.rows, form, leaf.area)
        pieces = encode_csv(extract) if chosen is CSV else iter([encode_flatgeobuf(extract, leaf.layer)])
        return Writing(page, link_up(page), pieces)
    written = geojson.write_items(leaf.features, rows, form, leaf.area, bounds)
    page = page.shortened(written.count)
    links = link_up(page)
    if chosen is SEQUENCE:
        return Writing(page, links, encode_sequence(written.pieces), was_late=written.was_late)
    if chosen is JSON_FG:
        return Writing(page, links, _json_fg(leaf, asked, page, written.pieces, links), was_late=written.was_late)
    opening = geojson.opening(page, links.json)
    size = None if written.size is None else len(opening) + written.size + len(geojson.END)
    return Writing(page, links, _collection(opening, written.pieces), size, written.was_late)


def write_item(leaf: Leaf, chosen: Format, asked: ItemsRequest, row: int, links: list[Link]) -> bytes:
    """Return one item in a format."""
    form = asked.query.form
    if chosen is GEOJSON:
        return geojson.encode_item(leaf.features, row, links, form, leaf.area)
    uri, fallback = _json_fg_system(asked), None
    if uri is not None:
        fallback = geojson.encode_item(leaf.features, row, (), STORED, leaf.area)
    item = geojson.encode_item(leaf.features, row, (), form, leaf.area)
    return encode_jsonfg_item(
        item, feature_type=leaf.layer, kind=leaf.terms.kind, crs_uri=uri, fallback=fallback, links=links
    )


def _collection(opening: bytes, items: Iterable[bytes]) -> Iterator[bytes]:
    before = opening
    for piece in items:
        yield before
        yield piece
        before = ITEM_SEPARATOR
    yield opening + geojson.END if before is opening else geojson.END


def _json_fg(leaf: Leaf, asked: ItemsRequest, page: Page, items: Iterable[bytes], links: Written) -> Iterator[bytes]:
    uri, fallback = _json_fg_system(asked), None
    if uri is not None:  # one by one, as items in another form are written
        fallback = (leaf.features.item(row) for row in page.rows.tolist())
    members = {"numberMatched": page.number_matched, "numberReturned": page.number_returned, "links": links.json}
    return encode_jsonfg(
        items, feature_type=leaf.layer, kind=leaf.terms.kind, crs_uri=uri, fallback=fallback, members=members
    )


def _json_fg_system(asked: ItemsRequest) -> str | None:
    """Return the system of ``place``, None where the positions are in CRS84 and ``geometry`` has them."""
    return None if asked.query.form.crs == CRS84_CODE or not asked.query.form.geometry else asked.system.uri
