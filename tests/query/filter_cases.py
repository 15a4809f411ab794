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
from dataclasses import dataclass
from datetime import UTC, date, datetime
from random import Random
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
CAMEL = {
    "finishedby": "finishedBy",
    "metby": "metBy",
    "overlappedby": "overlappedBy",
    "startedby": "startedBy",
    "containedby": "containedBy",
}
BEGINNING, END = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


# Written as CQL2 text


def as_text(node: Any) -> str:
    match node:
        case ("property", name):
            return quoted(name)
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
            return {"op": f"t_{CAMEL.get(op, op)}", "args": [as_json(left), as_json(right)]}
        case ("arrays", op, left, right):
            return {
                "op": f"a_{CAMEL.get(op, op)}",
                "args": [[as_json(member) for member in side] for side in (left, right)],
            }
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
        marks = {c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) == "Mn"} - set("\u3099\u309a")
        text = "".join(c for c in unicodedata.normalize("NFD", text) if c not in marks)
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
            return quoted(name)
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


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def ends_sql(node: Any) -> tuple[str, str]:
    if node[0] != "interval":
        return as_sql(node), as_sql(node)
    start, end = node[1:]
    return (
        "'-infinity'" if start is None else as_sql(start),
        "'infinity'" if end is None else as_sql(end),
    )


def span_sql(op: str, first: str, last: str, start: str, end: str) -> str:
    """Without an end there is no answer, even where the others would do: so says the standard, and not SQL."""
    first, last, start, end = (f"({part})::timestamptz" for part in (first, last, start, end))
    relation = {
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
    gaps = " OR ".join(f"{part} IS NULL" for part in (first, last, start, end))
    return f"(CASE WHEN {gaps} THEN NULL ELSE {relation} END)"


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


# Random filters over a table


@dataclass(frozen=True)
class Filters:
    """Filters of all sorts over one table. ``columns`` and ``literals`` are lists by kind: text, number, boolean,
    date, time.

    ``whole`` are the columns that ``%`` and ``div`` may stand beside; None: all of the kind number.
    """

    columns: dict[str, list[str]]
    literals: dict[str, list[Any]]
    shapes: list[Any]
    patterns: list[str]
    arithmetic: tuple[str, ...] = ("+", "-", "*", "/", "^", "%", "div")
    whole: list[str] | None = None

    @property
    def kinds(self) -> list[str]:
        return [kind for kind in ("text", "number", "boolean", "date", "time") if self.columns[kind]]

    def strategy(self) -> st.SearchStrategy[Any]:
        return st.randoms(use_true_random=False).map(self.predicate)

    def predicate(self, chance: Random, depth: int = 3) -> Any:
        if depth and chance.random() < 0.5:
            return self.joined(chance, depth - 1)
        made = [self.comparison, self.listing, self.like, self.spatial, self.null]
        made += [self.arrays] * (depth == 3) + [self.between] * bool(self.columns["number"])
        made += [self.temporal, self.temporal] * bool(self.columns["date"] or self.columns["time"])
        return ("always", chance.random() < 0.5) if chance.random() < 0.02 else chance.choice(made)(chance)

    def joined(self, chance: Random, depth: int) -> Any:
        word = chance.choice(["and", "or", "and", "or", "not", "null"])
        if word in ("and", "or"):
            return (word, [self.predicate(chance, depth) for _ in range(chance.randint(2, 3))])
        return (word, self.predicate(chance, depth))

    def column(self, chance: Random, kind: str) -> Any:
        return ("property", chance.choice(self.columns[kind]))

    def literal(self, chance: Random, kind: str) -> Any:
        return (kind, chance.choice(self.literals[kind]))

    def value(self, chance: Random, kind: str, named: float = 0.4) -> Any:
        """A column with the chance ``named``, or a literal, or something made of those."""
        if chance.random() < 0.15 and kind == "text":
            return (chance.choice(["casei", "accenti"]), self.value(chance, kind, named))
        if chance.random() < 0.3 and kind == "number":
            return self.calculation(chance)
        return self.column(chance, kind) if chance.random() < named else self.literal(chance, kind)

    def calculation(self, chance: Random) -> Any:
        op = chance.choice(self.arithmetic)
        if op in ("%", "div") and self.whole is not None:
            operands = [("property", chance.choice(self.whole)), ("number", chance.randint(-7, 7))]
            return ("arithmetic", op, *(operands if chance.random() < 0.8 else operands[::-1]))
        left, right = self.column(chance, "number"), self.literal(chance, "number")
        if op == "^":
            return ("arithmetic", op, left, ("number", chance.randint(0, 3)))
        return ("arithmetic", op, *((left, right) if chance.random() < 0.7 else (right, left)))

    def comparison(self, chance: Random) -> Any:
        kind = chance.choice(self.kinds)
        op = chance.choice(list(COMPARISONS))
        sides = [self.value(chance, kind, 0.95), self.value(chance, kind, 0.2)]
        return ("compare", op, *(sides if chance.random() < 0.8 else sides[::-1]))

    def listing(self, chance: Random) -> Any:
        kind = chance.choice(self.kinds)
        members = [self.value(chance, kind, 0.1) for _ in range(chance.randint(1, 5))]
        return ("in", self.value(chance, kind, 0.95), members)

    def like(self, chance: Random) -> Any:
        folds = chance.choice([(), (), ("casei",), ("accenti",), ("casei", "accenti")])
        return ("like", self.value(chance, "text", 0.95), folds, chance.choice(self.patterns))

    def between(self, chance: Random) -> Any:
        ends = [self.value(chance, "number", 0.1), self.value(chance, "number", 0.1)]
        if all(kind == "number" for kind, *_ in ends):
            ends.sort(key=lambda end: end[1])
        return ("between", self.value(chance, "number", 0.95), *ends)

    def null(self, chance: Random) -> Any:
        return ("null", self.value(chance, chance.choice(self.kinds), 0.9))

    def spatial(self, chance: Random) -> Any:
        sides = [("geometry",), chance.choice(self.shapes)]
        return ("spatial", chance.choice(SPATIAL), *(sides if chance.random() < 0.8 else sides[::-1]))

    def arrays(self, chance: Random) -> Any:
        kind = chance.choice(self.kinds)
        sides = [[self.value(chance, kind) for _ in range(chance.randint(1, 3))] for _ in range(2)]
        return ("arrays", chance.choice(ARRAYS), *sides)

    def temporal(self, chance: Random) -> Any:
        kind = chance.choice([kind for kind in ("date", "time") if self.columns[kind]])
        left, right = self.interval(chance, kind, 0.8), self.interval(chance, kind, 0.2)
        if chance.random() < 0.1:
            return ("null", left)
        if chance.random() < 0.5:
            return ("temporal", chance.choice(INTERVALS), left, right)
        instants = [self.value(chance, kind, 0.8), self.value(chance, kind, 0.2)]
        sides = [chance.choice([left, instants[0]]), chance.choice([right, instants[1]])]
        return ("temporal", chance.choice(INSTANTS), *sides)

    def interval(self, chance: Random, kind: str, named: float) -> Any:
        ends = [None if chance.random() < 0.15 else self.value(chance, kind, named) for _ in range(2)]
        given = sorted(end[1] for end in ends if end is not None and end[0] == kind)
        if len(given) == 2:  # an interval of literals that runs backwards is refused
            ends = [(kind, value) for value in given]
        return ("interval", *ends)
