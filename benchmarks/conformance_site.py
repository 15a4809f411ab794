"""What the abstract tests of a standard are asked of: a server at an address, and the data that it serves."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlencode, urljoin

import geopandas
import shapely

FEATURES_1 = "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf"
FEATURES_2 = "http://www.opengis.net/spec/ogcapi-features-2/1.0/conf"
FEATURES_3 = "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf"
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
EPSG = "http://www.opengis.net/def/crs/EPSG/0"
BOX = (-77.06, 38.815, -77.05, 38.82)
"""Where pages and walks are compared: some hundred parcels."""


_HYPHENED = {name: name.replace("_", "-") for name in ("bbox_crs", "filter_lang", "filter_crs")}


class NotAsked(Exception):
    """The server does not have what the test is about; the standard does not demand it."""


@dataclass(frozen=True)
class Reply:
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def media(self) -> str:
        """The media type without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip()

    @property
    def document(self) -> Any:
        """The body as strict JSON."""
        return json.loads(self.body, parse_constant=lambda name: expect(False, f"{name} is no JSON"))


@dataclass
class Site:
    """A server: its landing page, the collection that has the parcels, and what the parcels are."""

    name: str
    landing: str
    layer: str
    frame: geopandas.GeoDataFrame
    """The parcels in degrees, indexed by id."""
    found: dict[str, str] = field(default_factory=dict)
    """Tests that failed, or were not asked, and why."""

    def get(self, address: str, accept: str = "application/json", **query: str) -> Reply:
        """Ask; an address is absolute or begins below the landing page."""
        url = address if "://" in address else self.landing.rstrip("/") + address
        if query:
            url += ("&" if "?" in url else "?") + urlencode(
                {_HYPHENED.get(name, name): value for name, value in query.items()}
            )
        request = urllib.request.Request(url, headers={"Accept": accept})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return Reply(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read())
        except urllib.error.HTTPError as exc:
            return Reply(exc.code, {k.lower(): v for k, v in exc.headers.items()}, exc.read())

    def ok(self, address: str, accept: str = "application/json", **query: str) -> Any:
        """Return the JSON of an answer that is to be 200."""
        reply = self.get(address, accept, **query)
        expect(reply.status == 200, f"{address} answers {reply.status}")
        return reply.document

    @cached_property
    def home(self) -> Any:
        """The landing page."""
        return self.ok(self.landing)

    @cached_property
    def declared(self) -> set[str]:
        """The conformance classes that it declares."""
        return set(self.ok("/conformance")["conformsTo"])

    @cached_property
    def described(self) -> Any:
        """The description of the collection."""
        return self.ok(f"/collections/{self.layer}")

    @cached_property
    def definition(self) -> Any:
        """The OpenAPI document, with all references followed."""
        (address, *_) = [link["href"] for link in self.home["links"] if link["rel"] == "service-desc"]
        return self.ok(urljoin(self.landing, address), "application/vnd.oai.openapi+json;version=3.0, application/json")

    @property
    def items(self) -> str:
        """The path of the items."""
        return f"/collections/{self.layer}/items"

    def page(self, **query: str) -> Any:
        """Return a page of items."""
        return self.ok(self.items, "application/geo+json, application/json;q=0.9", **query)

    def inside(self, box: tuple[float, ...]) -> set[str]:
        """Return the ids of the parcels that meet a box."""
        return set(self.frame.index[self.frame.intersects(shapely.box(*box))])

    def walk(self, **query: str) -> list[Any]:
        """Return the items of a query, page after page."""
        document = self.page(**query)
        items = list(document["features"])
        for _ in range(100):
            following = [link["href"] for link in document["links"] if link["rel"] == "next"]
            if not following:
                return items
            document = self.ok(following[0], "application/geo+json, application/json;q=0.9")
            items += document["features"]
        raise AssertionError("a walk does not end")

    def parameter(self, name: str) -> Any:
        """Return what the definition says of a parameter of the items."""
        paths = [path for path in self.definition["paths"] if path.endswith(self.items)]
        paths = paths or [path for path in self.definition["paths"] if re.search(r"/collections/{[^}]+}/items$", path)]
        expect(bool(paths), "the definition has no path of the items")
        operation = self.definition["paths"][paths[0]]["get"]
        for entry in operation.get("parameters", []):
            reference = entry.get("$ref", "")
            if ".yaml" in reference and not re.search(rf"/{re.escape(name)}(\.yaml)?$", reference):
                continue
            found = self.resolved(entry)
            if found.get("name") == name and found.get("in") == "query":
                return found
        raise AssertionError(f"the definition of the items has no parameter {name}")

    def resolved(self, entry: Any) -> Any:
        """Return what a reference in the definition stands for, also one into the standard's own components."""
        if "$ref" not in entry:
            return entry
        address, _, place = entry["$ref"].partition("#")
        document = self.definition
        if address:
            if address.endswith((".yaml", ".yml")):
                raise NotAsked(f"defined elsewhere: {address}")
            document = self.ok(urljoin(self.landing, address))
        for step in place.strip("/").split("/"):
            document = document[step]
        return self.resolved(document)


def expect(condition: bool, message: str) -> None:
    """Fail a test with a message."""
    if not condition:
        raise AssertionError(message)


Test = Callable[[Site], None]
TESTS: list[tuple[str, str, Test]] = []
"""Conformance class, identifier, test."""


def test(*names: str, of: str = f"{FEATURES_1}/core") -> Callable[[Test], Test]:
    """Register a function as abstract tests of a class."""

    def register(function: Test) -> Test:
        TESTS.extend((of, f"/conf/{of.rpartition('/')[2]}/{name}", function) for name in names)
        return function

    return register


def rels(document: Any) -> set[str]:
    """Return the relations of the links of a document."""
    return {link["rel"] for link in document["links"]}


def box_text(box: tuple[float, ...]) -> str:
    """Return a box as a query has it."""
    return ",".join(repr(float(value)) for value in box)


def is_form(site: Site, name: str) -> Any:
    found = site.parameter(name)
    expect(not found.get("required", False), "it is required")
    expect(found.get("style", "form") == "form" and found.get("explode") is False, "it is not form, explode false")
    return found
