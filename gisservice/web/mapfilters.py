"""What a picture of a map leaves out: hidden layers and the filter, written as in the address of the map's page.

A condition is ``layer.column.operator.value``. It names a column and an operator that fits its type, and becomes CQL2
only then; so do the conditions of the page (static/js/filters.js).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from urllib.parse import unquote

from gisservice.errors import InvalidParameter, LimitExceeded
from gisservice.maps.contexts import Site
from gisservice.maps.speech import WORDS
from gisservice.model import Column, ColumnType

CONDITIONS_MAX = 8
"""Of one map, as on its page."""

OPERATORS = {
    "choice": ("is", "empty"),
    "text": ("contains", "is", "empty"),
    "number": ("least", "most", "is", "empty"),
    "day": ("since", "until", "empty"),
}
"""The operators by what kind of values a column has."""

_SIGNS = {"is": "=", "least": ">=", "most": "<=", "since": ">=", "until": "<="}
_NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_VALUE_MAX = 100
_NUMBERS = (ColumnType.INTEGER, ColumnType.NUMBER)
_DAYS = (ColumnType.DATE, ColumnType.DATETIME)


@dataclass(frozen=True, slots=True)
class ColumnCondition:
    """A condition on a column of a layer, well formed; ``value`` is "" where the operator takes none."""

    layer: str
    column: Column
    operator: str
    value: str

    @property
    def cql(self) -> str:
        """The condition as CQL2 text."""
        name = '"{}"'.format(self.column.name.replace('"', '""'))
        if self.operator == "empty":
            return f"{name} IS NULL"
        if self.operator == "contains":
            pattern = re.sub(r"[\\%_]", r"\\\g<0>", self.value)
            return f"CASEI({name}) LIKE CASEI({_quoted(f'%{pattern}%')})"
        return f"{name} {_SIGNS[self.operator]} {self._literal}"

    @property
    def _literal(self) -> str:
        if self.column.type is ColumnType.BOOLEAN:
            return self.value.upper()
        if self.column.type in _NUMBERS:
            return self.value
        if self.column.type is ColumnType.DATE:
            return f"DATE('{self.value}')"
        if self.column.type is ColumnType.DATETIME:
            clock = "T23:59:59.999999Z" if self.operator == "until" else "T00:00:00Z"
            return f"TIMESTAMP('{self.value}{clock}')"
        return _quoted(self.value)

    def told(self, site: Site) -> str:
        """Return the condition as people read it, in the language of a site."""
        language = site.language
        parts = (
            language.isolated(site.said(self.column.meaning) or self.column.name),
            language.text(WORDS[f"filter_{self.operator}"]),
            language.isolated(self._readable(site)),
        )
        return " ".join(part for part in parts if part)

    def _readable(self, site: Site) -> str:
        value, column, language = self.value, self.column, site.language
        if column.type is ColumnType.BOOLEAN and value:
            return language.text(WORDS["yes" if value == "true" else "no"])
        if column.type in _DAYS and value:
            return language.day(date.fromisoformat(value))
        meaning = dict(column.codes).get(value)
        if meaning:
            return f"{site.said(meaning)} ({value})"
        text = language.number(float(value)) if column.type in _NUMBERS and column.unit and value else value
        return f"{text} {site.said(site.several(column.unit))}" if column.unit and text else text


def read_conditions(text: str, columns: Mapping[str, Sequence[Column]]) -> tuple[ColumnCondition, ...]:
    """Return the conditions of ``where``: with commas between them, a comma inside one as ``%2C``, percent as ``%25``.

    ``columns`` are those of each layer, by its id. Raises :class:`InvalidParameter` and :class:`LimitExceeded`.
    """
    parts = text.split(",")
    if len(parts) > CONDITIONS_MAX:
        raise LimitExceeded("A filter", len(parts), CONDITIONS_MAX, "conditions")
    return tuple(_condition(unquote(part), columns) for part in parts)


def read_hidden(text: str, layers: Sequence[str]) -> frozenset[str]:
    """Return the ids of ``hidden``, with commas between them. Raises :class:`InvalidParameter` for what is no layer."""
    names = text.split(",")
    for name in names:
        if name not in layers:
            raise InvalidParameter("hidden", name, f"ids of layers of this map: {', '.join(layers)}")
    return frozenset(names)


def _condition(text: str, columns: Mapping[str, Sequence[Column]]) -> ColumnCondition:
    layer, name, operator, value = (*text.split(".", 3), "", "", "")[:4]
    if layer not in columns:
        form = "layer.column.operator.value with a layer of this map that has columns"
        raise InvalidParameter("where", text, f"{form}: {', '.join(columns)}")
    known = {column.name: column for column in columns[layer]}
    if name not in known:
        near = get_close_matches(name[:80], known, n=1, cutoff=0.5) or list(known)[:12]
        raise InvalidParameter("where", text, f"a column of {layer!r}, such as {', '.join(near)}")
    column = known[name]
    operators = OPERATORS[_kind(column)]
    if operator not in operators:
        raise InvalidParameter("where", text, f"for {name!r} one of the operators {', '.join(operators)}")
    if not _fits(column, operator, value):
        raise InvalidParameter("where", text, _expected(column, operator))
    return ColumnCondition(layer, column, operator, value)


def _kind(column: Column) -> str:
    if column.codes or column.type is ColumnType.BOOLEAN:
        return "choice"
    if column.type in _NUMBERS:
        return "number"
    return "day" if column.type in _DAYS else "text"


def _fits(column: Column, operator: str, value: str) -> bool:
    if operator == "empty" or not value:
        return operator == "empty" and not value
    if column.type is ColumnType.BOOLEAN:
        return value in ("true", "false")
    if column.type in _NUMBERS:
        return _NUMBER.fullmatch(value) is not None
    return _is_day(value) if column.type in _DAYS else len(value) <= _VALUE_MAX


def _is_day(text: str) -> bool:
    try:
        return _DAY.fullmatch(text) is not None and date.fromisoformat(text) is not None
    except ValueError:
        return False


def _expected(column: Column, operator: str) -> str:
    if operator == "empty":
        return "no value after 'empty'"
    if column.type is ColumnType.BOOLEAN:
        return f"'true' or 'false' for {column.name!r}"
    if column.type in _NUMBERS:
        return f"a plain decimal number for {column.name!r}"
    return f"a day such as 2024-12-31 for {column.name!r}" if column.type in _DAYS else f"1 to {_VALUE_MAX} characters"


def _quoted(text: str) -> str:
    return "'{}'".format(text.replace("'", "''"))
