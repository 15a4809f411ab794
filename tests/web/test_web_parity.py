"""One question, one answer: the library, both doors of HTTP and the job give the same bytes, for every operation."""

from __future__ import annotations

import inspect
import json
import time
from datetime import date
from typing import Any

import geopandas
import pytest
import shapely
from asked_city import AskedCity, lonlat

from gisservice import analysis, crs
from gisservice.analysis import Dossier, Gazetteer, Network, to_geojson
from gisservice.analysis.ground import Ground
from gisservice.analysis.operations import Role, operations
from gisservice.query.reading import read

HOME = lonlat(210, 60)
FAR = lonlat(1500, 1300)
BOX = ",".join(map(repr, (*HOME, *FAR)))
WEST = {"collection": "lots", "filter": "zone = 'RB' AND value < 20000"}


def points(*places: tuple[float, float]) -> dict[str, Any]:
    """Places as GeoJSON, as a caller gives them."""
    shapes = [{"type": "Point", "coordinates": list(place)} for place in places]
    return {
        "type": "FeatureCollection",
        "features": [{"type": "Feature", "geometry": s, "properties": {}} for s in shapes],
    }


LINE = {"type": "LineString", "coordinates": [list(HOME), list(FAR)]}

QUESTIONS: dict[str, list[dict[str, Any]]] = {
    "access": [{"places": "lots", "amenities": {"park": "parks"}, "mode": "bike"}],
    "aggregate": [
        {"features": "lots", "by": ["zone"], "sums": ["value"], "percentiles": {"value": [50, 90]}},
        {"features": WEST, "grid": "hexagon", "cell_ft": 300, "means": ["value"], "having": "count >= 2"},
    ],
    "cover_shares": [{"areas": "lots", "ground": "land_cover"}],
    "classify": [{"frame": "lots", "column": "value", "method": "natural breaks", "classes": 4}],
    "dissolve": [{"features": "lots", "by": "zone", "sums": ["value"]}],
    "elevation": [{"points": points(HOME, FAR)}, {"points": "addresses", "method": "nearest"}],
    "flood_area": [{"stage_feet": 60}],
    "flood_depth": [{"areas": "lots", "stage_feet": 60.5}],
    "geocode": [{"address": "104 Alder St"}, {"address": "104 Aldr Street", "limit": 3}, {"address": "nowhere"}],
    "hotspots": [{"features": "lots", "column": "value", "distance_ft": 200}],
    "lookup": [
        {"address": "104 Alder St", "on": "2026-11-20"},
        {"lon": FAR[0], "lat": FAR[1], "on": "2026-11-20"},
    ],
    "nearest": [{"features": "addresses", "others": "parks", "k": 2}, {"features": points(HOME), "others": "lots"}],
    "network_report": [{}],
    "notify": [{"parcels": "lots", "subject": {"collection": "lots", "filter": "pid = '1-10'"}, "distance_ft": 500}],
    "overlay": [{"features": "lots", "others": "zones", "how": "identity"}],
    "profile": [{"lines": LINE, "step_m": 20}],
    "reach": [{"origins": points(HOME, FAR), "minutes": [1, 2.5], "merge": True}],
    "reached": [{"origins": points(HOME), "features": "parks", "minutes": 10}],
    "reverse": [{"lon": HOME[0], "lat": HOME[1], "limit": 3}, {"lon": -70.0, "lat": 30.0}],
    "route": [{"origins": points(HOME), "destinations": points(FAR), "mode": "drive"}],
    "service_gap": [{"places": "lots", "amenities": "parks", "minutes": 3}],
    "slope": [{"places": "lots"}],
    "suggest": [{"text": "10 al"}, {"text": "zzz"}],
    "summarize": [{"zones": "zones", "features": "lots", "sums": ["value"]}],
    "viewshed": [{"observers": points(HOME), "radius_m": 100}],
    "walking_minutes": [{"points": "addresses", "targets": "parks"}],
    "within": [
        {"features": "addresses", "others": "parks", "distance_ft": 250},
        {"features": "addresses", "others": points(HOME), "distance_m": 50},
        {"features": {"collection": "lots", "bbox": [*HOME, *FAR]}, "others": "parks", "distance_ft": 300},
    ],
    "zonal": [{"areas": "zones", "percentiles": [10, 50]}],
}
"""For every operation, questions as a caller sends them."""

CASES = [(name, inputs) for name, asked in QUESTIONS.items() for inputs in asked]


def frame(city: AskedCity, value: Any) -> Any:
    """What a planner would make of an input, without anything of the service."""
    if isinstance(value, str):
        return city.catalog.read(value)
    if "collection" in value:
        box = tuple(value["bbox"]) if "bbox" in value else None
        return read(city.catalog, value["collection"], bbox=box, filter=value.get("filter"))
    features = value["features"] if "features" in value else [{"geometry": value}]
    shapes = [shapely.from_geojson(json.dumps(feature["geometry"])) for feature in features]
    return geopandas.GeoDataFrame(geometry=shapes, crs=crs.CRS84)


def in_python(city: AskedCity, name: str, inputs: dict[str, Any]) -> bytes:
    """The answer of the library's function to a question, called as its signature says."""
    found = operations()[name]
    values = dict(inputs)
    stored = False
    for entry in found.inputs:
        if entry.role is Role.FRAME and entry.name in values:
            stored |= isinstance(values[entry.name], str) or "collection" in values[entry.name]
            values[entry.name] = frame(city, values[entry.name])
        elif entry.role is Role.FRAMES and entry.name in values:
            values[entry.name] = {key: frame(city, one) for key, one in values[entry.name].items()}
        elif entry.role is Role.NETWORK:
            values[entry.name] = Network.open(city.catalog)
        elif entry.role is Role.GROUND:
            values[entry.name] = Ground.open(city.catalog, values.get(entry.name, "elevation"))
    for key, one in values.items():
        if isinstance(one, geopandas.GeoDataFrame) and stored and one.crs != crs.parse("EPSG:2283"):
            moved = crs.reproject(one.geometry.to_numpy(), crs.reprojection(one.crs, crs.parse("EPSG:2283")))
            values[key] = one.set_geometry(list(moved), crs="EPSG:2283")
    if "on" in values:
        values["on"] = date.fromisoformat(values["on"])
    held = {
        Role.GAZETTEER: lambda: Gazetteer.open(city.catalog),
        Role.DOSSIER: lambda: Dossier(city.catalog, city.registry),
        None: lambda: None,
    }[found.held]()
    return to_geojson(found.run(values, held))


OTHERWISE = {
    "calendar": "a form of the answer of lookup, compared below",
    "geocode_csv": "one geocode for each line of a file",
    "geocode_table": "one geocode for each row of a table",
    "nearest_by_network": "what walking_minutes and access keep",
    "state": "puts on an answer what it says of itself",
    "to_geojson": "writes an answer",
    "to_ics": "writes a calendar",
}
"""Public functions that are no question of their own, and what they are."""


def test_every_public_function_is_asked() -> None:
    functions = {name for name in analysis.__all__ if inspect.isfunction(getattr(analysis, name))}
    assert set(QUESTIONS) == set(operations()) == functions - set(OTHERWISE)


def test_a_calendar_is_the_same_bytes(asked_city: AskedCity) -> None:
    dossier = Dossier(asked_city.catalog, asked_city.registry)
    ours = analysis.calendar(dossier, address="104 Alder St", on=date(2026, 11, 20), weeks=3)
    answer = asked_city.get("/api/lookup", q="104 Alder St", on="2026-11-20", weeks=3, f="ics")
    assert (answer.status_code, answer.data) == (200, ours)


@pytest.mark.parametrize(("name", "inputs"), CASES, ids=[f"{name}-{n}" for n, (name, _) in enumerate(CASES)])
def test_library_and_http_give_the_same_bytes(asked_city: AskedCity, name: str, inputs: dict[str, Any]) -> None:
    answer = asked_city.execute(name, **inputs)
    assert answer.status_code == 200, answer.text
    assert answer.data == in_python(asked_city, name, inputs)
    document = answer.get_json(force=True)
    assert document["type"] == "FeatureCollection"
    assert document["features"] or name in ("geocode", "reverse", "suggest", "network_report", "service_gap")
    if name != "suggest":
        assert document["method"] and document["sources"]
    assert "Owner" not in answer.text
    wrapped = asked_city.execute(name, response="document", **inputs)
    assert wrapped.get_json() == {"answer": {"value": document, "mediaType": "application/geo+json"}}


GETS = {
    "/api/lookup?q=104 Alder St&on=2026-11-20": ("lookup", 0),
    "/api/geocode?q=104 Alder St": ("geocode", 0),
    f"/api/reverse?lon={HOME[0]!r}&lat={HOME[1]!r}&limit=3": ("reverse", 0),
    "/api/collections/lots/aggregate?by=zone&sums=value&percentiles=value:50,90": ("aggregate", 0),
    "/api/collections/lots/aggregate?filter=zone = 'RB' AND value < 20000&grid=hexagon&cell_ft=300&means=value"
    "&having=count >%3D 2": ("aggregate", 1),
    f"/api/reach?origins={HOME[0]!r},{HOME[1]!r};{FAR[0]!r},{FAR[1]!r}&minutes=1,2.5&merge=true": ("reach", 0),
    f"/api/route?origins={HOME[0]!r},{HOME[1]!r}&destinations={FAR[0]!r},{FAR[1]!r}&mode=drive": ("route", 0),
    "/api/within?features=addresses&others=parks&distance_ft=250": ("within", 0),
    f"/api/within?features=lots&features.bbox={BOX}&others=parks&distance_ft=300": (
        "within",
        2,
    ),
    "/api/nearest?features=addresses&others=parks&k=2": ("nearest", 0),
    "/api/summarize?zones=zones&features=lots&sums=value": ("summarize", 0),
    f"/api/elevation?points={HOME[0]!r},{HOME[1]!r};{FAR[0]!r},{FAR[1]!r}": ("elevation", 0),
    f"/api/profile?lines={HOME[0]!r},{HOME[1]!r};{FAR[0]!r},{FAR[1]!r}&step_m=20": ("profile", 0),
}


@pytest.mark.parametrize("url", GETS)
def test_plain_addresses_give_the_same_bytes(asked_city: AskedCity, url: str) -> None:
    name, place = GETS[url]
    answer = asked_city.client.get(url)
    assert answer.status_code == 200, answer.text
    assert answer.data == in_python(asked_city, name, QUESTIONS[name][place])
    assert answer.content_type == "application/geo+json"
    again = asked_city.client.get(url, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_every_plain_address_is_asked() -> None:
    from gisservice.web.questions import DOORS

    asked = {name for name, _ in GETS.values()}
    assert {door.name for door in DOORS.values()} == asked


@pytest.mark.parametrize("name", ["within", "reach", "zonal"])
def test_a_job_gives_the_same_bytes(asked_city: AskedCity, name: str) -> None:
    inputs = QUESTIONS[name][0]
    accepted = asked_city.execute(name, prefer="respond-async", **inputs)
    assert accepted.status_code == 201
    place = accepted.headers["Location"].removeprefix("http://localhost")
    status = waited_for(asked_city, place)
    assert status["status"] == "successful", status
    result = asked_city.get(f"{place}/results")
    assert result.data == in_python(asked_city, name, inputs)


def waited_for(city: AskedCity, place: str) -> dict[str, Any]:
    """How a job stands when it is done."""
    for _ in range(3000):
        status = city.get(place).get_json()
        if status["status"] not in ("accepted", "running"):
            return status
        time.sleep(0.1)
    raise AssertionError("the job does not end")
