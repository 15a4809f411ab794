"""Items over HTTP: a page of them, or one (OGC API Features 1, 7.15 and 7.16; 2; 3)."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from gisservice.catalog import Collection, Features
from gisservice.errors import ItemNotFound, NotFound
from gisservice.model import BBox, Page
from gisservice.query import geojson, page_of
from gisservice.query.geojson import Bounds, Written
from gisservice.query.paging import read_token
from gisservice.query.systems import way_to
from gisservice.web import params
from gisservice.web.asking import FinishedPage
from gisservice.web.exchange import NOT_KEPT, Answer, Headers, Offer, Request
from gisservice.web.itemparams import ItemsRequest
from gisservice.web.links import (
    GEOJSON,
    JSON,
    QUERYABLES,
    SCHEMA_JSON,
    Link,
    collection_path,
    header,
    item_path,
    items_path,
    link,
)  # fmt: skip
from gisservice.web.service import Service

PAGE_KEPT_BYTES = 1 << 20
"""Largest finished page that is kept for the next who asks."""

_TOKEN = re.compile(r"(?:^|&)token=([A-Za-z0-9_-]{24})(?:&|$)", re.ASCII)


def items(service: Service, request: Request, *, collection_id: str) -> Answer:
    """Answer a page of a collection's items: parse, decide on the ETag, look for a finished one, select, encode."""
    collection, asked = _asked(service, request, collection_id)
    media = _media(request, asked)
    key = ("items", service.edition, *_name(collection), *service.page_limits, asked.text)
    offer = Offer.make(request, media, key)
    if unchanged := offer.unchanged():
        return unchanged
    kept = service.pages.kept((offer.etag,))
    if kept is None:
        made = _make_page(service, request, collection, asked, offer)
        if isinstance(made, Answer):
            return made
        kept = service.pages.get((offer.etag,), lambda: made)
    return Answer(200, kept.headers, kept.body)


def item(service: Service, request: Request, *, collection_id: str, item_id: str) -> Answer:
    """Answer one item: its stored bytes, or in the form asked for, with the links after them."""
    collection = _with_items(service.catalog.collection(collection_id))
    asked = service.asking.item(collection, request.query)
    media = _media(request, asked)
    features = _features(collection)
    row = features.row(item_id)
    if row is None:
        raise ItemNotFound(f"Collection {collection_id!r} has no item {item_id[:80]!r}.")
    offer = Offer.make(request, media, ("item", service.edition, *_name(collection), item_id, asked.text))
    if unchanged := offer.unchanged():
        return unchanged
    links = [
        link(request, item_path(collection_id, item_id, asked.text), "self", media, "This item"),
        link(request, collection_path(collection_id), "collection", JSON, "The collection it belongs to"),
    ]
    content = geojson.encode_item(features, row, links, asked.query.form, _area(collection))
    return offer.send(content, (("Link", header(links)), *_crs_headers(collection, asked)))


def _asked(service: Service, request: Request, collection_id: str) -> tuple[Collection, ItemsRequest]:
    """Return what is asked for, and the version that it is asked of: the current one, or the one a token names."""
    collection = service.catalog.collection(collection_id)
    named = _TOKEN.search(request.query) if request.query else None
    if named is not None:
        version = read_token(named[1]).version
        if version != collection.version:
            collection = service.pinned.collection(collection_id, version)
    return collection, service.asking.items(_with_items(collection), request.query)


def _make_page(
    service: Service, request: Request, collection: Collection, asked: ItemsRequest, offer: Offer
) -> FinishedPage | Answer:
    """Return a finished page to be kept; one that is too large or was cut for lack of time as an answer."""
    features = _features(collection)
    page = page_of(service.asking.selection(collection, features, asked), asked.query)
    bounds = Bounds(service.settings.items_bytes_max, _alarm(service.settings.items_seconds_max))
    written = geojson.write_items(features, page.rows, asked.query.form, _area(collection), bounds)
    page = page.shortened(written.count)
    links = _page_links(request, collection, asked, page, offer.media)
    extra = (("Link", header(links)), *_crs_headers(collection, asked))
    answer = offer.send(_body(page, links, written), extra)
    assert isinstance(answer.body, bytes)
    if written.was_late:  # another time it may be longer, so nobody may take it for the page
        unfit = ("ETag", "Cache-Control")
        headers = tuple(pair for pair in answer.headers if pair[0] not in unfit)
        return Answer(200, (*headers, ("Cache-Control", NOT_KEPT)), answer.body)
    if len(answer.body) > PAGE_KEPT_BYTES:
        return answer
    return FinishedPage(answer.headers, answer.body)


def _body(page: Page, links: Sequence[Link], written: Written) -> bytes:
    return b"".join([geojson.opening(page, links), geojson.joined(written.pieces), geojson.END])


def _alarm(seconds: int) -> geojson.Alarm:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def _media(request: Request, asked: ItemsRequest) -> str:
    params.parse_format({} if asked.form is None else {"f": asked.form})
    return request.media_type(GEOJSON, JSON)


def _name(collection: Collection) -> tuple[str, str]:
    return collection.id, collection.version


def _area(collection: Collection) -> BBox | None:
    extent = collection.manifest.extent
    return None if extent is None else extent.bbox


def _with_items(collection: Collection) -> Collection:
    if collection.features is None:
        raise NotFound(f"Collection {collection.id!r} has no items: it is a raster.")
    return collection


def _features(collection: Collection) -> Features:
    assert collection.features is not None, "checked where the request came in"
    return collection.features


def _crs_headers(collection: Collection, asked: ItemsRequest) -> Headers:
    """Return the system of the positions (OGC API Features 2, 7.6), and how they came there, and how exactly."""
    named = (("Content-Crs", f"<{asked.system.uri}>"),)
    operation = way_to(asked.system.code, _area(collection)).record
    if not operation.definition:
        return named
    accuracy = "unknown" if operation.accuracy_m is None else f"{operation.accuracy_m:g}"
    name = operation.name.encode("ascii", "replace").decode().replace('"', "'")
    return (*named, ("Crs-Operation", f'"{name}";accuracy_m={accuracy}'))


def _page_links(request: Request, collection: Collection, asked: ItemsRequest, page: Page, media: str) -> list[Link]:
    def to(query: str, rel: str, title: str) -> Link:
        return link(request, items_path(collection.id, query), rel, media, title)

    links = [to(asked.text, "self", "This page")]
    if page.next_offset is not None:
        links.append(to(asked.text_from(collection.version, int(page.rows[-1])), "next", "The next page"))
    if page.before is not None:
        links.append(to(asked.text_from(collection.version, page.before), "prev", "The page before"))
    path = collection_path(collection.id)
    links.append(link(request, path, "collection", JSON, "The collection"))
    links.append(link(request, f"{path}/queryables", QUERYABLES, SCHEMA_JSON, "What items can be asked for by"))
    return links
