"""The notebooks for planners as they stand; ``test_demo`` runs them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.py"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_imports_nothing_but_the_package(notebook: Path) -> None:
    text = notebook.read_text()
    names = {alias.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import) for alias in node.names}
    rooms = {node.module for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)}
    assert names == {"gisservice"}
    assert rooms <= {"pathlib", "tempfile"}
    assert text.startswith("# %% [markdown]\n# # ")
    assert "# ## What this means" in text
