"""Zooms that one process leaves in a file for another."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from tile_factories import make_source

from gisservice.tiles import build_pyramid
from gisservice.tiles.handover import Left, leave
from gisservice.tiles.level import build_level
from gisservice.tiles.plan import Plan


@pytest.fixture(scope="module")
def source() -> Any:
    corner = 1 << 27
    lots = [
        shapely.box(x, y, x + 90, y + 90)
        for x in range(corner, corner + 900, 90)
        for y in range(corner, corner + 900, 90)
    ]
    return make_source(lots, z=16, minzoom=12, coverage=True)


def same(one: Any, other: Any) -> bool:
    if is_dataclass(one):
        return all(same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    return bool(np.array_equal(one, other)) if isinstance(one, np.ndarray) else one == other


def test_a_coverage_on_both_sides_of_greenwich_stays_where_it_is() -> None:
    middle = 1 << 27
    lots = [shapely.box(x, middle, x + 90, middle + 90) for x in range(middle - 270, middle + 270, 90)]
    boxes = Plan(make_source(lots, z=16, coverage=True)).boxes
    assert boxes.tolist() == [[round(value) for value in lot.bounds] for lot in lots]


def test_a_zoom_comes_out_of_its_file_as_it_went_in(source: Any, tmp_path: Path) -> None:
    plan = Plan(source)
    seen = set()
    for z in range(12, 17):
        level, path = build_level(plan, z), tmp_path / str(z)
        leave(level, path)
        left = Left(path)
        assert (left.z, left.account) == (z, level.account)
        assert list(left.tiles("gzip")) == level.tiles and list(left.tiles("brotli")) == level.brotli
        for name in ("zoom", "thresholds", "groups", "sample"):
            assert same(getattr(level, name), getattr(left, name)), (z, name)
            seen.add((name, getattr(level, name) is None))
    assert {("groups", True), ("groups", False)} <= seen


@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_but_the_pyramid_is_left_in_its_folder(source: Any, tmp_path: Path, workers: int) -> None:
    build_pyramid(source, tmp_path, workers=workers)
    assert {path.name for path in tmp_path.iterdir()} == {
        "tiles.pmtiles", "tiles.br.pmtiles", "tiles.levels", "tiles.json"
    }  # fmt: skip
