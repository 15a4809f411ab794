"""Random filters as trees of our own, written as CQL2 text, CQL2 JSON and SQL, and evaluated row by row.

Nothing here is taken from the package: a filter is a tuple whose first member names it.

values      ("property", name) ("text", str) ("number", int | float) ("boolean", bool) ("date", date)
            ("time", datetime) ("casei", value) ("accenti", value) ("arithmetic", op, value, value)
predicates  ("compare", op, value, value) ("like", value, folds, pattern) ("between", value, value, value)
            ("in", value, values) ("null", value | predicate | interval) ("always", bool) ("not", predicate)
            ("and", predicates) ("or", predicates) ("spatial", op, region, region) ("temporal", op, span, span)
            ("arrays", op, values, values)
regions     ("geometry",) ("shape", shapely geometry) ("bbox", four numbers)
spans       a value, or ("interval", value | None, value | None)
"""

from __future__ import annotations

import json
import math
import operator
import unicodedata
from datetime import UTC, date, datetime
from typing import Any

import shapely
from hypothesis import strategies as st

COMPARISONS = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
SPATIAL = ("intersects", "disjoint", "equals", "touches", "within", "overlaps", "crosses", "contains")
INSTANTS = ("after", "before", "disjoint", "equals", "intersects")
INTERVALS = (
    *INSTANTS,
    "contains",
    "during",
    "finishedby",
    "finishes",
    "meets",
    "metby",
    "overlappedby",
    "overlaps",
    "startedby",
    "starts",
)
ARRAYS = ("contains", "containedby", "equals", "overlaps")
BEGINNING, END = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


# Written as CQL2 text


def as_text(node: Any) -> str:
    match node:
        case ("property", name):
            return '"' + name.replace('"', '""') + '"'
        case ("text", text):
            return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
        case ("number", number):
            return repr(number)
        case ("boolean" | "always", truth):
            return str(truth)
        case ("date", day):
            return f"DATE('{day}')"
        case ("time", time):
            return f"TIMESTAMP('{rfc3339(time)}')"
        case ("casei" | "accenti" as how, value):
            return f"{how.upper()}({as_text(value)})"
        case ("arithmetic", op, left, right):
            return f"({as_text(left)} {op} {as_text(right)})"
        case ("compare", op, left, right):
            return f"{as_text(left)} {op} {as_text(right)}"
        case ("like", value, folds, pattern):
            return f"{as_text(value)} LIKE {as_text(with_folds(folds, pattern))}"
        case ("between", value, low, high):
            return f"{as_text(value)} between {as_text(low)} and {as_text(high)}"
        case ("in", value, members):
            return f"{as_text(value)} in ({', '.join(map(as_text, members))})"
        case ("null", of):
            return f"({as_text(of)}) IS NULL"
        case ("not", of):
            return f"not ({as_text(of)})"
        case ("and" | "or" as word, parts):
            return f" {word} ".join(f"({as_text(part)})" for part in parts)
        case ("geometry",):
            return "geometry"
        case ("shape", shape):
            return shape.wkt
        case ("bbox", numbers):
            return f"BBOX({', '.join(map(repr, numbers))})"
        case ("spatial", op, left, right):
            return f"S_{op.upper()}({as_text(left)}, {as_text(right)})"
        case ("interval", start, end):
            return f"INTERVAL({end_as_text(start)}, {end_as_text(end)})"
        case ("temporal", op, left, right):
            return f"T_{op.upper()}({as_text(left)}, {as_text(right)})"
        case ("arrays", op, left, right):
            sides = (f"({', '.join(map(as_text, side))})" for side in (left, right))
            return f"A_{op.upper()}({', '.join(sides)})"
    raise AssertionError(node)


def end_as_text(end: Any) -> str:
    return as_text(end) if end is not None and end[0] == "property" else f"'{end_as_json(end)}'"


def with_folds(folds: tuple[str, ...], pattern: str) -> Any:
    node: Any = ("text", pattern)
    for fold in folds:
        node = (fold, node)
    return node


def rfc3339(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


# Written as CQL2 JSON


def as_json_text(node: Any) -> str:
    return json.dumps(as_json(node), ensure_ascii=False)


def as_json(node: Any) -> Any:
    match node:
        case ("property", name):
            return {"property": name}
        case ("text" | "number" | "boolean" | "always", value):
            return value
        case ("date", day):
            return {"date": day.isoformat()}
        case ("time", time):
            return {"timestamp": rfc3339(time)}
        case ("casei" | "accenti" | "not" as op, of):
            return {"op": op, "args": [as_json(of)]}
        case ("null", of):
            return {"op": "isNull", "args": [as_json(of)]}
        case ("arithmetic" | "compare", op, left, right):
            return {"op": op, "args": [as_json(left), as_json(right)]}
        case ("like", value, folds, pattern):
            return {"op": "like", "args": [as_json(value), as_json(with_folds(folds, pattern))]}
        case ("between", *parts):
            return {"op": "between", "args": [as_json(part) for part in parts]}
        case ("in", value, members):
            return {"op": "in", "args": [as_json(value), [as_json(member) for member in members]]}
        case ("and" | "or" as op, parts):
            return {"op": op, "args": [as_json(part) for part in parts]}
        case ("geometry",):
            return {"property": "geometry"}
        case ("shape", shape):
            return json.loads(shapely.to_geojson(shape))
        case ("bbox", numbers):
            return {"bbox": list(numbers)}
        case ("spatial", op, left, right):
            return {"op": f"s_{op}", "args": [as_json(left), as_json(right)]}
        case ("interval", start, end):
            return {"interval": [end_as_json(start), end_as_json(end)]}
        case ("temporal", op, left, right):
            return {"op": f"t_{op}", "args": [as_json(left), as_json(right)]}
        case ("arrays", op, left, right):
            return {"op": f"a_{op}", "args": [[as_json(member) for member in side] for side in (left, right)]}
    raise AssertionError(node)


def end_as_json(end: Any) -> Any:
    if end is None:
        return ".."
    return as_json(end) if end[0] == "property" else next(iter(as_json(end).values()))


# Evaluated row by row: True, False or None for predicates, None for no value


def evaluate(node: Any, row: dict[str, Any]) -> Any:
    match node:
        case ("property", name):
            return missing(row[name])
        case ("text" | "number" | "boolean" | "date" | "time" | "always", value):
            return value
        case ("casei" | "accenti" as how, value):
            text = evaluate(value, row)
            return None if text is None else fold(how, text)
        case ("arithmetic", op, left, right):
            return calculated(op, evaluate(left, row), evaluate(right, row))
        case ("compare", op, left, right):
            return compared(op, evaluate(left, row), evaluate(right, row))
        case ("like", value, folds, pattern):
            text = evaluate(value, row)
            return None if text is None else like(text, pieces(pattern, folds))
        case ("between", value, low, high):
            number, least, most = (evaluate(part, row) for part in (value, low, high))
            return every([compared(">=", number, least), compared("<=", number, most)])
        case ("in", value, members):
            found = evaluate(value, row)
            return some([compared("=", found, evaluate(member, row)) for member in members])
        case ("null", ("interval", start, end)):
            return any(part is not None and evaluate(part, row) is None for part in (start, end))
        case ("null", of):
            return evaluate(of, row) is None
        case ("not", of):
            truth = evaluate(of, row)
            return None if truth is None else not truth
        case ("and", parts):
            return every([evaluate(part, row) for part in parts])
        case ("or", parts):
            return some([evaluate(part, row) for part in parts])
        case ("geometry",):
            return row["geometry"]
        case ("shape", shape):
            return shape
        case ("bbox", numbers):
            return shapely.box(*numbers)
        case ("spatial", op, left, right):
            return bool(getattr(shapely, op)(evaluate(left, row), evaluate(right, row)))
        case ("temporal", op, left, right):
            spans = [*span(left, row), *span(right, row)]
            return None if None in spans else spans_relate(op, *spans)
        case ("arrays", op, left, right):
            one, other = ([evaluate(member, row) for member in side] for side in (left, right))
            return sets_relate(op, one, other)
    raise AssertionError(node)


def missing(value: Any) -> Any:
    return None if value is None or (isinstance(value, float) and not math.isfinite(value)) else value


def every(truths: list[bool | None]) -> bool | None:
    return False if False in truths else None if None in truths else True


def some(truths: list[bool | None]) -> bool | None:
    return True if True in truths else None if None in truths else False


def compared(op: str, left: Any, right: Any) -> bool | None:
    if left is None or right is None:
        return None
    if isinstance(left, str):
        left, right = (unicodedata.normalize("NFC", text).encode() for text in (left, right))
    return bool(COMPARISONS[op](left, right))


def fold(how: str, text: str) -> str:
    text = unicodedata.normalize("NFC", text)
    if how == "accenti":
        text = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
    else:
        text = text.casefold()
    return unicodedata.normalize("NFC", text)


def calculated(op: str, left: float | None, right: float | None) -> float | None:
    if left is None or right is None:
        return None
    try:
        result = {
            "+": lambda a, b: a + b,
            "-": lambda a, b: a - b,
            "*": lambda a, b: a * b,
            "/": lambda a, b: a / b,
            "^": lambda a, b: math.pow(a, b),
            "%": lambda a, b: math.fmod(a, b),
            "div": lambda a, b: round((a - math.fmod(a, b)) / b),
        }[op](float(left), float(right))
    except (ArithmeticError, ValueError):
        return None
    return missing(float(result))


def pieces(pattern: str, folds: tuple[str, ...]) -> list[str | None]:
    """A pattern as single characters, "" for any one and None for any run."""
    found: list[str | None] = []
    plain = ""

    def close() -> None:
        nonlocal plain
        text = unicodedata.normalize("NFC", plain)
        for how in folds:
            text = fold(how, text)
        found.extend(text)
        plain = ""

    characters = iter(pattern)
    for character in characters:
        if character in "%_":
            close()
            found.append(None if character == "%" else "")
        else:
            plain += next(characters) if character == "\\" else character
    close()
    return found


def like(text: str, wanted: list[str | None]) -> bool:
    """The textbook's table: which beginnings of the text match which beginnings of the pattern."""
    text = unicodedata.normalize("NFC", text)
    before = [True] + [False] * len(text)
    for piece in wanted:
        here = [before[0] and piece is None]
        for position, character in enumerate(text):
            if piece is None:
                here.append(here[position] or before[position + 1])
            else:
                here.append(before[position] and piece in ("", character))
        before = here
    return before[-1]


def span(node: Any, row: dict[str, Any]) -> tuple[Any, Any]:
    if node[0] != "interval":
        instant = moment(evaluate(node, row))
        return instant, instant
    _, start, end = node
    return (
        BEGINNING if start is None else moment(evaluate(start, row)),
        END if end is None else moment(evaluate(end, row)),
    )


def moment(value: date | datetime | None) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    return datetime(value.year, value.month, value.day, tzinfo=UTC)


def spans_relate(op: str, first: datetime, last: datetime, start: datetime, end: datetime) -> bool:
    """Allen's thirteen relations, and the four of CQL2 that take instants too."""
    return {
        "after": first > end,
        "before": last < start,
        "disjoint": first > end or last < start,
        "intersects": not (first > end or last < start),
        "equals": (first, last) == (start, end),
        "contains": first < start and last > end,
        "during": start < first and last < end,
        "finishes": last == end and first > start,
        "finishedby": last == end and first < start,
        "starts": first == start and last < end,
        "startedby": first == start and last > end,
        "meets": last == start,
        "metby": first == end,
        "overlaps": first < start < last < end,
        "overlappedby": start < first < end < last,
    }[op]


def sets_relate(op: str, left: list[Any], right: list[Any]) -> bool | None:
    def within(inner: list[Any], outer: list[Any]) -> bool | None:
        return every([some([compared("=", value, other) for other in outer]) for value in inner])

    if op == "equals":
        return every([within(left, right), within(right, left)])
    if op == "overlaps":
        return some([compared("=", value, other) for value in left for other in right])
    return within(right, left) if op == "contains" else within(left, right)


# Written as SQL of PostGIS


def as_sql(node: Any) -> str:
    match node:
        case ("property", name):
            return f'"{name}"'
        case ("text", text):
            return "'" + text.replace("'", "''") + '\' COLLATE "C"'
        case ("number", number):
            return f"({number!r})" if isinstance(number, int) else f"('{number!r}'::float8)"
        case ("boolean" | "always", truth):
            return str(truth)
        case ("date", day):
            return f"'{day}'::date"
        case ("time", time):
            return f"'{rfc3339(time)}'::timestamptz"
        case ("casei", value):
            return f"lower({as_sql(value)})"
        case ("accenti", value):
            return as_sql(value)  # for data without accents
        case ("arithmetic", "/", left, right):
            return f"({as_sql(left)}::float8 / nullif({as_sql(right)}::float8, 0))"
        case ("arithmetic", "^", left, right):
            return f"power({as_sql(left)}::float8, {as_sql(right)}::float8)"
        case ("arithmetic", "%" | "div" as op, left, right):  # of whole numbers: PostgreSQL has no float8 % float8
            return f"({as_sql(left)} {'%' if op == '%' else '/'} nullif({as_sql(right)}, 0))"
        case ("arithmetic", op, left, right):
            return f"({as_sql(left)}::float8 {op} {as_sql(right)}::float8)"
        case ("compare", op, left, right):
            return f"({as_sql(left)} {op} {as_sql(right)})"
        case ("like", value, folds, pattern):
            return f"({as_sql(value)} LIKE {as_sql(with_folds(folds, pattern))})"
        case ("between", value, low, high):
            return f"({as_sql(value)} BETWEEN {as_sql(low)} AND {as_sql(high)})"
        case ("in", value, members):
            return f"({as_sql(value)} IN ({', '.join(map(as_sql, members))}))"
        case ("null", ("interval", start, end)):
            ends = [f"{as_sql(part)} IS NULL" for part in (start, end) if part is not None]
            return f"({' OR '.join([*ends, 'FALSE'])})"
        case ("null", of):
            return f"({as_sql(of)} IS NULL)"
        case ("not", of):
            return f"(NOT {as_sql(of)})"
        case ("and" | "or" as word, parts):
            return f"({f' {word} '.join(map(as_sql, parts))})"
        case ("geometry",):
            return "geometry"
        case ("shape", shape):
            return f"ST_GeomFromText('{shapely.to_wkt(shape, rounding_precision=-1)}', 4326)"
        case ("bbox", numbers):
            return f"ST_MakeEnvelope({', '.join(map(repr, numbers))}, 4326)"
        case ("spatial", op, left, right):
            return f"ST_{op}({as_sql(left)}, {as_sql(right)})"
        case ("temporal", op, left, right):
            return span_sql(op, *ends_sql(left), *ends_sql(right))
        case ("arrays", op, left, right):
            return array_sql(op, left, right)
    raise AssertionError(node)


def ends_sql(node: Any) -> tuple[str, str]:
    if node[0] != "interval":
        return as_sql(node), as_sql(node)
    start, end = node[1:]
    return (
        "'-infinity'" if start is None else as_sql(start),
        "'infinity'" if end is None else as_sql(end),
    )


def span_sql(op: str, first: str, last: str, start: str, end: str) -> str:
    first, last, start, end = (f"({part})::timestamptz" for part in (first, last, start, end))
    return {
        "after": f"({first} > {end})",
        "before": f"({last} < {start})",
        "disjoint": f"({first} > {end} OR {last} < {start})",
        "intersects": f"({first} <= {end} AND {last} >= {start})",
        "equals": f"(({first}, {last}) = ({start}, {end}))",
        "contains": f"({first} < {start} AND {last} > {end})",
        "during": f"({first} > {start} AND {last} < {end})",
        "finishes": f"({last} = {end} AND {first} > {start})",
        "finishedby": f"({last} = {end} AND {first} < {start})",
        "starts": f"({first} = {start} AND {last} < {end})",
        "startedby": f"({first} = {start} AND {last} > {end})",
        "meets": f"({last} = {start})",
        "metby": f"({first} = {end})",
        "overlaps": f"({first} < {start} AND {last} > {start} AND {last} < {end})",
        "overlappedby": f"({first} > {start} AND {first} < {end} AND {last} > {end})",
    }[op]


def array_sql(op: str, left: list[Any], right: list[Any]) -> str:
    def within(inner: list[Any], outer: list[Any]) -> str:
        return f"({' AND '.join(f'{as_sql(value)} IN ({members(outer)})' for value in inner)})"

    def members(array: list[Any]) -> str:
        return ", ".join(map(as_sql, array))

    if op == "equals":
        return f"({within(left, right)} AND {within(right, left)})"
    if op == "overlaps":
        return f"({' OR '.join(f'{as_sql(value)} IN ({members(right)})' for value in left)})"
    return within(right, left) if op == "contains" else within(left, right)


# Random filters over a table: for each kind, its columns and the literals worth comparing with


def predicates(
    columns: dict[str, list[str]],
    literals: dict[str, list[Any]],
    shapes: list[Any],
    patterns: list[str],
    *,
    arithmetic: tuple[str, ...] = ("+", "-", "*", "/", "^", "%", "div"),
    whole: list[str] | None = None,
    leaves: int = 6,
) -> st.SearchStrategy[Any]:
    """Predicates of all sorts. ``columns`` and ``literals`` are lists by kind: text, number, boolean, date, time.

    ``whole`` are the columns that ``%`` and ``div`` may stand beside; None: all of the kind number.
    """

    def values(kind: str) -> st.SearchStrategy[Any]:
        named = st.sampled_from(columns[kind]).map(lambda name: ("property", name))
        given = st.sampled_from(literals[kind]).map(lambda value: (kind, value))
        plain = st.one_of(named, named, given)
        if kind == "text":
            return st.one_of(plain, st.tuples(st.sampled_from(["casei", "accenti"]), plain))
        return plain

    numbers = values("number")
    divided = numbers
    if whole is not None:
        divided = st.one_of(
            st.sampled_from(whole).map(lambda name: ("property", name)),
            st.integers(-7, 7).map(lambda number: ("number", number)),
        )

    def calculation(op: str) -> st.SearchStrategy[Any]:
        left = right = divided if op in ("%", "div") else numbers
        if op == "^":
            right = st.sampled_from([0, 1, 2, 3]).map(lambda number: ("number", number))
        return st.tuples(st.just("arithmetic"), st.just(op), left, right)

    numeric = st.one_of(numbers, numbers, st.sampled_from(arithmetic).flatmap(calculation))
    kinds = [kind for kind in ("text", "number", "boolean", "date", "time") if columns[kind]]
    scalars = {kind: numeric if kind == "number" else values(kind) for kind in kinds}

    def comparison(kind: str) -> st.SearchStrategy[Any]:
        ops = ["=", "<>"] if kind == "boolean" else list(COMPARISONS)
        return st.tuples(st.just("compare"), st.sampled_from(ops), scalars[kind], scalars[kind])

    def listing(kind: str) -> st.SearchStrategy[Any]:
        return st.tuples(st.just("in"), scalars[kind], st.lists(scalars[kind], min_size=1, max_size=4))

    def arrays(kind: str) -> st.SearchStrategy[Any]:
        side = st.lists(scalars[kind], min_size=1, max_size=3)
        return st.tuples(st.just("arrays"), st.sampled_from(ARRAYS), side, side)

    folds = st.sampled_from([(), (), ("casei",), ("accenti",), ("casei", "accenti")])
    regions = st.sampled_from(shapes)
    sided = st.tuples(regions, st.booleans()).map(
        lambda pair: (("geometry",), pair[0]) if pair[1] else (pair[0], ("geometry",))
    )
    simple = [
        st.sampled_from(kinds).flatmap(comparison),
        st.sampled_from(kinds).flatmap(listing),
        st.sampled_from(kinds).flatmap(arrays),
        st.tuples(st.just("between"), numeric, numeric, numeric),
        st.tuples(st.just("null"), st.one_of(*scalars.values())),
        st.tuples(st.just("like"), scalars["text"], folds, st.sampled_from(patterns)),
        st.tuples(st.sampled_from(SPATIAL), sided).map(lambda pair: ("spatial", pair[0], *pair[1])),
        st.booleans().map(lambda truth: ("always", truth)),
    ]
    simple += [_temporal(kind, columns[kind], literals[kind]) for kind in ("date", "time") if columns[kind]]

    def joined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        several = st.lists(inner, min_size=2, max_size=3)
        return st.one_of(
            st.tuples(st.sampled_from(["and", "or"]), several),
            st.tuples(st.just("not"), inner),
            st.tuples(st.just("null"), inner),
        )

    return st.recursive(st.one_of(*simple), joined, max_leaves=leaves)


def _temporal(kind: str, names: list[str], moments: list[Any]) -> st.SearchStrategy[Any]:
    named = st.sampled_from(names).map(lambda name: ("property", name))
    given = st.sampled_from(moments).map(lambda value: (kind, value))
    ends = st.one_of(named, given, st.none())
    intervals = st.tuples(st.just("interval"), ends, ends).filter(_forward)
    instants = st.one_of(named, given)
    spans = st.one_of(instants, intervals)
    return st.one_of(
        st.tuples(st.just("temporal"), st.sampled_from(INSTANTS), spans, spans),
        st.tuples(st.just("temporal"), st.sampled_from(INTERVALS), intervals, intervals),
        st.tuples(st.just("null"), intervals),
    )


def _forward(interval: Any) -> bool:
    """An interval of literals runs forward; any other is refused."""
    given = [end[1] for end in interval[1:] if end is not None and end[0] != "property"]
    return len(given) < 2 or given[0] <= given[1]
