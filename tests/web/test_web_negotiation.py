"""Accept, Accept-Encoding and If-None-Match as plain functions (RFC 9110)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gisservice.errors import LimitExceeded, NotAcceptable
from gisservice.web import negotiation

OFFERED = ("application/geo+json", "application/json")
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "application/geo+json"),
        ("*/*", "application/geo+json"),
        ("application/*", "application/geo+json"),
        ("application/json", "application/json"),
        ("APPLICATION/JSON", "application/json"),
        ("application/json;q=0.5, application/geo+json;q=0.4", "application/json"),
        ("application/json, application/geo+json", "application/geo+json"),
        ("application/geo+json;q=0, */*", "application/json"),
        (BROWSER, "application/geo+json"),
        ("application/json;charset=utf-8", "application/json"),
        ("application/json;q=nonsense, application/geo+json;q=0.1", "application/geo+json"),
    ],
)
def test_the_best_liked_media_type_is_chosen(accept: str, expected: str) -> None:
    assert negotiation.media_type(accept, OFFERED) == expected


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "image/*", "nonsense", ",", "*/*;q=0"])
def test_none_acceptable_is_said(accept: str) -> None:
    with pytest.raises(NotAcceptable, match="application/geo"):
        negotiation.media_type(accept, OFFERED)


def test_an_overlong_accept_is_refused() -> None:
    with pytest.raises(LimitExceeded, match="Accept header"):
        negotiation.media_type("a/b," * 2000, OFFERED)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("gzip, deflate, br, zstd", True),
        ("x-gzip", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("gzip;q=0, *", False),
        ("gzip;q=0.001", True),
        ("*;q=0", False),
        ("identity", False),
        ("br", False),
        ("identity, gzip;q=0.5", False),
        ("identity;q=0.5, gzip", True),
        ("gzip;q=1.5", False),
        ("gzip" * 2000, False),
    ],
)
def test_gzip_is_sent_to_those_who_take_it(header: str, expected: bool) -> None:
    assert negotiation.content_coding(header, ("gzip",)) == ("gzip" if expected else "")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", ""),
        ("gzip, deflate, br, zstd", "br"),
        ("br", "br"),
        ("BR", "br"),
        ("gzip", "gzip"),
        ("*", "br"),
        ("gzip;q=0.8, br;q=0.8", "br"),
        ("gzip, br;q=0.9", "gzip"),
        ("gzip;q=0.5, br;q=0.501", "br"),
        ("gzip;q=0, *;q=0.5", "br"),
        ("br;q=0, *", "gzip"),
        ("br;q=0, gzip;q=0", ""),
        ("identity, br;q=0.9, gzip;q=0.9", ""),
        ("identity;q=0.5, br;q=0.4, gzip;q=0.6", "gzip"),
        ("deflate, zstd", ""),
        ("identity;q=0", ""),
        ("br;q=nonsense, gzip", "gzip"),
    ],
)
def test_the_best_liked_coding_is_chosen_and_brotli_on_a_tie(header: str, expected: str) -> None:
    assert negotiation.content_coding(header, ("br", "gzip")) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('"abc"', True),
        ('W/"abc"', True),
        ('"x", "abc"', True),
        ('"x",W/"abc" , "y"', True),
        ("*", True),
        (" * ", True),
        ('"abcd"', False),
        ("abc", False),
        ('"ABC"', False),
        ("", False),
        (", ".join(f'"{n}"' for n in range(10_000)), False),
    ],
)
def test_entity_tags_are_found_by_weak_comparison(header: str, expected: bool) -> None:
    assert negotiation.matches(header, '"abc"') is expected


@given(st.text())
def test_any_header_is_an_answer_or_an_error_of_ours(text: str) -> None:
    assert negotiation.content_coding(text, ("br", "gzip")) in ("", "br", "gzip")
    negotiation.matches(text, '"abc"')
    try:
        assert negotiation.media_type(text, OFFERED) in OFFERED
    except (NotAcceptable, LimitExceeded):
        pass
