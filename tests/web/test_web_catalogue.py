"""The catalogue in the forms of harvesters, feed readers and search engines, against the tables of their standards."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import geopandas
import orjson
import pytest
from feature_city import FeatureCity
from jsonschema import Draft202012Validator, FormatChecker
from web_city import City, lots_frame, publish
from werkzeug.test import Client

from gisservice.catalog import load_registry
from gisservice.errors import PublishError, RegistryError
from gisservice.web import wsgi_app
from gisservice.web.catalogue import contact_of, licence_of

TEXT = {"type": "string", "minLength": 1}
IRI = {"type": "string", "pattern": r"^https?://\S+$"}
INSTANT = {
    "type": "string",
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|\+00:00)$",
}
MAIL = {"type": "string", "pattern": r"^mailto:[^@\s]+@[^@\s]+$"}
MEDIA = {"type": "string", "pattern": r"^[-\w]+/[-\w]+(\.[-\w]+)*([+][-\w]+)?$"}


def an_object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    """The schema of an object that has these members and may have those, and no others."""
    known = {"@type": TEXT, **required, **(optional or {})}
    return {"type": "object", "required": list(required), "properties": known, "additionalProperties": False}


def some(of: dict[str, Any], least: int = 1) -> dict[str, Any]:
    return {"type": "array", "items": of, "minItems": least}


POD_DISTRIBUTION = {
    **an_object(
        {"title": TEXT},
        {"downloadURL": IRI, "accessURL": IRI, "mediaType": MEDIA, "format": TEXT, "conformsTo": IRI},
    ),
    "oneOf": [{"required": ["downloadURL", "mediaType"]}, {"required": ["accessURL"]}],
}
POD_CONTACT = an_object({"fn": TEXT, "hasEmail": MAIL})
POD = an_object(
    {
        "conformsTo": {"const": "https://project-open-data.cio.gov/v1.1/schema"},
        "dataset": {
            "type": "array",
            "items": an_object(
                {
                    "title": TEXT,
                    "description": TEXT,
                    "keyword": some(TEXT),
                    "modified": INSTANT,
                    "publisher": an_object({"name": TEXT}),
                    "contactPoint": POD_CONTACT,
                    "identifier": TEXT,
                    "accessLevel": {"enum": ["public", "restricted public", "non-public"]},
                },
                {
                    "@type": {"const": "dcat:Dataset"},
                    "accrualPeriodicity": {"type": "string", "pattern": r"^(irregular|R/P[0-9]+[DWMY])$"},
                    "describedBy": IRI,
                    "describedByType": MEDIA,
                    "distribution": some(POD_DISTRIBUTION, 0),
                    "landingPage": IRI,
                    "language": some({"type": "string", "pattern": "^[a-z]{2}(-[A-Z]{2})?$"}),
                    "license": IRI,
                    "rights": TEXT | {"maxLength": 255},
                    "spatial": TEXT,
                    "temporal": {"type": "string", "pattern": r"^[0-9TZ:-]+/[0-9TZ:-]+$"},
                },
            ),
        },
    },
    {"@context": IRI, "@id": IRI, "describedBy": IRI},
)
"""The field tables of the Project Open Data schema v1.1: required, and required if applicable."""

KIND = an_object({"fn": TEXT, "hasEmail": MAIL})
ORGANIZATION = an_object({"name": TEXT, "prefLabel": TEXT})
DATE = {"type": "string", "format": "date-time"}
DISTRIBUTION = an_object(
    {"title": TEXT},
    {
        "downloadURL": IRI,
        "accessURL": IRI,
        "mediaType": IRI,
        "modified": DATE,
        "byteSize": {"type": "string", "pattern": "^[0-9]+$"},
        "checksum": an_object({"algorithm": IRI, "checksumValue": {"type": "string", "pattern": "^[0-9a-f]{64}$"}}),
        "conformsTo": some(IRI),
        "license": {"oneOf": [IRI, an_object({"licenseText": TEXT})]},
    },
)
EDGE = {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}
EDGES = dict.fromkeys(
    ("westBoundingLongitude", "southBoundingLatitude", "eastBoundingLongitude", "northBoundingLatitude"), EDGE
)
DCAT = an_object(
    {
        "title": TEXT,
        "description": TEXT,
        "publisher": ORGANIZATION,
        "dataset": {
            "type": "array",
            "items": an_object(
                {"title": TEXT, "description": TEXT, "publisher": ORGANIZATION},
                {
                    "@id": IRI,
                    "identifier": some(TEXT),
                    "keywordMap": {"type": "object", "additionalProperties": some(TEXT)},
                    "modified": DATE,
                    "version": TEXT,
                    "language": some(IRI),
                    "landingPage": IRI,
                    "contactPoint": some(KIND),
                    "describedBy": DISTRIBUTION,
                    "distribution": some(DISTRIBUTION, 0),
                    "geographicBoundingBox": some(an_object(EDGES)),
                    "temporal": some(an_object({"startDate": DATE, "endDate": DATE})),
                    "accrualPeriodicity": IRI,
                },
            ),
        },
    },
    {
        "@context": IRI,
        "@id": IRI,
        "homepage": IRI,
        "language": some(IRI),
        "modified": DATE,
        "service": some(
            an_object(
                {
                    "title": TEXT,
                    "endpointURL": some(IRI),
                    "contactPoint": some(KIND),
                    "publisher": an_object({"name": TEXT}),
                },
                {"@id": IRI, "endpointDescription": some(IRI), "conformsTo": some(IRI), "servesDataset": some(IRI)},
            )
        ),
    },
)
"""The JSON Schema definitions of DCAT-US 3.0, of the classes and properties that we use."""


def check(document: object, schema: dict[str, Any]) -> None:
    errors = Draft202012Validator(schema, format_checker=FormatChecker()).iter_errors(document)
    assert [f"{error.json_path}: {error.message[:200]}" for error in errors] == []


def test_data_json_keeps_to_the_tables_of_project_open_data(client: Client, feature_city: FeatureCity) -> None:
    check(client.get("/data.json").get_json(), POD)
    without_contact = feature_city.get("/data.json").get_json()
    for dataset in without_contact["dataset"]:  # nobody is made up: the city of this test names no address
        assert dataset["contactPoint"] == {"@type": "vcard:Contact", "fn": "Featureville"}
        dataset["contactPoint"]["hasEmail"] = "mailto:gis@example.org"
    check(without_contact, POD)
    by_id = {dataset["identifier"].rsplit("/", 1)[1]: dataset for dataset in without_contact["dataset"]}
    assert by_id["permits"]["temporal"] == "2024-01-01T00:00:00Z/2024-08-27T23:59:59Z"
    assert "temporal" not in by_id["streets"]


def test_catalog_json_keeps_to_the_definitions_of_dcat_us_3(client: Client, feature_city: FeatureCity) -> None:
    document = client.get("/catalog.json").get_json()
    check(document, DCAT)
    (service,) = document["service"]
    assert service["endpointURL"] == ["http://localhost/api"]
    without_contact = feature_city.get("/catalog.json").get_json()
    check(without_contact, DCAT)
    assert "service" not in without_contact  # which would need a contact


@pytest.mark.parametrize("url", ["/catalog.json", "/data.json"])
def test_a_catalogue_says_what_the_manifests_say(client: Client, city: City, url: str) -> None:
    listed = {found["landingPage"].rsplit("/", 1)[1]: found for found in client.get(url).get_json()["dataset"]}
    assert set(listed) == set(city.catalog.ids()) == {"lots", "places", "relief"}
    for name, found in listed.items():
        manifest = city.catalog.collection(name).manifest
        edges = [float(edge) for edge in re.findall(r"-?[0-9.]+", str(found.get("spatial", "")))]
        if "geographicBoundingBox" in found:
            edges = [float(found["geographicBoundingBox"][0][edge]) for edge in EDGES]
        assert edges == list(manifest.extent.bbox)
    lots = listed["lots"]
    assert lots["title"] == "Lots"
    assert len(lots["distribution"]) == 13 + 3  # seven forms, six of them twice; items, TileJSON, the archive
    titles = [found["title"] for found in listed["relief"]["distribution"]]
    assert titles == [
        "GeoTIFF, cloud-optimised, in EPSG:2283", "Map tiles (TileJSON)", "Map tiles through OGC WMTS",
    ]  # fmt: skip


@pytest.mark.parametrize("url", ["/catalog.json", "/data.json"])
def test_every_address_in_a_catalogue_answers_as_its_type(client: Client, url: str) -> None:
    for dataset in client.get(url).get_json()["dataset"]:
        for found in [*dataset["distribution"], dataset]:
            for name in ("downloadURL", "accessURL", "landingPage", "describedBy", "identifier"):
                address = found.get(name, "")
                if not isinstance(address, str) or not address:
                    continue
                answer = client.get(address.removeprefix("http://localhost"))
                assert answer.status_code == 200, address
                if name == "downloadURL":
                    media = found["mediaType"].removeprefix("https://www.iana.org/assignments/media-types/")
                    assert answer.mimetype == media
                    assert "byteSize" not in found or int(found["byteSize"]) == len(answer.data)


def test_contacts_and_licences_are_read_from_the_registry_or_left_out() -> None:
    assert contact_of("GIS, call 311", "", "Town") == contact_of("GIS, call 311", "no address", "Town")
    assert (contact_of("", "ask gis@example.org", "Town").name, contact_of("", "", "Town").email) == ("Town", None)
    assert contact_of("A <a.b+c@d-e.example.org>", "", "Town").email == "a.b+c@d-e.example.org"
    assert licence_of("CC-BY-4.0").url == "https://creativecommons.org/licenses/by/4.0/"
    assert licence_of("https://example.org/terms").url == "https://example.org/terms"
    assert (licence_of("As is, for public use").url, licence_of("As is").spdx, licence_of("").url) == (None, None, None)


def test_catalogues_change_when_a_layer_does(own_city: City) -> None:
    client = Client(wsgi_app(own_city.settings))
    tags = {url: client.get(url).headers["ETag"] for url in ("/catalog.json", "/data.json", "/feed.xml")}
    for url, tag in tags.items():
        assert client.get(url, headers={"If-None-Match": tag}).status_code == 304
    publish(own_city.catalog, lots_frame(30), "lots")
    for url, tag in tags.items():
        assert client.get(url, headers={"If-None-Match": tag}).status_code == 200


def test_the_feed_is_rss_of_all_publications_newest_first(own_city: City) -> None:
    publish(own_city.catalog, lots_frame(30), "lots")
    client = Client(wsgi_app(own_city.settings))
    answer = client.get("/feed.xml")
    assert answer.mimetype == "application/rss+xml"
    root = ElementTree.fromstring(answer.data)
    assert (root.tag, root.get("version")) == ("rss", "2.0")
    channel = root.find("channel")
    assert all(channel.findtext(name) for name in ("title", "link", "description", "lastBuildDate"))
    items = channel.findall("item")
    kept = [version for name in own_city.catalog.ids() for version in own_city.catalog.versions(name)]
    assert len(items) == len(kept) == 4
    times = [parsedate_to_datetime(item.findtext("pubDate")) for item in items]
    assert times == sorted(times, reverse=True)
    assert len({item.findtext("guid") for item in items}) == 4
    assert all(client.get(item.findtext("link").removeprefix("http://localhost")).status_code == 200 for item in items)
    assert items[0].findtext("title").startswith("Lots")
    assert "30 records" in items[0].findtext("description")


class Page(HTMLParser):
    """What a browser takes of a page: its links in the head, and the texts of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[dict[str, str | None]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self._open = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open = tag == "script"
        if tag == "link":
            self.links.append(dict(attrs))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self._open:
            attributes, text = self.scripts[-1]
            self.scripts[-1] = attributes, text + data

    def handle_endtag(self, tag: str) -> None:
        self._open = False

    @property
    def structured(self) -> dict[str, Any]:
        (found,) = [text for attributes, text in self.scripts if attributes.get("type") == "application/ld+json"]
        return orjson.loads(found)


def test_pages_carry_what_search_engines_read(client: Client, city: City) -> None:
    home = Page(client.get("/").get_data(as_text=True)).structured
    assert (home["@context"], home["@type"]) == ("https://schema.org/", "DataCatalog")
    assert [entry["name"] for entry in home["dataset"]] == ["Lots", "Places", "Relief"]
    for entry in home["dataset"]:
        assert entry["@type"] == "Dataset" and entry["description"]
        layer = Page(client.get(entry["url"].removeprefix("http://localhost")).get_data(as_text=True)).structured
        assert (layer["@type"], layer["@id"], layer["name"]) == ("Dataset", entry["@id"], entry["name"])
    lots = Page(client.get("/layers/lots").get_data(as_text=True)).structured
    west, south, east, north = city.catalog.collection("lots").manifest.extent.bbox
    assert lots["spatialCoverage"]["geo"]["box"] == f"{south} {west} {north} {east}"
    assert lots["license"] == "https://example.org/licence"
    assert [entry["name"] for entry in lots["variableMeasured"]] == ["pid", "zoning", "area"]
    assert all(entry["@type"] == "DataDownload" and entry["contentUrl"] for entry in lots["distribution"])


HOSTILE = "</script><script>alert(1)</script><!-- \"' {{7919*7927}} & \u2028 ]]> \x00"


@pytest.fixture
def hostile(own_city: City) -> Client:
    """A city whose registry and data try to break out of whatever they are written into."""
    frame: geopandas.GeoDataFrame = lots_frame(10)
    frame["zoning"] = HOSTILE
    publish(own_city.catalog, frame, "lots")
    client = Client(wsgi_app(own_city.settings))
    text = HOSTILE.replace("\x00", "")
    collection = client.application._service.catalog.collection("lots")
    columns = tuple(replace(column, meaning=text) for column in collection.manifest.columns)
    layer = replace(collection.layer, title=text, description=text, steward=text, licence=text)
    collection.manifest = replace(collection.manifest, layer=layer, columns=columns)
    return client


def test_nothing_of_the_data_breaks_out(hostile: Client) -> None:
    text = HOSTILE.replace("\x00", "")
    for url in ("/", "/layers/lots"):
        page = Page(hostile.get(url).get_data(as_text=True))
        found = page.structured.get("dataset", [page.structured])[0]
        assert (found["name"], found["description"]) == (text, text)
        assert "alert(1)" not in "".join(t for a, t in page.scripts if a.get("type") != "application/ld+json" and not a)
    for url in ("/api", "/api/collections", "/api/collections/lots", "/api/collections/lots/items",
                "/api/collections/lots/schema", "/api/collections/lots/dictionary", "/api/collections/catalog/items",
                "/api/collections/catalog/items/lots", "/api/collections/catalog", "/api/docs"):  # fmt: skip
        answer = hostile.get(url, headers={"Accept": "text/html"})
        assert answer.mimetype == "text/html"
        assert [a.get("type") or a.get("src") for a, _ in Page(answer.get_data(as_text=True)).scripts] in (
            [], [None], ["/static/vendor/swagger-ui.js", "module"],
        )  # fmt: skip
        assert "62773913" not in answer.get_data(as_text=True)
    feed = ElementTree.fromstring(hostile.get("/feed.xml").data)
    assert any(text in (item.findtext("title") or "") for item in feed.iter("item"))
    rows = list(csv.reader(io.StringIO(hostile.get("/api/collections/lots/dictionary?f=csv").get_data(as_text=True))))
    assert [row[3] for row in rows[1:]] == [text] * 3


def test_pages_lead_to_the_feed_and_the_catalogue(client: Client) -> None:
    for url in ("/", "/layers/lots", "/maps/city", "/api?f=html", "/api/docs", "/api/collections/lots/items?f=html"):
        links = {link["rel"]: link for link in Page(client.get(url).get_data(as_text=True)).links}
        assert client.get(links["http://www.opengis.net/def/rel/ogc/1.0/ogc-catalog"]["href"]).status_code == 200
        alternates = [link for link in Page(client.get(url).get_data(as_text=True)).links if link["rel"] == "alternate"]
        feed = next(link for link in alternates if link["type"] == "application/rss+xml")
        assert client.get(feed["href"]).mimetype == "application/rss+xml"


def test_the_data_dictionary_is_the_registry(feature_city: FeatureCity) -> None:
    url = "/api/collections/permits/dictionary"
    document = feature_city.get(url).get_json()
    columns = feature_city.catalog.collection("permits").manifest.columns
    assert [column["name"] for column in document["columns"]] == [column.name for column in columns]
    assert document["idColumn"] == "number"
    state = document["columns"][1]
    assert [entry["code"] for entry in state["codes"]] == [code for code, _ in columns[1].codes]
    for answer in (feature_city.get(f"{url}?f=csv"), feature_city.get(url, headers={"Accept": "text/csv"})):
        assert answer.content_type == "text/csv; charset=utf-8; header=present"
        rows = list(csv.DictReader(io.StringIO(answer.get_data(as_text=True))))
        assert len(rows) == len(columns) + 2  # three codes of one column
        assert {row["column"] for row in rows if row["identifies"] == "yes"} == {"number"}
        assert [row["code_meaning"] for row in rows if row["column"] == "state"] == [m for _, m in columns[1].codes]
        assert {row["unit"] for row in rows if row["column"] == "height"} == {"foot"}
    assert feature_city.get(f"{url}?f=xml").status_code == 400
    assert feature_city.get(url, headers={"Accept": "image/png"}).status_code == 406


def test_a_raster_has_no_dictionary(client: Client) -> None:
    assert client.get("/api/collections/relief/dictionary").status_code == 404


def test_no_layer_may_be_called_catalog(own_city: City) -> None:
    registry = own_city.settings.registry
    registry.write_text(registry.read_text().replace("[layers.unpublished]", "[layers.catalog]"))
    with pytest.raises(RegistryError, match="'catalog' is the collection that lists all layers"):
        load_registry(registry)
    with pytest.raises(PublishError, match="lists all layers"), own_city.catalog.stage("catalog"):
        pass
