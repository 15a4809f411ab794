"""The feature servers that are compared, each on a free port of the loopback address with two workers.

The peers live in a virtual environment of their own beside the checkout's, which is made from `peers.txt` when it is
first needed: what they depend on is not mixed with what we do.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import geopandas
import measure
import tiles_servers
from tiles_servers import ROOT, WORKERS, PeerMissing, free_port, running

PEERS = ROOT / ".venv-peers"
PEERS_LIST = Path(__file__).with_name("peers.txt")
LAYER_MAX = 100_000
"""Most items on a page, where a server has to be told: a whole layer is one page."""

BBox = tuple[float, float, float, float]
Ask = Callable[..., str | None]


@dataclass(frozen=True)
class FeatureServer:
    """A running server: its name, its address, how its questions are spelled, its processes.

    The functions return paths, and None for what the server does not offer.
    """

    name: str
    base: str
    page: Callable[[BBox, int], str]
    item: Callable[[str], str]
    attribute: Callable[[str, int], str | None]
    spatial: Callable[[str, int], str | None]
    layer: str
    roots: tuple[int, ...]

    def processes(self) -> list[int]:
        """Return its processes as they are now."""
        return [pid for root in self.roots for pid in measure.tree(root)]

    def cpu_seconds(self) -> float:
        """Return the processor time that its living processes have taken so far."""
        return sum(measure.cpu_seconds(pid) for pid in self.processes())


@dataclass(frozen=True)
class Peer:
    """A server in the peers' environment, ready to be started: its command and environment."""

    command: Sequence[str]
    environment: Mapping[str, str]


def box_text(box: BBox) -> str:
    """Return a box as a query string has it."""
    return ",".join(f"{value:.6f}" for value in box)


def ours(stack: ExitStack, name: str, home: Path, layer: str, **settings: str) -> FeatureServer:
    """Serve ``home``; ``settings`` are environment variables of ours."""
    settings = {"GISSERVICE_ITEMS_LIMIT_MAX": str(LAYER_MAX), "GISSERVICE_ITEMS_BYTES_MAX": "500000000"} | settings
    server = stack.enter_context(tiles_servers.gisservice(name, home, layer, **settings))
    items = f"/api/collections/{layer}/items"
    return FeatureServer(
        name,
        server.base,
        lambda box, limit: f"{items}?bbox={box_text(box)}&limit={limit}",
        lambda item: f"{items}/{item}",
        lambda code, limit: f"{items}?zoning={quote(code, safe='')}&limit={limit}",
        lambda polygon, limit: f"{items}?filter=S_INTERSECTS(geometry,{polygon})&limit={limit}".replace(" ", "%20"),
        f"{items}?limit={LAYER_MAX}",
        server.roots,
    )


Provider = Mapping[str, object]


def pygeoapi(stack: ExitStack, name: str, layer: str, providers: Sequence[Provider], work: Path) -> FeatureServer:
    """Serve one file, or a copy for each worker, with pygeoapi: Flask behind gunicorn.

    Its own image uses gevent workers; under load they answer GeoPackages with errors, plain workers with a copy each do
    not.
    """
    python, port = peers(), free_port()
    folder = work / name.replace(" ", "-").replace(",", "")
    folder.mkdir()
    for number, provider in enumerate(providers):
        settings = folder / f"config-{number}.yml"
        settings.write_text(json.dumps(_pygeoapi_settings(layer, provider, port)))  # JSON is YAML
    described, hooks = folder / "openapi.yml", folder / "gunicorn.conf.py"
    hooks.write_text(_HOOKS.format(folder=str(folder), count=len(providers)))
    environment = {"PYGEOAPI_CONFIG": str(folder / "config-0.yml"), "PYGEOAPI_OPENAPI": str(described)}
    program = [str(python.with_name("pygeoapi")), "openapi", "generate", environment["PYGEOAPI_CONFIG"]]
    program += ["--output-file", str(described)]
    subprocess.run(program, env={**os.environ, **environment}, check=True, stdout=subprocess.DEVNULL)
    command = [str(python.with_name("gunicorn")), "--config", str(hooks), "--workers", str(WORKERS)]
    command += ["--timeout", "6000", "--bind", f"127.0.0.1:{port}", "--log-level", "error", "pygeoapi.flask_app:APP"]
    process = stack.enter_context(running(command, port, "/conformance?f=json", **environment))
    items = f"/collections/{layer}/items"
    return FeatureServer(
        name,
        f"http://127.0.0.1:{port}",
        lambda box, limit: f"{items}?f=json&bbox={box_text(box)}&limit={limit}",
        lambda item: f"{items}/{item}?f=json",
        lambda code, limit: f"{items}?f=json&zoning={quote(code, safe='')}&limit={limit}",
        lambda polygon, limit: None,  # no CQL2 on files
        f"{items}?f=json&limit={LAYER_MAX}",
        (process.pid,),
    )


_HOOKS = """
import os

def post_fork(server, worker):
    os.environ["PYGEOAPI_CONFIG"] = os.path.join({folder!r}, f"config-{{worker.age % {count}}}.yml")
"""
"""Each worker reads its own settings: it loads the application after it was forked."""


def _pygeoapi_settings(layer: str, provider: Provider, port: int) -> dict[str, object]:
    address = f"http://127.0.0.1:{port}"
    named = {"title": {"en": "Parcels"}, "description": {"en": "Parcels"}, "keywords": {"en": ["parcels"]}}
    return {
        "server": {
            "bind": {"host": "127.0.0.1", "port": port},
            "url": address,
            "mimetype": "application/json; charset=UTF-8",
            "encoding": "utf-8",
            "gzip": False,
            "languages": ["en-US"],
            "limits": {"default_items": 10, "max_items": LAYER_MAX},
            "map": {"url": "", "attribution": ""},
        },
        "logging": {"level": "ERROR"},
        "metadata": {
            "identification": {**named, "keywords_type": "theme", "terms_of_service": "", "url": address},
            "license": {"name": "none", "url": address},
            "provider": {"name": "benchmark", "url": address},
            "contact": {"name": "benchmark"},
        },
        "resources": {
            layer: {
                "type": "collection",
                **named,
                "links": [],
                "extents": {
                    "spatial": {
                        "bbox": [-180, -90, 180, 90],
                        "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
                    }
                },
                "providers": [{"type": "feature", **provider}],
            }
        },
    }


def geopackage(frame: geopandas.GeoDataFrame, layer: str, id_column: str, folder: Path) -> list[Provider]:
    """Write a GeoPackage with its spatial index, a copy for each worker; return pygeoapi's providers for them.

    With each request pygeoapi makes SpatiaLite's virtual table anew, in the file; when two do so at once, one fails.
    """
    first = folder / f"{layer}-0.gpkg"
    frame.to_file(first, layer=layer)
    copies = [first, *(first.with_name(f"{layer}-{number}.gpkg") for number in range(1, WORKERS))]
    for copy in copies[1:]:
        shutil.copyfile(first, copy)
    return [{"name": "SQLiteGPKG", "data": str(copy), "id_field": id_column, "table": layer} for copy in copies]


def geoparquet(frame: geopandas.GeoDataFrame, layer: str, id_column: str, folder: Path) -> list[Provider]:
    """Write GeoParquet with a box for each row, which pygeoapi filters by; return its provider for it."""
    path = folder / f"{layer}.parquet"
    bounds = frame.geometry.bounds
    texts = [name for name in frame.columns if name != frame.geometry.name and frame[name].dtype.kind not in "iufbM"]
    plain = frame.astype(dict.fromkeys(texts, object))  # it knows no large strings of Arrow
    plain.assign(**{name: bounds[name] for name in bounds.columns}).to_parquet(path)
    corners = {"x_field": ["minx", "maxx"], "y_field": ["miny", "maxy"]}
    return [{"name": "Parquet", "data": {"source": str(path)}, "id_field": id_column, **corners}]


def tipg(stack: ExitStack, name: str, layer: str, database: str, first_process: int) -> FeatureServer:
    """Serve the table with tipg behind uvicorn, as its documentation does."""
    python, port = peers(), free_port()
    command = [str(python.with_name("uvicorn")), "tipg.main:app", "--workers", str(WORKERS)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "error"]
    environment = {"DATABASE_URL": database, "TIPG_MAX_FEATURES_PER_QUERY": str(LAYER_MAX)}
    process = stack.enter_context(running(command, port, "/healthz", **environment))
    items = f"/collections/public.{layer}/items"
    return FeatureServer(
        name,
        f"http://127.0.0.1:{port}",
        lambda box, limit: f"{items}?f=geojson&bbox={box_text(box)}&limit={limit}",
        lambda item: f"{items}/{item}?f=geojson",
        lambda code, limit: f"{items}?f=geojson&zoning={quote(code, safe='')}&limit={limit}",
        lambda polygon, limit: f"{items}?f=geojson&filter=S_INTERSECTS(geom,{polygon})&limit={limit}".replace(
            " ", "%20"
        ),
        f"{items}?f=geojson&limit={LAYER_MAX}",
        (process.pid, first_process),
    )


@contextmanager
def postgis(
    frame: geopandas.GeoDataFrame, layer: str, id_column: str, folder: Path, settings: Mapping[str, str]
) -> Iterator[tuple[str, int]]:
    """Load a frame into a private PostGIS as a server of features wants it: degrees, key, GiST index, index by zone.

    Yields the database's address and the id of its first process. Raises :class:`PeerMissing`.
    """
    source = folder / "table.gpkg"
    frame.drop(columns=[id_column]).assign(id=frame[id_column]).to_file(source, layer=layer)
    with tiles_servers.postgis(source, layer, settings) as (address, first):
        import psycopg

        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(
                f"ALTER TABLE {layer} ALTER geom TYPE geometry(MultiPolygon, 4326) USING ST_Transform(geom, 4326)"
            )
            connection.execute(f"ALTER TABLE {layer} DROP COLUMN fid")
            connection.execute(f"ALTER TABLE {layer} ADD PRIMARY KEY (id)")
            connection.execute(f"CREATE INDEX ON {layer} (zoning)")
            connection.execute(f"VACUUM ANALYZE {layer}")
        yield address, first


def peers() -> Path:
    """Return the Python of the peers' environment, made from `peers.txt` where it is not there as that list says.

    Raises :class:`PeerMissing` when it cannot be made.
    """
    python, stamp = PEERS / "bin" / "python", PEERS / "made-from"
    wanted = hashlib.sha256(PEERS_LIST.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    # Their packages are put into their environment by our pip: Debian's Python comes without one.
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "--disable-pip-version-check",
        "install",
        "--quiet",
    ]
    try:
        subprocess.run([base_python(), "-m", "venv", "--clear", "--without-pip", str(PEERS)], check=True)
        subprocess.run([*install, "-r", str(PEERS_LIST)], check=True)
    except (OSError, subprocess.CalledProcessError) as exc:
        raise PeerMissing(f"the peers of {PEERS_LIST.name} could not be installed: {exc}") from exc
    stamp.write_text(wanted)
    return python


def base_python() -> str:
    """Return a Python whose SQLite loads extensions: pygeoapi reads a GeoPackage with SpatiaLite's.

    Raises :class:`PeerMissing` where there is none.
    """
    probe = "import sqlite3, sys; c = sqlite3.connect(':memory:'); c.enable_load_extension(True); "
    probe += "c.load_extension('mod_spatialite.so'); sys.exit(sys.version_info < (3, 11))"
    for program in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([program, "-c", probe], capture_output=True, check=False).returncode == 0:
            return program
    raise PeerMissing(
        "pygeoapi needs a Python from 3.11 whose SQLite loads extensions, and SpatiaLite; "
        "on Debian: apt-get install python3 libsqlite3-mod-spatialite"
    )


def peer_versions() -> dict[str, str]:
    """Return the releases of the peers that `peers.txt` names."""
    lines = (line.partition("#")[0].strip() for line in PEERS_LIST.read_text().splitlines())
    return dict(line.split("==") for line in lines if "==" in line)  # type: ignore[misc]


def first_byte(base: str, path: str) -> tuple[float, float, bytes]:
    """Ask once; return seconds to the first byte of the body, seconds to the last, and the body."""
    import http.client
    import time
    from urllib.parse import urlsplit

    connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=300)
    started = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    pieces = [answer.read(1)]
    first = time.perf_counter() - started
    while piece := answer.read(1 << 20):
        pieces.append(piece)
    seconds = time.perf_counter() - started
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"{base}{path}: {answer.status}")
    return first, seconds, b"".join(pieces)


def counts(base: str, path: str) -> tuple[int, int]:
    """Return how many items a server says match, and how many its answer has."""
    with urllib.request.urlopen(base + path, timeout=300) as answer:
        document = json.load(answer)
    found = document.get("features", [document])
    return int(document.get("numberMatched", len(found))), len(found)
