"""The feed of publications (RSS 2.0): every version that is kept, the one that became current last first."""

from __future__ import annotations

from collections.abc import Iterable
from email.utils import format_datetime
from xml.etree import ElementTree

from gisservice.maps.wording import day
from gisservice.model import Version
from gisservice.query.formats.markup import plain
from gisservice.web import params
from gisservice.web.catalogue import Entry, published
from gisservice.web.exchange import Answer, Offer, Request
from gisservice.web.links import FEED_PATH
from gisservice.web.service import Service

RSS = "application/rss+xml"

ITEMS_MAX = 100
"""Publications in the feed; a nightly run of thirty layers is three days of them."""

_ATOM = "http://www.w3.org/2005/Atom"
ElementTree.register_namespace("atom", _ATOM)


def publications(service: Service, request: Request) -> Answer:
    """Answer the feed."""
    params.read(request.query, ())
    entries = published(service)
    key = ("feed", service.edition, *(f"{entry.id} {entry.versions!r}" for entry in entries))
    offer = Offer.make(request, request.media_type(RSS), key)
    return offer.unchanged() or offer.send(_written(service, request, entries))


def _written(service: Service, request: Request, entries: Iterable[Entry]) -> bytes:
    news = [(version, entry) for entry in entries for version in entry.versions]
    news.sort(key=lambda pair: (pair[0].published, pair[0].collection), reverse=True)
    city = service.registry.city
    root = ElementTree.Element("rss", version="2.0")
    channel = ElementTree.SubElement(root, "channel")
    _text(channel, "title", f"Data published by {city.name}")
    _text(channel, "link", f"{request.address}/")
    _text(channel, "description", f"New versions of the layers of {city.name}. {city.notice}".rstrip())
    _text(channel, "language", "en")
    if news:
        _text(channel, "lastBuildDate", format_datetime(news[0][0].published))
    myself = {"href": request.address + FEED_PATH, "rel": "self", "type": RSS}
    ElementTree.SubElement(channel, f"{{{_ATOM}}}link", myself)
    for version, entry in news[:ITEMS_MAX]:
        _item(channel, request, version, entry)
    ElementTree.indent(root)
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _item(channel: ElementTree.Element, request: Request, version: Version, entry: Entry) -> None:
    item = ElementTree.SubElement(channel, "item")
    how = "published" if version.action == "publish" else "rolled back to"
    count = f" {version.count:,} records." if entry.has_items else ""
    _text(item, "title", f"{entry.title}: version of {day(version.published)}")
    _text(item, "link", f"{request.address}/layers/{entry.id}")
    _text(item, "description", f"{entry.title}: version {version.id} was {how}.{count}")
    _text(item, "pubDate", format_datetime(version.published))
    guid = _text(item, "guid", f"{entry.id} {version.id} {version.published.isoformat()}")
    guid.set("isPermaLink", "false")


def _text(parent: ElementTree.Element, name: str, text: str) -> ElementTree.Element:
    element = ElementTree.SubElement(parent, name)
    element.text = plain(text)
    return element
