"""Every text in every language, chosen as the reader asks; what is said, is said in the page's own way of writing."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from datetime import date
from gettext import NullTranslations
from html import unescape
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from interface_texts import TEMPLATES, all_texts
from page_factories import make_home, make_layer_page, make_map, make_site, make_view

from gisservice.errors import SettingsError
from gisservice.maps.contexts import PlainContext, ReportContext, Sentence
from gisservice.maps.languages import ENGLISH, LANGUAGES, chosen, read_catalogue
from gisservice.maps.pages import environment, render_accessibility, render_home, render_map, render_report
from gisservice.maps.reporttext import sentence
from gisservice.maps.wording import units
from gisservice.model import City, Column, ColumnType, ReportKind, ReportLine

OTHERS = [language for language in LANGUAGES.values() if language is not ENGLISH]
PLACES = re.compile(r"%\(\w+\)s|\{\w+\}")
ENGLISH_ONLY = {"layer.html", "exploring.html"}
"""Templates that are read by developers in part (marked as English there), or in notebooks."""

CODE = {"GeoJSON", "CSV", "RSS", "DCAT-US 3.0", "DCAT-US 1.1", "gisservice ingest FILE --id NAME"}


@pytest.fixture(params=OTHERS, ids=lambda language: language.code)
def language(request):
    return request.param


def translated(language, text: str, plural: str | None) -> list[str]:
    catalogue = language.texts._catalog
    if plural is None:
        return [catalogue.get(text, "")]
    return [value for key, value in catalogue.items() if isinstance(key, tuple) and key[0] == text]


def test_every_text_is_translated_and_none_is_stale(language) -> None:
    texts = all_texts()
    assert len(texts) > 150
    assert [text for text, plural in texts if not all(translated(language, text, plural) or [""])] == []
    known = {text for text, _ in texts}
    keys = {key[0] if isinstance(key, tuple) else key for key in language.texts._catalog}
    assert keys - known == {""}


def test_translations_have_the_places_of_their_source(language) -> None:
    for text, plural in all_texts():
        for words in translated(language, text, plural):
            if plural is None:
                assert sorted(PLACES.findall(words)) == sorted(PLACES.findall(text)), text
            else:
                assert set(PLACES.findall(words)) <= set(PLACES.findall(plural))


def layer_texts(layer: dict) -> list[str]:
    """What a layer's public columns mean, their units and codes, and the words of its legend."""
    columns = [one for one in layer.get("columns", {}).values() if one.get("visibility", "public") == "public"]
    texts = [one[key] for one in columns for key in ("meaning", "unit") if key in one]
    texts += [meaning for one in columns for meaning in one.get("codes", {}).values()]
    return texts + labels(layer.get("style", {})) + labels(layer.get("raster", {})) + [layer["attribution"]]


def labels(style: dict) -> list[str]:
    """The labels of classes, but those that are names, as values of the data are."""
    return [one["label"] for one in style.get("classes", ()) if one.get("label", one.get("value")) != one.get("value")]


def test_the_city_texts_of_the_sample_are_translated(language, root: Path) -> None:
    registry = tomllib.loads((root / "data/layers.toml").read_text())
    maps = tomllib.loads((root / "data/maps.toml").read_text())["maps"]
    wanted = [line[key] for line in registry["report"] for key in ("title", "sentence", "absent") if key in line]
    wanted += [one[key] for one in maps.values() for key in ("title", "description")]
    wanted += [layer[key] for layer in registry["layers"].values() for key in ("title", "description", "cadence")]
    wanted += [holiday["name"] for holiday in registry["holidays"]]
    wanted += [registry["city"]["name"], registry["city"]["notice"]]
    wanted += [text for layer in registry["layers"].values() for text in layer_texts(layer)]
    wanted += [text for one in maps.values() for style in one.get("styles", {}).values() for text in labels(style)]
    if language.code == "es":  # in the others a unit is the same for several
        columns = [one for layer in registry["layers"].values() for one in layer.get("columns", {}).values()]
        wanted += [units(one["unit"]) for one in columns if "unit" in one]
    found = read_catalogue(root / "data/locale" / f"{language.code}.po")._catalog
    assert [text for text in wanted if not found.get(text)] == []
    for text in wanted:
        assert sorted(PLACES.findall(found[text])) == sorted(PLACES.findall(text)), text


@pytest.mark.parametrize("file", [file for file in TEMPLATES if file.name not in ENGLISH_ONLY], ids=lambda f: f.name)
def test_no_template_says_anything_by_itself(file: Path) -> None:
    text = re.sub(
        r"\{#.*?#\}|\{\{.*?\}\}|\{%.*?%\}", "\0", re.sub(r"block kind %\}[^{]*", "", file.read_text()), flags=re.DOTALL
    )
    text = re.sub(r'<body class="[^"]*"', "", text)
    text = re.sub(r"<script.*?</script>|import \{ drawLayers.*", "", text, flags=re.DOTALL)
    spoken = re.findall(r"(?:aria-label|title|alt|placeholder|value|data-label)=\"([^\"\0]+)\"", text)
    spoken += re.sub(r"<[^>]*>", "\0", text).split("\0")
    said = [part.strip(" \n·.,:;–()×/?&=-") for part in spoken]
    said = [part for part in said if re.search(r"[A-Za-z]{2}", part) and part not in CODE]
    said = [part for part in said if not re.fullmatch(r"[a-z/.=&;?\d]+", part)]  # the rest of an address
    assert said == []


@pytest.mark.parametrize("page", ["home", "map", "report", "question", "accessibility"])
def test_pages_say_their_language_and_direction(language, page: str) -> None:
    site = make_site(language=language, named=True, place="/address?q=1")
    report = ReportContext(site, label="1 King St", position=(-77.0, 38.8), question="?q=1", layers=(make_view(),))
    html = {
        "home": lambda: render_home(make_home(site)),
        "map": lambda: render_map(make_map(site)),
        "report": lambda: render_report(report),
        "question": lambda: render_report(ReportContext(site)),
        "accessibility": lambda: render_accessibility(PlainContext(site)),
    }[page]()
    assert f'<html lang="{language.code}" dir="{language.direction}">' in html
    for code in LANGUAGES:
        assert f'hreflang="{code}" href="http://127.0.0.1:8000/address?q=1&amp;lang={code}"' in html
    assert 'hreflang="x-default" href="http://127.0.0.1:8000/address?q=1"' in html
    assert f'href="/accessibility?lang={language.code}"' in html


def test_a_text_of_the_city_without_translation_is_marked_as_english(language) -> None:
    assert '<span lang="en" dir="ltr">Parcels</span>' in render_home(make_home(make_site(language=language)))
    assert '<span lang="en"' not in render_home(make_home())


def test_the_layer_page_is_rendered_in_every_language(language) -> None:
    from gisservice.maps.pages import render_layer

    assert f'<html lang="{language.code}"' in render_layer(make_layer_page(make_site(language=language)))


@pytest.mark.parametrize(
    ("code", "header", "expected"),
    [
        ("", "", "en"),
        ("es", "ar", "es"),
        ("xx", "ar", "ar"),
        ("", "es-MX,es;q=0.9,en;q=0.8", "es"),
        ("", "fr,am;q=0.5,en;q=0.4", "am"),
        ("", "ar;q=0", "en"),
        ("", "en;q=0.1, AM-et ; q=0.9", "am"),
        ("", "*", "en"),
        ("", "es;q=2,ar;level=1", "en"),
        ("<script>", "é,;;,=", "en"),
    ],
)
def test_the_language_is_the_named_one_else_the_liked_one(code: str, header: str, expected: str) -> None:
    assert chosen(code, header).code == expected


@given(st.text(), st.text())
def test_any_wish_leads_to_a_language(code: str, header: str) -> None:
    assert chosen(code, header) in LANGUAGES.values()


@pytest.mark.parametrize(("count", "many"), [(1, "registro"), (2, "registros"), (1234, "1,234 registros")])
def test_things_are_counted_as_the_language_does(count: int, many: str) -> None:
    assert LANGUAGES["es"].counted("%(count)s record", "%(count)s records", count).endswith(many)


def test_arabic_has_its_dual_and_western_digits() -> None:
    arabic = LANGUAGES["ar"]
    assert arabic.counted("%(count)s record", "%(count)s records", 2) == "سجلان"
    assert (arabic.number(1234567), arabic.number(1234.5)) == ("1,234,567", "1,234.5")
    assert arabic.weekday(date(2026, 12, 2)) == "الأربعاء، 2 ديسمبر 2026"


def test_what_the_caller_sent_is_no_format() -> None:
    assert LANGUAGES["es"].text("100 %(x") == "100 %(x"
    assert LANGUAGES["es"].text("") == ""


def test_a_catalogue_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "es.po"
    broken.write_bytes(b'msgid "\xff"\nmsgstr ""')
    with pytest.raises(SettingsError, match=r"es\.po cannot be read"):
        read_catalogue(broken)
    assert read_catalogue(tmp_path / "none.po").gettext("a") == "a"


def test_sentences_in_another_language_are_marked() -> None:
    sentence = Sentence("zoning", "Zoning", "applies", "The zone is <R-8>.", "en")
    site = make_site(language=LANGUAGES["ar"])
    html = render_report(ReportContext(site, position=(0.0, 0.0), sentences=(sentence,)))
    assert '<p class="says" lang="en" dir="ltr">The zone is &lt;R-8&gt;.</p>' in html


def test_only_days_are_written_as_days() -> None:
    columns = tuple(Column(kind.value, kind) for kind in (ColumnType.STRING, ColumnType.DATE, ColumnType.DATETIME))
    line = ReportLine("plan", "Plan", "plans", ReportKind.WITHIN, ("string",), "{string}; {date}; {datetime}")
    values = {"string": "10001023", "date": "2026-11-03", "datetime": "2026-11-03T09:05:00+00:00"}
    row = {"line": "plan", "title": "Plan", "status": "applies", "sentence": "", "item": "", "values": values}
    row |= {"distance_m": None, "minutes": None, "dates": None}
    texts = GNUTexts({line.sentence: line.sentence + "."})
    site = make_site(language=LANGUAGES["es"], translations=texts)
    told = sentence(site, row, line, make_view(columns=columns))
    assert told.text == "10001023; 3 de noviembre de 2026; 3 de noviembre de 2026, 09:05 UTC."


class GNUTexts(NullTranslations):
    """A catalogue of some texts."""

    def __init__(self, texts: dict[str, str]) -> None:
        super().__init__()
        self.texts = texts

    def gettext(self, message: str) -> str:
        return self.texts.get(message, message)


def test_environments_are_made_once_a_language() -> None:
    assert environment(ENGLISH) is environment(ENGLISH)


@pytest.mark.parametrize(
    ("contact", "expected"),
    [
        ("gis@example.org", "mailto:gis@example.org"),
        ("a&b?c@example.org", "mailto:a%26b%3Fc@example.org"),
        ("https://example.org/gis", "https://example.org/gis"),
        ("javascript:alert(1)", ""),
        ('https://x" onclick="y', ""),
        ("City Hall, room 5", ""),
    ],
)
def test_the_contact_is_a_link_only_where_it_is_an_address(contact: str, expected: str) -> None:
    site = replace(make_site(), city=City("Town", contact=contact))
    assert site.contact_url == expected
    assert contact in unescape(render_accessibility(PlainContext(site)))
