"""The data dictionary of a layer: what each of its columns means, as JSON and as CSV, from the registry."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from gisservice.catalog import Collection
from gisservice.errors import InvalidParameter, NotFound
from gisservice.model import Column
from gisservice.query.formats.delimited import cells, header, lines
from gisservice.web import params
from gisservice.web.exchange import Answer, Offer, Request, to_json
from gisservice.web.links import JSON, collection_path, dictionary_path, link
from gisservice.web.params import Parameter
from gisservice.web.service import Service

CSV = "text/csv; charset=utf-8; header=present"

FORMAT = Parameter(
    "f",
    "The format of the answer, instead of the Accept header.",
    {"type": "string", "enum": ["json", "csv", "html"]},
)

_HEAD = ("column", "type", "unit", "meaning", "identifies", "code", "code_meaning")


def dictionary(service: Service, request: Request, *, collection_id: str) -> Answer:
    """Answer the data dictionary of a collection: JSON, or CSV with a line for each column and each code."""
    form = params.read(request.query, ("f",)).get("f")
    if form not in (None, "json", "csv"):
        raise InvalidParameter("f", str(form), "'json', 'csv' or 'html'")
    collection = service.catalog.collection(collection_id)
    if collection.features is None:
        raise NotFound(f"Collection {collection_id!r} has no columns: it is a raster.")
    media = {"json": JSON, "csv": CSV}.get(form or "") or request.media_type(JSON, CSV)
    offer = Offer.make(request, media, ("dictionary", service.edition, collection.id, collection.version))
    if unchanged := offer.unchanged():
        return unchanged
    columns = service.asking.terms(collection).columns
    if media == CSV:
        name = ("Content-Disposition", f'attachment; filename="{collection.id}_dictionary.csv"')
        return offer.send(_table(collection, columns), (name,))
    return offer.send(to_json(_described(request, collection, columns)))


def _described(request: Request, collection: Collection, columns: tuple[Column, ...]) -> dict[str, Any]:
    path = dictionary_path(collection.id)
    return {
        "collection": collection.id,
        "version": collection.version,
        "title": f"Data dictionary: {collection.layer.title}",
        "description": collection.layer.description,
        "idColumn": collection.manifest.id_column,
        "columns": [_column(column) for column in columns],
        "links": [
            link(request, path, "self", JSON, "This document"),
            link(request, dictionary_path(collection.id, "csv"), "alternate", CSV, "This document as CSV"),
            link(request, collection_path(collection.id), "collection", JSON, "The collection"),
        ],
    }


def _column(column: Column) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": column.name,
        "type": str(column.type),
        "meaning": column.meaning,
        "unit": column.unit,
    }
    if column.codes:
        described["codes"] = [{"code": code, "meaning": meaning} for code, meaning in column.codes]
    return described


def _table(collection: Collection, columns: tuple[Column, ...]) -> bytes:
    rows = [
        (column.name, str(column.type), column.unit, column.meaning, identifies, code, meaning)
        for column in columns
        for identifies in ("yes" if column.name == collection.manifest.id_column else None,)
        for code, meaning in column.codes or ((None, None),)
    ]
    texts = [pa.chunked_array([pa.array(column, pa.large_string())]) for column in zip(*rows, strict=True)]
    return header(_HEAD) + lines([cells(column) for column in texts], len(rows))
