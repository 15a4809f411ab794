"""The running server: Granian on loopback, as an operator starts it, and other servers over the same application."""

from __future__ import annotations

import errno
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pyogrio
import pytest
import shapely
from free_ports import free_port
from web_city import City, build_city, lots_frame, publish
from werkzeug.test import Client

from gisservice.crs import CRS84, transform_bbox
from gisservice.errors import SettingsError
from gisservice.settings import Settings
from gisservice.web import making, serve, service, wsgi_app

SERVE = "from gisservice.settings import Settings; from gisservice.web import serve; serve(Settings.load())"
OTHER = """
import sys
from wsgiref.simple_server import make_server
from gisservice.web.wsgi import app
make_server("127.0.0.1", int(sys.argv[1]), app).serve_forever()
"""
TILE = "/tiles/lots/14/4685/6272.mvt"


@dataclass(frozen=True)
class Running:
    """A server process and the city it serves."""

    process: subprocess.Popen[bytes]
    port: int
    city: City

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Ask over a connection of its own."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            return fetch(connection, path, **headers)

    def workers(self) -> set[int]:
        """Process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return {int(pid) for pid in children.split()}


def fetch(connection: http.client.HTTPConnection, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def until_it_answers(process: subprocess.Popen[bytes], port: int) -> None:
    """Wait for the first answer; a connection that is refused is tried again, at most for two minutes."""
    waiting = threading.Event()
    for _ in range(2400):
        assert process.poll() is None, "the server ended"
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
                fetch(connection, "/healthz")
            return
        except OSError:
            waiting.wait(0.05)
    pytest.fail("the server did not answer")


def start(city: City, script: str, *arguments: str, workers: int = 2) -> Running:
    port = free_port()
    settings = replace(city.settings, port=port, workers=workers)
    # Run away from the checkout: the relative defaults must not be what makes it work.
    process = subprocess.Popen(
        [sys.executable, "-c", script, *(argument.format(port=port) for argument in arguments)],
        env={**os.environ, **settings.environment()},
        cwd=city.settings.home,
    )
    try:
        until_it_answers(process, port)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return Running(process, port, city)


def stop(server: Running) -> int:
    server.process.send_signal(signal.SIGTERM)
    return server.process.wait(120)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = start(build_city(tmp_path_factory.mktemp("served")), SERVE)
    yield running
    assert stop(running) == 0


@pytest.mark.slow
def test_over_the_wire_the_answers_are_those_of_the_application(server: Running) -> None:
    client = Client(wsgi_app(server.city.settings))
    host = f"127.0.0.1:{server.port}"
    items = "/api/collections/lots/items"
    for path in ("/api", items, f"{items}/a%20b%2Fc", f"{items}/Z%C3%BCrich%20%E2%84%961", f"{items}?bbox=%ff", TILE,
                 "/tiles/lots.json", "/tiles/lots/14/1/1.mvt", "/tiles/lots/%D9%A3/0/0.mvt", "/nope",
                 "/tiles/lots,places/12/1171/1568.mvt", f"{TILE}?filter=zoning%3D'RB'&properties=pid",
                 "/tiles/lots/17/37484/50182.mvt", "/api/collections/lots/tiles/WorldCRS84Quad/13/2329/4684",
                 "/api/tiles/WebMercatorQuad/12/1568/1171", "/tiles/lots.pmtiles", "/tiles/lots/style.json",
                 "/tiles/lots/report", "/api/qgis.xml", "/api/tileMatrixSets/VirginiaNorthFeet"):  # fmt: skip
        for headers in ({}, {"Accept-Encoding": "gzip"}, {"If-None-Match": "*"}, {"Range": "bytes=2-9"}):
            status, got, body = server.get(path, **headers)
            expected = client.get(path, headers={**headers, "Host": host})
            assert (status, body) == (expected.status_code, expected.data)
            wanted = {name.lower(): value for name, value in expected.headers}
            assert {name: got[name] for name in wanted} == wanted
            assert set(got) - set(wanted) <= {"server", "date"}


@pytest.mark.slow
def test_gdal_reads_whole_layers(server: Running) -> None:
    source = f"OAPIF:http://127.0.0.1:{server.port}/api"
    assert set(pyogrio.list_layers(source)[:, 0]) >= {"lots", "places"}
    read = pyogrio.read_dataframe(source, layer="lots").set_index("pid")
    assert read.crs.to_epsg() == 2283  # GDAL asks for the system that the layer is stored in
    frame = lots_frame().set_index("pid").to_crs(read.crs)
    assert len(read) == len(frame) == 400
    assert list(read.loc[frame.index, "area"]) == list(frame["area"])
    pairs = zip(read.loc[frame.index].geometry.normalize(), frame.geometry.normalize(), strict=True)
    assert all(shapely.equals_exact(one, two, 0.001) for one, two in pairs)
    bbox = transform_bbox((-77.0599, 38.8001, -77.0585, 38.8005), CRS84, read.crs)
    part = pyogrio.read_dataframe(source, layer="lots", bbox=bbox)
    assert set(part["pid"]) == set(frame.index[:2])


@pytest.mark.slow
def test_no_request_is_dropped_while_versions_are_published(server: Running) -> None:
    """Two clients ask without pause while one publishes; every answer is whole and of one published version."""
    published = {server.city.catalog.collection("lots").version: 400}
    done = threading.Event()
    seen: list[tuple[str, int]] = []
    failures: list[object] = []

    def ask() -> None:
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
                while not done.is_set():
                    status, _, body = fetch(connection, "/tiles/lots.json")
                    version = json.loads(body)["tiles"][0].split("/")[5]
                    items = json.loads(fetch(connection, "/api/collections/lots/items?limit=1000")[2])
                    pinned, _, tile = fetch(connection, TILE.replace("lots/", f"lots/{version}/"))
                    assert (status, pinned) == (200, 200)
                    assert tile
                    assert items["numberMatched"] == len(items["features"])
                    seen.append((version, items["numberMatched"]))
        except BaseException as error:
            failures.append(error)

    clients = [threading.Thread(target=ask) for _ in range(2)]
    for client in clients:
        client.start()
    for count in range(399, 387, -1):
        published[publish(server.city.catalog, lots_frame(count), "lots").id] = count
    done.set()
    for client in clients:
        client.join(120)
    publish(server.city.catalog, lots_frame(), "lots")
    assert failures == []
    assert {version for version, _ in seen} <= set(published)
    assert {count for _, count in seen} <= set(published.values())
    assert len(seen) > 20


def ask_raw(server: Running, data: bytes) -> bytes:
    answer = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                answer += piece
        except ConnectionError:  # the server may hang up before all is sent
            pass
        except OSError as error:
            assert error.errno == errno.ENOTCONN
    return answer


@pytest.mark.slow
def test_malformed_requests_are_refused_and_hurt_nobody(server: Running) -> None:
    before = server.workers()
    host = b"Host: 127.0.0.1\r\n"
    for data in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"GET /\xff\xfe HTTP/1.1\r\n" + host + b"\r\n",
        b"GET / HTTP/9.9\r\n" + host + b"\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n" + host + b"\r\n",
        b"GET / HTTP/1.1\r\n" + host + b"X-Big: " + b"a" * 1_000_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + host + b"X: 1\r\n" * 500 + b"\r\n",
        b"POST /api HTTP/1.1\r\n" + host + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET",
        b"POST /api HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc",
        b"POST /api HTTP/1.1\r\n" + host + b"Content-Length: -1\r\n\r\n",
        b"POST /api HTTP/1.1\r\n" + host + b"Content-Length: 99999999999999999999\r\n\r\n",
        b"GET http://evil.example/api HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET /api HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
        b"TRACE / HTTP/1.1\r\n" + host + b"\r\n",
        b"OPTIONS * HTTP/1.1\r\n" + host + b"\r\n",
    ):  # fmt: skip
        answer = ask_raw(server, data)
        assert b" 500 " not in answer[:40] and b" 200 OK" not in answer[:40], (data[:60], answer[:200])
        assert b"Traceback" not in answer
    status, _, body = server.get("/healthz")
    assert (status, json.loads(body)["status"]) == (200, "ok")
    assert server.workers() == before


@pytest.mark.slow
def test_idle_and_slow_connections_do_not_keep_others_waiting(server: Running) -> None:
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
    try:
        for connection in slow:
            connection.sendall(b"GET /api HTTP/1.1\r\nHost: 127.0.0.1\r\nX-")
        for _ in range(20):
            assert server.get("/healthz")[0] == 200
    finally:
        for connection in slow:
            connection.close()


def tiles_counted(server: Running) -> int:
    """How many tiles the server says that its workers have sent, whichever of them is asked."""
    status, _, body = server.get("/metrics")
    assert status == 200
    samples = dict(line.rsplit(" ", 1) for line in body.decode().splitlines() if not line.startswith("#"))
    return int(samples['gisservice_requests_total{kind="tile",status="200"}'])


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced_and_sigterm_ends_in_order(own_city: City) -> None:
    server = start(own_city, SERVE)
    before = server.workers()
    assert len(before) == 2
    assert [server.get(TILE)[0] for _ in range(40)] == [200] * 40
    assert tiles_counted(server) == 40
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    waiting = threading.Event()
    for _ in range(2400):
        if len(server.workers() - {victim}) == 2:
            break
        waiting.wait(0.05)
    assert len(server.workers() - before) == 1
    until_it_answers(server.process, server.port)
    assert [server.get(TILE)[0] for _ in range(40)] == [200] * 40
    assert tiles_counted(server) == 80  # what the victim had counted, too
    assert stop(server) == 0
    with pytest.raises(OSError):
        server.get("/healthz")


@pytest.mark.slow
def test_any_wsgi_server_can_load_the_application(own_city: City) -> None:
    server = start(own_city, OTHER, "{port}")
    try:
        assert server.get("/api/collections/lots/items?limit=1")[0] == 200
        status, headers, body = server.get(TILE, Accept_Encoding="gzip")
        assert (status, headers["content-encoding"]) == (200, "gzip")
        assert body == Client(wsgi_app(own_city.settings)).get(TILE, headers={"Accept-Encoding": "gzip"}).data
    finally:
        server.process.terminate()
        server.process.wait(120)


def test_what_cannot_be_served_is_said_before_anything_starts(own_city: City, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SettingsError, match=r"Cannot listen on 127\.0\.0\.1.*--port"):
            serve(replace(own_city.settings, port=taken.getsockname()[1]))
    with pytest.raises(SettingsError, match="Cannot listen on 192"):
        serve(replace(own_city.settings, host="192.0.2.1"))
    with pytest.raises(SettingsError, match="browser libraries"):
        serve(replace(own_city.settings, static=tmp_path / "nothing"))
    with pytest.raises(SettingsError):
        serve(replace(own_city.settings, registry=tmp_path / "nothing.toml"))


@pytest.mark.slow
def test_importing_the_wsgi_module_reads_nothing() -> None:
    script = "import gisservice.web.wsgi as m; assert callable(m.app)"
    environ = {**os.environ, "GISSERVICE_PORT": "nonsense", "GISSERVICE_REGISTRY": "/nothing"}
    assert subprocess.run([sys.executable, "-c", script], env=environ, check=False).returncode == 0
    with pytest.raises(SettingsError):
        Settings.load(environ)


def test_a_thread_is_always_left_for_what_is_cheap() -> None:
    assert service.SELECTIONS_AT_ONCE + service.LARGE_PAGES_AT_ONCE < service.COSTLY_MAX
    waiting = service.COSTLY_MAX + service.DRAWINGS_MAX + service.DOWNLOADS_MAX + making.WAITING_MAX
    assert waiting < service.THREADS
