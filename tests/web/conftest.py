"""The small city, published, and both ways to reach it: through Flask alone, and with the tile fast path before it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from asked_city import AskedCity, build_asked_city
from feature_city import FeatureCity, build_feature_city
from flask.testing import FlaskClient
from web_city import City, build_city
from werkzeug.test import Client

from gisservice.catalog import Catalog
from gisservice.ingest.downloads import make_current
from gisservice.settings import Settings
from gisservice.web import create_app, wsgi_app


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory) -> City:
    """A city that no test changes, with its files for download made, as ``gisservice ingest`` leaves it."""
    found = build_city(tmp_path_factory.mktemp("city"))
    make_current(found.settings.home, found.catalog.ids(), workers=1)
    return found


@pytest.fixture
def own_city(tmp_path: Path) -> City:
    """A city for a test that publishes."""
    return build_city(tmp_path)


BUILDERS: dict[str, Callable[[Settings], Any]] = {"flask": create_app, "fast": wsgi_app}


@pytest.fixture(scope="session", params=sorted(BUILDERS))
def client(request: pytest.FixtureRequest, city: City) -> Client:
    """A client of the whole service: once through Flask alone, once with the tile fast path before it."""
    return Client(BUILDERS[request.param](city.settings))


@pytest.fixture(scope="session")
def flask_client(city: City) -> Iterator[FlaskClient]:
    with create_app(city.settings).test_client() as found:
        yield found


@pytest.fixture(scope="session")
def feature_city(tmp_path_factory: pytest.TempPathFactory) -> FeatureCity:
    """A city whose layers have what the standards talk about; no test changes it."""
    return build_feature_city(tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="session")
def asked_city(tmp_path_factory: pytest.TempPathFactory) -> AskedCity:
    """A town that has all that analysis asks for; no test changes its layers."""
    return build_asked_city(tmp_path_factory.mktemp("asked"))


@pytest.fixture
def own_asked_city(asked_city: AskedCity, tmp_path: Path) -> AskedCity:
    """The town with a service and jobs of its own, for a test that stops processes or changes limits."""
    shutil.copytree(asked_city.settings.home, tmp_path / "published", ignore=shutil.ignore_patterns("jobs"))
    settings = replace(asked_city.settings, home=tmp_path / "published")
    return AskedCity(settings, Catalog(settings.home), asked_city.registry, Client(wsgi_app(settings)))
