"""Every resource of the API as a page: made of the JSON that it answers, by one template.

A page is asked for by ``f=html`` or by an Accept header that likes HTML best. The answering function of the resource
is asked for its JSON as any program would ask, and that is shown: so a page cannot say anything else than the JSON.
Nothing runs in such a page; its policy allows no script at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlencode

import orjson

from gisservice.maps.contexts import Site
from gisservice.model import RESERVED_ID, Layer
from gisservice.web import features, negotiation, pagetext, params
from gisservice.web.exchange import Answer, Offer, Request
from gisservice.web.itemformats import ITEM_FORMATS, PAGE_FORMATS
from gisservice.web.links import HTML
from gisservice.web.params import Parameter
from gisservice.web.responses import PAGE
from gisservice.web.service import Service
from gisservice.web.streams import Stream

POLICY = (
    "Content-Security-Policy",
    "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'; style-src 'self'; img-src 'self'",
)
"""Of a page without scripts: our style sheet and icon, and nothing else."""

TABLE_ROWS_MAX = 1_000
"""Items in a table. Its bytes are many times those of the JSON, and so is the time that a browser takes for them."""

Handler = Callable[..., Answer]

_FORM = re.compile(r"(?:^|(?<=&))f=([^&]*)(?:&|$)")
_NUMBER = re.compile(r"[1-9][0-9]*", re.ASCII)
_WITHOUT_GEOMETRY = "skipGeometry=true"
_ITEMS_PATH = re.compile(r"/api/collections/([a-z0-9_-]{1,64})/items", re.ASCII)


class Readable:
    """An answering function whose JSON can be had as a page, too.

    ``media`` are the types that the function itself offers, the default first; ``summary`` is what the resource is.
    ``page`` answers in place of the page that would be made of the JSON.
    """

    def __init__(self, handler: Handler, media: Iterable[str], summary: str, page: Handler | None = None) -> None:
        self.handler = handler
        self.page = page
        self.media = tuple(media)
        self.summary = summary

    def __call__(self, service: Service, request: Request, **path: str) -> Answer:
        """Answer as a page where that is asked for, else as the function does."""
        query, accept = request.query, request.environ.get("HTTP_ACCEPT", "")
        forms = _FORM.findall(query) if "f=" in query else []
        if len(forms) == 1 and forms[0] == "html":
            return self._page(service, request, path)
        if len(forms) == 1:  # 'f' decides alone
            return self.handler(service, _changed(request, HTTP_ACCEPT=""), **path)
        if not forms and "html" in accept and negotiation.media_type(accept, (*self.media, HTML)) == HTML:
            return self._page(service, request, path)
        return self.handler(service, request, **path)

    def _page(self, service: Service, request: Request, path: dict[str, str]) -> Answer:
        if self.page is not None:
            return self.page(service, request, **path)
        query = _FORM.sub("", request.query, count=1).rstrip("&")
        asked, bounded = _for_a_table(service, query) if _is_items(request.path) else (query, False)
        plain = {"QUERY_STRING": asked, "HTTP_ACCEPT": "", "HTTP_ACCEPT_ENCODING": "", "HTTP_IF_NONE_MATCH": ""}
        if request.environ.get("HTTP_IF_NONE_MATCH"):  # its tag is known before any data is read
            known = self.handler(service, _changed(request, **plain | {"HTTP_IF_NONE_MATCH": "*"}), **path)
            if unchanged := _offer(service, request, known).unchanged():
                return unchanged
        answer = self.handler(service, _changed(request, **plain), **path)
        with _held(answer) as content:
            document = orjson.loads(content)
            with _turn(service, answer, document):
                layer = _layer(service, request)
                shown = Shown(request, document, self.summary, query, layer, _WITHOUT_GEOMETRY in asked, bounded)
                return _offer(service, request, answer).send(_render(service, shown).encode())


@contextmanager
def _held(answer: Answer) -> Iterator[bytes]:
    """Give the body of an answer; a large page keeps its place among those until the ``with`` block ends."""
    if not isinstance(answer.body, Stream):
        yield answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
        return
    try:
        yield answer.body.whole()
    finally:
        answer.body.close()


def _turn(service: Service, answer: Answer, document: Any) -> AbstractContextManager[None]:
    """Return a turn at work that takes time, for a table of many items; a large page has a place already."""
    few = not isinstance(document, dict) or len(document.get("features", ())) <= features.PAGE_ANEW_ROWS
    return nullcontext() if few or isinstance(answer.body, Stream) else service.selections.passed()


def _changed(request: Request, **environ: str) -> Request:
    """Return the same request with other headers or another query."""
    changed = Request({**request.environ, **environ})
    changed.address, changed.base = request.address, request.base
    return changed


def _is_items(path: str) -> bool:
    found = _ITEMS_PATH.fullmatch(path)
    return found is not None and found[1] != RESERVED_ID


def _for_a_table(service: Service, query: str) -> tuple[str, bool]:
    """Return the query for the items of a table, and whether it asks for fewer of them than the request did.

    A table has no room for geometries, and a browser takes seconds for one of very many rows.
    """
    given = params.pairs(query)
    names = [name for name, _ in given]
    limit = dict(given).get("limit", str(service.settings.items_limit))
    is_number = _NUMBER.fullmatch(limit) is not None and names.count("limit") < 2
    bounded = is_number and (len(limit) > 18 or int(limit) > TABLE_ROWS_MAX)
    if bounded:
        query = urlencode([*(pair for pair in given if pair[0] != "limit"), ("limit", str(TABLE_ROWS_MAX))])
    if "skipGeometry" not in names and "resulttype" not in names:
        query = f"{query}&{_WITHOUT_GEOMETRY}" if query else _WITHOUT_GEOMETRY
    return query, bounded


def _offer(service: Service, request: Request, answer: Answer) -> Offer:
    """Return the page's representation: its tag is made of that of the JSON, and what frames it."""
    tags = [value for name, value in answer.headers if name == "ETag"]
    frame = (service.edition, service.assets["css/site.css"].path, pagetext.TEMPLATES_DIGEST)
    offer = Offer.make(request, PAGE, ("page", request.query, *tags, *frame))
    offer = offer.under(POLICY)
    return offer if tags else offer.unrepeatable()


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page shows: the JSON, and the request that it answers. ``query`` is the request's, without the form."""

    request: Request
    document: Any
    summary: str
    query: str
    layer: Layer | None
    """The layer that the address is about."""
    added: bool = False
    """Whether the JSON was asked for without geometries, which the request did not say."""
    bounded: bool = False
    """Whether it was asked for with fewer items than the request said."""
    rows_max = TABLE_ROWS_MAX

    @property
    def name(self) -> str:
        """The template's name for the kind of resource it is."""
        kind = self.document.get("type") if isinstance(self.document, dict) else None
        return {"FeatureCollection": "items", "Feature": "item"}.get(str(kind), "resource")

    def address(self, form: str = "") -> str:
        """Return the address of this very resource, in a format."""
        query = "&".join(part for part in (self.query, f"f={form}" if form else "") if part)
        return self.request.address + "/".join(["", *self._steps]) + (f"?{query}" if query else "")

    @property
    def _steps(self) -> list[str]:
        """The parts of the path as they stand in addresses; the id of an item is one, whatever it holds."""
        path = self.request.path.encode("latin-1").decode("utf-8", "replace").lstrip("/")
        head, items, item_id = path.partition("/items/")
        return [
            *(quote(step) for step in (head + items).strip("/").split("/")),
            *([quote(item_id, safe="")] if item_id else []),
        ]

    @property
    def place(self) -> str:
        """The address without a query: items are below it."""
        return self.address().partition("?")[0]

    @property
    def title(self) -> str:
        """What the resource calls itself, else the layer's title, else what the resource is."""
        document = self.document if isinstance(self.document, dict) else {}
        if document.get("type") == "Feature":
            named = (document.get("properties") or {}).get("title", document["id"])
            return f"{self.layer.title}: {document['id']}" if self.layer else str(named)
        found = document.get("title") or (self.layer.title if self.layer else None) or document.get("id")
        return str(found or self.summary)

    @property
    def trail(self) -> list[tuple[str, str]]:
        """The way down from the API's landing page to this one: what each step is called, and its address."""
        paths = ["/" + "/".join(self._steps[: place + 1]) for place in range(len(self._steps))]
        steps = [("API" if path == "/api" else unquote(path.rpartition("/")[2]), path) for path in paths]
        name, path = steps[-1]
        return [*steps[:-1], (name, f"{path}?{self.query}" if self.query else path)]

    @property
    def links(self) -> list[dict[str, Any]]:
        """The links of the document but those to itself; the pages before and after it stay pages."""
        found = self.document.get("links", []) if isinstance(self.document, dict) else []
        return [self._followed(one) for one in found if one.get("rel") != "self" and not self._is_here(one)]

    def _is_here(self, one: dict[str, Any]) -> bool:
        path = one["href"].partition("?")[0]
        return one.get("type") == HTML and path == self.place

    def _followed(self, one: dict[str, Any]) -> dict[str, Any]:
        head, mark, query = one["href"].partition("?")
        parts = [part for part in query.split("&") if not (self.added and part == _WITHOUT_GEOMETRY)]
        if one.get("rel") in ("next", "prev"):
            parts.append("f=html")
        return {**one, "href": head + mark + "&".join(parts)}


def _render(service: Service, shown: Shown) -> str:
    """Return the page."""
    request = shown.request
    site = Site(service.registry.city, service.assets, "", request.base, request.address)
    return pagetext.render(shown.name, page=shown, document=shown.document, site=site)


def _layer(service: Service, request: Request) -> Layer | None:
    """Return the layer that an address is about; the answer was made, so it is there."""
    found = _COLLECTION.match(request.path)
    if found is None or found[1] == RESERVED_ID:
        return None
    return service.catalog.collection(found[1]).layer


_COLLECTION = re.compile(r"/api/collections/([a-z0-9_-]{1,64})(?:/|$)", re.ASCII)

FORMS = tuple(
    Parameter("f", "The format of the answer, instead of the Accept header.", {"type": "string", "enum": names})
    for names in ([*(entry.name for entry in formats), "html"] for formats in (PAGE_FORMATS, ITEM_FORMATS))
)
"""The parameter ``f`` of a page of items, and of one item."""

items = Readable(features.items, (m for e in PAGE_FORMATS for m in (e.media, *e.also)), "Items, page by page")
item = Readable(features.item, (m for e in ITEM_FORMATS for m in (e.media, *e.also)), "One item")
