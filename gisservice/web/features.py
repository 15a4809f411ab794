"""Items over HTTP: a page of them, or one (OGC API Features 1, 7.15 and 7.16; 2; 3)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, partial

from gisservice.catalog import Collection, Features
from gisservice.errors import ItemNotFound, NotFound
from gisservice.model import Page
from gisservice.query import page_of
from gisservice.query.formats import GEOJSON, Format
from gisservice.query.geojson import Alarm, Bounds, Stored, stored, stored_page
from gisservice.query.paging import read_token
from gisservice.query.systems import way_to
from gisservice.web.asking import FinishedPage, area_of
from gisservice.web.exchange import Answer, Headers, Offer, Request
from gisservice.web.itemformats import (
    ITEM_FORMATS,
    PAGE_FORMATS,
    WHOLE_BYTES,
    WHOLE_ROWS,
    Leaf,
    negotiate,
    write_item,
    write_page,
)
from gisservice.web.itemparams import ItemsRequest
from gisservice.web.links import (
    HTML,
    JSON,
    QUERYABLES,
    SCHEMA_JSON,
    SORTABLES,
    Link,
    Pattern,
    Written,
    collection_path,
    header,
    item_path,
    items_path,
    link,
)  # fmt: skip
from gisservice.web.service import Service

PAGE_KEPT_BYTES = 1 << 20
"""Pages of so many bytes at most are kept for the next who asks."""

PAGE_ANEW_ROWS = 100
"""Items that are written in another form than the stored one without waiting for a turn."""

_TOKEN = re.compile(r"(?:^|&)token=([A-Za-z0-9_-]{24})(?:&|$)", re.ASCII)


def items(service: Service, request: Request, *, collection_id: str) -> Answer:
    """Answer a page of a collection's items: parse, decide on the ETag, look for a finished one, select, encode."""
    collection, asked = _asked(service, request, collection_id)
    chosen, media = negotiate(request, asked, PAGE_FORMATS)
    key = ("items", service.edition, *_name(collection), *service.page_limits, chosen.name, asked.text)
    offer = Offer.make(request, media, key)
    if unchanged := offer.unchanged():
        return unchanged
    kept = service.pages.kept((offer.etag,))
    service.tally.looked_up("items", kept is not None)
    if kept is not None:
        return Answer(200, kept.headers, kept.body)
    features = _features(collection)
    page = page_of(service.asking.selection(collection, features, asked, service.selections), asked.query)
    found = stored(features, page.rows) if page.number_returned <= WHOLE_ROWS else None
    if found is not None and found.size <= WHOLE_BYTES:
        if chosen is GEOJSON and asked.query.form.is_stored and found.size <= service.settings.items_bytes_max:
            return _answer_stored(service, collection, asked, page, found, offer)
        if page.number_returned <= PAGE_ANEW_ROWS:
            return _answer_page(service, collection, asked, page, chosen, offer)
        with service.selections.passed():
            return _answer_page(service, collection, asked, page, chosen, offer)
    service.large_pages.enter()
    leave = _once(service.large_pages.leave)
    try:
        return _answer_page(service, collection, asked, page, chosen, offer, leave)
    except BaseException:
        leave()
        raise


def item(service: Service, request: Request, *, collection_id: str, item_id: str) -> Answer:
    """Answer one item: its stored bytes, or in the form asked for, with the links after them."""
    collection = _with_items(service.catalog.collection(collection_id))
    asked = service.asking.item(collection, request.query)
    chosen, media = negotiate(request, asked, ITEM_FORMATS)
    row = _features(collection).row(item_id)
    if row is None:
        raise ItemNotFound(f"Collection {collection_id!r} has no item {item_id[:80]!r}.")
    offer = Offer.make(request, media, ("item", service.edition, *_name(collection), item_id, chosen.name, asked.text))
    if unchanged := offer.unchanged():
        return unchanged

    def to(query: str, rel: str, media: str, title: str) -> Link:
        return link(request, item_path(collection_id, item_id, query), rel, media, title)

    links = [to(asked.text, "self", media, "This item")]
    links += [to(asked.text_as(e.name), "alternate", e.media, e.title) for e in ITEM_FORMATS if e is not chosen]
    links.append(to(asked.text_as("html"), "alternate", HTML, "This item as a page"))
    links.append(link(request, collection_path(collection_id), "collection", JSON, "The collection it belongs to"))
    content = write_item(_leaf(service, collection), chosen, asked, row, links)
    return offer.send(content, (("Link", header(links) + _profile(chosen)), *_crs_headers(collection, asked)))


def _asked(service: Service, request: Request, collection_id: str) -> tuple[Collection, ItemsRequest]:
    """Return what is asked for, and the version that it is asked of: the current one, or the one a token names."""
    collection = service.catalog.collection(collection_id)
    named = _TOKEN.search(request.query) if request.query else None
    if named is not None:
        version = read_token(named[1]).version
        if version != collection.version:
            collection = service.pinned.collection(collection_id, version)
    return collection, service.asking.items(_with_items(collection), request.query)


def _answer_stored(
    service: Service, collection: Collection, asked: ItemsRequest, page: Page, found: Stored, offer: Offer
) -> Answer:
    """Write a page of stored items as they are, and keep it."""
    links = _page_links(collection, asked, GEOJSON, offer, page)
    extra = (("Link", links.header), *_crs_headers(collection, asked))
    return _kept(service, offer, offer.send(stored_page(page, found, links.json), extra))


def _answer_page(
    service: Service,
    collection: Collection,
    asked: ItemsRequest,
    page: Page,
    chosen: Format,
    offer: Offer,
    let_go: Callable[[], None] | None = None,
) -> Answer:
    """Write a page and keep it. With ``let_go``, send it while it is written, and call that when it was sent."""
    bounds = Bounds(service.settings.items_bytes_max, _alarm(service.settings.items_seconds_max))
    leaf = _leaf(service, collection)
    found = write_page(leaf, chosen, asked, page, bounds, partial(_page_links, collection, asked, chosen, offer))
    extra = (("Link", found.links.header), *_crs_headers(collection, asked), *_file_name(collection, chosen))
    if found.was_late:  # another time it may be longer, so nobody may take it for the page
        offer = offer.unrepeatable()
    if let_go is not None:
        return offer.stream(found.pieces, found.size, let_go, extra)
    answer = offer.send(b"".join(found.pieces), extra)
    return answer if found.was_late else _kept(service, offer, answer)


def _kept(service: Service, offer: Offer, answer: Answer) -> Answer:
    """Keep a page for the next who asks, if it is not too large, and return it."""
    assert isinstance(answer.body, bytes)
    if len(answer.body) <= PAGE_KEPT_BYTES:
        service.pages.keep((offer.etag,), FinishedPage(answer.headers, answer.body))
    return answer


def _alarm(seconds: int) -> Alarm:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def _name(collection: Collection) -> tuple[str, str]:
    return collection.id, collection.version


def _with_items(collection: Collection) -> Collection:
    if collection.features is None:
        raise NotFound(f"Collection {collection.id!r} has no items: it is a raster.")
    return collection


def _features(collection: Collection) -> Features:
    assert collection.features is not None, "checked where the request came in"
    return collection.features


def _leaf(service: Service, collection: Collection) -> Leaf:
    return Leaf(collection.id, _features(collection), area_of(collection), service.asking.terms(collection))


def _once(action: Callable[[], None]) -> Callable[[], None]:
    """Return the action so that only its first call acts."""
    waiting = [action]

    def call() -> None:
        with suppress(IndexError):
            waiting.pop()()

    return call


def _file_name(collection: Collection, chosen: Format) -> Headers:
    """Return what a browser calls a page that it cannot show."""
    if chosen.links_in_body:
        return ()
    return (("Content-Disposition", f'attachment; filename="{collection.id}.{chosen.extension}"'),)


def _profile(chosen: Format) -> str:
    return "" if chosen.profile is None else f', <{chosen.profile}>; rel="profile"'


def _crs_headers(collection: Collection, asked: ItemsRequest) -> Headers:
    """Return the system of the positions (OGC API Features 2, 7.6), and how they came there, and how exactly."""
    named = (("Content-Crs", f"<{asked.system.uri}>"),)
    operation = way_to(asked.system.code, area_of(collection)).record
    if not operation.definition:
        return named
    accuracy = "unknown" if operation.accuracy_m is None else f"{operation.accuracy_m:g}"
    name = operation.name.encode("ascii", "replace").decode().replace('"', "'")
    return (*named, ("Crs-Operation", f'"{name}";accuracy_m={accuracy}'))


def _page_links(collection: Collection, asked: ItemsRequest, chosen: Format, offer: Offer, page: Page) -> Written:
    onward = page.next_offset is not None
    blanks = {"here": f"?{asked.text}" if asked.text else "", "form": asked.before_form}
    if onward:
        blanks["next"] = asked.text_from(collection.version, int(page.rows[-1]))
    if page.before is not None:
        blanks["before"] = asked.text_from(collection.version, page.before)
    pattern = _pattern(offer.request.address, collection.id, chosen, offer.media, onward, page.before is not None)
    return pattern.filled(blanks)


@lru_cache(maxsize=1_024)
def _pattern(address: str, collection_id: str, chosen: Format, media: str, onward: bool, back: bool) -> Pattern:
    """Return the links of a page of items in a format; what a request asked for is left blank."""
    path = address + items_path(collection_id)
    found = [(path + "%(here)s", "self", media, "This page")]
    if onward:
        found.append((path + "?%(next)s", "next", media, "The next page"))
    if back:
        found.append((path + "?%(before)s", "prev", media, "The page before"))
    others = [(e.name, e.media, e.title) for e in PAGE_FORMATS if e is not chosen]
    for name, kind, title in (*others, ("html", HTML, "This page as a table to be read")):
        found.append((f"{path}?%(form)sf={name}", "alternate", kind, title))
    home = address + collection_path(collection_id)
    found += [
        (home, "collection", JSON, "The collection"),
        (f"{home}/queryables", QUERYABLES, SCHEMA_JSON, "What items can be asked for by"),
        (f"{home}/sortables", SORTABLES, SCHEMA_JSON, "What items can be sorted by"),
    ]
    links = [{"href": href, "rel": rel, "type": kind, "title": title} for href, rel, kind, title in found]
    return Pattern(links, _profile(chosen))
