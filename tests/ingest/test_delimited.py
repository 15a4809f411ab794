"""CSV: where the position is, what separates, and what is done with text where a number should be."""

from __future__ import annotations

import pytest
import shapely
from ingest_sources import column

from gisservice import crs
from gisservice.errors import MissingCRSError, SourceError
from gisservice.ingest import read
from gisservice.model import Source, Visibility


@pytest.fixture
def csv(tmp_path):
    def csv(text: str, *, columns=None, encoding="utf-8", **source):
        (tmp_path / "a.csv").write_bytes(text.encode(encoding))
        return read(Source("a.csv", **source), folder=tmp_path, columns=columns)

    return csv


@pytest.mark.parametrize("names", ["lon,lat", "Longitude,LATITUDE", "lng,lat", "LONG,LAT"])
def test_columns_called_longitude_and_latitude_are_degrees(csv, names):
    reading = csv(f"id,{names}\n1,-77.04,38.81\n")
    assert crs.code(reading.crs) == "OGC:CRS84"
    assert reading.geometry[0] == shapely.Point(-77.04, 38.81)
    assert reading.table.column_names == ["id"]


def test_x_and_y_say_no_reference_system(csv):
    with pytest.raises(MissingCRSError, match="--crs EPSG:n"):
        csv("x,y,n\n-77.04,38.81,a\n")
    reading = csv("x,y,n\n-77.04,38.81,a\n", crs="OGC:CRS84")
    assert reading.geometry[0] == shapely.Point(-77.04, 38.81)


def test_declared_position_columns(csv):
    reading = csv("e;n;lon;lat\n1;2;3;4\n", x="E", y="N", crs="EPSG:2283")
    assert reading.geometry[0] == shapely.Point(1, 2)
    with pytest.raises(SourceError, match="no column 'easting'; it has: e, n"):
        csv("e,n\n1,2\n", x="easting", y="n")


def test_no_position_columns(csv):
    with pytest.raises(SourceError, match="no columns for the position; expected x and y, or lon and lat"):
        csv("a,b\n1,2\n")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_quotes_and_line_ends(csv, delimiter):
    text = "x,y,name\r\n1,2,'a, b\nc'\r\n3,4,\r\n".replace(",", delimiter).replace("'", '"')
    reading = csv(text, crs="EPSG:2283")
    assert reading.table.column("name").to_pylist() == [f"a{delimiter} b\nc", None]
    assert shapely.get_x(reading.geometry).tolist() == [1, 3]


def test_a_byte_order_mark_is_not_part_of_the_first_name(csv):
    assert csv("X,Y\n1,2\n", crs="EPSG:2283", encoding="utf-8-sig").geometry[0] == shapely.Point(1, 2)


def test_text_in_the_x_column_refuses_the_record_and_names_row_and_value(csv):
    reading = csv("x,y\n1,2\n3,4\nunknown,6\n7,8\n", crs="EPSG:2283")
    (flaw,) = reading.flaws
    assert (flaw.code, flaw.rows.tolist()) == ("bad-coordinate", [2])
    assert "column 'x' holds 'unknown' in row 4 (the header is row 1)" in flaw.message
    assert reading.geometry[2] is None


@pytest.mark.parametrize("value", ["-77,04", "N/A", "nan", "inf", "1_0", "٣", "0x1", "77°"])
def test_only_plain_numbers_are_numbers(csv, value):
    reading = csv(f'x,y\n"{value}",2\n1,2\n3,4\n', crs="EPSG:2283")
    assert [flaw.rows.tolist() for flaw in reading.flaws] == [[0]]


def test_mostly_text_refuses_the_file(csv):
    with pytest.raises(SourceError, match=r"2 of 3 positions are not numbers: column 'y' holds 'b' in row 2"):
        csv("x,y\n1,b\n2,c\n3,4\n", crs="EPSG:2283")


def test_blank_positions_are_missing_not_wrong(csv):
    reading = csv("x,y,n\n,,a\n 1 ,2,b\n", crs="EPSG:2283")
    assert not reading.flaws
    assert reading.geometry[0] is None
    assert reading.geometry[1] == shapely.Point(1, 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x,y,n\n1,2,a\n1,2,3,b,c\n", "row 3 has 5 fields; expected 3"),
        ("x,y,x\n1,2,3\n", "column 'x' more than once"),
        ("x,y\n", "a header row and no records"),
    ],
)
def test_broken_tables(csv, text, words):
    with pytest.raises(SourceError, match=words):
        csv(text, crs="EPSG:2283")


def test_other_encodings_are_refused(csv):
    with pytest.raises(SourceError, match="Save it as UTF-8"):
        csv("x,y,n\n1,2,Straße\n", crs="EPSG:2283", encoding="latin-1")
    with pytest.raises(SourceError, match="Save it as UTF-8"):
        csv("x,y,Straße\n1,2,a\n", crs="EPSG:2283", encoding="latin-1")


def test_what_nobody_may_see_is_not_read_and_in_no_message(csv):
    declared = (column("n"), column("owner", visibility=Visibility.NEVER))
    reading = csv("lon,lat,n,owner\n1,2,a,Secret\n", columns=declared)
    assert reading.table.column_names == ["n"]
    with pytest.raises(SourceError) as caught:
        csv("lon,lat,n,owner\n1,2,a,Secret,Secret\n", columns=declared)
    assert "Secret" not in str(caught.value)


def test_a_position_column_can_be_published_too(csv):
    reading = csv("lon,lat\n1,2\n", columns=(column("lon", "number"),))
    assert reading.table.to_pydict() == {"lon": ["1"]}
    assert not reading.noted
