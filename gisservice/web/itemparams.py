"""The query parameters of items: which items, in what order, from where on, and how they are written."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from difflib import get_close_matches
from functools import cached_property, partial
from typing import Any
from urllib.parse import quote_plus

from gisservice import crs
from gisservice.errors import InvalidParameter, LimitExceeded
from gisservice.model import STORED, BBox, Box, Column, ColumnType, Condition, Form, GeometryKind, Query, SortKey
from gisservice.query.conditions import During, Equals
from gisservice.query.filter import parse_filter
from gisservice.query.paging import Cursor, check_token, write_token
from gisservice.query.schemas import timed
from gisservice.query.systems import System
from gisservice.web.params import Parameter, decimal, flag, moment, whole

OFFSET_MAX = 1_000_000_000
"""Furthest offset; no collection of a city comes near, and it keeps every sum far inside 64 bits."""

DECIMALS_MAX = 10
"""Most decimals that can be asked for: a hundredth of a millimetre of a degree."""

TOLERANCE_MAX = 100_000.0
"""Metres; a city is a point long before."""

NAMES_MAX = 500
"""Most names in one list."""

FILTER_LANGS = ("cql2-text", "cql2-json")
"""What filters can be written in, the default first."""

FILTER_BYTES_MAX = 6_000
"""Longest filter in the links that we write, so that they can be followed."""

FORM_NAMES = ("crs", "properties", "skipGeometry", "precision", "tolerance")
"""How items are written: for a page of them and for one alike."""

_NOT_SELECTING = frozenset((*FORM_NAMES, "limit", "resulttype", "f"))

PLACE_NAMES = ("limit", "offset", "token")
"""Where a page begins and how long it is."""

ITEMS_NAMES = (
    *PLACE_NAMES, "bbox", "bbox-crs", "datetime", "filter", "filter-lang", "filter-crs", "sortby", "resulttype",
    *FORM_NAMES, "f",
)  # fmt: skip
"""What a page of items takes, in the canonical order; the queryables come on top."""

_OUR_NAMES = frozenset(ITEMS_NAMES)

ITEM_NAMES = (*FORM_NAMES, "f")

_PLAIN = re.compile(r"[A-Za-z0-9_.,:/-]*", re.ASCII)
_WHOLE_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})", re.ASCII)


@dataclass(frozen=True, eq=False)
class Terms:
    """What items of one version can be asked by, and the limits of the service."""

    columns: tuple[Column, ...]
    systems: tuple[System, ...]
    """CRS84 first."""
    limit: int
    limit_max: int
    kind: GeometryKind = GeometryKind.POLYGON

    # Terms of a version are made once and told apart by identity: requests are remembered by them.

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every parameter of a page of items. A column that is called like one of ours is reached by a filter only."""
        return (*ITEMS_NAMES, *(column.name for column in self.columns if column.name not in ITEMS_NAMES))

    @cached_property
    def instant(self) -> str | None:
        """The column that ``datetime`` looks at, None where a layer has none."""
        return timed(self.columns)

    def column(self, name: str) -> Column | None:
        """Return the column of this name."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True)
class ItemsRequest:
    """A checked request for items.

    ``given`` holds its parameters but for the place of the page, in canonical spelling and order.
    """

    query: Query
    given: tuple[tuple[str, str], ...]
    system: System
    """The one that positions are written in."""
    form: str | None
    """``f`` as given."""
    hits: bool = False
    """Only the numbers are asked for, no items."""
    token: str | None = None

    @cached_property
    def selection(self) -> str:
        """What decides which items match and their order, canonical: equal texts select alike in a version."""
        return _encoded(pair for pair in self.given if pair[0] not in _NOT_SELECTING)

    @cached_property
    def text(self) -> str:
        """The canonical query string of this very request."""
        if self.token is not None:
            return self._with("token", self.token)
        return self._with("offset", str(self.query.offset)) if self.query.offset else self._given_text

    def text_from(self, version: str, row: int) -> str:
        """Return the canonical query string of the page behind a row of a version."""
        return self._with("token", write_token(Cursor(version, row), self.selection))

    def text_as(self, form: str) -> str:
        """Return the query string of this page in another format."""
        return f"{self.before_form}f={form}"

    @cached_property
    def before_form(self) -> str:
        """What stands before ``f=`` in the query strings of this page in other formats."""
        given = tuple(pair for pair in self.given if pair[0] != "f")
        text = self.text if given == self.given else replace(self, given=given).text
        return f"{text}&" if text else ""

    @cached_property
    def _given_text(self) -> str:
        return _encoded(self.given)

    def _with(self, name: str, value: str) -> str:
        return f"{self._given_text}&{name}={value}" if self.given else f"{name}={value}"


def parse_items(values: Mapping[str, str], terms: Terms) -> ItemsRequest:
    """Check the parameters of a page of items; a limit over the maximum is lowered to it, as published.

    Raises :class:`InvalidParameter` and :class:`LimitExceeded`.
    """
    given = _Given(values)
    limit = given.take("limit", lambda text: min(whole("limit", text, 1), terms.limit_max), str) or terms.limit
    box = _box(given, terms)
    conditions = _conditions(given, terms)
    sortby = given.take("sortby", lambda text: _sort_keys(text, terms), _spelled_keys) or ()
    hits = given.take("resulttype", _is_hits, lambda hits: "hits" if hits else "results") or False
    form, system = _form(given, terms)
    f = given.take("f", str, str)
    query = Query(0 if hits else limit, box=box, conditions=conditions, sortby=sortby, form=form)
    return _placed(ItemsRequest(query, given.canonical(terms.names), system, f, hits), values)


def parse_item(values: Mapping[str, str], terms: Terms) -> ItemsRequest:
    """Check the parameters of one item."""
    given = _Given(values)
    form, system = _form(given, terms)
    return ItemsRequest(Query(1, form=form), given.canonical(ITEM_NAMES), system, given.take("f", str, str))


class _Given:
    """Parameters as they are taken, each with its canonical spelling."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = values
        self._spelled: dict[str, str] = {}

    def take(self, name: str, parse: Callable[[str], Any], spell: Callable[[Any], str]) -> Any:
        """Return the parsed value of a parameter, None where it is not given."""
        if name not in self.values:
            return None
        value = parse(self.values[name])
        self._spelled[name] = spell(value)
        return value

    def canonical(self, order: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        """Return names and canonical values of what was taken, in this order."""
        return tuple(sorted(self._spelled.items(), key=lambda pair: order.index(pair[0])))


def _encoded(pairs: Iterable[tuple[str, str]]) -> str:
    return "&".join([f"{_escaped(name)}={_escaped(value)}" for name, value in pairs])


def _escaped(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else quote_plus(text, safe=",:/")


def _placed(asked: ItemsRequest, values: Mapping[str, str]) -> ItemsRequest:
    """Return the request with the place where its page begins."""
    if "token" not in values:
        if "offset" not in values:
            return asked
        offset = whole("offset", values["offset"], 0, OFFSET_MAX)
        return replace(asked, query=replace(asked.query, offset=offset))
    if "offset" in values:
        raise InvalidParameter("offset", values["offset"], "either 'offset' or 'token'; a token says where to begin")
    cursor = check_token(values["token"], asked.selection)
    return replace(asked, query=replace(asked.query, after=cursor.row), token=values["token"])


# Which items


def _box(given: _Given, terms: Terms) -> Box | None:
    system = given.take("bbox-crs", lambda text: find_system("bbox-crs", text, terms.systems), lambda found: found.uri)
    system = system or terms.systems[0]
    bbox = given.take("bbox", lambda text: parse_bbox(text, system), lambda box: _spelled_box(system.as_written(box)))
    return None if bbox is None else Box(bbox, system.code)


def parse_bbox(text: str, system: System) -> BBox:
    """Return the box of four or six numbers, in the authority's axis order, as (minx, miny, maxx, maxy).

    With longitude and latitude, a west greater than the east crosses the 180th meridian. Raises
    :class:`InvalidParameter` for another count, for what is no finite plain decimal, for edges in the wrong order, and
    for degrees that there are not on earth.
    """
    parts = text.split(",")
    named = "south,west,north,east" if system.north_first else "west,south,east,north"
    if len(parts) not in (4, 6):
        raise InvalidParameter("bbox", text, f"four (or six) numbers: {named}")
    numbers = [decimal("bbox", part, f"plain decimal numbers: {named}") for part in parts]
    half = len(numbers) // 2
    minx, miny, maxx, maxy = system.as_written((numbers[0], numbers[1], numbers[half], numbers[half + 1]))
    if miny > maxy or (half == 3 and numbers[2] > numbers[5]):
        raise InvalidParameter("bbox", text, f"the southern and lower edge before the northern and upper: {named}")
    if system.geographic and not (-180 <= minx <= 180 and -180 <= maxx <= 180 and -90 <= miny and maxy <= 90):
        raise InvalidParameter("bbox", text, f"degrees within 180 and 90: {named}; 'bbox-crs' names another system")
    if minx > maxx and not system.geographic:
        raise InvalidParameter("bbox", text, f"the western edge before the eastern: {named}")
    return minx, miny, maxx, maxy


def _conditions(given: _Given, terms: Terms) -> tuple[Condition, ...]:
    found: list[Condition] = []
    during = given.take("datetime", lambda text: _during(text, terms.instant), lambda _: given.values["datetime"])
    if during is not None:
        found.append(during)
    found += _filter(given, terms)
    if given.values.keys() <= _OUR_NAMES:
        return tuple(found)
    for name in terms.names[len(ITEMS_NAMES) :]:
        if name in given.values:
            column = terms.column(name)
            assert column is not None, "every further name is a column's"
            found.append(given.take(name, partial(_equals, column), lambda one: one.spelled))
    return tuple(found)


def _filter(given: _Given, terms: Terms) -> list[Condition]:
    """Return the filter, if there is one; its canonical text is CQL2 text in CRS84, whatever it was written in."""
    lang = given.values.get("filter-lang", FILTER_LANGS[0])
    if lang not in FILTER_LANGS:
        raise InvalidParameter("filter-lang", lang, " or ".join(repr(known) for known in FILTER_LANGS))
    system = terms.systems[0]
    if "filter-crs" in given.values:
        system = find_system("filter-crs", given.values["filter-crs"], terms.systems)
    found = given.take("filter", lambda text: parse_filter(text, lang, terms.columns, crs.parse(system.code)), _text_of)
    return [] if found is None else [found]


def _text_of(condition: Condition) -> str:
    if len(condition.text) > FILTER_BYTES_MAX:
        raise LimitExceeded("A filter, written out,", len(condition.text), FILTER_BYTES_MAX, "characters")
    return condition.text


def _during(text: str, column: str | None) -> During:
    """Check a date-time or an interval (OGC API Features 1, /req/core/fc-time-definition)."""
    expected = "a date-time such as 2026-01-31T12:00:00Z, or start/end in that order, with '..' for an open end"
    ends = text.split("/")
    if len(ends) == 1:
        ends = [text, text]
    opens = [len(text.split("/")) == 2 and end in ("", "..") for end in ends]
    moments = [None if is_open else moment(end) for end, is_open in zip(ends, opens, strict=True)]
    if len(ends) != 2 or all(opens) or any(m is None and not o for m, o in zip(moments, opens, strict=True)):
        raise InvalidParameter("datetime", text, expected)
    start, end = moments
    if start is not None and end is not None and start > end:
        raise InvalidParameter("datetime", text, expected)
    return During(column, start, end)


def _equals(column: Column, text: str) -> Equals:
    value = parse_value(column, text)
    spelled = "true" if value is True else "false" if value is False else str(value)
    return Equals(column.name, value, value.isoformat() if isinstance(value, datetime | date) else spelled)


def parse_value(column: Column, text: str) -> Any:
    """Return a value of a column's type. Raises :class:`InvalidParameter` for what the column cannot have."""
    if column.codes and text not in dict(column.codes):
        known = [code for code, _ in column.codes]
        raise InvalidParameter(column.name, text, f"one of the codes of this column{_near(text, known)}")
    match column.type:
        case ColumnType.INTEGER:
            if not _WHOLE_NUMBER.fullmatch(text) or text == "-0" or abs(int(text)) >= 2**63:
                raise InvalidParameter(column.name, text, "a whole number in plain digits")
            return int(text)
        case ColumnType.NUMBER:
            return decimal(column.name, text, "a plain decimal number")
        case ColumnType.BOOLEAN:
            if text not in ("true", "false"):
                raise InvalidParameter(column.name, text, "'true' or 'false'")
            return text == "true"
        case ColumnType.DATE:
            if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text, re.ASCII):
                raise InvalidParameter(column.name, text, "a date such as 2026-01-31")
            try:
                return date.fromisoformat(text)
            except ValueError as exc:
                raise InvalidParameter(column.name, text, "a date that there is, such as 2026-01-31") from exc
        case ColumnType.DATETIME:
            found = moment(text)
            if found is None:
                raise InvalidParameter(column.name, text, "a date-time such as 2026-01-31T12:00:00Z")
            return found
        case _:
            return text


def _sort_keys(text: str, terms: Terms) -> tuple[SortKey, ...]:
    keys = [_sort_key(part, terms) for part in _listed("sortby", text)]
    if len({key.column for key in keys}) != len(keys):
        raise InvalidParameter("sortby", text, "each column once")
    return tuple(keys)


def _sort_key(part: str, terms: Terms) -> SortKey:
    # A plus sign in a query string stands for a blank, so an unescaped '+zoning' arrives as ' zoning'.
    name = part[1:] if part[:1] in ("+", "-", " ") else part
    _check_names("sortby", (name,), terms)
    return SortKey(name, part.startswith("-"))


def _spelled_keys(keys: tuple[SortKey, ...]) -> str:
    return ",".join(key.text for key in keys)


# How they are written


def _form(given: _Given, terms: Terms) -> tuple[Form, System]:
    if given.values.keys().isdisjoint(FORM_NAMES):
        return STORED, terms.systems[0]
    system = given.take("crs", lambda text: find_system("crs", text, terms.systems), lambda found: found.uri)
    system = system or terms.systems[0]
    properties = given.take("properties", lambda text: _properties(text, terms), ",".join)
    skip = given.take("skipGeometry", lambda text: flag("skipGeometry", text), lambda skip: str(skip).lower())
    decimals = given.take("precision", lambda text: whole("precision", text, 0, DECIMALS_MAX), str)
    tolerance = given.take("tolerance", _tolerance, _shortest) or 0.0
    if skip:  # nothing is left of what concerns positions
        return replace(STORED, properties=properties, geometry=False), system
    form = Form(
        system.code,
        None if properties == tuple(column.name for column in terms.columns) else properties,
        decimals=None if decimals == system.decimals else decimals,
        tolerance_m=0.0 if terms.kind is GeometryKind.POINT else tolerance,
    )
    return form, system


def find_system(name: str, text: str, systems: tuple[System, ...]) -> System:
    """Return the system with exactly this URI; raises :class:`InvalidParameter` listing those there are."""
    found = next((system for system in systems if system.uri == text), None)
    if found is None:
        raise InvalidParameter(name, text, "one of " + ", ".join(system.uri for system in systems))
    return found


def _properties(text: str, terms: Terms) -> tuple[str, ...]:
    names = _listed("properties", text)
    _check_names("properties", names, terms)
    if len(set(names)) != len(names):
        raise InvalidParameter("properties", text, "each property once")
    return tuple(column.name for column in terms.columns if column.name in names)


def _tolerance(text: str) -> float:
    expected = f"a plain decimal number of metres from 0 to {TOLERANCE_MAX:.0f}"
    value = decimal("tolerance", text, expected)
    if not 0 <= value <= TOLERANCE_MAX or text.startswith("-"):
        raise InvalidParameter("tolerance", text, expected)
    return value


def _is_hits(text: str) -> bool:
    if text not in ("hits", "results"):
        raise InvalidParameter("resulttype", text, "'hits' (the numbers alone) or 'results'")
    return text == "hits"


def _listed(name: str, text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if len(names) > NAMES_MAX:
        raise LimitExceeded(f"The list in {name!r}", len(names), NAMES_MAX, "names")
    return names


def _check_names(parameter: str, names: tuple[str, ...], terms: Terms) -> None:
    known = [column.name for column in terms.columns]
    for name in names:
        if name not in known:
            raise InvalidParameter(parameter, name, f"columns of this collection{_near(name, known)}")


def _near(text: str, known: list[str]) -> str:
    near = get_close_matches(text[:80].lower(), [name.lower() for name in known], n=1, cutoff=0.5)
    if near:
        return f", such as {next(name for name in known if name.lower() == near[0])!r}"
    return ": " + ", ".join(known[:20]) + (" …" if len(known) > 20 else "")


def _spelled_box(bbox: BBox) -> str:
    return ",".join(_shortest(value) for value in bbox)


def _shortest(value: float) -> str:
    return str(int(value)) if value.is_integer() and math.fabs(value) < 1e15 else repr(value)


# As they are published


def item_parameters(limit: int, limit_max: int) -> tuple[Parameter, ...]:
    """Return the parameters of items as the API describes them; the queryables come on top, for each collection."""
    uri = {"type": "string", "format": "uri"}
    names = {"type": "array", "items": {"type": "string"}, "minItems": 1}
    return (
        Parameter(
            "limit",
            f"Items on a page. More than {limit_max} gets {limit_max}, and a link to the rest.",
            {"type": "integer", "minimum": 1, "maximum": limit_max, "default": limit},
        ),
        Parameter(
            "offset",
            "Matching items to pass over before the page begins, in the version that is current.",
            {"type": "integer", "minimum": 0, "maximum": OFFSET_MAX, "default": 0},
        ),
        Parameter(
            "token",
            "Where a page begins, from a 'next' or 'prev' link: the walk stays with the version it began on.",
            {"type": "string", "pattern": "^[A-Za-z0-9_-]{24}$"},
        ),
        Parameter(
            "bbox",
            "Only items whose geometry intersects this box: west, south, east, north in degrees (CRS84), or in the "
            "system of bbox-crs and its axis order. West greater than east crosses the antimeridian. With six numbers "
            "the third and the sixth are heights, and have no effect on data without heights.",
            {
                "type": "array",
                "items": {"type": "number"},
                "minItems": 4,
                "maxItems": 6,
                "oneOf": [{"minItems": 4, "maxItems": 4}, {"minItems": 6, "maxItems": 6}],
            },
        ),
        Parameter("bbox-crs", "The reference system of bbox, one of the collection's list.", uri),
        Parameter(
            "datetime",
            "A date-time (RFC 3339) or an interval of two, one of which may be '..'. Items without a time of their "
            "own always match.",
            {"type": "string"},
        ),
        Parameter("filter", "A CQL2 expression; only items for which it is true.", {"type": "string"}),
        Parameter(
            "filter-lang",
            "The language of filter.",
            {"type": "string", "enum": list(FILTER_LANGS), "default": FILTER_LANGS[0]},
        ),
        Parameter("filter-crs", "The reference system of positions in filter, one of the collection's list.", uri),
        Parameter(
            "sortby",
            "Sortables to sort by, the first first, a minus before one for descending. Items without a value come "
            "last; items alike stay in stored order.",
            {"type": "array", "items": {"type": "string", "pattern": "^[+ -]?.+"}, "minItems": 1},
        ),
        Parameter(
            "resulttype",
            "'hits' answers how many items match, without the items.",
            {"type": "string", "enum": ["hits", "results"], "default": "results"},
        ),
        Parameter("crs", "The reference system to write positions in, one of the collection's list.", uri),
        Parameter("properties", "The properties to write, instead of all; the geometry is not one of them.", names),
        Parameter("skipGeometry", "Whether to leave the geometry out.", {"type": "boolean", "default": False}),
        Parameter(
            "precision",
            "Decimals of positions; without it 8 of a degree and 4 of a foot or a metre.",
            {"type": "integer", "minimum": 0, "maximum": DECIMALS_MAX},
        ),
        Parameter(
            "tolerance",
            "How far, in metres, a simplified line may run from the true one. Each item is simplified by itself.",
            {"type": "number", "minimum": 0, "maximum": TOLERANCE_MAX, "default": 0},
        ),
    )
