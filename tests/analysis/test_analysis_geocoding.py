"""From an address to a place and back: a town whose answers are known, and the city's real addresses."""

from __future__ import annotations

import csv
import io
import json
import random
import string
from pathlib import Path

import geopandas
import numpy as np
import pandas
import pytest
import shapely

from gisservice.analysis import Gazetteer, geocode, geocode_csv, geocode_table, reverse, suggest, to_geojson
from gisservice.analysis.geocoding import answer, best, matches
from gisservice.catalog import Catalog, Manifest, Records, write_features
from gisservice.errors import CollectionNotFound, InvalidParameter, LimitExceeded
from gisservice.model import AddressColumns, Column, ColumnType, GeometryKind, Layer, Quality, Registry

FIRST = {
    "100 N Saint Asaph St": "a1",
    "100 north st. asaph street": "a1",
    "100 St Asaph St N": "a1",
    "100 S SAINT ASAPH ST, Alexandria, VA 22314": "a2",
    "100 S Saint Asaph St Alexandria VA 22314-1234": "a2",
    "102 N Saint Asaph St": "a3",
    "102 1/2 N Saint Asaph St": "a4",
    "102½ N St Asaph": "a4",
    "104A N Saint Asaph St": "a5",
    "104-A N Saint Asaph St": "a5",
    "104 a n saint asaph st": "a5",
    "301 King St": "b1",
    "301 King St Apt 2": "b3",
    "301 King Street, Unit #2, Alexandria, VA": "b3",
    "301 king #1": "b2",
    "301 Kng St": "b1",
    "301 Knig St": "b1",
    "301 Kingg Stret": "b1",
    "301King St": "b1",
    "301 Ki ng St": "b1",
    "3o1 King St": "b1",
    "305 King Ave": "b4",
    "7 East Twenty-Eighth Avenue": "c1",
    "7 E 28th Ave": "c1",
    "7 twenty eigth ave": "c1",
    "12 OBrien Parkway": "d1",
    "12 O\u2019Brien Pkwy.": "d1",
}


@pytest.mark.parametrize("address", FIRST)
def test_the_first_match_is_the_one_that_is_meant(gazetteer: Gazetteer, address: str) -> None:
    found = matches(gazetteer, address)
    assert found and found[0].item == FIRST[address], [(match.label, match.score) for match in found]


def test_what_is_as_written_scores_one_and_every_other_cost_is_told(gazetteer: Gazetteer) -> None:
    exact = best(gazetteer, "100 N Saint Asaph St, 22314")
    assert exact is not None and exact.score == 1 and exact.kind == "address" and exact.parcel == "P-1"
    found = geocode(gazetteer, "100 Saint Asaf St 22301")
    assert found["address"].tolist()[:2] == ["100 N Saint Asaph St", "100 S Saint Asaph St"]
    for score, fields in zip(found["score"], found["fields"], strict=True):
        assert score == pytest.approx(1 - sum(field["cost"] for field in fields))
    costs = {field["field"]: field["cost"] for field in found["fields"][0]}
    assert costs == {"number": 0, "street": 0.2, "direction": 0.03, "zip": 0.05}


def test_positions_are_those_of_the_layer(gazetteer: Gazetteer, town: tuple[Catalog, Registry]) -> None:
    addresses = town[0].read("addresses").to_crs("OGC:CRS84")
    found = geocode(gazetteer, "305 King Ct", limit=1)
    assert found.crs == "OGC:CRS84"
    assert shapely.distance(found.geometry.iloc[0], addresses.geometry["b4"]) < 1e-9
    assert found.attrs["answer"]["sources"][0]["collection"] == "addresses"


def test_streets_crossings_and_parcel_numbers_are_places_too(gazetteer: Gazetteer) -> None:
    for text in (
        "King St & N Saint Asaph St",
        "king and n st asaph",
        "N Saint Asaph at King St",
        "Kng St @ N St Asaf",
    ):
        found = best(gazetteer, text)
        assert found is not None and found.kind == "intersection", text
        assert found.label in ("King St & N Saint Asaph St", "N Saint Asaph St & King St")
    assert matches(gazetteer, "King St & E 28th Ave") == []
    street = best(gazetteer, "King Street")
    assert street is not None and (street.kind, street.label) == ("street", "King St")
    parcel = best(gazetteer, " p-2 ")
    assert parcel is not None and (parcel.kind, parcel.item, parcel.score) == ("parcel", "k2", 1)


def test_a_number_that_is_not_there_is_not_called_an_address(gazetteer: Gazetteer) -> None:
    found = matches(gazetteer, "303 King St")
    assert {match.kind for match in found} == {"nearest number", "street"}
    assert found[0].label == "301 King St" and found[0].score < 0.9
    assert matches(gazetteer, "1 Nowhere Boulevard") == []
    assert best(gazetteer, "   ") is None


def test_reverse_is_the_nearest_with_its_distance(gazetteer: Gazetteer, town: tuple[Catalog, Registry]) -> None:
    addresses = town[0].read("addresses")
    point = geopandas.GeoSeries(
        [shapely.transform(addresses.geometry["a1"], lambda xy: xy + np.array([3, 4]))], crs=2283
    )
    lon, lat = shapely.get_coordinates(point.to_crs("OGC:CRS84").to_numpy())[0].tolist()
    found = reverse(gazetteer, lon, lat, limit=2)
    assert found["item"].tolist() == ["a1", "a3"]
    assert found["distance_m"].tolist() == pytest.approx([5 * 1200 / 3937, np.hypot(17, 4) * 1200 / 3937], abs=0.006)
    assert reverse(gazetteer, lon + 1, lat).empty
    for wrong in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InvalidParameter, match="distance_m"):
            reverse(gazetteer, lon, lat, distance_m=wrong)


def test_suggestions_go_on_from_what_was_typed(gazetteer: Gazetteer) -> None:
    assert suggest(gazetteer, "301 ki")["text"].tolist() == ["301 King St"]
    assert suggest(gazetteer, "30 king")["text"].tolist() == ["301 King St", "305 King Ct"]
    assert suggest(gazetteer, "king")["text"].tolist() == ["King St", "King Ct"]
    assert suggest(gazetteer, "n saint a")["text"].tolist() == ["N Saint Asaph St"]
    assert suggest(gazetteer, "100 siant as")["text"].tolist() == ["100 N Saint Asaph St", "100 S Saint Asaph St"]
    for typed in ("301 kng st", "301 kinng st", "301 kimg st", "301 ikng st"):  # one mistake, also of a whole name
        assert suggest(gazetteer, typed)["text"].tolist() == ["301 King St"], typed
    assert suggest(gazetteer, "x").empty and suggest(gazetteer, "100").empty and suggest(gazetteer, "").empty


def test_a_frame_and_a_file_get_the_best_match_of_each_row(gazetteer: Gazetteer) -> None:
    rows = pandas.DataFrame({"n": [1, 2, 3], "where": ["301 Kng St", "nowhere at all", None]})
    found = geocode_table(gazetteer, rows, column="where")
    assert found["match_item"].tolist()[0] == "b1" and found["match_item"].isna().tolist() == [False, True, True]
    assert found.geometry.isna().tolist() == [False, True, True] and list(rows.columns) == ["n", "where"]
    content = b'\xef\xbb\xbfnote,address\r\n=1+1,"301 King St, Apt 2"\r\nb\r\n'
    written = list(csv.DictReader(io.StringIO(geocode_csv(gazetteer, content).decode())))
    assert [row["match_item"] for row in written] == ["b3", ""]
    assert written[0]["note"] == "'=1+1" and float(written[0]["match_lon"]) < -77
    for wrong in (b"", b"a,b\r\n", b"\xff\xfe\x00", b'address\r\n"x'):
        with pytest.raises(InvalidParameter):
            geocode_csv(gazetteer, wrong)
    with pytest.raises(InvalidParameter, match="where"):
        geocode_table(gazetteer, rows)


@pytest.mark.parametrize(
    "text",
    [
        "&&&",
        "@",
        "1",
        "#",
        "A" * 200,
        "1 " * 100,
        "½",
        "0",
        "9" * 50,
        "\u0000\u202e",
        "N S E W",
        "APT 5",
        "' OR 1=1 --",
        "٣٠١ King St",
    ],
)
def test_any_text_has_an_answer(gazetteer: Gazetteer, text: str) -> None:
    try:
        assert len(matches(gazetteer, text)) <= 5
    except InvalidParameter:
        assert not text.strip("&@#\u0000\u202e")
    suggest(gazetteer, text)


def test_bad_parameters_are_named(gazetteer: Gazetteer, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match="address"):
        geocode(gazetteer, " ")
    with pytest.raises(LimitExceeded):
        geocode(gazetteer, "x" * 201)
    for limit in (0, 51):
        with pytest.raises(InvalidParameter, match="limit"):
            geocode(gazetteer, "301 King St", limit=limit)
    with pytest.raises(CollectionNotFound, match=r"layers\.<id>\.address"):
        Gazetteer.open(Catalog(tmp_path))


def test_without_a_frame_the_answer_has_the_same_bytes(gazetteer: Gazetteer) -> None:
    for text in ("100 Saint Asaf St", "King St & N Saint Asaph St", "nowhere"):
        given = answer(gazetteer, text)
        assert to_geojson(given.frame()) == given.to_geojson()
        assert to_geojson(geocode(gazetteer, text)) == given.to_geojson()
        json.loads(given.to_geojson())


def test_the_gazetteer_is_kept_until_a_layer_changes(town: tuple[Catalog, Registry], gazetteer: Gazetteer) -> None:
    assert Gazetteer.open(town[0]) is gazetteer


@pytest.fixture(scope="session")
def real(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Gazetteer, list[str], list[str]]:
    """The city's address points of 2019 as a gazetteer, with their texts and street names."""
    table = pandas.read_csv(shared_data / "alexandria" / "address_points_2019.csv", dtype=str, encoding="utf-8-sig")
    names = {"STNUM": "number", "STALPHA": "suffix", "STPFX": "dir", "STNAME": "street", "STTYPE": "type", "ZIP": "zip"}
    columns = table.rename(columns=names)[[*names.values()]].assign(key=table["OBJECTID"], label=table["FULL_ADDS"])
    shapes = shapely.points(table[["X", "Y"]].astype(float).to_numpy())
    frame = geopandas.GeoDataFrame(columns, geometry=shapes, crs="OGC:CRS84")
    declared = tuple(Column(name, ColumnType.STRING) for name in columns.columns)
    roles = AddressColumns("number", "street", "suffix", "dir", "type", None, "zip", None, "label")
    layer = Layer("addresses", "Addresses", GeometryKind.POINT, id_column="key", columns=declared, address=roles)
    catalog, count = Catalog(tmp_path_factory.mktemp("real")), len(frame)
    with catalog.stage("addresses") as staging:
        ids = list(frame["key"])
        write_features(staging.path, Records(frame, ids, np.arange(count), shapes, None, GeometryKind.POINT))
        staging.publish(
            Manifest(
                collection="addresses",
                layer=layer,
                kind=GeometryKind.POINT,
                count=count,
                storage_crs="OGC:CRS84",
                storage_crs_definition=frame.crs.to_wkt(),
                extent=None,
                columns=declared,
                id_column="key",
                quality=Quality(count, count),
            )
        )
    return Gazetteer.open(catalog), list(table["FULL_ADDS"].str.strip()), list(table["STNAME"].str.replace("'", ""))


def mistyped(text: str, places: list[int], luck: random.Random) -> str:
    """One mistake of a typist at one of these places: a letter left out, put in, exchanged, or swapped."""
    at, kind = luck.choice(places), luck.choice("oixs")
    letter = luck.choice([one for one in string.ascii_uppercase if one != text[at]])
    if kind == "i":
        return text[:at] + letter + text[at:]
    if kind == "x":
        return text[:at] + letter + text[at + 1 :]
    if kind == "s" and at + 1 in places and text[at] != text[at + 1]:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text[:at] + text[at + 1 :]


@pytest.mark.slow
@pytest.mark.parametrize(("where", "least"), [("street name", 0.99), ("any letter", 0.98)])
def test_real_addresses_are_found_with_one_mistake_each(real, record_property, where: str, least: float) -> None:
    gazetteer, texts, streets = real
    luck = random.Random(2019)
    hits, asked = 0, luck.sample(range(len(texts)), 2000)
    for row in asked:
        text, street = texts[row], streets[row]
        begin = text.find(street)
        span = range(begin, begin + len(street)) if where == "street name" and begin >= 0 else range(len(text))
        found = best(gazetteer, mistyped(text, [place for place in span if text[place].isalpha()], luck))
        hits += found is not None and found.label.strip() == text
    record_property("share", hits / len(asked))
    print(f"{hits} of {len(asked)} addresses with one mistake in {where} found first")
    assert hits / len(asked) >= least
