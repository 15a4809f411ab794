"""What is asked from outside, checked against an operation's description: plain values, and frames still to be read.

Knows neither HTTP nor files. Everything that is wrong is told with the input's name before anything is read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import shapely

from gisservice import crs
from gisservice.analysis.operations import LIST_MAX, Input, Operation, Role
from gisservice.errors import InvalidParameter, LimitExceeded, UnknownParameter
from gisservice.model import BBox

if TYPE_CHECKING:
    import geopandas

VERTICES_MAX = 10_000
"""The most positions of all geometries that come with a question."""

TEXT_MAX = 1_000
FILTER_MAX = 8_000
MEMBERS_MAX = 1_000
"""Features that come with a question."""

_GEOMETRIES = (
    "Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection",
)  # fmt: skip
_EXACT_MAX = 2**53
"""The largest whole number that every program reads exactly as it stands in JSON (RFC 8259, 6)."""
_COLLECTION_KEYS = ("collection", "bbox", "filter", "filter-lang", "asof")
_QUALIFIERS = ("mediaType", "encoding", "schema")
_EXPECTED = (
    "the id of a collection, {'collection': id, 'bbox': …, 'filter': CQL2 text, 'asof': time}, or GeoJSON in CRS84"
)


@dataclass(frozen=True, slots=True)
class Stored:
    """Features of a collection: those in a box (CRS84), those for which a CQL2 filter is true, as they were then."""

    collection: str
    bbox: BBox | None = None
    filter: str | None = None
    filter_lang: str = "cql2-text"
    asof: datetime | None = None

    def written(self) -> dict[str, Any]:
        """Return the reference as JSON, the same for the same question."""
        found: dict[str, Any] = {"collection": self.collection}
        if self.bbox is not None:
            found["bbox"] = list(self.bbox)
        if self.filter is not None:
            found |= {"filter": self.filter, "filter-lang": self.filter_lang}
        if self.asof is not None:
            found["asof"] = self.asof.isoformat()
        return found


@dataclass(frozen=True, slots=True)
class Given:
    """Features that came with the question, as GeoJSON in CRS84."""

    features: tuple[Mapping[str, Any], ...]

    def written(self) -> dict[str, Any]:
        """Return the features as JSON."""
        return {"type": "FeatureCollection", "features": list(self.features)}

    def frame(self, name: str) -> geopandas.GeoDataFrame:
        """Return the features as a frame in CRS84. Raises :class:`InvalidParameter` for what is no valid geometry."""
        import geopandas

        shapes = np.array([_shape(name, entry["geometry"]) for entry in self.features], dtype=object)
        _check_valid(name, shapes)
        rows = [entry["properties"] for entry in self.features]
        columns = list(dict.fromkeys(key for row in rows for key in row))
        return geopandas.GeoDataFrame(
            {key: [row.get(key) for row in rows] for key in columns}, geometry=list(shapes), crs=crs.CRS84
        )


Source = Stored | Given


@dataclass(frozen=True, slots=True)
class Question:
    """An operation and its checked inputs. Frames are a :data:`Source` each, several of them a mapping."""

    operation: Operation
    values: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The inputs as canonical JSON: equal questions have equal texts, and it is read back by :func:`question`."""
        written = {name: _written(value) for name, value in self.values.items()}
        return orjson.dumps(written, option=orjson.OPT_SORT_KEYS).decode()

    def sources(self) -> Iterator[tuple[str, Source]]:
        """Yield all frames that are to be read, with the names of their inputs."""
        for name, value in self.values.items():
            if isinstance(value, Stored | Given):
                yield name, value
            elif self.operation.input(name).role is Role.FRAMES:
                yield from ((name, source) for source in value.values())

    def collections(self) -> tuple[str, ...]:
        """Return the ids of all collections that the answer is made from, each once."""
        named = [source.collection for _, source in self.sources() if isinstance(source, Stored)]
        named += [self.value(entry) for entry in self.operation.inputs if entry.role in DEFAULT_COLLECTIONS]
        return tuple(dict.fromkeys(named))

    def value(self, entry: Input) -> Any:
        """Return the value of an input; of a network and a raster the one that is meant when none is named."""
        return self.values.get(entry.name, DEFAULT_COLLECTIONS.get(entry.role, entry.default))

    def answer(self, read: Callable[[Stored], Any], opened: Callable[[Role, str], Any], held: Any = None) -> Any:
        """Return the operation's answer. ``read`` gives frames, ``opened`` networks and rasters by their collection.

        All frames come in the reference system of the first that is stored, so that they can be compared; without
        one, in CRS84.
        """
        frames = {id(source): (name, source) for name, source in self.sources()}
        made = {
            key: read(source) if isinstance(source, Stored) else source.frame(name)
            for key, (name, source) in frames.items()
        }
        stored = [made[key] for key, (_, source) in frames.items() if isinstance(source, Stored)]
        system = stored[0].crs if stored else None
        made = {key: _moved(frame, system) for key, frame in made.items()}
        values = dict(self.values)
        for entry in self.operation.inputs:
            if entry.role in DEFAULT_COLLECTIONS:
                values[entry.name] = opened(entry.role, self.value(entry))
            elif entry.role is Role.FRAME and entry.name in values:
                values[entry.name] = made[id(values[entry.name])]
            elif entry.role is Role.FRAMES and entry.name in values:
                values[entry.name] = {key: made[id(source)] for key, source in values[entry.name].items()}
        return self.operation.run(values, held)


DEFAULT_COLLECTIONS = {Role.NETWORK: "streets", Role.GROUND: "elevation"}
"""The network and the raster that are meant when none is named."""


def question(operation: Operation, inputs: Mapping[str, Any]) -> Question:
    """Return a checked question from inputs as JSON has them. Raises :class:`RequestError` and its kin."""
    known = {entry.name: entry for entry in operation.inputs}
    for name in inputs:
        if name not in known:
            raise UnknownParameter(str(name), known)
    for name, entry in known.items():
        if entry.required and inputs.get(name) is None:
            raise InvalidParameter(name, "", f"a value; the process needs it ({entry.title.lower()})")
    values = {name: _checked(known[name], value) for name, value in inputs.items() if value is not None}
    asked = Question(operation, values)
    vertices = sum(_vertices(entry["geometry"]) for _, one in asked.sources() if isinstance(one, Given)
                   for entry in one.features)  # fmt: skip
    if vertices > VERTICES_MAX:
        raise LimitExceeded("The number of positions in the inputs", vertices, VERTICES_MAX, "positions")
    return asked


def _moved(frame: Any, system: Any) -> Any:
    if system is None or frame.crs is None or frame.crs == system:
        return frame
    moved = frame.set_geometry(
        crs.reproject(frame.geometry.to_numpy(), crs.reprojection(frame.crs, system)), crs=system
    )
    moved.attrs = dict(frame.attrs)
    return moved


def _written(value: Any) -> Any:
    if isinstance(value, Stored | Given):
        return value.written()
    if isinstance(value, Mapping):
        return {key: _written(inner) for key, inner in value.items()}
    return value


def _checked(entry: Input, value: Any) -> Any:
    if _is_qualified(entry, value):
        value = value["value"]
    if entry.role is Role.FRAME:
        return _source(entry.name, value)
    if entry.role is Role.FRAMES:
        if not isinstance(value, dict) or not 0 < len(value) <= LIST_MAX:
            raise InvalidParameter(entry.name, _shown(value), f"an object of 1 to {LIST_MAX} kinds, each {_EXPECTED}")
        return {_name(entry.name, key): _source(entry.name, one) for key, one in value.items()}
    if entry.role is not Role.VALUE:
        return _text(entry.name, value)
    return _plain(entry.name, entry.schema, value)


def _is_qualified(entry: Input, value: Any) -> bool:
    """Tell whether a value is wrapped as the standard wraps objects (18-062r2, qualifiedInputValue).

    An input that is itself an object by names may have one called ``value``: it is wrapped where its type is said, too.
    """
    if not isinstance(value, dict) or "value" not in value or not set(value) <= {"value", *_QUALIFIERS}:
        return False
    named = entry.role is Role.FRAMES or entry.schema.get("type") == "object"
    return not named or len(value) > 1


def _name(name: str, key: str) -> str:
    if not (key.isidentifier() and len(key) <= 40):
        raise InvalidParameter(name, key, "names of letters, digits and '_'")
    return key


def _plain(name: str, schema: Mapping[str, Any], value: Any) -> Any:
    if "oneOf" in schema:
        plain, several = schema["oneOf"]
        return _plain(name, several if isinstance(value, list) else plain, value)
    kind = schema["type"]
    if kind == "array":
        return _members(name, schema, value)
    if kind == "object":
        if not isinstance(value, dict) or len(value) > LIST_MAX:
            raise InvalidParameter(name, _shown(value), f"an object of up to {LIST_MAX} lists of numbers")
        return {key: _members(name, schema["additionalProperties"], inner) for key, inner in value.items()}
    return _SCALARS[kind](name, value, schema)


def _members(name: str, schema: Mapping[str, Any], value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidParameter(name, _shown(value), "a list")
    if len(value) > LIST_MAX:
        raise LimitExceeded(f"The list {name!r}", len(value), LIST_MAX, "members")
    return [_plain(name, schema["items"], inner) for inner in value]


def _text(name: str, value: Any, schema: Mapping[str, Any] | None = None) -> Any:
    if not isinstance(value, str):
        raise InvalidParameter(name, _shown(value), "a text")
    if len(value) > TEXT_MAX:
        raise LimitExceeded(f"The text {name!r}", len(value), TEXT_MAX, "characters")
    choices = (schema or {}).get("enum")
    if choices and value not in choices:
        raise InvalidParameter(name, value, "one of " + ", ".join(choices))
    if (schema or {}).get("format") == "date":
        try:
            return date.fromisoformat(value)
        except ValueError as exc:
            raise InvalidParameter(name, value, "a date such as 2026-03-01") from exc
    return value


def _number(name: str, value: Any, schema: Mapping[str, Any]) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidParameter(name, _shown(value), "a finite number")
    return value if abs(value) <= _EXACT_MAX else float(value)


def _integer(name: str, value: Any, schema: Mapping[str, Any]) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(_number(name, value, schema)):
        raise InvalidParameter(name, _shown(value), "a whole number")
    if abs(value) > _EXACT_MAX:
        raise InvalidParameter(name, _shown(value), "a whole number of at most 2^53")
    return int(value)


def _truth(name: str, value: Any, schema: Mapping[str, Any]) -> bool:
    if not isinstance(value, bool):
        raise InvalidParameter(name, _shown(value), "true or false")
    return value


_SCALARS: dict[str, Callable[[str, Any, Mapping[str, Any]], Any]] = {
    "string": _text, "number": _number, "integer": _integer, "boolean": _truth,
}  # fmt: skip


# Frames


def _source(name: str, value: Any) -> Source:
    if isinstance(value, str):
        return Stored(_text(name, value))
    if not isinstance(value, dict):
        raise InvalidParameter(name, _shown(value), _EXPECTED)
    if "collection" in value:
        return _stored(name, value)
    if "href" in value:
        raise InvalidParameter(name, _shown(value["href"]), f"{_EXPECTED}; other services are not asked")
    kind = value.get("type")
    _check_system(name, value)
    if kind == "FeatureCollection" and isinstance(value.get("features"), list):
        return _given(name, value["features"])
    if kind == "Feature" or kind in _GEOMETRIES:
        return _given(name, [value])
    raise InvalidParameter(name, _shown(value), _EXPECTED)


def _check_system(name: str, member: Mapping[str, Any]) -> None:
    """Raise :class:`InvalidParameter` for GeoJSON of before RFC 7946 whose ``crs`` names another system than CRS84."""
    if member.get("crs") is not None and not _LONLAT.search(str(member["crs"])[:500]):
        expected = "longitudes and latitudes in degrees (CRS84, RFC 7946), and no 'crs' that names another system"
        raise InvalidParameter(name, _shown(member["crs"]), expected)


_LONLAT = re.compile(r"CRS:?84'|EPSG:+4326'", re.ASCII)
"""How GeoJSON names it, at the end of a text inside the member."""


def _stored(name: str, value: Mapping[str, Any]) -> Stored:
    for key in value:
        if key not in _COLLECTION_KEYS:
            raise UnknownParameter(f"{name}.{key}", (f"{name}.{one}" for one in _COLLECTION_KEYS))
    condition = value.get("filter")
    lang = value.get("filter-lang", "cql2-json" if isinstance(condition, dict) else "cql2-text")
    if isinstance(condition, dict):
        condition = orjson.dumps(condition).decode()
    if condition is not None and (not isinstance(condition, str) or len(condition) > FILTER_MAX):
        raise InvalidParameter(f"{name}.filter", _shown(condition), f"CQL2 of up to {FILTER_MAX} characters")
    return Stored(
        _text(f"{name}.collection", value["collection"]),
        None if value.get("bbox") is None else _box(f"{name}.bbox", value["bbox"]),
        condition,
        _text(f"{name}.filter-lang", lang, {"enum": ("cql2-text", "cql2-json")}),
        None if value.get("asof") is None else _moment(f"{name}.asof", value["asof"]),
    )


def _box(name: str, value: Any) -> BBox:
    expected = "four numbers west, south, east, north in degrees (CRS84), south below north"
    if not isinstance(value, list) or len(value) != 4:
        raise InvalidParameter(name, _shown(value), expected)
    west, south, east, north = (float(_number(name, one, {})) for one in value)
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise InvalidParameter(name, _shown(value), expected)
    return west, south, east, north


def _moment(name: str, value: Any) -> datetime:
    text = _text(name, value)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise InvalidParameter(name, text, "a time with its zone, such as 2026-03-01T00:00:00Z")
    return found


def _given(name: str, members: list[Any]) -> Given:
    if len(members) > MEMBERS_MAX:
        raise LimitExceeded(f"The input {name!r}", len(members), MEMBERS_MAX, "features")
    return Given(tuple(_feature(name, member) for member in members))


def _feature(name: str, member: Any) -> Mapping[str, Any]:
    if isinstance(member, dict) and member.get("type") in _GEOMETRIES:
        return {"type": "Feature", "geometry": _flat(name, member), "properties": {}}
    if not isinstance(member, dict) or member.get("type") != "Feature":
        raise InvalidParameter(name, _shown(member), "GeoJSON features or geometries (RFC 7946)")
    _check_system(name, member)
    geometry, properties = member.get("geometry"), member.get("properties") or {}
    if not isinstance(geometry, dict) or geometry.get("type") not in _GEOMETRIES:
        raise InvalidParameter(name, _shown(geometry), "a GeoJSON geometry (RFC 7946) in every feature")
    if not isinstance(properties, dict) or len(properties) > LIST_MAX:
        raise InvalidParameter(name, _shown(properties), f"up to {LIST_MAX} properties of a feature")
    plain = {key: value for key, value in properties.items() if isinstance(value, str | int | float | bool | None)}
    return {"type": "Feature", "geometry": _flat(name, geometry), "properties": plain}


def _flat(name: str, geometry: dict[str, Any]) -> dict[str, Any]:
    """Return a geometry. Raises :class:`InvalidParameter` for a collection in a collection: that may have no end."""
    _check_system(name, geometry)
    if geometry["type"] == "GeometryCollection":
        members = geometry.get("geometries")
        listed = members if isinstance(members, list) else [None]
        if not all(isinstance(one, dict) and one.get("type") in _GEOMETRIES[:-1] for one in listed):
            raise InvalidParameter(name, _shown(geometry), "geometries in a GeometryCollection, none of them another")
    return geometry


def _vertices(geometry: Any) -> int:
    """Return how many positions a geometry has, whatever its arrays hold."""
    if geometry.get("type") == "GeometryCollection":
        return sum(_vertices(one) for one in geometry["geometries"])
    count, waiting = 0, [geometry.get("coordinates")]
    while waiting:
        found = waiting.pop()
        if isinstance(found, list):
            if found and not isinstance(found[0], list):
                count += 1
            else:
                waiting += found
    return count


def _shape(name: str, geometry: Mapping[str, Any]) -> Any:
    expected = "a GeoJSON geometry (RFC 7946): positions of longitude and latitude in degrees, rings closed"
    try:
        shape = shapely.force_2d(shapely.from_geojson(orjson.dumps(geometry)))
    except (shapely.errors.GEOSException, orjson.JSONEncodeError, TypeError) as exc:
        raise InvalidParameter(name, _shown(geometry), expected) from exc
    if shape is None or shapely.is_empty(shape):
        raise InvalidParameter(name, _shown(geometry), expected)
    west, south, east, north = shapely.bounds(shape).tolist()
    if not (-180 <= west and east <= 180 and -90 <= south and north <= 90):  # NaN included
        raise InvalidParameter(
            name,
            f"{west:.8g}, {south:.8g}",
            "longitudes and latitudes in degrees (CRS84); these look like feet or metres",
        )
    return shape


def _check_valid(name: str, shapes: Any) -> None:
    """Refuse polygons that are none, at the first crossing: to repair one with millions of them has no bound."""
    for place in np.flatnonzero(~shapely.is_valid(shapes)).tolist():
        reason = shapely.is_valid_reason(shapes[place])
        raise InvalidParameter(name, reason, "polygons whose rings do not cross (OGC Simple Features)")


def _shown(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()[:200]
    except (orjson.JSONEncodeError, TypeError):
        return type(value).__name__
