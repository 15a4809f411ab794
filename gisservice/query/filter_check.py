"""From the plain tree of either encoding to a checked filter: every name known, every type right, every size bounded.

What is supported is all of CQL2 (OGC 21-065r2) but functions of our own, of which there are none, and arrays as
columns, which layers do not have: arrays are lists of scalars written in the filter. Types are never cast: a day is
not compared with a time, nor a number with a text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from typing import Any

import shapely

from gisservice.errors import LimitExceeded
from gisservice.model import Column, ColumnType
from gisservice.query.filter_limits import (
    DEPTH_MAX,
    FOLDS_MAX,
    NODES_MAX,
    PATTERN_MAX,
    PATTERNS_MAX,
    SPATIAL_MAX,
    Refusal,
)
from gisservice.query.filter_shapes import ShapeReader
from gisservice.query.filter_terms import (
    GEOMETRY,
    Always,
    And,
    Arithmetic,
    Arrays,
    Between,
    Compare,
    Folded,
    In,
    Interval,
    IsNull,
    ItemGeometry,
    Kind,
    Like,
    Literal,
    Not,
    Or,
    Predicate,
    Property,
    Region,
    Scalar,
    Span,
    Spatial,
    Temporal,
    written_name,
)

KINDS = {
    ColumnType.STRING: Kind.TEXT,
    ColumnType.INTEGER: Kind.NUMBER,
    ColumnType.NUMBER: Kind.NUMBER,
    ColumnType.BOOLEAN: Kind.BOOLEAN,
    ColumnType.DATE: Kind.DATE,
    ColumnType.DATETIME: Kind.TIME,
}

COMPARISONS = ("=", "<>", "<", ">", "<=", ">=")
ARITHMETIC = ("+", "-", "*", "/", "^", "%", "div")
FOLDS = ("casei", "accenti")
SPATIAL = (
    "s_contains",
    "s_crosses",
    "s_disjoint",
    "s_equals",
    "s_intersects",
    "s_overlaps",
    "s_touches",
    "s_within",
)
OF_SPANS = ("t_after", "t_before", "t_disjoint", "t_equals", "t_intersects")
OF_INTERVALS = (
    "t_contains",
    "t_during",
    "t_finishedby",
    "t_finishes",
    "t_meets",
    "t_metby",
    "t_overlappedby",
    "t_overlaps",
    "t_startedby",
    "t_starts",
)
OF_ARRAYS = ("a_containedby", "a_contains", "a_equals", "a_overlaps")

_WRITTEN = {
    Kind.TEXT: "'x'",
    Kind.NUMBER: "5",
    Kind.BOOLEAN: "TRUE",
    Kind.DATE: "DATE('2024-03-31')",
    Kind.TIME: "TIMESTAMP('2024-03-31T12:00:00Z')",
}
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6}0*)?[Zz]", re.ASCII)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INT64 = 2**63
_NAMES_SHOWN = 12


class Checker:
    """Checks one filter against the columns of its layer."""

    def __init__(self, columns: Sequence[Column], shapes: ShapeReader) -> None:
        self._kinds = {column.name: KINDS[column.type] for column in columns}
        self._shapes = shapes
        self._nodes = self._spatial = self._patterns = self._folds = 0
        self._predicates: dict[str, Callable[[str, list[Any], int], Predicate]] = {
            "and": self._logical,
            "or": self._logical,
            "not": self._not,
            "like": self._like,
            "between": self._between,
            "in": self._in,
            "isnull": self._is_null,
            **dict.fromkeys(COMPARISONS, self._compare),
            **dict.fromkeys(SPATIAL, self._relation),
            **dict.fromkeys(OF_SPANS + OF_INTERVALS, self._temporal),
            **dict.fromkeys(OF_ARRAYS, self._arrays),
        }

    def predicate(self, tree: Any, depth: int = 0) -> Predicate:
        """Return a tree as what is true, false or unknown for each item.

        Raises :class:`Refusal` and :class:`LimitExceeded`, and :class:`ReprojectionError` for a geometry's system.
        """
        self._enter(depth)
        if isinstance(tree, bool):
            return Always(tree)
        if isinstance(tree, dict) and set(tree) == {"property"}:
            name = self._name(tree)
            raise Refusal(f"a predicate, as in {written_name(name)} = {_WRITTEN[self._kind(name)]}, not only a name")
        if not isinstance(tree, dict) or "op" not in tree:
            raise Refusal(f"a predicate such as zoning = 'RM', not {_described(tree)}")
        op, arguments = self._call(tree)
        check = self._predicates.get(op)
        if check is None:
            if op in ARITHMETIC or op in FOLDS:
                raise Refusal(f"a predicate such as zoning = 'RM', not only a value ({op.upper()})")
            raise self._unknown_function(op)
        return check(op, arguments, depth + 1)

    def _enter(self, depth: int) -> None:
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise LimitExceeded("A filter", self._nodes, NODES_MAX, "parts")
        if depth > DEPTH_MAX:
            raise LimitExceeded("Nesting in a filter", depth, DEPTH_MAX, "levels")

    def _call(self, tree: dict[str, Any]) -> tuple[str, list[Any]]:
        op, arguments = tree["op"], tree.get("args")
        if not isinstance(op, str) or set(tree) != {"op", "args"} or not isinstance(arguments, list):
            raise Refusal("an object with the members 'op' (a text) and 'args' (a list) and no others")
        return op.lower(), arguments  # JSON spells t_startedBy, text any way it likes

    def _unknown_function(self, name: str) -> Refusal:
        known = [*self._predicates, *FOLDS]
        near = get_close_matches(name[:40].lower(), known, n=1, cutoff=0.6)
        hint = f"did you mean {near[0].upper()}?" if near else "there are no functions besides those of CQL2"
        return Refusal(f"an operator or function of CQL2; {name[:40]!r} is none ({hint})")

    # Logic and comparisons

    def _logical(self, op: str, arguments: list[Any], depth: int) -> Predicate:
        if len(arguments) < 2:
            raise Refusal(f"two or more predicates for {op.upper()}")
        parts: list[Predicate] = []
        joined = And if op == "and" else Or
        for argument in arguments:
            part = self.predicate(argument, depth)
            parts += part.parts if isinstance(part, joined) else [part]
        return joined(tuple(parts))

    def _not(self, op: str, arguments: list[Any], depth: int) -> Predicate:
        return Not(self.predicate(_exactly(op, arguments, 1)[0], depth))

    def _compare(self, op: str, arguments: list[Any], depth: int) -> Predicate:
        left, right = (self._scalar(argument, depth) for argument in _exactly(op, arguments, 2))
        _check_alike([left, right])
        return Compare(op, left, right)

    def _like(self, op: str, arguments: list[Any], depth: int) -> Predicate:
        self._patterns += 1
        if self._patterns > PATTERNS_MAX:
            raise LimitExceeded("LIKE in a filter", self._patterns, PATTERNS_MAX, "patterns")
        value, pattern = (self._scalar(argument, depth) for argument in _exactly(op, arguments, 2))
        if value.kind is not Kind.TEXT:
            raise Refusal(f"a text before LIKE; {value} is {value.kind}")
        written = pattern
        while isinstance(written, Folded):
            written = written.of
        if not isinstance(written, Literal) or written.kind is not Kind.TEXT:
            raise Refusal(f"a pattern in single quotes after LIKE, as in {value} LIKE 'x%', not {pattern}")
        text = str(written.value)
        if len(text) > PATTERN_MAX:
            raise LimitExceeded("A LIKE pattern", len(text), PATTERN_MAX, "characters")
        if (len(text) - len(text.rstrip("\\"))) % 2:
            raise Refusal("a character after the backslash that ends a LIKE pattern")
        return Like(value, pattern)

    def _between(self, op: str, arguments: list[Any], depth: int) -> Predicate:
        value, low, high = (self._scalar(argument, depth) for argument in _exactly(op, arguments, 3))
        for part in (value, low, high):
            if part.kind is not Kind.NUMBER:
                raise Refusal(f"numbers with BETWEEN; {part} is {part.kind} (write >= and <= for others)")
        return Between(value, low, high)

    def _in(self, op: str, arguments: list[Any], depth: int) -> Predicate:
        tree, members = _exactly(op, arguments, 2)
        if not isinstance(members, list) or not members:
            raise Refusal("one or more values in brackets after IN, as in zoning IN ('RM', 'RB')")
        value = self._scalar(tree, depth)
        scalars = tuple(self._scalar(member, depth) for member in members)
        for scalar in scalars:
            _check_alike([value, scalar])
        return In(value, scalars)

    def _is_null(self, op: str, arguments: list[Any], depth: int) -> Predicate:
        (tree,) = _exactly(op, arguments, 1)
        if self._is_geometry(tree):
            return IsNull(self._region(tree, depth))
        if isinstance(tree, dict) and "interval" in tree:
            return IsNull(self._interval(tree, depth))
        if isinstance(tree, bool) or (isinstance(tree, dict) and str(tree.get("op")).lower() in self._predicates):
            return IsNull(self.predicate(tree, depth))
        return IsNull(self._scalar(tree, depth))

    # Scalars

    def _scalar(self, tree: Any, depth: int) -> Scalar:
        self._enter(depth)
        if isinstance(tree, bool):
            return Literal(Kind.BOOLEAN, tree)
        if isinstance(tree, str):
            return Literal(Kind.TEXT, _storable(tree))
        if isinstance(tree, int | float):
            return Literal(Kind.NUMBER, _number(tree))
        if isinstance(tree, dict):
            if "property" in tree:
                name = self._name(tree)
                return Property(name, self._kind(name))
            if set(tree) == {"date"}:
                return _instant(tree["date"], Kind.DATE)
            if set(tree) == {"timestamp"}:
                return _instant(tree["timestamp"], Kind.TIME)
            if "op" in tree:
                return self._computed(tree, depth)
        if tree is None:
            raise Refusal("a value; whether there is one is asked with IS NULL")
        raise Refusal(f"a property, a text, a number, TRUE, FALSE, a DATE or a TIMESTAMP, not {_described(tree)}")

    def _computed(self, tree: dict[str, Any], depth: int) -> Scalar:
        op, arguments = self._call(tree)
        if op in FOLDS:
            of = self._scalar(_exactly(op, arguments, 1)[0], depth + 1)
            if of.kind is not Kind.TEXT:
                raise Refusal(f"a text in {op.upper()}; {of} is {of.kind}")
            self._folds += isinstance(of, Property)
            if self._folds > FOLDS_MAX:
                raise LimitExceeded("CASEI and ACCENTI in a filter", self._folds, FOLDS_MAX, "columns")
            return Folded(op, of)
        if op in ARITHMETIC:
            left, right = (self._scalar(argument, depth + 1) for argument in _exactly(op, arguments, 2))
            for part in (left, right):
                if part.kind is not Kind.NUMBER:
                    raise Refusal(f"numbers around {op.upper()}; {part} is {part.kind}")
            return Arithmetic(op, left, right)
        if op in self._predicates:
            raise Refusal(f"a value, not a predicate ({op.upper()})")
        raise self._unknown_function(op)

    def _name(self, tree: dict[str, Any]) -> str:
        name = tree["property"]
        if not isinstance(name, str) or set(tree) != {"property"}:
            raise Refusal("an object with the member 'property' (a text) and no others")
        return name

    def _kind(self, name: str) -> Kind:
        if name == GEOMETRY:
            raise Refusal(f"a property with a value; {GEOMETRY!r} can only stand in spatial functions and IS NULL")
        if name not in self._kinds:
            raise self._unknown_property(name)
        return self._kinds[name]

    def _unknown_property(self, name: str) -> Refusal:
        names = [*self._kinds, GEOMETRY]
        folded = {known.casefold(): known for known in names}
        near = get_close_matches(name[:80].casefold(), folded, n=1, cutoff=0.5)
        if near:
            return Refusal(f"a property of this collection; {name[:80]!r} is none (did you mean {folded[near[0]]!r}?)")
        shown = ", ".join(sorted(names)[:_NAMES_SHOWN]) + (", ..." if len(names) > _NAMES_SHOWN else "")
        return Refusal(f"a property of this collection ({shown}); {name[:80]!r} is none")

    # Geometries, times, arrays

    def _relation(self, op: str, arguments: list[Any], depth: int) -> Predicate:
        self._spatial += 1
        if self._spatial > SPATIAL_MAX:
            raise LimitExceeded("Spatial functions in a filter", self._spatial, SPATIAL_MAX, "functions")
        left, right = (self._region(argument, depth) for argument in _exactly(op, arguments, 2))
        return Spatial(op, left, right)

    def _is_geometry(self, tree: Any) -> bool:
        if isinstance(tree, dict):
            return tree.get("property") == GEOMETRY or "bbox" in tree or "type" in tree
        return isinstance(tree, shapely.Geometry)

    def _region(self, tree: Any, depth: int) -> Region:
        self._enter(depth)
        if isinstance(tree, dict) and "property" in tree:
            name = self._name(tree)
            if name == GEOMETRY:
                return ItemGeometry()
            kind = self._kind(name)
            raise Refusal(f"a geometry: {name!r} holds {kind}; the geometry of an item is called {GEOMETRY!r}")
        if isinstance(tree, dict) and "op" in tree:
            raise self._unknown_function(self._call(tree)[0])
        if not self._is_geometry(tree):
            raise Refusal(f"{GEOMETRY!r} or a geometry such as POINT(-77.05 38.8) or BBOX(...), not {_described(tree)}")
        return self._shapes.read(tree)

    def _temporal(self, op: str, arguments: list[Any], depth: int) -> Predicate:
        left, right = (self._span(argument, depth) for argument in _exactly(op, arguments, 2))
        for side in (left, right):
            if op in OF_INTERVALS and not isinstance(side, Interval):
                raise Refusal(f"intervals in {op.upper()}, as INTERVAL(begun, ended); {side} is an instant")
        ends = [end for side in (left, right) for end in _ends(side)]
        _check_alike(ends)
        return Temporal(op, left, right)

    def _span(self, tree: Any, depth: int) -> Span:
        if isinstance(tree, dict) and "interval" in tree:
            return self._interval(tree, depth)
        instant = self._scalar(tree, depth)
        if isinstance(instant, Folded | Arithmetic) or instant.kind not in (Kind.DATE, Kind.TIME):
            raise Refusal(f"a day, a time or an interval; {instant} is {instant.kind}")
        return instant

    def _interval(self, tree: dict[str, Any], depth: int) -> Interval:
        self._enter(depth)
        ends = tree["interval"]
        if set(tree) != {"interval"} or not isinstance(ends, list) or len(ends) != 2:
            raise Refusal("an interval of two ends, as in INTERVAL('2024-01-01', '..')")
        start, end = (self._end(member, depth) for member in ends)
        _check_alike([part for part in (start, end) if part is not None])
        backwards = isinstance(start, Literal) and isinstance(end, Literal) and start.value > end.value  # type: ignore[operator]
        if backwards:
            raise Refusal(f"an interval whose start is not after its end, not {Interval(start, end)}")
        return Interval(start, end)

    def _end(self, tree: Any, depth: int) -> Property | Literal | None:
        if tree == "..":
            return None
        if isinstance(tree, str):
            return _instant(tree, Kind.DATE if _DAY.fullmatch(tree) else Kind.TIME)
        if not isinstance(tree, dict) or "property" not in tree:
            raise Refusal("a day, a time, a property or '..' at each end of an interval")
        end = self._scalar(tree, depth)
        if not isinstance(end, Property) or end.kind not in (Kind.DATE, Kind.TIME):
            raise Refusal(f"days or times at the ends of an interval; {end} is {end.kind}")
        return end

    def _arrays(self, op: str, arguments: list[Any], depth: int) -> Predicate:
        left, right = (self._array(op, argument, depth) for argument in _exactly(op, arguments, 2))
        return Arrays(op, left, right)

    def _array(self, op: str, tree: Any, depth: int) -> tuple[Scalar, ...]:
        if not isinstance(tree, list):
            told = f"; no column holds one, and {tree['property']!r} does not" if _is_property(tree) else ""
            raise Refusal(f"arrays in brackets in {op.upper()}, as in ('RM', zoning){told}")
        return tuple(self._scalar(member, depth) for member in tree)


def _exactly(op: str, arguments: list[Any], count: int) -> list[Any]:
    if len(arguments) != count:
        raise Refusal(f"{count} argument{'s' * (count > 1)} for {op.upper()}, not {len(arguments)}")
    return arguments


def _check_alike(scalars: Sequence[Scalar]) -> None:
    """Refuse scalars of different kinds, in words about the property among them."""
    for other in scalars[1:]:
        one = scalars[0]
        if one.kind is not other.kind:
            if not isinstance(one, Property) and isinstance(other, Property):
                one, other = other, one
            if not isinstance(one, Property):
                raise Refusal(f"values of one type; {one} is {one.kind} and {other} is {other.kind}")
            raise Refusal(f"{one.kind} beside {one}, as in {one} = {_WRITTEN[one.kind]}; {other} is {other.kind}")


def _ends(span: Span) -> list[Scalar]:
    return [end for end in (span.start, span.end) if end is not None] if isinstance(span, Interval) else [span]


def _is_property(tree: Any) -> bool:
    return isinstance(tree, dict) and isinstance(tree.get("property"), str)


def _number(value: int | float) -> int | float:
    """Return a whole number as int where it is one, so that 5, 5.0 and 5e0 are written alike."""
    if isinstance(value, int):
        return value if -_INT64 <= value < _INT64 else _whole(float(value))
    return _whole(value)


def _whole(value: float) -> int | float:
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _storable(text: str) -> str:
    """Refuse half of a surrogate pair, which JSON can spell and no UTF-8 can hold."""
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise Refusal("texts of Unicode characters; half of a surrogate pair is none")
    return text


def _instant(text: Any, kind: Kind) -> Literal:
    pattern, example = (_DAY, "2024-03-31") if kind is Kind.DATE else (_TIME, "2024-03-31T12:00:00Z")
    if not isinstance(text, str) or not pattern.fullmatch(text):
        more = "" if kind is Kind.DATE else " (UTC, at most six decimals)"
        raise Refusal(f"{kind} such as '{example}'{more}, not {str(text)[:40]!r}")
    try:
        if kind is Kind.DATE:
            return Literal(kind, date.fromisoformat(text).toordinal() - _EPOCH_DAY)
        return Literal(kind, (datetime.fromisoformat(text.upper()) - _EPOCH) // timedelta(microseconds=1))
    except ValueError as exc:
        raise Refusal(f"{kind} that exists, such as '{example}', not {text[:40]!r}") from exc


def _described(tree: Any) -> str:
    if isinstance(tree, dict):
        return f"an object with {', '.join(sorted(map(str, tree))[:4]) or 'no members'}"[:80]
    if isinstance(tree, list):
        return "an array"
    return repr(tree)[:40] if tree is not None else "null"
