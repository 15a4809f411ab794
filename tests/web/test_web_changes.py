"""What changed since a version or a moment: told by id, page by page, as the versions themselves tell."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pandas
import pytest
import shapely
from web_city import City, build_city, lots_frame, publish
from werkzeug.test import Client

from gisservice.catalog import Catalog
from gisservice.web import wsgi_app

CHANGES = "/api/collections/lots/changes"


@dataclass(frozen=True)
class Told:
    """A city whose lots were published three times, and what that changed from the first to the last."""

    city: City
    client: Client
    versions: tuple[str, str, str]
    added: list[str]
    removed: list[str]
    rezoned: list[str]
    moved: list[str]

    def get(self, query: str = "", **headers: str) -> Any:
        return self.client.get(f"{CHANGES}?since={self.versions[0]}{query}", headers=headers)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    city = build_city(tmp_path_factory.mktemp("changes"))
    frame = lots_frame()
    first = city.catalog.collection("lots").version
    second = publish(city.catalog, frame.iloc[:390], "lots").id
    later = frame.copy()
    removed = sorted(later["pid"].iloc[200:230])
    later.loc[later.index[10:17], "zoning"] = "CG"
    rezoned = sorted(later["pid"].iloc[10:17])
    moved = sorted(later["pid"].iloc[15:20])
    later.loc[later.index[15:20], "geometry"] = later.geometry.iloc[15:20].apply(
        lambda shape: shapely.affinity.scale(shape, 0.5, 0.5)
    )
    added = [f"new {number}" for number in range(12)]
    extra = later.iloc[:12].assign(pid=added)
    kept = later.drop(index=later.index[200:230])
    third = publish(city.catalog, pandas.concat([extra, kept], ignore_index=True), "lots").id
    return Told(city, Client(wsgi_app(city.settings)), (first, second, third), sorted(added), removed, rezoned, moved)


def by_kind(document: dict[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"added": [], "changed": [], "removed": []}
    for entry in document["changes"]:
        found[entry["change"]].append(entry["id"])
    return {kind: sorted(ids) for kind, ids in found.items()}


def test_what_was_added_changed_and_removed(told: Told) -> None:
    document = told.get().get_json()
    assert by_kind(document) == {
        "added": told.added,
        "changed": sorted({*told.rezoned, *told.moved}),
        "removed": told.removed,
    }
    assert [document[f"number{name}"] for name in ("Added", "Changed", "Removed", "Matched", "Returned")] == [
        12, 10, 30, 52, 52,
    ]  # fmt: skip
    frame = lots_frame().set_index("pid")
    for entry in document["changes"]:
        if entry["change"] == "changed":
            assert entry["geometryChanged"] == (entry["id"] in told.moved)
            before = frame["zoning"].get(entry["id"])
            before = None if pandas.isna(before) else before
            expected = {"zoning": {"before": before, "after": "CG"}} if entry["id"] in told.rezoned else {}
            assert entry["fields"] == expected
    sides = document["since"]["version"], document["until"]["version"]
    assert sides == (told.versions[0], told.versions[2])
    assert (document["since"]["count"], document["until"]["count"]) == (400, 382)


def test_geojson_has_the_items_as_they_are_or_last_were(told: Told) -> None:
    answer = told.get("&f=geojson")
    assert answer.content_type == "application/geo+json"
    assert told.get("", Accept="application/geo+json").content_type == "application/geo+json"
    document = json.loads(answer.data)
    assert document["type"] == "FeatureCollection" and len(document["features"]) == 52
    items = {item["id"]: item for item in told.client.get("/api/collections/lots/items?limit=1000").json["features"]}
    first = told.client.get(f"/download/lots/{told.versions[0]}.geojson").get_json()
    former = {item["id"]: item for item in first["features"]}
    for feature in document["features"]:
        marks = {name: feature.pop(name) for name in ("change", "geometryChanged", "before") if name in feature}
        if marks["change"] == "removed":
            assert feature == former[feature["id"]] and feature["id"] not in items
        else:
            assert feature == items[feature["id"]]
        if marks["change"] == "changed":
            old = former[feature["id"]]
            assert marks["geometryChanged"] == (old["geometry"] != feature["geometry"])
            assert {**feature["properties"], **marks["before"]} == old["properties"]


@pytest.mark.parametrize("limit", [1, 7, 12, 22, 1000])
def test_a_walk_gives_every_change_once_whatever_is_published_meanwhile(told: Told, limit: int) -> None:
    whole = told.get().get_json()["changes"]
    document = told.get(f"&limit={limit}").get_json()
    found = document["changes"]
    while following := [link["href"] for link in document["links"] if link["rel"] == "next"]:
        assert f"until={told.versions[2]}" in following[0]
        document = told.client.get(following[0].removeprefix("http://localhost")).get_json()
        assert document["numberMatched"] == 52
        found += document["changes"]
    assert found == whole


def test_a_moment_stands_for_the_version_current_then(told: Told) -> None:
    history = told.city.catalog.history("lots").entries
    ask = {"since": (history[1].at + timedelta(microseconds=1)).isoformat()}
    document = told.client.get(CHANGES, query_string=ask).get_json()
    assert (document["since"]["version"], document["until"]["version"]) == told.versions[1:]
    before = told.client.get(CHANGES, query_string={"since": "2001-01-01T00:00:00Z"})
    assert before.status_code == 404 and "first was published at" in before.get_json()["detail"]
    backwards = told.client.get(f"{CHANGES}?since={told.versions[2]}&until={told.versions[0]}").get_json()
    assert by_kind(backwards)["added"] == told.removed and by_kind(backwards)["removed"] == told.added
    same = told.client.get(f"{CHANGES}?since={told.versions[2]}").get_json()
    assert (same["numberMatched"], same["changes"]) == (0, [])


def test_its_links_lead_to_both_versions_and_back(told: Told) -> None:
    links = told.get("&offset=10&limit=10").get_json()["links"]
    assert {"self", "alternate", "next", "prev", "predecessor-version", "successor-version"} <= {
        x["rel"] for x in links
    }
    for link in links:
        answer = told.client.get(link["href"].removeprefix("http://localhost"))
        assert (answer.status_code, answer.mimetype) == (200, link["type"])
    history = told.client.get("/api/collections/lots/versions").get_json()["versions"]
    (related,) = history[-1]["links"]
    assert told.client.get(related["href"].removeprefix("http://localhost")).get_json()["numberMatched"] == 52
    (plain,) = (link for link in told.client.get(CHANGES).get_json()["links"] if link["rel"] == "self")
    assert plain["href"] == f"http://localhost{CHANGES}"
    page = told.get("&f=html").text
    assert "numberAdded" in page and told.added[0] in page


def test_its_tag_names_both_versions(told: Told) -> None:
    tag = told.get().headers["ETag"]
    assert told.get("", **{"If-None-Match": tag}).status_code == 304
    others = [told.get("&limit=3"), told.get("&f=geojson"), told.get(f"&until={told.versions[1]}")]
    assert len({tag, *(answer.headers["ETag"] for answer in others)}) == 4


def test_a_version_that_is_gone_is_410_and_says_what_to_do(told: Told, tmp_path: Any) -> None:
    city = build_city(tmp_path)
    first = city.catalog.collection("lots").version
    catalog = Catalog(city.settings.home, versions_kept=1)
    del city
    for count in (10, 11):
        publish(catalog, lots_frame(count), "lots")
    client = Client(wsgi_app(replace(told.city.settings, home=tmp_path / "published")))
    gone = client.get(f"{CHANGES}?since={first}")
    assert (gone.status_code, gone.mimetype) == (410, "application/problem+json")
    assert "fetch the whole layer" in gone.get_json()["detail"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("since=", 400),
        ("since=yesterday", 400),
        ("since=2026-01-01", 400),
        ("since=v-0123456789abcdef", 404),
        ("since=v-../../etc", 404),
        ("since=2999-01-01T00:00:00Z&until=never", 400),
        ("since=2999-01-01T00:00:00Z&since=2999-01-01T00:00:00Z", 400),
        ("since=2999-01-01T00:00:00Z&limit=0", 400),
        ("since=2999-01-01T00:00:00Z&offset=-1", 400),
        ("since=2999-01-01T00:00:00Z&f=csv", 400),
        ("sinse=2999-01-01T00:00:00Z", 400),
    ],
)
def test_what_cannot_be_answered_is_refused(told: Told, query: str, status: int) -> None:
    answer = told.client.get(f"{CHANGES}?{query}")
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    if query.startswith("sinse"):
        assert "'since'" in answer.get_json()["detail"]


def test_without_since_it_is_the_version_before(told: Told) -> None:
    for until, before in ((2, 1), (1, 0), (0, 0)):
        document = told.client.get(f"{CHANGES}?until={told.versions[until]}").get_json()
        assert document["since"]["version"] == told.versions[before]
        assert (document["numberMatched"] == 0) == (until == before)
    assert told.client.get(CHANGES).get_json()["until"]["version"] == told.versions[2]


def test_a_raster_has_no_changes(told: Told) -> None:
    assert told.client.get("/api/collections/relief/changes?since=2999-01-01T00:00:00Z").status_code == 404
    history = told.client.get("/api/collections/relief/versions").get_json()["versions"]
    assert history[0]["links"] == []


def test_an_item_is_called_as_its_layer_declares(own_city: City) -> None:
    client = Client(wsgi_app(own_city.settings))
    frame = lots_frame().iloc[:20]
    frame.loc[frame.index[4:8], "zoning"] = None
    publish(own_city.catalog, frame.iloc[5:], "lots")
    frame.loc[frame.index[10:15], "area"] = 1.0
    publish(own_city.catalog, frame.iloc[:18], "lots", title_column="zoning")
    listed = client.get(CHANGES).get_json()["changes"]
    assert Counter(one["change"] for one in listed) == {"added": 5, "changed": 5, "removed": 2}
    zoning = dict(zip(frame["pid"], frame["zoning"].astype(object).where(frame["zoning"].notna(), None), strict=True))
    assert {one["id"]: one.get("title") for one in listed} == {one["id"]: zoning[one["id"]] for one in listed}
    features = client.get(f"{CHANGES}?f=geojson").get_json()["features"]
    assert [(one["id"], one.get("title")) for one in features] == [(one["id"], one.get("title")) for one in listed]
