"""The public pages in a real browser: they draw, answer, can be operated by keyboard, and run nobody else's code.

Every visit also fails for a console error, a dialog, a violation of the page's policy or a request off the host.
"""

from __future__ import annotations

import math

import pytest
from browser_city import ATTACKS, CENTRE, GREEN, HUGE_IDS, NUMBERS_CENTRE, RED, SOUTH, STEP, WEST, ZOOM, place_of_attack
from visits import DESKTOP, at_rest

pytestmark = pytest.mark.slow

PAGES = ("/", "/layers/lots", "/maps/city", "/maps/lots", "/layers/hostile", "/maps/hostile")

COUNT_PIXELS = """(colour) => {
  const wanted = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
  let count = 0;
  for (const canvas of document.querySelectorAll("#map_city canvas")) {
    if (!canvas.width) continue;
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    for (let i = 0; i < data.length; i += 4) {
      if (data[i + 3] === 255 && wanted.every((value, band) => Math.abs(data[i + band] - value) < 3)) count += 1;
    }
  }
  return count;
}"""


def pixels(page, colour: str) -> int:
    """How many canvas pixels have a colour."""
    return page.evaluate(COUNT_PIXELS, colour)


def position(column: float, row: float) -> tuple[float, float]:
    """The middle of the square in a column and row of the city's grid, longitude and latitude."""
    return WEST + (column + 0.5) * STEP, SOUTH + (row + 0.5) * STEP


def on_screen(page, place: tuple[float, float], centre=CENTRE, zoom: int = ZOOM) -> tuple[float, float]:
    """Where on the screen a place is drawn, by the formula of Web Mercator."""
    box = page.locator("#map_city").bounding_box()
    world = 256 * 2**zoom
    north = [math.asinh(math.tan(math.radians(latitude))) for _, latitude in (place, centre)]
    right = (place[0] - centre[0]) / 360 * world
    down = (north[1] - north[0]) / (2 * math.pi) * world
    return box["x"] + box["width"] / 2 + right, box["y"] + box["height"] / 2 + down


def panel_values(page) -> dict[str, str]:
    """What the panel says, once its record has arrived."""
    page.wait_for_selector("#picked dd")
    names = page.locator("#picked dt").all_text_contents()
    return dict(zip(names, page.locator("#picked dd").all_text_contents(), strict=True))


def focused(page) -> str:
    """The id of the focused element."""
    return page.evaluate("document.activeElement.id")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_quiet_and_fits_its_window(visits, device, path: str) -> None:
    page = visits.open(path, device)
    width = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert width[0] <= width[1], "the page scrolls sideways"
    assert page.locator("h1").count() == 1


def test_the_map_draws_every_class_of_every_layer(visits, device) -> None:
    page = visits.open("/maps/city", device)
    assert pixels(page, RED) > 2000 and pixels(page, GREEN) > 2000
    page.get_by_role("button", name="Zoom in").click()
    at_rest(page, ZOOM + 1 if device is DESKTOP else ZOOM)
    assert pixels(page, RED) > 2000


def test_the_first_map_needs_less_than_half_a_megabyte(visits) -> None:
    visits.open("/maps/city")
    assert 0 < visits.bytes < 500_000


def test_a_click_tells_the_public_attributes_as_text(visits) -> None:
    page = visits.open("/maps/city")
    page.mouse.click(*on_screen(page, position(11, 9)))
    assert panel_values(page) == {
        "Identifier": "lot 11/9",
        "Zone": "Green zone (GREEN)",
        "Lot area": "1,234.5 square feet",
        "Day it was finished": "December 31, 1999",
    }
    assert page.locator("#picked [data-part=empty]").text_content() == "Not recorded: Note."
    assert page.locator("#picked h2").text_content() == "Lots"
    assert focused(page) == "picked"
    page.keyboard.press("Escape")
    assert page.locator("#picked").is_hidden()
    assert focused(page) == "map_city"


def test_records_that_share_a_place_are_all_there(visits) -> None:
    page = visits.open("/maps/city")
    page.mouse.click(*on_screen(page, position(10, 10)))
    page.wait_for_function("() => document.querySelector('[data-part=count]').textContent === '1 of 4'")
    found = []
    for _ in range(4):  # three units, then the city boundary, though it is drawn on top
        found.append(panel_values(page)["Identifier"])
        page.get_by_role("button", name="Next").click()
    assert sorted(found[:3]) == ["lot 10/10", "unit 2 of 10/10", "unit 3 of 10/10"]
    assert found[3] == "b"
    page.get_by_role("button", name="Previous").click()
    assert panel_values(page)["Identifier"] == "b"


def test_points_and_lines_are_hit_beside_their_middle(visits) -> None:
    page = visits.open("/maps/city")
    x, y = on_screen(page, position(4, 5))
    page.mouse.click(x + 4, y - 3)
    assert panel_values(page) == {"Identifier": "p4", "Name": "Place 4"}
    x, y = on_screen(page, (WEST + 8.5 * STEP, SOUTH + 10 * STEP))
    page.mouse.click(x, y + 3)
    page.wait_for_function("() => document.querySelector('#picked h2').textContent === 'Streets'")
    assert panel_values(page) == {"Identifier": "s10", "Name": "10 STREET"}


def test_a_click_before_the_tiles_have_come_is_answered_all_the_same(visits) -> None:
    page = visits.open("/maps/city")
    held: list = []
    page.route("**/tiles/**", lambda route: held.append(route))
    page.get_by_role("button", name="Zoom in").click()
    page.wait_for_selector('#map_city[aria-busy="true"]')
    page.mouse.click(*on_screen(page, position(11, 9), zoom=ZOOM + 1))
    assert panel_values(page)["Identifier"] == "lot 11/9"
    for route in held:
        route.continue_()


def test_a_click_on_nothing_says_so(visits) -> None:
    page = visits.open("/maps/city")
    page.mouse.click(*on_screen(page, (WEST - 2 * STEP, SOUTH + 10.5 * STEP)))
    page.get_by_text("No feature of the shown layers is at this place.").wait_for()


def test_a_tap_on_a_phone_leaves_the_place_in_view(visits, phone) -> None:
    page = visits.open("/maps/city", phone)
    page.get_by_label("Streets", exact=True).uncheck()  # at this zoom they are within a finger of every lot
    page.locator("#map_city").scroll_into_view_if_needed()
    page.touchscreen.tap(*on_screen(page, position(11, 6), zoom=ZOOM - 1))
    assert panel_values(page)["Identifier"] == "lot 11/6"
    panel, frame = page.locator("#picked").bounding_box(), page.locator("#map_city").bounding_box()
    assert panel["y"] >= frame["y"] and panel["y"] + panel["height"] <= frame["y"] + frame["height"] + 1
    page.wait_for_function(
        "() => { const mark = document.querySelector('#map_city path').getBoundingClientRect();"
        " return mark.bottom <= document.getElementById('picked').getBoundingClientRect().top; }"
    )


def test_the_map_answers_to_the_keyboard_alone(visits) -> None:
    page = visits.open("/maps/city")
    for _ in range(30):
        page.keyboard.press("Tab")
        if focused(page) == "map_city":
            break
    assert focused(page) == "map_city"
    assert page.locator(".map-keys").evaluate("(element) => getComputedStyle(element).opacity") == "1"
    page.keyboard.press("Enter")
    assert panel_values(page)["Identifier"] in ("lot 10/10", "unit 2 of 10/10", "unit 3 of 10/10")
    page.keyboard.press("Escape")
    assert focused(page) == "map_city"


def test_layers_are_switched_by_the_keyboard(visits) -> None:
    page = visits.open("/maps/city")
    box = page.get_by_label("Lots", exact=True)
    box.focus()
    page.keyboard.press("Space")
    assert not box.is_checked()
    page.wait_for_function(f"() => ({COUNT_PIXELS})('{RED}') === 0")
    assert page.locator("#map-status").text_content() == "Lots is hidden."
    page.keyboard.press("Space")
    page.wait_for_function(f"() => ({COUNT_PIXELS})('{RED}') > 2000")
    assert page.locator("#map-status").text_content() == "Lots is shown."


def test_a_hidden_layer_is_not_picked(visits) -> None:
    page = visits.open("/maps/city")
    page.get_by_label("Lots", exact=True).uncheck()
    page.mouse.click(*on_screen(page, position(11, 9)))
    assert panel_values(page) == {"Identifier": "b"}


def test_ids_beyond_32_bits_find_their_records(visits) -> None:
    page = visits.open("/maps/numbers")
    for column, number in enumerate(HUGE_IDS):
        page.mouse.click(*on_screen(page, position(column, 10), NUMBERS_CENTRE))
        page.wait_for_selector(f"#picked dd:text-is('{number}')")
        page.keyboard.press("Escape")


def test_hostile_records_are_shown_as_they_are(visits) -> None:
    page = visits.open("/maps/attacks")
    text = " ".join(ATTACKS)
    assert page.locator("h1").text_content() == text
    assert page.title().startswith(" ".join(text.split())[:10])
    page.locator("#map_city").scroll_into_view_if_needed()
    page.mouse.click(*on_screen(page, position(*place_of_attack(31)), NUMBERS_CENTRE))
    shown = "(attack) => document.querySelector('#picked dd')?.textContent === attack"
    page.wait_for_function(shown, arg=ATTACKS[31])
    for attack in ATTACKS:  # by the link to a record, which holds its id
        page.evaluate("(id) => { location.hash = `15/38.81/-77.05&item=hostile/${encodeURIComponent(id)}`; }", attack)
        page.wait_for_function(shown, arg=attack)
    assert page.locator("#picked h2").text_content() == text
    legend = page.locator(".legend li").all_text_contents()
    assert [entry.strip() for entry in legend[: len(ATTACKS)]] == [attack.strip() for attack in ATTACKS]
    page.evaluate("document.getElementById('twin').open = true")
    page.wait_for_selector("#twin tbody tr")
    assert set(page.locator("#twin tbody th button").all_text_contents()) <= set(ATTACKS)
    assert page.evaluate("Object.prototype.polluted") is None


def test_a_link_to_a_record_that_is_no_more_says_so(visits) -> None:
    visits.expected = "404"
    page = visits.open("/maps/city#15/38.81/-77.05&item=lots/gone")
    page.get_by_text("Lots has no such record, or has it no longer.").wait_for()


def test_tiles_that_cannot_be_had_are_told(visits) -> None:
    page = visits.open("/maps/city")
    visits.expected = "503"
    page.route("**/tiles/lots/**", lambda route: route.fulfill(status=503, body="{}"))
    page.get_by_role("button", name="Zoom in").click()
    page.wait_for_function("() => document.getElementById('map-status').textContent.includes('could not be loaded')")


def test_the_page_without_its_script_still_leads_to_the_data(visits) -> None:
    page = visits.open("/layers/lots", {"viewport": {"width": 1280, "height": 800}, "java_script_enabled": False})
    assert page.locator("noscript p").is_visible()
    assert page.get_by_role("link", name="/api/collections/lots/items").count() == 1
