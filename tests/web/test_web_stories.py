"""Two stories told by HTTP alone, as a web developer would tell them."""

from __future__ import annotations

from datetime import date, timedelta
from urllib.parse import urlsplit

import shapely
from asked_city import AskedCity, lonlat


def test_whom_to_tell_within_500_feet(asked_city: AskedCity) -> None:
    """A lot is found by its address; all lots within 500 ft are listed, by a measure of our own, and no owner is."""
    start = asked_city.get("/api").get_json()
    processes = next(link["href"] for link in start["links"] if link["rel"].endswith("/processes"))
    names = [entry["id"] for entry in asked_city.client.get(urlsplit(processes).path).get_json()["processes"]]
    assert "notify" in names

    report = asked_city.get("/api/lookup", q="120 Birch Street").get_json(force=True)
    lot = next(line["properties"] for line in report["features"] if line["properties"]["line"] == "lot")
    assert (lot["status"], lot["collection"], lot["item"]) == ("applies", "lots", "1-10")

    subject = {"collection": lot["collection"], "filter": f"pid = '{lot['item']}'"}
    answer = asked_city.execute("notify", parcels="lots", subject=subject, distance_ft=500)
    told = {feature["id"]: feature["properties"] for feature in answer.get_json(force=True)["features"]}

    shapes = {}
    items = asked_city.get("/api/collections/lots/items", limit=1000, crs="http://www.opengis.net/def/crs/EPSG/0/2283")
    for item in items.get_json(force=True)["features"]:
        shapes[item["id"]] = shapely.geometry.shape(item["geometry"])
    apart = {key: shape.distance(shapes["1-10"]) for key, shape in shapes.items()}
    assert set(told) == {key for key, distance in apart.items() if distance <= 500}
    assert len(told) > 20
    assert [key for key, found in told.items() if found["is_subject"]] == ["1-10"]
    assert all(abs(found["distance_ft"] - apart[key]) < 0.01 for key, found in told.items())
    assert "owner" not in answer.text.lower()
    assert answer.get_json(force=True)["units"]["distance_ft"] == "US survey foot"


def test_refuse_days_in_a_calendar(asked_city: AskedCity) -> None:
    """Typed wrongly, chosen from what is suggested, and put into a calendar; Thanksgiving moves its week's day."""
    wrong = asked_city.get("/api/lookup", q="104 Aldr")
    suggested = asked_city.get("/api/geocode/suggest", q="104 al").get_json()["suggestions"]
    assert wrong.status_code in (200, 404)
    address = suggested[0]["text"]
    assert address == "104 Alder St"
    answer = asked_city.get("/api/lookup", q=address, f="ics", on="2026-11-16", weeks=3)
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
    lines = answer.text.split("\r\n")
    assert lines[0] == "BEGIN:VCALENDAR" and lines[-2:] == ["END:VCALENDAR", ""]
    days = [date.fromisoformat(f"{line[-8:-4]}-{line[-4:-2]}-{line[-2:]}") for line in lines if "DTSTART" in line]
    assert days == [date(2026, 11, 19), date(2026, 11, 27), date(2026, 12, 3)]
    assert days[1] - timedelta(days=1) == date(2026, 11, 26)  # Thanksgiving itself
    assert any("Thanksgiving Day" in line for line in lines)
    again = asked_city.client.get(
        "/api/lookup",
        query_string={"q": address, "f": "ics", "on": "2026-11-16", "weeks": 3},
        headers={"If-None-Match": answer.headers["ETag"]},
    )
    assert again.status_code == 304
    by_place = lonlat(125, 60)
    near = asked_city.get("/api/lookup", lon=by_place[0], lat=by_place[1], f="ics", on="2026-11-16", weeks=3)
    assert [line for line in near.text.split("\r\n") if "DTSTART" in line] == [
        line for line in lines if "DTSTART" in line
    ]
