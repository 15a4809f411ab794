"""The items of each collection in the API's description: with the types of its columns, and its queryables by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gisservice.catalog import Collection
from gisservice.model import Column, GeometryKind
from gisservice.query.schemas import column_schema
from gisservice.web.itemparams import ITEMS_NAMES, Terms
from gisservice.web.params import Parameter

Schema = dict[str, Any]

_GEOMETRY_TYPES = {
    GeometryKind.POINT: ["Point", "MultiPoint"],
    GeometryKind.LINE: ["LineString", "MultiLineString"],
    GeometryKind.POLYGON: ["Polygon", "MultiPolygon"],
}


@dataclass(frozen=True)
class Described:
    """One collection with items, as the description sees it."""

    id: str
    title: str
    terms: Terms
    example: str | None
    """Id of an item, to be tried."""

    @classmethod
    def of(cls, collection: Collection, terms: Terms) -> Described:
        """Describe a collection that has items."""
        features = collection.features
        example = features.item_id(0) if features is not None and features.count else None
        return cls(collection.id, collection.layer.title, terms, example)

    @property
    def queryables(self) -> tuple[Parameter, ...]:
        """The parameters that are columns."""
        columns = {column.name: column for column in self.terms.columns}
        return tuple(_queryable(columns[name]) for name in self.terms.names[len(ITEMS_NAMES) :])


def item_schemas(described: Described) -> Schema:
    """Return the schemas of a collection's item and page of items, by the names that the description has for them."""
    properties = {column.name: _nullable(column) for column in described.terms.columns}
    geometry = {
        "type": "object",
        "nullable": True,
        "required": ["type", "coordinates"],
        "properties": {
            "type": {"type": "string", "enum": _GEOMETRY_TYPES[described.terms.kind]},
            "coordinates": {"type": "array", "items": {}},
        },
    }
    links = {"type": "array", "items": {"$ref": "#/components/schemas/Link"}}
    feature = {
        "type": "object",
        "required": ["type", "id", "geometry", "properties"],
        "properties": {
            "type": {"type": "string", "enum": ["Feature"]},
            "id": {"type": "string"},
            "geometry": geometry,
            "properties": {"type": "object", "properties": properties, "additionalProperties": False},
            "links": links,
        },
    }
    page = {
        "type": "object",
        "required": ["type", "numberMatched", "numberReturned", "links", "features"],
        "properties": {
            "type": {"type": "string", "enum": ["FeatureCollection"]},
            "numberMatched": {"type": "integer", "minimum": 0},
            "numberReturned": {"type": "integer", "minimum": 0},
            "links": links,
            "features": {"type": "array", "items": {"$ref": f"#/components/schemas/{described.id}.item"}},
        },
    }
    return {f"{described.id}.item": feature, f"{described.id}.items": page}


def _queryable(column: Column) -> Parameter:
    meaning = f"Only items whose {column.name!r} is exactly this. {column.meaning}".rstrip()
    return Parameter(column.name, meaning, _in_openapi(column))


def _in_openapi(column: Column) -> Schema:
    """Return a column's schema in the JSON Schema of OpenAPI 3.0, which has no ``const``."""
    found = {name: value for name, value in column_schema(column).items() if name in ("type", "format", "title")}
    if column.codes:
        found["enum"] = [choice["const"] for choice in column_schema(column)["oneOf"]]
    return found


def _nullable(column: Column) -> Schema:
    found = _in_openapi(column)
    if "enum" in found:
        found["enum"] = [*found["enum"], None]
    return {**found, "nullable": True}
