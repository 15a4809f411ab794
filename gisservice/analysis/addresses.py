"""An address as people write it, cut into its parts."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gisservice.analysis.streetwords import DIRECTION_IN_FULL, DIRECTION_OF, TYPE_OF, canonical, clean, split_unit
from gisservice.errors import LimitExceeded

TEXT_MAX = 200
"""Characters of an address: the longest of the city has 40."""

_HEAD = re.compile(r"([0-9]+)(?:-?([A-Z]))?$")
_FRACTION = re.compile(r"[1-9]/[1-9]")
_ORDINAL = re.compile(r"[0-9]+(?:ST|ND|RD|TH)")
_GLUED = re.compile(r"([0-9]+)([A-Z]{2,}.*)")
_ZIP = re.compile(r"[, ]+([0-9]{5})(?:-[0-9]{4})?$")


@dataclass(frozen=True, slots=True)
class Asked:
    """An address as it was asked for, cut into its parts; what is not there is empty."""

    text: str
    head: str
    """House number and suffix, ``12 1/2``; as it was typed where it is no number."""
    number: int
    """-1 without one."""
    suffix: str
    words: tuple[str, ...]
    """Of the street, in canonical form."""
    unit: str
    zip: str

    @property
    def street(self) -> str:
        """The street in canonical form, mistakes and all."""
        return " ".join(self.words)


def check_text(address: str) -> None:
    """Refuse a text that is too long to be an address."""
    if len(address) > TEXT_MAX:
        raise LimitExceeded("An address", len(address), TEXT_MAX, "characters")


def parse(address: str) -> Asked:
    """Cut an address into its parts.

    >>> asked = parse("1404A North Saint Asaph Street, Apt. 3, Alexandria, VA 22314")
    >>> asked.head, asked.street, asked.unit, asked.zip
    ('1404 A', 'N SAINT ASAPH ST', '3', '22314')
    """
    text = clean(address)
    rest, zip_code = without_place(text)
    rest, unit = split_unit(rest)
    words = rest.replace(",", " ").replace("#", " ").replace("-", " ").split()
    head, number, suffix, words = split_head(words)
    return Asked(text, head, number, suffix, tuple(canonical(words)) if words else (), unit, zip_code)


def without_place(text: str) -> tuple[str, str]:
    """Return a cleaned address without state, ZIP code and what stands behind a comma before them."""
    found = _ZIP.search(text)
    zip_code, rest = (found[1], text[: found.start()]) if found and found.start() else ("", text)
    cut = re.sub(r"[, ]+(?:VA|VIRGINIA)$", "", rest)
    pieces = [piece.strip() for piece in cut.split(",") if piece.strip()]
    town = len(pieces) > 1 and not any(mark.isdigit() or mark in "#&@" for mark in pieces[-1])
    if town and not (set(pieces[-1].split()) & {"APT", "UNIT", "SUITE", "STE"}):
        return ", ".join(pieces[:-1]), zip_code
    if cut != rest or zip_code:  # "… Alexandria VA": the town's name is the last word, where a street is left
        words = cut.split()
        if len(words) > 3 and words[-2] in TYPE_OF:
            return " ".join(words[:-1]), zip_code
    return cut, zip_code


def split_head(words: list[str]) -> tuple[str, int, str, list[str]]:
    """Split the house number from the words of the street: as text, as number, its suffix, and the street's words."""
    if not words or not any(mark.isdigit() for mark in words[0]) or (_ORDINAL.fullmatch(words[0]) and len(words) < 3):
        return "", -1, "", words
    first, rest = words[0], words[1:]
    glued = _GLUED.fullmatch(first)
    if glued and not _ORDINAL.fullmatch(first):
        first, rest = glued[1], [glued[2], *rest]
    match = _HEAD.match(first)
    if not match:
        return first, -1, "", rest
    suffix = match[2] or ""
    if rest and not suffix and _is_suffix(rest):
        suffix, rest = rest[0], rest[1:]
    if len(match[1]) > 9:
        return first, -1, "", rest
    return f"{match[1]} {suffix}".strip(), int(match[1]), suffix, rest


def _is_suffix(rest: list[str]) -> bool:
    """Tell a letter or a fraction behind the number from the direction of the street."""
    if _FRACTION.fullmatch(rest[0]):
        return True
    if len(rest) < 2 or len(rest[0]) > 1 or not rest[0].isalpha():
        return False
    if rest[0] in DIRECTION_OF:  # "100 E GLEBE RD" has a direction, "100 E S GLEBE RD" a suffix and one
        return rest[1] in DIRECTION_IN_FULL and len(rest) > 3
    return rest[1] not in TYPE_OF or len(rest) > 2
