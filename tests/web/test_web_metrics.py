"""Figures for operators: what was asked is what is counted, over all processes, and told to none but operators."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from web_city import City
from werkzeug.test import Client

from gisservice.web import create_app, wsgi_app
from gisservice.web.routes import ROUTES
from gisservice.web.tally import BOUNDS, KINDS, Tally, kind_of, shared_file

LINE = re.compile(r'([a-z_]+)(?:{([a-z]+="[^"\\\n]*"(?:,[a-z]+="[^"\\\n]*")*)})? (-?[0-9][0-9.e+-]*)')
TILE = "/tiles/lots/14/4685/6272.mvt"


def figures(text: str) -> dict[tuple[str, str], float]:
    """Read the text format of Prometheus strictly: each sample behind the HELP and TYPE of its family, none twice."""
    found: dict[tuple[str, str], float] = {}
    family, told = "", set()
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family = line.split()[2]
            assert family not in told and len(line.split()) > 3
            told.add(family)
        elif line.startswith("# TYPE "):
            assert line.split()[2] == family and line.split()[3] in ("counter", "gauge", "histogram")
        else:
            match = LINE.fullmatch(line)
            assert match and match[1].startswith(family), line
            assert (match[1], match[2] or "") not in found, line
            found[match[1], match[2] or ""] = float(match[3])
    assert text.endswith("\n")
    return found


def read(client: Client, **headers: str) -> dict[tuple[str, str], float]:
    answer = client.get("/metrics", environ_base={"REMOTE_ADDR": "127.0.0.1"}, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    return figures(answer.text)


@pytest.mark.parametrize("build", [create_app, wsgi_app])
def test_what_was_asked_is_counted(city: City, build: object) -> None:
    client = Client(build(city.settings))
    items = "/api/collections/lots/items"
    tag = client.get(TILE).headers["ETag"]
    asked = {
        ("tile", 200): [TILE, TILE, "/api/collections/lots/tiles/WebMercatorQuad/14/6272/4685"],
        ("items", 200): [items, f"{items}?limit=3", items],
        ("items", 400): [f"{items}?limmit=3"],
        ("item", 200): [f"{items}/003.01-3"],
        ("item", 404): [f"{items}/nothing", f"{items}/nothing/more"],
        ("document", 200): ["/api", "/tiles/lots.json", "/data.json"],
        ("page", 200): ["/", "/layers/lots"],
        ("static", 404): ["/static/nothing.js"],
        ("operation", 200): ["/healthz"],
        ("other", 404): ["/wp-login.php", "/.env", "/" + "x" * 4000],
        ("tile", 304): [TILE],
    }
    for (_, status), paths in asked.items():
        for path in paths:
            headers = {"If-None-Match": tag} if status == 304 else {}
            assert client.get(path, headers=headers).status_code == status
    assert client.get(f"{TILE}?filter=area>5").status_code == client.get(f"{TILE}?filter=area>5").status_code == 200
    found = read(client)
    expected = {
        ("gisservice_requests_total", f'kind="{kind}",status="{status}"'): len(paths)
        for (kind, status), paths in asked.items()
    }
    expected["gisservice_requests_total", 'kind="tile",status="200"'] += 3  # the first, and the drawn one twice
    assert {key: value for key, value in found.items() if key[0] == "gisservice_requests_total"} == expected
    assert found["gisservice_drawings_total", ""] == 1
    assert found["gisservice_cache_lookups_total", 'cache="tiles",result="hit"'] == 1
    assert found["gisservice_cache_lookups_total", 'cache="tiles",result="miss"'] == 1
    assert found["gisservice_cache_lookups_total", 'cache="items",result="hit"'] == 1
    assert found["gisservice_cache_lookups_total", 'cache="items",result="miss"'] == 2
    assert found["gisservice_memory_bytes", 'process="0",part="own"'] > 1e7
    for kind in KINDS:
        counts = [
            found.get(("gisservice_request_seconds_bucket", f'kind="{kind}",le="{le}"')) for le in (*BOUNDS, "+Inf")
        ]
        if counts[0] is None:
            continue
        assert counts == sorted(counts)
        assert counts[-1] == found["gisservice_request_seconds_count", f'kind="{kind}"']
        assert counts[-1] == sum(
            value
            for (name, labels), value in found.items()
            if name == "gisservice_requests_total" and f'kind="{kind}"' in labels
        )
        assert found["gisservice_request_seconds_sum", f'kind="{kind}"'] > 0
    for name, count in (("lots", 400), ("places", 50)):
        assert found["gisservice_items", f'collection="{name}"'] == count
        assert found["gisservice_versions_published_total", f'collection="{name}"'] == 1
        assert found["gisservice_collection_damaged", f'collection="{name}"'] == 0


@pytest.mark.parametrize(
    ("address", "headers"),
    [
        ("192.0.2.7", {}),
        ("", {}),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.7"}),
        ("127.0.0.1", {"Forwarded": "for=192.0.2.7"}),
        ("127.0.0.1", {"Via": "1.1 proxy"}),
    ],
)
def test_nobody_else_sees_them(city: City, address: str, headers: dict[str, str]) -> None:
    client = Client(wsgi_app(city.settings))
    hidden = client.get("/metrics", environ_base={"REMOTE_ADDR": address}, headers=headers)
    nothing = client.get("/metrix", environ_base={"REMOTE_ADDR": address}, headers=headers)
    assert (hidden.status_code, hidden.get_json()["detail"]) == (404, nothing.get_json()["detail"])
    other = Client(wsgi_app(replace(city.settings, metrics_readers=("192.0.2.7",))))
    assert other.get("/metrics", environ_base={"REMOTE_ADDR": "192.0.2.7"}).status_code == 200
    assert other.get("/metrics", environ_base={"REMOTE_ADDR": "127.0.0.1"}).status_code == 404


def test_every_route_is_of_a_kind() -> None:
    kinds = {route.template: kind_of(re.sub(r"{[^}]+}", "1", route.template)) for route in ROUTES}
    assert {template for template, kind in kinds.items() if kind == "other"} == set()
    assert set(kinds.values()) == set(KINDS) - {"other"}


COUNTS = """
import sys
from pathlib import Path
from gisservice.web.tally import Tally
tally = Tally(Path(sys.argv[1]))
print("ready", flush=True)
for line in sys.stdin:
    for _ in range(int(line)):
        tally.request("/tiles/x/1/1/1.mvt", 200, 5_000_000)
    print("done", flush=True)
"""


@pytest.fixture
def tally_file() -> Iterator[Path]:
    with shared_file() as path:
        yield path
    assert not path.exists()


def test_a_process_alone_is_never_crowded() -> None:
    tally = Tally()
    with tally.drawing(), tally.drawing(), tally.drawing():
        assert not tally.is_crowded()


def test_processes_count_together_and_whoever_replaces_one_goes_on(tally_file: Path) -> None:
    def begin() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", COUNTS, str(tally_file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return process

    def count(process: subprocess.Popen[str], times: int) -> None:
        process.stdin.write(f"{times}\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"

    processes = [begin(), begin()]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
    seen = Tally(tally_file)
    for process in processes:
        count(process, 700)
    assert seen.totals().requests("tile")["200"] == 1400
    assert set(seen.processes()) == {process.pid for process in processes}
    processes[0].kill()
    processes[0].communicate()
    seen.request("/", 200, 1)  # takes the slot that is free again
    assert len(seen.processes()) == 2
    count(processes[1], 50)
    with seen.drawing():
        assert not seen.is_crowded()
        with seen.drawing():
            assert seen.is_crowded()
        assert not seen.is_crowded()
    processes[1].communicate()
    assert seen.totals().requests("tile")["200"] == 1450
    counts, seconds = seen.totals().durations("tile")
    assert (counts[BOUNDS.index(0.003)], counts[BOUNDS.index(0.01)], counts[-1]) == (0, 1450, 1450)
    assert seconds == pytest.approx(1450 * 0.005)
