"""Counts and statistics of groups: by columns, by cells of a grid of hexagons or squares, or both."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import shapely

from gisservice.analysis.answers import state
from gisservice.analysis.overlaying import back
from gisservice.analysis.planar import Plane, columns, distance, plane
from gisservice.errors import InvalidParameter, LimitExceeded

if TYPE_CHECKING:
    import geopandas
    import pandas

GRIDS = ("hexagon", "square")

CELLS_MAX = 1_000_000
"""The most cells that an answer has."""

_HAVING = re.compile(r" *([A-Za-z_][A-Za-z0-9_]*) *(>=|<=|<>|=|>|<) *(-?[0-9]+(?:\.[0-9]+)?) *")
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "=": operator.eq, "<>": operator.ne,
}  # fmt: skip


def aggregate(
    features: geopandas.GeoDataFrame,
    *,
    by: str | Sequence[str] = (),
    grid: str | None = None,
    cell_ft: float | None = None,
    cell_m: float | None = None,
    sums: Sequence[str] = (),
    means: Sequence[str] = (),
    percentiles: Mapping[str, Sequence[float]] | None = None,
    having: str | None = None,
) -> pandas.DataFrame:
    """Return how many features each group has, and statistics of their columns.

    Groups are the values of ``by``, the cells of a ``grid`` (``hexagon`` or ``square``, their width from side to side
    ``cell_ft`` in US survey feet or ``cell_m``), or both together; none makes one group of all. Columns: those of
    ``by``, ``cell``, ``count``, ``sum_<column>``, ``mean_<column>`` and ``p<percentile>_<column>``
    (linear between values; ``{"price": [50, 90]}``). Missing values are in no statistic; a group without a value has
    a sum of 0 and no mean. ``having`` keeps groups: comparisons of these columns with numbers, joined by ``and``:
    ``"count >= 5 and mean_price < 500000"``. Groups are in order of their values.

    With a grid the answer has the cells' polygons in the features' reference system; a feature counts in the cell
    that a point on it lies in, and cells begin at the origin of the system, so that two layers share them.

    >>> aggregate(parcels, by="zoning", sums=["total_value"], having="count >= 5")        # doctest: +SKIP
    >>> aggregate(trees, grid="hexagon", cell_ft=500, means=["diameter"])                 # doctest: +SKIP
    """
    names = [by] if isinstance(by, str) else list(by)
    columns(features, names, "by", numbers=False)
    wanted = {"sums": list(sums), "means": list(means), "percentiles": list(percentiles or {})}
    for what, asked in wanted.items():
        columns(features, asked, what, numbers=True)
    keys, cells = _keys(features, names, grid, cell_ft, cell_m)
    group, first, count = _groups(keys, len(features))
    figures: dict[str, Any] = {"count": np.bincount(group[group >= 0], minlength=count)}
    summed = {name: _sums(features, name, group, count) for name in dict.fromkeys((*sums, *means))}
    figures |= {f"sum_{name}": summed[name][0] for name in sums}
    for name in means:
        total, there = summed[name]
        figures[f"mean_{name}"] = np.divide(total, there, out=np.full(count, np.nan), where=there > 0)
    for name, shares in (percentiles or {}).items():
        for percent, values in zip(shares, _percentiles(features, name, shares, group, count), strict=True):
            figures[f"p{percent:g}_{name}"] = values
    found: pandas.DataFrame = _kept(_table(keys, first, figures), having)
    units = {"count": "features"} | ({"cell": "column and row of the grid"} if grid else {})
    method = _method(names, grid, cell_ft, cell_m, having)
    return state(cells(found) if cells else found, method=method, units=units, sources=(features,))


def _method(names: list[str], grid: str | None, cell_ft: float | None, cell_m: float | None, having: str | None) -> str:
    width = f"{cell_ft:,g} US survey feet" if cell_ft is not None else f"{cell_m or 0:,g} metres"
    parts = [*names, *([f"{grid}s of {width} from side to side"] if grid else [])]
    kept = f"; groups with {having}" if having else ""
    return f"Grouped by {', '.join(parts)}{kept}." if parts else f"All features in one group{kept}."


def _keys(
    features: geopandas.GeoDataFrame, names: list[str], grid: str | None, cell_ft: float | None, cell_m: float | None
) -> tuple[dict[str, Any], Callable[[Any], Any] | None]:
    """Return the arrays that make the groups, and with a grid what turns groups into a frame of its cells."""
    import pandas

    keys: dict[str, Any] = {name: features[name].array for name in names}
    if grid is None:
        if cell_ft is not None or cell_m is not None:
            raise InvalidParameter("grid", "none", "one of hexagon, square, for cells of a width")
        return keys, None
    if grid not in GRIDS:
        raise InvalidParameter("grid", str(grid), f"one of {', '.join(GRIDS)}")
    measuring = plane(features, "features")
    width, _, _ = distance(cell_ft, cell_m, measuring, least=1.0)
    cell = _cells(measuring, grid, width)
    keys["cell"] = pandas.array([None if text == "" else text for text in cell], dtype="str")

    def with_cells(found: Any) -> Any:
        import geopandas

        shapes = _polygons(grid, width, found["cell"].tolist())
        return geopandas.GeoDataFrame(found, geometry=back(shapes, measuring, features), crs=features.crs)

    return keys, with_cells


def _groups(keys: dict[str, Any], rows: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int]:
    """Return the group of each row (-1 for one in no cell), the first row of each group and how many there are."""
    if not keys:
        return np.zeros(rows, np.int64), np.zeros(min(rows, 1), np.int64), min(rows, 1)
    group = _numbered(keys)
    if "cell" in keys and (nowhere := keys["cell"].isna()).any():
        group[nowhere] = -1
        group[~nowhere] = np.unique(group[~nowhere], return_inverse=True)[1]
    count = int(group.max(initial=-1)) + 1
    if count > CELLS_MAX:
        raise LimitExceeded("The number of groups", count, CELLS_MAX, "groups")
    first = np.full(count + 1, rows, dtype=np.int64)  # one more for what is in no cell
    first[group[::-1]] = np.arange(rows)[::-1]  # the first row is written last
    return group, first[:count], count


def _numbered(keys: dict[str, Any]) -> npt.NDArray[np.int64]:
    """Return the number of each row's group, groups in order of their values, missing ones last."""
    import pandas

    if len(keys) > 1:
        table = pandas.DataFrame(keys)
        return np.asarray(table.groupby(list(keys), dropna=False, sort=True).ngroup(), dtype=np.int64)
    (key,) = keys.values()
    codes, values = pandas.factorize(pandas.Series(key), sort=True)  # several times faster than groups of one column
    missing = codes < 0
    return np.where(missing, len(values), codes) if missing.any() else np.asarray(codes, dtype=np.int64)


def _table(keys: dict[str, Any], first: npt.NDArray[np.int64], figures: dict[str, Any]) -> Any:
    """Return a row for each group: its values of the keys, and its figures."""
    import pandas

    return pandas.DataFrame({name: values.take(first) for name, values in keys.items()} | figures)


def _values(features: geopandas.GeoDataFrame, name: str, group: npt.NDArray[np.int64]) -> tuple[Any, Any]:
    """Return the values of a column that are there and in a group, and their groups."""
    values = features[name].to_numpy(float, na_value=np.nan)
    there = np.isfinite(values) & (group >= 0)
    return (values, group) if there.all() else (values[there], group[there])


def _sums(features: geopandas.GeoDataFrame, name: str, group: npt.NDArray[np.int64], count: int) -> tuple[Any, Any]:
    values, groups = _values(features, name, group)
    return np.bincount(groups, values, count), np.bincount(groups, minlength=count)


def _percentiles(
    features: geopandas.GeoDataFrame, name: str, asked: Sequence[float], group: npt.NDArray[np.int64], count: int
) -> list[npt.NDArray[np.float64]]:
    """Return percentiles of each group, linear between values (method 7 of Hyndman and Fan 1996)."""
    for percent in asked:
        if not (isinstance(percent, int | float) and 0 <= percent <= 100):
            raise InvalidParameter("percentiles", str(percent), "a number from 0 to 100")
    values, groups = _values(features, name, group)
    order = np.lexsort([values, groups])
    values, sizes = values[order], np.bincount(groups, minlength=count)
    starts = np.cumsum(sizes) - sizes
    found = []
    for percent in asked:
        place = (sizes - 1) * (percent / 100)
        low = np.floor(np.maximum(place, 0)).astype(np.int64)
        high = np.minimum(low + 1, np.maximum(sizes - 1, 0))
        if not len(values):
            found.append(np.full(count, np.nan))
            continue
        below, above = (
            values[np.minimum(starts + low, len(values) - 1)],
            values[np.minimum(starts + high, len(values) - 1)],
        )
        found.append(np.where(sizes > 0, below + (above - below) * (place - low), np.nan))
    return found


def _kept(found: Any, having: str | None) -> Any:
    """Return the groups that are to be kept, numbered anew."""
    if having is None:
        return found
    kept = np.ones(len(found), dtype=bool)
    known = [name for name in found.columns if found[name].dtype.kind in "iuf"]
    for part in re.split(r"(?i)\band\b", having):
        match = _HAVING.fullmatch(part)
        if match is None or match[1] not in known:
            raise InvalidParameter("having", having, f"comparisons such as 'count >= 5', of {', '.join(known)}")
        kept &= _COMPARE[match[2]](found[match[1]].to_numpy(), float(match[3]))
    return found[kept].reset_index(drop=True)


def _cells(measuring: Plane, grid: str, width: float) -> npt.NDArray[Any]:
    """Return the cell of each geometry as ``column,row``; an empty text for one that is missing."""
    there = measuring.there
    points = shapely.point_on_surface(measuring.shapes[there])
    x, y = shapely.get_x(points), shapely.get_y(points)
    column, row = _hexagons(x, y, width) if grid == "hexagon" else (np.floor(x / width), np.floor(y / width))
    cells = np.full(len(measuring.shapes), "", dtype=object)
    pairs, uses = np.unique(np.column_stack([column, row]).astype(np.int64), axis=0, return_inverse=True)
    texts = np.array([f"{c},{r}" for c, r in pairs.tolist()], dtype=object)
    cells[there] = texts[uses.reshape(-1)] if len(there) else []
    return cells


def _hexagons(x: npt.NDArray[Any], y: npt.NDArray[Any], width: float) -> tuple[Any, Any]:
    """Return the axial coordinates of the hexagons (a corner up) that points lie in, by rounding in three axes."""
    q = x / width - y / (width * np.sqrt(3))
    r = y * 2 / (width * np.sqrt(3))
    s = -q - r
    near = [np.round(axis) for axis in (q, r, s)]
    off = [abs(rounded - axis) for rounded, axis in zip(near, (q, r, s), strict=True)]
    q_worst = (off[0] > off[1]) & (off[0] > off[2])
    r_worst = ~q_worst & (off[1] > off[2])
    column = np.where(q_worst, -near[1] - near[2], near[0])
    return column, np.where(r_worst, -near[0] - near[2], near[1])


def _polygons(grid: str, width: float, cells: list[str]) -> npt.NDArray[Any]:
    """Return the polygons of cells."""
    at = np.array([cell.split(",") for cell in cells], dtype=float).reshape(len(cells), 2)
    if grid == "square":
        squares: npt.NDArray[Any] = shapely.box(*(at.T * width), *((at.T + 1) * width))
        return squares
    centre = np.column_stack([width * (at[:, 0] + at[:, 1] / 2), width * np.sqrt(3) / 2 * at[:, 1]])
    angles = np.radians(np.arange(30, 390, 60))
    corners = width / np.sqrt(3) * np.column_stack([np.cos(angles), np.sin(angles)])
    found: npt.NDArray[Any] = shapely.polygons(centre[:, None, :] + corners[None, :, :])
    return found
