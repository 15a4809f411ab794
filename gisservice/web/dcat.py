"""The catalogue for harvesters: DCAT-US 3.0, and DCAT-US 1.1 (Project Open Data), which most of them still read.

Field names and cardinalities are those of the JSON Schema definitions of DCAT-US 3.0, and of the field tables of the
Project Open Data schema v1.1 for publishers outside the federal government.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gisservice.model import BBox
from gisservice.tiles import TILES_FILE
from gisservice.web import params
from gisservice.web.catalogue import Contact, Entry, File, instant, published
from gisservice.web.exchange import Answer, Request, document
from gisservice.web.links import (
    DCAT_PATH,
    JSON,
    POD_PATH,
    archive_path,
    collection_path,
    dictionary_path,
    items_path,
    tilejson_path,
)
from gisservice.web.service import Service
from gisservice.web.wmts import CAPABILITIES_PATH

CONTEXT = "https://raw.githubusercontent.com/DOI-DO/dcat-us/main/context/dcat-us-3.0.jsonld"
POD = "https://project-open-data.cio.gov/v1.1/schema"
FEATURES = "http://www.opengis.net/spec/ogcapi-features-1/1.0"
WMTS = "http://www.opengis.net/def/serviceType/ogc/wmts"

_ENGLISH = "http://id.loc.gov/vocabulary/iso639-1/en"
_MEDIA_TYPES = "https://www.iana.org/assignments/media-types/"
_SHA256 = "http://spdx.org/rdf/terms#checksumAlgorithm_sha256"
_FREQUENCY_NAMES = {
    "P1D": "daily",
    "P1W": "weekly",
    "P2W": "biweekly",
    "P1M": "monthly",
    "P3M": "quarterly",
    "P6M": "semiannual",
    "P1Y": "annual",
}
"""Durations in the frequency vocabulary of the Dublin Core collection description."""

Object = dict[str, Any]


def us_3_0(service: Service, request: Request) -> Answer:
    """Answer the catalogue as DCAT-US 3.0."""
    return _answer(service, request, "dcat-us-3.0", _catalog)


def us_1_1(service: Service, request: Request) -> Answer:
    """Answer the catalogue as DCAT-US 1.1, the ``data.json`` of Project Open Data."""
    return _answer(service, request, "dcat-us-1.1", _pod_catalog)


def _answer(service: Service, request: Request, name: str, make: Any) -> Answer:
    params.read(request.query, ())
    entries = published(service)
    key = (name, service.edition, *(f"{entry.key} {entry.files!r}" for entry in entries))
    return document(request, request.media_type(JSON), key, lambda: make(service, request, entries))


def _catalog(service: Service, request: Request, entries: Sequence[Entry]) -> Object:
    city = service.registry.city
    described = {
        "@context": CONTEXT,
        "@id": request.address + DCAT_PATH,
        "@type": "dcat:Catalog",
        "title": f"Geographic data of {city.name}",
        "description": city.notice or f"The published layers of {city.name}.",
        "publisher": _organization(city.name),
        "homepage": f"{request.address}/",
        "language": [_ENGLISH],
        "dataset": [_dataset(service, request, entry) for entry in entries],
    }
    if entries:
        described["modified"] = instant(max(entry.modified for entry in entries))
    contact = next((entry.contact for entry in entries if entry.contact.email), None)
    if contact is not None:  # a service without a contact is none in DCAT-US 3.0
        described["service"] = [_service(request, city.name, contact, entries)]
    return described


def _service(request: Request, publisher: str, contact: Contact, entries: Sequence[Entry]) -> Object:
    return {
        "@id": f"{request.address}/api",
        "@type": "dcat:DataService",
        "title": f"OGC API of {publisher}",
        "endpointURL": [f"{request.address}/api"],
        "endpointDescription": [f"{request.address}/api/openapi.json"],
        "conformsTo": [FEATURES],
        "publisher": {"@type": "foaf:Agent", "name": publisher},
        "contactPoint": [_kind(contact)],
        "servesDataset": [request.address + collection_path(entry.id) for entry in entries],
    }


def _dataset(service: Service, request: Request, entry: Entry) -> Object:
    identifier = request.address + collection_path(entry.id)
    described: Object = {
        "@id": identifier,
        "@type": "dcat:Dataset",
        "identifier": [identifier],
        "title": entry.title,
        "description": entry.description,
        "keywordMap": {"en": list(entry.keywords)},
        "publisher": _organization(service.registry.city.name),
        "modified": instant(entry.modified),
        "version": entry.collection.version,
        "language": [_ENGLISH],
        "landingPage": f"{request.address}/layers/{entry.id}",
        "distribution": [*_files(request, entry), *_accesses(request, entry)],
    }
    if entry.contact.email:
        described["contactPoint"] = [_kind(entry.contact)]
    if entry.has_items:
        described["describedBy"] = _described_by(request, entry)
    if entry.bbox is not None:
        described["geographicBoundingBox"] = [_box(entry.bbox)]
    if entry.interval is not None:
        first, last = (moment.isoformat() for moment in entry.interval)
        described["temporal"] = [{"@type": "dcterms:PeriodOfTime", "startDate": first, "endDate": last}]
    if entry.duration is not None:
        described["accrualPeriodicity"] = f"http://purl.org/cld/freq/{_FREQUENCY_NAMES[entry.duration]}"
    return described


def _described_by(request: Request, entry: Entry) -> Object:
    return {
        "@type": "dcat:Distribution",
        "title": "Data dictionary",
        "downloadURL": request.address + dictionary_path(entry.id),
        "mediaType": _MEDIA_TYPES + JSON,
    }


def _organization(name: str) -> Object:
    return {"@type": "org:Organization", "name": name, "prefLabel": name}


def _kind(contact: Contact) -> Object:
    return {"@type": "vcard:Kind", "fn": contact.name, "hasEmail": f"mailto:{contact.email}"}


def _box(bbox: BBox) -> Object:
    west, south, east, north = (repr(float(edge)) for edge in bbox)
    return {
        "@type": "dcat-us:GeographicBoundingBox",
        "westBoundingLongitude": west,
        "southBoundingLatitude": south,
        "eastBoundingLongitude": east,
        "northBoundingLatitude": north,
    }


def _licensed(entry: Entry) -> Object:
    if entry.licence.url:
        return {"license": entry.licence.url}
    if entry.licence.text:
        return {"license": {"@type": "dcterms:LicenseDocument", "licenseText": entry.licence.text}}
    return {}


def _files(request: Request, entry: Entry) -> list[Object]:
    return [_file(request, entry, file) for file in entry.files]


def _file(request: Request, entry: Entry, file: File) -> Object:
    described: Object = {
        "@type": "dcat:Distribution",
        "title": f"{file.title}, in {file.system}",
        "downloadURL": request.address + file.path,
        "mediaType": _MEDIA_TYPES + file.media,
        "modified": instant(entry.modified),
        **_licensed(entry),
    }
    if file.size is not None:
        described["byteSize"] = str(file.size)
    if file.sha256 is not None:
        checksum = {"@type": "spdx:Checksum", "algorithm": _SHA256, "checksumValue": file.sha256}
        described["checksum"] = checksum
    return described


def _accesses(request: Request, entry: Entry) -> list[Object]:
    return [
        {
            "@type": "dcat:Distribution",
            "title": title,
            "accessURL": request.address + path,
            **_licensed(entry),
            **({"conformsTo": [standard]} if standard else {}),
        }
        for title, path, standard in _interfaces(entry)
    ]


def _interfaces(entry: Entry) -> list[tuple[str, str, str]]:
    """Return the interfaces to a layer: title, path, and the standard it follows ("" for none with a URI)."""
    found = []
    if entry.has_items:
        found.append(("Items through OGC API Features", items_path(entry.id), FEATURES))
    if entry.collection.manifest.tiles is not None:
        found.append(("Vector tiles (TileJSON)", tilejson_path(entry.id), ""))
        found.append(("All vector tiles in one archive (PMTiles)", archive_path(entry.id), ""))
    if entry.collection.manifest.raster is not None:
        found.append(("Map tiles (TileJSON)", tilejson_path(entry.id), ""))
        found.append(("Map tiles through OGC WMTS", CAPABILITIES_PATH, WMTS))
        if TILES_FILE in entry.collection.manifest.files:
            found.append(("All stored map tiles in one archive (PMTiles)", archive_path(entry.id), ""))
    return found


# DCAT-US 1.1


def _pod_catalog(service: Service, request: Request, entries: Sequence[Entry]) -> Object:
    return {
        "@context": f"{POD}/catalog.jsonld",
        "@id": request.address + POD_PATH,
        "@type": "dcat:Catalog",
        "conformsTo": POD,
        "describedBy": f"{POD}/catalog.json",
        "dataset": [_pod_dataset(service, request, entry) for entry in entries],
    }


def _pod_dataset(service: Service, request: Request, entry: Entry) -> Object:
    contact = {"@type": "vcard:Contact", "fn": entry.contact.name}
    if entry.contact.email:
        contact["hasEmail"] = f"mailto:{entry.contact.email}"
    described: Object = {
        "@type": "dcat:Dataset",
        "identifier": request.address + collection_path(entry.id),
        "title": entry.title,
        "description": entry.description,
        "keyword": list(entry.keywords),
        "modified": instant(entry.modified),
        "publisher": {"@type": "org:Organization", "name": service.registry.city.name},
        "contactPoint": contact,
        "accessLevel": "public",
        "landingPage": f"{request.address}/layers/{entry.id}",
        "language": ["en-US"],
        "distribution": _pod_distributions(request, entry),
    }
    if entry.licence.url:
        described["license"] = entry.licence.url
    elif entry.licence.text:
        described["rights"] = entry.licence.text[:255]
    if entry.has_items:
        described |= {"describedBy": request.address + dictionary_path(entry.id), "describedByType": JSON}
    if entry.bbox is not None:
        described["spatial"] = ",".join(repr(float(edge)) for edge in entry.bbox)
    if entry.interval is not None:
        described["temporal"] = "/".join(instant(moment) for moment in entry.interval)
    if entry.collection.layer.cadence:
        described["accrualPeriodicity"] = f"R/{entry.duration}" if entry.duration else "irregular"
    return described


def _pod_distributions(request: Request, entry: Entry) -> list[Object]:
    files = [
        {
            "@type": "dcat:Distribution",
            "title": f"{file.title}, in {file.system}",
            "downloadURL": request.address + file.path,
            "mediaType": file.media,
            "format": file.title.partition(",")[0],
        }
        for file in entry.files
    ]
    accesses = [
        {
            "@type": "dcat:Distribution",
            "title": title,
            "accessURL": request.address + path,
            "format": "API",
            **({"conformsTo": standard} if standard else {}),
        }
        for title, path, standard in _interfaces(entry)
    ]
    return [*files, *accesses]
