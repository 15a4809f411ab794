"""The words of street names and addresses in the United States: how they are abbreviated and spelled out.

Types and their usual abbreviations follow Publication 28 of the US Postal Service (appendix C1); the two-letter forms
are those that city address files have. All texts in here are cleaned: capitals, no accents, no apostrophes or dots.
"""

from __future__ import annotations

import re
import unicodedata

_TYPES = (
    "ALY ALLEY AL", "AVE AVENUE AV AVEN AVN", "BLVD BOULEVARD BV BL BOUL", "BR BRIDGE", "CIR CIRCLE CR CIRC CI",
    "CLOSE CLOSE", "CRES CRESCENT", "CT COURT", "CTR CENTER CENTRE", "CV COVE", "DR DRIVE DRV", "EXPY EXPRESSWAY",
    "FWY FREEWAY", "GDNS GARDENS", "GRN GREEN", "HWY HIGHWAY HY", "LN LANE LA", "LNDG LANDING", "LOOP LOOP LP",
    "MEWS MEWS MW", "PARK PARK PK", "PATH PATH", "PKWY PARKWAY PY PKY", "PL PLACE", "PLZ PLAZA PZ",
    "PSGE PASSAGE PG", "QUAY QUAY QY", "RD ROAD", "ROW ROW", "RUN RUN", "SQ SQUARE", "ST STREET STR",
    "TER TERRACE TR TERR", "TPKE TURNPIKE", "TRL TRAIL", "VW VIEW", "WALK WALK WK", "WAY WAY WY",
)  # fmt: skip

TYPE_OF = {word: words.split()[0] for words in _TYPES for word in words.split()}
"""Every way of writing a street type, and the one that stands for all."""

TYPE_IN_FULL = {words.split()[0]: words.split()[1] for words in _TYPES}

DIRECTION_IN_FULL = {
    "N": "NORTH", "S": "SOUTH", "E": "EAST", "W": "WEST",
    "NE": "NORTHEAST", "NW": "NORTHWEST", "SE": "SOUTHEAST", "SW": "SOUTHWEST",
}  # fmt: skip
DIRECTION_OF = {word: short for short, full in DIRECTION_IN_FULL.items() for word in (short, full)}

_FIRST = "FIRST SECOND THIRD FOURTH FIFTH SIXTH SEVENTH EIGHTH NINTH TENTH ELEVENTH TWELFTH THIRTEENTH FOURTEENTH"
_FIRST += " FIFTEENTH SIXTEENTH SEVENTEENTH EIGHTEENTH NINETEENTH"
_TENS = {"TWENTY": 20, "THIRTY": 30, "FORTY": 40, "FIFTY": 50, "SIXTY": 60, "SEVENTY": 70, "EIGHTY": 80, "NINETY": 90}
_WORDS = {"MT": "MOUNT", "FT": "FORT", "CAPT": "CAPTAIN", "GEN": "GENERAL", "HTS": "HEIGHTS", "SPRGS": "SPRINGS"}
_LEADING = {"ST": "SAINT", "DR": "DOCTOR"}
_UNIT_WORDS = "APARTMENT|APT|UNIT|SUITE|STE|ROOM|RM|NO"
_APOSTROPHES = re.compile("['’‘`´.]")
_OTHERS = re.compile("[^A-Z0-9/#&@,-]+")
_UNIT = re.compile(rf"[ ,]+(?:(?:{_UNIT_WORDS})\b[ ,]*#? ?|# ?)([A-Z0-9][A-Z0-9-]*)(?=[ ,]|$)")


def _ordinal(number: int) -> str:
    ending = "TH" if 10 < number % 100 < 20 else {1: "ST", 2: "ND", 3: "RD"}.get(number % 10, "TH")
    return f"{number}{ending}"


_ORDINALS = {word: _ordinal(number) for number, word in enumerate(_FIRST.split(), start=1)}
_ORDINALS |= {f"{word[:-1]}IETH": _ordinal(number) for word, number in _TENS.items()}
_IN_WORDS = {short: word for word, short in _ORDINALS.items()}
_IN_WORDS |= {
    _ordinal(tens + ones): f"{word} {_FIRST.split()[ones - 1]}" for word, tens in _TENS.items() for ones in range(1, 10)
}


def clean(text: str) -> str:
    """Return a text in capitals, without accents, apostrophes and dots; other marks but ``/ # & @ , -`` are blanks.

    >>> clean("12½ King’s  Ct.")
    '12 1/2 KINGS CT'
    """
    plain = text if text.isascii() else unicodedata.normalize("NFKD", _halves(text)).encode("ascii", "ignore").decode()
    return _OTHERS.sub(" ", _APOSTROPHES.sub("", plain).upper()).strip()


def _halves(text: str) -> str:
    for mark, written in (("½", " 1/2"), ("¼", " 1/4"), ("¾", " 3/4"), ("’", ""), ("‘", "")):
        text = text.replace(mark, written)
    return text


def split_unit(cleaned: str) -> tuple[str, str]:
    """Return a cleaned address without its unit, and the unit.

    >>> split_unit("255 WARREN PL, APT 101, 22304")
    ('255 WARREN PL, 22304', '101')
    """
    found = _UNIT.search(cleaned)
    return (cleaned[: found.start()] + cleaned[found.end() :], found[1]) if found else (cleaned, "")


def canonical(words: list[str]) -> list[str]:
    """Return the words of a street in one way of writing: direction, name, type.

    >>> canonical("NORTH SAINT ASAPH STREET".split()), canonical("ST ASAPH ST N".split())
    (['N', 'SAINT', 'ASAPH', 'ST'], ['N', 'SAINT', 'ASAPH', 'ST'])
    >>> canonical("TWENTY EIGHTH STREET".split()), canonical(["WEST", "ST"])
    (['28TH', 'ST'], ['WEST', 'ST'])
    """
    direction, name, kind = parts(words)
    return [*([direction] if direction else []), *name, *([kind] if kind else [])]


def parts(words: list[str]) -> tuple[str, list[str], str]:
    """Return the direction, the words of the name and the type of a street; what is not there is empty."""
    rest, direction, kind = list(words), "", ""
    if len(rest) > 2 and rest[-1] in DIRECTION_OF and rest[-2] in TYPE_OF:
        direction = DIRECTION_OF[rest.pop()]
    if len(rest) > 1 and rest[-1] in TYPE_OF:
        kind = TYPE_OF[rest.pop()]
    if len(rest) > 1 and rest[0] in DIRECTION_OF and not direction:
        direction = DIRECTION_OF[rest.pop(0)]
    return direction, name_words(rest), kind


def name_words(words: list[str]) -> list[str]:
    """Return the words of a name, ordinals as digits and the usual abbreviations spelled out."""
    found: list[str] = []
    for place, word in enumerate(words):
        if found and found[-1] in _TENS and word in _ORDINALS:
            number = _TENS[found.pop()] + int(_ORDINALS[word][:-2])
            found.append(_ordinal(number))
        elif place == 0 and len(words) > 1 and word in _LEADING:
            found.append(_LEADING[word])
        else:
            last = place == len(words) - 1
            found.append(_ORDINALS.get(word, word if last else _WORDS.get(word, word)))
    return found


def spelled(words: list[str]) -> list[str]:
    """Return a name with its ordinals in words: what a mistyped one is compared with."""
    return [_IN_WORDS.get(word, word) for word in words]
