"""Where high or low values gather more than chance would have it: Getis-Ord Gi* with its significance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import shapely

from gisservice.analysis.answers import state
from gisservice.analysis.planar import Plane, columns, distance, plane
from gisservice.analysis.proximity import PAIRS_MAX
from gisservice.errors import InvalidParameter, LimitExceeded

if TYPE_CHECKING:
    import geopandas

_LEVELS = ((0.01, "99 %"), (0.05, "95 %"), (0.10, "90 %"))


def hotspots(
    features: geopandas.GeoDataFrame,
    *,
    column: str,
    distance_ft: float | None = None,
    distance_m: float | None = None,
) -> geopandas.GeoDataFrame:
    """Return where the values of a column gather: the Gi* statistic of Getis and Ord of each feature.

    Neighbours are all features whose point (of areas and lines one that lies on them) is within the distance
    (US survey feet or metres), the feature itself among them. Adds ``neighbours``, ``z`` (Ord and Getis 1995,
    equation 14 with binary weights), ``p`` (two-sided, normal), ``p_fdr`` (adjusted for asking so often: Benjamini and
    Hochberg 1995) and ``spot``: ``hot 99 %``, ``hot 95 %``, ``hot 90 %``, ``cold …`` by ``p_fdr``, or
    ``not significant``. A feature without value or geometry has none of them, and where all values are alike, or all
    features are neighbours, nothing is significant. Raises :class:`InvalidParameter` for fewer than two values.

    >>> hotspots(aggregate(crashes, grid="hexagon", cell_ft=500), column="count", distance_ft=1500)  # doctest: +SKIP
    """
    columns(features, [column], "column", numbers=True)
    measuring = plane(features, "features")
    reach, _, _ = distance(distance_ft, distance_m, measuring)
    values = features[column].to_numpy(float, na_value=np.nan)
    there = measuring.there[np.isfinite(values[measuring.there])]
    if len(there) < 2:
        raise InvalidParameter("features", f"{len(there)} values of {column!r}", "at least two, each with a geometry")
    near, z = _statistic(measuring, there, values[there], reach)
    p = _two_sided(z)
    adjusted = adjusted_p(p)
    found = features.copy()
    for name, part in (("neighbours", near), ("z", z), ("p", p), ("p_fdr", adjusted)):
        found[name] = _spread(part, there, len(features))
    found["spot"] = _spread(_spots(z, adjusted), there, len(features), missing=None)
    words = f"{distance_ft:,g} US survey feet" if distance_ft is not None else f"{distance_m:,g} metres"
    method = (
        f"Getis-Ord Gi* of {column} with binary weights within {words} in the plane of {measuring.name}; "
        "false discovery rate after Benjamini and Hochberg."
    )
    return state(found, method=method, units={"z": "standard deviations", "p": "probability"}, sources=(features,))


def _statistic(
    measuring: Plane, there: npt.NDArray[np.int64], values: npt.NDArray[np.float64], reach: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return how many neighbours each has, and Gi*; 0 where it has no spread."""
    from scipy.spatial import cKDTree

    count = len(values)
    points = shapely.get_coordinates(shapely.point_on_surface(measuring.shapes[there]))
    tree = cKDTree(points)
    closed = reach * (1 + 1e-12)
    near = tree.query_ball_point(points, closed, return_length=True).astype(np.int64)
    if int(near.sum()) > PAIRS_MAX:
        raise LimitExceeded("The number of pairs of neighbours", int(near.sum()), PAIRS_MAX, "pairs")
    pairs = tree.query_pairs(closed, output_type="ndarray")
    total = values.copy()
    np.add.at(total, pairs[:, 0], values[pairs[:, 1]])
    np.add.at(total, pairs[:, 1], values[pairs[:, 0]])
    spread = values.std() * np.sqrt((count * near - near.astype(float) ** 2) / (count - 1))
    known = spread > 1e-12 * max(1.0, float(abs(values).max()))
    return near, np.divide(total - values.mean() * near, spread, out=np.zeros(count), where=known)


def _two_sided(z: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    from scipy.special import ndtr

    p: npt.NDArray[np.float64] = 2 * ndtr(-abs(z))
    return p


def adjusted_p(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return p-values adjusted for the false discovery rate (Benjamini and Hochberg 1995, step-up).

    >>> adjusted_p(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.04, 0.04]
    """
    order = np.argsort(-p, kind="stable")
    count = len(p)
    stepped = np.minimum.accumulate(p[order] * count / np.arange(count, 0, -1))
    found = np.empty(count)
    found[order] = np.minimum(stepped, 1.0)
    return found


def _spots(z: npt.NDArray[np.float64], p: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    found = np.full(len(z), "not significant", dtype=object)
    for level, words in reversed(_LEVELS):
        found[(p <= level) & (z > 0)] = f"hot {words}"
        found[(p <= level) & (z < 0)] = f"cold {words}"
    return found


def _spread(part: npt.NDArray[Any], rows: npt.NDArray[np.int64], count: int, missing: Any = np.nan) -> npt.NDArray[Any]:
    """Return values of some rows as a column of all; without a gap whole numbers stay whole."""
    if len(rows) == count:
        return part
    whole = np.full(count, missing, dtype=object if part.dtype == object else float)
    whole[rows] = part
    return whole
