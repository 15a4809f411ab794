r"""CQL2 text to a tree of plain values, as CQL2 JSON would spell it (OGC 21-065r2, clause 8 and its BNF).

The grammar of operators is the ``cql2`` library's. What stands between them is read here, and the library is shown
short flat pieces such as ``"0" = "1" AND NOT "2" LIKE "3"`` in which every bracket, name and value is a numbered
placeholder, because version 0.6 of it

- needs time exponential in the depth of brackets for a text that does not parse (24 of them: minutes), and ends the
  process when a chain of operators is some thousands long,
- reads every number as a float, so that whole numbers beyond 2**53 change,
- leaves backslash escapes in texts as they are (``/req/cql2-text/escaping``), and refuses exponents in WKT.

Two things stand in the tree that JSON has not: :class:`Group`, and geometries, which are shapely's.
"""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

import cql2
import shapely

from gisservice.errors import LimitExceeded
from gisservice.query.filter_limits import DEPTH_MAX, NODES_MAX, TEXT_MAX, VERTICES_MAX, Refusal

CHAIN_MAX = 64
"""Parts of a piece between one AND or OR and the next; the library nests each inside the one before."""

_DIGITS_MAX = 400
"""Of a number: the largest float has 309."""

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>'(?:[^'\\]|''|\\.)*')
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<number>[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?)
    | (?P<name>(?:[^\W\d]|:)[\w:.\u0300-\u036f]*)
    | (?P<mark><>|!=|<=|>=|[-=<>+*/^%(),])
    )""",
    re.VERBOSE | re.DOTALL,
)
_KEYWORDS = frozenset("AND OR NOT LIKE BETWEEN IN IS NULL TRUE FALSE DIV".split())
_GEOMETRY = re.compile(
    r"(POINT|LINESTRING|POLYGON|MULTIPOINT|MULTILINESTRING|MULTIPOLYGON|GEOMETRYCOLLECTION)Z?", re.IGNORECASE
)
_ESCAPES = {"a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "'": "'", "\\": "\\"}
_ESCAPE = re.compile(r"\\(.)|''", re.DOTALL)
_POSITION = re.compile(r"1:([0-9]+)")
_OPERAND = "a property, a value or an opening bracket"
_OPERATOR = "an operator (=, <, LIKE, IN, BETWEEN, IS NULL, AND, OR, +, ...) or the end"


class Group(list[Any]):
    """What stands in brackets without a name before them: an expression, a list for IN, or an array."""


class _Token(NamedTuple):
    kind: str
    text: str
    at: int
    """Position in the filter, from 0."""
    end: int


def read_text(text: str) -> Any:
    """Return the tree of a filter in CQL2 text.

    Numbers keep their exact value (whole ones are int), names of functions are in lower case. Raises
    :class:`Refusal` with the place of the mistake, and :class:`LimitExceeded`.
    """
    if len(text) > TEXT_MAX:
        raise LimitExceeded("A filter", len(text), TEXT_MAX, "characters")
    reader = _Reader(text, _tokens(text))
    tree = reader.expression()
    rest = reader.peek()
    if rest is not None:
        raise reader.refusal(rest.at, _OPERATOR if rest.text == "," else "no closing bracket without an opening one")
    return _ungrouped(tree)


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            start = at + len(text[at:]) - len(text[at:].lstrip())
            if text[start] in "'\"":
                raise Refusal(f"a closing {text[start]} for the one at character {start + 1}")
            raise Refusal(f"no {text[start]!r} at character {start + 1}")
        kind = str(match.lastgroup)
        tokens.append(_Token(kind, match[kind], match.start(kind), match.end()))
        at = match.end()
    return tokens


class _Reader:
    def __init__(self, text: str, tokens: list[_Token]) -> None:
        self.text = text
        self.tokens = tokens
        self.next = 0
        self.depth = 0
        self.nodes = 0
        self.vertices = 0

    def peek(self, ahead: int = 0) -> _Token | None:
        at = self.next + ahead
        return self.tokens[at] if at < len(self.tokens) else None

    def is_mark(self, mark: str, ahead: int = 0) -> bool:
        token = self.peek(ahead)
        return token is not None and token.kind == "mark" and token.text == mark

    def refusal(self, at: int, expected: str) -> Refusal:
        near = self.text[at : at + 20]
        where = f"at character {at + 1} ({near!r})" if near.strip() else "at its end"
        return Refusal(f"{expected} {where}")

    def expression(self) -> Any:
        """Read up to a comma, a closing bracket or the end, and return its tree."""
        piece = _Piece(self.peek())
        while (token := self.peek()) is not None and not (token.kind == "mark" and token.text in ",)"):
            if piece.wants_operand and token.text in ("-", "+"):
                piece.put(self.signed(), token)
            elif token.kind == "mark" and token.text != "(":
                piece.keep(token.text, token)
                self.next += 1
            elif token.kind == "name" and token.text.upper() in _KEYWORDS:
                piece.keep(token.text.upper(), token)
                self.next += 1
            else:
                piece.put(self.operand(token), token)
            self.count()
        return self.structure(piece)

    def count(self) -> None:
        self.nodes += 1
        if self.nodes > NODES_MAX:
            raise LimitExceeded("A filter", len(self.tokens), NODES_MAX, "parts")

    def operand(self, token: _Token) -> Any:
        if token.kind == "mark":
            return Group(self.arguments())
        self.next += 1
        if token.kind == "string":
            return _unescaped(token.text)
        if token.kind == "number":
            return self.number(token)
        if token.kind == "quoted":
            return {"property": token.text[1:-1].replace('""', '"')}
        if _GEOMETRY.fullmatch(token.text) and self.opens_geometry():
            return self.geometry(token)
        if self.is_mark("("):
            return _call(token.text, self.arguments())
        return {"property": token.text}

    def signed(self) -> Any:
        """Read an operand with signs before it."""
        minus = False
        while (token := self.peek()) is not None and token.text in ("-", "+"):
            minus ^= token.text == "-"
            self.next += 1
            self.count()
        if token is None or (token.kind == "mark" and token.text != "(") or token.text.upper() in _KEYWORDS:
            raise self.refusal(token.at if token else len(self.text), _OPERAND)
        value = _ungrouped(self.operand(token))
        return _negative(value) if minus else value

    def number(self, token: _Token) -> int | float:
        if len(token.text) > _DIGITS_MAX:
            raise self.refusal(token.at, f"a number of at most {_DIGITS_MAX} digits")
        value = int(token.text) if token.text.isdigit() else float(token.text)
        if isinstance(value, float) and math.isinf(value):
            raise self.refusal(token.at, "a number below 1.8e308")
        return value

    def arguments(self) -> list[Any]:
        """Read a bracket with what is in it, separated by commas."""
        opening = self.tokens[self.next]
        self.next += 1
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise LimitExceeded("Brackets in a filter", self.depth, DEPTH_MAX, "levels")
        found: list[Any] = []
        if not self.is_mark(")"):
            found.append(self.expression())
            while self.is_mark(","):
                self.next += 1
                found.append(self.expression())
        if self.peek() is None:
            raise Refusal(f"a closing bracket for the one at character {opening.at + 1}")
        self.next += 1
        self.depth -= 1
        return found

    def opens_geometry(self) -> bool:
        """Tell whether what follows the name of a geometry type is its positions; the name may be a column's."""
        after = self.peek()
        dimension = after is not None and after.text.upper() in ("Z", "M", "ZM")
        last = self.peek(int(dimension))
        return self.is_mark("(", int(dimension)) or (last is not None and last.text.upper() == "EMPTY")

    def geometry(self, first: _Token) -> Any:
        """Return the shapely geometry of Well-Known Text that begins at ``first``."""
        level = 0
        while (token := self.peek()) is not None:
            self.next += 1
            level += (token.text == "(") - (token.text == ")")
            self.vertices += token.text == ","
            if self.vertices >= VERTICES_MAX:
                raise LimitExceeded("The geometries of a filter", self.vertices + 1, VERTICES_MAX, "positions")
            if level > DEPTH_MAX:
                raise LimitExceeded("Brackets in a filter", level, DEPTH_MAX, "levels")
            if level == 0 and token.text.upper() in (")", "EMPTY"):
                break
        else:
            raise Refusal(f"closing brackets for the geometry at character {first.at + 1}")
        self.vertices += 1
        wkt = self.text[first.at : token.end]
        try:
            return shapely.from_wkt(wkt)
        except shapely.GEOSException as exc:
            told = str(exc).partition(":")[2].strip() or str(exc)
            raise self.refusal(first.at, f"Well-Known Text of a geometry ({told})") from exc

    def structure(self, piece: _Piece) -> Any:
        """Return the tree of a piece, by the library's grammar of operators."""
        if not piece.parts:
            raise self.refusal(piece.start if self.peek() is not None else len(self.text), _OPERAND)
        if piece.is_value:
            return piece.values[0]
        longest = piece.longest_chain()
        if longest > CHAIN_MAX:
            raise LimitExceeded("A chain of operators without AND or OR", longest, CHAIN_MAX, "parts")
        try:
            found = cql2.parse_text(" ".join(piece.parts)).to_json()
        except cql2.ParseError as exc:
            at = piece.origin(str(exc), len(self.text))
            raise self.refusal(at, _OPERAND if "Identifier" in str(exc) else _OPERATOR) from exc
        return _filled(found, piece.values)


class _Piece:
    """A flat run of operators, names and values, and where each part came from."""

    def __init__(self, first: _Token | None) -> None:
        self.start = first.at if first is not None else 0
        self.parts: list[str] = []
        self.values: list[Any] = []
        self.origins: list[int] = []
        self.end = self.start

    def keep(self, part: str, token: _Token) -> None:
        self.parts.append(part)
        self.origins.append(token.at)
        self.end = token.end

    def put(self, value: Any, token: _Token) -> None:
        self.keep(f'"{len(self.values)}"', token)
        self.values.append(value)

    @property
    def wants_operand(self) -> bool:
        """Whether what comes next begins a value, so that a plus or minus is its sign."""
        return not self.parts or not (self.parts[-1][0] == '"' or self.parts[-1] in ("NULL", "TRUE", "FALSE"))

    @property
    def is_value(self) -> bool:
        return len(self.parts) == 1 == len(self.values)

    def longest_chain(self) -> int:
        longest = run = 0
        for part in self.parts:
            run = 0 if part in ("AND", "OR") else run + 1
            longest = max(longest, run)
        return longest

    def origin(self, message: str, otherwise: int) -> int:
        """Return the position in the filter of the place that the library's message names by its column."""
        match = _POSITION.search(message)
        column = int(match[1]) - 1 if match else 0
        for part, origin in zip(self.parts, self.origins, strict=True):
            if column < len(part):  # below zero: at the blank before
                return origin
            column -= len(part) + 1
        return min(self.end, otherwise)


def _unescaped(literal: str) -> str:
    r"""Return the text of a literal with its quotes; ``\%`` and ``\_`` stay as they are, for LIKE."""
    return _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[0]) if match[1] else "'", literal[1:-1])


def _call(name: str, arguments: list[Any]) -> Any:
    """Return the tree of a name with arguments."""
    kind = name.lower()
    if kind.startswith("a_"):
        return {"op": kind, "args": [_members(argument) for argument in arguments]}
    plain = [_ungrouped(argument) for argument in arguments]
    if kind in ("date", "timestamp"):
        return {kind: plain[0] if len(plain) == 1 else plain}
    return {kind: plain} if kind in ("interval", "bbox") else {"op": kind, "args": plain}


def _members(value: Any) -> Any:
    return [_ungrouped(member) for member in value] if isinstance(value, Group) else value


def _filled(found: Any, values: list[Any]) -> Any:
    """Put the values of a piece in the places of their placeholders."""
    if isinstance(found, dict):
        if "property" in found:
            return _ungrouped(_held(found["property"], values))
        op, arguments = found["op"], found["args"]
        if op == "in":
            return {"op": op, "args": [_filled(arguments[0], values), _list_of_in(arguments[1], values)]}
        return {"op": op, "args": [_filled(argument, values) for argument in arguments]}
    return found


def _held(placeholder: str, values: list[Any]) -> Any:
    if not placeholder.isdigit():
        raise Refusal(f'a property in double quotes where its name is a word of the language, as in "{placeholder}"')
    return values[int(placeholder)]


def _list_of_in(found: Any, values: list[Any]) -> list[Any]:
    only = _held(found[0]["property"], values) if isinstance(found[0], dict) and "property" in found[0] else None
    if not isinstance(only, Group):
        raise Refusal("a list in brackets after IN, as in zoning IN ('RM', 'RB')")
    return [_ungrouped(member) for member in only]


def _ungrouped(value: Any) -> Any:
    """Return what a bracket holds where it only groups; one with a comma in it stays an array."""
    while isinstance(value, Group) and len(value) == 1:
        value = value[0]
    return _members(value)


def _negative(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return -value
    return {"op": "*", "args": [-1, value]}
