"""The pages as a parser of HTML sees them, with ordinary words and with hostile ones."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_factories import HOSTILE, hostile_view, make_home, make_layer_page, make_map, make_site, make_view

from gisservice.maps.pages import ErrorContext, page_data, render_error, render_home, render_layer, render_map
from gisservice.model import City, GeometryKind

VOID = {"meta", "link", "img", "input", "br"}
LOCAL = re.compile(r"(?:/|#)(?!/)|mailto:")


class Parsed(HTMLParser):
    """A page as elements, with the text in and outside scripts apart."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.visible: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        within = self.open[-1] if self.open else ""
        self.texts.setdefault(within, []).append(data)
        if within not in ("script", "style"):
            self.visible.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def data(self) -> dict:
        return json.loads(next(text for text in self.texts["script"] if text.startswith('{"view"')))


def error_page(site=None) -> str:
    return render_error(ErrorContext(site or make_site(), 404, "Not found", "There is no such page."))


PAGES = {
    "home": lambda site: render_home(make_home(site)),
    "layer": lambda site: render_layer(make_layer_page(site)),
    "map": lambda site: render_map(make_map(site)),
    "error": error_page,
}


@pytest.fixture(params=PAGES)
def page(request) -> str:
    return PAGES[request.param](make_site())


def test_a_page_has_language_title_one_heading_and_landmarks(page: str) -> None:
    parsed = Parsed(page)
    assert page.startswith("<!doctype html>")
    assert parsed.all("html") == [{"lang": "en", "dir": "ltr"}]
    assert len(parsed.all("title")) == 1 and "Rivertown" in "".join(parsed.texts["title"])
    assert len(parsed.all("h1")) == 1
    assert [len(parsed.all(landmark)) for landmark in ("header", "main", "footer")] == [1, 1, 1]
    assert parsed.open == []


def test_a_page_can_be_pinched_and_skipped_through(page: str) -> None:
    parsed = Parsed(page)
    viewport = next(meta["content"] for meta in parsed.all("meta") if meta.get("name") == "viewport")
    assert viewport == "width=device-width, initial-scale=1"
    first_link = parsed.all("a")[0]
    assert first_link["href"] == "#content"
    assert any(attributes.get("id") == "content" for _, attributes in parsed.elements)


def test_ids_are_unique_and_labels_lead_somewhere(page: str) -> None:
    parsed = Parsed(page)
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in parsed.elements:
        for name in (attributes.get("aria-labelledby") or "").split():
            assert name in ids


def test_headings_skip_no_level(page: str) -> None:
    levels = [int(name[1]) for name, _ in Parsed(page).elements if re.fullmatch(r"h[1-6]", name)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_nothing_is_asked_of_another_host(page: str) -> None:
    for tag, attributes in Parsed(page).elements:
        for name in ("src", "href", "action", "srcset", "poster", "data"):
            if attributes.get(name) is not None:
                assert LOCAL.match(attributes[name] or ""), f"<{tag} {name}={attributes[name]!r}>"
    assert "cdn" not in page.lower() and "url(" not in page


def test_only_marked_scripts_run_and_nothing_is_inline(page: str) -> None:
    parsed = Parsed(page)
    for script in parsed.all("script"):
        assert "src" in script or script.get("type") == "application/json" or script.get("nonce") == "n0nce"
    assert not parsed.all("style")
    for tag, attributes in parsed.elements:
        assert "style" not in attributes, tag
        assert not [name for name in attributes if name.startswith("on")], tag


def test_the_notice_and_the_contact_stand_on_every_page(page: str) -> None:
    text = "".join(Parsed(page).visible)
    assert "Sample data." in text and "gis@example.org" in text


@pytest.mark.parametrize("name", PAGES)
def test_a_city_without_notice_shows_no_banner(name: str) -> None:
    assert 'class="notice"' not in PAGES[name](replace(make_site(), city=City("Rivertown")))


@pytest.mark.parametrize("name", PAGES)
def test_behind_a_prefix_every_own_link_carries_it(name: str) -> None:
    site = replace(make_site(), base="/gis", address="https://maps.example.gov/gis")
    for tag, attributes in Parsed(PAGES[name](site)).elements:
        for key in ("src", "href"):
            address = attributes.get(key) or "#"
            assert not address.startswith("/static/") and address != "/", f"<{tag} {key}={address!r}>"


def test_the_same_map_twice_is_the_same_text() -> None:
    assert render_map(make_map()) == render_map(make_map())


def test_a_map_page_lists_its_layers_top_first_with_their_numbers() -> None:
    views = tuple(make_view(name) for name in ("water", "parcels", "streets"))
    views = tuple(replace(v, layer=replace(v.layer, title=v.layer.id.title())) for v in views)
    parsed = Parsed(render_map(make_map(views=views)))
    assert [box["data-layer"] for box in parsed.all("input") if box["type"] == "checkbox"] == ["2", "1", "0"]
    assert [layer["title"] for layer in parsed.data()["layers"]] == ["Water", "Parcels", "Streets"]


def test_a_map_without_published_layers_says_so() -> None:
    context = replace(make_map(views=()), missing=("parcels",))
    text = "".join(Parsed(render_map(context)).visible)
    assert "No layer of this map is published yet." in text and "Not published yet: parcels." in text


def test_a_home_page_with_nothing_published_says_how_to_publish() -> None:
    assert "gisservice ingest" in render_home(replace(make_home(views=()), maps=()))


def test_a_raster_has_a_page_without_map_and_without_records() -> None:
    view = replace(make_view("dem"), kind=GeometryKind.RASTER, tiles_url=None, tilejson_url=None, columns=())
    parsed = Parsed(render_layer(make_layer_page(view=view)))
    assert [script["src"].partition("?")[0] for script in parsed.all("script")] == [
        "/static/js/offline.js",
        "/static/js/actions.js",
    ]
    assert "Python" not in "".join(parsed.visible)


def test_the_layer_page_states_operation_accuracy_grids_and_counts() -> None:
    text = " ".join("".join(Parsed(render_layer(make_layer_page())).visible).split())
    assert "47,174 read from the source, 47,171 published, 3 refused." in text
    assert "accuracy 4 m" in text and "us_noaa_vahpgn.tif" in text
    assert "declared by the office" in text and "5.9 MB" in text
    assert "http://127.0.0.1:8000/tiles/parcels/{z}/{x}/{y}.mvt" in text
    assert "square foot" in text and "Townhouse zone" in text


def test_the_layer_page_lists_files_with_their_sizes_and_what_they_lose() -> None:
    page = render_layer(make_layer_page(text="Names are cut."))
    text = " ".join("".join(Parsed(page).visible).split())
    assert "5.9 MB" in text and "2 things Names are cut. Names are cut." in text
    assert "GeoPackage EPSG:2283, made when first asked for nothing" in text
    assert "Shapefile EPSG:2283: Names are cut. 1 thing" in text
    assert 'href="/download/parcels.csv" download' in page and 'href="/download/parcels"' in page
    assert 'href="/download/parcels.shp.zip"' not in page, "what cannot be had is not linked"


def test_a_layer_without_files_has_no_list_of_them() -> None:
    assert "Download the whole layer" not in render_layer(replace(make_layer_page(), downloads=(), downloads_url=""))


def test_the_history_leads_to_what_the_last_update_changed_where_there_was_one() -> None:
    first = make_layer_page()
    assert "What the last update changed" not in render_layer(first)
    (only,) = first.versions
    second = replace(first, versions=(only, replace(only, id="v-fedcba9876543210", current=False)))
    assert '/api/collections/parcels/changes?f=html">What the last update changed<' in render_layer(second)


def test_an_unknown_accuracy_is_not_called_zero() -> None:
    context = make_layer_page()
    operation = replace(context.operations[0], accuracy_m=None)
    assert "accuracy not stated" in render_layer(replace(context, operations=(operation,)))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_stay_text_on_the_map_page(text: str) -> None:
    plain = Parsed(render_map(make_map()))
    parsed = Parsed(render_map(make_map(views=(hostile_view(text),), title=text, description=text)))
    assert shape(parsed) == shape(plain)
    shown = "".join(parsed.visible)
    assert shown.count(text) >= 5  # title, heading, description, layer, legend
    layer = parsed.data()["layers"][0]
    assert layer["title"] == layer["style"]["by"] == layer["style"]["classes"][0]["value"] == text
    assert layer["columns"] == [
        {"name": text, "meaning": text, "type": "string", "unit": text, "units": text, "codes": [[text, text]]}
    ]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_stay_text_on_the_layer_page(text: str) -> None:
    view = hostile_view(text)
    parsed = Parsed(render_layer(make_layer_page(view=view, text=text)))
    tame = Parsed(render_layer(make_layer_page(view=hostile_view("words"))))
    assert shape(parsed) == shape(tame)
    assert "".join(parsed.visible).count(text) >= 15


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_stay_text_on_the_home_and_error_pages(text: str) -> None:
    site = replace(make_site(), city=City(text, text, f"{text.replace(chr(32), chr(95))}@example.org"))
    home = Parsed(render_home(make_home(site, (hostile_view(text),))))
    assert shape(home) == shape(Parsed(render_home(make_home(views=(hostile_view("words"),)))))
    assert "".join(home.visible).count(text) >= 6
    error = Parsed(render_error(ErrorContext(site, 500, text, text, text)))
    assert "".join(error.visible).count(text) >= 6


def shape(parsed: Parsed) -> list[str]:
    """The elements and the names of their attributes, so that an element that text made would be seen."""
    return [" ".join([name, *sorted(attributes)]) for name, attributes in parsed.elements]


@given(st.recursive(st.none() | st.booleans() | st.text(), lambda t: st.lists(t) | st.dictionaries(st.text(), t)))
def test_page_data_parses_back_to_the_same_values_and_ends_no_element(data: object) -> None:
    text = page_data(data)
    assert json.loads(text) == data
    assert not set("<>&\u2028\u2029") & set(text)
