"""WMTS 1.0: capabilities that OWSLib and GDAL read, RESTful and KVP tiles that are the same."""

from __future__ import annotations

import io
import subprocess
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
from free_ports import free_port
from live_server import serving
from owslib.wmts import WebMapTileService
from PIL import Image
from web_city import City
from werkzeug.test import Client

from gisservice.model import Style
from gisservice.tiles import matrix_set
from gisservice.tiles.grid import EXTENT

CAPABILITIES = "/wmts/1.0.0/WMTSCapabilities.xml"


def address(z: int, set_id: str = "WebMercatorQuad") -> tuple[int, int]:
    column, row = matrix_set(set_id).positions(np.array([[-77.05, 38.81]]), z)[0] / EXTENT
    return int(column), int(row)


def test_owslib_reads_the_capabilities(client: Client):
    answer = client.get(CAPABILITIES)
    assert answer.content_type == "application/xml"
    service = WebMapTileService("http://localhost/wmts", xml=answer.data)
    assert set(service.contents) == {"relief", "map.city"}
    layer = service.contents["relief"]
    assert layer.title == "Relief" and layer.formats == ["image/png", "image/webp", "image/jpeg"]
    assert set(layer.tilematrixsetlinks) == {"WebMercatorQuad", "WorldCRS84Quad", "VirginiaNorthFeet"}
    assert layer.boundingBoxWGS84 == pytest.approx((-77.06, 38.80, -77.04, 38.82))
    assert set(service.tilematrixsets) == set(layer.tilematrixsetlinks)
    matrix = service.tilematrixsets["WebMercatorQuad"].tilematrix["3"]
    assert (matrix.matrixwidth, matrix.tilewidth) == (8, 256)
    assert matrix.scaledenominator == pytest.approx(559082264.0287178 / 8)


def test_maps_are_layers_of_the_grid_of_web_maps(client: Client):
    service = WebMapTileService("http://localhost/wmts", xml=client.get(CAPABILITIES).data)
    layer = service.contents["map.city"]
    assert (layer.title, layer.abstract, layer.formats) == ("The city", "Everything.", ["image/png"])
    (link,) = layer.tilematrixsetlinks.values()
    assert link.tilematrixset == "WebMercatorQuad"
    assert sorted(link.tilematrixlimits, key=int) == [str(z) for z in range(13, 19)]
    (template,) = (resource["template"] for resource in layer.resourceURLs)
    x, y = address(16)
    one = link.tilematrixlimits["16"]
    assert one.mintilecol <= x <= one.maxtilecol and one.mintilerow <= y <= one.maxtilerow
    values = {"TileMatrixSet": "WebMercatorQuad", "TileMatrix": "16", "TileRow": str(y), "TileCol": str(x)}
    for name, value in values.items():
        template = template.replace("{" + name + "}", value)
    rest = client.get(template.removeprefix("http://localhost"))
    kvp = client.get(
        "/wmts?SERVICE=WMTS&REQUEST=GetTile&VERSION=1.0.0&LAYER=map.city&STYLE=default&FORMAT=image/png"
        f"&TILEMATRIXSET=WebMercatorQuad&TILEMATRIX=16&TILEROW={y}&TILECOL={x}"
    )
    assert rest.status_code == 200 and rest.content_type == "image/png" and rest.data == kvp.data
    assert client.get(template.removeprefix("http://localhost"), headers={"If-None-Match": rest.headers["ETag"]}
                      ).status_code == 304  # fmt: skip


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("map.nope/default/WebMercatorQuad/14/{y}/{x}.png", 404),
        ("map.lots/default/WebMercatorQuad/14/{y}/{x}.png", 404),
        ("map.city/default/WorldCRS84Quad/14/{y}/{x}.png", 404),
        ("map.city/default/WebMercatorQuad/14/{y}/{x}.jpg", 400),
        ("map.city/default/WebMercatorQuad/014/{y}/{x}.png", 404),
        ("map.city/default/WebMercatorQuad/14/0/0.png", 404),
        ("map.city/default/WebMercatorQuad/12/1567/1171.png", 404),
        ("map.city/default/WebMercatorQuad/19/1/1.png", 404),
    ],
)  # fmt: skip
def test_tiles_of_maps_that_are_not_there_are_refused(client: Client, path: str, status: int):
    x, y = address(14)
    assert client.get(f"/wmts/1.0.0/{path.format(x=x, y=y)}").status_code == status


def test_the_parts_of_the_capabilities_stand_in_the_order_of_the_schema(client: Client):
    """wmtsGetCapabilities_response.xsd has sequences, so validating readers insist on it."""
    root = ElementTree.fromstring(client.get(CAPABILITIES).data)

    def names(element: ElementTree.Element) -> list[str]:
        found = [child.tag.rpartition("}")[2] for child in element]
        return [name for place, name in enumerate(found) if place == 0 or found[place - 1] != name]

    wmts = "{http://www.opengis.net/wmts/1.0}"
    assert names(root) == ["ServiceIdentification", "OperationsMetadata", "Contents", "ServiceMetadataURL"]
    assert names(root.find(f"{wmts}Contents")) == ["Layer", "TileMatrixSet"]
    for layer in root.iter(f"{wmts}Layer"):
        assert [name for name in names(layer) if name != "Abstract"] == [
            "Title", "WGS84BoundingBox", "Identifier", "Style", "Format", "TileMatrixSetLink", "ResourceURL",
        ]  # fmt: skip
    for grid in root.findall(f"{wmts}Contents/{wmts}TileMatrixSet"):
        assert [name for name in names(grid) if name != "WellKnownScaleSet"] == [
            "Title", "Identifier", "SupportedCRS", "TileMatrix",
        ]  # fmt: skip
    for matrix in root.iter(f"{wmts}TileMatrix"):
        if len(matrix):
            assert names(matrix) == [
                "Identifier", "ScaleDenominator", "TopLeftCorner", "TileWidth", "TileHeight", "MatrixWidth",
                "MatrixHeight",
            ]  # fmt: skip


def test_tiles_by_address_and_by_parameters_are_the_same(client: Client):
    x, y = address(14)
    rest = client.get(f"/wmts/1.0.0/relief/default/WebMercatorQuad/14/{y}/{x}.png")
    kvp = client.get(
        f"/wmts?SERVICE=WMTS&REQUEST=GetTile&VERSION=1.0.0&LAYER=relief&STYLE=default&FORMAT=image/png"
        f"&TILEMATRIXSET=WebMercatorQuad&TILEMATRIX=14&TILEROW={y}&TILECOL={x}"
    )
    short = client.get(f"/tiles/relief/14/{x}/{y}.png")
    assert rest.status_code == kvp.status_code == 200
    assert rest.data == kvp.data == short.data


def test_a_tile_without_anything_is_a_clear_picture(client: Client):
    """WMTS has no empty answers, as OGC API Tiles has; clients report one as a broken picture."""
    contents = WebMapTileService("http://localhost/wmts", xml=client.get(CAPABILITIES).data).contents
    empty = 0
    for zoom, span in contents["relief"].tilematrixsetlinks["VirginiaNorthFeet"].tilematrixlimits.items():
        for row, column in {(span.mintilerow, span.mintilecol), (span.maxtilerow, span.maxtilecol)}:
            grid = f"VirginiaNorthFeet/{zoom}/{row}/{column}"
            answer = client.get(f"/wmts/1.0.0/relief/default/{grid}.png")
            assert (answer.status_code, answer.content_type) == (200, "image/png")
            if client.get(f"/api/collections/relief/map/tiles/{grid}?f=png").status_code == 204:
                empty += 1
                picture = Image.open(io.BytesIO(answer.data)).convert("RGBA")
                assert picture.size == (256, 256) and picture.getextrema()[3] == (0, 0)
    assert empty


def test_kvp_capabilities_are_the_document(client: Client):
    assert client.get("/wmts?service=WMTS&request=GetCapabilities").data == client.get(CAPABILITIES).data
    by_file = client.get(f"{CAPABILITIES}?service=WMTS&request=GetCapabilities&version=1.0.0")  # as OWSLib asks
    assert by_file.data == client.get(CAPABILITIES).data
    assert client.get(f"{CAPABILITIES}?request=GetTile").status_code == 400
    assert client.get(f"{CAPABILITIES}?foo=1").status_code == 400
    tag = client.get(CAPABILITIES).headers["ETag"]
    assert client.get(CAPABILITIES, headers={"If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400), ("request=GetMap", 400), ("service=WMS&request=GetCapabilities", 400), ("request=GetTile", 400),
        ("request=GetTile&layer=nope&tilematrixset=WebMercatorQuad&tilematrix=14&tilerow=1&tilecol=1", 404),
        ("request=GetTile&layer=relief&tilematrixset=X&tilematrix=14&tilerow=1&tilecol=1", 404),
        ("request=GetTile&layer=relief&tilematrixset=WebMercatorQuad&tilematrix=14&tilerow=1&tilecol=1", 404),
        ("request=GetTile&layer=relief&style=red&tilematrixset=WebMercatorQuad&tilematrix=14&tilerow=1&tilecol=1", 400),
        ("request=GetCapabilities&foo=1", 400), ("request=GetCapabilities&REQUEST=GetTile", 400),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused(client: Client, query: str, status: int):
    assert client.get(f"/wmts?{query}").status_code == status


def test_gdal_reads_layers_and_maps_through_its_wmts_driver(city: City, tmp_path: Path):
    seen = {}
    with serving(replace(city.settings, port=free_port(), workers=1)) as base:
        for layer in ("relief", "map.city"):
            out = tmp_path / f"{layer}.tif"
            subprocess.run(
                ["gdal_translate", "-q", "-of", "GTiff", "-outsize", "256", "256",
                 "-projwin", "-8577600", "4694500", "-8576400", "4693300",
                 f"WMTS:{base}{CAPABILITIES},layer={layer},tilematrixset=WebMercatorQuad", str(out)],
                check=True, cwd=tmp_path,
                env={"PATH": "/usr/bin:/bin", "GDAL_HTTP_UNSAFESSL": "YES", "HOME": str(tmp_path)},
            )  # fmt: skip
            with rasterio.open(out) as file:
                assert file.crs.to_epsg() == 3857
                seen[layer] = file.read()
    for picture in seen.values():
        assert picture.shape[0] == 4 and (picture[3] == 255).all()
    assert seen["relief"][0].std() > 5
    lot = np.array([int(Style().color[i : i + 2], 16) for i in (1, 3, 5)])[:, None, None]
    ground = Style().opacity * lot + (1 - Style().opacity) * np.array([0xE1, 0xE7, 0xEA])[:, None, None]
    assert (np.abs(seen["map.city"][:3] - ground).max(axis=0) <= 2).mean() > 0.5, "most of it is lots in their colour"
