"""What a layer says of the street network it is: which columns play which part, and each mistake in that."""

from __future__ import annotations

from pathlib import Path

import pytest

from gisservice.catalog.registry import load_registry
from gisservice.errors import RegistryError
from gisservice.model import Crossings, Streets

GOOD = """\
maps = "maps.toml"

[city]
name = "Testville"

[layers.streets]
title = "Streets"
sources = [{path = "streets.gpkg"}]
storage_crs = "EPSG:2283"
geometry = "line"

[layers.streets.network]
name = "name"
speed = "speed"
oneway = "way"
forward = ["FT"]
backward = ["TF"]
walk = "walk"
class = "kind"
no_bike = ["MOTORWAY"]
crossings = "at_grade"
over = ["MOTORWAY"]

[layers.streets.columns]
name = {type = "string"}
speed = {type = "number", unit = "kilometre per hour"}
way = {type = "string", codes = {FT = "Ahead", TF = "Back", B = "Both"}}
walk = {type = "boolean"}
kind = {type = "string"}
limit = {type = "integer", unit = "furlong per fortnight"}
"""


@pytest.fixture
def load(tmp_path: Path):
    def load_text(text: str) -> Streets | None:
        (tmp_path / "layers.toml").write_text(text)
        (tmp_path / "maps.toml").write_text('[maps.all]\ntitle = "All"\nlayers = ["streets"]\n')
        return load_registry(tmp_path / "layers.toml").layer("streets").network

    return load_text


def test_a_network_is_read(load):
    assert load(GOOD) == Streets(
        name="name", speed="speed", speed_unit="kilometre per hour", oneway="way", forward=("FT",), backward=("TF",),
        walk="walk", road_class="kind", no_bike=("MOTORWAY",), crossings=Crossings.AT_GRADE, over=("MOTORWAY",),
    )  # fmt: skip


def test_a_network_needs_no_column_and_a_layer_no_network(load):
    start, rest = GOOD.split("[layers.streets.network]")
    columns = rest[rest.index("[layers.streets.columns]") :]
    assert load(f"{start}[layers.streets.network]\n{columns}") == Streets()
    assert load(start + columns) is None


@pytest.mark.parametrize(
    ("old", "new", "key", "words"),
    [
        ('geometry = "line"', 'geometry = "point"', "", "only lines can be a network"),
        ('name = "name"', 'nam = "name"', ".nam", "did you mean 'name'?"),
        ('speed = "speed"', 'speed = "spede"', ".speed", "did you mean 'speed'?"),
        ('speed = "speed"', 'speed = "name"', ".speed", "is of type string; expected one of type integer or number"),
        (
            'speed = "speed"',
            'speed = "limit"',
            ".speed",
            "has the unit 'furlong per fortnight'; expected mile per hour",
        ),
        ('walk = "walk"', 'walk = "kind"', ".walk", "expected one of type boolean"),
        ('forward = ["FT"]', 'forward = ["FF"]', ".forward", "'FF' is no code of column 'way'"),
        ('oneway = "way"', "", ".forward", "there is no 'oneway'"),
        ('class = "kind"', "", ".no_bike", "there is no 'class'"),
        ('no_bike = ["MOTORWAY"]', 'no_bike = "MOTORWAY"', ".no_bike", "a list of values in quotes"),
        ('crossings = "at_grade"', 'crossings = "at grade"', ".crossings", "did you mean 'at_grade'?"),
    ],
)
def test_a_mistake_in_a_network(load, old, new, key, words):
    with pytest.raises(RegistryError) as caught:
        load(GOOD.replace(old, new))
    assert caught.value.key == f"layers.streets.network{key}"
    assert words in caught.value.problem
