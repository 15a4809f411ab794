"""In which order the letters of a line stand that runs from right to left, or in which parts do.

The Unicode Bidirectional Algorithm (UAX #9) with isolates, to any depth. Embeddings and overrides are left out: they
come from data only, where they would turn what stands around a name. Of paired brackets those of keyboards are known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from unicodedata import bidirectional

_STRONG = {"L": 0, "R": 1, "AL": 1}
_OPENS, _CLOSES = ("LRI", "RLI", "FSI"), "PDI"
_UNSEEN = ("BN", "LRE", "RLE", "LRO", "RLO", "PDF")
_NEUTRAL = ("B", "S", "WS", "ON", *_OPENS, _CLOSES)
_BRACKETS = {"(": ")", "[": "]", "{": "}"}
_BRACKETS_MAX = 63


def levels(text: str, base: int) -> list[int]:
    """Return the level of each character of a line in a paragraph of a base level, 0 or 1; odd is right to left."""
    classes = [bidirectional(letter) or "L" for letter in text]
    found = [base] * len(text)
    for level, places in _sequences(classes, base):
        kinds = _resolved([classes[place] for place in places], [text[place] for place in places], level & 1)
        for place, kind in zip(places, kinds, strict=True):
            found[place] = level + _raised(kind, level)
    for place, kind in enumerate(classes):
        if kind in _UNSEEN and place:
            found[place] = found[place - 1]
    for place in range(len(text) - 1, -1, -1):  # L1: the end of a line runs as the paragraph does
        if classes[place] not in ("WS", *_OPENS, _CLOSES, *_UNSEEN):
            break
        found[place] = base
    return found


def first_strong(text: str) -> int | None:
    """Return the base level that a text asks for by its first letter outside isolates; None where it has no letter."""
    depth = 0
    for kind in map(bidirectional, text):
        if kind in _OPENS:
            depth += 1
        elif kind == _CLOSES:
            depth = max(0, depth - 1)
        elif not depth and kind in _STRONG:
            return _STRONG[kind]
    return None


def runs(found: Sequence[int]) -> list[tuple[int, int, bool]]:
    """Return the runs of one level, from left to right on the screen: first, last + 1, whether it runs to the left."""
    edges = [place for place in range(len(found) + 1) if place in (0, len(found)) or found[place - 1] != found[place]]
    spans = [(first, last, found[first]) for first, last in pairwise(edges)]
    for level in range(max(found, default=0), 0, -1):  # L2: turn what is at this level or deeper
        place = 0
        while place < len(spans):
            end = place
            while end < len(spans) and spans[end][2] >= level:
                end += 1
            spans[place:end] = spans[place:end][::-1]
            place = max(end, place + 1)
    return [(first, last, bool(level & 1)) for first, last, level in spans]


@dataclass
class _Isolate:
    """What stands in one isolate, without what stands in those inside it."""

    level: int
    places: list[int] = field(default_factory=list)


def _sequences(classes: Sequence[str], base: int) -> Iterator[tuple[int, list[int]]]:
    """Yield level and places of each isolating run sequence (X1 to X10): without embeddings each isolate is one."""
    ends = _pairs(classes)
    closing = set(ends.values())
    stack, done = [_Isolate(base)], []
    for place, kind in enumerate(classes):
        if kind in _UNSEEN:
            continue
        if place in closing:
            done.append(stack.pop())
        stack[-1].places.append(place)
        if kind in _OPENS:
            stack.append(_Isolate(_inside(classes, place, ends.get(place, len(classes)), stack[-1].level)))
    yield from ((one.level, one.places) for one in (*done, *stack))


def _pairs(classes: Sequence[str]) -> dict[int, int]:
    """Return where each isolate that is closed begins and ends (BD9)."""
    found, open_ = {}, []
    for place, kind in enumerate(classes):
        if kind in _OPENS:
            open_.append(place)
        elif kind == _CLOSES and open_:
            found[open_.pop()] = place
    return found


def _inside(classes: Sequence[str], start: int, end: int, level: int) -> int:
    """Return the level inside an isolate: the next odd one, or the next even one."""
    leftward = classes[start] == "RLI"
    if classes[start] == "FSI":
        depth = 0
        for kind in classes[start + 1 : end]:
            depth += (kind in _OPENS) - (kind == _CLOSES and depth > 0)
            if not depth and kind in _STRONG:
                leftward = bool(_STRONG[kind])
                break
    return level + 1 if leftward == (level % 2 == 0) else level + 2


def _resolved(kinds: list[str], letters: Sequence[str], level: int) -> list[str]:
    """Return the class of each character of a sequence after the rules for weak (W) and neutral (N) ones."""
    own = "R" if level else "L"
    given = list(kinds)
    _weak(kinds, own)
    _brackets(kinds, given, letters, own)
    _neutral(kinds, own)
    return kinds


def _weak(kinds: list[str], own: str) -> None:
    before = own
    for place, kind in enumerate(kinds):  # W1
        if kind == "NSM":
            kinds[place] = "ON" if before in (*_OPENS, _CLOSES) else before
        before = kinds[place]
    strong = own
    for place, kind in enumerate(kinds):  # W2, W3
        if kind in ("L", "R", "AL"):
            strong = kind
        elif kind == "EN" and strong == "AL":
            kinds[place] = "AN"
    kinds[:] = ["R" if kind == "AL" else kind for kind in kinds]
    for place in range(1, len(kinds) - 1):  # W4
        before, kind, after = kinds[place - 1 : place + 2]
        if before == after and ((kind == "CS" and before in ("EN", "AN")) or (kind == "ES" and before == "EN")):
            kinds[place] = before
    for first, last in _spans(kinds, ("ET",)):  # W5
        if "EN" in (kinds[first - 1] if first else "", kinds[last] if last < len(kinds) else ""):
            kinds[first:last] = ["EN"] * (last - first)
    kinds[:] = ["ON" if kind in ("ES", "ET", "CS") else kind for kind in kinds]  # W6
    strong = own
    for place, kind in enumerate(kinds):  # W7
        if kind in ("L", "R"):
            strong = kind
        elif kind == "EN" and strong == "L":
            kinds[place] = "L"


def _brackets(kinds: list[str], given: Sequence[str], letters: Sequence[str], own: str) -> None:
    """Turn brackets as what stands in them (N0), or else as what stands before them."""
    for first, last in _bracketed(kinds, letters):
        inside = {_direction(kind) for kind in kinds[first + 1 : last]}
        other = "L" if own == "R" else "R"
        if own in inside:
            chosen = own
        elif other in inside:
            before = next((side for kind in reversed(kinds[:first]) if (side := _direction(kind))), own)
            chosen = other if before == other else own
        else:
            continue
        for place in (first, last):
            kinds[place] = chosen
            for mark in range(place + 1, len(kinds)):
                if given[mark] != "NSM":
                    break
                kinds[mark] = chosen


def _bracketed(kinds: Sequence[str], letters: Sequence[str]) -> list[tuple[int, int]]:
    """Return the pairs of brackets by where they begin (BD16)."""
    found: list[tuple[int, int]] = []
    open_: list[tuple[str, int]] = []
    for place, (kind, letter) in enumerate(zip(kinds, letters, strict=True)):
        if kind != "ON":
            continue
        if letter in _BRACKETS:
            if len(open_) == _BRACKETS_MAX:
                return []
            open_.append((_BRACKETS[letter], place))
        at = next((n for n in range(len(open_) - 1, -1, -1) if open_[n][0] == letter), None)
        if at is not None:
            found.append((open_[at][1], place))
            del open_[at:]
    return sorted(found)


def _neutral(kinds: list[str], own: str) -> None:
    for first, last in _spans(kinds, _NEUTRAL):  # N1, N2
        before = _direction(kinds[first - 1]) if first else own
        after = _direction(kinds[last]) if last < len(kinds) else own
        kinds[first:last] = [before if before == after else own] * (last - first)


def _direction(kind: str) -> str:
    """Return L or R for what counts as such beside neutrals; "" for a neutral one."""
    return {"L": "L", "R": "R", "EN": "R", "AN": "R"}.get(kind, "")


def _spans(kinds: Sequence[str], wanted: Sequence[str]) -> Iterator[tuple[int, int]]:
    first = None
    for place, kind in enumerate([*kinds, ""]):
        if kind in wanted and first is None:
            first = place
        elif kind not in wanted and first is not None:
            yield first, place
            first = None


def _raised(kind: str, level: int) -> int:
    """Return how much deeper a character lies than its sequence (I1, I2)."""
    if level % 2:
        return int(kind != "R")
    return {"L": 0, "R": 1}.get(kind, 2)
