"""Fixtures for analysis: small published layers, and the sample city."""

from __future__ import annotations

from pathlib import Path

import pytest
from typed_layers import published

from gisservice.catalog import Catalog
from gisservice.model import GeometryKind


@pytest.fixture
def published_points(tmp_path: Path) -> Catalog:
    """A catalog with one layer of points, stored in EPSG:2283."""
    catalog = Catalog(tmp_path / "published")
    published(catalog, GeometryKind.POINT, collection_id="points")
    return catalog
