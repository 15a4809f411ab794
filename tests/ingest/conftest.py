"""Fixtures for ingest: an empty catalog, and a writer of small sources."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ingest_sources import lots, write

from gisservice.catalog import Catalog


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path / "published")


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """Write lots, or another frame, in the format of a file name."""
    return lambda name, frame=None: write(lots() if frame is None else frame, tmp_path, name)
