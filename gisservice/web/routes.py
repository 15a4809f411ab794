"""Every address of the service in one table: its rule, the function that answers, what the API says about it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata

from gisservice.model import GeometryKind
from gisservice.web import api, features, files, openapi, pages, params, tiles
from gisservice.web.exchange import Answer, Request, document
from gisservice.web.links import GEOJSON, JSON, OPENAPI
from gisservice.web.openapi import EVERY, WITH_ITEMS, WITH_TILES, Offering, Operation
from gisservice.web.service import Service


@dataclass(frozen=True, slots=True)
class Route:
    """One address. ``rule`` is in Werkzeug's spelling; ``answer`` gets the service, the request and the rule's names.

    ``operation`` is what the API's description says of it; None for pages and files.
    """

    rule: str
    answer: Callable[..., Answer]
    operation: Operation | None = None

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
        }
        known = {entry.name: entry for entry in params.item_parameters(settings.items_limit, settings.items_limit_max)}
        described = [(route.template, route.operation) for route in ROUTES if route.operation is not None]
        release = metadata.version("gisservice")
        return openapi.describe(
            request.address, service.registry.city, release, described, Offering(collections, known)
        )

    limits = str(settings.items_limit), str(settings.items_limit_max)
    key = ("openapi", service.edition, *limits, *(f"{entry.id} {entry.version}" for entry in published))
    return document(request, request.media_type(OPENAPI, JSON), key, make)


CAPABILITIES, DATA, TILES, OPERATION = "Capabilities", "Data", "Tiles", "Operation"

_LISTED = (200, 304, 400, 406, 500)
_TILE = (200, 204, 304, 400, 404, 500)
_PROBE = (200, 400, 500)
_COLLECTION = "/api/collections/<collection_id>"

ROUTES: tuple[Route, ...] = (
    Route("/", pages.home),
    Route("/maps/<map_id>", pages.city_map),
    Route("/layers/<collection_id>", pages.layer),
    Route("/api", api.landing, Operation(CAPABILITIES, "Landing page", JSON, "Landing", ("f",), EVERY, _LISTED)),
    Route(
        "/api/conformance",
        api.conformance,
        Operation(CAPABILITIES, "Conformance classes", JSON, "Conformance", ("f",), EVERY, _LISTED),
    ),
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
        f"{_COLLECTION}/items",
        features.items,
        Operation(
            DATA,
            "The items of a collection, page by page",
            GEOJSON,
            "FeatureCollection",
            features.PARAMETERS,
            WITH_ITEMS,
        ),
    ),
    Route(
        f"{_COLLECTION}/items/<path:item_id>",
        features.item,
        Operation(DATA, "One item", GEOJSON, "Feature", ("f",), WITH_ITEMS),
    ),
    Route(
        "/tiles/<collection_id>.json",
        tiles.tilejson,
        Operation(TILES, "TileJSON of a collection", JSON, "TileJSON", (), WITH_TILES),
    ),
    Route(
        "/tiles/<collection_id>/<z>/<x>/<y>.mvt",
        tiles.vector_tile,
        Operation(TILES, "A vector tile of the current version", tiles.MVT, "Tile", (), WITH_TILES, _TILE),
    ),
    Route("/tiles/<collection_id>/<z>/<x>/<y>.pbf", tiles.vector_tile),
    Route(
        "/tiles/<collection_id>/<version>/<z>/<x>/<y>.mvt",
        tiles.vector_tile,
        Operation(TILES, "A vector tile of one version, which never changes", tiles.MVT, "Tile", (), WITH_TILES, _TILE),
    ),
    Route("/tiles/<collection_id>/<version>/<z>/<x>/<y>.pbf", tiles.vector_tile),
    Route("/static/<path:filename>", files.static_file),
    Route("/healthz", api.health, Operation(OPERATION, "The state of the service", JSON, "Health", (), EVERY, _PROBE)),
)
