"""How an address may go on while it is typed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import OSA

from gisservice.analysis.addresses import check_text, split_head
from gisservice.analysis.gazetteer import Gazetteer
from gisservice.analysis.geocoding import check_limit
from gisservice.analysis.streetwords import canonical, clean

if TYPE_CHECKING:
    import pandas


def suggest(gazetteer: Gazetteer, text: str, *, limit: int = 8) -> pandas.DataFrame:
    """Return how an address may go on while it is typed: ``text`` and ``kind`` (``address`` or ``street``).

    >>> list(suggest(gazetteer, "301 ki").text)                                 # doctest: +SKIP
    ['301 King St']
    """
    import pandas

    return pandas.DataFrame(suggestions(gazetteer, text, limit=limit), columns=["text", "kind"])


def suggestions(gazetteer: Gazetteer, text: str, *, limit: int = 8) -> list[dict[str, str]]:
    """Return what :func:`suggest` returns, as plain values.

    Streets that begin with what was typed come first (those with the number, if one was typed), then streets that
    begin so but for one mistake.
    """
    check_limit(limit)
    check_text(text)
    words = clean(text).replace(",", " ").replace("-", " ").split()
    _, number, suffix, words = split_head(words)
    if not words:
        return []
    typed = " ".join(words)
    streets = _beginning(gazetteer, [typed, " ".join(canonical(words))]) or _almost_beginning(gazetteer, typed)
    if number < 0:
        return [{"text": gazetteer.streets[street].label, "kind": "street"} for street in streets[:limit]]
    found: list[dict[str, str]] = []
    for street in streets:
        found += _numbers_like(gazetteer, street, str(number), suffix, limit - len(found))
        if len(found) >= limit:
            break
    return found


def _beginning(gazetteer: Gazetteer, typed: Iterable[str]) -> list[int]:
    found: dict[int, None] = {}
    for text in typed:
        for place in gazetteer.forms_beginning(text):
            found.update(dict.fromkeys(form.street for form in gazetteer.by_form[place]))
    return _busiest(gazetteer, found)


def _almost_beginning(gazetteer: Gazetteer, typed: str) -> list[int]:
    if len(typed) < 4:
        return []
    low, _ = gazetteer.forms_of_length(len(typed) - 1, len(typed))
    near: set[int] = set()
    for length in (len(typed) - 1, len(typed), len(typed) + 1):  # a letter too many, another one, one too few
        begun = [form[:length] for form in gazetteer.forms[low:]]
        edits = process.cdist([typed], begun, scorer=OSA.distance, score_cutoff=1, dtype=np.uint8)[0]
        near.update(np.flatnonzero(edits <= 1).tolist())
    return _busiest(gazetteer, {form.street: None for at in sorted(near) for form in gazetteer.form_streets[low + at]})


def _busiest(gazetteer: Gazetteer, streets: Iterable[int]) -> list[int]:
    """Return streets, those with most addresses first."""
    starts = gazetteer.starts
    return sorted(
        streets, key=lambda street: (int(starts[street] - starts[street + 1]), gazetteer.streets[street].label)
    )


def _numbers_like(gazetteer: Gazetteer, street: int, digits: str, suffix: str, limit: int) -> list[dict[str, str]]:
    """Return the addresses of a street whose number is, then begins with, what was typed."""
    span = gazetteer.on_street(street)
    numbers = gazetteer.numbers[span]
    places: list[int] = []
    low, high = int(digits), int(digits) + 1
    while low <= 999_999 and len(places) < 4 * limit:
        first, last = numbers.searchsorted([low, high]).tolist()
        places += range(span.start + first, span.start + min(last, first + 4 * limit))
        low, high = low * 10, high * 10
    labels: dict[str, None] = {}
    for place in places:
        written = gazetteer.suffix_texts[gazetteer.suffixes[place]]
        if written.startswith(suffix):
            labels[f"{gazetteer.head(place)} {gazetteer.streets[street].label}"] = None
    return [{"text": label, "kind": "address"} for label in list(labels)[:limit]]
