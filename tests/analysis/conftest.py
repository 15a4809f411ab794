"""Fixtures for analysis: small published layers, and the sample city."""

from __future__ import annotations

from pathlib import Path

import pytest
from town import build
from typed_layers import published

from gisservice.analysis import Gazetteer
from gisservice.catalog import Catalog
from gisservice.model import GeometryKind, Registry


@pytest.fixture
def published_points(tmp_path: Path) -> Catalog:
    """A catalog with one layer of points, stored in EPSG:2283."""
    catalog = Catalog(tmp_path / "published")
    published(catalog, GeometryKind.POINT, collection_id="points")
    return catalog


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> tuple[Catalog, Registry]:
    """The town: its catalog and its registry."""
    return build(tmp_path_factory.mktemp("town"))


@pytest.fixture(scope="session")
def gazetteer(town: tuple[Catalog, Registry]) -> Gazetteer:
    return Gazetteer.open(town[0])
