"""The report of a place in the page's language: each answer of the layers as a sentence, with its rule."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from gisservice.crs import SURVEY_FOOT_M
from gisservice.maps.contexts import LayerView, Sentence, Site
from gisservice.maps.languages import ENGLISH, Language
from gisservice.model import Column, ColumnType, HolidayShift, ReportKind, ReportLine

if TYPE_CHECKING:
    from gisservice.analysis.calendars import CalendarWords

RULES = {
    ReportKind.WITHIN: "Rule: what applies in the area that the place lies in, its border included.",
    ReportKind.NEAREST: "Rule: the nearest in a straight line.",
}
OF_SCHEDULES = {
    HolidayShift.REST_OF_WEEK: (
        "Rule: the weekday of the area that the place lies in; a holiday moves it and the later days of its week by a "
        "day."
    ),
    HolidayShift.THAT_DAY: "Rule: the weekday of the area that the place lies in; a holiday moves it by a day.",
    HolidayShift.NONE: "Rule: the weekday of the area that the place lies in, on holidays, too.",
}
ON_FOOT = "Rule: the nearest by the way on foot along streets, at 3 miles an hour."
OF_ADDRESSES = "Rule: the city's list of addresses."
OF_PLACE = {
    "Taken for ": "This is the report for %(address)s, the address closest to what was typed.",
    "The nearest address is ": "The nearest address is %(address)s.",
}
"""What the answer about the place itself begins with, and how a page says it."""
TITLE = "Address"
APPLIES, DOES_NOT_APPLY, OUTSIDE = "applies", "does not apply", "outside the city"
"""As in :mod:`gisservice.analysis.dossier`, whose libraries a server that shows no report should not load."""


def sentence(site: Site, row: Mapping[str, Any], line: ReportLine | None, view: LayerView | None) -> Sentence:
    """Return one answer of :meth:`gisservice.analysis.Dossier.report` for a page.

    ``line`` is its declaration, None for the answer that says which address it is; ``view`` the layer behind it.
    """
    text, lang = _text(site, row, line, view)
    days = tuple(
        (date.fromisoformat(one["date"]), date.fromisoformat(one["regular"]), one["holiday"] or "")
        for one in row["dates"] or ()
    )
    item = f"{view.items_url}/{row['item']}?f=html" if view is not None and row["item"] else ""
    title = row["title"] if line is not None else site.language.text(TITLE)
    return Sentence(row["line"], title, row["status"], text, lang, _rule(site.language, row, line), days, view, item)


def calendar_words(site: Site) -> CalendarWords:
    """Return how the calendar of collection days speaks the language of a site."""
    from gisservice.analysis.calendars import CalendarWords

    language = site.language
    return CalendarWords(
        lambda place: language.text("Collection days, %(place)s", place=place),
        site.said,
        lambda day, holiday: language.text(
            "Moved from %(day)s: %(holiday)s.", day=language.weekday(day), holiday=site.said(holiday)
        ),
    )


def _rule(language: Language, row: Mapping[str, Any], line: ReportLine | None) -> str:
    if row["status"] == OUTSIDE:
        return ""
    if line is None:
        return language.text(OF_ADDRESSES)
    if line.kind is ReportKind.SCHEDULE:
        return language.text(OF_SCHEDULES[line.shift])
    return language.text(ON_FOOT if row["minutes"] is not None else RULES[line.kind])


def _text(site: Site, row: Mapping[str, Any], line: ReportLine | None, view: LayerView | None) -> tuple[str, str]:
    """Return the sentence and its language: "" for the page's, "en" where the city has said it in English only."""
    language = site.language
    start = next((start for start in OF_PLACE if line is None and row["sentence"].startswith(start)), None)
    if start is not None:
        address = row["sentence"].removeprefix(start).removesuffix(".")
        return language.text(OF_PLACE[start], address=language.isolated(address)), ""
    if language is ENGLISH:
        return row["sentence"], ""
    if row["status"] == OUTSIDE:
        return language.text("The place is outside the city."), ""
    if row["status"] not in (APPLIES, DOES_NOT_APPLY):
        return language.text("The data says nothing of this place. That is a gap in the data and no answer."), ""
    if line is None:
        return row["sentence"], "en"
    wanted = line.sentence if row["status"] == APPLIES else line.absent
    told = site.said(wanted)
    if told == wanted or not wanted:
        return row["sentence"], "en"
    return (told.format_map(_words(site, row, view)) if row["status"] == APPLIES else told), ""


def _words(site: Site, row: Mapping[str, Any], view: LayerView | None) -> dict[str, str]:
    """Return what stands in the braces of a sentence."""
    language = site.language
    columns = {column.name: column for column in view.columns} if view is not None else {}
    words: dict[str, str] = {}
    for name, value in row["values"].items():
        words[name] = _word(language, value, columns.get(name))
        codes = dict(columns[name].codes) if name in columns else {}
        words[f"{name}_meaning"] = site.said(codes[str(value)]) if str(value) in codes else words[name]
    if row["distance_m"] is not None:
        metres, minutes = row["distance_m"], row["minutes"]
        words["distance_m"], words["distance_ft"] = (
            language.number(round(length)) for length in (metres, metres / SURVEY_FOOT_M)
        )
        words["way"] = language.text("in a straight line")
        if minutes is not None:
            count = max(1, round(minutes))
            words["way"] = language.counted("on foot (%(count)s minute)", "on foot (%(count)s minutes)", count)
    if row["dates"]:
        first, regular = (date.fromisoformat(row["dates"][0][key]) for key in ("date", "regular"))
        words["weekday"], words["next"] = language.day_name(regular), language.weekday(first)
    return {name: language.isolated(word) for name, word in words.items()}


def _word(language: Language, value: Any, column: Column | None) -> str:
    if value is None:
        return language.text("(not recorded)")
    if isinstance(value, bool):
        return language.text("yes" if value else "no")
    if isinstance(value, int | float):
        measured = isinstance(value, float) or (column is not None and column.unit is not None)
        return language.number(value) if measured else str(value)
    if column is not None and column.type is ColumnType.DATE:
        return language.day(date.fromisoformat(value))
    if column is not None and column.type is ColumnType.DATETIME:
        return language.moment(datetime.fromisoformat(value))
    return str(value)
