"""ArcGIS REST: pages until the server says there are no more, against a small server on this machine."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
import shapely
from ingest_sources import SOUTH, STATE_PLANE, WEST, column, layer

from gisservice import crs
from gisservice.errors import SourceError
from gisservice.ingest import arcgis, ingest_layer, read
from gisservice.model import Source, Visibility

PATH = "/arcgis/rest/services/Lots/FeatureServer/0"
DECLARED = (
    column("oid", "integer", source="OBJECTID"),
    column("zone", source="Zoning"),
    column("seen", "datetime", source="SEEN"),
    column("owner", source="OWN_NAME", visibility=Visibility.NEVER),
)


class FakeLayer:
    """What the server answers; tests change its parts."""

    def __init__(self) -> None:
        self.count = 25
        self.page = 10
        self.stated: int | None = None
        self.asked: list[dict[str, str]] = []
        self.answer: dict[str, bytes | dict | tuple[int, bytes]] = {}
        self.fields = [("OBJECTID", "OID"), ("Zoning", "String"), ("SEEN", "Date"), ("OWN_NAME", "String")]

    def about(self) -> dict:
        return {
            "name": "Lots",
            "geometryType": "esriGeometryPolygon",
            "objectIdField": "OBJECTID",
            "maxRecordCount": self.page,
            "fields": [{"name": name, "type": f"esriFieldType{kind}"} for name, kind in self.fields],
        }

    def query(self, asked: dict[str, str]) -> dict:
        if asked.get("returnCountOnly") == "true":
            return {"count": self.count if self.stated is None else self.stated}
        first = int(asked["resultOffset"])
        last = min(first + min(self.page, int(asked["resultRecordCount"])), self.count)
        wanted = [name for name, _ in self.fields if asked["outFields"] == "*" or name in asked["outFields"].split(",")]
        page = {
            "objectIdFieldName": "OBJECTID",
            "geometryType": "esriGeometryPolygon",
            "spatialReference": {"wkid": 102746, "latestWkid": 2283},
            "fields": [{"name": n, "type": f"esriFieldType{k}"} for n, k in self.fields if n in wanted],
            "features": [self.feature(n, wanted) for n in range(first, last)],
        }
        return page | ({"exceededTransferLimit": True} if last < self.count else {})

    def feature(self, n: int, wanted: list[str]) -> dict:
        values = {"OBJECTID": n + 1, "Zoning": f"Z{n % 3}", "SEEN": 1_700_000_000_000, "OWN_NAME": "Secret Person"}
        box = shapely.box(WEST + 100 * n, SOUTH, WEST + 100 * n + 100, SOUTH + 100)
        ring = list(shapely.get_coordinates(shapely.orient_polygons(box, exterior_cw=True)).tolist())
        return {"attributes": {name: values[name] for name in wanted}, "geometry": {"rings": [ring]}}


@contextmanager
def serving(fake: FakeLayer):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            asked = {key: values[0] for key, values in parse_qs(url.query).items()}
            fake.asked.append({"path": url.path, **asked})
            kind = "about" if url.path == PATH else "count" if "returnCountOnly" in asked else "page"
            answer = fake.answer.get(kind)
            if answer is None:
                answer = fake.about() if kind == "about" else fake.query(asked)
            status, body = answer if isinstance(answer, tuple) else (200, answer)
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", body.decode())
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{PATH}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def fake():
    return FakeLayer()


@pytest.fixture
def address(fake):
    with serving(fake) as address:
        yield address


def refused(address) -> str:
    with pytest.raises(SourceError) as caught:
        read(Source(address), columns=DECLARED)
    return str(caught.value)


def test_all_pages_are_read_in_the_layers_own_system(fake, address):
    reading = read(Source(address), columns=DECLARED)
    assert crs.code(reading.crs) == STATE_PLANE
    assert reading.table.column("oid").to_pylist() == list(range(1, 26))
    assert shapely.area(reading.geometry).tolist() == pytest.approx([10_000.0] * 25)
    assert str(reading.table.column("seen")[0].as_py()) == "2023-11-14 22:13:20"
    assert reading.provenance.format == "ArcGIS REST"
    pages = [asked for asked in fake.asked if "resultOffset" in asked]
    assert [asked["resultOffset"] for asked in pages] == ["0", "10", "20"]
    assert {asked["orderByFields"] for asked in pages} == {"OBJECTID"}


def test_what_nobody_may_see_is_not_asked_for(fake, address):
    reading = read(Source(address), columns=DECLARED)
    assert all("OWN_NAME" not in asked.get("outFields", "") for asked in fake.asked)
    assert reading.table.column_names == ["oid", "zone", "seen"]


def test_undeclared_all_columns_are_asked_for(fake, address):
    fake.count = 3
    assert read(Source(address)).table.column_names == ["OBJECTID", "Zoning", "SEEN", "OWN_NAME"]


@pytest.mark.parametrize(
    ("kind", "answer", "words"),
    [
        ("about", b"<html>Sign in</html>", "answered with a web page; it may need a login"),
        ("page", b"<html>Sign in</html>", "answered with a web page"),
        ("about", b"no json", "something that is not JSON"),
        ("about", b"[1]", "JSON of another form"),
        ("about", {"error": {"code": 499, "message": "Token Required"}}, "refused: Token Required"),
        ("page", {"error": {"code": 400, "message": "Invalid query"}}, "refused: Invalid query"),
        ("about", {"name": "A group", "type": "Group Layer"}, "is not a layer of features"),
        ("page", (503, b"busy"), "answered with status 503"),
        ("about", (302, b"http://127.0.0.1:1/elsewhere"), "answered with status 302"),
        ("about", (302, b"file:///etc/passwd"), "answered with status 302"),
        ("page", {"features": "none"}, "sent a page without features"),
        ("page", {"features": [], "exceededTransferLimit": True, "geometryType": "esriGeometryPolygon"},
         "more is to come and sends nothing"),
    ],
)  # fmt: skip
def test_wrong_answers_are_told(fake, address, kind, answer, words):
    fake.answer[kind] = answer
    message = refused(address)
    assert words in message
    assert address in message


@pytest.mark.parametrize("stated", [24, 26, 50])
def test_as_many_records_have_to_come_as_are_counted(fake, address, stated):
    fake.stated = stated
    assert f"counts {stated} records" in refused(address)


def test_an_empty_layer_is_refused(fake, address):
    fake.count = 0
    assert "has no records" in refused(address)


def test_a_missing_column_is_named(fake, address):
    fake.fields[1] = ("ZONE_CODE", "String")
    assert "has no column 'Zoning' (declared as 'zone')" in refused(address)


def test_answers_are_limited_in_bytes_and_time(fake, address, monkeypatch):
    monkeypatch.setattr(arcgis, "PAGE_BYTES_MAX", 1000)
    assert "sent more than is taken" in refused(address)
    monkeypatch.setattr(arcgis, "PAGE_BYTES_MAX", 10**9)
    monkeypatch.setattr(arcgis, "TOTAL_S", -1.0)
    assert "took longer" in refused(address)


def test_a_server_that_is_not_there():
    assert "cannot be reached" in refused(f"http://127.0.0.1:9{PATH}")


def test_a_password_in_an_address_is_refused_and_not_repeated():
    message = refused(f"https://user:hunter2@gis.example.org{PATH}")
    assert "without user, password" in message
    assert "hunter2" not in message


@pytest.mark.parametrize("address", [f"http://gis.example.org{PATH}", f"http://169.254.169.254{PATH}"])
def test_only_https_leaves_this_machine(address):
    assert "expected an https address" in refused(address)


def test_a_failing_server_leaves_what_is_published(fake, address, catalog):
    declared = layer(*DECLARED, sources=(Source(address),), id_column="oid")
    summary = ingest_layer(declared, folder=None, catalog=catalog, build_workers=1)
    assert (summary.read, summary.published) == (25, 25)
    assert catalog.collection("lots").manifest.provenance[0].source == address
    fake.answer["page"] = (500, b"")
    with pytest.raises(SourceError):
        ingest_layer(declared, folder=None, catalog=catalog, build_workers=1)
    assert catalog.collection("lots").version == summary.version
