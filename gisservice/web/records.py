"""The catalogue as a collection of records, one for each layer, that can be searched (OGC API Records 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from gisservice.errors import ItemNotFound
from gisservice.model import RESERVED_ID, Condition, GeometryKind, Page
from gisservice.query import matching, page_of, schemas
from gisservice.query.conditions import During
from gisservice.query.systems import offered
from gisservice.web import params
from gisservice.web.catalogue import Entry, instant, published, union
from gisservice.web.exchange import Answer, Offer, Request, document, to_json
from gisservice.web.itemparams import ItemsRequest, Terms, parse_items
from gisservice.web.links import (
    CATALOG_PATH,
    DCAT_PATH,
    GEOJSON,
    HTML,
    JSON,
    QUERYABLES,
    SCHEMA,
    SCHEMA_JSON,
    SORTABLES,
    Link,
    collection_path,
    dictionary_path,
    header,
    items_path,
    link,
)
from gisservice.web.params import Parameter
from gisservice.web.recordtable import COLUMNS, DATASET, RecordTable, Those, lasting, speaking_of
from gisservice.web.service import Service

CATALOG_JSON = "application/ogc-catalog+json"
PROFILE = "http://www.opengis.net/def/profile/OGC/0/ogc-catalog"

_CONF = "http://www.opengis.net/spec/ogcapi-records-1/1.0/conf"
CONFORMANCE = tuple(
    f"{_CONF}/{name}"
    for name in (
        "record-core",
        "record-collection",
        "record-core-query-parameters",
        "record-api",
        "sorting",
        "filtering",
        "json",
        "html",
        "oas30",
        "autodiscovery",
        "searchable-catalog",
        "searchable-catalog-filtering",
        "searchable-catalog-sorting",
    )
)
"""The conformance classes that the tests hold the catalogue to."""

_TEXTS = {"type": "array", "items": {"type": "string"}}
PARAMETERS = (
    Parameter(
        "q",
        "Only records that speak of one of these words, or of words with blanks between them in that order: in title, "
        "description, keywords, or the names and meanings of the layer's fields. Case does not matter.",
        _TEXTS,
    ),
    Parameter("type", "Only records of resources of these types; layers are of the type 'dataset'.", _TEXTS),
    Parameter("ids", "Only the records with these ids; an empty list has none.", _TEXTS),
    Parameter("externalIds", "Only records with these identifiers of others; ours have none.", _TEXTS),
)
"""What records can be asked by beyond what items can."""

_SHARED = ("limit", "offset", "bbox", "bbox-crs", "datetime", "filter", "filter-lang", "filter-crs", "sortby")
NAMES = (*_SHARED, *(entry.name for entry in PARAMETERS), "f")
"""The query parameters of a page of records."""

Object = dict[str, Any]


def collection(service: Service, request: Request) -> Answer:
    """Answer the description of the catalogue."""
    params.parse_format(params.read(request.query, ("f",)))
    entries = published(service)
    media = request.media_type(CATALOG_JSON, JSON)
    return document(request, media, ("catalog", *_key(service, entries)), lambda: describe(service, request, entries))


def describe(service: Service, request: Request, entries: Sequence[Entry] | None = None) -> Object:
    """Return the description of the catalogue, as the list of collections has it, too."""
    entries = published(service) if entries is None else entries
    city = service.registry.city
    described: Object = {
        "id": RESERVED_ID,
        "type": "Collection",
        "itemType": "record",
        "title": f"Catalog of {city.name}",
        "description": "A record for each published layer: what it is, where, since when, and how to have it.",
        "language": {"code": "en", "name": "English"},
        "itemCount": len(entries),
        "crs": [system.uri for system in _terms(service).systems],
        "defaultSortOrder": [{"field": "id", "direction": "asc"}],
        "conformsTo": list(CONFORMANCE),
        "links": _collection_links(request),
    }
    if entries:
        described["updated"] = instant(max(entry.modified for entry in entries))
    bbox = union(entries)
    if bbox is not None:
        described["extent"] = {"spatial": {"bbox": [bbox], "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"}}
    return described


def _collection_links(request: Request) -> list[Link]:
    return [
        link(request, CATALOG_PATH, "self", CATALOG_JSON, "The catalog"),
        link(request, f"{CATALOG_PATH}?f=html", "alternate", HTML, "The catalog as a page"),
        link(request, DCAT_PATH, "alternate", JSON, "The catalog as DCAT-US 3.0"),
        link(request, f"{CATALOG_PATH}/items", "items", GEOJSON, "Its records"),
        link(request, f"{CATALOG_PATH}/schema", SCHEMA, SCHEMA_JSON, "What its records consist of"),
        link(request, f"{CATALOG_PATH}/queryables", QUERYABLES, SCHEMA_JSON, "What records can be asked for by"),
        link(request, f"{CATALOG_PATH}/sortables", SORTABLES, SCHEMA_JSON, "What records can be sorted by"),
    ]


def schema(service: Service, request: Request) -> Answer:
    """Answer the schema of a record's properties."""
    return _schema(service, request, "schema", schemas.returnables(COLUMNS, GeometryKind.POLYGON, "id"))


def queryables(service: Service, request: Request) -> Answer:
    """Answer what records can be asked for by."""
    return _schema(service, request, "queryables", schemas.queryables(COLUMNS, GeometryKind.POLYGON, "id"))


def sortables(service: Service, request: Request) -> Answer:
    """Answer what records can be sorted by."""
    return _schema(service, request, "sortables", schemas.sortables(COLUMNS, "id"))


def _schema(service: Service, request: Request, name: str, content: Object) -> Answer:
    params.parse_format(params.read(request.query, ("f",)))
    head = {"$schema": schemas.DIALECT, "$id": f"{request.address}{CATALOG_PATH}/{name}"}
    head["title"] = f"Catalog of {service.registry.city.name}"
    content["properties"]["updated"].pop("x-ogc-role")  # 'datetime' asks for the time of a layer's items
    key = ("records", name, service.edition)
    return document(request, request.media_type(SCHEMA_JSON, JSON), key, lambda: head | content)


@dataclass(frozen=True)
class Asked:
    """A checked request for records: as for items, with the conditions that only records have."""

    items: ItemsRequest
    own: tuple[tuple[str, str], ...]
    """The parameters that items do not have, as given."""

    def text(self, offset: int, form: str = "") -> str:
        """Return the canonical query string of the page that begins at an offset."""
        given = [pair for pair in self.items.given if pair[0] != "f"]
        pairs = [*given, *self.own, *([("offset", str(offset))] if offset else []), *([("f", form)] if form else [])]
        return urlencode(pairs, safe=",:/")


def records(service: Service, request: Request) -> Answer:
    """Answer a page of records."""
    asked = _parse(service, request)
    entries = published(service)
    offset = asked.items.query.offset
    key = ("records", *_key(service, entries), *service.page_limits, asked.text(offset))
    offer = Offer.make(request, request.media_type(GEOJSON, JSON), key)
    if unchanged := offer.unchanged():
        return unchanged
    table = RecordTable(entries)
    page = page_of(matching(table, asked.items.query, union(entries)), asked.items.query)
    links = _page_links(request, asked, page, offer.media)
    content = {
        "type": "FeatureCollection",
        "numberMatched": page.number_matched,
        "numberReturned": page.number_returned,
        "features": [record_of(service, request, entries[row]) for row in page.rows.tolist()],
        "links": [*links, _profile()],
    }
    return offer.send(to_json(content), (("Link", _header(links)),))


def record(service: Service, request: Request, *, record_id: str) -> Answer:
    """Answer one record."""
    params.parse_format(params.read(request.query, ("f",)))
    found = next((entry for entry in published(service) if entry.id == record_id), None)
    if found is None:
        raise ItemNotFound(f"The catalog has no record {record_id[:80]!r}.")
    offer = Offer.make(request, request.media_type(GEOJSON, JSON), ("record", *_key(service, [found])))
    if unchanged := offer.unchanged():
        return unchanged
    content = record_of(service, request, found)
    return offer.send(to_json(content), (("Link", _header(content["links"][:3])),))


def record_of(service: Service, request: Request, entry: Entry) -> Object:
    """Return the record of a layer as GeoJSON."""
    bbox = entry.bbox
    described: Object = {"id": entry.id, "type": "Feature", "geometry": None, "time": None}
    if bbox is not None:
        west, south, east, north = bbox
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        described["bbox"] = bbox
        described["geometry"] = {"type": "Polygon", "coordinates": [ring]}
        described["extent"] = {"spatial": {"bbox": [bbox]}}
    if entry.interval is not None:
        described["time"] = {"interval": [instant(moment) for moment in entry.interval]}
    described["conformsTo"] = [f"{_CONF}/record-core"]
    described["properties"] = _properties(service, entry)
    described["links"] = _record_links(request, entry)
    return described


def _properties(service: Service, entry: Entry) -> Object:
    contact: Object = {"name": entry.contact.name, "organization": service.registry.city.name}
    if entry.contact.email:
        contact["emails"] = [{"value": entry.contact.email}]
    found: Object = {
        "type": DATASET,
        "title": entry.title,
        "description": entry.description,
        "keywords": list(entry.keywords),
        "language": {"code": "en"},
        "updated": instant(entry.modified),
        "contacts": [{**contact, "roles": ["pointOfContact"]}],
        "formats": [{"name": name, "mediaType": media} for name, media in _formats(entry)],
    }
    if entry.licence.spdx:
        found["license"] = entry.licence.spdx
    elif entry.licence.url:
        found["license"] = "other"
    elif entry.licence.text:
        found["rights"] = entry.licence.text
    if entry.has_items:
        found["items"] = entry.collection.manifest.count
    return found


def _formats(entry: Entry) -> list[tuple[str, str]]:
    return list(dict.fromkeys((file.title, file.media) for file in entry.files))


def _record_links(request: Request, entry: Entry) -> list[Link]:
    path = f"{CATALOG_PATH}/items/{entry.id}"
    links = [
        link(request, path, "self", GEOJSON, "This record"),
        link(request, f"{path}?f=html", "alternate", HTML, "This record as a page"),
        link(request, CATALOG_PATH, "collection", CATALOG_JSON, "The catalog it belongs to"),
        _profile(),
        link(request, f"/layers/{entry.id}", "about", HTML, "About this layer, for people"),
        link(request, collection_path(entry.id), "describes", JSON, "The layer as a collection"),
    ]
    if entry.has_items:
        links.append(link(request, items_path(entry.id), "items", GEOJSON, "Its items"))
        links.append(link(request, dictionary_path(entry.id), "describedby", JSON, "What its columns mean"))
    links += [
        link(request, file.path, "enclosure", file.media, f"{file.title}, in {file.system}") for file in entry.files
    ]
    if entry.licence.url:
        links.append({"href": entry.licence.url, "rel": "license", "title": "The licence of the data"})
    return links


def _profile() -> Link:
    return {"href": PROFILE, "rel": "profile", "title": "The profile that records follow"}


def _header(links: Sequence[Link]) -> str:
    return f'{header(list(links))}, <{PROFILE}>; rel="profile"'


def _page_links(request: Request, asked: Asked, page: Page, media: str) -> list[Link]:
    def to(query: str, rel: str, media: str, title: str) -> Link:
        return link(request, items_path(RESERVED_ID, query), rel, media, title)

    offset, limit = page.start, asked.items.query.limit
    links = [
        to(asked.text(offset), "self", media, "This page"),
        to(asked.text(offset, "html"), "alternate", HTML, "This page to be read"),
        link(request, CATALOG_PATH, "collection", CATALOG_JSON, "The catalog"),
    ]
    if page.next_offset is not None:
        links.append(to(asked.text(page.next_offset), "next", media, "The next page"))
    if offset:
        links.append(to(asked.text(max(0, offset - limit)), "prev", media, "The page before"))
    return links


def _parse(service: Service, request: Request) -> Asked:
    values = params.read(request.query, NAMES)
    params.parse_format(values)
    own = tuple((entry.name, values.pop(entry.name)) for entry in PARAMETERS if entry.name in values)
    items = parse_items(values, _terms(service))
    conditions = [*map(_own_time, items.query.conditions), *(_condition(name, text) for name, text in own)]
    return Asked(replace(items, query=replace(items.query, conditions=tuple(conditions))), own)


def _own_time(condition: Condition) -> Condition:
    """Return the condition on time as one on the time of a layer's items, not on that of its publication."""
    if not isinstance(condition, During):
        return condition
    return Those(condition.text, lasting(condition.start, condition.end))


def _condition(name: str, text: str) -> Condition:
    listed = text.split(",") if text else []
    passes = {
        "q": speaking_of(listed),
        "type": lambda entry: DATASET in listed,
        "ids": lambda entry: entry.id in listed,
        "externalIds": lambda entry: False,
    }[name]
    return Those(f"{name}={text}", passes)


def _terms(service: Service) -> Terms:
    limits = service.settings.items_limit, service.settings.items_limit_max
    return Terms(COLUMNS, offered("OGC:CRS84", service.settings.crs_offered), *limits)


def _key(service: Service, entries: Sequence[Entry]) -> tuple[str, ...]:
    return (service.edition, *(f"{entry.key} {entry.files!r}" for entry in entries))
