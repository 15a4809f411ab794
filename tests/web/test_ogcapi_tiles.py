"""OGC API Tiles 1 (20-057) and Tile Matrix Set 2.0 (17-083r4): one test for each abstract test of their annexes A.

Each test's first line is the identifier of its abstract test.
"""

from __future__ import annotations

from typing import Any

import mapbox_vector_tile
import morecantile
import pytest
import shapely
from pyproj import CRS, Transformer
from web_city import City, lots_frame
from werkzeug.test import Client

MVT = "application/vnd.mapbox-vector-tile"
REL = "http://www.opengis.net/def/rel/ogc/1.0"
TILES = "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf"
TMS = "http://www.opengis.net/spec/tms/2.0/conf"
GRIDS = ("WebMercatorQuad", "WorldCRS84Quad", "VirginiaNorthFeet")
REGISTERED = {
    "WebMercatorQuad": "http://www.opengis.net/def/tilematrixset/OGC/1.0/WebMercatorQuad",
    "WorldCRS84Quad": "http://www.opengis.net/def/tilematrixset/OGC/1.0/WorldCRS84Quad",
}
LISTS = ("/api/tiles", "/api/collections/lots/tiles", "/api/collections/places/tiles")


def path_of(link: dict[str, Any]) -> str:
    return link["href"].removeprefix("http://localhost")


def by_rel(document: dict[str, Any], rel: str) -> list[dict[str, Any]]:
    return [link for link in document["links"] if link["rel"] == rel]


def tileset(client: Client, path: str) -> dict[str, Any]:
    answer = client.get(path)
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    return answer.get_json()


def item(document: dict[str, Any]) -> str:
    """The template of the tiles of a tileset."""
    (link,) = by_rel(document, "item")
    return path_of(link)


def filled(template: str, zoom: int | str, row: int, column: int) -> str:
    values = {"{tileMatrix}": zoom, "{tileRow}": row, "{tileCol}": column}
    for name, value in values.items():
        template = template.replace(name, str(value))
    return template


def grid_of(client: Client, name: str) -> morecantile.TileMatrixSet:
    """The grid as another implementation reads its document."""
    return morecantile.TileMatrixSet.model_validate(client.get(f"/api/tileMatrixSets/{name}").get_json())


def limits(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {entry["tileMatrix"]: entry for entry in document["tileMatrixSetLimits"]}


def deepest_small(document: dict[str, Any]) -> tuple[str, list[tuple[int, int]]]:
    """The last zoom whose limits are few tiles, and these tiles: row, column."""
    zoom, span = [(z, e) for z, e in limits(document).items() if _count(e) <= 40][-1]
    rows = range(span["minTileRow"], span["maxTileRow"] + 1)
    columns = range(span["minTileCol"], span["maxTileCol"] + 1)
    return zoom, [(row, column) for row in rows for column in columns]


def _count(span: dict[str, Any]) -> int:
    return (span["maxTileRow"] - span["minTileRow"] + 1) * (span["maxTileCol"] - span["minTileCol"] + 1)


# OGC API Tiles 1, A.2: Core


def test_core_conformance_success(client: Client) -> None:
    """/conf/core/conformance-success"""
    answer = client.get("/api/conformance")
    classes = answer.get_json()["conformsTo"]
    assert answer.status_code == 200
    assert all(isinstance(entry, str) for entry in classes)
    for name in (
        "core", "tileset", "tilesets-list", "dataset-tilesets", "geodata-tilesets", "collections-selection", "oas30",
        "mvt",
    ):  # fmt: skip
        assert f"{TILES}/{name}" in classes


@pytest.mark.parametrize("grid", GRIDS)
def test_core_tc_op(client: Client, grid: str) -> None:
    """/conf/core/tc-op"""
    for base in ("/api/collections/lots/tiles", "/api/tiles"):
        document = tileset(client, f"{base}/{grid}")
        template = item(document)
        assert all(template.count(f"{{{name}}}") == 1 for name in ("tileMatrix", "tileRow", "tileCol"))
        zoom, addresses = deepest_small(document)
        statuses = {client.get(filled(template, zoom, *address)).status_code for address in addresses}
        assert 200 in statuses
        assert statuses <= {200, 204}
        theirs = grid_of(client, grid)
        assert {entry.id for entry in theirs.tileMatrices} >= set(limits(document))


@pytest.mark.parametrize("name", ["tileMatrix", "tileRow", "tileCol"])
def test_core_tile_address_definition(client: Client, name: str) -> None:
    """/conf/core/tc-tilematrix-definition, /conf/core/tc-tilerow-definition, /conf/core/tc-tilecol-definition"""
    paths = client.get("/api/openapi.json").get_json()["paths"]
    described = 0
    for path, entry in paths.items():
        if path.endswith("/{tileMatrixSetId}/{tileMatrix}/{tileRow}/{tileCol}"):
            (parameter,) = [one for one in entry["parameters"] if one["name"] == name]
            assert (parameter["in"], parameter["required"]) == ("path", True)
            wanted = {"type": "string"} if name == "tileMatrix" else {"type": "integer", "minimum": 0}
            assert parameter["schema"] == wanted
            described += 1
    assert described == 3


@pytest.mark.parametrize("grid", GRIDS)
def test_core_tc_success(client: Client, grid: str) -> None:
    """/conf/core/tc-success"""
    document = tileset(client, f"/api/collections/lots/tiles/{grid}")
    zoom, addresses = deepest_small(document)
    theirs = grid_of(client, grid)
    to_lonlat = Transformer.from_crs(CRS.from_user_input(document["crs"]), "OGC:CRS84", always_xy=True)
    frame = lots_frame()
    lots = dict(zip(frame["pid"], frame.geometry, strict=True))
    seen = set()
    for row, column in addresses:
        answer = client.get(filled(item(document), zoom, row, column), headers={"Accept": MVT})
        if answer.status_code == 204:
            continue
        assert (answer.status_code, answer.content_type) == (200, MVT)
        bounds = theirs.xy_bounds(morecantile.Tile(column, row, int(zoom)))
        side = bounds.right - bounds.left
        wide = (bounds.left - side / 60, bounds.bottom - side / 60, bounds.right + side / 60, bounds.top + side / 60)
        area = shapely.box(*to_lonlat.transform_bounds(*wide))
        features = mapbox_vector_tile.decode(answer.data)["lots"]["features"]
        shown = {feature["properties"]["pid"] for feature in features if "pid" in feature["properties"]}
        assert all(lots[pid].intersects(area) for pid in shown)
        seen |= shown
    assert len(seen) > 100
    image = filled(item(document), zoom, *addresses[0])
    assert client.get(image, headers={"Accept": "image/png"}).status_code == 406
    assert client.get(f"{image}?f=png").status_code == 400
    assert client.get(f"{image}?f=mvt", headers={"Accept": "image/png"}).status_code in (200, 204)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("base", ["/api/collections/lots/tiles", "/api/tiles"])
def test_core_tc_error(client: Client, grid: str, base: str) -> None:
    """/conf/core/tc-error"""
    document = tileset(client, f"{base}/{grid}")
    template = item(document)
    for zoom, span in list(limits(document).items())[:6]:
        top, left = span["minTileRow"], span["minTileCol"]
        bottom, right = span["maxTileRow"], span["maxTileCol"]
        assert client.get(filled(template, zoom, top, left)).status_code in (200, 204)
        outside = [(top - 1, left), (bottom + 1, left), (top, left - 1), (top, right + 1), (2**31 - 1, left)]
        for address in outside:
            answer = client.get(filled(template, zoom, *address))
            assert answer.status_code == 404, (zoom, address)
            assert answer.content_type == "application/problem+json"
            assert answer.headers["Cache-Control"] == "no-store"
    first = int(document["tileMatrixSetLimits"][0]["tileMatrix"])
    for zoom in (-1, first - 1, 25, 99, "x", "1_4", "014"):
        assert client.get(filled(template, zoom, 0, 0)).status_code == 404


def test_core_tc_error_empty(client: Client) -> None:
    """/conf/core/tc-error, 2: no content inside the limits"""
    document = tileset(client, "/api/collections/places/tiles/WebMercatorQuad")
    zoom = "21"
    span = limits(document)[zoom]
    rows, columns = (range(span[f"minTile{way}"], span[f"maxTile{way}"] + 1) for way in ("Row", "Col"))
    statuses = [
        (answer.status_code, answer.data)
        for row in rows[:4]
        for column in columns[:4]
        if (answer := client.get(filled(item(document), zoom, row, column))).status_code != 200
    ]
    assert set(statuses) == {(204, b"")}


# A.3: Tileset


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("base", LISTS)
def test_tileset_description(client: Client, base: str, grid: str) -> None:
    """/conf/tileset/description"""
    document = tileset(client, f"{base}/{grid}")
    check_tileset(document)
    assert document.get("tileMatrixSetURI") == REGISTERED.get(grid)
    (scheme,) = by_rel(document, f"{REL}/tiling-scheme")
    definition = client.get(path_of(scheme)).get_json()
    assert definition["id"] == grid
    assert definition["crs"] == document["crs"]
    (tiles,) = by_rel(document, "item")
    assert (tiles["templated"], tiles["type"]) == (True, MVT)
    assert all(tiles["href"].count(name) == 1 for name in ("{tileMatrix}", "{tileRow}", "{tileCol}"))
    (here,) = by_rel(document, "self")
    assert client.get(path_of(here)).get_json() == document
    assert client.get(f"{base}/{grid}", headers={"Accept": "application/json"}).status_code == 200
    assert client.get(f"{base}/{grid}", headers={"Accept": "application/xml"}).status_code == 406


def check_tileset(document: dict[str, Any]) -> None:
    """Hold a document against tileSet.json of the standard."""
    texts = ("title", "description", "version", "attribution", "tileMatrixSetURI", "updated")
    assert document["dataType"] == "vector"
    CRS.from_user_input(document["crs"])
    assert all(isinstance(document.get(name, ""), str) for name in texts)
    assert document["mediaTypes"] == [MVT]
    for entry in document["tileMatrixSetLimits"]:
        check_limits(entry)
    assert document["layers"]
    for layer in document["layers"]:
        assert isinstance(layer["id"], str) and layer["dataType"] == "vector"
        assert layer["geometryDimension"] in (0, 1, 2)
        assert {layer["minTileMatrix"], layer["maxTileMatrix"]} <= set(limits(document))
        check_box(layer["boundingBox"])
        assert layer["propertiesSchema"]["type"] == "object"
        assert {entry["type"] for entry in layer["propertiesSchema"]["properties"].values()} <= {
            "string", "integer", "number", "boolean",
        }  # fmt: skip
        assert layer["links"]
    check_box(document["boundingBox"])
    for link in document["links"]:
        assert {"href", "rel", "type", "title"} <= set(link)


def check_limits(entry: dict[str, Any]) -> None:
    assert set(entry) == {"tileMatrix", "minTileRow", "maxTileRow", "minTileCol", "maxTileCol"}
    assert isinstance(entry["tileMatrix"], str)
    assert 0 <= entry["minTileRow"] <= entry["maxTileRow"]
    assert 0 <= entry["minTileCol"] <= entry["maxTileCol"]


def check_box(box: dict[str, Any]) -> None:
    (west, south), (east, north) = box["lowerLeft"], box["upperRight"]
    assert -180 <= west <= east <= 180 and -90 <= south <= north <= 90
    assert box["crs"] == "http://www.opengis.net/def/crs/OGC/1.3/CRS84"


# A.4: Tilesets list


@pytest.mark.parametrize("path", LISTS)
def test_tilesets_list_tileset_links(client: Client, path: str) -> None:
    """/conf/tilesets-list/tileset-links"""
    document = tileset(client, path)
    assert len(document["tilesets"]) == len(GRIDS)
    for entry, grid in zip(document["tilesets"], GRIDS, strict=True):
        (here,) = by_rel(entry, "self")
        (scheme,) = by_rel(entry, f"{REL}/tiling-scheme")
        assert path_of(here) == f"{path}/{grid}"
        full = tileset(client, path_of(here))
        assert client.get(path_of(scheme)).get_json()["id"] == grid
        assert entry.get("tileMatrixSetURI") == REGISTERED.get(grid)
        assert {name: full.get(name) for name in ("dataType", "crs", "tileMatrixSetURI")} == {
            name: entry.get(name) for name in ("dataType", "crs", "tileMatrixSetURI")
        }


# A.5: Dataset tilesets


def test_dataset_tilesets_landingpage(client: Client) -> None:
    """/conf/dataset-tilesets/landingpage"""
    (link,) = by_rel(client.get("/api").get_json(), f"{REL}/tilesets-vector")
    assert tileset(client, path_of(link))["tilesets"]


def test_dataset_tilesets_operation(client: Client) -> None:
    """/conf/dataset-tilesets/operation"""
    (link,) = by_rel(client.get("/api").get_json(), f"{REL}/tilesets-vector")
    assert path_of(link) == "/api/tiles"
    document = tileset(client, "/api/tiles/WebMercatorQuad")
    assert [layer["id"] for layer in document["layers"]] == ["lots", "places"]
    zoom, addresses = deepest_small(document)
    answers = [client.get(filled(item(document), zoom, *address)) for address in addresses]
    shown = [list(mapbox_vector_tile.decode(answer.data)) for answer in answers if answer.data]
    assert ["lots", "places"] in shown


# A.6: Geodata tilesets


def test_geodata_tilesets_desc_links(client: Client) -> None:
    """/conf/geodata-tilesets/desc-links"""
    listed = client.get("/api/collections").get_json()["collections"]
    found = {entry["id"]: by_rel(entry, f"{REL}/tilesets-vector") for entry in listed}
    assert {name: len(links) for name, links in found.items()} == {"lots": 1, "places": 1, "relief": 0, "catalog": 0}
    for links in found.values():
        for link in links:
            assert tileset(client, path_of(link))["tilesets"]


def test_geodata_tilesets_operation(client: Client) -> None:
    """/conf/geodata-tilesets/operation"""
    for name in ("lots", "places"):
        entry = client.get(f"/api/collections/{name}").get_json()
        (link,) = by_rel(entry, f"{REL}/tilesets-vector")
        (here,) = by_rel(entry, "self")
        assert link["href"] == f"{here['href']}/tiles"


# A.7: Collections selection


@pytest.mark.parametrize("chosen", ["lots", "places", "lots,places", "places,lots"])
def test_collections_selection_query_collections(client: Client, chosen: str) -> None:
    """/conf/collections-selection/query-collections"""
    for grid in GRIDS:
        document = tileset(client, f"/api/tiles/{grid}?collections={chosen}")
        zoom, addresses = deepest_small(document)
        statuses = {client.get(filled(item(document), zoom, *address)).status_code for address in addresses}
        assert statuses <= {200, 204} and 200 in statuses


@pytest.mark.parametrize("chosen", ["lots", "places", "lots,places", "places,lots"])
def test_collections_selection_collections_response(client: Client, chosen: str) -> None:
    """/conf/collections-selection/collections-response"""
    names = chosen.split(",")
    for grid in GRIDS:
        document = tileset(client, f"/api/tiles/{grid}?collections={chosen}")
        assert [layer["id"] for layer in document["layers"]] == names
        zoom, addresses = deepest_small(document)
        full = [
            layers
            for address in addresses
            if (answer := client.get(filled(item(document), zoom, *address))).status_code == 200
            and set(layers := mapbox_vector_tile.decode(answer.data)) == set(names)
        ]
        assert full and all(list(layers) == names for layers in full)
    for wrong, status in (("nope", 404), ("relief", 404), ("lots,lots", 400), ("", 404), ("lots,", 404)):
        for path in ("/api/tiles/WebMercatorQuad", "/api/tiles/WebMercatorQuad/14/6272/4685"):
            assert client.get(f"{path}?collections={wrong}").status_code == status


# A.8: OpenAPI 3.0

OPERATIONS = {
    "/api/tiles": ".dataset.vector.getTileSetsList",
    "/api/tiles/{tileMatrixSetId}": ".dataset.vector.getTileSet",
    "/api/tiles/{tileMatrixSetId}/{tileMatrix}/{tileRow}/{tileCol}": ".dataset.vector.getTile",
    "/api/collections/{collection_id}/tiles": ".collection.vector.getTileSetsList",
    "/api/collections/{collection_id}/tiles/{tileMatrixSetId}": ".collection.vector.getTileSet",
    "/api/collections/{collection_id}/tiles/{tileMatrixSetId}/{tileMatrix}/{tileRow}/{tileCol}": (
        ".collection.vector.getTile"
    ),
}


def test_oas30_completeness(client: Client) -> None:
    """/conf/oas30/completeness"""
    definition = client.get("/api/openapi.json").get_json()
    for path in (*OPERATIONS, "/api/tileMatrixSets", "/api/tileMatrixSets/{tileMatrixSetId}"):
        assert path in definition["paths"]
        for entry in definition["paths"][path].get("parameters", []):
            if entry["name"] == "tileMatrixSetId":
                assert entry["schema"]["enum"] == list(GRIDS)
            if entry["name"] == "collection_id":
                assert entry["schema"]["enum"] == ["lots", "places"]
    keys = [entry["$ref"] for entry in definition["paths"]["/api/tiles/{tileMatrixSetId}"]["get"]["parameters"]]
    collections = definition["components"]["parameters"][keys[0].rsplit("/", 1)[1]]
    assert (collections["name"], collections["in"], collections["required"]) == ("collections", "query", False)
    assert (collections["style"], collections["explode"]) == ("form", False)
    assert collections["schema"] == {"type": "array", "items": {"type": "string"}}


def test_oas30_operation_id(client: Client) -> None:
    """/conf/oas30/operation-id"""
    paths = client.get("/api/openapi.json").get_json()["paths"]
    for path, suffix in OPERATIONS.items():
        assert paths[path]["get"]["operationId"].endswith(suffix)


# A.9: Mapbox Vector Tiles


@pytest.mark.parametrize("grid", GRIDS)
def test_mvt_content(client: Client, grid: str) -> None:
    """/conf/mvt/content"""
    document = tileset(client, f"/api/collections/places/tiles/{grid}")
    zoom, addresses = deepest_small(document)
    theirs = grid_of(client, grid)
    to_lonlat = Transformer.from_crs(CRS.from_user_input(document["crs"]), "OGC:CRS84", always_xy=True)
    frame = lots_frame(50)
    points = dict(zip(frame["pid"], frame.geometry.representative_point(), strict=True))
    seen = set()
    for row, column in addresses:
        answer = client.get(filled(item(document), zoom, row, column))
        if answer.status_code == 204:
            continue
        decoded = mapbox_vector_tile.decode(answer.data, default_options={"y_coord_down": True})
        layer = decoded["places"]
        bounds = theirs.xy_bounds(morecantile.Tile(column, row, int(zoom)))
        unit = (bounds.right - bounds.left) / layer["extent"]
        for feature in layer["features"]:
            assert feature["geometry"]["type"] == "Point"
            x, y = feature["geometry"]["coordinates"]
            lon, lat = to_lonlat.transform(bounds.left + x * unit, bounds.top - y * unit)
            point = points[feature["properties"]["pid"]]
            # Half a unit of rounding each way, in degrees at most two units long.
            assert shapely.distance(shapely.Point(lon, lat), point) < _degrees(bounds, layer["extent"], to_lonlat)
            seen.add(feature["properties"]["pid"])
    assert len(seen) > 20


def _degrees(bounds: morecantile.BoundingBox, extent: int, to_lonlat: Transformer) -> float:
    west, south, east, north = to_lonlat.transform_bounds(*bounds)
    return 2 * max(east - west, north - south) / extent


# Tile Matrix Set 2.0, A: TileMatrixSet, TileMatrixSetLimits, TileSetMetadata and their JSON encodings


def test_tms_conformance(client: Client) -> None:
    classes = client.get("/api/conformance").get_json()["conformsTo"]
    for name in ("tilematrixset", "tilematrixsetlimits", "tilesetmetadata"):
        assert {f"{TMS}/{name}", f"{TMS}/json-{name}"} <= set(classes)


@pytest.mark.parametrize("grid", GRIDS)
def test_tms_tilematrixset_model(client: Client, grid: str) -> None:
    """/conf/tilematrixset/model, /conf/json-tilematrixset/model, schema, ietf and media-type"""
    answer = client.get(f"/api/tileMatrixSets/{grid}")
    document = answer.get_json()
    assert answer.content_type == "application/json"
    theirs = grid_of(client, grid)
    assert theirs.id == grid
    if grid in REGISTERED:
        registered = morecantile.tms.get(grid)
        assert document["uri"] == REGISTERED[grid]
        for ours, wanted in zip(theirs.tileMatrices, registered.tileMatrices, strict=False):
            assert (ours.id, ours.matrixWidth, ours.matrixHeight) == (
                wanted.id,
                wanted.matrixWidth,
                wanted.matrixHeight,
            )
            assert ours.scaleDenominator == pytest.approx(wanted.scaleDenominator, rel=1e-9)
            assert ours.pointOfOrigin == pytest.approx(wanted.pointOfOrigin, rel=1e-9)
    for matrix in document["tileMatrices"]:
        assert isinstance(matrix["id"], str)
        assert matrix["scaleDenominator"] > 0 and matrix["cellSize"] > 0
        assert min(matrix[name] for name in ("tileWidth", "tileHeight", "matrixWidth", "matrixHeight")) >= 1
    assert len({matrix["id"] for matrix in document["tileMatrices"]}) == len(document["tileMatrices"])


def test_tms_list_links_to_every_definition(client: Client) -> None:
    document = client.get("/api/tileMatrixSets").get_json()
    assert [entry["id"] for entry in document["tileMatrixSets"]] == list(GRIDS)
    for entry in document["tileMatrixSets"]:
        (here,) = by_rel(entry, "self")
        assert client.get(path_of(here)).get_json()["title"] == entry["title"]
    (link,) = by_rel(client.get("/api").get_json(), f"{REL}/tiling-schemes")
    assert path_of(link) == "/api/tileMatrixSets"
    for wrong in ("nope", "webmercatorquad", "x" * 500, "WebMercatorQuad%00"):
        answer = client.get(f"/api/tileMatrixSets/{wrong}")
        assert answer.status_code == 404
        assert "WorldCRS84Quad" in answer.get_json()["detail"]


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("base", LISTS)
def test_tms_tilematrixsetlimits_model(client: Client, base: str, grid: str, city: City) -> None:
    """/conf/tilematrixsetlimits/model, /conf/json-tilematrixsetlimits/model, schema and ietf"""
    document = tileset(client, f"{base}/{grid}")
    entries = document["tileMatrixSetLimits"]
    for entry in entries:
        check_limits(entry)
    assert len({entry["tileMatrix"] for entry in entries}) == len(entries)
    theirs = grid_of(client, grid)
    names = [layer["id"] for layer in document["layers"]]
    boxes = [city.catalog.collection(name).manifest.extent.bbox for name in names]
    west, south = min(box[0] for box in boxes), min(box[1] for box in boxes)
    east, north = max(box[2] for box in boxes), max(box[3] for box in boxes)
    for entry in entries:
        zoom = int(entry["tileMatrix"])
        matrix = theirs.matrix(zoom)
        assert entry["maxTileRow"] < matrix.matrixHeight and entry["maxTileCol"] < matrix.matrixWidth
        for lon, lat in ((west, south), (west, north), (east, south), (east, north)):
            tile = theirs.tile(lon, lat, zoom)
            assert entry["minTileCol"] <= tile.x <= entry["maxTileCol"]
            assert entry["minTileRow"] <= tile.y <= entry["maxTileRow"]


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("base", LISTS)
def test_tms_tilesetmetadata(client: Client, base: str, grid: str) -> None:
    """/conf/tilematrixsetmetadata/identifier and model, /conf/json-tilesetmetadata/model, schema, media-type, ietf"""
    document = tileset(client, f"{base}/{grid}")
    check_tileset(document)
    assert by_rel(document, f"{REL}/tiling-scheme")
