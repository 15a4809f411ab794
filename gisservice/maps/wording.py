"""Numbers, days and sizes as people read them, in American English."""

from __future__ import annotations

import re
from datetime import date


def number(value: float) -> str:
    """Write a number with thousands separated.

    >>> number(47174), number(0.25)
    ('47,174', '0.25')
    """
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def units(unit: str) -> str:
    """Write a unit as it stands for several; one that is not known stays as it is.

    >>> units("square foot (US survey)"), units("mile per hour"), units("percent")
    ('square feet (US survey)', 'miles per hour', 'percent')
    """
    return _UNITS.sub(lambda found: _SEVERAL.get(found[0], f"{found[0]}s"), unit, count=1)


_SEVERAL = {"foot": "feet", "inch": "inches", "person": "people"}
_UNITS = re.compile(r"\b(foot|inch|person|metre|minute|degree|acre|mile|dollar|year|unit)\b")


def day(moment: date) -> str:
    """Write the day of a moment.

    >>> day(date(2026, 11, 3))
    'November 3, 2026'
    """
    return f"{moment:%B} {moment.day}, {moment.year}"


def size(count: int) -> str:
    """Write a number of bytes in the unit that fits (powers of 1,000).

    >>> size(870), size(5_916_349)
    ('870 bytes', '5.9 MB')
    """
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} bytes"
