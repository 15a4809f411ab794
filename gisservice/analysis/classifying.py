"""Classes of a column's values for a legend."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gisservice.analysis.answers import state
from gisservice.errors import InvalidParameter

if TYPE_CHECKING:
    import pandas

METHODS = ("quantiles", "equal interval", "natural breaks")

CLASSES_MAX = 12
"""More colours of one legend are not told apart."""

_DISTINCT_MAX = 4096
"""Distinct values that natural breaks are found among; of more, so many quantiles stand for all."""


def classify(frame: pandas.DataFrame, *, column: str, method: str = "quantiles", classes: int = 5) -> pandas.DataFrame:
    """Return a frame with the class of each value: ``class`` (from 0), ``class_low``, ``class_high``, ``class_label``.

    ``quantiles`` (as many features in each), ``equal interval``, or ``natural breaks`` (least squares within classes,
    Fisher 1958). Intervals are open below and closed above, the first closed on both sides. Where the values
    are too few for so many classes there are fewer. A missing value has no class. The breaks are in
    ``attrs["breaks"]``: the lowest value, then the upper end of each class.

    >>> classify(plans, column="mean_value", method="natural breaks").class_label           # doctest: +SKIP
    """
    from gisservice.analysis.planar import columns

    if method not in METHODS:
        raise InvalidParameter("method", str(method), f"one of {', '.join(METHODS)}")
    if isinstance(classes, bool) or not isinstance(classes, int) or not 2 <= classes <= CLASSES_MAX:
        raise InvalidParameter("classes", str(classes), f"a whole number from 2 to {CLASSES_MAX}")
    columns(frame, [column], "column", numbers=True)
    values = frame[column].to_numpy(float, na_value=np.nan)
    known = np.isfinite(values)
    breaks = _breaks(values[known], method, classes)
    found = frame.copy()
    place = np.full(len(values), -1)
    place[known] = np.searchsorted(breaks[1:], values[known]).clip(max=max(len(breaks) - 2, 0))
    _describe(found, place, breaks)
    how = f"Classes of {column} by {method}."
    if method == "natural breaks" and len(np.unique(values[known])) > _DISTINCT_MAX:
        how += f" Breaks were found among {_DISTINCT_MAX:,} quantiles of the values."
    state(found, method=how, units={"class": "number of the class, from 0"}, sources=(frame,))
    found.attrs["breaks"] = [float(value) for value in breaks]
    return found


def _describe(found: pandas.DataFrame, place: npt.NDArray[np.int64], breaks: npt.NDArray[np.float64]) -> None:
    import pandas

    low, high = np.append(breaks[:-1], np.nan), np.append(breaks[1:], np.nan)
    labels = [f"{a:,.6g} – {b:,.6g}" for a, b in pairwise(breaks.tolist())]
    found["class"] = pandas.array([None if at < 0 else int(at) for at in place.tolist()], dtype="Int64")
    found["class_low"], found["class_high"] = low[place], high[place]
    found["class_label"] = pandas.array([None if at < 0 else labels[at] for at in place.tolist()], dtype="str")


def _breaks(values: npt.NDArray[np.float64], method: str, classes: int) -> npt.NDArray[np.float64]:
    """Return the lowest value and the upper end of each class; what would be an empty class is left out."""
    if not len(values):
        return np.empty(0)
    distinct = np.unique(values)
    if len(distinct) == 1:
        return np.array([distinct[0], distinct[0]])
    upper = _upper(values, distinct, method, min(classes, len(distinct)))
    return np.concatenate([distinct[:1], np.unique(upper)])


def _upper(
    values: npt.NDArray[np.float64], distinct: npt.NDArray[np.float64], method: str, classes: int
) -> npt.NDArray[np.float64]:
    import mapclassify

    if method == "natural breaks":
        return natural_breaks(values, classes)
    kind: Any = mapclassify.Quantiles if method == "quantiles" else mapclassify.EqualInterval
    with warnings.catch_warnings():  # where one value is that of most, there are fewer classes, as is promised
        warnings.filterwarnings("ignore", message="Not enough unique values", category=UserWarning)
        bins = np.asarray(kind(values, k=classes).bins, dtype=float)
    bins[-1] = distinct[-1]
    return bins


def natural_breaks(values: npt.NDArray[np.float64], classes: int) -> npt.NDArray[np.float64]:
    """Return the upper ends of the classes with the least squared differences from their means, exactly.

    Dynamic programming over the distinct values (Fisher 1958, "On grouping for maximum homogeneity"); since the best
    beginning of a last class never moves back as values are added, each step halves the beginnings that are tried.
    More than 4,096 distinct values are stood for by as many quantiles.

    >>> natural_breaks(np.array([1.0, 2, 3, 10, 11, 12, 50]), 3).tolist()
    [3.0, 12.0, 50.0]
    """
    distinct, weights = np.unique(values, return_counts=True)
    if len(distinct) > _DISTINCT_MAX:
        picked = np.quantile(values, np.linspace(0, 1, _DISTINCT_MAX), method="closest_observation")
        distinct, weights = np.unique(picked, return_counts=True)
    # About the mean, or the sums of squares would drown the differences of large, near values.
    centred = distinct - np.average(distinct, weights=weights)
    sums = [np.concatenate([[0.0], np.cumsum(weights * centred**power)]) for power in range(3)]

    def cost(first: Any, last: int) -> Any:
        """Squared differences from the mean of the values ``first`` to ``last``, inclusive."""
        count, total, squares = (one[last + 1] - one[first] for one in sums)
        return squares - total * total / count

    count = len(distinct)
    best = np.array([float(cost(0, last)) for last in range(count)])
    begins = [np.zeros(count, dtype=np.int64)]
    for used in range(1, classes):
        best, begin = _one_more(best, cost, used, count)
        begins.append(begin)
    ends, last = [], count - 1
    for begin in reversed(begins):
        ends.append(distinct[last])
        last = int(begin[last]) - 1
    return np.array(ends[::-1])


def _one_more(best: npt.NDArray[np.float64], cost: Any, used: int, count: int) -> tuple[Any, Any]:
    """Return the least cost with one class more for each last value, and where that class begins."""
    found, begin = np.full(count, np.inf), np.full(count, used, dtype=np.int64)
    spans = [(used, count - 1, used, count - 1)]
    while spans:
        low, high, first, last = spans.pop()
        if low > high:
            continue
        middle = (low + high) // 2
        tried = np.arange(max(first, used), min(last, middle) + 1)
        costs = best[tried - 1] + cost(tried, middle)
        at = int(np.argmin(costs))
        found[middle], begin[middle] = costs[at], tried[at]
        spans += [(low, middle - 1, first, int(tried[at])), (middle + 1, high, int(tried[at]), last)]
    return found, begin
