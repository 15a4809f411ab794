"""The order of letters in lines from right to left, beside an implementation of the same standard in Rust."""

from __future__ import annotations

import pytest
from bidi import get_display
from hypothesis import given
from hypothesis import strategies as st

from gisservice.maps.bidirectional import first_strong, levels, runs

LETTERS = "abé12٣٤ابתّ\u0301 ,.:;+-/$%'–()[]{}\u2066\u2067\u2068\u2069"
"""Of every class of the standard but those that are left out; isolates among them."""


def shown(text: str, base: int) -> str:
    found = runs(levels(text, base))
    return "".join(text[first:last][::-1] if leftward else text[first:last] for first, last, leftward in found)


@given(st.text(LETTERS, max_size=24), st.sampled_from([0, 1]))
def test_letters_stand_as_the_standard_says(text: str, base: int) -> None:
    assert shown(text, base) == get_display(text, base_dir="LR"[base])


@pytest.mark.parametrize(
    ("text", "base"),
    [("abc", 0), ("12", None), ("אב", 1), ("12 اب", 1), ("\u2067اب\u2069 a", 0), ("\u2068a", None), ("", None)],
)
def test_a_text_asks_for_its_own_direction(text: str, base: int | None) -> None:
    assert first_strong(text) == base


def test_what_would_turn_other_text_turns_nothing() -> None:
    assert shown("a\u202ebc\u202c d", 0) == "a\u202ebc\u202c d"
