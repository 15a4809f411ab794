"""Which columns are taken, and that one nobody may see never is."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingest_sources import column

from gisservice.errors import SourceError
from gisservice.ingest.selecting import describe, plain_types, select
from gisservice.model import ColumnType, Visibility

NEVER = Visibility.NEVER


def test_declared_columns_are_taken_in_declared_order():
    declared = (column("zone", source="ZONING"), column("pid", source="pid_re"))
    selection = select(["PID_RE", "OTHER", "ZONING"], declared, "a.shp.zip")
    assert selection.names == {"ZONING": "zone", "PID_RE": "pid"}
    (noted,) = selection.noted
    assert (noted.code, noted.count) == ("undeclared-columns", 1)
    assert "OTHER" in noted.message


def test_an_exact_name_goes_before_one_in_another_case():
    assert select(["Name", "NAME"], (column("n", source="NAME"),), "a").names == {"NAME": "n"}
    with pytest.raises(SourceError, match="differ in case only"):
        select(["Name", "NAME"], (column("n", source="name"),), "a")


def test_what_nobody_may_see_is_not_taken_nor_named_in_a_finding():
    declared = (column("pid"), column("owner", source="OWN_NAME", visibility=NEVER))
    selection = select(["pid", "OWN_NAME", "own_name"], declared, "a")
    assert selection.names == {"pid": "pid"}
    assert not selection.noted
    assert select(["pid"], declared, "a").names == {"pid": "pid"}  # its absence is no loss


def test_a_missing_column_is_named_with_the_nearest():
    with pytest.raises(
        SourceError, match=r"a\.csv has no column 'ZONNING' \(declared as 'zone'\); did you mean 'ZONING'"
    ):
        select(["PID", "ZONING"], (column("zone", source="ZONNING"),), "a.csv")
    with pytest.raises(SourceError, match="it has: PID, B"):
        select(["PID", "B"], (column("zone", source="QQQQQ"),), "a.csv")


@pytest.mark.parametrize(
    ("source", "published"),
    [
        ("<script>alert(1)</script>", "script_alert_1_script"),
        ("__proto__", "proto"),
        ("SELECT", "SELECT"),
        ("Größe m²", "Gr_e_m"),
        ("2019 value", "c_2019_value"),
        ("geometry", "geometry_2"),
        ("bbox", "bbox_2"),
        ("x" * 300, "x" * 63),
        ("名前", "column_1"),
    ],
)
def test_undeclared_names_become_plain(source, published):
    selection = select([source], None, "a")
    assert selection.names == {source: published}
    assert [finding.code for finding in selection.noted] == ([] if source == published else ["renamed-columns"])


@given(st.lists(st.text(min_size=1), unique=True, max_size=20))
def test_undeclared_names_stay_apart(names):
    published = list(select(names, None, "a").names.values())
    assert len({name.casefold() for name in published}) == len(names)
    assert all(name.isascii() and name.isidentifier() and len(name) <= 63 for name in published)


def test_types_become_plain():
    table = pa.table(
        {
            "list": pa.array([[1, 2], None]),
            "struct": pa.array([{"a": "x"}, {"a": None}]),
            "small": pa.array([1, None], type=pa.int16()),
            "big": pa.array([2**64 - 1, None], type=pa.uint64()),
            "money": pa.array([Decimal("1.50"), None]),
            "half": pa.array([1.5, None], type=pa.float32()),
            "words": pa.array(["a", "a"]).dictionary_encode(),
            "raw": pa.array([b"\x00", None]),
            "none": pa.nulls(2),
            "clock": pa.array([1, None], type=pa.time32("s")),
        }
    )
    plain, noted = plain_types(table)
    assert plain.to_pydict() == {
        "list": ["[1,2]", None],
        "struct": ['{"a":"x"}', '{"a":null}'],
        "small": [1, None],
        "big": [str(2**64 - 1), None],
        "money": [1.5, None],
        "half": [1.5, None],
        "words": ["a", "a"],
        "none": [None, None],
        "clock": ["00:00:01", None],
    }
    assert [(finding.code, finding.count) for finding in noted] == [("binary-columns", 1)]
    assert "raw" in noted[0].message


def test_undeclared_columns_are_described_by_what_they_hold():
    table = pa.table({"zip": ["02139", "22314"], "n": ["1", "-20"], "v": ["1.5", "2"], "e": [None, " "], "i": [1, 2]})
    kinds = {c.name: c.type for c in describe(table, texts_may_be_numbers=True)}
    assert kinds == {
        "zip": ColumnType.STRING,
        "n": ColumnType.INTEGER,
        "v": ColumnType.NUMBER,
        "e": ColumnType.STRING,
        "i": ColumnType.INTEGER,
    }
    kinds = {c.name: c.type for c in describe(table, texts_may_be_numbers=False)}
    assert (kinds["n"], kinds["i"]) == (ColumnType.STRING, ColumnType.INTEGER)
