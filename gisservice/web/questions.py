"""Analysis by plain addresses, for what only reads: query parameters become the inputs of a process.

A parameter is called as the input that it is. Features are named by a collection's id, with ``<input>.bbox``,
``<input>.filter`` (CQL2 text) and ``<input>.asof`` for some of its items, or given as positions: ``lon,lat`` with
``;`` between them, which are points, or the bends of one line where lines are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gisservice.analysis.inputs import Question, question
from gisservice.analysis.operations import Input, Operation, Role, operation
from gisservice.errors import InvalidParameter
from gisservice.web import params
from gisservice.web.answering import AT_ONCE_COST_MAX
from gisservice.web.exchange import Answer, Offer, Request
from gisservice.web.links import GEOJSON
from gisservice.web.params import Parameter
from gisservice.web.service import Service

WEEKS_DEFAULT, WEEKS_MAX = 26, 104
CALENDAR = "text/calendar; charset=utf-8"
CALENDAR_NAME = ("Content-Disposition", 'attachment; filename="collection-days.ics"')

_POSITIONS = re.compile(r"[^,;]*,[^;]*(?:;[^;]*)*")
_SOME = {
    "bbox": ("Only items that meet this box: west,south,east,north in degrees.", {"type": "string"}),
    "filter": ("Only items for which this CQL2 text is true.", {"type": "string"}),
    "asof": ("The collection as it was at this time.", {"type": "string", "format": "date-time"}),
}
_LINES = ("lines",)
"""Inputs whose positions are the bends of a line."""

FORM = Parameter("f", "GeoJSON, or the collection days as a calendar.", {"type": "string", "enum": ["json", "ics"]})
WEEKS = Parameter(
    "weeks",
    "How many weeks a calendar (f=ics) goes on.",
    {"type": "integer", "minimum": 1, "maximum": WEEKS_MAX, "default": WEEKS_DEFAULT},
)


@dataclass(frozen=True)
class Door:
    """A plain address of an operation. ``called`` are inputs that have another name there, by that name."""

    name: str
    called: tuple[tuple[str, str], ...] = ()
    collection: str = ""
    """The input that the path names."""
    extra: tuple[Parameter, ...] = ()

    @property
    def operation(self) -> Operation:
        """The operation behind it."""
        return operation(self.name)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Its query parameters."""
        return (*_parameters(self), *self.extra)

    def __call__(self, service: Service, request: Request, **path: str) -> Answer:
        """Answer a question in the query string; its tag is known before any work is done."""
        values = params.read(request.query, (entry.name for entry in self.parameters))
        form = values.pop("f", "json")
        if form not in ("json", "ics"):
            raise InvalidParameter("f", form, "'json' or 'ics'")
        if form == "ics":
            return _calendar(service, request, self.asked(values, path), values)
        if "weeks" in values:
            raise InvalidParameter("weeks", values["weeks"], "it only with f=ics")
        asked = service.answering.settle(self.asked(values, path))
        media = request.media_type(GEOJSON, "application/json")
        offer = Offer.make(request, media, ("analysis", service.edition, *service.answering.key(asked)))
        if unchanged := offer.unchanged():
            return unchanged
        service.answering.check_cost(asked, AT_ONCE_COST_MAX)
        return offer.send(service.answering.answer(asked))

    def asked(self, values: Mapping[str, str], path: Mapping[str, str]) -> Question:
        """Return the checked question of a query string's parameters."""
        called = dict(self.called)
        given: dict[str, Any] = {}
        for entry in self.operation.inputs:
            outside = next((name for name, inside in called.items() if inside == entry.name), entry.name)
            if entry.name == self.collection:
                given[entry.name] = _stored("", path["collection_id"], values)
            elif outside in values:
                given[entry.name] = _value(outside, entry, values)
        return question(self.operation, given)


DOORS: Mapping[str, Door] = {
    "/api/collections/<collection_id>/aggregate": Door("aggregate", collection="features"),
    "/api/lookup": Door("lookup", (("q", "address"),), extra=(FORM, WEEKS)),
    "/api/geocode": Door("geocode", (("q", "address"),)),
    "/api/reverse": Door("reverse"),
    "/api/reach": Door("reach"),
    "/api/route": Door("route"),
    "/api/within": Door("within"),
    "/api/nearest": Door("nearest"),
    "/api/summarize": Door("summarize"),
    "/api/elevation": Door("elevation"),
    "/api/profile": Door("profile"),
}
"""The plain addresses, in the spelling of routes."""


def component(door: Door, parameter: Parameter) -> str:
    """Return what a parameter is called in the API's description."""
    return f"analysis-{door.name}-{parameter.name}"


def components() -> dict[str, Parameter]:
    """Return all parameters, by what they are called in the API's description."""
    return {component(door, entry): entry for door in DOORS.values() for entry in door.parameters}


def _parameters(door: Door) -> list[Parameter]:
    names = {inside: outside for outside, inside in door.called}
    found: list[Parameter] = []
    for entry in door.operation.inputs:
        name = names.get(entry.name, entry.name)
        if entry.name == door.collection:
            found += _some("")
        elif entry.role is Role.FRAME:
            meaning = entry.meaning or f"{entry.title}."
            found.append(Parameter(name, f"{meaning} {_described(entry)}", {"type": "string"}, entry.required))
            found += _some(f"{name}.")
        elif entry.role is not Role.FRAMES:
            schema = dict(entry.schema) or {"type": "string"}
            schema = {"type": "string"} if "oneOf" in schema or schema["type"] == "object" else schema
            found.append(Parameter(name, entry.meaning or f"{entry.title}.", schema, entry.required))
    return found


def _described(entry: Input) -> str:
    shape = "the bends of a line" if entry.name in _LINES else "points"
    return f"The id of a collection, or {shape} as lon,lat with ';' between them (CRS84)."


def _some(prefix: str) -> Iterable[Parameter]:
    return [Parameter(prefix + name, meaning, schema) for name, (meaning, schema) in _SOME.items()]


def _value(name: str, entry: Input, values: Mapping[str, str]) -> Any:
    text = values[name]
    if entry.role is Role.FRAME:
        positions = _POSITIONS.fullmatch(text)
        return _given(name, text, entry.name in _LINES) if positions else _stored(f"{name}.", text, values)
    if entry.role is not Role.VALUE:
        return text
    return _plain(name, entry.schema, text)


def _plain(name: str, schema: Mapping[str, Any], text: str) -> Any:
    if "oneOf" in schema:
        return _plain(name, schema["oneOf"][1 if "," in text else 0], text)
    kind = schema["type"]
    if kind == "array":
        return [_plain(name, schema["items"], part.strip()) for part in text.split(",")]
    if kind == "object":
        pairs = [part.partition(":") for part in text.split(";")]
        return {key.strip(): _plain(name, schema["additionalProperties"], rest) for key, _, rest in pairs}
    if kind in ("number", "integer"):
        value = params.decimal(name, text, "a finite number in plain digits")
        return int(text) if text.lstrip("-").isdigit() else value
    if kind == "boolean":
        if text not in ("true", "false"):
            raise InvalidParameter(name, text, "true or false")
        return text == "true"
    return text


def _stored(prefix: str, collection_id: str, values: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {"collection": collection_id}
    for key in _SOME:
        if (text := values.get(prefix + key)) is not None:
            found[key] = _box(prefix + key, text) if key == "bbox" else text
    return found


def _box(name: str, text: str) -> list[float]:
    return [params.decimal(name, part, "four numbers west,south,east,north") for part in text.split(",")]


def _given(name: str, text: str, line: bool) -> dict[str, Any]:
    positions = [_position(name, part) for part in text.split(";")]
    if line:
        return {"type": "LineString", "coordinates": positions}
    points = [{"type": "Point", "coordinates": position} for position in positions]
    return {
        "type": "FeatureCollection",
        "features": [{"type": "Feature", "geometry": point, "properties": {}} for point in points],
    }


def _position(name: str, text: str) -> list[float]:
    return params.numbers(name, text, 2, "lon,lat in degrees (CRS84), several with ';' between them")


def _calendar(service: Service, request: Request, asked: Question, values: Mapping[str, str]) -> Answer:
    """Answer the collection days of a place as an iCalendar file."""
    weeks = params.whole("weeks", values.get("weeks", str(WEEKS_DEFAULT)), 1, WEEKS_MAX)
    asked = service.answering.settle(asked)
    key = ("calendar", service.edition, str(weeks), *service.answering.key(asked))
    offer = Offer.make(request, CALENDAR, key)
    if unchanged := offer.unchanged():
        return unchanged
    wanted = dict(asked.values)
    day = wanted.pop("on")
    place = service.dossier.place(**wanted)
    return offer.send(service.dossier.calendar(place, on=day, weeks=weeks), (CALENDAR_NAME,))
