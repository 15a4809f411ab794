"""The tools of a map's page: filter, years, measuring, the reached area, changes, print links and the way back.

Every visit also fails for a console error, a dialog, a violation of the page's policy or a request off the host.
"""

from __future__ import annotations

import re

import pytest
from browser_city import CENTRE, GREEN, RED, STEP
from pyproj import Geod
from test_browser_maps import COUNT_PIXELS, on_screen, pixels, position
from test_browser_site import violations
from visits import DESKTOP, PHONE

pytestmark = pytest.mark.slow

QUIET = '#map_city[aria-busy="false"]'
STILL = "#map_city:not(.leaflet-zoom-anim):not(.leaflet-pan-anim)"


def says(page, part: str, text: str) -> None:
    """Wait until a part of the page says something."""
    page.wait_for_function(
        "([part, text]) => [...document.querySelectorAll(part)].some((one) => one.textContent.includes(text))",
        arg=[part, text],
    )


def narrow(page, layer: str, column: str, operator: str, value: str) -> None:
    """Give the filter a condition, with the keyboard."""
    if not page.locator("#filter").get_attribute("open") == "":
        page.locator("#filter summary").press("Enter")
    page.locator("#filter-layer").select_option(layer)
    page.get_by_label("Column").select_option(column)
    page.get_by_label("Condition", exact=True).select_option(operator)
    field = page.get_by_label("Value")
    field.select_option(value) if field.evaluate("one => one.tagName") == "SELECT" else field.fill(value)
    page.get_by_role("button", name="Apply the filter").press("Enter")


def test_a_filter_holds_for_map_table_link_and_way_back(visits) -> None:
    page = visits.open("/maps/city")
    before = page.url
    narrow(page, "lots", "zoning", "is", "RED")
    says(page, "#filter [role=status]", "Lots: 202 of 402 records pass the filter.")  # every other column, and a stack
    page.wait_for_function(f"() => ({COUNT_PIXELS})('{GREEN}') === 0")
    assert pixels(page, RED) > 2000
    page.locator("#twin summary").click()
    page.locator("#twin-layer").select_option("lots")
    says(page, "#twin-status", "Lots: 20 of")
    assert set(page.locator("#twin tbody td:first-of-type").all_inner_texts()) == {"Red zone (RED)"}
    page.locator("#twin thead button").nth(1).press("Enter")
    page.wait_for_selector('[aria-sort="ascending"]')
    assert page.evaluate("document.activeElement.textContent") == "Zone"  # though the table was filled anew
    assert "filter=" in page.locator('[data-part="csv"]').get_attribute("href")
    page.mouse.click(*on_screen(page, position(11, 10)))  # a green lot: the boundary alone is there
    says(page, "#picked dd", "b")
    page.keyboard.press("Escape")
    again = visits.open(page.url.removeprefix(visits.address))
    says(again, "#filter [role=status]", "Lots: 202 of 402")
    again.wait_for_function(f"() => ({COUNT_PIXELS})('{GREEN}') === 0 && ({COUNT_PIXELS})('{RED}') > 2000")
    again.get_by_role("button", name="Remove the condition").press("Enter")
    says(again, "#filter [role=status]", "Lots is shown without a filter.")
    assert again.evaluate("document.activeElement.id") == "filter-layer"
    for _ in range(3):  # the record is closed, it is shown, the filter holds
        page.go_back()
    page.wait_for_function(f"() => ({COUNT_PIXELS})('{GREEN}') > 2000")
    assert page.url == before


def test_nothing_passes_a_filter_and_that_is_said(visits, phone) -> None:
    page = visits.open("/maps/city", phone)
    narrow(page, "lots", "note", "contains", "50%_'\\ <b>")
    says(page, "#filter [role=status]", "Lots: no record passes the filter, so the map and the table show none.")
    narrow(page, "lots", "area", "least", "1234.5")
    says(page, "#filter .conditions", "Lot area is at least 1,234.5 square feet")
    narrow(page, "lots", "area", "least", "many")
    assert not page.get_by_label("Value").evaluate("one => one.validity.valid")


def test_the_years_are_those_of_the_data(visits) -> None:
    page = visits.open("/maps/city")
    page.locator("#years summary").press("Enter")
    page.wait_for_function("() => !document.getElementById('years-slider').disabled")
    slider = page.get_by_label("Year", exact=True)
    assert [slider.get_attribute(name) for name in ("min", "max", "aria-valuetext")] == [
        "1999",
        "1999",
        "Up to the end of 1999",
    ]
    asked = visits.open("/maps/city#15/38.8105/-77.0495&where=lots.built.until.1998-12-31&where=lots.none.is.1&where=x")
    says(asked, "#filter [role=status]", "Lots: no record passes the filter")
    assert asked.locator(".conditions li").count() == 1


def test_measured_by_keyboard_as_on_the_ellipsoid(visits) -> None:
    page = visits.open("/maps/city")
    page.get_by_role("button", name="Measure").press("Enter")
    page.wait_for_selector("#measure:focus")
    places = []
    for key in ("", "ArrowRight", "ArrowDown"):
        if key:
            before = page.evaluate("location.href")
            page.locator("#map_city").press(key)
            page.wait_for_function("(before) => location.href !== before", arg=before)
            page.wait_for_selector(STILL)
        page.get_by_role("button", name="Add the center of the map").press("Enter")
        latitude, longitude = page.url.split("/")[-2:]
        places.append((float(longitude), float(latitude)))
    said = page.locator("#measure [role=status]").inner_text()
    length, acres = (
        float(re.search(pattern, said)[1].replace(",", "")) for pattern in (r"([\d,]+) feet", r"([\d.]+) acres")
    )
    geod = Geod(ellps="WGS84")
    columns = list(zip(*places, strict=True))
    assert length * 0.3048 == pytest.approx(geod.line_length(*columns), rel=0.02)  # the address has five decimals
    assert acres * 4046.8564224 == pytest.approx(abs(geod.polygon_area_perimeter(*columns)[0]), rel=0.03)
    page.keyboard.press("Escape")
    assert page.locator("#measure").is_hidden()
    assert page.evaluate("document.activeElement.ariaLabel") == "Measure"


def test_what_is_reached_is_told_drawn_and_shared(visits) -> None:
    page = visits.open("/maps/city")
    page.locator("#reach summary").press("Enter")
    page.get_by_label("Minutes").select_option("5")
    page.get_by_role("button", name="Choose on the map").press("Enter")
    page.wait_for_selector("#map_city:focus")
    page.keyboard.press("Enter")  # the centre of the map
    says(page, "#reach [data-part=answer]", "On foot one reaches in 5 minutes")
    # From half a block beside it, along one street: 5 minutes at 3 mph are a quarter of a mile, both ways.
    said = page.locator("#reach [data-part=answer]").inner_text()
    walked = 0.25 - STEP / 2 * 111_000 / 1609.344
    assert float(re.search(r"along ([\d.]+) miles", said)[1]) == pytest.approx(2 * walked, rel=0.05)
    says(page, "#reach h2", "Places: 0 reached")
    latitude, longitude = page.url.partition("reach=walk/5/")[2].split("/")
    assert (float(longitude), float(latitude)) == pytest.approx(CENTRE, abs=1e-4)
    again = visits.open(page.url.removeprefix(visits.address))
    says(again, "#reach [data-part=answer]", said)
    assert again.evaluate("history.length") == 2  # an empty page, and this one: nothing was done here as yet


def test_what_the_last_update_changed_is_listed(visits) -> None:
    page = visits.open("/maps/city#15/38.8105/-77.0495&changes=places")
    says(page, "#changes [data-part=answer]", "Places: 1 added (full lines), 0 changed (dashes), 0 removed (dots).")
    assert page.locator("#changes li").all_inner_texts() == ["Added: Place 4 (p4)"]
    page.locator("#changes-layer").select_option("lots")
    page.get_by_role("button", name="Show what the last update changed").press("Enter")
    says(page, "#changes [data-part=answer]", "Lots: there is only one version as yet, so nothing has changed.")


def test_prints_follow_the_view_and_the_screen_is_filled(visits) -> None:
    page = visits.open("/maps/city#16/38.80500/-77.05000")
    size = page.locator("#map_city").bounding_box()
    wanted = f"center=-77.05000,38.80500&zoom=16&width={round(size['width'])}&height={round(size['height'])}"
    links = [link.get_attribute("href") for link in page.locator("a[data-picture]").all()]
    assert links == [f"/maps/city.{form}?lang=en&{wanted}" for form in ("pdf", "png")]
    assert page.request.get(visits.address + links[1]).status == 200
    page.get_by_label("Streets", exact=True).uncheck()
    page.evaluate("location.hash += '&where=' + encodeURIComponent('lots.zoning.is.RB, 5%')")
    pdf, png = page.locator("a[data-picture]").all()
    left = "&hidden=streets&where=lots.zoning.is.RB%252C%205%2525"
    page.wait_for_function("left => document.querySelector('a[data-picture]').href.endsWith(left)", arg=left)
    for link in (pdf, png):
        assert page.request.get(visits.address + link.get_attribute("href")).status == 200
    page.get_by_role("button", name="Map on the whole screen").click()
    page.wait_for_function("() => document.fullscreenElement?.contains(document.getElementById('map-status'))")
    page.evaluate("document.exitFullscreen()")
    says(page, "#map-status", "The map is back on its page.")


def test_the_readers_own_place_is_shown(visits) -> None:
    here = {
        "geolocation": {"latitude": CENTRE[1], "longitude": CENTRE[0], "accuracy": 30},
        "permissions": ["geolocation"],
    }
    page = visits.open("/maps/city", {"viewport": {"width": 1280, "height": 800}, **here})
    page.get_by_role("button", name="Show my place").press("Enter")
    says(page, "#map-status", "known to 98 feet (30 meters)")
    assert "#17/" in page.url


@pytest.mark.parametrize(("language", "window"), [("en", DESKTOP), ("ar", PHONE)])
def test_axe_finds_nothing_in_the_tools_and_each_control_is_reached(visits, language: str, window: dict) -> None:
    where = "#15/38.8105/-77.0495&where=lots.zoning.is.RED&reach=walk/5/38.8105/-77.0495&changes=places"
    page = visits.open(f"/maps/city?lang={language}{where}", window)
    page.wait_for_selector("#reach h2")
    page.wait_for_selector("#changes li")
    page.evaluate("document.querySelectorAll('.map-beside details').forEach((one) => (one.open = true))")
    page.locator("#twin-layer").select_option("lots")
    says(page, "#twin-status", "Lots: ")
    page.locator(".map-tools button").last.click()
    page.wait_for_selector("#measure:focus")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    wanted = page.evaluate("""() => {
      const kinds = "a[href], button, input, select, summary, textarea, [tabindex='0']";
      const controls = document.querySelectorAll(`main :is(${kinds})`);
      const shown = [...controls].filter((one) => one.checkVisibility() && !one.disabled);
      shown.forEach((one, index) => (one.dataset.walked = index));
      window.shown = shown;
      const targets = shown.filter((one) => one.matches("button, select, summary"));
      const small = targets.filter((one) => one.getBoundingClientRect().height < 24);
      return [shown.length, small.map((one) => one.outerHTML)];
    }""")
    assert wanted[0] > 40 and wanted[1] == []
    page.evaluate("document.querySelector('main [data-walked]').focus()")
    reached = {page.evaluate("document.activeElement.dataset.walked")}
    for _ in range(wanted[0] + 5):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.dataset.walked"))
    missed = [number for number in range(wanted[0]) if str(number) not in reached]
    assert [page.evaluate("(number) => window.shown[number].outerHTML", number) for number in missed] == []
