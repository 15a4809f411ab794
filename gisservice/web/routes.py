"""Every address of the service in one table: its rule, the function that answers, what the API says about it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata

from gisservice.model import GeometryKind
from gisservice.tiles import MATRIX_SETS
from gisservice.tiles.rasterimage import FORMATS, JPEG, PNG, WEBP
from gisservice.web import (
    address,
    api,
    archives,
    changes,
    choosing,
    contours,
    coverages,
    dcat,
    dictionary,
    downloads,
    explorer,
    feeds,
    files,
    htmlapi,
    itemparams,
    mapimages,
    metrics,
    ogctiles,
    openapi,
    pages,
    params,
    positions,
    processes,
    qgis,
    questions,
    rasterdocs,
    rasterparams,
    rasters,
    records,
    reports,
    schemas,
    styles,
    tilejson,
    tileparams,
    tiles,
    wmts,
)
from gisservice.web.exchange import Answer, Request, document
from gisservice.web.itemformats import PAGE_FORMATS
from gisservice.web.itemsapi import Described
from gisservice.web.links import CATALOG_PATH, GEOJSON, JSON, OPENAPI, SCHEMA_JSON
from gisservice.web.openapi import EVERY, RASTERS, WITH_ITEMS, WITH_TILES, Offering, Operation
from gisservice.web.responses import ordered_methods
from gisservice.web.service import Service


@dataclass(frozen=True, slots=True)
class Route:
    """One address. ``rule`` is in Werkzeug's spelling; ``answer`` gets the service, the request and the rule's names.

    ``operation`` is what the API's description says of it; None for pages and files.
    """

    rule: str
    answer: Callable[..., Answer]
    operation: Operation | None = None
    method: str = "GET"

    @property
    def template(self) -> str:
        """The rule as a URI template, for example ``/api/collections/{collection_id}``."""
        return re.sub(r"<(?:[^:>]+:)?([^>]+)>", r"{\1}", self.rule)


def definition(service: Service, request: Request) -> Answer:
    """Answer the API's description."""
    params.parse_format(params.read(request.query, ("f",)))
    published = service.published()
    settings = service.settings

    def make() -> openapi.Schema:
        collections = {
            openapi.EVERY: tuple(entry.id for entry in published),
            openapi.WITH_ITEMS: tuple(e.id for e in published if e.manifest.kind is not GeometryKind.RASTER),
            openapi.WITH_TILES: tuple(e.id for e in published if e.manifest.tiles is not None),
            openapi.RASTERS: tuple(e.id for e in published if e.manifest.kind is GeometryKind.RASTER),
        }
        limits = settings.items_limit, settings.items_limit_max
        known = {entry.name: entry for entry in (*itemparams.item_parameters(*limits), params.FORMAT)}
        known[_DOWNLOAD_CRS], known[_DICTIONARY_FORM] = params.DOWNLOAD_CRS, dictionary.FORMAT
        known[_ITEMS_FORM], known[_ITEM_FORM] = htmlapi.FORMS
        known |= {entry.name: entry for entry in records.PARAMETERS} | address.PARAMETERS
        known |= processes.PARAMETERS | questions.components()
        known |= {tileparams.component(entry.name): entry for entry in tileparams.PARAMETERS}
        known |= {rasterparams.component(entry.name): entry for entry in rasterparams.PARAMETERS}
        known |= {mapimages.component(entry.name): entry for entry in mapimages.PARAMETERS}
        known |= {coverages.component(entry.name): entry for entry in coverages.PARAMETERS}
        known |= {positions.component(entry.name): entry for entry in positions.PARAMETERS}
        known[contours.COMPONENT] = contours.INTERVAL
        known |= changes.parameters(*limits)
        items = tuple(
            Described.of(entry, service.asking.terms(entry))
            for entry in published
            if entry.manifest.kind is not GeometryKind.RASTER
        )
        described = [(route.method, route.template, _described(route)) for route in ROUTES if route.operation]
        release = metadata.version("gisservice")
        offering = Offering(collections, known, tuple(MATRIX_SETS), items)
        return openapi.describe(request.address, service.registry.city, release, described, offering)

    key = ("openapi", service.edition, *service.page_limits, *(f"{entry.id} {entry.version}" for entry in published))
    return document(request, request.media_type(OPENAPI, JSON), key, make)


CAPABILITIES, DATA, TILES, OPERATION, CATALOG = "Capabilities", "Data", "Tiles", "Operation", "Catalog"

ANALYSIS = "Analysis"

_LISTED = (200, 304, 400, 406, 500)
_TILE = (200, 204, 304, 400, 404, 500, 503)
_NEGOTIATED_TILE = (200, 204, 304, 400, 404, 406, 500, 503)
_DRAWN_MAP = (200, 304, 400, 404, 500, 503)
_FILE = (200, 206, 304, 400, 404, 416, 500, 503)
_ITEMS = (200, 304, 400, 404, 406, 410, 500, 503)
_PROBE = (200, 400, 500)
_ANSWERED = (200, 304, 400, 404, 406, 500, 503)
_STANDING = (200, 400, 404, 406, 500)
_DOWNLOAD_CRS, _DICTIONARY_FORM, _ITEMS_FORM, _ITEM_FORM = "download-crs", "dictionary-f", "items-f", "item-f"
_FORMS_WITH_A_PAGE = {"f", _DICTIONARY_FORM, changes.component("f")}
"""What ``f`` is called, in the description, where it can ask for the answer as a page."""
_PAGE_OF_PROCESSES = tuple(f"processes-{entry.name}" for entry in processes.PAGE)
_COLLECTION = "/api/collections/<collection_id>"
_GRID = "<tileMatrixSetId>"
_ADDRESS = f"{_GRID}/<tileMatrix>/<tileRow>/<tileCol>"
_RASTER, _RASTER_OGC = (
    tuple(rasterparams.component(name) for name in names)
    for names in (rasterparams.NAMES, rasterparams.COLLECTION_NAMES)
)
_PRINT, _PICTURE = (
    tuple(mapimages.component(name) for name in names) for names in (mapimages.NAMES, mapimages.PICTURE_NAMES)
)
_CHOSEN = (mapimages.component(mapimages.LAYERS),)
_SHORT, _OF_COLLECTION, _OF_DATASET = (
    tuple(tileparams.component(name) for name in names)
    for names in (tileparams.NAMES, tileparams.COLLECTION_NAMES, tileparams.DATASET_NAMES)
)

_ITEMS_NAMES, _ITEM_NAMES = (
    tuple(form if name == "f" else name for name in names)
    for names, form in ((itemparams.ITEMS_NAMES, _ITEMS_FORM), (itemparams.ITEM_NAMES, _ITEM_FORM))
)

_PAGE_FORMS = tuple(dict.fromkeys((JSON, *(entry.media for entry in PAGE_FORMATS if entry.media != GEOJSON))))
"""Media types of a page of items beside its own."""

_PICTURES = {extension: partial(rasters.raster_tile, extension=extension) for extension in FORMATS}

_DECLARED: tuple[Route, ...] = (
    Route("/", pages.home),
    Route("/maps", choosing.chosen),
    Route("/maps/<map_id>", pages.city_map),
    Route("/address", address.report),
    Route("/address.ics", address.calendar),
    Route("/accessibility", address.accessibility),
    Route("/offline", address.offline),
    Route("/worker.js", files.worker),
    Route("/layers/<collection_id>", pages.layer),
    Route("/layers/<collection_id>.qlr", qgis.definition),
    Route("/api", api.landing, Operation(CAPABILITIES, "Landing page", JSON, "Landing", ("f",), EVERY, _LISTED)),
    # What clients make of the address by which they were told of the API.
    Route("/api/", htmlapi.Readable(api.landing, (JSON,), "Landing page")),
    Route(
        "/api/conformance",
        api.conformance,
        Operation(CAPABILITIES, "Conformance classes", JSON, "Conformance", ("f",), EVERY, _LISTED),
    ),
    Route("/api/docs", explorer.explorer),
    Route(
        "/api/openapi.json",
        definition,
        Operation(CAPABILITIES, "This document", OPENAPI, "OpenAPI", ("f",), EVERY, _LISTED),
    ),
    Route(
        "/api/collections",
        api.collections,
        Operation(CAPABILITIES, "All collections", JSON, "Collections", ("f",), EVERY, _LISTED),
    ),
    Route(_COLLECTION, api.collection, Operation(CAPABILITIES, "One collection", JSON, "Collection", ("f",))),
    Route(
        f"{_COLLECTION}/versions",
        api.versions,
        Operation(CAPABILITIES, "The history of a collection", JSON, "Versions", ("f",)),
    ),
    Route(
        f"{_COLLECTION}/changes",
        changes.changes,
        Operation(
            DATA,
            "What changed since a version or a moment",
            JSON,
            "Changes",
            tuple(changes.component(name) for name in changes.NAMES),
            WITH_ITEMS,
            _ITEMS,
            forms=(GEOJSON,),
        ),
    ),
    Route(
        f"{_COLLECTION}/items",
        htmlapi.items,
        Operation(
            DATA,
            "The items of a collection, page by page",
            GEOJSON,
            "FeatureCollection",
            _ITEMS_NAMES,
            WITH_ITEMS,
            _ITEMS,
            readable=True,
            forms=_PAGE_FORMS,
        ),
    ),
    Route(
        f"{_COLLECTION}/items/<path:item_id>",
        htmlapi.item,
        Operation(DATA, "One item", GEOJSON, "Feature", _ITEM_NAMES, WITH_ITEMS, readable=True, forms=(JSON,)),
    ),
    Route(
        f"{_COLLECTION}/schema",
        schemas.schema,
        Operation(DATA, "What the items of a collection consist of", SCHEMA_JSON, "JSONSchema", ("f",), WITH_ITEMS),
    ),
    Route(
        f"{_COLLECTION}/queryables",
        schemas.queryables,
        Operation(DATA, "What items can be asked for by", SCHEMA_JSON, "JSONSchema", ("f",), WITH_ITEMS),
    ),
    Route(
        f"{_COLLECTION}/sortables",
        schemas.sortables,
        Operation(DATA, "What items can be sorted by", SCHEMA_JSON, "JSONSchema", ("f",), WITH_ITEMS),
    ),
    Route(
        f"{_COLLECTION}/dictionary",
        dictionary.dictionary,
        Operation(
            DATA,
            "What the columns of a collection mean",
            JSON,
            "Dictionary",
            (_DICTIONARY_FORM,),
            WITH_ITEMS,
            forms=(dictionary.CSV,),
        ),
    ),
    Route(
        CATALOG_PATH,
        records.collection,
        Operation(CATALOG, "All layers as records", records.CATALOG_JSON, "Collection", ("f",), EVERY, _LISTED),
    ),
    Route(
        f"{CATALOG_PATH}/items",
        records.records,
        Operation(CATALOG, "Records, page by page", GEOJSON, "FeatureCollection", records.NAMES, EVERY, _LISTED),
    ),
    Route(
        f"{CATALOG_PATH}/items/<record_id>",
        records.record,
        Operation(CATALOG, "One record", GEOJSON, "Feature", ("f",)),
    ),
    Route(
        f"{CATALOG_PATH}/schema",
        records.schema,
        Operation(CATALOG, "What records consist of", SCHEMA_JSON, "JSONSchema", ("f",), EVERY, _LISTED),
    ),
    Route(
        f"{CATALOG_PATH}/queryables",
        records.queryables,
        Operation(CATALOG, "What records can be asked for by", SCHEMA_JSON, "JSONSchema", ("f",), EVERY, _LISTED),
    ),
    Route(
        f"{CATALOG_PATH}/sortables",
        records.sortables,
        Operation(CATALOG, "What records can be sorted by", SCHEMA_JSON, "JSONSchema", ("f",), EVERY, _LISTED),
    ),
    Route(
        "/catalog.json",
        dcat.us_3_0,
        Operation(CATALOG, "All layers, as DCAT-US 3.0", JSON, "DCATCatalog", (), EVERY, _LISTED),
    ),
    Route(
        "/data.json",
        dcat.us_1_1,
        Operation(CATALOG, "All layers, as DCAT-US 1.1 (data.json)", JSON, "DCATCatalog", (), EVERY, _LISTED),
    ),
    Route(
        "/feed.xml",
        feeds.publications,
        Operation(CATALOG, "The feed of publications", feeds.RSS, "Feed", (), EVERY, _LISTED),
    ),
    Route(
        "/api/geocode/suggest",
        address.suggest,
        Operation(
            ANALYSIS, "How an address may go on", JSON, "Suggestions", tuple(address.PARAMETERS), EVERY, (*_LISTED, 404)
        ),
    ),
    Route(
        processes.PROCESSES_PATH,
        processes.processes,
        Operation(ANALYSIS, "What can be worked out", JSON, "Processes", (*_PAGE_OF_PROCESSES, "f"), EVERY, _LISTED),
    ),
    Route(
        f"{processes.PROCESSES_PATH}/<process_id>",
        processes.process,
        Operation(ANALYSIS, "One process", JSON, "Process", ("f",)),
    ),
    Route(
        f"{processes.PROCESSES_PATH}/<process_id>/execution",
        processes.execution,
        Operation(
            ANALYSIS,
            "Ask: for the answer, or for a job (Prefer: respond-async)",
            GEOJSON,
            "Analysis",
            (),
            EVERY,
            (200, 201, 400, 404, 406, 413, 415, 500, 503),
            body="Execute",
        ),
        "POST",
    ),
    Route(
        processes.JOBS_PATH,
        processes.jobs,
        Operation(ANALYSIS, "All jobs", JSON, "Jobs", (*processes.PARAMETERS, "f"), EVERY, (200, 400, 406, 500)),
    ),
    Route(
        f"{processes.JOBS_PATH}/<job_id>",
        processes.job,
        Operation(ANALYSIS, "How a job stands", JSON, "Job", ("f",), EVERY, _STANDING),
    ),
    Route(
        f"{processes.JOBS_PATH}/<job_id>",
        processes.dismissal,
        Operation(ANALYSIS, "Stop a job, or let its result go", JSON, "Job", (), EVERY, _STANDING),
        "DELETE",
    ),
    Route(
        f"{processes.JOBS_PATH}/<job_id>/results",
        processes.results,
        Operation(ANALYSIS, "The result of a job", GEOJSON, "Analysis", (), EVERY, _STANDING, forms=(JSON,)),
    ),
    Route(
        "/api/tileMatrixSets",
        ogctiles.matrix_sets,
        Operation(CAPABILITIES, "The grids that tiles are offered in", JSON, "TileMatrixSets", ("f",), EVERY, _LISTED),
    ),
    Route(
        f"/api/tileMatrixSets/{_GRID}",
        ogctiles.one_matrix_set,
        Operation(CAPABILITIES, "The definition of a grid", JSON, "TileMatrixSet", ("f",)),
    ),
    Route(
        f"{_COLLECTION}/tiles",
        ogctiles.collection_tilesets,
        Operation(
            TILES,
            "The tilesets of a collection, one for each grid",
            JSON,
            "Tilesets",
            ("f",),
            WITH_TILES,
            suffix=".collection.vector.getTileSetsList",
        ),
    ),
    Route(
        f"{_COLLECTION}/tiles/{_GRID}",
        ogctiles.collection_tileset,
        Operation(
            TILES,
            "A tileset of a collection",
            JSON,
            "Tileset",
            ("f",),
            WITH_TILES,
            suffix=".collection.vector.getTileSet",
        ),
    ),
    Route(
        f"{_COLLECTION}/tiles/{_ADDRESS}",
        tiles.collection_tile,
        Operation(
            TILES,
            "A vector tile of a collection",
            tiles.MVT,
            "Tile",
            _OF_COLLECTION,
            WITH_TILES,
            _NEGOTIATED_TILE,
            suffix=".collection.vector.getTile",
        ),
    ),
    Route(
        "/api/tiles",
        ogctiles.dataset_tilesets,
        Operation(
            TILES,
            "The tilesets of all collections together, one for each grid",
            JSON,
            "Tilesets",
            ("f",),
            EVERY,
            _LISTED,
            suffix=".dataset.vector.getTileSetsList",
        ),
    ),
    Route(
        f"/api/tiles/{_GRID}",
        ogctiles.dataset_tileset,
        Operation(
            TILES,
            "A tileset of all collections together",
            JSON,
            "Tileset",
            (tileparams.component("collections"), "f"),
            suffix=".dataset.vector.getTileSet",
        ),
    ),
    Route(
        f"/api/tiles/{_ADDRESS}",
        tiles.dataset_tile,
        Operation(
            TILES,
            "A vector tile of all collections together, or of those chosen",
            tiles.MVT,
            "Tile",
            _OF_DATASET,
            WITH_TILES,
            _NEGOTIATED_TILE,
            suffix=".dataset.vector.getTile",
        ),
    ),
    Route(
        "/api/qgis.xml",
        qgis.connections,
        Operation(TILES, "The layer list for QGIS", qgis.XML, "Connections", (), EVERY, _LISTED),
    ),
    Route(
        "/tiles/<collection_ids>.json",
        tilejson.tilejson,
        Operation(TILES, "TileJSON of one collection or of several", JSON, "TileJSON", _SHORT, WITH_TILES),
    ),
    Route(
        "/tiles/<collection_id>.pmtiles",
        archives.archive,
        Operation(
            TILES, "All tiles of a collection in one archive", archives.PMTILES, "Archive", (), WITH_TILES, _FILE
        ),
    ),
    Route(
        "/tiles/<collection_id>/<version>.pmtiles",
        archives.archive,
        Operation(
            TILES, "All tiles of one version, which never change", archives.PMTILES, "Archive", (), WITH_TILES, _FILE
        ),
    ),
    Route(
        "/tiles/<collection_id>/style.json",
        styles.layer_style,
        Operation(TILES, "The MapLibre style of a collection", JSON, "Style", (), WITH_TILES),
    ),
    Route(
        "/tiles/<collection_id>/report",
        reports.report,
        Operation(TILES, "What became of every record, zoom by zoom", JSON, "TileReport", (), WITH_TILES),
    ),
    Route(
        "/tiles/<collection_id>/report/<z>/<x>/<y>",
        reports.tile_report,
        Operation(TILES, "What became of the records of one tile", JSON, "TileAccount", (), WITH_TILES),
    ),
    Route(
        "/maps/<map_id>/style.json", styles.map_style, Operation(TILES, "The MapLibre style of a map", JSON, "Style")
    ),
    Route(
        "/maps.png",
        mapimages.chosen_png,
        Operation(TILES, "Layers of one's choice as a picture", PNG, "Tile", _PICTURE + _CHOSEN, statuses=_DRAWN_MAP),
    ),
    Route(
        "/maps.pdf",
        mapimages.chosen_pdf,
        Operation(
            TILES, "Layers of one's choice for print", mapimages.PDF, "Tile", _PRINT + _CHOSEN, statuses=_DRAWN_MAP
        ),
    ),
    Route(
        "/maps/<map_id>.png",
        mapimages.map_png,
        Operation(TILES, "A map as a picture", PNG, "Tile", _PICTURE, EVERY, _DRAWN_MAP),
    ),
    Route(
        "/maps/<map_id>.pdf",
        mapimages.map_pdf,
        Operation(TILES, "A map for print", mapimages.PDF, "Tile", _PRINT, EVERY, _DRAWN_MAP),
    ),
    Route(
        "/tiles/<collection_ids>/<z>/<x>/<y>.mvt",
        tiles.vector_tile,
        Operation(TILES, "A vector tile of the current version", tiles.MVT, "Tile", _SHORT, WITH_TILES, _TILE),
    ),
    Route("/tiles/<collection_ids>/<z>/<x>/<y>.pbf", tiles.vector_tile),
    Route(
        "/tiles/<collection_ids>/<versions>/<z>/<x>/<y>.mvt",
        tiles.vector_tile,
        Operation(
            TILES, "A vector tile of named versions, which never change", tiles.MVT, "Tile", _SHORT, WITH_TILES, _TILE
        ),
    ),
    Route("/tiles/<collection_ids>/<versions>/<z>/<x>/<y>.pbf", tiles.vector_tile),
    Route(
        "/tiles/<collection_id>/<z>/<x>/<y>.png",
        _PICTURES["png"],
        Operation(TILES, "A tile of a raster as PNG", PNG, "Tile", _RASTER, RASTERS, _TILE),
    ),
    Route("/tiles/<collection_id>/<version>/<z>/<x>/<y>.png", _PICTURES["png"]),
    Route(
        "/tiles/<collection_id>/<z>/<x>/<y>.webp",
        _PICTURES["webp"],
        Operation(TILES, "A tile of a raster as WebP", WEBP, "Tile", _RASTER, RASTERS, _TILE),
    ),
    Route("/tiles/<collection_id>/<version>/<z>/<x>/<y>.webp", _PICTURES["webp"]),
    Route(
        "/tiles/<collection_id>/<z>/<x>/<y>.jpg",
        _PICTURES["jpg"],
        Operation(TILES, "A tile of a raster as JPEG", JPEG, "Tile", _RASTER, RASTERS, _TILE),
    ),
    Route("/tiles/<collection_id>/<version>/<z>/<x>/<y>.jpg", _PICTURES["jpg"]),
    Route(
        "/tiles/<collection_id>/contours.json",
        contours.tilejson,
        Operation(TILES, "TileJSON of the contours of heights", JSON, "TileJSON", (contours.COMPONENT,), RASTERS),
    ),
    Route(
        "/tiles/<collection_id>/contours/<z>/<x>/<y>.mvt",
        contours.tile,
        Operation(
            TILES, "Contours of heights as a vector tile", tiles.MVT, "Tile", (contours.COMPONENT,), RASTERS, _TILE
        ),
    ),
    Route("/tiles/<collection_id>/contours/<version>/<z>/<x>/<y>.mvt", contours.tile),
    Route(
        f"{_COLLECTION}/map/tiles",
        rasterdocs.map_tilesets,
        Operation(
            TILES,
            "The map tilesets of a raster, one for each grid",
            JSON,
            "Tilesets",
            ("f",),
            RASTERS,
            suffix=".collection.map.getTileSetsList",
        ),
    ),
    Route(
        f"{_COLLECTION}/map/tiles/{_GRID}",
        rasterdocs.map_tileset,
        Operation(
            TILES, "A map tileset of a raster", JSON, "Tileset", ("f",), RASTERS, suffix=".collection.map.getTileSet"
        ),
    ),
    Route(
        f"{_COLLECTION}/map/tiles/{_ADDRESS}",
        rasters.map_tile,
        Operation(
            TILES,
            "A map tile of a raster",
            PNG,
            "Tile",
            _RASTER_OGC,
            RASTERS,
            _NEGOTIATED_TILE,
            suffix=".collection.map.getTile",
            forms=(WEBP, JPEG),
        ),
    ),
    Route(
        "/download/<collection_id>",
        downloads.listing,
        Operation(DATA, "The files that a whole layer can be had as", JSON, "Downloads"),
    ),
    Route(
        "/download/<collection_id>.<extension>",
        downloads.file,
        Operation(DATA, "A whole layer as a file", "*/*", "File", (_DOWNLOAD_CRS,), EVERY, _FILE),
    ),
    Route(
        "/download/<collection_id>/<version>",
        downloads.listing,
        Operation(DATA, "The files of one version of a layer", JSON, "Downloads"),
    ),
    Route(
        "/download/<collection_id>/<version>.<extension>",
        downloads.file,
        Operation(
            DATA,
            "One version of a layer as a file, which never changes",
            "*/*",
            "File",
            (_DOWNLOAD_CRS,),
            EVERY,
            _FILE,
        ),
    ),
    Route(
        f"{_COLLECTION}/position",
        positions.position,
        Operation(
            DATA,
            "The values of a raster at places",
            GEOJSON,
            "Positions",
            tuple(positions.component(name) for name in positions.NAMES),
            RASTERS,
        ),
    ),
    Route(
        f"{_COLLECTION}/coverage",
        coverages.coverage,
        Operation(
            DATA,
            "The cells of a raster in a box",
            coverages.GEOTIFF,
            "File",
            tuple(coverages.component(name) for name in coverages.NAMES),
            RASTERS,
        ),
    ),
    Route(
        wmts.CAPABILITIES_PATH,
        wmts.capabilities,
        Operation(TILES, "The capabilities of the WMTS", wmts.XML, "Capabilities", (), EVERY, _LISTED),
    ),
    Route(wmts.KVP_PATH, wmts.kvp),
    *(
        Route(f"/wmts/1.0.0/<collection_id>/default/{_ADDRESS}.{extension}", partial(wmts.tile, extension=extension))
        for extension in FORMATS
    ),
    Route("/static/<path:filename>", files.static_file),
    Route("/metrics", metrics.metrics),
    Route("/healthz", api.health, Operation(OPERATION, "The state of the service", JSON, "Health", (), EVERY, _PROBE)),
)


_ASKED = tuple(
    Route(rule, door, Operation(ANALYSIS, "", GEOJSON, "Analysis", (), WITH_ITEMS, _ANSWERED, forms=(JSON,)))
    for rule, door in questions.DOORS.items()
)
"""The plain addresses of analysis."""


def _described(route: Route) -> Operation:
    """Return what is said of a route; of a plain address of analysis, that comes from the function behind it."""
    assert route.operation is not None
    door = route.answer
    if not isinstance(door, questions.Door):
        return route.operation
    names = tuple(questions.component(door, entry) for entry in door.parameters)
    return replace(route.operation, summary=door.operation.title.rstrip("."), query=names)


def methods(rule: str) -> str:
    """Return the methods that an address takes, as an Allow header has them."""
    found = {route.method for route in ROUTES if route.rule == rule}
    return ordered_methods({*found, *({"HEAD"} if "GET" in found else ()), "OPTIONS"})


def _readable(route: Route) -> Route:
    """Return the route with its answer as a page, too, where the answer has the parameter that asks for one."""
    operation = route.operation
    if operation is None or operation.readable or not _FORMS_WITH_A_PAGE & set(operation.query):
        return route
    media = dict.fromkeys((operation.media, JSON))
    page = explorer.explorer if operation.schema == "OpenAPI" else None
    answer = htmlapi.Readable(route.answer, media, operation.summary, page)
    forms = (*(entry for entry in media if entry != operation.media), *operation.forms)
    return replace(route, answer=answer, operation=replace(operation, readable=True, forms=forms))


ROUTES = tuple(_readable(route) for route in (*_DECLARED, *_ASKED))
