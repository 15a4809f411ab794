"""WMTS 1.0: capabilities that OWSLib and GDAL read, RESTful and KVP tiles that are the same."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from live_server import free_port, serving
from owslib.wmts import WebMapTileService
from web_city import City
from werkzeug.test import Client

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
    assert set(service.contents) == {"relief"}
    layer = service.contents["relief"]
    assert layer.title == "Relief" and layer.formats == ["image/png", "image/webp", "image/jpeg"]
    assert set(layer.tilematrixsetlinks) == {"WebMercatorQuad", "WorldCRS84Quad", "VirginiaNorthFeet"}
    assert layer.boundingBoxWGS84 == pytest.approx((-77.06, 38.80, -77.04, 38.82))
    assert set(service.tilematrixsets) == set(layer.tilematrixsetlinks)
    matrix = service.tilematrixsets["WebMercatorQuad"].tilematrix["3"]
    assert (matrix.matrixwidth, matrix.tilewidth) == (8, 256)
    assert matrix.scaledenominator == pytest.approx(559082264.0287178 / 8)


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


def test_kvp_capabilities_are_the_document(client: Client):
    assert client.get("/wmts?service=WMTS&request=GetCapabilities").data == client.get(CAPABILITIES).data
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


def test_gdal_reads_the_layer_through_its_wmts_driver(city: City, tmp_path: Path):
    with serving(replace(city.settings, port=free_port(), workers=1)) as base:
        out = tmp_path / "out.tif"
        subprocess.run(
            ["gdal_translate", "-q", "-of", "GTiff", "-outsize", "256", "256",
             "-projwin", "-8577600", "4694500", "-8576400", "4693300",
             f"WMTS:{base}{CAPABILITIES},layer=relief,tilematrixset=WebMercatorQuad", str(out)],
            check=True, cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "GDAL_HTTP_UNSAFESSL": "YES", "HOME": str(tmp_path)},
        )  # fmt: skip
        with rasterio.open(out) as file:
            assert file.crs.to_epsg() == 3857
            picture = file.read()
    assert picture.shape[0] == 4 and (picture[3] == 255).all()
    assert picture[0].std() > 5
