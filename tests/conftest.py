"""Fixtures for every room: where the real data is, and PostGIS as a second opinion."""

from __future__ import annotations

import fcntl
import gc
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import settings
from postgis_server import PostgisMissing, postgis_server, programs

if TYPE_CHECKING:
    import geopandas

Once = Callable[[str, Callable[[Path], object]], Path]

# An example's first run may load a library; what is slow is measured in benchmarks/, never asserted. The same commit
# tries the same examples each time; `pytest --hypothesis-profile=search` looks for others, and for longer.
settings.register_profile("gisservice", deadline=None, derandomize=True, max_examples=40)
settings.register_profile("search", deadline=None, max_examples=500)
settings.load_profile("gisservice")

ROOT = Path(__file__).resolve().parents[1]

LONGEST = ("test_demo.py", "test_tiles_republish.py", "test_browser_maps.py", "test_query_tiling.py")
"""The files that take longest, longest first."""

# No test cuts the power. Waiting for the disk, file by file, would be a good part of a run's time.
os.environ["OGR_SQLITE_SYNCHRONOUS"] = "OFF"


def fsync(descriptor: int) -> None:
    """Refuse what the system's call refuses; wait for nothing."""
    os.fstat(descriptor)


os.fsync = fsync


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of fast tests come first; then the longest, so that no process is left alone with one of them."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}

    def place(item: pytest.Item) -> int:
        if item.path not in slow:
            return 0
        return 1 + LONGEST.index(item.path.name) if item.path.name in LONGEST else 1 + len(LONGEST)

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """Spare the collector of garbage what stays until the end: modules and thousands of tests."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; tests that need it are skipped where it is not."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data is not beside this checkout (../shared/data)")
    return folder


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Makes what all processes of a run read: ``once(name, make)`` returns a path that is made if it is not there.

    Who asks meanwhile waits. What cannot be made fails for each who asks, by what ``make`` raises; no test alters it.
    """
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent

    def path(name: str, make: Callable[[Path], object]) -> Path:
        target = base / name
        with open(base / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.exists():
                new = Path(tempfile.mkdtemp(dir=base)) / name
                make(new)
                new.rename(target)
        return target

    return path


@pytest.fixture(scope="session")
def sample_sources(once: Once) -> Path:
    """The sample city's sources."""
    from gisservice.ingest.sample import FILES, generate  # seconds, which other tests need not wait for

    def make(folder: Path) -> None:
        steps: list[tuple[str, int, int]] = []
        written = generate(folder, progress=lambda *step: steps.append(step))
        assert [path.name for path in written] == list(FILES)
        assert [done for _, done, _ in steps] == list(range(1, steps[0][2] + 1))

    return once("sample", make)


@pytest.fixture(scope="session")
def read_parcels(once: Once, shared_data: Path) -> Callable[[], geopandas.GeoDataFrame]:
    """Reads the city's parcels, as GDAL reads them: 47,174 records. From GeoJSON they take ten seconds."""
    import geopandas
    import pyogrio

    def make(file: Path) -> None:
        pyogrio.read_dataframe(f"/vsigzip/{shared_data}/alexandria/parcels.geojson.gz").to_parquet(file)

    return lambda: geopandas.read_parquet(once("parcels.parquet", make))


@pytest.fixture(scope="session")
def published_parcels(once: Once, read_parcels: Callable[[], geopandas.GeoDataFrame]) -> Path:
    """A folder with the features and the tiles of the city's parcels."""
    from real_parcels import publish

    return once("parcels", lambda folder: publish(read_parcels(), folder))


@pytest.fixture(scope="session")
def playwright() -> Iterator[Any]:
    """What drives browsers; one for all tests of a process, which cannot have two."""
    with pytest.importorskip("playwright.sync_api").sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def postgis() -> Iterator[psycopg.Connection]:
    """A connection to a private PostGIS, autocommit; tests that ask it are skipped where it is not installed."""
    try:
        programs()
    except PostgisMissing as exc:
        pytest.skip(str(exc))
    with postgis_server() as address, psycopg.connect(address, autocommit=True) as connection:
        yield connection
