"""The documents keep up: every setting, verb, route and error class is in them."""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import fields
from pathlib import Path

import pytest

import gisservice
from gisservice import analysis, errors
from gisservice.__main__ import main
from gisservice.catalog.rasterkeys import RASTER_KEYS
from gisservice.model import AddressColumns, StreetColumns
from gisservice.settings import SETTINGS, Settings
from gisservice.web import create_app

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
DESIGN = (ROOT / "DESIGN.md").read_text()
DOCUMENTS = sorted(path for path in ROOT.glob("**/*.md") if not {".venv", "node_modules"} & set(path.parts))


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_documented_with_its_default(setting) -> None:
    row = next((line for line in README.splitlines() if line.startswith(f"| `{setting.variable}`")), None)
    assert row is not None, f"README has no row for {setting.variable}"
    assert f"`{setting.default}`" in row or not setting.default


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_verb_is_documented(name: str) -> None:
    assert f"gisservice {name}" in README
    assert main.commands[name].help


def routes() -> list[str]:
    app = create_app(Settings.load({}, home=ROOT / "no-such-folder"))
    return sorted({re.sub(r"<(?:[^:>]+:)?([^>]+)>", r"{\1}", rule.rule) for rule in app.url_map.iter_rules()})


@pytest.mark.parametrize("route", routes())
def test_every_route_is_documented(route: str) -> None:
    assert f"`{route}`" in README, f"README does not list {route}"


@pytest.mark.parametrize(
    "name", [n for n, c in inspect.getmembers(errors, inspect.isclass) if c.__module__ == errors.__name__]
)
def test_every_error_is_in_the_tree_of_the_docstring_and_in_the_design(name: str) -> None:
    assert name in (errors.__doc__ or "")
    assert name in DESIGN
    assert (inspect.getdoc(getattr(errors, name)) or "").endswith((".", ":")) or "\n" in (
        inspect.getdoc(getattr(errors, name)) or ""
    )


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


@pytest.mark.parametrize("name", sorted(set(analysis.__all__) & set(gisservice.__all__)))
def test_every_analysis_has_an_example(name: str) -> None:
    assert f"gisservice.{name}" in (ROOT / "docs" / "analysis.md").read_text()


def registry_keys() -> set[str]:
    """Every key that the registry's reader knows: what it gives to ``Table.only``."""
    keys: set[str] = set()
    for file in sorted((ROOT / "gisservice" / "catalog").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "only":
                keys.update(value.value for value in node.args if isinstance(value, ast.Constant))
    return keys | {field.name for kind in (AddressColumns, StreetColumns) for field in fields(kind)} | set(RASTER_KEYS)


@pytest.mark.parametrize("key", sorted(registry_keys()))
def test_every_key_of_the_registry_is_documented(key: str) -> None:
    assert f"`{key}`" in (ROOT / "docs" / "registry.md").read_text(), f"docs/registry.md does not tell of {key}"
