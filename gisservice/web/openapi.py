"""The API's description (OpenAPI 3.0.3), written from the table of routes, the settings and what is published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gisservice.model import City
from gisservice.query.downloads import COG, DOWNLOADS
from gisservice.web.itemsapi import Described, item_schemas
from gisservice.web.params import Parameter

Schema = dict[str, Any]

EVERY, WITH_ITEMS, WITH_TILES, RASTERS = "every", "items", "tiles", "rasters"


@dataclass(frozen=True, slots=True)
class Operation:
    """What the description says about one address: ``media`` is the type of the answer, ``schema`` its name."""

    tag: str
    summary: str
    media: str
    schema: str
    query: tuple[str, ...] = ()
    """Names of its query parameters."""
    collections: str = EVERY
    """Which collections its path can name: :data:`EVERY`, :data:`WITH_ITEMS`, :data:`WITH_TILES` or :data:`RASTERS`."""
    statuses: tuple[int, ...] = (200, 304, 400, 404, 406, 500, 503)
    suffix: str = ""
    """What the operation's id ends with, where a standard says so; ``.collection.vector.getTile``."""
    readable: bool = False
    """Whether the answer can be had as a page, too."""
    body: str = ""
    """The name of the schema of the JSON that is sent with it; nothing where nothing is sent."""
    forms: tuple[str, ...] = ()
    """Further media types that the answer can be had as; ``application/json`` is the same document."""


@dataclass(frozen=True, slots=True)
class Offering:
    """What there is to ask for at this moment."""

    collections: Mapping[str, tuple[str, ...]]
    """Ids of the collections: :data:`EVERY`, :data:`WITH_ITEMS`, :data:`WITH_TILES`, :data:`RASTERS`."""
    parameters: Mapping[str, Parameter]
    """The query parameters, by the names that operations call them; where two formats differ, not their own."""
    matrix_sets: tuple[str, ...] = ()
    """Ids of the tile matrix sets."""
    described: tuple[Described, ...] = ()
    """The collections with items, with what their items can be asked by."""


_STATUS_TEXTS = {
    201: "The question was accepted as a job; Location says where it stands.",
    204: "Nothing: the tile is inside the limits and empty.",
    206: "The part of the file that was asked for (Range).",
    304: "Nothing: the copy that the caller has (If-None-Match) is up to date.",
    400: "The request cannot be understood; the problem names the parameter.",
    404: "There is no such resource.",
    406: "None of the media types asked for is offered.",
    414: "The address is longer than is read at all.",
    416: "The part asked for lies behind the end of the file.",
    413: "The body is longer than is read.",
    415: "The body is in a form that is not read.",
    410: "A version that is named, by itself or in a token, is no longer kept.",
    500: "Something went wrong here; the problem carries a reference for the operator's log.",
    503: "Too much is asked for at this moment, or files of the layer are damaged; Retry-After says when to ask again.",
}

METHODS = ("get", "post", "delete")
"""The methods that there are, as the description spells them."""

_PATH_PARAMETERS = {
    "collection_id": "Id of a collection.",
    "collection_ids": "Id of a collection, or several separated by commas: a tile of all of them.",
    "map_id": "Id of a declared map.",
    "item_id": "Id of an item.",
    "process_id": "Name of a process.",
    "job_id": "Id of a job.",
    "record_id": "Id of a record: that of the layer it describes.",
    "extension": "How the name of the file ends, and so its form.",
    "version": "Id of a published version.",
    "versions": "Id of a published version; of several collections one each, separated by commas.",
    "tileMatrixSetId": "Id of a tile matrix set.",
    "tileMatrix": "Id of a tile matrix: the zoom of the tile.",
    "tileRow": "Row of the tile, from the top.",
    "tileCol": "Column of the tile, from the left.",
    "z": "Zoom of the tile.",
    "x": "Column of the tile, from the west.",
    "y": "Row of the tile, from the north.",
}


_TYPED = {"FeatureCollection": "items", "Feature": "item"}
"""Schemas that each collection has its own of, and what they are called behind its id."""


def describe(
    address: str, city: City, version: str, routes: Iterable[tuple[str, str, Operation]], offering: Offering
) -> Schema:
    """Return the OpenAPI document. ``routes`` are methods and path templates with their operations."""
    paths: dict[str, Any] = {}
    for method, template, operation in routes:
        paths.setdefault(template, {})
        paths[template] |= {
            method.lower(): _operation(template, operation, offering, method.lower()),
            **({"parameters": found} if (found := _path_parameters(template, operation, offering)) else {}),
        }
        if operation.schema in _TYPED and "{collection_id}" in template:
            paths |= {_path_of(template, one): _typed(template, operation, one) for one in offering.described}
    return {
        "openapi": "3.0.3",
        "info": {
            "title": city.name,
            "description": city.notice or f"Geographic data of {city.name}.",
            "version": version,
            **({"contact": {"name": city.contact}} if city.contact else {}),
        },
        "servers": [{"url": address}],
        "tags": [{"name": name} for name in sorted(set(_tags(paths)))],
        "paths": paths,
        "components": {
            "schemas": {**SCHEMAS, **{k: v for one in offering.described for k, v in item_schemas(one).items()}},
            "parameters": {name: _query_parameter(entry) for name, entry in offering.parameters.items()},
            "responses": {f"Status{code}": _response(code, text) for code, text in _STATUS_TEXTS.items()},
        },
    }


def _tags(paths: Schema) -> Iterable[str]:
    for path in paths.values():
        for method in METHODS:
            if method in path:
                yield from path[method]["tags"]


def _operation(template: str, operation: Operation, offering: Offering, method: str = "get") -> Schema:
    answer: Schema = {
        "description": operation.summary,
        "headers": {"ETag": {"description": "Tag of this representation.", "schema": {"type": "string"}}},
        "content": {operation.media: {"schema": {"$ref": f"#/components/schemas/{operation.schema}"}}},
    }
    for media in operation.forms:
        same = media == "application/json"
        kind = "object" if media.endswith("json") else "string"
        answer["content"][media] = answer["content"][operation.media] if same else {"schema": {"type": kind}}
    if operation.readable:
        answer["content"]["text/html"] = {"schema": {"type": "string"}}
    statuses = sorted({*operation.statuses, 414} - {200})
    responses = {str(code): {"$ref": f"#/components/responses/Status{code}"} for code in statuses}
    described: Schema = {
        "tags": [operation.tag],
        "summary": operation.summary,
        "operationId": _operation_id(template, method) + operation.suffix,
        "responses": {"200": answer, **responses},
    }
    if operation.body:
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{operation.body}"}}}
        described["requestBody"] = {"required": True, "content": content}
    if operation.query:
        described["parameters"] = [{"$ref": f"#/components/parameters/{name}"} for name in operation.query]
    return described


def _path_of(template: str, one: Described) -> str:
    return template.replace("{collection_id}", one.id)


def _typed(template: str, operation: Operation, one: Described) -> Schema:
    """Return the path of one collection: a more exact description of what the general one says, too."""
    path = _path_of(template, one)
    found = _operation(path, operation, Offering({}, {}))
    content = found["responses"]["200"]["content"]
    for media in {operation.media, "application/json"} & set(content):
        content[media] = {"schema": {"$ref": f"#/components/schemas/{one.id}.{_TYPED[operation.schema]}"}}
    found["summary"] += f": {one.title}"
    if operation.schema == "FeatureCollection":
        found["parameters"] += [_query_parameter(entry) for entry in one.queryables]
        return {"get": found}
    schema = {"type": "string"} if one.example is None else {"type": "string", "example": one.example}
    item_id = {"name": "item_id", "in": "path", "required": True, "description": _PATH_PARAMETERS["item_id"]}
    return {"get": found, "parameters": [{**item_id, "schema": schema}]}


def _operation_id(template: str, method: str) -> str:
    words = "".join(character if character.isalnum() else " " for character in template).split()
    return method + "".join(word.capitalize() for word in words)


def _path_parameters(template: str, operation: Operation, offering: Offering) -> list[Schema]:
    found = []
    for name, meaning in _PATH_PARAMETERS.items():
        if f"{{{name}}}" in template:
            schema = _path_schema(name, operation, offering)
            found.append({"name": name, "in": "path", "required": True, "description": meaning, "schema": schema})
    return found


def _path_schema(name: str, operation: Operation, offering: Offering) -> Schema:
    if name in ("z", "x", "y", "tileRow", "tileCol"):
        return {"type": "integer", "minimum": 0}
    ids = offering.collections[operation.collections]
    if name == "collection_ids":
        return _list(_one_of(ids)) | {"minItems": 1}
    return _one_of(
        {
            "collection_id": ids,
            "record_id": ids,
            "tileMatrixSetId": offering.matrix_sets,
            "extension": (*DOWNLOADS, COG.extension),
        }.get(name, ())
    )


def _one_of(ids: tuple[str, ...]) -> Schema:
    return {"type": "string", "enum": list(ids)} if ids else {"type": "string"}


def _query_parameter(parameter: Parameter) -> Schema:
    return {
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "style": "form",
        "explode": False,
        "description": parameter.meaning,
        "schema": dict(parameter.schema),
    }


def _response(code: int, text: str) -> Schema:
    if code < 400 or code == 414:  # said by the server of HTTP, before anything of ours is asked
        return {"description": text}
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {"description": text, "content": {"application/problem+json": problem}}


def _object(properties: Schema, required: Iterable[str] = ()) -> Schema:
    needed = list(required)
    return {"type": "object", "properties": properties, **({"required": needed} if needed else {})}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_LINKS = _list({"$ref": "#/components/schemas/Link"})
_BBOX = _list({"type": "number"}) | {"minItems": 4, "maxItems": 4}

_SIDE = _object(
    {"version": _TEXT, "published": {"type": "string", "format": "date-time"}, "count": _COUNT},
    ("version", "published", "count"),
)

_PROCESS: Schema = {
    "id": _TEXT,
    "version": _TEXT,
    "title": _TEXT,
    "description": _TEXT,
    "jobControlOptions": _list({"type": "string", "enum": ["sync-execute", "async-execute", "dismiss"]}),
    "outputTransmission": _list({"type": "string", "enum": ["value"]}),
    "links": _LINKS,
}
_TIME: Schema = {"type": "string", "format": "date-time"}
_JOB: Schema = {
    "jobID": _TEXT,
    "processID": _TEXT,
    "type": {"type": "string", "enum": ["process"]},
    "status": {"type": "string", "enum": ["accepted", "running", "successful", "failed", "dismissed"]},
    "message": _TEXT,
    **dict.fromkeys(("created", "started", "finished", "updated"), _TIME),
    "links": _LINKS,
}

SCHEMAS: Schema = {
    "Problem": _object(
        {
            "type": _TEXT,
            "title": _TEXT,
            "status": {"type": "integer"},
            "detail": _TEXT,
            "instance": _TEXT,
            "suggestions": _list(_TEXT),
        },
        ("type", "title", "status", "detail"),
    ),
    "Link": _object(
        {"href": _TEXT, "rel": _TEXT, "type": _TEXT, "title": _TEXT, "templated": {"type": "boolean"}}, ("href", "rel")
    ),
    "Landing": _object({"title": _TEXT, "description": _TEXT, "links": _LINKS}, ("links",)),
    "Conformance": _object({"conformsTo": _list(_TEXT)}, ("conformsTo",)),
    "OpenAPI": {"type": "object"},
    "Collection": _object(
        {
            "id": _TEXT,
            "title": _TEXT,
            "description": _TEXT,
            "attribution": _TEXT,
            "version": _TEXT,
            "itemType": _TEXT,
            "itemCount": _COUNT,
            "updated": {"type": "string", "format": "date-time"},
            "crs": _list(_TEXT),
            "storageCrs": _TEXT,
            "extent": _object({"spatial": _object({"bbox": _list(_BBOX), "crs": _TEXT}), "temporal": _object({})}),
            "links": _LINKS,
        },
        ("id", "links"),
    ),
    "Collections": _object(
        {"links": _LINKS, "collections": _list({"$ref": "#/components/schemas/Collection"})}, ("links", "collections")
    ),
    "Feature": _object(
        {
            "type": {"type": "string", "enum": ["Feature"]},
            "id": _TEXT,
            "geometry": {"type": "object", "nullable": True},
            "properties": {"type": "object", "nullable": True},
            "links": _LINKS,
        },
        ("type", "geometry", "properties"),
    ),
    "JSONSchema": _object(
        {
            "$schema": _TEXT,
            "$id": _TEXT,
            "type": {"type": "string", "enum": ["object"]},
            "title": _TEXT,
            "description": _TEXT,
            "properties": {"type": "object", "additionalProperties": {"type": "object"}},
            "additionalProperties": {"type": "boolean"},
        },
        ("$schema", "$id", "type", "properties"),
    ),
    "FeatureCollection": _object(
        {
            "type": {"type": "string", "enum": ["FeatureCollection"]},
            "numberMatched": _COUNT,
            "numberReturned": _COUNT,
            "links": _LINKS,
            "features": _list({"$ref": "#/components/schemas/Feature"}),
        },
        ("type", "features"),
    ),
    "Versions": _object(
        {
            "collection": _TEXT,
            "versions": _list(
                _object(
                    {
                        "version": _TEXT,
                        "published": {"type": "string", "format": "date-time"},
                        "action": _TEXT,
                        "count": _COUNT,
                        "current": {"type": "boolean"},
                        "links": _LINKS,
                    }
                )
            ),
            "links": _LINKS,
        }
    ),
    "Changes": _object(
        {
            "collection": _TEXT,
            "since": _SIDE,
            "until": _SIDE,
            **dict.fromkeys(
                ("numberAdded", "numberChanged", "numberRemoved", "numberMatched", "numberReturned"), _COUNT
            ),
            "links": _LINKS,
            "changes": _list(
                _object(
                    {
                        "id": _TEXT,
                        "title": _TEXT,
                        "change": {"type": "string", "enum": ["added", "changed", "removed"]},
                        "geometryChanged": {"type": "boolean"},
                        "fields": {
                            "type": "object",
                            "additionalProperties": _object({"before": {}, "after": {}}, ("before", "after")),
                        },
                    },
                    ("id", "change"),
                )
            ),
        },
        ("collection", "since", "until", "numberMatched", "numberReturned", "links", "changes"),
    ),
    "TileMatrixSets": _object(
        {"tileMatrixSets": _list(_object({"id": _TEXT, "title": _TEXT, "links": _LINKS}, ("id", "links")))},
        ("tileMatrixSets",),
    ),
    "TileMatrixSet": _object(
        {"id": _TEXT, "title": _TEXT, "uri": _TEXT, "crs": _TEXT, "tileMatrices": _list({"type": "object"})},
        ("id", "crs", "tileMatrices"),
    ),
    "Tilesets": _object(
        {
            "links": _LINKS,
            "tilesets": _list(
                _object(
                    {"title": _TEXT, "dataType": _TEXT, "crs": _TEXT, "tileMatrixSetURI": _TEXT, "links": _LINKS},
                    ("dataType", "crs", "links"),
                )
            ),
        },
        ("tilesets",),
    ),
    "Tileset": _object(
        {
            "title": _TEXT,
            "dataType": _TEXT,
            "crs": _TEXT,
            "tileMatrixSetURI": _TEXT,
            "tileMatrixSetLimits": _list(
                _object(
                    {
                        "tileMatrix": _TEXT,
                        "minTileRow": _COUNT,
                        "maxTileRow": _COUNT,
                        "minTileCol": _COUNT,
                        "maxTileCol": _COUNT,
                    },
                    ("tileMatrix", "minTileRow", "maxTileRow", "minTileCol", "maxTileCol"),
                )
            ),
            "layers": _list(_object({"id": _TEXT, "title": _TEXT, "dataType": _TEXT}, ("id", "dataType"))),
            "links": _LINKS,
        },
        ("dataType", "crs", "links"),
    ),
    "Style": _object(
        {"version": {"type": "integer"}, "sources": {"type": "object"}, "layers": _list({"type": "object"})},
        ("version", "sources", "layers"),
    ),
    "TileReport": _object(
        {"collection": _TEXT, "version": _TEXT, "zooms": {"type": "object"}, "links": _LINKS},
        ("collection", "version", "zooms"),
    ),
    "TileAccount": _object(
        {
            "collection": _TEXT,
            "version": _TEXT,
            **dict.fromkeys(("z", "x", "y", "features", "drawn", "kept", "reduced", "bytes"), _COUNT),
            "merged": {"type": "object", "additionalProperties": _COUNT},
            "dropped": {"type": "object", "additionalProperties": _COUNT},
            "links": _LINKS,
        },
        ("collection", "version", "z", "x", "y", "features", "drawn"),
    ),
    "Archive": {"type": "string", "format": "binary"},
    "Connections": {"type": "string"},
    "TileJSON": _object(
        {"tilejson": _TEXT, "tiles": _list(_TEXT), "vector_layers": _list({"type": "object"})},
        ("tilejson", "tiles", "vector_layers"),
    ),
    "Tile": {"type": "string", "format": "binary"},
    "Capabilities": {"type": "string"},
    "Positions": _object(
        {
            "type": {"type": "string", "enum": ["FeatureCollection"]},
            "collection": _TEXT,
            "version": _TEXT,
            "units": {"type": "object", "additionalProperties": _TEXT},
            "numberReturned": _COUNT,
            "features": _list({"type": "object"}),
        },
        ("type", "collection", "version", "numberReturned", "features"),
    ),
    "File": {"oneOf": [{"type": "string", "format": "binary"}, {"type": "object"}]},
    "Downloads": _object(
        {
            "collection": _TEXT,
            "version": _TEXT,
            "files": _list(
                _object(
                    {
                        "name": _TEXT,
                        "title": _TEXT,
                        "href": _TEXT,
                        "versionHref": _TEXT,
                        "type": _TEXT,
                        "crs": _TEXT,
                        "size": _COUNT | {"nullable": True},
                        "sha256": _TEXT | {"nullable": True},
                        "losses": _list(_TEXT),
                        "problem": _TEXT,
                    },
                    ("name", "title", "href", "versionHref", "type", "crs", "size", "sha256", "losses"),
                )
            ),
        },
        ("collection", "version", "files"),
    ),
    "Dictionary": _object(
        {
            "collection": _TEXT,
            "version": _TEXT,
            "title": _TEXT,
            "description": _TEXT,
            "idColumn": _TEXT,
            "columns": _list(
                _object(
                    {
                        "name": _TEXT,
                        "type": _TEXT,
                        "meaning": _TEXT,
                        "unit": _TEXT | {"nullable": True},
                        "codes": _list(_object({"code": _TEXT, "meaning": _TEXT}, ("code", "meaning"))),
                    },
                    ("name", "type", "meaning"),
                )
            ),
            "links": _LINKS,
        },
        ("collection", "version", "columns", "links"),
    ),
    "DCATCatalog": _object(
        {"@context": _TEXT, "@type": _TEXT, "title": _TEXT, "dataset": _list({"type": "object"})},
        ("@context", "@type", "dataset"),
    ),
    "Feed": {"type": "string"},
    "Suggestions": _object(
        {"suggestions": _list(_object({"text": {"type": "string"}, "kind": {"type": "string"}}, ("text", "kind")))},
        ("suggestions",),
    ),
    "Processes": _object(
        {"processes": _list({"$ref": "#/components/schemas/ProcessSummary"}), "links": _LINKS}, ("processes", "links")
    ),
    "ProcessSummary": _object(_PROCESS, ("id", "version")),
    "Process": _object({**_PROCESS, "inputs": _object({}), "outputs": _object({})}, ("id", "version")),
    "Execute": _object(
        {
            "inputs": _object({}),
            "outputs": _object({}),
            "response": {"type": "string", "enum": ["raw", "document"], "default": "raw"},
        }
    ),
    "Job": _object(_JOB, ("jobID", "status", "type")),
    "Jobs": _object({"jobs": _list({"$ref": "#/components/schemas/Job"}), "links": _LINKS}, ("jobs", "links")),
    "Analysis": _object(
        {
            "type": {"type": "string", "enum": ["FeatureCollection"]},
            "features": _list(
                _object(
                    {
                        "type": {"type": "string", "enum": ["Feature"]},
                        "id": _TEXT,
                        "geometry": {"type": "object", "nullable": True},
                        "properties": {"type": "object"},
                    },
                    ("type", "geometry", "properties"),
                )
            ),
            "method": _TEXT,
            "units": {"type": "object", "additionalProperties": _TEXT},
            "sources": _list(
                _object({"collection": _TEXT, "version": _TEXT, "published": _TEXT}, ("collection", "version"))
            ),
        },
        ("type", "features", "method", "units", "sources"),
    ),
    "Health": _object(
        {
            "status": {"type": "string", "enum": ["ok", "degraded"]},
            "collections": {"type": "object", "additionalProperties": _TEXT},
            "damaged": _list(_TEXT),
            "libraries": {"type": "object", "additionalProperties": _TEXT},
        }
    ),
}
