"""What items consist of, can be asked for by and be sorted by (OGC API Common 3; Features 3, 6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gisservice.catalog import Collection
from gisservice.errors import NotFound
from gisservice.query import schemas
from gisservice.web import params
from gisservice.web.exchange import Answer, Offer, Request, to_json
from gisservice.web.itemparams import Terms
from gisservice.web.links import JSON, SCHEMA_JSON, collection_path
from gisservice.web.service import Service

_Make = Callable[[Terms, Collection], dict[str, Any]]


def schema(service: Service, request: Request, *, collection_id: str) -> Answer:
    """Answer the schema of a collection's items."""
    return _answer(service, request, collection_id, "schema", _returnables)


def queryables(service: Service, request: Request, *, collection_id: str) -> Answer:
    """Answer what a collection's items can be asked for by."""
    return _answer(service, request, collection_id, "queryables", _queryables)


def sortables(service: Service, request: Request, *, collection_id: str) -> Answer:
    """Answer what a collection's items can be sorted by."""
    return _answer(service, request, collection_id, "sortables", _sortables)


def _answer(service: Service, request: Request, collection_id: str, name: str, make: _Make) -> Answer:
    params.parse_format(params.read(request.query, ("f",)))
    collection = service.catalog.collection(collection_id)
    if collection.features is None:
        raise NotFound(f"Collection {collection_id!r} has no items: it is a raster.")
    offer = Offer.make(
        request, request.media_type(SCHEMA_JSON, JSON), (name, service.edition, collection.id, collection.version)
    )
    if unchanged := offer.unchanged():
        return unchanged
    layer = collection.layer
    document = {
        "$schema": schemas.DIALECT,
        "$id": f"{request.address}{collection_path(collection_id)}/{name}",
        "title": layer.title,
        "description": layer.description,
        **make(service.asking.terms(collection), collection),
    }
    profile = f'<{schemas.CODELIST_INLINE}>; rel="profile"'
    return offer.send(to_json(document), (("Link", profile),))


def _returnables(terms: Terms, collection: Collection) -> dict[str, Any]:
    return schemas.returnables(terms.columns, terms.kind, collection.manifest.id_column)


def _queryables(terms: Terms, collection: Collection) -> dict[str, Any]:
    return schemas.queryables(terms.columns, terms.kind, collection.manifest.id_column)


def _sortables(terms: Terms, collection: Collection) -> dict[str, Any]:
    return schemas.sortables(terms.columns, collection.manifest.id_column)
