"""Which records a checked filter is true for: evaluated over all of them at once, with logic of three values.

A predicate gives two arrays, where it is surely true and where it is surely false; where neither, it is unknown
(there is no value to decide by). AND, OR and NOT on such pairs are the standard's truth tables (OGC 21-065r2, 6.2).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gisservice.catalog import Features
from gisservice.query.columns import Bools, Columns, Rows, Texts, Vector
from gisservice.query.filter_relations import Clock, related, spans_related
from gisservice.query.filter_terms import (
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
    Scalar,
    Shape,
    Span,
    Spatial,
    Temporal,
)
from gisservice.query.folding import Folds, folded, pattern_regex

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_ARROW = {
    "=": pc.equal,
    "<>": pc.not_equal,
    "<": pc.less,
    ">": pc.greater,
    "<=": pc.less_equal,
    ">=": pc.greater_equal,
}
_TURNED = {"=": "=", "<>": "<>", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
_INT64 = np.iinfo(np.int64)


@dataclass(frozen=True)
class Truth:
    """Where a predicate is true, and where false; arrays of one value a record, or of shape ``()`` for all alike."""

    yes: npt.NDArray[np.bool_]
    no: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Records:
    """The records that are asked about; ``rows`` None is all of them."""

    features: Features
    columns: Columns
    rows: Rows | None
    clock: Clock

    @property
    def count(self) -> int:
        return self.features.count if self.rows is None else len(self.rows)

    def narrowed(self, keep: Bools) -> _Records:
        rows = np.flatnonzero(keep) if self.rows is None else self.rows[keep]
        return replace(self, rows=rows)

    def vector(self, name: str) -> Vector:
        found = self.columns.vector(name)
        if self.rows is None:
            return found
        return Vector(found.data[self.rows], None if found.valid is None else found.valid[self.rows])

    def texts(self, name: str, folds: Folds) -> Texts:
        found = self.columns.texts(name, folds)
        return found if self.rows is None else Texts(found.codes[self.rows], found.distinct, name, folds)


def matching(term: Predicate, features: Features, rows: Rows | None) -> Rows:
    """Return those of ``rows`` (ascending; None: of all records) for which a filter is true.

    Raises :class:`LimitExceeded` when its geometries take too long to compare.
    """
    records = _Records(features, Columns.of(features), rows, Clock())
    parts = sorted(term.parts, key=_looks_at_geometry) if isinstance(term, And) else [term]
    for part in parts:  # each looks only at what the cheaper ones before it left
        records = records.narrowed(np.broadcast_to(_truth(part, records).yes, records.count))
    assert records.rows is not None  # there is at least one part
    return records.rows


def _looks_at_geometry(term: Predicate) -> bool:
    if isinstance(term, And | Or):
        return any(_looks_at_geometry(part) for part in term.parts)
    return isinstance(term, Spatial) or (isinstance(term, Not) and _looks_at_geometry(term.of))


def _truth(term: Predicate, records: _Records) -> Truth:
    match term:
        case Always(value):
            return Truth(np.asarray(value), np.asarray(not value))
        case Not(of):
            found = _truth(of, records)
            return Truth(found.no, found.yes)
        case And(parts):
            return _all([_truth(part, records) for part in parts])
        case Or(parts):
            return _any([_truth(part, records) for part in parts])
        case Compare(op, left, right):
            return _compared(op, left, right, records)
        case Between(value, low, high):
            return _all([_compared(">=", value, low, records), _compared("<=", value, high, records)])
        case In(value, members):
            return _among(value, members, records)
        case Like(value, pattern):
            return _like(value, pattern, records)
        case IsNull(of):
            missing = _missing(of, records)
            return Truth(missing, ~missing)
        case Spatial(op, left, right):
            hit = related(op, left, right, records.features, records.rows, records.clock)
            return Truth(hit, ~hit)
        case Temporal(op, left, right):
            first, last = _ends(left, records)
            other_first, other_last = _ends(right, records)
            hit = spans_related(op, (first.data, last.data), (other_first.data, other_last.data))
            return _known(hit, first, last, other_first, other_last)
        case Arrays(op, left, right):
            return _sets_related(op, left, right, records)


def _all(parts: Sequence[Truth]) -> Truth:
    return Truth(_every([part.yes for part in parts]), _some([part.no for part in parts]))


def _any(parts: Sequence[Truth]) -> Truth:
    return Truth(_some([part.yes for part in parts]), _every([part.no for part in parts]))


def _every(arrays: Sequence[Bools]) -> Bools:
    return reduce(np.logical_and, arrays)


def _some(arrays: Sequence[Bools]) -> Bools:
    return reduce(np.logical_or, arrays)


def _known(hit: Any, *vectors: Vector) -> Truth:
    """Return an answer that is unknown where any of the values it comes from is missing."""
    hit = np.asarray(hit, dtype=np.bool_)
    valid = [vector.valid for vector in vectors if vector.valid is not None]
    if not valid:
        return Truth(hit, ~hit)
    everywhere = _every(valid)
    return Truth(hit & everywhere, ~hit & everywhere)


# Comparisons


def _compared(op: str, left: Scalar, right: Scalar, records: _Records) -> Truth:
    if left.kind is Kind.TEXT:
        return _texts_compared(op, left, right, records)
    one, other = _vector(left, records), _vector(right, records)
    return _known(_numbers_compared(op, one.data, other.data), one, other)


def _numbers_compared(op: str, left: npt.NDArray[Any], right: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Compare by value: a whole number and a float are not brought to one type, which would round the former."""
    if left.dtype.kind == "i" and right.dtype.kind == "f":
        return _whole_compared(op, left, right)
    if left.dtype.kind == "f" and right.dtype.kind == "i":
        return _whole_compared(_TURNED[op], right, left)
    found: npt.NDArray[Any] = _OPERATORS[op](left, right)
    return found


def _whole_compared(op: str, whole: npt.NDArray[Any], real: npt.NDArray[Any]) -> npt.NDArray[Any]:
    rounded = whole.astype(np.float64)
    # Rounding keeps the order, so only where it makes the two equal has the whole number to be looked at itself.
    tied = rounded == real
    inside = (real >= -(2.0**63)) & (real < 2.0**63)
    exact = np.where(inside, real, 0.0).astype(np.int64)
    difference = np.where(inside, np.sign((whole > exact).astype(np.int8) - (whole < exact).astype(np.int8)), -1)
    order = np.where(tied, difference, np.sign(rounded - real))
    found: npt.NDArray[Any] = _OPERATORS[op](order, 0)
    return found


def _vector(scalar: Scalar, records: _Records) -> Vector:
    match scalar:
        case Property(name, _):
            return records.vector(name)
        case Literal(_, value):
            return Vector(np.asarray(value))
        case Arithmetic(op, left, right):
            return _calculated(op, _vector(left, records), _vector(right, records))
        case Folded():
            raise AssertionError("texts are not numbers")


def _calculated(op: str, left: Vector, right: Vector) -> Vector:
    """Return arithmetic in double precision; what is not finite (a division by zero) is no value."""
    one, other = left.data.astype(np.float64), right.data.astype(np.float64)
    with np.errstate(all="ignore"):
        result = _ARITHMETIC[op](one, other)
    known = _known(np.isfinite(result), left, right).yes
    return Vector(np.where(known, result, 0.0), known)


def _quotient(left: Any, right: Any) -> Any:
    """Return the whole part of a quotient, towards zero; by the remainder, because a rounded quotient may be one up."""
    return np.rint((left - np.fmod(left, right)) / right)


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "^": np.power,
    "%": np.fmod,
    "div": _quotient,
}


# Texts


def _text(scalar: Scalar, records: _Records) -> Texts | str:
    """Return a text for each record, or the one text of a literal."""
    inner, folds = _unfolded(scalar)
    if isinstance(inner, Property):
        return records.texts(inner.name, folds)
    assert isinstance(inner, Literal)
    return folded(str(inner.value), folds)


def _unfolded(scalar: Scalar) -> tuple[Scalar, Folds]:
    """Return what stands inside CASEI and ACCENTI, and which of them."""
    folds: set[str] = set()
    while isinstance(scalar, Folded):
        folds.add(scalar.how)
        scalar = scalar.of
    return scalar, frozenset(folds)


def _texts_compared(op: str, left: Scalar, right: Scalar, records: _Records) -> Truth:
    one, other = _text(left, records), _text(right, records)
    if isinstance(one, str) and isinstance(other, str):
        return _known(_OPERATORS[op](one.encode(), other.encode()))
    if isinstance(one, str):
        one, other, op = other, one, _TURNED[op]
    assert isinstance(one, Texts)
    if isinstance(other, str):
        wanted, compare = pa.scalar(other, pa.string()), _ARROW[op]
        return _answered(one, (op, other), lambda distinct: compare(distinct, wanted), records)
    found = _ARROW[op](_spelled_out(one), _spelled_out(other))
    hit = pc.fill_null(found, False).to_numpy(zero_copy_only=False)
    return Truth(hit, pc.fill_null(pc.invert(found), False).to_numpy(zero_copy_only=False))


def _answered(texts: Texts, question: Any, ask: Callable[[pa.Array], pa.Array], records: _Records) -> Truth:
    """Return the answer about each record's text, asked once about each distinct text."""
    hit = records.columns.answers(texts, question, ask)[texts.codes]
    return Truth(hit, ~hit & (texts.codes >= 0))


def _spelled_out(texts: Texts) -> pa.Array:
    return texts.distinct.take(pa.array(texts.codes, mask=texts.codes < 0))


def _among(value: Scalar, members: Sequence[Scalar], records: _Records) -> Truth:
    literals = [member for member in members if isinstance(member, Literal)]
    if value.kind is Kind.TEXT:
        text = _text(value, records)
        wanted = [_text(member, records) for member in members]
        constant = tuple(sorted({member for member in wanted if isinstance(member, str)}))
        if isinstance(text, Texts) and len(constant) and all(isinstance(member, str) for member in wanted):
            listed = pa.array(constant, type=pa.string())
            return _answered(text, ("in", constant), lambda distinct: pc.is_in(distinct, listed), records)
    elif isinstance(value, Property) and value.kind is not Kind.BOOLEAN and len(literals) == len(members):
        vector = records.vector(value.name)
        return _known(np.isin(vector.data, _same_type(literals, vector.data.dtype)), vector)
    return _any([_compared("=", value, member, records) for member in members])


def _same_type(literals: Sequence[Literal], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return those of the numbers that a column of this type can hold; it equals none of the others."""
    numbers = [literal.value for literal in literals if not isinstance(literal.value, str)]
    if dtype.kind == "i":
        held = [int(number) for number in numbers if number == int(number) and _INT64.min <= number <= _INT64.max]
    else:
        held = [number for number in numbers if float(number) == number]  # type: ignore[misc]  # the array's type decides
    return np.array(held, dtype=dtype)


def _like(value: Scalar, pattern: Scalar, records: _Records) -> Truth:
    written, folds = _unfolded(pattern)
    assert isinstance(written, Literal)
    regex = pattern_regex(str(written.value), folds)
    text = _text(value, records)
    if isinstance(text, str):
        return _known(pc.match_substring_regex(pa.array([text]), regex)[0].as_py())
    return _answered(text, ("like", regex), lambda distinct: pc.match_substring_regex(distinct, regex), records)


# What is missing, times, arrays


def _missing(of: Any, records: _Records) -> Bools:
    nowhere: Bools = np.zeros((), dtype=np.bool_)
    if isinstance(of, Predicate):
        found = _truth(of, records)
        return ~(found.yes | found.no)
    if isinstance(of, ItemGeometry | Shape):
        return nowhere
    if isinstance(of, Interval):
        ends = [_missing(end, records) for end in (of.start, of.end) if end is not None]
        return _some([*ends, nowhere])
    if of.kind is Kind.TEXT:
        text = _text(of, records)
        return nowhere if isinstance(text, str) else text.codes < 0
    valid = _vector(of, records).valid
    return nowhere if valid is None else ~valid


def _ends(span: Span, records: _Records) -> tuple[Vector, Vector]:
    """Return the first and the last moment of an instant or an interval; an open end is before or after all others."""
    if not isinstance(span, Interval):
        instant = _vector(span, records)
        return instant, instant
    start = Vector(np.asarray(_INT64.min)) if span.start is None else _vector(span.start, records)
    end = Vector(np.asarray(_INT64.max)) if span.end is None else _vector(span.end, records)
    return start, end


def _sets_related(op: str, left: Sequence[Scalar], right: Sequence[Scalar], records: _Records) -> Truth:
    if op == "a_contains":
        return _contained(right, left, records)
    if op == "a_containedby":
        return _contained(left, right, records)
    if op == "a_equals":
        return _all([_contained(left, right, records), _contained(right, left, records)])
    return _any([_one_of(member, right, records) for member in left] or [_truth(Always(False), records)])


def _contained(inner: Sequence[Scalar], outer: Sequence[Scalar], records: _Records) -> Truth:
    """Return where each member of one array equals a member of the other."""
    return _all([_one_of(member, outer, records) for member in inner] or [_truth(Always(True), records)])


def _one_of(member: Scalar, array: Sequence[Scalar], records: _Records) -> Truth:
    alike = [other for other in array if other.kind is member.kind]  # values of two kinds are never equal
    return _among(member, alike, records) if alike else _truth(Always(False), records)
