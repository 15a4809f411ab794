"""The walls of the house: who may import whom, read from the source with ast."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "gisservice"

BELOW: dict[str, set[str]] = {
    "errors": set(),
    "settings": {"errors"},
    "model": {"errors"},
    "crs": {"errors", "model"},
    "pack": {"errors"},
    "ramps": set(),
    "catalog": {"errors", "settings", "model", "crs", "pack", "ramps"},
    "tiles": {"errors", "settings", "model", "crs", "pack", "ramps"},
    "query": {"errors", "settings", "model", "crs", "catalog", "tiles", "ramps"},
    "analysis": {"errors", "settings", "model", "crs", "pack", "catalog", "tiles"},
    "ingest": {"errors", "settings", "model", "crs", "catalog", "tiles", "query", "analysis"},
    "maps": {"errors", "settings", "model", "crs", "ramps", "catalog", "tiles", "query", "analysis"},
}
EVERYTHING = {*BELOW, "web"}
BELOW["web"] = set(BELOW)
BELOW["__main__"] = EVERYTHING
BELOW["__init__"] = EVERYTHING

OWNERS = {
    "flask": ("web/",),
    "werkzeug": ("web/",),
    "granian": ("web/",),
    "folium": ("maps/",),
    "branca": ("maps/",),
    "pypdfium2": ("maps/canvas.py",),
    "fontTools": ("maps/lettering.py",),
    "uharfbuzz": ("maps/lettering.py",),
    "pyproj": ("crs.py", "tiles/grid.py"),
    "rasterio": ("ingest/", "catalog/rasters.py", "analysis/ground.py"),
    "rio_cogeo": ("ingest/",),
    "click": ("__main__.py",),
    "rich": ("__main__.py",),
}
BANNED_NAMES = {"utils", "util", "helpers", "common", "manager", "misc"}
FILES = sorted(PACKAGE.rglob("*.py"))


class Uses(NamedTuple):
    """What a file takes from outside, at any depth of its code, each with its line."""

    imports: list[tuple[str, int]]
    of_os: list[tuple[str, int]]
    calls: list[tuple[str, int]]


@cache
def uses(file: Path) -> Uses:
    """The module names that a file imports, the names it looks up in ``os``, the plain names it calls."""
    found = Uses([], [], [])
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found.imports.extend((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name}, line {node.lineno}: relative import; say the whole name"
            found.imports.append((node.module or "", node.lineno))
            if node.module == "gisservice":
                found.imports.extend((f"gisservice.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
            found.of_os.append((node.attr, node.lineno))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found.calls.append((node.func.id, node.lineno))
    return found


def room(file: Path) -> str:
    first = file.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_go_down_only(file: Path) -> None:
    here = room(file)
    for name, line in uses(file).imports:
        if not name.startswith("gisservice."):
            continue
        there = name.split(".")[1]
        allowed = there == here or there in BELOW[here]
        assert allowed, f"{file.relative_to(ROOT)}, line {line}: {here} may not import {there}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_each_library_stays_in_its_room(file: Path) -> None:
    place = str(file.relative_to(PACKAGE))
    for name, line in uses(file).imports:
        owners = OWNERS.get(name.split(".")[0])
        assert owners is None or place.startswith(owners), f"{place}, line {line}: {name} belongs to {owners}"


def test_only_settings_reads_the_environment() -> None:
    for file in FILES:
        if file.name == "settings.py" and file.parent == PACKAGE:
            continue
        for name, line in uses(file).of_os:
            assert name not in ("environ", "getenv"), f"{file.relative_to(ROOT)}, line {line}"


def test_no_pickle_and_no_eval() -> None:
    for file in FILES:
        for name, line in uses(file).imports:
            assert name.split(".")[0] not in ("pickle", "shelve", "joblib", "dill"), f"{file.name}, line {line}"
        for name, line in uses(file).calls:
            assert name not in ("eval", "exec"), f"{file.relative_to(ROOT)}, line {line}"


def test_every_room_is_known_and_no_module_has_an_empty_name() -> None:
    for file in FILES:
        assert room(file) in BELOW, f"{file.relative_to(ROOT)} is in no room of the house"
        assert not BANNED_NAMES & {part.removesuffix(".py") for part in file.relative_to(PACKAGE).parts}


def test_the_reader_sees_imports_at_any_depth(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text("def f():\n    from gisservice import web\n    import folium.plugins\n")
    assert [name for name, _ in uses(file).imports] == ["gisservice", "gisservice.web", "folium.plugins"]
