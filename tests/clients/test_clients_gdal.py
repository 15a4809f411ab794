"""What GDAL reads of our tiles: one tile, a folder of them, the server as a tree of tiles, and the archive.

The GDAL inside pyogrio's wheel, which has the PMTiles driver (3.8 and later) whatever the system's programs are.
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import clients_city
import geopandas
import mapbox_vector_tile
import numpy as np
import pyogrio
import pytest
import shapely

pytestmark = pytest.mark.slow

LAYERS = ("lots", "districts", "streets", "places")
TILE = shapely.box(0, 0, 4096, 4096)
METRES = 2 * 20_037_508.342789244
"""Side of the world in EPSG:3857."""


def read(source: str | Path, **options: Any) -> geopandas.GeoDataFrame:
    with warnings.catch_warnings():
        # An empty tile is 204 without a body, which GDAL mentions.
        warnings.filterwarnings("ignore", message="HTTP response code", category=RuntimeWarning)
        return pyogrio.read_dataframe(source, **options)


def ids(tile: bytes, layer: str, *, inside: bool = False) -> Counter[int]:
    """The ids in a tile; with ``inside`` only of what is not in its buffer alone, which GDAL leaves out of a tile."""
    features = mapbox_vector_tile.decode(tile, default_options={"geojson": False})[layer]["features"]
    shapes = [shapely.geometry.shape(feature["geometry"]) for feature in features]
    chosen = (
        [shape.intersects(TILE) and not shape.touches(TILE) for shape in shapes] if inside else [True] * len(shapes)
    )
    return Counter(feature["id"] for feature, drawn in zip(features, chosen, strict=True) if drawn)


def keys(frame: geopandas.GeoDataFrame, city, layer: str) -> set[str]:
    values = frame[city.catalog.collection(layer).manifest.id_column]
    # All numbers are "Number" to TileJSON, and real ones to GDAL.
    return {str(int(value)) if isinstance(value, float) else value for value in values}


def of_zoom(city, layer: str, z: int) -> dict[tuple[int, int, int], bytes]:
    return {place: tile for place, tile in city.tiles(layer).items() if place[0] == z}


def whole_zoom(city, layer: str, z: int, *, inside: bool = False) -> Counter[int]:
    return sum((ids(tile, layer, inside=inside) for tile in of_zoom(city, layer, z).values()), Counter())


@pytest.mark.parametrize("layer", LAYERS)
def test_a_tile_by_its_address_lies_where_it_belongs(city, layer: str) -> None:
    z = 14
    for (_, x, y), tile in of_zoom(city, layer, z).items():
        address = f"/vsicurl/{city.address}/tiles/{layer}/{z}/{x}/{y}.pbf"
        assert pyogrio.list_layers(address)[:, 0].tolist() == [layer]
        frame = read(address)
        assert Counter(frame["mvt_id"].tolist()) == ids(tile, layer, inside=True)
        assert frame.crs.to_epsg() == 3857
        side, buffer = METRES / 2**z, METRES / 2**z * 64 / 4096
        west, north = x * side - METRES / 2, METRES / 2 - y * side
        box = (west - buffer, north - side - buffer, west + side + buffer, north + buffer)
        assert np.all(np.array(frame.total_bounds) >= np.array([*box[:2], *box[:2]]) - 1e-6)
        assert np.all(np.array(frame.total_bounds) <= np.array([*box[2:], *box[2:]]) + 1e-6)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_folder_of_tiles(city, layer: str, tmp_path: Path) -> None:
    described = city.json(f"/tiles/{layer}.json")
    metadata = {"json": json.dumps({"vector_layers": described["vector_layers"]})}
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))
    for (z, x, y), tile in city.tiles(layer).items():
        target = tmp_path / str(z) / str(x) / f"{y}.pbf"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(tile)
    for z in clients_city.ZOOMS:
        frame = read(f"MVT:{tmp_path / str(z)}", METADATA_FILE=str(tmp_path / "metadata.json"))
        assert Counter(frame["mvt_id"].tolist()) == whole_zoom(city, layer, z, inside=True)
    assert keys(frame, city, layer) == set(city.items(layer))


@pytest.mark.parametrize("layer", LAYERS)
def test_the_server_as_a_tree_of_tiles(city, layer: str) -> None:
    z = 15
    frame = read(f"MVT:{city.address}/tiles/{layer}/{z}", TILE_EXTENSION="mvt")
    assert Counter(frame["mvt_id"].tolist()) == whole_zoom(city, layer, z, inside=True)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("place", ["file", "address"])
def test_the_archive(city, layer: str, place: str) -> None:
    address = f"/vsicurl/{city.address}/tiles/{layer}.pmtiles"
    archive = city.folder(layer) / "tiles.pmtiles" if place == "file" else address
    assert pyogrio.list_layers(archive)[:, 0].tolist() == [layer]
    for z in clients_city.ZOOMS:
        frame = read(archive, ZOOM_LEVEL=z, CLIP="NO")
        assert Counter(frame["mvt_id"].tolist()) == whole_zoom(city, layer, z)
    assert keys(frame, city, layer) == set(city.items(layer))


def test_shapes_of_the_deepest_zoom_are_those_of_the_source(city) -> None:
    frame = read(city.folder("districts") / "tiles.pmtiles", ZOOM_LEVEL=16, CLIP="YES")
    whole = frame.dissolve("number").to_crs("EPSG:2283")
    source = clients_city.districts().set_index("NUMBER")
    difference = whole.geometry.symmetric_difference(source.geometry.reindex(whole.index))
    unit_feet = METRES / 2**16 / 4096 * 3.2808333
    assert difference.area.max() <= source.length.max() * unit_feet
    assert whole.geometry.is_valid.all()
