"""The API's documents but the items: landing page, conformance, collections, history, health."""

from __future__ import annotations

from typing import Any

import shapely

from gisservice import crs
from gisservice.catalog import Collection
from gisservice.errors import CatalogError
from gisservice.model import RESERVED_ID, GeometryKind
from gisservice.query.downloads import all_files, forms_of
from gisservice.query.formats import GEOJSON as GEOJSON_FORMAT
from gisservice.web import catalogue, params, processes, records
from gisservice.web.coverages import GEOTIFF
from gisservice.web.exchange import INERT, NOT_KEPT, Answer, Request, document, to_json
from gisservice.web.feeds import RSS
from gisservice.web.itemformats import PAGE_FORMATS
from gisservice.web.links import (
    CATALOG_PATH,
    DCAT_PATH,
    FEED_PATH,
    GEOJSON,
    HTML,
    JSON,
    OPENAPI,
    POD_PATH,
    QUERYABLES,
    REL,
    SCHEMA,
    SCHEMA_JSON,
    SORTABLES,
    Link,
    changes_path,
    collection_path,
    dictionary_path,
    download_path,
    items_path,
    link,
    map_tiles_path,
    tilejson_path,
)
from gisservice.web.service import Service

CONFORMANCE = (
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/landing-page",
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/json",
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/html",
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/html",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-features-2/1.0/conf/crs",
    *(
        f"http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/{name}"
        for name in ("queryables", "queryables-query-parameters", "filter", "features-filter")
    ),
    *(
        f"http://www.opengis.net/spec/cql2/1.0/conf/{name}"
        for name in (
            "cql2-text",
            "cql2-json",
            "basic-cql2",
            "advanced-comparison-operators",
            "case-insensitive-comparison",
            "accent-insensitive-comparison",
            "basic-spatial-functions",
            "basic-spatial-functions-plus",
            "spatial-functions",
            "temporal-functions",
            "property-property",
            "arithmetic",
        )
    ),
    *(
        f"http://www.opengis.net/spec/ogcapi-common-3/1.0/conf/{name}"
        for name in (
            "schemas",
            "advanced-property-roles",
            "returnables-and-receivables",
            "queryables",
            "sortables",
            "profile-codelists",
        )
    ),
    *(
        f"http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/{name}"
        for name in (
            "core",
            "tileset",
            "tilesets-list",
            "dataset-tilesets",
            "geodata-tilesets",
            "collections-selection",
            "png",
            "jpeg",
            "oas30",
            "mvt",
        )
    ),
    *records.CONFORMANCE,
    *processes.CONFORMANCE,
    *(
        f"http://www.opengis.net/spec/tms/2.0/conf/{name}"
        for name in (
            "tilematrixset",
            "json-tilematrixset",
            "tilematrixsetlimits",
            "json-tilematrixsetlimits",
            "tilesetmetadata",
            "json-tilesetmetadata",
        )
    ),
)
"""The conformance classes that the tests hold the service to."""

GREGORIAN = "http://www.opengis.net/def/uom/ISO-8601/0/Gregorian"
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"

_FORMATS = ("f",)


def landing(service: Service, request: Request) -> Answer:
    """Answer the landing page of the API."""
    params.parse_format(params.read(request.query, _FORMATS))
    city = service.registry.city

    def make() -> dict[str, Any]:
        return {
            "title": city.name,
            "description": city.notice or f"Geographic data of {city.name}: features and map tiles.",
            "links": [
                link(request, "/api", "self", JSON, "This document"),
                link(request, "/api?f=html", "alternate", HTML, "This document as a page"),
                link(request, "/", "about", HTML, "The public site"),
                link(request, "/api/openapi.json", "service-desc", OPENAPI, "The definition of this API"),
                link(request, "/api/docs", "service-doc", HTML, "The API explained, to be tried"),
                link(request, "/api/conformance", "conformance", JSON, "The conformance classes it implements"),
                link(request, "/api/collections", "data", JSON, "The collections"),
                link(request, items_path(RESERVED_ID), f"{REL}/ogc-catalog", GEOJSON, "The catalog, to be searched"),
                link(request, DCAT_PATH, "describedby", JSON, "The catalog as DCAT-US 3.0"),
                link(request, POD_PATH, "describedby", JSON, "The catalog as DCAT-US 1.1"),
                link(request, FEED_PATH, "alternate", RSS, "Publications as a feed"),
                link(request, processes.PROCESSES_PATH, f"{REL}/processes", JSON, "What can be worked out"),
                link(request, processes.JOBS_PATH, f"{REL}/job-list", JSON, "What is being worked out"),
                link(request, "/api/tiles", f"{REL}/tilesets-vector", JSON, "Vector tiles of all collections together"),
                link(request, "/api/tileMatrixSets", f"{REL}/tiling-schemes", JSON, "The grids of the tiles"),
            ],
        }

    return document(request, request.media_type(JSON), ("landing", service.edition), make)


def conformance(service: Service, request: Request) -> Answer:
    """Answer the conformance declaration."""
    params.parse_format(params.read(request.query, _FORMATS))
    key = ("conformance", service.edition)
    return document(request, request.media_type(JSON), key, lambda: {"conformsTo": CONFORMANCE})


def collections(service: Service, request: Request) -> Answer:
    """Answer the list of all collections."""
    params.parse_format(params.read(request.query, _FORMATS))
    published = service.published()

    def make() -> dict[str, Any]:
        described = [describe(service, request, collection) for collection in published]
        return {
            "links": [
                link(request, "/api/collections", "self", JSON, "This document"),
                link(request, "/api/collections?f=html", "alternate", HTML, "This document as a page"),
                link(request, "/api/openapi.json", "service-desc", OPENAPI, "The definition of this API"),
            ],
            "collections": [*described, records.describe(service, request)],
        }

    key = ("collections", service.edition, *(entry.key for entry in catalogue.published(service)))
    return document(request, request.media_type(JSON), key, make)


def collection(service: Service, request: Request, *, collection_id: str) -> Answer:
    """Answer the description of one collection."""
    params.parse_format(params.read(request.query, _FORMATS))
    found = service.catalog.collection(collection_id)
    key = ("collection", service.edition, found.id, found.version)
    return document(request, request.media_type(JSON), key, lambda: describe(service, request, found))


def describe(service: Service, request: Request, entry: Collection) -> dict[str, Any]:
    """Return the description of a collection (OGC API Features 1, 7.14)."""
    manifest, layer = entry.manifest, entry.layer
    described: dict[str, Any] = {
        "id": entry.id,
        "title": layer.title,
        "description": layer.description,
        "attribution": layer.attribution,
        "version": entry.version,
        "crs": [CRS84],
        "links": _collection_links(request, entry),
    }
    if manifest.kind is not GeometryKind.RASTER:
        described |= {"itemType": "feature", "itemCount": manifest.count}
        described |= _systems(service, entry)
    if manifest.extent is not None:
        described["extent"] = {"spatial": {"bbox": [manifest.extent.bbox], "crs": CRS84}}
        if (interval := catalogue.interval(service, entry)) is not None:
            described["extent"]["temporal"] = {"interval": [interval], "trs": GREGORIAN}
    return described


def _systems(service: Service, entry: Collection) -> dict[str, Any]:
    """Return the systems that items can be had in, and the one they are stored in (OGC API Features 2, 6.2, 6.3)."""
    systems = service.asking.terms(entry).systems
    stored = next((system.uri for system in systems if system.code == entry.manifest.storage_crs), None)
    listed = [system.uri for system in systems]
    return {"crs": listed} if stored is None else {"crs": listed, "storageCrs": stored}


def _collection_links(request: Request, entry: Collection) -> list[Link]:
    path = collection_path(entry.id)
    links = [
        link(request, path, "self", JSON, "This collection"),
        link(request, f"{path}?f=html", "alternate", HTML, "This collection as a page"),
        link(request, f"/layers/{entry.id}", "about", HTML, "About this layer, for people"),
        link(request, f"{CATALOG_PATH}/items/{entry.id}", "describedby", GEOJSON, "Its record in the catalog"),
        link(request, f"{path}/versions", "version-history", JSON, "Its published versions"),
    ]
    if entry.manifest.kind is not GeometryKind.RASTER:
        links += [
            link(request, items_path(entry.id, query), "items", known.media, f"Its items as {known.title}")
            for known, query in (
                (known, "" if known is GEOJSON_FORMAT else f"f={known.name}") for known in PAGE_FORMATS
            )
        ]
        links.append(link(request, items_path(entry.id, "f=html"), "items", HTML, "Its items as a table to be read"))
        links.append(link(request, dictionary_path(entry.id), "describedby", JSON, "What its columns mean"))
        links.append(link(request, f"{path}/schema", SCHEMA, SCHEMA_JSON, "What its items consist of"))
        links.append(link(request, f"{path}/queryables", QUERYABLES, SCHEMA_JSON, "What items can be asked for by"))
        links.append(link(request, f"{path}/sortables", SORTABLES, SCHEMA_JSON, "What items can be sorted by"))
    links += _enclosures(request, entry)
    if entry.manifest.tiles is not None:
        links += [
            link(request, f"{path}/tiles", f"{REL}/tilesets-vector", JSON, "Its vector tiles"),
            link(request, tilejson_path(entry.id), "describedby", JSON, "Its vector tiles, as TileJSON"),
        ]
    if entry.manifest.kind is GeometryKind.RASTER:
        links += [
            link(request, map_tiles_path(entry.id), f"{REL}/tilesets-map", JSON, "Its map tiles"),
            link(request, tilejson_path(entry.id), "describedby", JSON, "Its map tiles, as TileJSON"),
            link(request, f"{path}/coverage", f"{REL}/coverage", GEOTIFF, "Its cells, or those of a part of it"),
        ]
    if entry.layer.licence.startswith(("https://", "http://")):
        links.append({"href": entry.layer.licence, "rel": "license", "title": "The licence of the data"})
    return links


def _enclosures(request: Request, entry: Collection) -> list[Link]:
    """Return links to the collection as files, in degrees and as it is stored."""
    forms = forms_of(entry.manifest)
    return [
        link(
            request,
            download_path(entry.id, wanted.extension, wanted.system),
            "enclosure",
            forms[wanted.extension].media,
            f"The whole layer as {forms[wanted.extension].title}, in {wanted.system}",
        )
        for wanted in all_files(entry.manifest)
    ]


def versions(service: Service, request: Request, *, collection_id: str) -> Answer:
    """Answer the history of a collection, newest version first."""
    params.parse_format(params.read(request.query, _FORMATS))
    history = service.catalog.versions(collection_id)
    path = f"{collection_path(collection_id)}/versions"
    has_items = service.catalog.collection(collection_id).manifest.kind is not GeometryKind.RASTER

    def make() -> dict[str, Any]:
        return {
            "collection": collection_id,
            "versions": [
                {
                    "version": version.id,
                    "published": version.published,
                    "action": version.action,
                    "count": version.count,
                    "current": version.current,
                    "links": [_changes_link(request, collection_id, version.id)] if has_items else [],
                }
                for version in history
            ],
            "links": [
                link(request, path, "self", JSON, "This document"),
                link(request, collection_path(collection_id), "collection", JSON, "The collection"),
            ],
        }

    key = ("versions", service.edition, *(f"{entry.id} {entry.published} {entry.current}" for entry in history))
    return document(request, request.media_type(JSON), key, make)


def _changes_link(request: Request, collection_id: str, version: str) -> Link:
    return link(request, changes_path(collection_id, f"since={version}"), "related", JSON, "What changed since then")


def health(service: Service, request: Request) -> Answer:
    """Answer the state of the service for its operators: what is published, what is damaged, which libraries run."""
    params.read(request.query, ())
    published: dict[str, str] = {}
    damaged: list[str] = []
    for name in service.catalog.ids():
        try:
            published[name] = service.catalog.collection(name).version
        except CatalogError:
            damaged.append(name)
    body = {
        "status": "degraded" if damaged else "ok",
        "collections": published,
        "damaged": damaged,
        "libraries": {
            "PROJ": crs.proj_version(),
            "GEOS": shapely.geos_version_string,
        },
    }
    return Answer(200, (("Content-Type", JSON), ("Cache-Control", NOT_KEPT), INERT), to_json(body))
