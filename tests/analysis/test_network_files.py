"""Networks and rasters as they are opened from a catalog: built once, mapped afterwards, and what is no network."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine
from shapely import LineString, Point, box

from gisservice.analysis import Ground, Network, access, cover_shares, elevation
from gisservice.catalog import Catalog, load_registry
from gisservice.errors import InvalidParameter, NotFound
from gisservice.ingest import ingest_layer

X, Y = 11_890_000.0, 6_980_000.0

REGISTRY = """
maps = "maps.toml"

[city]
name = "Town"

[layers.streets]
title = "Streets"
sources = [{ path = "streets.geojson" }]
storage_crs = "EPSG:2283"
geometry = "line"
id_column = "key"
zoom = [14, 14]

[layers.streets.network]
name = "name"
speed = "speed"
oneway = "oneway"
forward = ["FT"]
backward = ["TF"]

[layers.streets.columns]
key = { type = "string" }
name = { type = "string" }
oneway = { type = "string" }
speed = { type = "integer", unit = "mile per hour" }

[layers.paths]
title = "Paths"
sources = [{ path = "streets.geojson" }]
storage_crs = "EPSG:2283"
geometry = "line"
id_column = "key"
zoom = [14, 14]
columns = { key = { type = "string" } }

[layers.heights]
title = "Heights"
sources = [{ path = "heights.tif" }]
storage_crs = "EPSG:2283"
geometry = "raster"
zoom = [14, 14]
raster = { unit = "foot" }
"""


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    folder = tmp_path_factory.mktemp("network")
    lines = [LineString([(X, Y), (X + 880, Y)]), LineString([(X + 880, Y), (X + 880, Y + 880)])]
    columns = {"key": ["a", "b"], "name": ["King St", None], "oneway": ["FT", None], "speed": [20, 40]}
    geopandas.GeoDataFrame(columns, geometry=lines, crs="EPSG:2283").to_crs("OGC:CRS84").to_file(
        folder / "streets.geojson"
    )
    shape = {"count": 1, "height": 20, "width": 20, "dtype": "float32", "nodata": -1.0, "crs": "EPSG:2283"}
    transform = Affine(50, 0, X, 0, -50, Y + 1000)
    with rasterio.open(folder / "heights.tif", "w", driver="GTiff", transform=transform, **shape) as file:
        file.write(np.full((20, 20), 7, "float32"), 1)
    (folder / "layers.toml").write_text(REGISTRY)
    (folder / "maps.toml").write_text('[maps.town]\ntitle = "Town"\nlayers = ["streets"]\n')
    registry = load_registry(folder / "layers.toml")
    home = Catalog(folder / "home")
    for layer in registry.layers:
        ingest_layer(layer, folder=folder, catalog=home, build_workers=1)
    return home


def test_a_network_is_built_once_and_then_mapped(catalog: Catalog) -> None:
    network = Network.open(catalog)
    assert Network.open(catalog) is network
    built = Network.of(catalog.read("streets"), catalog.collection("streets").layer.network)
    for name in ("nodes", "ends", "segment", "allowed", "drive_kmh", "name", "dropped"):
        assert np.array_equal(getattr(network, name), getattr(built, name)), name
    assert (network.names, network.ids, network.crs) == (built.names, built.ids, built.crs)
    assert np.array_equal(network.lines.coordinates, built.lines.coordinates)
    assert not network.lines.coordinates.flags.writeable
    assert sorted(network.drive_kmh / 1.609344) == pytest.approx([20, 40])
    assert network.source == catalog.collection("streets").attrs
    assert not catalog.verify()


def test_a_network_that_was_lost_or_damaged_is_built_again(catalog: Catalog) -> None:
    network = Network.open(catalog)
    file: Path = next((catalog.collection("streets").path.parents[1] / "derived").rglob("network.bin"))
    file.write_bytes(file.read_bytes()[:-9])
    again = Network.open(catalog)
    assert again.ids == network.ids
    assert file.stat().st_size > 100


def test_answers_name_the_versions_they_come_from(catalog: Catalog) -> None:
    place = geopandas.GeoDataFrame(geometry=[Point(X + 880, Y + 440)], crs="EPSG:2283")
    goal = geopandas.GeoDataFrame(geometry=[Point(X + 880, Y)], crs="EPSG:2283")
    found = access(Network.open(catalog), place, {"goal": goal})
    assert [source["collection"] for source in found.attrs["answer"]["sources"]] == ["streets"]
    ground = Ground.open(catalog, "heights")
    heights = elevation(place, ground)
    assert heights.elevation.tolist() == [7]
    assert heights.attrs["answer"]["units"] == {"elevation": "foot"}
    assert heights.attrs["answer"]["sources"][0]["version"] == catalog.collection("heights").version
    areas = geopandas.GeoDataFrame(geometry=[box(X, Y, X + 90, Y + 90)], crs="EPSG:2283")
    assert cover_shares(areas, ground).percent_7.tolist() == [100]


def test_what_is_no_network_and_no_raster_is_told(catalog: Catalog) -> None:
    with pytest.raises(InvalidParameter, match="whose declaration has a 'network' table"):
        Network.open(catalog, "paths")
    with pytest.raises(NotFound, match="is no raster"):
        Ground.open(catalog, "streets")
