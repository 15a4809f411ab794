"""Query to page: which rows of a version match, and which of them are on this page."""

from __future__ import annotations

import numpy as np

from gisservice.catalog import Features
from gisservice.model import Page, Query


def select(features: Features, query: Query) -> Page:
    """Return the page that a query asks for, rows in stored order.

    ``query.bbox`` (CRS84) keeps the items whose geometry intersects it, decided by the geometry itself;
    ``number_matched`` counts all of them, also those on other pages. An offset beyond the last gives no rows.
    """
    if query.bbox is None:
        last = min(query.offset + query.limit, features.count)
        return Page(query, np.arange(min(query.offset, last), last, dtype=np.int64), features.count)
    runs = features.intersecting(query.bbox)
    ends = np.cumsum(runs[:, 1] - runs[:, 0])
    matched = int(ends[-1]) if len(ends) else 0
    wanted = np.arange(min(query.offset, matched), min(query.offset + query.limit, matched), dtype=np.int64)
    run = np.searchsorted(ends, wanted, side="right")
    return Page(query, runs[run, 1] - (ends[run] - wanted), matched)
