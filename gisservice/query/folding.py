"""Texts without regard to case and accents, and what LIKE matches, as CQL2 has it (OGC 21-065r2, 7.3 and 7.4)."""

from __future__ import annotations

import re
import unicodedata

Folds = frozenset[str]
"""``casei`` and ``accenti``, either or both: which stands inside the other makes no difference."""

NO_FOLDS: Folds = frozenset()

_VOICING = frozenset("\u3099\u309a")
"""Japanese voicing marks make other syllables; CQL2 recommends to keep them."""


def folded(text: str, folds: Folds) -> str:
    """Return a text normalized (NFC) and folded.

    ``casei`` is Unicode's full case folding; ``accenti`` takes the nonspacing marks off what is decomposed (OGC
    21-065r2, 7.3 and 7.4).

    >>> folded("Weiße Élan", frozenset({"accenti", "casei"}))
    'weisse elan'
    """
    if "accenti" in folds:
        text = _unaccented(text)
    if "casei" in folds:
        text = unicodedata.normalize("NFC", text).casefold()
        text = _unaccented(text) if "accenti" in folds else text  # folding the case of a letter may set marks free
    return unicodedata.normalize("NFC", text)


def pattern_regex(pattern: str, folds: Folds) -> str:
    r"""Return a LIKE pattern as a regular expression of RE2, which needs time linear in the text whatever it is.

    ``%`` is any run of characters, ``_`` any one, and a backslash takes the next character as it is.

    >>> pattern_regex(r"50\%_a%", frozenset())
    '\\A(?s:50\\%.a.*)\\z'
    """
    pieces, plain, at = [], "", 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character in "%_":
            pieces += [_literal(folded(plain, folds)), ".*" if character == "%" else "."]
            plain = ""
        elif character == "\\":
            plain += pattern[at]
            at += 1
        else:
            plain += character
    pieces.append(_literal(folded(plain, folds)))
    return rf"\A(?s:{re.sub(r'(?:[.][*])+', '.*', ''.join(pieces))})\z"


def _literal(text: str) -> str:
    return re.sub(r"[^\w\s]", lambda match: _escaped(match[0]), text, flags=re.ASCII)


def _escaped(character: str) -> str:
    if character == "\0":
        return r"\x00"
    return f"\\{character}" if character.isascii() else character


def _unaccented(text: str) -> str:
    if text.isascii():
        return text
    decomposed = unicodedata.normalize("NFD", text)
    return "".join(c for c in decomposed if unicodedata.category(c) != "Mn" or c in _VOICING)
