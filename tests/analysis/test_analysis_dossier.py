"""The report of a place: every state of a line, its sentences and sources, and its calendar."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from subprocess import run
from typing import Any

import geopandas
import icalendar
import pytest
import shapely
from frames import X, Y

from gisservice.analysis import Dossier, calendar, lookup, to_geojson
from gisservice.catalog import Catalog
from gisservice.errors import AddressNotFound, InvalidParameter
from gisservice.model import Registry

ON = date(2026, 11, 23)


@pytest.fixture(scope="module")
def dossier(town: tuple[Catalog, Registry]) -> Dossier:
    return Dossier(*town)


def lines(dossier: Dossier, **place: Any) -> dict[str, dict[str, Any]]:
    return {row["line"]: row for row in dossier.answer(on=ON, **place).rows}


def lonlat(x: float, y: float) -> dict[str, float]:
    point = geopandas.GeoSeries([shapely.Point(X + x, Y + y)], crs=2283).to_crs("OGC:CRS84").iloc[0]
    return {"lon": point.x, "lat": point.y}


def test_an_address_gets_plain_sentences_with_their_sources(dossier: Dossier, town: tuple[Catalog, Registry]) -> None:
    found = lines(dossier, address="301 King St")
    assert found["address"]["sentence"] == "The address is 301 King St."
    sentence = "Parcel P-2, Shop, of 0 square feet, built in 1920. 1 other records share this ground."
    assert found["parcel"]["sentence"] == sentence
    assert found["zone"]["sentence"] == "Zone R-8 since June 24, 1992."
    moved = "Saturday, November 28, 2026 (moved from Friday, November 27, 2026: Thanksgiving Day)"
    assert found["refuse"]["sentence"] == f"Refuse on Fridays, next on {moved}."
    assert found["refuse"]["dates"][0] == {"date": "2026-11-28", "regular": "2026-11-27", "holiday": "Thanksgiving Day"}
    assert len(found["refuse"]["dates"]) == 8
    assert found["park"]["sentence"] == "North is 1,000 feet away in a straight line."
    assert found["park"]["distance_m"] == pytest.approx(1000 * 1200 / 3937, abs=0.01)
    for name, layer in (("parcel", "parcels"), ("zone", "zones"), ("park", "parks")):
        collection = town[0].collection(layer)
        assert found[name]["collection"] == layer and found[name]["version"] == collection.version
        assert found[name]["published"].endswith("Z") and found[name]["item"] is not None


def test_the_unit_of_a_stack_is_that_of_the_address(dossier: Dossier) -> None:
    unit = lines(dossier, address="301 King St Apt 2")["parcel"]
    assert unit["item"] == "k3" and unit["values"]["pid"] == "P-3"
    assert unit["sentence"].startswith("Parcel P-3, (not recorded), of (not recorded) square feet")


def test_not_applying_no_data_and_outside_are_told_apart(dossier: Dossier) -> None:
    street = lines(dossier, **lonlat(500, 20))
    assert (street["parcel"]["status"], street["parcel"]["sentence"]) == ("does not apply", "On no parcel.")
    assert street["flood"]["status"] == "no data" and "not published" in street["flood"]["sentence"]
    empty = lines(dossier, **lonlat(2000, 2000))
    assert empty["zone"]["status"] == "no data" and "says nothing" in empty["zone"]["sentence"]
    assert empty["refuse"]["status"] == "no data"
    gap = lines(dossier, **lonlat(-2000, 2000))
    assert gap["zone"]["status"] == "no data" and "should cover" in gap["zone"]["sentence"]
    assert gap["refuse"]["status"] == "does not apply" and gap["park"]["status"] == "applies"
    outside = dossier.report(dossier.place(**lonlat(9000, 9000))).rows
    assert {row["status"] for row in outside if row["line"] != "address"} == {"outside the city"}
    with pytest.raises(InvalidParameter, match="a point inside the boundary of"):
        dossier.answer(**lonlat(9000, 9000))


def test_a_point_on_a_border_is_inside(dossier: Dossier) -> None:
    assert lines(dossier, **lonlat(300, 150 - 1e-4))["parcel"]["status"] == "applies"


def test_an_address_that_is_not_surely_meant_is_refused_with_the_nearest(dossier: Dossier) -> None:
    with pytest.raises(AddressNotFound, match="did you mean '301 King St'"):
        dossier.place(address="303 King St")
    with pytest.raises(AddressNotFound) as caught:
        dossier.place(address="100 Saint Asaph St")
    assert caught.value.suggestions == ("100 N Saint Asaph St", "100 S Saint Asaph St")
    with pytest.raises(AddressNotFound, match="expected a house number"):
        dossier.place(address="qqqq zzzz")
    assert dossier.place(address="301 Kng Street").label == "301 King St"


@pytest.mark.parametrize(
    "place",
    [
        {},
        {"lon": -77.0},
        {"address": "301 King St", "lon": -77.0, "lat": 38.8},
        {"lon": float("nan"), "lat": 38.8},
        {"lon": -77.0, "lat": 91.0},
        {"lon": 11_890_000.0, "lat": 6_980_000.0},
    ],
)
def test_a_place_has_to_be_one(dossier: Dossier, place: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter):
        dossier.answer(**place)


def test_frame_and_plain_answer_have_the_same_bytes(dossier: Dossier) -> None:
    plain = dossier.answer(address="301 King St", on=ON)
    frame = lookup(dossier, address="301 King St", on=ON)
    assert to_geojson(frame) == plain.to_geojson() == dossier.answer(address="301 King St", on=ON).to_geojson()
    assert {source["collection"] for source in frame.attrs["answer"]["sources"]} == {"parcels", "zones", "parks"}


def test_the_calendar_has_the_days_of_the_report(dossier: Dossier) -> None:
    content = calendar(dossier, address="301 King St", on=ON, weeks=8)
    assert content == calendar(dossier, address="301 King St", on=ON, weeks=8)
    events = icalendar.Calendar.from_ical(content).walk("VEVENT")
    days = [event.decoded("DTSTART").isoformat() for event in events]
    assert days == [one["date"] for one in lines(dossier, address="301 King St")["refuse"]["dates"]]
    assert events[0]["DESCRIPTION"] == "Moved from Friday, November 27, 2026: Thanksgiving Day."
    later = icalendar.Calendar.from_ical(calendar(dossier, address="301 King St", on=date(2026, 12, 1), weeks=8))
    assert {event["UID"] for event in later.walk("VEVENT")} & {event["UID"] for event in events}
    with pytest.raises(InvalidParameter, match="inside the boundary"):
        calendar(dossier, **lonlat(9000, 9000), on=ON)
    with pytest.raises(InvalidParameter, match="weeks"):
        calendar(dossier, address="301 King St", weeks=0)


def test_a_server_answers_without_loading_frames(town: tuple[Catalog, Registry], tmp_path: Path) -> None:
    catalog, registry = town
    script = (
        "import sys; from pathlib import Path; from gisservice.catalog import open_catalog, load_registry\n"
        "from gisservice.analysis import Dossier\n"
        f"catalog = open_catalog({str(Path(registry.folder) / 'published')!r})\n"
        f"registry = load_registry(Path({str(Path(registry.folder) / 'layers.toml')!r}))\n"
        "assert len(Dossier(catalog, registry).answer(address='301 King St').rows) == 6\n"
        "print([name for name in ('pandas', 'geopandas', 'scipy', 'rasterio') if name in sys.modules])"
    )
    done = run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == "[]"
    assert catalog.ids()
