"""CQL2 filters: parsed and checked once, then asked which rows of a version match.

``text → tree → checked terms → rows``: :mod:`~gisservice.query.filter_text` and
:mod:`~gisservice.query.filter_json` read the two encodings into one kind of tree,
:mod:`~gisservice.query.filter_check` checks it against the layer's columns, and
:mod:`~gisservice.query.filter_evaluate` evaluates it over all records at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from gisservice.catalog import Features
from gisservice.crs import CRS, CRS84
from gisservice.errors import InvalidParameter, ReprojectionError
from gisservice.model import Column
from gisservice.query.filter_check import Checker
from gisservice.query.filter_evaluate import matching
from gisservice.query.filter_json import read_json
from gisservice.query.filter_limits import Refusal
from gisservice.query.filter_shapes import ShapeReader
from gisservice.query.filter_terms import Predicate
from gisservice.query.filter_text import read_text

Rows = npt.NDArray[np.int64]

LANGUAGES = {"cql2-text": read_text, "cql2-json": read_json}
"""The encodings by the names that ``filter-lang`` has for them, and their readers."""


@dataclass(frozen=True)
class Filter:
    """A checked filter; equal to another that means the same in the same words."""

    term: Predicate

    @cached_property
    def text(self) -> str:
        """The filter in canonical CQL2 text, coordinates in CRS84: for cache keys and links.

        It is the same for both encodings and parses back to an equal filter.
        """
        return str(self.term)

    def among(self, features: Features, rows: Rows) -> Rows:
        """Return those of ``rows`` (int64, ascending) whose item matches: the filter is true, not unknown."""
        return matching(self.term, features, None if len(rows) == features.count else rows)

    def rows(self, features: Features) -> Rows:
        """Return all rows whose item matches, ascending."""
        return matching(self.term, features, None)


def parse_filter(text: str, lang: str, columns: Sequence[Column], filter_crs: CRS = CRS84) -> Filter:
    """Return the filter that a text states, checked against a layer's columns.

    ``lang`` is ``cql2-text`` or ``cql2-json`` (OGC 21-065r2). Properties are the columns by their names, and
    ``geometry``. Positions are in ``filter_crs``, in the order of its authority (OGC 19-079r2, ``filter-crs``).
    Raises :class:`InvalidParameter` for what cannot be used, with the place or the property and what is expected,
    and :class:`LimitExceeded` for what is too large.

    >>> from gisservice.model import ColumnType
    >>> parse_filter("land_area*2>1e4", "cql2-text", [Column("land_area", ColumnType.NUMBER)]).text
    'land_area * 2 > 10000'
    """
    if lang not in LANGUAGES:
        raise InvalidParameter("filter-lang", lang, " or ".join(repr(name) for name in LANGUAGES))
    try:
        return Filter(Checker(columns, ShapeReader(filter_crs)).predicate(LANGUAGES[lang](text)))
    except Refusal as refusal:
        raise InvalidParameter("filter", text, refusal.expected) from refusal
    except ReprojectionError as exc:
        raise InvalidParameter("filter-crs", filter_crs.name, f"a system with a known way to CRS84 ({exc})") from exc
