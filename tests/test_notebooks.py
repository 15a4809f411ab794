"""The notebooks for planners, run from top to bottom on the sample city, and their answers compared with HTTP."""

from __future__ import annotations

import ast
import runpy
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from gisservice import to_geojson
from gisservice.catalog import Catalog, load_registry
from gisservice.ingest import ingest_layer
from gisservice.settings import Settings
from gisservice.web import wsgi_app

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
LAYERS = (
    "addresses", "block_groups", "boundary", "land_cover", "libraries", "metro_stations", "parcels", "parks",
    "small_area_plans", "streets",
)  # fmt: skip


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layers of the sample city that notebooks read, with tiles of one zoom only, which they do not need."""
    home = tmp_path_factory.mktemp("sample") / "published"
    registry, catalog = load_registry(ROOT / "data" / "layers.toml"), Catalog(home)
    for layer in registry.layers:
        if layer.id in LAYERS:
            ingest_layer(replace(layer, minzoom=16, maxzoom=16), folder=ROOT / "data", catalog=catalog)
    return home


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_imports_nothing_but_the_package(notebook: Path) -> None:
    text = notebook.read_text()
    names = {alias.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import) for alias in node.names}
    rooms = {node.module for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)}
    assert names == {"gisservice"}
    assert rooms <= {"pathlib", "tempfile"}
    assert text.startswith("# %% [markdown]\n# # ")
    assert "# ## What this means" in text


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_ends_with_pictures(
    notebook: Path, sample: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GISSERVICE_HOME", str(sample))
    monkeypatch.setenv("GISSERVICE_STATIC", str(ROOT / "static"))
    found = runpy.run_path(str(notebook))
    assert capsys.readouterr().out
    ET.fromstring(found["picture"].svg)
    assert "Sources: " in found["picture"].svg and "not stated" not in found["picture"].svg
    if notebook.stem == "metro_500_feet":
        same_over_http(sample, found)


def same_over_http(sample: Path, found: dict[str, Any]) -> None:
    """The notebook's answer and that of the service are the same bytes."""
    settings = Settings.load({}, home=sample, registry=ROOT / "data" / "layers.toml", static=ROOT / "static")
    client = Client(wsgi_app(settings))
    answer = client.get("/api/within?features=addresses&others=metro_stations&distance_ft=500")
    assert answer.data == to_geojson(found["near"])
