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
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from gisservice.errors import InvalidParameter, LimitExceeded, RequestError, UnknownParameter

QUERY_BYTES_MAX = 8_192
"""Longest query string that is read; all that we publish links to fits in a small part of it."""

_WHOLE = re.compile(r"0|[1-9][0-9]*", re.ASCII)
_DECIMAL = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z0-9_.,:/=&-]*", re.ASCII)
_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One query parameter as the API publishes it; ``schema`` is its OpenAPI 3.0 schema."""

    name: str
    meaning: str
    schema: Mapping[str, Any]
    required: bool = False


DOWNLOAD_CRS = Parameter(
    "crs",
    "The reference system of the file: EPSG:4326 (longitude first, as files have it), or the one the layer is stored "
    "in, as its list of files names it.",
    {"type": "string", "default": "EPSG:4326"},
)

FORMAT = Parameter(
    "f", "The format of the answer, instead of the Accept header.", {"type": "string", "enum": ["json", "html"]}
)


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
    for name, value in pairs(query_string):
        if name not in names:
            raise UnknownParameter(name, names)
        if name in values:
            raise InvalidParameter(name, f"{values[name]}, {value}", "it only once")
        values[name] = value
    return values


def pairs(query_string: str) -> list[tuple[str, str]]:
    """Split a query string into names and values as they come. Raises as :func:`read` for what is no query string."""
    if len(query_string) > QUERY_BYTES_MAX:
        raise LimitExceeded("A query string", len(query_string), QUERY_BYTES_MAX, "bytes")
    try:
        if _PLAIN.fullmatch(query_string):  # as most are; several times faster
            parts = (part.partition("=") for part in query_string.split("&") if part)
            return [(name, value) for name, _, value in parts]
        # WSGI hands bytes over as latin-1 (PEP 3333); percent-escapes are decoded after that.
        text = query_string.encode("latin-1").decode("utf-8")
        return parse_qsl(text, keep_blank_values=True, errors="strict")
    except UnicodeError as exc:
        raise RequestError("The query string is not UTF-8; expected UTF-8, percent-encoded.") from exc


def parse_format(values: Mapping[str, str]) -> None:
    """Check ``f`` where JSON is written; pages (``f=html``) are made of that JSON."""
    if values.get("f", "json") != "json":
        raise InvalidParameter("f", values["f"], "'json' or 'html'")


def whole(name: str, text: str, minimum: int, maximum: int | None = None) -> int:
    """Return a whole number written in plain ASCII digits, without sign and leading zeros.

    Without a ``maximum``, a number of any length is taken; beyond 18 digits they are all alike (10**18).
    """
    value = (int(text) if len(text) <= 18 else 10**18) if _WHOLE.fullmatch(text) else -1
    if value < minimum or (maximum is not None and value > maximum):
        span = f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
        raise InvalidParameter(name, text, f"a whole number {span} in plain digits")
    return value


def decimal(name: str, text: str, expected: str) -> float:
    """Return a finite number written as a plain ASCII decimal, an exponent allowed."""
    value = float(text) if len(text) <= 400 and _DECIMAL.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise InvalidParameter(name, text, expected)
    return value


def flag(name: str, text: str) -> bool:
    """Return whether a parameter is ``true`` or ``false``."""
    if text not in ("true", "false"):
        raise InvalidParameter(name, text, "'true' or 'false'")
    return text == "true"


def numbers(name: str, text: str, count: int, expected: str) -> list[float]:
    """Return so many finite numbers that are written with commas between them."""
    parts = text.split(",")
    if len(parts) != count:
        raise InvalidParameter(name, text, expected)
    return [decimal(name, part, expected) for part in parts]


def moment(text: str) -> datetime | None:
    """Return a date-time of RFC 3339 in UTC, or None for what is none."""
    if not _DATE_TIME.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
