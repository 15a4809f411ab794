"""What XML files have in common: texts that are safe in them, and colours."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr

FORBIDDEN = "[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
"""Characters that no XML 1.0 document can hold (section 2.2), as a pattern for :mod:`re`."""

_FORBIDDEN = re.compile(FORBIDDEN)


def text(value: str) -> str:
    """Return a text as the content of an element; what XML cannot hold is left out."""
    return escape(_FORBIDDEN.sub("", value))


def attribute(value: str) -> str:
    """Return a text as the value of an attribute, quotes included."""
    return quoteattr(_FORBIDDEN.sub("", value))


def plain(value: str) -> str:
    """Return a text without the characters that XML cannot hold, for a writer that escapes by itself."""
    return _FORBIDDEN.sub("", value)


def channels(color: str) -> tuple[int, int, int]:
    """Return red, green and blue of ``#rrggbb``, from 0 to 255."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
