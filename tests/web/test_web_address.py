"""The report of an address over HTTP: sentences, calendar, suggestions, languages, and what is no address."""

from __future__ import annotations

import html
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from address_city import build_address_city
from flask.testing import FlaskClient
from hostile_texts import HOSTILE_TEXTS
from web_city import write_static

from gisservice.web import create_app

HTML = {"Accept": "text/html"}


@pytest.fixture(scope="session")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    folder = tmp_path_factory.mktemp("addresses")
    return create_app(build_address_city(folder, write_static(folder))).test_client()


def page(visitor: FlaskClient, path: str, **headers: str) -> str:
    answer = visitor.get(path, headers={**HTML, **headers})
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return answer.get_data(as_text=True)


def words(text: str) -> str:
    text = re.sub(r"<script.*?</script>|<[^>]+>", " ", text, flags=re.DOTALL)
    return " ".join(html.unescape(text).split())


def test_the_report_says_rule_and_source_behind_each_sentence(visitor: FlaskClient) -> None:
    text = page(visitor, "/address?q=10+Main+St")
    said = words(text)
    assert "<h1>" in text and "10 Main St" in said
    assert "The zone is R-8." in said and "Refuse is collected on Mondays" in said
    assert "Rule: what applies in the area that the place lies in" in said
    assert 'href="/layers/zones"' in text and "Version:" in said
    assert re.search(r"<time datetime=\"20\d\d-\d\d-\d\d\">Monday, ", text)
    assert 'href="/address.ics?q=10+Main+St" download' in text
    assert "mailto:gis@example.org?subject=Error%20in%20the%20report" in text


def test_no_data_no_answer_and_no_city_are_told_apart(visitor: FlaskClient) -> None:
    assert words(page(visitor, "/address?lon=-77.0&lat=38.8")).count("Outside the city") >= 2
    said = words(page(visitor, "/address?q=20+Main+St"))
    assert "No data" in said and "Does not apply" in said and "Outside the city" not in said


def test_a_typing_mistake_is_forgiven_and_shown(visitor: FlaskClient) -> None:
    said = words(page(visitor, "/address?q=10+Mian+St"))
    assert "This is the report for 10 Main St, the address closest to what was typed." in said
    assert "Este es el informe de 10 Main St" in words(page(visitor, "/address?q=10+Mian+St&lang=es"))


def test_what_is_not_surely_meant_leads_on(visitor: FlaskClient) -> None:
    text = page(visitor, "/address?q=10+Nowhere+Blvd")
    assert 'role="alert"' in text and 'value="10 Nowhere Blvd"' in text
    assert 'href="/address?q=Main%20St"' in page(visitor, "/address?q=Main+Street")


HOSTILE = (*HOSTILE_TEXTS, "x" * 190, "🗺️ شارع የመንገድ")


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("language", ["en", "ar"])
def test_what_was_typed_is_never_repeated_raw(visitor: FlaskClient, text: str, language: str) -> None:
    answer = visitor.get(f"/address?q={quote(text)}&lang={language}", headers=HTML)
    shown = answer.get_data(as_text=True)
    assert answer.status_code in (200, 400) and 'id="address"' in shown
    if not re.fullmatch(r"\w+", text):
        assert text not in shown and html.escape(text) not in shown


@pytest.mark.parametrize(
    "query", ["q=" + "x" * 10_000, "q=%ff", "lon=abc&lat=1", "lon=1", "lon=999&lat=1", "q=" + "x" * 300]
)
def test_what_is_no_question_gets_a_helpful_page(visitor: FlaskClient, query: str) -> None:
    answer = visitor.get(f"/address?{query}&lang=es" if len(query) < 9_000 else f"/address?{query}", headers=HTML)
    assert answer.status_code == 400 and 'id="address"' in answer.get_data(as_text=True)


def test_the_calendar_is_a_file_of_the_same_days(visitor: FlaskClient) -> None:
    answer = visitor.get("/address.ics?q=10+Main+St")
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
    lines = answer.get_data(as_text=True).split("\r\n")
    assert lines[0] == "BEGIN:VCALENDAR" and lines.count("BEGIN:VEVENT") == 26
    spanish = visitor.get("/address.ics?q=10+Main+St&lang=es")
    assert spanish.headers["Content-Language"] == "es"
    assert "NAME:Días de recogida\\, 10 Main St" in spanish.get_data(as_text=True)
    assert visitor.get("/address.ics").status_code == 400
    assert visitor.get("/address.ics?q=10+Nowhere+Blvd").status_code == 404


def test_suggestions_are_a_list_of_texts(visitor: FlaskClient) -> None:
    answer = visitor.get("/api/geocode/suggest?q=10+ma")
    assert answer.get_json()["suggestions"][0] == {"text": "10 Main St", "kind": "address"}
    assert visitor.get("/api/geocode/suggest?q=10&limit=0").status_code == 400
    assert visitor.get("/api/geocode/suggest?x=1").status_code == 400


def test_the_language_is_that_of_the_address_then_that_of_the_browser(visitor: FlaskClient) -> None:
    assert '<html lang="es" dir="ltr">' in page(visitor, "/?lang=es", **{"Accept-Language": "ar"})
    arabic = visitor.get("/", headers={**HTML, "Accept-Language": "ar-SD,ar;q=0.9"})
    assert '<html lang="ar" dir="rtl">' in arabic.get_data(as_text=True)
    assert arabic.headers["Content-Language"] == "ar" and "Accept-Language" in arabic.headers["Vary"]
    assert '<html lang="en" dir="ltr">' in page(visitor, "/?lang=%3Cscript%3E&utm_source=x")
    missing = visitor.get("/nothing?lang=es", headers=HTML)
    assert missing.status_code == 404 and "No se encontró" in missing.get_data(as_text=True)


def test_a_sentence_is_said_in_the_language_where_the_city_says_it(visitor: FlaskClient) -> None:
    said = words(page(visitor, "/address?q=10+Main+St&lang=es"))
    assert "La zona es R-8." in said and "La basura se recoge cada lunes" in said
    assert "Sin datos" in words(page(visitor, "/address?q=20+Main+St&lang=es"))


def test_without_addresses_the_page_says_so(city) -> None:
    empty = create_app(city.settings).test_client()
    assert "No addresses are published yet" in page(empty, "/address?q=1+Main+St")


def test_every_page_offers_the_report_and_the_statement(visitor: FlaskClient, root: Path) -> None:
    for path in ("/", "/address", "/accessibility", "/maps/city"):
        text = page(visitor, path)
        assert 'href="/address"' in text and 'href="/accessibility"' in text
        assert len(text) < 100_000
