"""What Node's packages make of our tiles: the decoder that browsers use, and the reader of archives."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from typing import Any

import mapbox_vector_tile
import pytest

pytestmark = pytest.mark.slow

LAYERS = ("lots", "districts", "streets", "places")
KINDS = {"lots": "Polygon", "districts": "Polygon", "streets": "LineString", "places": "Point"}
FIELD = {"string": "String", "number": "Number", "boolean": "Boolean"}


@pytest.fixture(scope="module", params=LAYERS)
def decoded(request, city, node) -> tuple[str, dict[tuple[int, int, int], dict[str, Any]]]:
    """A layer, and every tile of it as @mapbox/vector-tile reads it."""
    name = request.param
    places = {f"{city.address}/tiles/{name}/{z}/{x}/{y}.mvt": (z, x, y) for z, x, y in city.tiles(name)}
    answers = node("decode.mjs", list(places))
    return name, {places[address]: layers for address, layers in answers.items()}


def test_every_feature_is_read_as_another_decoder_reads_it(city, decoded) -> None:
    name, tiles = decoded
    for place, bytes_ in city.tiles(name).items():
        layer = mapbox_vector_tile.decode(bytes_, default_options={"geojson": False})[name]
        theirs = tiles[place][name]
        assert list(tiles[place]) == [name]
        assert (theirs["version"], theirs["extent"]) == (2, layer["extent"]) == (2, 4096)
        assert [(f["id"], f["properties"]) for f in theirs["features"]] == [
            (f["id"], f["properties"]) for f in layer["features"]
        ]
        assert {f["type"] for f in theirs["features"]} == {KINDS[name]}


def test_values_have_the_types_that_tilejson_declares(city, decoded) -> None:
    name, tiles = decoded
    (declared,) = city.json(f"/tiles/{name}.json")["vector_layers"]
    seen = {
        (key, FIELD[kind])
        for layers in tiles.values()
        for feature in layers[name]["features"]
        for key, kind in feature["types"].items()
    }
    assert declared["id"] == name
    # A type, and where the office said so what the field means: "Number: Area (m²)".
    fields = {(key, said.partition(":")[0]) for key, said in declared["fields"].items()}
    assert seen <= fields
    assert fields - seen <= {("merged", "Number")}  # no zoom of these lots is so small that any are drawn as one


def test_the_deepest_zoom_has_every_item_with_all_its_properties(city, decoded) -> None:
    name, tiles = decoded
    key = city.catalog.collection(name).manifest.id_column
    deepest = max(z for z, _, _ in tiles)
    found = {
        str(feature["properties"][key]): feature["properties"]
        for (z, _, _), layers in tiles.items()
        if z == deepest
        for feature in layers[name]["features"]
    }
    assert found == city.items(name)


def test_an_id_means_one_item_in_every_tile_and_whole_numbers_are_their_own(city, decoded) -> None:
    name, tiles = decoded
    key = city.catalog.collection(name).manifest.id_column
    keys = defaultdict(set)
    for layers in tiles.values():
        for feature in layers[name]["features"]:
            if key in feature["properties"]:
                keys[feature["id"]].add(feature["properties"][key])
    assert {len(values) for values in keys.values()} == {1}
    assert sorted(str(value) for values in keys.values() for value in values) == sorted(city.items(name))
    assert max(keys) <= 2**53 - 1
    if name in ("districts", "streets"):
        assert all(values == {number} for number, values in keys.items())


def test_the_report_counts_what_is_there(city, decoded) -> None:
    name, tiles = decoded
    report = json.loads((city.folder(name) / "tiles.json").read_text())
    for zoom, account in report["zooms"].items():
        layers = [layers[name] for (z, _, _), layers in tiles.items() if z == int(zoom)]
        assert len(layers) == account["tiles"]
        assert len({feature["id"] for layer in layers for feature in layer["features"]}) == account["drawn"]


def test_the_archive_is_read_by_range(city, node) -> None:
    tiles = city.tiles("lots")
    outside = (16, 0, 0)
    question = {"address": f"{city.address}/tiles/lots.pmtiles", "tiles": [*tiles, outside]}
    answer = node("archive.mjs", question)
    assert answer["digests"] == [*(hashlib.sha256(tile).hexdigest() for tile in tiles.values()), None]
    assert set(answer["statuses"]) == {206}
    described = city.json("/tiles/lots.json")
    header = answer["header"]
    assert (header["minZoom"], header["maxZoom"]) == (described["minzoom"], described["maxzoom"])
    assert [header[side] for side in ("minLon", "minLat", "maxLon", "maxLat")] == pytest.approx(described["bounds"])
    ((stored,), (layer,)) = answer["metadata"]["vector_layers"], described["vector_layers"]
    assert (stored["id"], set(stored["fields"])) == (layer["id"], set(layer["fields"]))


def test_the_styles_are_valid(city, node) -> None:
    addresses = [f"/tiles/{name}/style.json" for name in LAYERS]
    styles = [city.json(address) for address in (*addresses, "/maps/city/style.json")]
    assert [style["layers"][0]["type"] for style in styles[:4]] == ["fill", "fill", "line", "circle"]
    assert node("styles.mjs", styles) == [[]] * len(styles)
