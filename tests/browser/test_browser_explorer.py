"""The explorer in a real browser: it opens the description, tries an operation, and asks nobody but us.

Every visit also fails for a console error, a dialog, a violation of the page's policy or a request off the host.
"""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow


def test_an_operation_can_be_tried(visits) -> None:
    page = visits.open("/api/docs")
    page.wait_for_selector('#explorer[aria-busy="false"]')
    assert page.locator(".swagger-ui .title").first.inner_text().startswith("Testville")
    page.locator("#operations-tag-Catalog").get_by_role("button").first.click()
    page.locator("#operations-Catalog-getApiCollectionsCatalogItems .opblock-summary-control").click()
    operation = page.locator("#operations-Catalog-getApiCollectionsCatalogItems")
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_placeholder("filter", exact=True).fill("id = 'lots'")
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table")
    answer.wait_for()
    assert answer.locator(".response-col_status").last.inner_text().startswith("200")
    assert '"numberMatched": 1' in answer.inner_text()
    assert "filter=id" in operation.locator(".request-url pre").inner_text()


def test_the_description_as_a_page_is_the_explorer(visits) -> None:
    page = visits.open("/api/openapi.json?f=html")
    page.wait_for_selector('#explorer[aria-busy="false"]')
    assert page.locator("#operations-tag-Data").is_visible()


def test_without_scripts_the_way_to_the_pages_is_shown(visits) -> None:
    page = visits.open("/api/docs", {"java_script_enabled": False})
    page.get_by_role("link", name="the pages of the API").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Testville"


def test_pages_of_items_can_be_walked(visits) -> None:
    page = visits.open("/api/collections/lots/items?limit=3")
    first = page.locator("tbody th").first.inner_text()
    page.get_by_role("link", name="The next page").first.click()
    assert page.locator("tbody th").first.inner_text() != first
    page.get_by_role("link", name="The page before").first.click()
    assert page.locator("tbody th").first.inner_text() == first
    page.locator("tbody th a").first.click()
    assert page.get_by_role("heading", name="Geometry").is_visible()
    page.get_by_role("link", name="About the layer").click()
    assert page.url.endswith("/layers/lots")
