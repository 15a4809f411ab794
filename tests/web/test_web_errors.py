"""Errors on their way out: a status for every class, one body, and nothing of the inside in it."""

from __future__ import annotations

import inspect
import json
import logging

import pytest
from web_city import City
from werkzeug.test import Client

from gisservice import errors
from gisservice.catalog import features as catalog_features
from gisservice.web import asking, create_app, wsgi_app
from gisservice.web.responses import STATUSES, status_of

CLASSES = [entry for _, entry in inspect.getmembers(errors, inspect.isclass) if entry.__module__ == errors.__name__]
MEMBERS = {"type", "title", "status", "detail", "instance"}
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def test_there_are_classes_to_look_at() -> None:
    assert len(CLASSES) > 20


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_class_has_a_status_by_its_nearest_base(kind: type[Exception]) -> None:
    status = status_of(kind.__new__(kind))
    expected = 500
    if issubclass(kind, errors.RequestError):
        expected = {
            errors.NotAcceptable: 406,
            errors.ContentTooLarge: 413,
            errors.UnsupportedMediaType: 415,
            errors.RangeNotSatisfiable: 416,
        }.get(kind, 400)
    elif issubclass(kind, errors.NotFound):
        expected = 410 if kind is errors.VersionGone else 404
    elif issubclass(kind, (errors.Overloaded, errors.LayerUnavailable)):
        expected = 503
    assert status.code == expected
    assert status.title and status.sentence


def test_an_error_of_somebody_else_is_internal() -> None:
    assert status_of(ZeroDivisionError()).code == 500
    assert STATUSES[Exception].code == 500


@pytest.mark.parametrize(
    ("url", "status", "kind"),
    [
        ("/api?limit=1", 400, "urn:gisservice:problem:unknown-parameter"),
        ("/api?f=xml", 400, "urn:gisservice:problem:invalid-parameter"),
        ("/api/collections?x=1", 400, "urn:gisservice:problem:unknown-parameter"),
        ("/api/collections/lots?f=a&f=b", 400, "urn:gisservice:problem:invalid-parameter"),
        ("/api/collections/lots/items?limt=1", 400, "urn:gisservice:problem:unknown-parameter"),
        ("/api/collections/lots/items?limit=0", 400, "urn:gisservice:problem:invalid-parameter"),
        ("/api/collections/lots/items?f=%ff", 400, "urn:gisservice:problem:request-error"),
        ("/api/collections/lots/items?f=" + "x" * 9000, 400, "urn:gisservice:problem:limit-exceeded"),
        ("/healthz?x", 400, "urn:gisservice:problem:unknown-parameter"),
        ("/tiles/lots.json?x", 400, "urn:gisservice:problem:unknown-parameter"),
        ("/static/css/site.css?x=1", 400, "urn:gisservice:problem:unknown-parameter"),
        ("/api/collections/nope", 404, "urn:gisservice:problem:collection-not-found"),
        ("/api/collections/nope/items", 404, "urn:gisservice:problem:collection-not-found"),
        ("/api/collections/nope/versions", 404, "urn:gisservice:problem:collection-not-found"),
        ("/api/collections/lots/items/nope", 404, "urn:gisservice:problem:item-not-found"),
        ("/tiles/lots/v-0000000000000000/14/1/1.mvt", 404, "urn:gisservice:problem:version-not-found"),
        ("/tiles/lots/31/0/0.mvt", 404, "urn:gisservice:problem:tile-outside-matrix"),
        ("/maps/nope", 404, "urn:gisservice:problem:map-not-found"),
        ("/layers/nope", 404, "urn:gisservice:problem:collection-not-found"),
        ("/static/nope.js", 404, "urn:gisservice:problem:not-found"),
        ("/nope", 404, "about:blank"),
        ("/api/conformance/", 404, "about:blank"),
        ("/api/nope", 404, "about:blank"),
    ],
)
def test_every_error_is_a_problem_document(client: Client, url: str, status: int, kind: str) -> None:
    answer = client.get(url)
    problem = answer.get_json()
    assert answer.status_code == problem["status"] == status
    assert answer.content_type == "application/problem+json"
    assert set(problem) == MEMBERS
    assert problem["type"] == kind
    assert problem["instance"] == url.partition("?")[0]
    assert answer.headers["Cache-Control"] == "no-store"
    assert "ETag" not in answer.headers


def test_the_nearest_parameter_is_named(client: Client) -> None:
    detail = client.get("/api/collections/lots/items?limitt=1").get_json()["detail"]
    assert "'limitt'" in detail and "did you mean 'limit'?" in detail


def test_nothing_acceptable_is_406(client: Client) -> None:
    for url in ("/api", "/api/collections", "/api/collections/lots/items", "/api/openapi.json", "/tiles/lots.json"):
        answer = client.get(url, headers={"Accept": "image/png"})
        assert answer.status_code == 406
        assert "offered: " in answer.get_json()["detail"]
    assert client.get("/api", headers={"Accept": "a/b," * 2000}).status_code == 400


@pytest.mark.parametrize("url", ["/nope", "/maps/nope", "/layers/nope"])
def test_a_browser_gets_a_page_and_a_program_a_problem(client: Client, url: str) -> None:
    page = client.get(url, headers=HTML)
    assert (page.status_code, page.mimetype) == (404, "text/html")
    assert "Vary" in page.headers and "Accept" in page.headers["Vary"]
    assert b"Testville" in page.data
    for accept in ("application/json", "*/*", None):
        problem = client.get(url, headers={"Accept": accept} if accept else None)
        assert problem.content_type == "application/problem+json"


def test_the_api_never_answers_with_a_page(client: Client) -> None:
    for url in ("/api/nope", "/api/collections/nope", "/tiles/lots/99/0/0.mvt", "/healthz?x=1", "/static/nope"):
        assert client.get(url, headers=HTML).content_type == "application/problem+json"


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "{{1234*4321}}", '"><img src=x onerror=alert(1)>', "javascript:alert(1)"]
)
def test_an_error_page_does_not_repeat_what_was_asked(client: Client, text: str) -> None:
    for url in (f"/{text}", f"/maps/{text}", f"/layers/{text}", f"/maps/nope?q={text}"):
        page = client.get(url, headers=HTML)
        assert page.status_code == 404
        assert text not in page.text
        assert "alert(1)" not in page.text and "5332114" not in page.text


@pytest.fixture(params=["flask", "fast"])
def broken(request: pytest.FixtureRequest, own_city: City) -> Client:
    """A service whose lots are damaged on disk: the features and the tiles are cut short."""
    folder = own_city.catalog.collection("lots").path
    for name in ("serve/features.bin", "tiles.pmtiles"):
        file = folder / name
        file.write_bytes(file.read_bytes()[:100])
    return Client({"flask": create_app, "fast": wsgi_app}[request.param](own_city.settings))


def test_damaged_data_is_logged_whole_and_shown_as_a_sentence(
    broken: Client, own_city: City, caplog: pytest.LogCaptureFixture
) -> None:
    for url in ("/api/collections/lots/items", "/tiles/lots/14/0/0.mvt", "/layers/lots", "/api/collections/lots"):
        caplog.clear()
        with caplog.at_level(logging.ERROR, "gisservice.web"):
            answer = broken.get(url)
        problem = answer.get_json()
        assert answer.status_code == 503
        (record,) = caplog.records
        line = json.loads(record.getMessage())
        assert "\n" not in record.getMessage()
        assert line["id"] in problem["detail"]
        assert line["path"] == url
        assert "LayerUnavailable" in line["trace"]
        for secret in (str(own_city.settings.home), "features.bin", "pmtiles", "Traceback", "LayerUnavailable", ".py"):
            assert secret not in answer.text


def test_a_damaged_layer_leaves_the_others_alone(broken: Client) -> None:
    assert broken.get("/api/collections/places/items").status_code == 200
    listed = broken.get("/api/collections").get_json()["collections"]
    assert {entry["id"] for entry in listed} == {"catalog", "places", "relief"}
    for url in ("/", "/maps/city", "/api/openapi.json"):
        assert broken.get(url).status_code == 200
    health = broken.get("/healthz").get_json()
    assert (health["status"], health["damaged"]) == ("degraded", ["lots"])


def test_what_the_first_who_ask_would_wait_for_is_made_before_of_all_layers_that_can_be_read(
    broken: Client, own_city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(own_city.settings)
    service = app.extensions["gisservice"]
    service.prepare()
    for module, name in ((asking, "offered"), (catalog_features, "Index")):
        monkeypatch.setattr(module, name, None)  # whoever made it only now would fail
    assert Client(app).get("/api/collections/places/items?bbox=-78,38,-77,39").status_code == 200
    assert Client(app).get("/api/collections/lots/items").status_code == 503


def test_a_fault_of_ours_is_500_with_a_reference(
    city: City, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from gisservice.web import features

    def fail(*_: object) -> None:
        raise RuntimeError("/secret/path of a library")

    monkeypatch.setattr(features, "page_of", fail)
    client = Client(wsgi_app(city.settings))
    answer = client.get("/api/collections/lots/items")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert json.loads(caplog.records[-1].getMessage())["id"] in answer.get_json()["detail"]


def test_a_page_that_fails_in_its_error_page_is_still_a_problem(
    city: City, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from gisservice.web import responses

    def fail(*_: object) -> None:
        raise RuntimeError("template")

    monkeypatch.setattr(responses, "render_error", fail)
    answer = Client(wsgi_app(city.settings)).get("/nope", headers=HTML)
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")
    assert len(caplog.records) == 1
