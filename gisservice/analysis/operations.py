"""Every question that can be asked from outside, described by nothing but its function's signature and docstring.

An operation is a public function of this room that takes frames, a network, a raster or plain values and returns a
frame; its name is the function's, an input's name is the parameter's. What is not described in a signature cannot be
asked for, so the description is never another than the function.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import import_module
from typing import Any

from gisservice.errors import ProcessNotFound


class Role(StrEnum):
    """What an input is."""

    FRAME = "frame"
    """Features: a collection, or GeoJSON."""
    FRAMES = "frames"
    """Several of them by name: kinds of amenities."""
    NETWORK = "network"
    """The id of a collection whose declaration makes it a street network."""
    GROUND = "ground"
    """The id of a raster."""
    GAZETTEER = "gazetteer"
    """The city's addresses: whoever runs the operation has them."""
    DOSSIER = "dossier"
    """The city's report of a place, likewise."""
    VALUE = "value"


HELD = (Role.GAZETTEER, Role.DOSSIER)
"""Roles that are no inputs: there is one of each, and whoever runs the operation holds it."""

WITHHELD = ("office",)
"""Parameters that are never offered: columns for the office alone."""

LIST_MAX = 100
"""The most members of a list in an input."""

_TEXT: dict[str, Any] = {"type": "string", "maxLength": 1_000}
_NUMBER: dict[str, Any] = {"type": "number"}


def _list(of: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": dict(of), "maxItems": LIST_MAX}


_VALUES: dict[str, dict[str, Any]] = {
    "str": _TEXT,
    "float": _NUMBER,
    "int": {"type": "integer"},
    "bool": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "Sequence[str]": _list(_TEXT),
    "Sequence[float]": _list(_NUMBER),
    "str | Sequence[str]": {"oneOf": [_TEXT, _list(_TEXT)]},
    "float | Sequence[float]": {"oneOf": [_NUMBER, _list(_NUMBER)]},
    "Mapping[str, Sequence[float]]": {"type": "object", "additionalProperties": _list(_NUMBER)},
}
_ROLES = {
    "geopandas.GeoDataFrame": Role.FRAME,
    "pandas.DataFrame": Role.FRAME,
    "Mapping[str, geopandas.GeoDataFrame]": Role.FRAMES,
    "Network": Role.NETWORK,
    "Ground": Role.GROUND,
    "Gazetteer": Role.GAZETTEER,
    "Dossier": Role.DOSSIER,
}

_UNITS = {
    "ft": "US survey feet", "feet": "feet", "m": "metres", "minutes": "minutes", "percentiles": "percent",
    "weeks": "weeks", "lon": "degrees (CRS84)", "lat": "degrees (CRS84)",
}  # fmt: skip

_RETURNS = ("geopandas.GeoDataFrame", "pandas.DataFrame")
_TABLES = ("geocode_table",)
"""What takes a table of a file is no question about layers."""

_SENTENCE = re.compile(r"(?<=\.)\s+(?=[A-Z`])")


@dataclass(frozen=True, slots=True)
class Input:
    """One input; ``schema`` is JSON Schema (of a value), ``unit`` what its name says, or nothing."""

    name: str
    role: Role
    schema: Mapping[str, Any]
    required: bool
    default: Any
    meaning: str
    unit: str

    @property
    def title(self) -> str:
        """The name in words, with its unit."""
        words = re.sub(r"_(?:ft|m|feet)$", "", self.name).replace("_", " ").capitalize()
        return f"{words} in {self.unit}" if self.unit and self.unit not in words.lower() else words


@dataclass(frozen=True, slots=True)
class Operation:
    """One question. ``title`` is the first sentence of its docstring, ``description`` the rest."""

    name: str
    title: str
    description: str
    inputs: tuple[Input, ...]
    held: Role | None
    """The gazetteer or the dossier, where the function takes one."""
    function: Callable[..., Any]
    positional: tuple[str, ...]
    """Parameters in front of the keywords, in order; the held one is called by its role."""

    def input(self, name: str) -> Input:
        """Return an input by its name."""
        return next(entry for entry in self.inputs if entry.name == name)

    def run(self, values: Mapping[str, Any], held: Any = None) -> Any:
        """Return the function's answer. ``values`` are what its parameters are given, defaults left out."""
        given = dict(values)
        arguments = [held if name == self.held else given.pop(name) for name in self.positional]
        return self.function(*arguments, **given)


@cache
def operations() -> dict[str, Operation]:
    """Return all operations by name, in the order of their names."""
    home = import_module("gisservice.analysis")
    found = (_operation(name, getattr(home, name)) for name in sorted(home.__all__) if name not in _TABLES)
    return {entry.name: entry for entry in found if entry is not None}


def operation(name: str) -> Operation:
    """Return an operation. Raises :class:`ProcessNotFound` naming the nearest."""
    found = operations().get(name)
    if found is None:
        raise ProcessNotFound(name, operations())
    return found


def _operation(name: str, function: Any) -> Operation | None:
    """Return the operation that a public name is, or None where it is none."""
    if not inspect.isfunction(function):
        return None
    signature = inspect.signature(function)
    if signature.return_annotation not in _RETURNS:
        return None
    text = inspect.getdoc(function) or ""
    prose = " ".join(text.split(">>>")[0].split())
    inputs, held, positional = [], None, []
    for parameter in signature.parameters.values():
        role, schema = _kind(str(parameter.annotation))
        if parameter.kind is not parameter.KEYWORD_ONLY:
            positional.append(str(role) if role in HELD else parameter.name)
        if role in HELD:
            held = role
        elif parameter.name not in WITHHELD:
            inputs.append(_input(parameter, role, schema, prose))
    if not inputs:
        return None
    title, _, rest = prose.partition(". ")
    return Operation(
        name, _plain(title.rstrip(".") + "."), _plain(rest), tuple(inputs), held, function, tuple(positional)
    )


def _kind(annotation: str) -> tuple[Role, dict[str, Any]]:
    """Return what a parameter is. A parameter of a kind that is not known is a mistake of ours, found by every test."""
    bare = annotation.removesuffix(" | None")
    return (_ROLES[bare], {}) if bare in _ROLES else (Role.VALUE, dict(_VALUES[bare]))


def _input(parameter: inspect.Parameter, role: Role, schema: dict[str, Any], prose: str) -> Input:
    required = parameter.default is parameter.empty and role not in (Role.NETWORK, Role.GROUND)
    default = None if parameter.default is parameter.empty else parameter.default
    choices = _choices(parameter.name) if schema == _TEXT else ()
    if choices:
        schema = {"type": "string", "enum": list(choices)}
    if isinstance(default, bool | int | float | str):
        schema["default"] = default
    unit = _UNITS.get(parameter.name) or _UNITS.get(parameter.name.rpartition("_")[2], "")
    return Input(parameter.name, role, schema, required, default, _meaning(parameter.name, prose), unit)


_CHOICES = {
    "grid": ("aggregating", "GRIDS"),
    "how": ("overlaying", "HOWS"),
    "mode": ("network", "MODES"),
}
"""Where the values that a parameter takes are listed."""


def _choices(name: str) -> tuple[str, ...]:
    if name not in _CHOICES:
        return ()
    module, constant = _CHOICES[name]
    return tuple(str(value) for value in getattr(import_module(f"gisservice.analysis.{module}"), constant))


def _meaning(name: str, prose: str) -> str:
    """Return the sentences of a docstring that speak of a parameter."""
    told = [sentence for sentence in _SENTENCE.split(prose) if f"``{name}``" in sentence]
    return _plain(" ".join(told[:2]))


def _plain(text: str) -> str:
    """Return prose without the marks of reStructuredText."""
    return re.sub(r":class:`([^`]*)`", r"\1", text).replace("``", "'")
