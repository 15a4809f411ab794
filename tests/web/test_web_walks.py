"""Paging: whatever the limit and the order, each item comes exactly once, also while versions are published."""

from __future__ import annotations

import gzip
import json
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pandas
import pytest
from feature_city import PERMIT_COLUMNS as COLUMNS
from feature_city import FeatureCity, build_feature_city, permits_frame, publish, related
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import Client

from gisservice.catalog import Catalog
from gisservice.errors import Overloaded
from gisservice.model import STORED, Form, GeometryKind
from gisservice.query.geojson import Bounds, write_items
from gisservice.web import features, pagetext, wsgi_app
from gisservice.web.gates import Gate, Turnstile
from gisservice.web.service import LARGE_PAGES_AT_ONCE

FEET = "http://www.opengis.net/def/crs/EPSG/0/2283"
NAMES = [column.name for column in COLUMNS]

sort_keys = st.lists(
    st.tuples(st.sampled_from(["", "-", "%2B"]), st.sampled_from(NAMES)), max_size=3, unique_by=lambda key: key[1]
)
choices = st.sampled_from(
    ["", "&bbox=-77.09,38.8,-77.05,38.84", "&state=done", "&filter=fee%3E300%20OR%20paid%3Dtrue", "&paid=true&height=2"]
)


def expected_order(frame: Any, ids: list[str], keys: list[tuple[str, str]]) -> list[str]:
    """Sorted by Python: stable, by code points, what has no value last either way."""
    for sign, name in reversed(keys):
        column = frame[name]
        held = [key for key in ids if not pandas.isna(column[key])]
        missing = [key for key in ids if pandas.isna(column[key])]
        held.sort(key=lambda key: column[key], reverse=sign == "-")  # used at once; equals keep their order
        ids = held + missing
    return ids


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sort_keys, choices, st.integers(1, 300))
def test_a_walk_gives_every_item_once_and_in_order(
    feature_city: FeatureCity, keys: list[tuple[str, str]], choice: str, limit: int
) -> None:
    stored = feature_city.ids("permits", f"limit=10000{choice}")
    order = "&sortby=" + ",".join(sign + name for sign, name in keys) if keys else ""
    walked = feature_city.ids("permits", f"limit={limit}{choice}{order}")
    assert walked == expected_order(feature_city.frames["permits"], stored, keys)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sort_keys, choices, st.integers(0, 260), st.integers(1, 90))
def test_offsets_are_slices_of_the_same_order(
    feature_city: FeatureCity, keys: list[tuple[str, str]], choice: str, offset: int, limit: int
) -> None:
    order = "&sortby=" + ",".join(sign + name for sign, name in keys) if keys else ""
    everything = feature_city.ids("permits", f"limit=10000{choice}{order}")
    page = feature_city.page("permits", f"offset={offset}&limit={limit}{choice}{order}")
    assert [item["id"] for item in page["features"]] == everything[offset : offset + limit]
    assert page["numberMatched"] == len(everything)
    before = related(page, "prev")
    assert (before is None) == (offset == 0 or not everything)
    if before is not None:
        first = max(0, min(offset, len(everything)) - limit)
        ids = [item["id"] for item in feature_city.page(before)["features"]]
        assert ids == everything[first : first + limit]


@pytest.fixture
def changing(tmp_path: Any) -> FeatureCity:
    return build_feature_city(tmp_path)


def shuffled(seed: int, count: int) -> Any:
    frame = permits_frame(count)
    random.Random(seed).shuffle(order := list(range(count)))
    moved = frame.iloc[order].reset_index(drop=True)
    moved["number"] = frame["number"]
    return moved


@pytest.mark.parametrize(
    "query", ["limit=13", "limit=17&sortby=-state,fee", "limit=7&state=open", "limit=9&filter=paid=true"]
)
def test_a_walk_stays_with_its_version(changing: FeatureCity, query: str) -> None:
    """A new version after every page, some with fewer items: the walk sees the items it began with."""
    before = changing.page("permits", query.partition("&")[2] + "&limit=10000")["features"]
    document = changing.page("permits", query)
    walked, seed = document["features"], 0
    while (following := related(document, "next")) is not None:
        seed += 1
        if seed < 6:
            publish(changing.catalog, shuffled(seed, 240 - 20 * seed), "permits", GeometryKind.POINT, COLUMNS, "number")
        document = changing.page(following)
        assert document["numberMatched"] == len(before)
        walked += document["features"]
    assert walked == before
    assert changing.page("permits")["numberMatched"] != 240


def test_another_process_continues_the_walk(changing: FeatureCity) -> None:
    first = changing.page("permits", "limit=100&sortby=note")
    publish(changing.catalog, shuffled(1, 50), "permits", GeometryKind.POINT, COLUMNS, "number")
    other = Client(wsgi_app(changing.settings))
    following = (related(first, "next") or "").removeprefix("http://localhost")
    document = other.get(following).get_json()
    assert (document["numberMatched"], document["numberReturned"]) == (240, 100)
    assert not {item["id"] for item in first["features"]} & {item["id"] for item in document["features"]}


def test_a_version_that_is_gone_is_410_and_says_to_begin_again(changing: FeatureCity) -> None:
    following = (related(changing.page("permits", "limit=100"), "next") or "").removeprefix("http://localhost")
    catalog = Catalog(changing.settings.home, versions_kept=1)
    changing.close()  # else the version would be held open, and the walk could go on
    for seed in (1, 2):
        publish(catalog, shuffled(seed, 100), "permits", GeometryKind.POINT, COLUMNS, "number")
    answer = Client(wsgi_app(changing.settings)).get(following)
    assert answer.status_code == 410
    assert answer.get_json()["type"] == "urn:gisservice:problem:version-gone"
    assert "without 'token'" in answer.get_json()["detail"]


@pytest.mark.parametrize(
    "token",
    ["x", "", "A" * 24, "A" * 23, "A" * 25, "-" * 24, "%00" * 24, "A" * 5000, "../../../etc/passwd", "null", "1", "'"],
)
def test_forged_tokens_are_refused(feature_city: FeatureCity, token: str) -> None:
    answer = feature_city.get("/api/collections/permits/items", query_string={"token": token})
    assert answer.status_code in (400, 410)  # 24 letters may name a version that there never was
    assert len(answer.data) < 700


def test_a_token_of_another_layer_or_query_is_refused(feature_city: FeatureCity) -> None:
    token = (related(feature_city.page("permits", "limit=1&state=open"), "next") or "").rpartition("token=")[2]
    assert feature_city.get(f"/api/collections/permits/items?state=open&token={token}").status_code == 200
    assert feature_city.get(f"/api/collections/permits/items?state=done&token={token}").status_code == 400
    assert feature_city.get(f"/api/collections/permits/items?token={token}").status_code == 400
    assert feature_city.get(f"/api/collections/lots/items?token={token}").status_code in (400, 410)


# Where a page is cut


@pytest.mark.parametrize("query", ["", f"&crs={FEET}", "&properties=note", "&f=geojsonseq"])
def test_a_page_is_cut_at_the_byte_budget(feature_city: FeatureCity, query: str) -> None:
    small = Client(wsgi_app(replace(feature_city.settings, items_bytes_max=10_000)))
    url: str | None = f"/api/collections/permits/items?limit=10000{query}"
    seen: list[str] = []
    while url is not None:
        answer = small.get(url)
        items = _items(answer)
        assert 0 < len(items) < 240
        texts = [json.dumps(item, separators=(",", ":"), ensure_ascii=False) for item in items]
        assert sum(len(text.encode()) for text in texts) <= 10_500
        if "geojsonseq" not in query:
            assert answer.get_json()["numberReturned"] == len(items)
            assert answer.get_json()["numberMatched"] == 240
        seen += [item["id"] for item in items]
        links = dict(reversed(part.split("; rel=", 1)) for part in answer.headers["Link"].split(", <"))
        found = [href for rel, href in links.items() if rel.startswith('"next"')]
        url = found[0].strip("<>").removeprefix("http://localhost") if found else None
    assert seen == feature_city.ids("permits", "limit=10000")


def _items(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 200
    if answer.mimetype == "application/geo+json-seq":
        return [json.loads(text) for text in answer.data.split(b"\x1e") if text]
    return list(answer.get_json()["features"])


@pytest.mark.parametrize("form", [STORED, Form(properties=("note",))])
def test_one_item_larger_than_the_budget_is_sent(feature_city: FeatureCity, form: Form) -> None:
    layer = feature_city.catalog.collection("permits").features
    written = write_items(layer, np.arange(5), form, None, Bounds(10))
    assert written.count == 1 and len(list(written.pieces)) == 1


def test_a_page_that_takes_too_long_is_cut_and_not_kept(
    feature_city: FeatureCity, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(wsgi_app(feature_city.settings))
    ticking: list[Callable[[], bool]] = [lambda: True]
    monkeypatch.setattr(features, "_alarm", lambda seconds: ticking[0])
    url = f"/api/collections/lots/items?limit=400&crs={FEET}"
    late = client.get(url)
    document = late.get_json()
    assert 0 < document["numberReturned"] == len(document["features"]) < 400
    assert "ETag" not in late.headers and late.headers["Cache-Control"] == "no-store"
    ticking[0] = lambda: False
    rest = client.get((related(document, "next") or "").removeprefix("http://localhost")).get_json()
    whole = client.get(url)
    assert whole.headers["ETag"] and whole.get_json()["features"] == document["features"] + rest["features"]


def test_large_pages_are_sent_in_pieces_and_not_many_at_a_time(changing: FeatureCity) -> None:
    publish(changing.catalog, permits_frame(2500), "permits", GeometryKind.POINT, COLUMNS, "number")
    app = wsgi_app(changing.settings)
    client = Client(app)
    url = "/api/collections/permits/items?limit=2500"
    expected = client.get(url).data
    held = [client.get(url, buffered=False) for _ in range(LARGE_PAGES_AT_ONCE)]
    full = client.get(url)
    assert (full.status_code, full.headers["Retry-After"]) == (503, "1")
    assert client.get("/api/collections/permits/items?limit=1000").status_code == 200
    assert held[0].data == expected  # read to its end: its place is free again
    assert held[0].content_length == len(expected)
    assert client.get(url).status_code == 200
    held[1].close()  # its reader is gone
    del held
    assert client.get(url, headers={"If-None-Match": client.get(url).headers["ETag"]}).status_code == 304
    packed = client.get(url, headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(packed.data) == expected
    assert "Content-Length" not in packed.headers
    assert client.head(url).status_code == 200
    for _ in range(8):
        assert client.get(url).data == expected


@pytest.mark.parametrize(("limit", "gate"), [(2500, "selections"), (900, "selections"), (100, "")])
def test_a_table_of_many_items_is_written_in_turn(
    changing: FeatureCity, monkeypatch: pytest.MonkeyPatch, limit: int, gate: str
) -> None:
    publish(changing.catalog, permits_frame(2500), "permits", GeometryKind.POINT, COLUMNS, "number")
    app = wsgi_app(changing.settings)
    service = app._service
    gates = {"large_pages": service.large_pages, "selections": service.selections}
    places = {name: gate.free for name, gate in gates.items()}
    seen: list[set[str]] = []
    write = pagetext.table_rows

    def written(*args: Any) -> Any:
        seen.append({name for name, gate in gates.items() if gate.free == places[name] - 1})
        return write(*args)

    monkeypatch.setitem(pagetext._ENVIRONMENT.filters, "table_rows", written)
    url = f"/api/collections/permits/items?f=html&limit={limit}"
    for _ in range(3):
        assert Client(app).get(url).status_code == 200
    assert seen == [{gate} - {""}] * 3
    assert {name: gate.free for name, gate in gates.items()} == places


def test_who_waits_for_a_place_gets_it(changing: FeatureCity) -> None:
    publish(changing.catalog, permits_frame(2500), "permits", GeometryKind.POINT, COLUMNS, "number")
    app = wsgi_app(changing.settings)
    url = "/api/collections/permits/items?limit=2500"
    with ThreadPoolExecutor(8) as pool:
        bodies = list(pool.map(lambda _: Client(app).get(url, buffered=True).data, range(24)))
    assert len(set(bodies)) == 1
    assert json.loads(bodies[0])["numberReturned"] == 2500


def test_a_place_is_handed_to_who_has_waited_longest() -> None:
    door = Gate("everything", 5)
    turnstile = Turnstile("work", 1, door, 20.0)
    turnstile.enter()
    came: list[int] = []

    def work(number: int) -> None:
        with turnstile.passed():
            came.append(number)

    workers = []
    for number in range(4):
        workers.append(threading.Thread(target=work, args=(number,)))
        workers[-1].start()
        while len(turnstile._waiting) <= number:
            pass
    with pytest.raises(Overloaded):
        turnstile.enter()  # the door is full
    turnstile.leave()
    for worker in workers:
        worker.join(20)
    assert (came, turnstile.free) == ([0, 1, 2, 3], 1)
    turnstile.enter()
    impatient = Turnstile("work", 0, door, 0.0)
    with pytest.raises(Overloaded):
        impatient.enter()
    assert not impatient._waiting
    turnstile.leave()
    for _ in range(5):
        door.enter()  # all places at the door are free again
