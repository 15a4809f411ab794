"""The small city behind the real server, a real browser, and visits that watch what a page does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_city import build
from chromium import chromium
from free_ports import free_port
from live_server import serving
from visits import DESKTOP, PHONE, Visits

from gisservice.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The small city's address, served by the real server in a process of its own."""
    if not (ROOT / "static/vendor/manifest.json").is_file():
        pytest.skip("the browser libraries are not installed (make install)")
    folder = tmp_path_factory.mktemp("city")
    build(folder)
    settings = Settings.load(
        {},
        registry=folder / "layers.toml",
        home=folder / "published",
        static=ROOT / "static",
        port=free_port(),
        workers=1,
    )
    with serving(settings) as base:
        yield base


@pytest.fixture(scope="session")
def browser(playwright) -> Iterator[object]:
    """Chromium of the system, driven by playwright."""
    with chromium(playwright, "--disable-gpu") as opened:
        yield opened


@pytest.fixture
def visits(browser, address: str) -> Iterator[Visits]:
    """Opens pages; afterwards the test fails for any error, dialog, policy violation or request off the host."""
    watched = Visits(browser, address)
    yield watched
    watched.close()


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def device(request) -> dict:
    """The two windows every page is looked at in."""
    return request.param


@pytest.fixture
def phone() -> dict:
    """A phone's window."""
    return PHONE
