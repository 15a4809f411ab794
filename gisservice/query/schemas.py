"""The columns of a layer as JSON Schema: what items have, what they can be asked for by, what they can be sorted by.

OGC API - Common - Part 3 (23-058r2). A member that is null has no value; that is not spelled out in every type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow.compute as pc

from gisservice.catalog import Features
from gisservice.model import Column, ColumnType, GeometryKind
from gisservice.query.columns import values

Schema = dict[str, Any]

GEOMETRY = "geometry"
"""What the geometry of items is called where properties are listed."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"

CODELIST_INLINE = "http://www.opengis.net/def/profile/OGC/0/codelist-inline"
"""The profile that code lists are written in: every code with its title inside the schema."""

_TYPES: dict[ColumnType, Schema] = {
    ColumnType.STRING: {"type": "string"},
    ColumnType.INTEGER: {"type": "integer", "format": "int64"},
    ColumnType.NUMBER: {"type": "number", "format": "double"},
    ColumnType.BOOLEAN: {"type": "boolean"},
    ColumnType.DATE: {"type": "string", "format": "date"},
    ColumnType.DATETIME: {"type": "string", "format": "date-time"},
}

_GEOMETRIES = {
    GeometryKind.POINT: "geometry-point-or-multipoint",
    GeometryKind.LINE: "geometry-linestring-or-multilinestring",
    GeometryKind.POLYGON: "geometry-polygon-or-multipolygon",
}

_UCUM = {
    "acre": "[acr_us]",
    "day": "d",
    "degree": "deg",
    "foot": "[ft_i]",
    "hectare": "har",
    "hour": "h",
    "inch": "[in_i]",
    "kilometre": "km",
    "metre": "m",
    "mile": "[mi_i]",
    "mile per hour": "[mi_i]/h",
    "minute": "min",
    "percent": "%",
    "square foot": "[sft_i]",
    "square kilometre": "km2",
    "square metre": "m2",
    "m²": "m2",
    "square mile": "[smi_us]",
    "US survey foot": "[ft_us]",
    "year": "a",
}
"""Units as registries spell them, in the Unified Code for Units of Measure; others stand in the title alone."""


def timed(columns: Sequence[Column]) -> str | None:
    """Return the column that says when an item was: the first with dates or times, None where there is none."""
    kinds = (ColumnType.DATE, ColumnType.DATETIME)
    return next((column.name for column in columns if column.type in kinds), None)


def with_kept_codes(columns: Sequence[Column], features: Features) -> tuple[Column, ...]:
    """Return the columns, without the code lists that the data does not keep to: a schema must not promise them."""
    return tuple(
        replace(column, codes=()) if column.codes and _has_others(column, features) else column for column in columns
    )


def _has_others(column: Column, features: Features) -> bool:
    codes = {code for code, _ in column.codes}
    found = pc.unique(values(features, column.name)).to_pylist()
    return any(value is not None and str(value) not in codes for value in found)


def returnables(columns: Sequence[Column], kind: GeometryKind, id_column: str) -> Schema:
    """Return the schema of the items themselves."""
    found = _schema(columns, id_column)
    if id_column not in found["properties"] and "id" not in found["properties"]:
        named = {"title": "Identifier", "type": "string", "x-ogc-role": "id", "readOnly": True, "x-ogc-propertySeq": 0}
        found["properties"] = {"id": named, **found["properties"]}
    return _with_geometry(found, columns, kind)


def queryables(columns: Sequence[Column], kind: GeometryKind, id_column: str) -> Schema:
    """Return the schema of what a filter or a parameter can ask for: all columns and the geometry."""
    return _with_geometry(_schema(columns, id_column), columns, kind)


def sortables(columns: Sequence[Column], id_column: str) -> Schema:
    """Return the schema of what items can be sorted by: all columns."""
    return _schema(columns, id_column)


def column_schema(column: Column) -> Schema:
    """Return the schema of a column's values."""
    found: Schema = {"title": column.meaning or column.name}
    if column.unit:
        found["title"] += f" ({column.unit})"
    found |= _TYPES[column.type]
    if column.unit in _UCUM and column.type in (ColumnType.INTEGER, ColumnType.NUMBER):
        found["x-ogc-unit"] = _UCUM[column.unit]
    if column.codes:
        make: Any = int if column.type is ColumnType.INTEGER else float if column.type is ColumnType.NUMBER else str
        found["oneOf"] = [{"const": make(code), "title": title or code} for code, title in column.codes]
    return found


def _schema(columns: Sequence[Column], id_column: str) -> Schema:
    instant = timed(columns)
    properties: Schema = {}
    for place, column in enumerate(columns, start=1):
        found = column_schema(column)
        if column.name == id_column and column.type in (ColumnType.STRING, ColumnType.INTEGER):
            found["x-ogc-role"] = "id"
        elif column.name == instant:
            found["x-ogc-role"] = "primary-instant"
        properties[column.name] = {**found, "x-ogc-propertySeq": place}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _with_geometry(schema: Schema, columns: Sequence[Column], kind: GeometryKind) -> Schema:
    geometry = {
        "title": "Geometry",
        "x-ogc-role": "primary-geometry",
        "format": _GEOMETRIES[kind],
        "x-ogc-propertySeq": len(columns) + 1,
    }
    if GEOMETRY not in schema["properties"]:
        schema["properties"][GEOMETRY] = geometry
    return schema
