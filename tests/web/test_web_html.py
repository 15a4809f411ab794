"""The API as pages: each says what its JSON says, leads where its JSON leads, and can be read by everybody.

OGC API Common 1 and Features 1, class html; what WCAG 2.1 asks of the structure of a page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import pytest
from feature_city import NOTES, FeatureCity
from web_city import City
from werkzeug.test import Client

from gisservice.web import htmlapi

RESOURCES = (
    "/api",
    "/api/",
    "/api/conformance",
    "/api/openapi.json",
    "/api/collections",
    "/api/collections/lots",
    "/api/collections/lots/items?limit=7&offset=3",
    "/api/collections/lots/items/a%20b%2Fc",
    "/api/collections/lots/queryables",
    "/api/collections/lots/sortables",
    "/api/collections/lots/schema",
    "/api/collections/lots/dictionary",
    "/api/collections/lots/versions",
    "/api/collections/lots/changes?since=2999-01-01T00:00:00Z",
    "/api/collections/lots/tiles",
    "/api/collections/lots/tiles/WebMercatorQuad",
    "/api/collections/relief",
    "/api/processes",
    "/api/processes/within",
    "/api/collections/catalog",
    "/api/collections/catalog/items",
    "/api/collections/catalog/items/lots",
    "/api/collections/catalog/queryables",
    "/api/collections/catalog/sortables",
    "/api/collections/catalog/schema",
    "/api/tiles",
    "/api/tiles/WebMercatorQuad",
    "/api/tileMatrixSets",
    "/api/tileMatrixSets/WebMercatorQuad",
)
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
BLOCKS = {"dl", "ul", "ol", "table", "div", "section", "details", "pre", "h1", "h2", "h3", "p", "nav"}


class Page(HTMLParser):
    """A page read strictly: every element is closed where HTML asks for it, nothing stands where it must not."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None], tuple[str, ...]]] = []
        self.texts: list[tuple[str, tuple[str, ...]]] = []
        self._open: list[str] = []
        assert text.startswith("<!doctype html>")
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"<{tag}> has an attribute twice"
        parent = self._open[-1] if self._open else ""
        assert not (tag in BLOCKS and {"p", "h1", "h2", "h3", "a", "code"} & set(self._open[-3:])), (tag, self._open)
        assert parent not in ("ul", "ol") or tag == "li", (tag, parent)
        assert parent != "dl" or tag in ("dt", "dd", "div"), (tag, parent)
        assert parent != "tr" or tag in ("th", "td"), (tag, parent)
        self.elements.append((tag, dict(attrs), tuple(self._open)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if data.strip():
            assert self._open and self._open[-1] not in ("dl", "ul", "ol", "table", "tr", "tbody", "thead"), data
            self.texts.append((data, tuple(self._open)))

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes, _ in self.elements if tag in tags]

    @property
    def text(self) -> str:
        """The text of the body, with single blanks."""
        return " ".join(" ".join(data for data, where in self.texts if "body" in where).split())


def opened(client: Any, url: str) -> tuple[Page, Any]:
    answer = client.get(url, headers=BROWSER)
    assert (answer.status_code, answer.content_type) == (200, "text/html; charset=utf-8"), url
    return Page(answer.get_data(as_text=True)), answer


@pytest.fixture(params=RESOURCES)
def url(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def with_form(url: str, form: str) -> str:
    return f"{url}&f={form}" if "?" in url else f"{url}?f={form}"


def test_every_described_resource_with_a_format_is_a_page(client: Client) -> None:
    """/conf/html/definition: what is tested here is all that the description says is HTML."""
    paths = client.get("/api/openapi.json").get_json()["paths"]
    pages = {
        path
        for path, entry in paths.items()
        if "text/html" in entry.get("get", entry.get("post"))["responses"]["200"]["content"]
    }
    tried = {urlsplit(url).path for url in RESOURCES}
    for path in pages:
        if "/places" in path or "/map/" in path or path.startswith("/api/jobs"):
            continue
        filled = path.format(
            collection_id="lots",
            item_id="a%20b%2Fc",
            record_id="lots",
            tileMatrixSetId="WebMercatorQuad",
            process_id="within",
        )
        assert filled in tried, path
    assert len(pages) > 20


def test_a_page_is_had_by_name_and_by_liking_html_best(client: Client, url: str) -> None:
    _, by_accept = opened(client, url)
    by_name = client.get(with_form(url, "html"))
    assert by_name.mimetype == "text/html"
    assert "Accept" in by_accept.headers["Vary"]
    assert client.get(url).mimetype.endswith("json")
    assert client.get(url, headers={"Accept": "application/json, text/html"}).mimetype.endswith("json")
    assert client.get(with_form(url, "json"), headers={"Accept": "text/html"}).mimetype.endswith("json")


def test_a_page_can_be_read_by_everybody(client: Client, url: str) -> None:
    page, _ = opened(client, url)
    assert page.all("html") == [{"lang": "en", "dir": "ltr"}]
    titles = [data for data, where in page.texts if where[-1] == "title"]
    assert len(titles) == 1 and "Testville" in titles[0]
    assert len(page.all("h1")) == 1 and len(page.all("main")) == len(page.all("header")) == len(page.all("footer")) == 1
    assert all(nav.get("aria-label") for nav in page.all("nav"))
    assert len({nav["aria-label"] for nav in page.all("nav")}) == len(page.all("nav"))
    ids = [attributes["id"] for _, attributes, _ in page.elements if attributes.get("id")]
    assert len(ids) == len(set(ids))
    first = next(attributes for tag, attributes, where in page.elements if tag == "a" and "body" in where)
    assert first["href"] == "#content" and "content" in ids
    assert all(header.get("scope") in ("col", "row") for header in page.all("th"))
    for section in page.all("section"):
        assert section["aria-labelledby"] in ids
    levels = [int(tag[1]) for tag, _, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_nothing_runs_in_a_page(client: Client, url: str) -> None:
    if "openapi" in url:
        pytest.skip("the definition as a page is the explorer, which is made of scripts (test_browser_explorer)")
    page, answer = opened(client, url)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src" not in policy and "unsafe" not in policy
    assert page.all("script", "style", "iframe", "object", "embed") == []
    for _, attributes, _ in page.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        assert not (attributes.get("href") or "").lower().startswith("javascript:")


def leaves(value: object, skip: frozenset[str] = frozenset()) -> Iterator[str]:
    """Every text and number of a JSON document."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in skip:
                yield from leaves(inner, skip)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, skip)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def links(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield from (link for link in value.get("links", ()) if isinstance(link, dict))
        for inner in value.values():
            yield from links(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from links(inner)


def test_a_page_says_all_that_its_json_says(client: Client, url: str) -> None:
    """/conf/html/content: all information of the answer, and all its links as ``a`` elements."""
    if "openapi" in url:
        pytest.skip("the definition as a page is the explorer's (test_browser_explorer)")
    page, _ = opened(client, url)
    document = client.get(url).get_json()
    kind = document.get("type")
    skip = {"links", "geometry"}
    if kind in ("Feature", "FeatureCollection"):
        skip |= {"type", "bbox", "extent", "conformsTo"} if kind == "FeatureCollection" else {"type"}
    text = page.text.replace(",", "")
    for leaf in leaves(document, frozenset(skip)):
        assert " ".join(leaf.split()).replace(",", "") in text, leaf
    hrefs = {attributes["href"] for attributes in page.all("a") if attributes.get("href")}
    hrefs |= {href.replace("&f=html", "").replace("?f=html", "") for href in hrefs}
    for link in links(document if kind != "FeatureCollection" else {"links": document["links"]}):
        if link.get("templated"):
            assert link["href"] in page.text
        elif link["rel"] != "self":
            assert link["href"] in hrefs or with_form(link["href"], "html") in hrefs or "f=html" in link["href"], link


def test_a_page_shows_the_request_and_leads_to_its_json(client: Client, url: str) -> None:
    if "openapi" in url:
        pytest.skip("the definition as a page is the explorer's (test_browser_explorer)")
    page, _ = opened(client, url)
    url = url.removesuffix("/")  # as the address with a slash at its end is the same
    assert f"GET http://localhost{url}" in page.text
    alternate = next(link for link in page.all("link") if link["rel"] == "alternate" and "json" in link["type"])
    assert alternate["href"] == f"http://localhost{with_form(url, 'json')}"
    assert alternate["href"] in {attributes.get("href") for attributes in page.all("a")}
    assert client.get(alternate["href"].removeprefix("http://localhost")).get_json() is not None


def test_every_link_of_a_page_leads_somewhere(client: Client, url: str) -> None:
    page, _ = opened(client, url)
    for attributes in page.all("a"):
        href = attributes["href"]
        if href.startswith(("http://localhost/", "/")) and "#" not in href and not href.endswith("/execution"):
            assert client.get(href.removeprefix("http://localhost")).status_code == 200, href


def test_a_page_is_asked_for_again_for_nothing(client: Client, url: str) -> None:
    _, answer = opened(client, url)
    again = client.get(url, headers={**BROWSER, "If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert client.get(url).headers["ETag"] != answer.headers["ETag"]
    assert client.get(url, headers={**BROWSER, "Accept-Encoding": "gzip"}).headers["ETag"] != answer.headers["ETag"]


def test_pages_of_items_lead_through_all_of_them(client: Client) -> None:
    url, seen = "/api/collections/lots/items?limit=90&sortby=-area", []
    while url:
        page, _ = opened(client, url)
        rows = [attributes["href"] for tag, attributes, where in page.elements if tag == "a" and where[-1] == "th"]
        seen += rows
        following = [a["href"] for a in page.all("a") if a.get("rel") == "next"]
        assert len(set(following)) <= 1
        url = following[0].removeprefix("http://localhost") if following else ""
        assert not url or "f=html" in url
    assert len(seen) == len(set(seen)) == 400
    item, _ = opened(client, seen[0].removeprefix("http://localhost"))
    assert "399.01" in item.text


def test_a_page_of_items_shows_their_properties(feature_city: FeatureCity) -> None:
    page, _ = opened(feature_city, "/api/collections/permits/items?limit=240")
    cells = [data for data, where in page.texts if where[-1] == "td"]
    for note in filter(None, NOTES):
        assert " ".join(note.split()) in [" ".join(cell.split()) for cell in cells]
    headers = [data for data, where in page.texts if where[-1] == "th"][:9]
    columns = feature_city.catalog.collection("permits").manifest.columns
    assert headers == ["id", *(column.name for column in columns)]
    hits, _ = opened(feature_city, "/api/collections/permits/items?resulttype=hits")
    assert "0 of 240 that match" in hits.text


def test_an_item_page_shows_its_geometry(client: Client, city: City) -> None:
    page, _ = opened(client, "/api/collections/lots/items/003.01-3")
    assert "Polygon of 5 positions" in page.text
    features = city.catalog.collection("lots").features
    west = features.boxes[features.row("003.01-3")][0]
    assert f"{west:.3f}" in page.text


def test_what_cannot_be_answered_as_a_page_is_said(client: Client) -> None:
    items = "/api/collections/lots/items"
    assert client.get(f"{items}?f=html&f=json").status_code == 400
    assert client.get(f"{items}?f=html&limit=x").status_code == 400
    assert client.get(f"{items}?f=html&nothing=1").status_code == 400
    assert client.get(f"{items}/nope?f=html").status_code == 404
    assert client.get("/api/collections/nope?f=html").status_code == 404
    assert client.get("/api/conformance?f=HTML").status_code == 400
    assert client.head("/api?f=html").data == b""
    assert client.get(items, headers={"Accept": "image/png"}).status_code == 406


def test_pages_work_behind_a_prefix(city: City) -> None:
    from dataclasses import replace

    from gisservice.web import wsgi_app

    client = Client(wsgi_app(replace(city.settings, public_url="https://maps.example.gov/gis")))
    answer = client.get("/api/collections/lots/items?limit=2&f=html", base_url="https://maps.example.gov")
    page = Page(answer.get_data(as_text=True))
    for attributes in page.all("a", "link"):
        href = attributes["href"] or ""
        assert href.startswith(
            ("https://maps.example.gov/gis/", "/gis/", "#", "https://", "http://www.opengis", "mailto:")
        ), href
    assert "GET https://maps.example.gov/gis/api/collections/lots/items?limit=2" in page.text


def test_a_table_is_bounded_and_says_so(feature_city: FeatureCity, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(htmlapi, "TABLE_ROWS_MAX", 90)
    monkeypatch.setattr(htmlapi.Shown, "rows_max", 90)
    url, seen = "/api/collections/permits/items?limit=10000&sortby=-fee&f=html", []
    for rows in (90, 90, 60):
        page = feature_city.get(url).text
        ids = re.findall(r'<th scope="row"><a href="[^"]*">([^<]*)</a>', page)
        assert len(ids) == rows
        assert ("A table has 90 items at most" in page) == (not seen)  # its links ask for no more
        assert "limit=10000" in page or seen  # what was asked for leads to the JSON of all
        seen += ids
        following = re.search(r'href="([^"]*)" rel="next"', page)
        url = following[1].replace("&amp;", "&") if following else ""
    assert seen == feature_city.ids("permits", "sortby=-fee&limit=10000") and not url
    assert "items at most" not in feature_city.get("/api/collections/permits/items?f=html&limit=90").text
    monkeypatch.setattr(htmlapi, "TABLE_ROWS_MAX", 1000)
    for query in ("limit=0", "limit=0001001", "limit=2000&limit=2000", "limit=%D9%A3"):
        assert feature_city.get(f"/api/collections/permits/items?f=html&{query}").status_code == 400
