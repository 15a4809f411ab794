"""From the text of a query string to typed, frozen questions. Knows no web framework and reads no data.

The rules are the same everywhere (OGC API Features 1, /req/core/query-param-unknown and query-param-invalid): an
unknown, repeated or malformed parameter is an error, never ignored. Numbers are plain ASCII decimals: what
Python's ``int`` and ``float`` take beyond that (``1_0``, ``+5``, ``٣``, ``nan``) is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from gisservice.errors import InvalidParameter, LimitExceeded, RequestError, UnknownParameter
from gisservice.model import BBox, Query

QUERY_BYTES_MAX = 8_192
"""Longest query string that is read; all that we publish links to fits in a small part of it."""

OFFSET_MAX = 1_000_000_000
"""Furthest offset; no collection of a city comes near, and it keeps every sum far inside 64 bits."""

_WHOLE = re.compile(r"0|[1-9][0-9]*", re.ASCII)
_DECIMAL = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One query parameter as the API publishes it; ``schema`` is its OpenAPI 3.0 schema."""

    name: str
    meaning: str
    schema: Mapping[str, Any]


def item_parameters(limit: int, limit_max: int) -> tuple[Parameter, ...]:
    """Return the parameters of a collection's items; ``limit`` and ``limit_max`` are the published numbers."""
    return (
        Parameter(
            "limit",
            f"Items on a page. More than {limit_max} gets {limit_max}, and a link to the rest.",
            {"type": "integer", "minimum": 1, "maximum": limit_max, "default": limit},
        ),
        Parameter(
            "offset",
            "Matching items to pass over before the page begins.",
            {"type": "integer", "minimum": 0, "maximum": OFFSET_MAX, "default": 0},
        ),
        Parameter(
            "bbox",
            "Only items whose geometry intersects this box: west, south, east, north in degrees (CRS84). West greater "
            "than east crosses the antimeridian. With six numbers the third and the sixth are heights, and have no "
            "effect on data without heights.",
            {
                "type": "array",
                "items": {"type": "number"},
                "minItems": 4,
                "maxItems": 6,
                "oneOf": [{"minItems": 4, "maxItems": 4}, {"minItems": 6, "maxItems": 6}],
            },
        ),
        Parameter(
            "datetime",
            "A date-time (RFC 3339) or an interval of two, one of which may be '..'. Items without a time of their "
            "own always match; no collection has items with one yet.",
            {"type": "string"},
        ),
        FORMAT,
    )


FORMAT = Parameter("f", "The format of the answer, instead of the Accept header.", {"type": "string", "enum": ["json"]})


@dataclass(frozen=True, slots=True)
class ItemsRequest:
    """A checked request for items; ``given`` holds its parameters but the offset, in canonical spelling."""

    query: Query
    given: tuple[tuple[str, str], ...]

    def text(self, offset: int) -> str:
        """Return the canonical query string of this request at another offset.

        >>> parse_items({"bbox": "1.50,2,3,4"}, 10, 100).text(20)
        'bbox=1.5,2,3,4&offset=20'
        """
        pairs = (*self.given, ("offset", str(offset))) if offset else self.given
        return urlencode(pairs, safe=",:/")


def read(query_string: str, known: Iterable[str]) -> dict[str, str]:
    """Split a query string into its parameters.

    Raises :class:`RequestError` (not UTF-8), :class:`LimitExceeded` (too long), :class:`UnknownParameter` and
    :class:`InvalidParameter` (given twice).
    """
    if not query_string:
        return {}
    if len(query_string) > QUERY_BYTES_MAX:
        raise LimitExceeded("A query string", len(query_string), QUERY_BYTES_MAX, "bytes")
    names = tuple(known)
    values: dict[str, str] = {}
    for name, value in _pairs(query_string):
        if name not in names:
            raise UnknownParameter(name, names)
        if name in values:
            raise InvalidParameter(name, f"{values[name]}, {value}", "it only once")
        values[name] = value
    return values


def _pairs(query_string: str) -> list[tuple[str, str]]:
    try:
        # WSGI hands bytes over as latin-1 (PEP 3333); percent-escapes are decoded after that.
        text = query_string.encode("latin-1").decode("utf-8")
        return parse_qsl(text, keep_blank_values=True, errors="strict")
    except UnicodeError as exc:
        raise RequestError("The query string is not UTF-8; expected UTF-8, percent-encoded.") from exc


def parse_format(values: Mapping[str, str]) -> None:
    """Check ``f``: JSON is the one format so far."""
    if values.get("f", "json") != "json":
        raise InvalidParameter("f", values["f"], "'json'")


def parse_items(values: Mapping[str, str], limit: int, limit_max: int) -> ItemsRequest:
    """Check the parameters of a request for items; a limit over ``limit_max`` is lowered to it, as published."""
    parse_format(values)
    given: list[tuple[str, str]] = []
    if "limit" in values:
        limit = min(whole("limit", values["limit"], 1), limit_max)
        given.append(("limit", str(limit)))
    bbox = None
    if "bbox" in values:
        bbox = parse_bbox(values["bbox"])
        given.append(("bbox", ",".join(_shortest(value) for value in bbox)))
    if "datetime" in values:
        check_datetime(values["datetime"])
        given.append(("datetime", values["datetime"]))
    if "f" in values:
        given.append(("f", values["f"]))
    offset = whole("offset", values.get("offset", "0"), 0, OFFSET_MAX)
    return ItemsRequest(Query(limit, offset, bbox), tuple(given))


def whole(name: str, text: str, minimum: int, maximum: int | None = None) -> int:
    """Return a whole number written in plain ASCII digits, without sign and leading zeros.

    Without a ``maximum``, a number of any length is taken; beyond 18 digits they are all alike (10**18).
    """
    value = (int(text) if len(text) <= 18 else 10**18) if _WHOLE.fullmatch(text) else -1
    if value < minimum or (maximum is not None and value > maximum):
        span = f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
        raise InvalidParameter(name, text, f"a whole number {span} in plain digits")
    return value


def parse_bbox(text: str) -> BBox:
    """Return the box of four or six numbers as (west, south, east, north); west > east crosses the antimeridian.

    Raises :class:`InvalidParameter` for another count, for what is no finite plain decimal, and for a box whose
    south lies north of its north.

    >>> parse_bbox("-77.1,38.7,-77,38.9")
    (-77.1, 38.7, -77.0, 38.9)
    """
    parts = text.split(",")
    if len(parts) not in (4, 6) or not all(_DECIMAL.fullmatch(part) for part in parts):
        raise InvalidParameter("bbox", text, "four (or six) plain decimal numbers: west,south,east,north in degrees")
    numbers = [float(part) for part in parts]
    if not all(math.isfinite(number) for number in numbers):
        raise InvalidParameter("bbox", text, "finite numbers")
    half = len(numbers) // 2
    for low, high in zip(numbers[1:half], numbers[half + 1 :], strict=True):
        if low > high:
            raise InvalidParameter("bbox", text, "the southern and lower edge before the northern and upper")
    return numbers[0], numbers[1], numbers[half], numbers[half + 1]


def check_datetime(text: str) -> None:
    """Check a date-time or an interval (OGC API Features 1, /req/core/fc-time-definition).

    Only the form is checked: no collection has items with a time of their own, and such items match any time
    (/req/core/fc-time-response, C).
    """
    ends = text.split("/")
    moments = [_moment(end) for end in ends if not (len(ends) == 2 and end in ("", ".."))]
    if not moments or len(ends) > 2 or None in moments:
        raise _wrong_datetime(text)
    if len(moments) == 2 and moments[0] > moments[1]:  # type: ignore[operator]  # None was refused above
        raise _wrong_datetime(text)


def _moment(text: str) -> datetime | None:
    if not _DATE_TIME.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:
        return None


def _wrong_datetime(text: str) -> InvalidParameter:
    expected = "a date-time such as 2026-01-31T12:00:00Z, or start/end in that order, with '..' for an open end"
    return InvalidParameter("datetime", text, expected)


def _shortest(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
