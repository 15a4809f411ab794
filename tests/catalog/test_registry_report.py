"""What the registry says of addresses, streets, parcels and the report of a place, and how mistakes in it read."""

from __future__ import annotations

from pathlib import Path

import pytest

from gisservice.catalog import load_registry
from gisservice.errors import RegistryError
from gisservice.model import AddressColumns, Holiday, HolidayShift, ParcelColumns, ReportKind, StreetColumns

GOOD = """
[city]
name = "Town"
boundary = "zones"

[layers.points]
title = "Points"
sources = [{ path = "points.csv", x = "X", y = "Y", crs = "OGC:CRS84" }]
geometry = "point"
address = { number = "number", street = "street" }
street = { street = "street" }
parcel = { ids = ["pid"] }

[layers.points.columns]
number = { type = "integer" }
street = { type = "string" }
pid = { type = "string" }
owner = { type = "string", visibility = "internal" }

[layers.zones]
title = "Zones"
sources = [{ path = "zones.geojson" }]
geometry = "polygon"

[layers.zones.columns]
day = { type = "string", codes = { MONDAY = "Monday" } }

[[report]]
id = "refuse"
title = "Refuse"
layer = "zones"
kind = "schedule"
weekday = "day"
shift = "rest_of_week"
sentence = "On {weekday}, next on {next}; {day_meaning}."

[[report]]
id = "point"
title = "Point"
layer = "points"
kind = "nearest"
sentence = "{pid} is {distance_ft} feet away {way}."

[[holidays]]
name = "Memorial Day"
month = 5
weekday = "monday"
nth = -1

[[holidays]]
name = "Christmas Day"
month = 12
day = 25
"""


def registry(folder: Path, text: str):
    (folder / "layers.toml").write_text(text)
    return load_registry(folder / "layers.toml")


def test_roles_lines_and_holidays_are_read(tmp_path: Path) -> None:
    found = registry(tmp_path, GOOD)
    points = found.layer("points")
    assert points.address == AddressColumns("number", "street")
    assert points.street == StreetColumns("street") and points.parcel == ParcelColumns(("pid",))
    assert found.city.boundary == "zones"
    refuse, point = found.report
    assert refuse.kind is ReportKind.SCHEDULE and refuse.columns == ("day",) and refuse.weekday == "day"
    assert refuse.shift is HolidayShift.REST_OF_WEEK and point.columns == ("pid",)
    assert found.holidays == (
        Holiday("Memorial Day", 5, weekday=0, nth=-1),
        Holiday("Christmas Day", 12, day=25),
    )


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('number = "number", street', 'number = "nummer", street', "did you mean 'number'"),
        ('number = "number", street', 'numbr = "number", street', "did you mean 'number'"),
        ('number = "number", street', "street", "has no 'number'"),
        ('ids = ["pid"]', 'ids = ["owner"]', "expected a declared public column"),
        ('ids = ["pid"]', "ids = []", "a list of texts"),
        ('boundary = "zones"', 'boundary = "points"', "a declared layer of polygons"),
        ('layer = "zones"', 'layer = "zone"', "did you mean 'zones'"),
        ('layer = "zones"', 'layer = "points"', "expected a layer of polygons"),
        ('kind = "schedule"', 'kind = "within"', "a schedule, and nothing else, has 'weekday'"),
        ('kind = "schedule"', 'kind = "timetable"', "expected one of within, nearest, schedule"),
        ("{day_meaning}", "{owner}", "cannot be filled in"),
        ("{day_meaning}", "{day.real}", "cannot be filled in"),
        ("{day_meaning}", "{day!r}", "cannot be filled in"),
        ("{day_meaning}", "{day", "whose braces are names"),
        ('id = "point"', 'id = "refuse"', "more than once"),
        ("month = 5", "month = 13", "from 1 to 12"),
        ("nth = -1", "nth = 0", "-1 for the last"),
        ("nth = -1", "day = 3", "'day' and 'weekday'"),
        ('weekday = "monday"', 'weekday = "Monday"', "did you mean 'monday'"),
        ("day = 25", "day = 32", "from 1 to 31"),
        ('kind = "nearest"', 'kind = "nearest"\nonly = {column = "pit", values = ["a"]}', "did you mean 'pid'"),
        ('kind = "nearest"', 'kind = "nearest"\nonly = {column = "pid", values = []}', "a list of values"),
        ('kind = "schedule"', 'kind = "schedule"\nonly = {column = "day", values = ["a"]}', "no such choice"),
        ('shift = "rest_of_week"', 'shift = "week"', "expected one of rest_of_week, that_day, none"),
    ],
)
def test_a_mistake_names_its_line_and_what_is_expected(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert GOOD.count(old) >= 1
    with pytest.raises(RegistryError, match=r"line \d+") as caught:
        registry(tmp_path, GOOD.replace(old, new, 1))
    assert problem in str(caught.value)
