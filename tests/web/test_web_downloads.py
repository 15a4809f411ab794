"""Whole layers over HTTP: addresses, systems, digests, parts, names to save under, and files made while one waits."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import geopandas
import pyogrio
import pytest
import werkzeug
from typed_layers import published
from web_city import build_city
from werkzeug.test import Client

from gisservice.errors import CatalogError, NotReady, Overloaded
from gisservice.ingest.downloads import make
from gisservice.model import GeometryKind
from gisservice.query.downloads import DOWNLOADS, LONLAT, Wanted, all_files, file_name
from gisservice.web import create_app, making
from gisservice.web.making import Workshop

FEET = "EPSG:2283"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> SimpleNamespace:
    """A small city whose lots have all their files, a hostile title, and a client of it."""
    city = build_city(tmp_path_factory.mktemp("city"))
    published(city.catalog, GeometryKind.POLYGON, collection_id="typed", title='A"\r\nSet-Cookie: x=1; \u202egpj.exe')
    for name in ("lots", "typed"):
        collection = city.catalog.collection(name)
        make(collection, all_files(collection.manifest))
    return SimpleNamespace(city=city, client=Client(create_app(city.settings)))


def address(extension: str, system: str, name: str = "lots") -> str:
    return f"/download/{name}.{extension}" + ("" if system == LONLAT else f"?crs={system}")


def digest_of(answer) -> str:
    field = answer.headers["Repr-Digest"]
    assert field.startswith("sha-256=:") and field.endswith(":")
    return base64.b64decode(field[9:-1]).hex()


ALL = [
    (extension, system) for extension, entry in DOWNLOADS.items() for system in (LONLAT, FEET)[: 2 - entry.lonlat_only]
]


@pytest.mark.parametrize(("extension", "system"), ALL)
def test_each_file_is_what_its_digest_and_its_entry_in_the_list_say(made, extension, system):
    answer = made.client.get(address(extension, system))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == DOWNLOADS[extension].media
    sha256 = hashlib.sha256(answer.data).hexdigest()
    assert digest_of(answer) == sha256
    listed = {(e["type"], e["crs"]): e for e in json.loads(made.client.get("/download/lots").data)["files"]}
    entry = listed[DOWNLOADS[extension].media, system]
    assert (entry["size"], entry["sha256"]) == (len(answer.data), sha256)
    assert entry["href"].endswith(address(extension, system)) and entry["losses"] is not None
    assert f'filename="{entry["name"]}"' in answer.headers["Content-Disposition"]
    again = made.client.get(entry["versionHref"].removeprefix("http://localhost"))
    assert again.data == answer.data and again.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert again.headers["ETag"] == answer.headers["ETag"]


@pytest.mark.parametrize(("extension", "system"), ALL)
def test_each_file_can_be_had_in_parts(made, extension, system):
    url = address(extension, system)
    whole = made.client.get(url)
    size, etag = len(whole.data), whole.headers["ETag"]
    assert not etag.startswith("W/") and whole.headers["Accept-Ranges"] == "bytes"
    for first, last in ((0, 9), (20, 70), (size // 2, size // 2 + 99), (size - 5, size + 100), (0, size - 1)):
        part = made.client.get(url, headers={"Range": f"bytes={first}-{last}"})
        last = min(last, size - 1)
        assert part.status_code == 206 and part.data == whole.data[first : last + 1]
        assert part.headers["Content-Range"] == f"bytes {first}-{last}/{size}"
        assert digest_of(part) == digest_of(whole), "of the whole representation (RFC 9530)"
    assert made.client.get(url, headers={"Range": "bytes=-7"}).data == whole.data[-7:]
    beyond = made.client.get(url, headers={"Range": f"bytes={size}-"})
    assert beyond.status_code == 416 and beyond.headers["Content-Range"] == f"bytes */{size}"
    assert made.client.get(url, headers={"Range": "bytes=0-1", "If-Range": etag}).status_code == 206
    assert made.client.get(url, headers={"Range": "bytes=0-1", "If-Range": '"other"'}).data == whole.data
    head = made.client.head(url)
    assert head.data == b"" and head.headers["Content-Length"] == str(size)
    unchanged = made.client.get(url, headers={"If-None-Match": etag})
    assert unchanged.status_code == 304 and unchanged.data == b""


def test_readers_open_what_was_downloaded(made, tmp_path):
    for extension in ("geojson", "gpkg", "fgb", "kml"):
        (tmp_path / f"lots.{extension}").write_bytes(made.client.get(f"/download/lots.{extension}").data)
        assert pyogrio.read_info(tmp_path / f"lots.{extension}", layer=0)["features"] == 400
    (tmp_path / "lots.zip").write_bytes(made.client.get("/download/lots.shp.zip?crs=EPSG:2283").data)
    frame = geopandas.read_file(f"zip://{tmp_path / 'lots.zip'}")
    assert len(frame) == 400 and "Virginia" in frame.crs.name


@pytest.mark.parametrize(
    "spelled", [FEET, "http://www.opengis.net/def/crs/EPSG/0/2283", "urn:ogc:def:crs:EPSG::2283", "EPSG%3A2283"]
)
def test_a_system_can_be_named_in_every_spelling(made, spelled):
    assert (
        made.client.get(f"/download/lots.csv?crs={spelled}").headers["ETag"]
        == (made.client.get(address("csv", FEET)).headers["ETag"])
    )


def test_degrees_are_the_default_and_have_two_names(made):
    etag = made.client.get("/download/lots.csv").headers["ETag"]
    for spelled in ("EPSG:4326", "OGC:CRS84", "http://www.opengis.net/def/crs/OGC/1.3/CRS84"):
        assert made.client.get(f"/download/lots.csv?crs={spelled}").headers["ETag"] == etag


@pytest.mark.parametrize(
    "crs", ["EPSG:3857", "EPSG:999999", "4326", "", "EPSG:4326;x", "+proj=longlat", "EPSG:2283 ", "x" * 4000, "%00"]
)
def test_another_system_is_refused_naming_the_valid_ones(made, crs):
    answer = made.client.get(f"/download/lots.gpkg?crs={crs}")
    assert answer.status_code == 400
    assert "EPSG:4326 or EPSG:2283" in json.loads(answer.data)["detail"]


def test_kml_has_one_system(made):
    problem = json.loads(made.client.get("/download/lots.kml?crs=EPSG:2283").data)
    assert problem["status"] == 400 and "expected EPSG:4326 for a file of the form kml" in problem["detail"]


@pytest.mark.parametrize("query", ["x=1", "crs=EPSG:4326&crs=EPSG:4326", "f=json", "CRS=EPSG:4326", "%ff=1"])
def test_other_parameters_are_refused(made, query):
    for url in ("/download/lots.gpkg", "/download/lots", f"/download/lots/{version(made)}.gpkg"):
        if not (url == "/download/lots.gpkg" and query == "crs=EPSG:4326"):
            assert made.client.get(f"{url}?{query}").status_code == 400


def version(made: SimpleNamespace) -> str:
    return made.city.catalog.collection("lots").version


@pytest.mark.parametrize(
    "extension", ["exe", "GPKG", "zip", "shp", "gpkg.zip", "gpkg%00", "json", "tar.gz", "x" * 4000]
)
def test_an_unknown_ending_is_404_naming_the_valid_ones(made, extension):
    for url in (f"/download/lots.{extension}", f"/download/lots/{version(made)}.{extension}"):
        answer = made.client.get(url)
        assert answer.status_code == 404
        assert "geojson, csv, gpkg, shp.zip, fgb, parquet, kml" in json.loads(answer.data)["detail"]


HOSTILE_PATHS = (
    "/download/..",
    "/download/../current.json",
    "/download/..%2f..%2fetc%2fpasswd",
    "/download/%2e%2e/lots.csv",
    "/download/....//lots.csv",
    "/download/lots%2f..%2flots.csv",
    "/download/..%5clots.csv",
    "/download/lots%00.csv",
    "/download/%00.csv",
    "/download/lots∕x.csv",
    "/download/CON.csv",
    "/download/nul",
    "/download/" + "a" * 4096 + ".csv",
    "/download/" + "../" * 40 + "etc/passwd",
    "/download/.csv",
    "/download/lots.",
    "/download/lots/",
    "/download/lots/v-0000000000000000.csv",
    "/download/lots/current.json.csv",
    "/download/lots/..%2f..%2fderived.csv",
    "/download/lots/" + "v" * 4096 + ".csv",
    "/download/Lots.csv",
    "/download/lots .csv",
    "/download//lots.csv",
    "/download",
    "/download/",
)


@pytest.mark.parametrize("path", HOSTILE_PATHS)
def test_paths_that_lead_nowhere_are_404_and_open_no_file(made, path, monkeypatch):
    opened: list[str] = []
    real = os.open
    monkeypatch.setattr(
        os, "open", lambda name, *rest, **more: opened.append(os.fspath(name)) or real(name, *rest, **more)
    )
    answer = made.client.get(path)
    monkeypatch.undo()
    assert answer.status_code == 404
    home = os.path.realpath(made.city.settings.home)
    assert all(os.path.realpath(name).startswith(home) for name in opened if isinstance(name, str))


def test_a_raster_is_had_as_it_is_kept(made):
    client, collection = made.client, made.city.catalog.collection("relief")
    kept = (collection.path / "raster.tif").read_bytes()
    (entry,) = json.loads(client.get("/download/relief").data)["files"]
    assert (entry["name"], entry["crs"], entry["losses"]) == ("relief_epsg2283.tif", "EPSG:2283", [])
    assert (entry["size"], entry["sha256"]) == (len(kept), hashlib.sha256(kept).hexdigest())
    assert entry["type"] == "image/tiff; application=geotiff; profile=cloud-optimized"
    for url in (entry["href"].removeprefix("http://localhost"), "/download/relief.tif"):
        answer = client.get(url)
        assert (answer.status_code, answer.data, answer.headers["Content-Type"]) == (200, kept, entry["type"])
    pinned = client.get(entry["versionHref"].removeprefix("http://localhost"))
    assert "immutable" in pinned.headers["Cache-Control"]
    part = client.get("/download/relief.tif", headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.data) == (206, kept[100:200])
    assert client.get("/download/relief.tif", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    assert client.get("/download/relief.tif?crs=EPSG:4326").status_code == 400
    for url in ("/download/relief.gpkg", "/download/relief.geojson", "/download/lots.tif"):
        answer = client.get(url)
        assert answer.status_code == 404 and "there are" in json.loads(answer.data)["detail"]
    page = client.get("/layers/relief").data.decode()
    assert "Download the whole layer" in page and "/download/relief.tif" in page


@pytest.mark.parametrize("extension", DOWNLOADS)
def test_the_name_to_save_under_holds_no_word_of_the_title(made, extension):
    answer = made.client.get(f"/download/typed.{extension}")
    assert answer.status_code == 200
    name = file_name(made.city.catalog.collection("typed").manifest, extension, LONLAT)
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert werkzeug.http.parse_options_header(answer.headers["Content-Disposition"]) == (
        "attachment",
        {"filename": name},
    )
    assert "Set-Cookie" not in answer.headers
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_other_sites_may_read_the_digest_and_the_name(made):
    exposed = made.client.get("/download/lots.csv").headers["Access-Control-Expose-Headers"]
    assert {"Repr-Digest", "Content-Disposition", "Content-Range"} <= set(exposed.split(", "))


def test_the_collection_links_to_its_files(made):
    links = json.loads(made.client.get("/api/collections/lots").data)["links"]
    enclosed = [link for link in links if link["rel"] == "enclosure"]
    assert len(enclosed) == len(ALL)
    for link in enclosed:
        answer = made.client.head(link["href"].removeprefix("http://localhost"))
        assert answer.status_code == 200 and answer.headers["Content-Type"] == link["type"]


def test_the_page_of_a_layer_lists_its_files(made):
    text = made.client.get("/layers/lots").data.decode()
    for extension, system in ALL:
        assert f'href="{address(extension, system)}" download' in text
    assert "made when first asked for" not in text


# Files that are not there yet


@pytest.fixture
def unmade(own_city) -> SimpleNamespace:
    return SimpleNamespace(city=own_city, client=Client(create_app(own_city.settings)))


def test_geojson_is_sent_at_once_and_its_digest_follows(unmade):
    answer = unmade.client.get("/download/lots.geojson")
    assert answer.status_code == 200 and "Repr-Digest" not in answer.headers
    assert len(json.loads(answer.data)["features"]) == 400
    collection = unmade.city.catalog.collection("lots")
    make(collection, [Wanted("geojson", LONLAT)])
    later = unmade.client.get("/download/lots.geojson")
    assert later.data == answer.data and later.headers["ETag"] == answer.headers["ETag"]
    assert digest_of(later) == hashlib.sha256(answer.data).hexdigest()


@pytest.mark.slow
def test_a_file_is_made_while_its_first_reader_waits_and_for_all_once(unmade, monkeypatch):
    monkeypatch.setattr(making, "WAIT_SECONDS", 120.0)
    started = []
    real = making.Popen
    monkeypatch.setattr(making, "Popen", lambda *a, **k: started.append(a) or real(*a, **k))
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(unmade.client.get, ["/download/lots.fgb"] * 2))
    assert [answer.status_code for answer in answers] == [200, 200] and len(started) == 1
    assert answers[0].data == answers[1].data and digest_of(answers[0]) == hashlib.sha256(answers[0].data).hexdigest()


def test_the_list_says_what_is_there_and_a_file_that_was_asked_for_joins_it(unmade):
    def known() -> list[str]:
        listed = json.loads(unmade.client.get("/download/lots").data)["files"]
        assert all((entry["size"] is None) == (entry["sha256"] is None) for entry in listed)
        return [entry["name"] for entry in listed if entry["sha256"]]

    assert known() == ["lots_epsg2283.parquet"], "the archive is there with the version"
    etag = unmade.client.get("/download/lots").headers["ETag"]
    make(unmade.city.catalog.collection("lots"), [Wanted("fgb", FEET)])
    assert known() == ["lots_epsg2283.fgb", "lots_epsg2283.parquet"]
    assert unmade.client.get("/download/lots").headers["ETag"] != etag


class Stuck:
    """A process that makes files for as long as anybody waits."""

    def __init__(self, *arguments: object, **options: object) -> None:
        pass

    def poll(self) -> None:
        return None

    def wait(self, timeout: float) -> int:
        raise subprocess.TimeoutExpired("make", timeout)


def test_a_request_waits_only_so_long_and_is_told_when_to_come_back(unmade, monkeypatch):
    monkeypatch.setattr(making, "Popen", Stuck)
    answer = unmade.client.get("/download/lots.gpkg")
    assert answer.status_code == 503 and answer.headers["Retry-After"] == "5"
    assert json.loads(answer.data)["type"] == "urn:gisservice:problem:not-ready"
    assert answer.headers["Cache-Control"] == "no-store"
    page = unmade.client.get("/download/lots.gpkg", headers={"Accept": "text/html"})
    assert page.status_code == 503 and "being made" in page.data.decode()


def test_few_wait_at_once(unmade, monkeypatch):
    monkeypatch.setattr(making, "Popen", Stuck)
    workshop = Workshop(unmade.city.settings.home)
    collection = unmade.city.catalog.collection("lots")
    monkeypatch.setattr(
        Stuck, "wait", lambda self, timeout: nested(workshop, collection, deeper=making.WAITING_MAX - 1)
    )
    with pytest.raises(Overloaded, match="files that are to be made"):
        workshop.file(collection, Wanted("csv", LONLAT))


def nested(workshop: Workshop, collection, deeper: int) -> int:
    """Ask again while a request waits, until one is refused."""
    workshop.file(collection, Wanted("csv", LONLAT))
    return 0


def test_a_making_that_fails_is_an_internal_error(unmade, monkeypatch):
    monkeypatch.setattr(making.sys, "executable", "/bin/false")
    with pytest.raises(CatalogError, match="could not be made"):
        Workshop(unmade.city.settings.home).file(unmade.city.catalog.collection("lots"), Wanted("csv", LONLAT))
    assert unmade.client.get("/download/lots.csv").status_code == 500


def test_not_ready_is_raised_also_while_another_file_is_being_made(unmade, monkeypatch):
    monkeypatch.setattr(making, "Popen", Stuck)
    workshop = Workshop(unmade.city.settings.home)
    collection = unmade.city.catalog.collection("lots")
    with pytest.raises(NotReady, match=r"lots\.fgb is being made"):
        workshop.file(collection, Wanted("fgb", LONLAT))
    with pytest.raises(NotReady, match=r"lots\.csv is being made"):
        workshop.file(collection, Wanted("csv", LONLAT))
