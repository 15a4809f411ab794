"""Random filters over a small table, against an evaluation of each row by itself and against PostGIS."""

from __future__ import annotations

import numpy as np
import pytest
from filter_cases import Filters, as_json_text, as_text, evaluate
from filter_table import BY_KIND, COLUMNS, DAYS, PATTERNS, REAL, SHAPES, TEXTS, TIMES, WHOLE, build
from hypothesis import given, settings
from hypothesis import strategies as st

from gisservice.model import GeometryKind
from gisservice.query.filter import parse_filter

LITERALS = {"text": TEXTS, "number": [*WHOLE, *REAL], "boolean": [True, False], "date": DAYS, "time": TIMES}
FILTERS = Filters(BY_KIND, LITERALS, SHAPES, PATTERNS).strategy()


@pytest.fixture(scope="module", params=[GeometryKind.POLYGON, GeometryKind.LINE, GeometryKind.POINT])
def table(request, tmp_path_factory):
    return build(tmp_path_factory.mktemp("table"), request.param, 80)


@settings(max_examples=60)
@given(node=FILTERS, some=st.sets(st.integers(0, 79)))
def test_a_random_filter_gives_the_rows_that_are_true_by_themselves(table, node, some):
    found = parse_filter(as_text(node), "cql2-text", COLUMNS)
    expected = [number for number, row in enumerate(table.rows) if evaluate(node, row) is True]
    assert found.rows(table.features).tolist() == expected
    candidates = sorted(some)
    among = found.among(table.features, np.array(candidates, dtype=np.int64))
    assert among.tolist() == [row for row in candidates if row in expected]


@settings(max_examples=150)
@given(node=FILTERS)
def test_text_and_json_are_the_same_filter_and_its_text_reads_back(node):
    by_text = parse_filter(as_text(node), "cql2-text", COLUMNS)
    by_json = parse_filter(as_json_text(node), "cql2-json", COLUMNS)
    again = parse_filter(by_text.text, "cql2-text", COLUMNS)
    assert by_text == by_json == again
    assert by_text.text == by_json.text == again.text
