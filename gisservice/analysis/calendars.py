"""Collection days with their holidays, and calendars as files (iCalendar, RFC 5545)."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

from gisservice.model import Holiday, HolidayShift

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)
_LINE_BYTES = 75
"""Octets of a content line without its line break (RFC 5545, section 3.1)."""


@dataclass(frozen=True, slots=True)
class Collecting:
    """One day on which something is collected; ``holiday`` moved it there from its ``regular`` day."""

    day: date
    regular: date
    holiday: str | None


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a whole day. ``key`` tells it from all others of its calendar and stays with it for good."""

    key: str
    day: date
    summary: str
    description: str = ""


def weekday_number(text: str | None) -> int | None:
    """Return the number of a day of the week (Monday is 0) from its English name or three letters of it, or None.

    >>> weekday_number("MONDAY"), weekday_number("Tue"), weekday_number("none")
    (0, 1, None)
    """
    wanted = (text or "").strip().lower()
    return next((number for number, name in enumerate(DAYS) if wanted in (name.lower(), name[:3].lower())), None)


def holiday_date(holiday: Holiday, year: int) -> date:
    """Return the day of a holiday in a year.

    >>> holiday_date(Holiday("Thanksgiving Day", 11, weekday=3, nth=4), 2026)
    datetime.date(2026, 11, 26)
    >>> holiday_date(Holiday("Memorial Day", 5, weekday=0, nth=-1), 2026)
    datetime.date(2026, 5, 25)
    """
    if holiday.day is not None:
        return date(year, holiday.month, holiday.day)
    assert holiday.weekday is not None and holiday.nth is not None
    if holiday.nth < 0:
        last = date(year, holiday.month, calendar.monthrange(year, holiday.month)[1])
        return last - _DAY * ((last.weekday() - holiday.weekday) % 7)
    first = date(year, holiday.month, 1)
    return first + _DAY * ((holiday.weekday - first.weekday()) % 7 + 7 * (holiday.nth - 1))


def collecting(
    weekday: int, holidays: Sequence[Holiday], shift: HolidayShift, *, start: date, count: int
) -> list[Collecting]:
    """Return the next ``count`` collection days from ``start`` on, that day included.

    A holiday on a weekday moves its own day, and with ``REST_OF_WEEK`` the later days of its week too, to the day
    after each; two holidays in a week move the days behind both by two.

    >>> thanksgiving = Holiday("Thanksgiving Day", 11, weekday=3, nth=4)
    >>> friday = collecting(4, [thanksgiving], HolidayShift.REST_OF_WEEK, start=date(2026, 11, 23), count=2)
    >>> [(str(found.day), found.holiday) for found in friday]
    [('2026-11-28', 'Thanksgiving Day'), ('2026-12-04', None)]
    """
    found = (one for one in _each_week(weekday, holidays, shift, start - _WEEK) if one.day >= start)
    return [next(found) for _ in range(count)]


def _each_week(weekday: int, holidays: Sequence[Holiday], shift: HolidayShift, start: date) -> Iterator[Collecting]:
    monday = start - _DAY * start.weekday()
    while True:
        regular = monday + _DAY * weekday
        names = [] if shift is HolidayShift.NONE else _moving(holidays, shift, monday, regular)
        yield Collecting(regular + _DAY * len(names), regular, " and ".join(names) or None)
        monday += _WEEK


def _moving(holidays: Sequence[Holiday], shift: HolidayShift, monday: date, regular: date) -> list[str]:
    """Return the holidays of a week that move its collection day: those on working days up to it, or on it."""
    first = monday if shift is HolidayShift.REST_OF_WEEK else regular
    years = {monday.year, regular.year}
    days = {holiday_date(holiday, year): holiday.name for holiday in holidays for year in years}
    return [name for day, name in sorted(days.items()) if first <= day <= regular and day.weekday() < 5]


@dataclass(frozen=True, slots=True)
class CalendarWords:
    """How the texts of a calendar are said in a language."""

    name: Callable[..., str]
    """The name of the calendar of a ``place``."""
    title: Callable[[str], str]
    """The title of a line of the report."""
    moved: Callable[[date, str], str]
    """That an event is not on its regular day, because of a holiday."""


def to_ics(events: Iterable[Event], *, name: str, domain: str, stamp: datetime) -> bytes:
    """Return a calendar file of whole-day events (RFC 5545): CRLF, lines folded at 75 octets, texts escaped.

    ``domain`` ends every UID. ``stamp`` becomes DTSTAMP: with the time at which the data was published the same data
    gives the same bytes, and a calendar that reads the file again replaces its events instead of adding to them.
    """
    written = stamp.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", f"PRODID:-//{_text(domain)}//gisservice//EN", "CALSCALE:GREGORIAN"]
    lines += [f"NAME:{_text(name)}", f"X-WR-CALNAME:{_text(name)}"]
    for event in events:
        lines += [
            "BEGIN:VEVENT",
            f"UID:{sha256(event.key.encode()).hexdigest()[:32]}@{domain}",
            f"DTSTAMP:{written}",
            f"DTSTART;VALUE=DATE:{event.day:%Y%m%d}",
            f"DTEND;VALUE=DATE:{event.day + _DAY:%Y%m%d}",
            f"SUMMARY:{_text(event.summary)}",
            *([f"DESCRIPTION:{_text(event.description)}"] if event.description else []),
            "TRANSP:TRANSPARENT",
            "END:VEVENT",
        ]
    lines.append("END:VCALENDAR")
    return b"".join(_folded(line) for line in lines)


def _text(value: str) -> str:
    """Escape a text (RFC 5545, section 3.3.11); control characters, which it cannot hold, are left out."""
    escaped = value.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    lines = escaped.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\\n")
    return "".join(mark for mark in lines if mark >= " " and mark != "\x7f")


def _folded(line: str) -> bytes:
    """Break a line after at most 75 octets, never inside a character; what follows begins with a blank."""
    pieces, piece, size = [], "", 0
    for mark in line:
        width = len(mark.encode())
        if size + width > _LINE_BYTES:
            pieces.append(piece)
            piece, size = " ", 1
        piece += mark
        size += width
    return "\r\n".join([*pieces, piece]).encode() + b"\r\n"
