"""CQL2 JSON to the tree that :mod:`gisservice.query.filter_text` makes of text (OGC 21-065r2, clause 8).

The ``cql2`` library is not asked: it reads whole numbers as floats, passes over members that it does not know, and
says no more of a mistake than that no variant matched. JSON needs no grammar but its own; what a member may hold is
checked for both encodings alike in :mod:`gisservice.query.filter_check`.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from gisservice.errors import LimitExceeded
from gisservice.query.filter_limits import DEPTH_MAX, TEXT_MAX, Refusal

_BRACKETS_MAX = 2 * DEPTH_MAX + 8
"""An expression is an object with an array in it, a multipolygon five levels more."""

_DIGITS_MAX = 400
"""Of a number: the largest float has 309."""

_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def read_json(text: str) -> Any:
    """Return the tree of a filter in CQL2 JSON.

    Raises :class:`Refusal` for what is not JSON (RFC 8259), an object with a member twice and a number that no float
    can hold, and :class:`LimitExceeded`.
    """
    if len(text) > TEXT_MAX:
        raise LimitExceeded("A filter", len(text), TEXT_MAX, "characters")
    _check_depth(text)
    try:
        return json.loads(
            text, object_pairs_hook=_object, parse_int=_whole, parse_float=_decimal, parse_constant=_constant
        )
    except json.JSONDecodeError as exc:
        raise Refusal(f"JSON ({exc.msg.lower()} at character {exc.pos + 1})") from exc


def _check_depth(text: str) -> None:
    level = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        level += (match[0] in "[{") - (match[0] in "]}")
        if level > _BRACKETS_MAX:
            raise LimitExceeded("Brackets in a filter", level, _BRACKETS_MAX, "levels")


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in members:
        if name in found:
            raise Refusal(f"each member of an object only once, and {name[:80]!r} is there twice")
        found[name] = value
    return found


def _whole(digits: str) -> int:
    if len(digits) > _DIGITS_MAX:
        raise Refusal(f"a number of at most {_DIGITS_MAX} digits")
    return int(digits)


def _decimal(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise Refusal("a number below 1.8e308")
    return value


def _constant(name: str) -> NoReturn:
    raise Refusal(f"no {name}, which is not JSON")
