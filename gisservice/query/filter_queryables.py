"""What a filter may name, as the JSON Schema that OGC API Features 3 calls queryables (OGC 19-079r2, 6.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gisservice.model import Column, ColumnType, GeometryKind
from gisservice.query.filter_terms import GEOMETRY

_TYPES: dict[ColumnType, dict[str, str]] = {
    ColumnType.STRING: {"type": "string"},
    ColumnType.INTEGER: {"type": "integer"},
    ColumnType.NUMBER: {"type": "number"},
    ColumnType.BOOLEAN: {"type": "boolean"},
    ColumnType.DATE: {"type": "string", "format": "date"},
    ColumnType.DATETIME: {"type": "string", "format": "date-time"},
}
_GEOMETRIES = {
    GeometryKind.POINT: "geometry-point-or-multipoint",
    GeometryKind.LINE: "geometry-linestring-or-multilinestring",
    GeometryKind.POLYGON: "geometry-polygon-or-multipolygon",
}


def queryables(columns: Sequence[Column], kind: GeometryKind | None = None) -> dict[str, Any]:
    """Return the schema of a collection's queryables: its columns, and ``geometry`` of the given kind.

    Each column has its type, its meaning as title, its unit (``x-ogc-unit``) and the codes of its code list as
    ``enum``. The caller adds ``$id`` and a title. Formats and ``x-ogc`` members are those of OGC 23-058r2.
    """
    properties: dict[str, Any] = {column.name: _queryable(column) for column in columns}
    shape = _GEOMETRIES.get(kind, "geometry-any") if kind is not None else "geometry-any"
    properties[GEOMETRY] = {"title": "Geometry", "format": shape, "x-ogc-role": "primary-geometry"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def _queryable(column: Column) -> dict[str, Any]:
    found: dict[str, Any] = {"title": column.meaning or column.name, **_TYPES[column.type]}
    if column.unit:
        found["x-ogc-unit"] = column.unit
    if column.codes:
        found["enum"] = [code for code, _ in column.codes]
        found["description"] = "; ".join(f"{code}: {meaning}" for code, meaning in column.codes if meaning)
    return {name: value for name, value in found.items() if value}
