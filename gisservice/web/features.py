"""Items over HTTP: a page of them, or one (OGC API Features 1, 7.15 and 7.16)."""

from __future__ import annotations

from gisservice.catalog import Collection, Features
from gisservice.errors import ItemNotFound, NotFound
from gisservice.model import Page
from gisservice.query import encode_collection, encode_item, select
from gisservice.web import params
from gisservice.web.exchange import Answer, Offer, Request
from gisservice.web.links import GEOJSON, JSON, Link, collection_path, header, item_path, items_path, link
from gisservice.web.params import ItemsRequest
from gisservice.web.service import Service

PARAMETERS = ("limit", "offset", "bbox", "datetime", "f")


def items(service: Service, request: Request, *, collection_id: str) -> Answer:
    """Answer a page of a collection's items: parse, decide on the ETag, select, encode."""
    values = params.read(request.query, PARAMETERS)
    asked = params.parse_items(values, service.settings.items_limit, service.settings.items_limit_max)
    media = request.media_type(GEOJSON, JSON)
    collection, features = _opened(service, collection_id)
    query, text = asked.query, asked.text(asked.query.offset)
    offer = Offer.make(request, media, ("items", service.edition, *_name(collection), str(query.limit), text))
    if unchanged := offer.unchanged():
        return unchanged
    page = select(features, query)
    links = _page_links(request, collection, asked, page, media)
    return offer.send(encode_collection(features, page, links), (("Link", header(links)),))


def item(service: Service, request: Request, *, collection_id: str, item_id: str) -> Answer:
    """Answer one item: its stored bytes with the links after them."""
    params.parse_format(params.read(request.query, ("f",)))
    media = request.media_type(GEOJSON, JSON)
    collection, features = _opened(service, collection_id)
    row = features.row(item_id)
    if row is None:
        raise ItemNotFound(f"Collection {collection_id!r} has no item {item_id[:80]!r}.")
    offer = Offer.make(request, media, ("item", service.edition, *_name(collection), item_id))
    if unchanged := offer.unchanged():
        return unchanged
    links = [
        link(request, item_path(collection_id, item_id), "self", media, "This item"),
        link(request, collection_path(collection_id), "collection", JSON, "The collection it belongs to"),
    ]
    return offer.send(encode_item(features, row, links), (("Link", header(links)),))


def _name(collection: Collection) -> tuple[str, str]:
    return collection.id, collection.version


def _opened(service: Service, collection_id: str) -> tuple[Collection, Features]:
    collection = service.catalog.collection(collection_id)
    if collection.features is None:
        raise NotFound(f"Collection {collection_id!r} has no items: it is a raster.")
    return collection, collection.features


def _page_links(request: Request, collection: Collection, asked: ItemsRequest, page: Page, media: str) -> list[Link]:
    def to(offset: int, rel: str, title: str) -> Link:
        return link(request, items_path(collection.id, asked.text(offset)), rel, media, title)

    links = [to(asked.query.offset, "self", "This page")]
    if page.next_offset is not None:
        links.append(to(page.next_offset, "next", "The next page"))
    if page.previous_offset is not None:
        links.append(to(page.previous_offset, "prev", "The page before"))
    links.append(link(request, collection_path(collection.id), "collection", JSON, "The collection"))
    return links
