"""The order of items: by columns, then by row, so that every order is total and paging through it is stable."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gisservice.catalog import Features
from gisservice.model import SortKey
from gisservice.query.columns import NO_VALUE, ranks

Rows = npt.NDArray[np.int64]


def ordered(features: Features, rows: Rows, keys: Sequence[SortKey]) -> Rows:
    """Return rows (ascending) in the order of the keys, the first key first.

    Items without a value come last, ascending or descending; items alike in all keys stay in row order.
    """
    if not keys:
        return rows
    columns = [_places(features, key)[rows] for key in keys]
    return rows[np.lexsort(columns[::-1])]  # lexsort is stable and takes its first key last


def _places(features: Features, key: SortKey) -> npt.NDArray[np.int32]:
    found = ranks(features, key.column)
    last = np.int32(np.iinfo(np.int32).max)
    return np.where(found == NO_VALUE, last, -found if key.descending else found)
