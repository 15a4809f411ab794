"""Items: pages, boxes, links and single items, held against shapely and the frame that was published."""

from __future__ import annotations

import json
import random

import geopandas
import numpy as np
import pytest
import shapely
from web_city import EAST, NORTH, SOUTH, WEST, City, lots_frame, publish
from werkzeug.test import Client

from gisservice.model import GeometryKind
from gisservice.web import create_app

ITEMS = "/api/collections/lots/items"


def page(client: Client, url: str) -> dict:
    answer = client.get(url.removeprefix("http://localhost"))
    assert answer.status_code == 200, answer.text
    return json.loads(answer.data, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def related(document: dict, rel: str) -> str | None:
    return next((link["href"] for link in document["links"] if link["rel"] == rel), None)


def walk(client: Client, url: str, direction: str = "next") -> list[list[str]]:
    """The ids of every page from this one on."""
    pages = []
    following: str | None = url
    while following is not None:
        document = page(client, following)
        assert document["numberReturned"] == len(document["features"])
        pages.append([feature["id"] for feature in document["features"]])
        following = related(document, direction)
    return pages


def test_a_page_is_a_feature_collection_of_the_declared_type(client: Client) -> None:
    answer = client.get(ITEMS)
    assert answer.content_type == "application/geo+json"
    document = answer.get_json()
    assert document["type"] == "FeatureCollection"
    assert (document["numberMatched"], document["numberReturned"]) == (400, 100)
    frame = lots_frame().set_index("pid")
    for feature in document["features"]:
        assert feature["type"] == "Feature"
        assert list(feature["properties"]) == ["pid", "zoning", "area"]
        published = frame.loc[feature["id"]]
        assert feature["properties"]["area"] == published["area"]
        ring = feature["geometry"]["coordinates"][0]
        assert shapely.is_ccw(shapely.linearrings(ring))
        assert shapely.equals_exact(shapely.geometry.shape(feature["geometry"]).normalize(),
                                    published.geometry.normalize(), 1e-8)  # fmt: skip


def test_following_next_gives_every_item_once(client: Client) -> None:
    pages = walk(client, f"{ITEMS}?limit=37")
    ids = [item_id for ids in pages for item_id in ids]
    assert len(ids) == len(set(ids)) == 400
    assert set(ids) == set(lots_frame()["pid"])
    assert [len(ids) for ids in pages] == [37] * 10 + [30]


def test_following_prev_leads_back_over_the_same_pages(client: Client) -> None:
    forward = walk(client, f"{ITEMS}?limit=50")
    assert walk(client, f"{ITEMS}?limit=50&offset=350", "prev") == forward[::-1]


def test_following_next_inside_a_box_gives_what_shapely_says(client: Client) -> None:
    frame = lots_frame()
    generator = random.Random(7)
    for _ in range(25):
        west, south = generator.uniform(WEST - 0.002, EAST), generator.uniform(SOUTH - 0.002, NORTH)
        box = (west, south, west + generator.uniform(0, 0.008), south + generator.uniform(0, 0.008))
        expected = set(frame.loc[frame.intersects(shapely.box(*box)), "pid"])
        url = f"{ITEMS}?limit=7&bbox={','.join(map(repr, box))}"
        ids = [item_id for ids in walk(client, url) for item_id in ids]
        assert len(ids) == len(set(ids)) == page(client, url)["numberMatched"]
        assert set(ids) == expected


def test_a_box_that_touches_matches_and_one_beside_does_not(client: Client) -> None:
    assert page(client, f"{ITEMS}?bbox={WEST - 1},{SOUTH - 1},{WEST},{SOUTH}")["numberMatched"] == 1
    outside = page(client, f"{ITEMS}?bbox={WEST - 1},{SOUTH - 1},{WEST - 1e-9},{SOUTH}")
    assert (outside["numberMatched"], outside["features"]) == (0, [])
    assert related(outside, "next") is None


def test_heights_in_a_box_have_no_effect(client: Client) -> None:
    flat = page(client, f"{ITEMS}?bbox=-77.06,38.8,-77.055,38.805")
    deep = page(client, f"{ITEMS}?bbox=-77.06,38.8,5,-77.055,38.805,6")
    assert flat["features"] == deep["features"]


def test_a_box_may_cross_the_antimeridian(own_city: City) -> None:
    shapes = [shapely.box(179.5, 0, 179.9, 1), shapely.box(-179.9, 0, -179.5, 1), shapely.box(0, 0, 1, 1)]
    frame = geopandas.GeoDataFrame(
        {"pid": ["east", "west", "middle"], "zoning": None, "area": np.nan}, geometry=shapes, crs="OGC:CRS84"
    )
    publish(own_city.catalog, frame, "islands", GeometryKind.POLYGON, zooms=(0, 2), storage="OGC:CRS84")
    client = create_app(own_city.settings).test_client()
    for box, expected in {
        "170,-10,-170,10": {"east", "west"},
        "-170,-10,170,10": {"middle"},
        "179.95,-10,-179.8,10": {"west"},
    }.items():
        document = page(client, f"/api/collections/islands/items?bbox={box}")
        assert {feature["id"] for feature in document["features"]} == expected
        assert document["features"][0]["properties"] == {
            "pid": document["features"][0]["id"],
            "zoning": None,
            "area": None,
        }


@pytest.mark.parametrize(
    ("query", "returned"), [("limit=1", 1), ("limit=400", 400), ("limit=" + "9" * 30, 400), ("limit=5&offset=398", 2)]
)
def test_limits(client: Client, query: str, returned: int) -> None:
    assert page(client, f"{ITEMS}?{query}")["numberReturned"] == returned


def test_beyond_the_last_item_is_an_empty_page(client: Client) -> None:
    document = page(client, f"{ITEMS}?offset=1000000000")
    assert (document["numberMatched"], document["numberReturned"], document["features"]) == (400, 0, [])
    assert related(document, "next") is None
    assert related(document, "prev") is not None


def test_a_limit_over_the_maximum_gets_the_maximum_and_a_next(own_city: City) -> None:
    from dataclasses import replace

    client = create_app(replace(own_city.settings, items_limit_max=150)).test_client()
    pages = walk(client, f"{ITEMS}?limit=100000")
    assert [len(ids) for ids in pages] == [150, 150, 100]


def test_a_time_matches_items_without_one(client: Client) -> None:
    plain = page(client, ITEMS)
    timed = page(client, f"{ITEMS}?datetime=1999-01-01T00:00:00Z/..")
    assert timed["features"] == plain["features"]
    assert "datetime=1999-01-01T00:00:00Z/.." in (related(timed, "next") or "")


def test_the_same_links_stand_in_the_header(client: Client) -> None:
    answer = client.get(f"{ITEMS}?limit=10&offset=10&bbox=-77.06,38.8,-77.05,38.81")
    document = answer.get_json()
    for link in document["links"]:
        assert f'<{link["href"]}>; rel="{link["rel"]}"' in answer.headers["Link"]
    assert {link["rel"] for link in document["links"]} == {
        "self",
        "next",
        "prev",
        "alternate",
        "collection",
        "http://www.opengis.net/def/rel/ogc/1.0/queryables",
        "http://www.opengis.net/def/rel/ogc/1.0/sortables",
    }


def test_the_media_type_follows_accept(client: Client) -> None:
    plain = client.get(ITEMS, headers={"Accept": "application/json"})
    assert plain.content_type == "application/json"
    assert plain.headers["ETag"] != client.get(ITEMS).headers["ETag"]
    assert client.get(ITEMS, headers={"Accept": "text/plain"}).status_code == 406
    assert client.get(ITEMS, headers={"Accept": "text/html;q=0.7,*/*;q=0.8"}).content_type == "application/geo+json"


def test_every_item_is_found_under_the_link_to_itself(client: Client) -> None:
    for feature in page(client, f"{ITEMS}?limit=400")["features"]:
        url = f"{ITEMS}/{_quoted(feature['id'])}"
        item = page(client, url)
        links = item.pop("links")
        assert item == feature
        assert [(link["rel"], link["href"]) for link in links] == [
            ("self", f"http://localhost{url}"),
            ("alternate", f"http://localhost{url}?f=jsonfg"),
            ("alternate", f"http://localhost{url}?f=html"),
            ("collection", "http://localhost/api/collections/lots"),
        ]


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


@pytest.mark.parametrize(
    "item_id", ["nope", "003.01-3%20", "003.01-3/", "%ff", "%00", "a%20b", "..", "A%20B%2FC", "x" * 4000]
)
def test_items_that_are_not_there(client: Client, item_id: str) -> None:
    answer = client.get(f"{ITEMS}/{item_id}")
    assert answer.status_code == 404
    assert answer.get_json()["status"] == 404


def test_a_raster_has_no_items(client: Client) -> None:
    for url in ("/api/collections/relief/items", "/api/collections/relief/items/1"):
        answer = client.get(url)
        assert answer.status_code == 404
        assert answer.get_json()["detail"] == "Collection 'relief' has no items: it is a raster."


def test_stacked_records_are_all_there(own_city: City) -> None:
    frame = lots_frame(3)
    frame["geometry"] = [frame.geometry.iloc[0]] * 3
    publish(own_city.catalog, frame, "stack")
    client = create_app(own_city.settings).test_client()
    found = page(client, "/api/collections/stack/items?bbox=-77.06,38.8,-77.0599,38.8001")
    assert found["numberMatched"] == 3
    assert {feature["id"] for feature in found["features"]} == set(frame["pid"])
