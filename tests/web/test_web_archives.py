"""Archives by range, styles, the layer list for QGIS and the account of the tiles, each on both paths."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree

import pytest
from owslib.wmts import WebMapTileService
from pmtiles.reader import Reader
from web_city import City, lots_frame, publish
from werkzeug.test import Client

from gisservice.model import GeometryKind, Layer, Style, StyleClass
from gisservice.web import wsgi_app
from gisservice.web.styles import drawn_as

ARCHIVE = "/tiles/lots.pmtiles"


@pytest.fixture(scope="module")
def stored(city: City) -> bytes:
    return (city.catalog.collection("lots").path / "tiles.pmtiles").read_bytes()


@pytest.fixture(scope="module")
def pinned(city: City) -> str:
    return f"/tiles/lots/{city.catalog.collection('lots').version}.pmtiles"


# PMTiles


def test_an_archive_is_read_by_ranges_as_another_reader_reads_it(client: Client, city: City) -> None:
    asked: list[tuple[int, int]] = []

    def fetch(offset: int, length: int) -> bytes:
        asked.append((offset, length))
        answer = client.get(ARCHIVE, headers={"Range": f"bytes={offset}-{offset + length - 1}"})
        assert answer.status_code == 206
        return answer.data

    reader = Reader(fetch)
    header = reader.header()
    assert (header["min_zoom"], header["max_zoom"]) == (12, 14)
    tile = reader.get(14, 4685, 6272)
    assert tile == client.get("/tiles/lots/14/4685/6272.mvt", headers={"Accept-Encoding": "gzip"}).data
    assert asked


@pytest.mark.parametrize("which", ["current", "pinned"])
def test_the_whole_archive(client: Client, stored: bytes, pinned: str, which: str) -> None:
    answer = client.get(pinned if which == "pinned" else ARCHIVE, headers={"Accept-Encoding": "gzip, br"})
    assert (answer.status_code, answer.data) == (200, stored)
    assert answer.content_type == "application/vnd.pmtiles"
    assert "Content-Encoding" not in answer.headers
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Length"] == str(len(stored))
    kept = {"current": "public, max-age=10, must-revalidate", "pinned": "public, max-age=31536000, immutable"}
    assert answer.headers["Cache-Control"] == kept[which]


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-126", 0, 126), ("bytes=5-", 5, None), ("bytes=-7", -7, None), ("bytes=0-99999999999", 0, None)],
)
def test_parts(client: Client, stored: bytes, asked: str, first: int, last: int | None) -> None:
    wanted = stored[first : None if last is None else last + 1]
    answer = client.get(ARCHIVE, headers={"Range": asked})
    assert (answer.status_code, answer.data) == (206, wanted)
    start = first % len(stored)
    assert answer.headers["Content-Range"] == f"bytes {start}-{start + len(wanted) - 1}/{len(stored)}"
    assert answer.headers["ETag"] == client.get(ARCHIVE).headers["ETag"]


@pytest.mark.parametrize("asked", ["bytes=999999999-", "bytes=-0", "bytes=999999999-9999999999"])
def test_parts_behind_the_end(client: Client, stored: bytes, asked: str) -> None:
    answer = client.get(ARCHIVE, headers={"Range": asked})
    assert (answer.status_code, answer.content_type) == (416, "application/problem+json")
    assert answer.headers["Content-Range"] == f"bytes */{len(stored)}"
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,4-5", "bytes=x", "lines=0-1", "bytes=9-3", "0-5", "bytes=" + "0-1," * 900]
)
def test_what_is_no_single_range_gets_the_whole(client: Client, stored: bytes, asked: str) -> None:
    answer = client.get(ARCHIVE, headers={"Range": asked})
    assert (answer.status_code, answer.data) == (200, stored)


def test_a_part_of_another_archive_is_never_mixed_in(own_city: City) -> None:
    client = Client(wsgi_app(own_city.settings))
    before = client.get(ARCHIVE)
    old = f"/tiles/lots/{own_city.catalog.collection('lots').version}.pmtiles"
    publish(own_city.catalog, lots_frame(300), "lots")
    stale = {"Range": "bytes=0-99", "If-Range": before.headers["ETag"]}
    answer = client.get(ARCHIVE, headers=stale)
    assert answer.status_code == 200
    assert answer.headers["ETag"] != before.headers["ETag"]
    kept = client.get(old, headers=stale)
    assert (kept.status_code, kept.data) == (206, before.data[:100])


def test_head_and_conditions(client: Client, stored: bytes, pinned: str) -> None:
    for address in (ARCHIVE, pinned):
        head = client.head(address, headers={"Range": "bytes=0-5"})
        assert (head.status_code, head.data) == (200, b"")
        assert head.headers["Content-Length"] == str(len(stored))
        tag = head.headers["ETag"]
        for method in ("GET", "HEAD"):
            again = client.open(address, method=method, headers={"If-None-Match": tag, "Range": "bytes=0-5"})
            assert (again.status_code, again.data) == (304, b"")
            assert again.headers["Cache-Control"] == head.headers["Cache-Control"]


@pytest.mark.parametrize(
    "address",
    [
        "/tiles/nope.pmtiles", "/tiles/relief.pmtiles", "/tiles/lots/v-0000000000000000.pmtiles",
        "/tiles/lots/x.pmtiles", "/tiles/lots,places.pmtiles", "/tiles/..%2flots.pmtiles", "/tiles/lots.pmtiles/",
        "/tiles/lots.br.pmtiles",
    ],
)  # fmt: skip
def test_archives_that_are_not_there(client: Client, address: str) -> None:
    answer = client.get(address, headers={"Range": "bytes=0-5"})
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")
    assert answer.headers["Cache-Control"] == "no-store"


def test_any_site_may_ask_for_parts_and_read_what_says_which(client: Client) -> None:
    answer = client.options(ARCHIVE, headers={"Origin": "https://map.example", "Access-Control-Request-Method": "GET"})
    assert {"Range", "If-Range", "If-None-Match"} <= set(answer.headers["Access-Control-Allow-Headers"].split(", "))
    exposed = set(client.get(ARCHIVE).headers["Access-Control-Expose-Headers"].split(", "))
    assert {"Content-Range", "Content-Length", "Accept-Ranges", "ETag"} <= exposed
    assert {"Content-Crs", "Location", "Preference-Applied", "Retry-After"} <= exposed  # items, jobs, a busy service


# MapLibre styles

PAINT = {
    "fill": {"fill-color", "fill-opacity", "fill-antialias"},
    "line": {"line-color", "line-width", "line-opacity"},
    "circle": {"circle-color", "circle-opacity", "circle-radius", "circle-stroke-color", "circle-stroke-width"},
}


def check_style(style: dict[str, Any]) -> None:
    """Hold a style against the parts of the MapLibre style specification that it uses."""
    assert style["version"] == 8
    assert set(style) <= {"version", "name", "metadata", "center", "zoom", "sources", "layers"}
    names = [layer["id"] for layer in style["layers"]]
    assert len(set(names)) == len(names)
    for source in style["sources"].values():
        assert source["type"] == "vector"
        assert set(source) <= {"type", "tiles", "minzoom", "maxzoom", "bounds", "attribution"}
        assert len(source["bounds"]) == 4 and source["minzoom"] <= source["maxzoom"]
    for layer in style["layers"]:
        assert layer["source"] in style["sources"]
        assert set(layer["paint"]) <= PAINT[layer["type"]]


@pytest.mark.parametrize("address", ["/tiles/lots/style.json", "/tiles/places/style.json", "/maps/city/style.json"])
def test_a_style_names_tiles_that_are_there(client: Client, address: str) -> None:
    answer = client.get(address)
    style = answer.get_json()
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    check_style(style)
    for source in style["sources"].values():
        (template,) = source["tiles"]
        tile = template.replace("{z}", "14").replace("{x}", "4684").replace("{y}", "6273")
        tiles = client.get(tile.removeprefix("http://localhost"))
        assert tiles.status_code == 200
        assert "immutable" in tiles.headers["Cache-Control"]
    assert "glyphs" not in style and "sprite" not in style


def test_a_maps_style_has_its_layers_bottom_first(client: Client) -> None:
    style = client.get("/maps/city/style.json").get_json()
    assert [layer["id"] for layer in style["layers"]] == ["lots", "lots outline", "places"]
    assert list(style["sources"]) == ["lots", "places"]
    assert client.get("/maps/lots/style.json").status_code == 404
    assert client.get("/maps/nope/style.json").status_code == 404
    assert client.get("/tiles/nope/style.json").status_code == 404
    assert client.get("/tiles/nope/style.json").status_code == 404


def test_classes_are_coloured_by_their_column() -> None:
    classes = (
        StyleClass("RB", "Homes", "#111111"),
        StyleClass("RM", "Flats", "#222222"),
        StyleClass("RB", "x", "#333333"),
    )
    style = Style(color="#999999", by="zoning", classes=classes)
    for kind, key in ((GeometryKind.POLYGON, "fill-color"), (GeometryKind.LINE, "line-color")):
        shown = drawn_as("lots", Layer("lots", "Lots", kind, style=style), kind)[0]
        assert shown["paint"][key] == [
            "match", ["to-string", ["get", "zoning"]], ["RB"], "#333333", ["RM"], "#222222", "#999999",
        ]  # fmt: skip
    plain = drawn_as("x", Layer("x", "X", GeometryKind.POINT), GeometryKind.POINT)[0]
    assert plain["paint"]["circle-color"] == Style().color


# QGIS


def test_the_definition_of_a_layer_is_what_qgis_opens(client: Client) -> None:
    answer = client.get("/layers/lots.qlr")
    assert 'filename="lots.qlr"' in answer.headers["Content-Disposition"]
    root = ElementTree.fromstring(answer.data)
    layer = root.find("maplayers/maplayer")
    assert layer is not None and layer.get("geometry") == "Polygon" and layer.find("renderer-v2") is not None
    assert layer.findtext("provider") == "OAPIF"
    source = layer.findtext("datasource") or ""
    assert "typename='lots' url='http://localhost/api' version='OGC_API_FEATURES'" in source
    assert "paging" not in source  # any word but 'true' ends at the first page in QGIS 3.22; pages are the default
    # Without its own number of the system beside the authority's, QGIS draws nothing.
    assert [part.text for part in layer.findall("srs/spatialrefsys/*")] == ["3452", "EPSG:4326"]
    assert layer.findtext("resourceMetadata/title") == "Lots"
    listed = root.find("layer-tree-group/layer-tree-layer")
    assert listed is not None and (listed.get("source"), listed.get("id")) == (source, layer.findtext("id"))
    picture = ElementTree.fromstring(client.get("/layers/relief.qlr").data).find("maplayers/maplayer")
    assert picture is not None and picture.findtext("srs/spatialrefsys/authid") == "EPSG:3857"
    tiles = dict(parse_qsl(picture.findtext("datasource") or ""))
    assert tiles["url"] == "http://localhost/wmts/1.0.0/WMTSCapabilities.xml"
    offered = WebMapTileService(tiles["url"], xml=client.get("/wmts/1.0.0/WMTSCapabilities.xml").data)["relief"]
    assert tiles["layers"] == "relief" and tiles["format"] in offered.formats and tiles["styles"] in offered.styles
    assert tiles["tileMatrixSet"] in offered.tilematrixsetlinks
    assert client.get("/layers/nope.qlr").status_code == 404
    assert client.get("/layers/lots.qlr", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


def test_the_layer_list_is_what_qgis_loads(client: Client) -> None:
    answer = client.get("/api/qgis.xml")
    assert (answer.status_code, answer.content_type) == (200, "application/xml")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    root = ElementTree.fromstring(answer.data)
    assert (root.tag, root.attrib) == ("qgsVectorTileConnections", {"version": "1.0"})
    assert [child.tag for child in root] == ["vectortile"] * 2
    for child, name in zip(root, ("lots", "places"), strict=True):
        assert child.attrib["name"] == f"Testville: {name.title()}"
        assert child.attrib["url"] == f"http://localhost/tiles/{name}/{{z}}/{{x}}/{{y}}.mvt"
        assert (child.attrib["zmin"], child.attrib["zmax"]) == ("12", "14")
        style = client.get(child.attrib["styleUrl"].removeprefix("http://localhost"))
        assert style.status_code == 200


def test_behind_a_prefix_the_lists_addresses_have_it(city: City) -> None:
    client = Client(wsgi_app(replace(city.settings, public_url="https://maps.example.gov/gis")))
    root = ElementTree.fromstring(client.get("/api/qgis.xml").data)
    for child in root:
        assert child.attrib["url"].startswith("https://maps.example.gov/gis/tiles/")
        assert child.attrib["styleUrl"].startswith("https://maps.example.gov/gis/tiles/")
    for address in ("/maps/city/style.json", "/api/tiles/WebMercatorQuad", "/api/tiles", "/api/tileMatrixSets"):
        text = client.get(address).text
        assert "https://maps.example.gov/gis/" in text and "localhost" not in text


@pytest.mark.parametrize("name", ["tiles.pmtiles", "tiles.br.pmtiles"])
def test_a_damaged_archive_leaves_the_other_layers_alone(own_city: City, name: str) -> None:
    file = own_city.catalog.collection("lots").path / name
    content = file.read_bytes()
    file.write_bytes(bytes(200) + content[200:])
    client = Client(wsgi_app(own_city.settings))
    assert client.get("/tiles/lots/14/4685/6272.mvt").status_code == 500
    assert client.get("/tiles/places.json").status_code == 200
    assert len(ElementTree.fromstring(client.get("/api/qgis.xml").data)) == 1
    assert list(client.get("/maps/city/style.json").get_json()["sources"]) == ["places"]
    assert [layer["id"] for layer in client.get("/api/tiles/WebMercatorQuad").get_json()["layers"]] == ["places"]


# The account of the tiles


def test_the_report_adds_up_for_every_zoom_and_tile(client: Client) -> None:
    report = client.get("/tiles/lots/report").get_json()
    assert (report["collection"], set(report["zooms"])) == ("lots", {"12", "13", "14"})
    for zoom in report["zooms"].values():
        assert zoom["features"] == 400
        assert zoom["features"] == zoom["kept"] + sum(zoom["merged"].values()) + sum(zoom["dropped"].values())
        assert "by_tile" not in zoom
    tile = client.get("/tiles/lots/report/14/4685/6272").get_json()
    assert (tile["z"], tile["x"], tile["y"]) == (14, 4685, 6272)
    assert tile["bytes"] == len(client.get("/tiles/lots/14/4685/6272.mvt", headers={"Accept-Encoding": "gzip"}).data)
    assert tile["features"] > 0
    assert client.get("/tiles/lots/report/14/0/0").get_json()["features"] == 0


@pytest.mark.parametrize(
    "address",
    [
        "/tiles/nope/report", "/tiles/relief/report", "/tiles/lots/report/11/0/0", "/tiles/lots/report/15/0/0",
        "/tiles/lots/report/1_4/0/0", "/tiles/lots/report/14/-1/0", "/tiles/lots/report/14/0/16384",
        "/tiles/lots/report/" + "1" * 400 + "/0/0", "/tiles/lots/report/%D9%A3/0/0", "/tiles/lots,places/report",
    ],
)  # fmt: skip
def test_reports_that_are_not_there(client: Client, address: str) -> None:
    answer = client.get(address)
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")


@pytest.mark.parametrize(
    "address",
    [
        ARCHIVE, "/tiles/lots/style.json", "/maps/city/style.json", "/api/qgis.xml", "/tiles/lots/report",
        "/tiles/lots/report/14/4685/6272", "/api/tileMatrixSets", "/api/tileMatrixSets/WebMercatorQuad", "/api/tiles",
        "/api/tiles/WebMercatorQuad", "/api/collections/lots/tiles", "/api/collections/lots/tiles/WorldCRS84Quad",
    ],
)  # fmt: skip
def test_unknown_and_repeated_parameters_are_refused(client: Client, address: str) -> None:
    for query in ("x=1", "f=json&f=json", "F=json", "bbox=1,2,3,4", "x" * 10_000, "%ff=1"):
        answer = client.get(f"{address}?{query}")
        assert (answer.status_code, answer.content_type) == (400, "application/problem+json")
