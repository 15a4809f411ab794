"""Tiles of maps drawn on the server are cut from one large picture: no seam where they meet."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from PIL import Image
from web_city import City, build_city, lots_frame, publish
from werkzeug.test import Client

from gisservice.crs import square_positions
from gisservice.maps.drawnmap import Frame
from gisservice.model import GeometryKind, MapDeclaration, Style, StyleClass
from gisservice.tiles.rasterimage import PNG
from gisservice.web import wsgi_app
from gisservice.web.mapimages import MapPicture, drawn_layers
from gisservice.web.service import Service

SIDE = 256
BOLD = Style(
    color="#1b998b", opacity=0.7, outline="#d7263d", width=9, radius=45, by="zoning",
    classes=(StyleClass("RB", "RB", "#f0a202"),),
)  # fmt: skip


def read(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    """The small city, and long lines across all of it."""
    city = build_city(tmp_path_factory.mktemp("tiles"))
    lines = lots_frame(40)
    rings = [shape.centroid.buffer(0.013, 2).exterior for shape in lines.geometry]
    arcs = [shapely.LineString(ring.coords) for ring in rings]
    publish(city.catalog, lines.set_geometry(arcs, crs=lines.crs), "arcs", GeometryKind.LINE)
    return Service.open(city.settings)


def pictures(service: Service, z: int, count: int, style: Style):
    """Yield nothing but layers: one picture of ``count`` tiles each way, then each tile with its column and row."""
    declared = MapDeclaration("all", "All", "", ("relief", "lots", "arcs", "places"))
    layers = drawn_layers(service, declared)
    assert len(layers) == 4
    for layer in layers:
        layer.collection.manifest = replace(
            layer.collection.manifest, layer=replace(layer.collection.layer, style=style)
        )
    x, y = (square_positions(np.array([[-77.0525, 38.8095]]))[0] * 2**z).astype(int) - count // 2

    def drawn(column: int, row: int, side: int) -> np.ndarray:
        frame = Frame(float(SIDE << z), float(column * SIDE), float(row * SIDE), side, side)
        return read(MapPicture(service, declared, layers, frame, 1, PNG).make())

    yield drawn(x, y, SIDE * count)
    for column in range(count):
        for row in range(count):
            yield column, row, drawn(x + column, y + row, SIDE)


@pytest.mark.parametrize("style", [Style(), BOLD], ids=["plain", "bold"])
@pytest.mark.parametrize("z", [13, 15, 18])
def test_tiles_are_cut_from_one_picture(service: Service, z: int, style: Style):
    big, *tiles = pictures(service, z, 2, style)
    assert len(np.unique(big.reshape(-1, 3), axis=0)) > 100
    off = []
    for column, row, tile in tiles:
        part = big[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]
        off.append(np.abs(tile - part).max(axis=-1))
    # Of 255. A round corner has one straight piece more or less by the last digit of its place: single pixels.
    assert (np.array(off) > 4).sum() <= np.size(off) / 20_000
    edges = np.concatenate([np.concatenate([o[0], o[-1], o[:, 0], o[:, -1]]) for o in off])
    assert edges.max() <= 4, "where tiles meet"


def test_a_tile_is_drawn_anew_for_a_new_version(own_city: City):
    client = Client(wsgi_app(own_city.settings))
    x, y = (square_positions(np.array([[-77.05, 38.803]]))[0] * 2**14).astype(int)
    url = f"/wmts/1.0.0/map.city/default/WebMercatorQuad/14/{y}/{x}.png"
    first = client.get(url)
    publish(own_city.catalog, lots_frame(100), "lots")
    second = client.get(url, headers={"If-None-Match": first.headers["ETag"]})
    assert (first.status_code, second.status_code) == (200, 200) and first.data != second.data


def test_a_map_of_which_nothing_is_published_has_no_tiles(tmp_path: Path):
    city = build_city(tmp_path)
    for name in ("lots", "places"):
        for version in (city.settings.home / "collections" / name).glob("current.json"):
            version.unlink()
    client = Client(wsgi_app(city.settings))
    assert b"map.city" not in client.get("/wmts/1.0.0/WMTSCapabilities.xml").data
    assert client.get("/wmts/1.0.0/map.city/default/WebMercatorQuad/14/1/1.png").status_code == 404
