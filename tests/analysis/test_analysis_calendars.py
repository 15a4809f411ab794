"""Collection days and their calendar files, read by an independent parser."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import icalendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gisservice.analysis.calendars import Event, collecting, holiday_date, to_ics, weekday_number
from gisservice.model import Holiday, HolidayShift

NEW_YEAR = Holiday("New Year's Day", 1, day=1)
CHRISTMAS = Holiday("Christmas Day", 12, day=25)
THANKSGIVING = Holiday("Thanksgiving Day", 11, weekday=3, nth=4)
MEMORIAL = Holiday("Memorial Day", 5, weekday=0, nth=-1)
STAMP = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def days(weekday: int, holidays: list[Holiday], shift: HolidayShift, start: date, count: int = 3) -> list[str]:
    return [one.day.isoformat() for one in collecting(weekday, holidays, shift, start=start, count=count)]


def test_holidays_are_the_published_ones() -> None:
    assert [holiday_date(THANKSGIVING, year).day for year in (2024, 2025, 2026, 2027)] == [28, 27, 26, 25]
    assert [holiday_date(MEMORIAL, year).day for year in (2024, 2025, 2026, 2027)] == [27, 26, 25, 31]


def test_a_holiday_moves_its_day_and_the_rest_of_its_week() -> None:
    start = date(2026, 11, 23)
    week = [days(weekday, [THANKSGIVING], HolidayShift.REST_OF_WEEK, start, 1)[0][-2:] for weekday in range(5)]
    assert week == ["23", "24", "25", "27", "28"]
    week = [days(weekday, [THANKSGIVING], HolidayShift.THAT_DAY, start, 1)[0][-2:] for weekday in range(5)]
    assert week == ["23", "24", "25", "27", "27"]
    assert days(4, [THANKSGIVING], HolidayShift.NONE, start, 1) == ["2026-11-27"]


def test_a_day_that_was_moved_past_today_is_still_to_come() -> None:
    moved = collecting(4, [THANKSGIVING], HolidayShift.REST_OF_WEEK, start=date(2026, 11, 28), count=1)[0]
    assert (moved.day, moved.regular, moved.holiday) == (date(2026, 11, 28), date(2026, 11, 27), "Thanksgiving Day")


def test_weeks_across_the_year_and_holidays_on_a_weekend() -> None:
    assert days(4, [NEW_YEAR], HolidayShift.REST_OF_WEEK, date(2025, 12, 29), 1) == ["2026-01-03"]
    assert days(0, [CHRISTMAS], HolidayShift.REST_OF_WEEK, date(2027, 12, 20), 2) == ["2027-12-20", "2027-12-27"]
    both = [Holiday("A", 6, day=1), Holiday("B", 6, day=2)]
    found = collecting(2, both, HolidayShift.REST_OF_WEEK, start=date(2026, 6, 1), count=1)[0]
    assert (found.day, found.holiday) == (date(2026, 6, 5), "A and B")


def test_days_of_the_week_are_read_from_words() -> None:
    assert [weekday_number(text) for text in ("MONDAY", " friday ", "Sun", "", None, "daily")] == [
        0,
        4,
        6,
        None,
        None,
        None,
    ]


def test_the_file_says_what_was_put_in_and_repeats() -> None:
    events = [Event("r/1", date(2026, 12, 31), "Refuse; paper, glass", "Back\\slash\nnew line, № 5 " + "é" * 90)]
    content = to_ics(events, name="Days, of 1 King St", domain="town.invalid", stamp=STAMP)
    assert content == to_ics(events, name="Days, of 1 King St", domain="town.invalid", stamp=STAMP)
    lines = content.split(b"\r\n")
    assert b"\n" not in b"".join(lines) and max(map(len, lines)) <= 75 and lines[-1] == b""
    found = icalendar.Calendar.from_ical(content)
    assert found["VERSION"] == "2.0" and str(found["NAME"]).replace("\\,", ",") == "Days, of 1 King St"
    (event,) = found.walk("VEVENT")
    assert event["SUMMARY"] == "Refuse; paper, glass" and event["DESCRIPTION"] == events[0].description
    assert event.decoded("DTSTART") == date(2026, 12, 31) and event.decoded("DTEND") == date(2027, 1, 1)
    assert event.decoded("DTSTAMP") == STAMP and event["UID"].endswith("@town.invalid")


def test_events_keep_their_uid_when_their_day_moves() -> None:
    def uid(event: Event) -> str:
        return str(
            icalendar.Calendar.from_ical(to_ics([event], name="n", domain="d", stamp=STAMP)).walk("VEVENT")[0]["UID"]
        )

    assert uid(Event("r/1", date(2026, 1, 1), "a")) == uid(Event("r/1", date(2026, 1, 2), "b"))
    assert uid(Event("r/1", date(2026, 1, 1), "a")) != uid(Event("r/2", date(2026, 1, 1), "a"))


@given(st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), max_size=300))
def test_any_text_comes_back(text: str) -> None:
    content = to_ics([Event("k", date(2026, 1, 1), "s", text)], name="n", domain="d", stamp=STAMP)
    assert all(len(line) <= 75 for line in content.split(b"\r\n"))
    (event,) = icalendar.Calendar.from_ical(content).walk("VEVENT")
    assert str(event.get("DESCRIPTION", "")) == text


@pytest.mark.parametrize("shift", list(HolidayShift))
def test_no_week_is_left_out(shift: HolidayShift) -> None:
    holidays = [NEW_YEAR, CHRISTMAS, THANKSGIVING, MEMORIAL]
    found = collecting(3, holidays, shift, start=date(2026, 1, 1), count=150)
    regular = [one.regular for one in found]
    assert {after - before for before, after in pairwise(regular)} == {timedelta(days=7)}
    assert all(timedelta(0) <= one.day - one.regular <= timedelta(days=2) for one in found)
