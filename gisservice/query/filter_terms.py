"""What a checked filter is made of, and how it is written: frozen values, each with its canonical CQL2 text.

A :data:`Scalar` has one value for each item, a :data:`Predicate` is true, false or unknown for each. Equal filters
have equal text, whichever encoding they came in: keywords in capitals, brackets only where they are needed, numbers
in their shortest form, names quoted only where they must be, positions in CRS84.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

import shapely

from gisservice.model import BBox

GEOMETRY = "geometry"
"""The name by which a filter calls the one geometry of an item."""

_EPOCH_DAY = date(1970, 1, 1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_RESERVED = frozenset(
    "AND OR NOT LIKE BETWEEN IN IS NULL TRUE FALSE DIV POINT LINESTRING POLYGON MULTIPOINT MULTILINESTRING "
    "MULTIPOLYGON GEOMETRYCOLLECTION Z M ZM EMPTY".split()
)
_CONTROLS = {"\a": r"\a", "\b": r"\b", "\t": r"\t", "\n": r"\n", "\v": r"\v", "\f": r"\f", "\r": r"\r"}
_ESCAPED = str.maketrans({**_CONTROLS, "'": "''", "\\": r"\\"})
_BINDING = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2, "div": 2, "^": 3}


class Kind(StrEnum):
    """The types of scalars; the value is what people are told."""

    TEXT = "a text"
    NUMBER = "a number"
    BOOLEAN = "true or false"
    DATE = "a day"
    TIME = "a time"


@dataclass(frozen=True, slots=True)
class Property:
    """The value of a column."""

    name: str
    kind: Kind

    def __str__(self) -> str:
        return written_name(self.name)


@dataclass(frozen=True, slots=True)
class Literal:
    """A value of the filter itself. Days count from 1970-01-01, times are microseconds from then, UTC."""

    kind: Kind
    value: str | int | float | bool

    def __str__(self) -> str:
        if self.kind is Kind.TEXT:
            return _quoted(str(self.value))
        if self.kind is Kind.NUMBER:
            return repr(self.value)
        if self.kind is Kind.BOOLEAN:
            return "TRUE" if self.value else "FALSE"
        return f"{'DATE' if self.kind is Kind.DATE else 'TIMESTAMP'}('{written_moment(self)}')"


@dataclass(frozen=True, slots=True)
class Folded:
    """A text without regard to case (``casei``) or to accents (``accenti``)."""

    how: str
    of: Scalar

    @property
    def kind(self) -> Kind:
        """A text, always."""
        return Kind.TEXT

    def __str__(self) -> str:
        return f"{self.how.upper()}({self.of})"


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Two numbers joined by ``+ - * / ^ %`` or ``div``."""

    op: str
    left: Scalar
    right: Scalar

    @property
    def kind(self) -> Kind:
        """A number, always."""
        return Kind.NUMBER

    def __str__(self) -> str:
        here = _BINDING[self.op]
        left = _bracketed(self.left, here + (self.op == "^"))  # powers are not chained in the standard's grammar
        return f"{left} {self.op.upper()} {_bracketed(self.right, here + 1)}"


Scalar = Property | Literal | Folded | Arithmetic


@dataclass(frozen=True, slots=True)
class Always:
    """TRUE or FALSE by itself."""

    value: bool

    def __str__(self) -> str:
        return "TRUE" if self.value else "FALSE"


@dataclass(frozen=True, slots=True)
class Compare:
    """Two scalars of one kind, compared by ``= <> < > <= >=``."""

    op: str
    left: Scalar
    right: Scalar

    def __str__(self) -> str:
        return f"{self.left} {self.op} {self.right}"


@dataclass(frozen=True, slots=True)
class Like:
    """A text and a pattern: ``%`` is any run of characters, ``_`` any one, a backslash takes the next as it is."""

    value: Scalar
    pattern: Scalar

    def __str__(self) -> str:
        return f"{self.value} LIKE {self.pattern}"


@dataclass(frozen=True, slots=True)
class Between:
    """A number from ``low`` to ``high``, both included."""

    value: Scalar
    low: Scalar
    high: Scalar

    def __str__(self) -> str:
        return f"{self.value} BETWEEN {self.low} AND {self.high}"


@dataclass(frozen=True, slots=True)
class In:
    """A scalar that equals one of several."""

    value: Scalar
    members: tuple[Scalar, ...]

    def __str__(self) -> str:
        return f"{self.value} IN ({', '.join(map(str, self.members))})"


@dataclass(frozen=True, slots=True)
class IsNull:
    """There is no value: a column without one, a division by zero, a predicate that is neither true nor false."""

    of: Scalar | Predicate | Region | Interval

    def __str__(self) -> str:
        return f"({self.of}) IS NULL" if isinstance(self.of, Predicate) else f"{self.of} IS NULL"


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite; unknown stays unknown."""

    of: Predicate

    def __str__(self) -> str:
        return f"NOT ({self.of})" if isinstance(self.of, And | Or | Not) else f"NOT {self.of}"


@dataclass(frozen=True, slots=True)
class And:
    """All of them."""

    parts: tuple[Predicate, ...]

    def __str__(self) -> str:
        return " AND ".join(f"({part})" if isinstance(part, Or) else str(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Or:
    """Any of them."""

    parts: tuple[Predicate, ...]

    def __str__(self) -> str:
        return " OR ".join(map(str, self.parts))


@dataclass(frozen=True, slots=True)
class ItemGeometry:
    """The item's own geometry."""

    def __str__(self) -> str:
        return GEOMETRY


@dataclass(frozen=True, slots=True)
class Shape:
    """A geometry of the filter, in CRS84: valid, not empty, without heights.

    It is kept as Well-Known Binary, so that each evaluation prepares a copy of its own: what GEOS keeps with a
    prepared geometry is not safe for several threads. ``box`` tells a bounding box that stands for itself.
    """

    wkb: bytes
    box: BBox | None = None

    def __str__(self) -> str:
        if self.box is not None:
            return f"BBOX({','.join(written_number(value) for value in self.box)})"
        return str(shapely.to_wkt(self.geometry(), rounding_precision=-1))

    def geometry(self) -> shapely.Geometry:
        """Return a new copy as a shapely geometry."""
        return shapely.from_wkb(self.wkb)


Region = ItemGeometry | Shape


@dataclass(frozen=True, slots=True)
class Spatial:
    """Two geometries and a relation of OGC 06-103r4 between them, as ``s_intersects``."""

    op: str
    left: Region
    right: Region

    def __str__(self) -> str:
        return f"{self.op.upper()}({self.left}, {self.right})"


@dataclass(frozen=True, slots=True)
class Interval:
    """The time from one instant to another, both included; None is an open end."""

    start: Scalar | None
    end: Scalar | None

    def __str__(self) -> str:
        return f"INTERVAL({_end(self.start)}, {_end(self.end)})"


Span = Property | Literal | Interval
"""An instant or an interval."""


@dataclass(frozen=True, slots=True)
class Temporal:
    """Two instants or intervals and a relation between them, as ``t_before``."""

    op: str
    left: Span
    right: Span

    def __str__(self) -> str:
        return f"{self.op.upper()}({self.left}, {self.right})"


@dataclass(frozen=True, slots=True)
class Arrays:
    """Two arrays of scalars, taken as sets, and a relation between them, as ``a_contains``."""

    op: str
    left: tuple[Scalar, ...]
    right: tuple[Scalar, ...]

    def __str__(self) -> str:
        left, right = (f"({', '.join(map(str, side))})" for side in (self.left, self.right))
        return f"{self.op.upper()}({left}, {right})"


Predicate = Always | Compare | Like | Between | In | IsNull | Not | And | Or | Spatial | Temporal | Arrays


def written_name(name: str) -> str:
    """Return a property's name as CQL2 text spells it.

    >>> written_name("land_area"), written_name("Straße 5")
    ('land_area', '"Straße 5"')
    """
    if _PLAIN_NAME.fullmatch(name) and name.upper() not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def written_number(value: float) -> str:
    """Return the shortest text of a number; a whole one has no point."""
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def written_moment(moment: Literal) -> str:
    """Return the RFC 3339 text of a day or a time."""
    if moment.kind is Kind.DATE:
        return (_EPOCH_DAY + timedelta(days=int(moment.value))).isoformat()
    text = (_EPOCH + timedelta(microseconds=int(moment.value))).replace(tzinfo=None).isoformat()
    return f"{text.rstrip('0') if '.' in text else text}Z"


def _quoted(text: str) -> str:
    return f"'{text.translate(_ESCAPED)}'"


def _bracketed(part: Scalar, binding: int) -> str:
    """Return an operand of arithmetic, in brackets where it binds less tightly than ``binding``."""
    loose = isinstance(part, Arithmetic) and _BINDING[part.op] < binding
    return f"({part})" if loose else str(part)


def _end(end: Scalar | None) -> str:
    if end is None:
        return "'..'"
    return f"'{written_moment(end)}'" if isinstance(end, Literal) else str(end)
