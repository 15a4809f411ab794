"""The bytes in which an answer is given: those that a notebook, the HTTP service and a test compare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import shapely

from gisservice import crs
from gisservice.analysis.answers import sources_of, state
from gisservice.catalog.layout import DECIMALS, geometry_texts, properties_texts, ragged
from gisservice.errors import InvalidParameter
from gisservice.model import GeometryKind

if TYPE_CHECKING:
    import geopandas
    import pandas

_JSON = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z | orjson.OPT_SERIALIZE_NUMPY

_KINDS = {0: GeometryKind.POINT, 1: GeometryKind.LINE, 3: GeometryKind.POLYGON}
_KINDS |= {4: GeometryKind.POINT, 5: GeometryKind.LINE, 6: GeometryKind.POLYGON}


@dataclass(frozen=True)
class Answer:
    """An answer of a few rows that never was a frame, so that a server needs no pandas to give it.

    :meth:`to_geojson` gives the bytes that :func:`to_geojson` gives of :meth:`frame`.
    """

    rows: list[dict[str, Any]]
    """Properties of each row; all rows have the same keys."""
    positions: list[tuple[float, float] | None]
    """Longitude and latitude of each row in CRS84; None where it has no place."""
    method: str
    units: dict[str, str]
    sources: list[dict[str, Any]]

    def to_geojson(self) -> bytes:
        """Return the answer as GeoJSON, as :func:`to_geojson` does."""
        features = [
            b'{"type":"Feature","geometry":%b,"properties":%b}' % (_point(position), orjson.dumps(row, option=_JSON))
            for row, position in zip(self.rows, self.positions, strict=True)
        ]
        return _document(features, self.method, self.units, self.sources)

    def frame(self) -> geopandas.GeoDataFrame:
        """Return the answer as a frame of points in CRS84."""
        import geopandas
        import pandas

        names = list(self.rows[0]) if self.rows else []
        columns = {name: pandas.Series([row[name] for row in self.rows], dtype=object) for name in names}
        points = [None if position is None else shapely.Point(position) for position in self.positions]
        frame = geopandas.GeoDataFrame(columns, geometry=geopandas.GeoSeries(points, crs=crs.CRS84))
        return state(frame, method=self.method, units=self.units, sources=self.sources)


def to_geojson(frame: pandas.DataFrame) -> bytes:
    """Return a frame as GeoJSON FeatureCollection (RFC 7946) with the members ``method``, ``units`` and ``sources``.

    Positions are in CRS84 with 8 decimals (1 mm). A frame without geometry has features whose geometry is null. An
    index called ``item_id`` becomes the features' ids. NaN, infinity and missing values are null, dates ISO 8601. The
    same frame gives the same bytes. Raises :class:`InvalidParameter` for a geometry column without a CRS.

    >>> import pandas
    >>> to_geojson(state(pandas.DataFrame({"homes": [2]}), method="Counted.", units={"homes": "homes"})).decode()
    '{"type":"FeatureCollection","features":[{"type":"Feature","geometry":null,"properties":{"homes":2}}],"method":"Counted.","units":{"homes":"homes"},"sources":[]}'
    """
    answer = frame.attrs.get("answer", {"method": "", "units": {}, "sources": sources_of([frame])})
    geometries, properties, ids = _geometry_texts(frame), _properties(frame), _ids(frame)
    features = [
        b'{"type":"Feature"%b,"geometry":%b,"properties":%b}' % parts
        for parts in zip(ids, geometries, properties, strict=True)
    ]
    return _document(features, answer["method"], answer["units"], answer["sources"])


def _document(features: list[bytes], method: str, units: Mapping[str, str], sources: list[dict[str, Any]]) -> bytes:
    tail = orjson.dumps({"method": method, "units": units, "sources": sources})
    return b'{"type":"FeatureCollection","features":[%b],%b' % (b",\n".join(features), tail[1:])


def _point(position: tuple[float, float] | None) -> bytes:
    if position is None:
        return b"null"
    x, y = (round(value, DECIMALS) + 0.0 for value in position)
    return b'{"type":"Point","coordinates":%b}' % orjson.dumps([x, y])


def _ids(frame: pandas.DataFrame) -> list[bytes]:
    if frame.index.name != "item_id" or not frame.index.is_unique:
        return [b""] * len(frame)
    return [b',"id":%b' % orjson.dumps(str(item_id)) for item_id in frame.index.tolist()]


def _properties(frame: pandas.DataFrame) -> list[bytes]:
    import pandas

    shape = getattr(frame, "_geometry_column_name", None)
    plain = pandas.DataFrame(frame.drop(columns=shape) if shape in frame.columns else frame)
    if not len(plain.columns):
        return [b"{}"] * len(frame)
    if all(str(kind) == "object" for kind in plain.dtypes):  # made of plain values: they are written as they are
        return [orjson.dumps(row, option=_JSON, default=_plain) for row in plain.to_dict("records")]
    return list(properties_texts(pa.Table.from_pandas(plain, preserve_index=False)))


def _plain(value: object) -> object:
    """Turn what JSON has no word for (pandas.NA, NaT, numpy's numbers) into what it has one for."""
    if isinstance(value, np.generic):
        return value.item()
    return None if value != value or repr(value) == "<NA>" else str(value)


def _geometry_texts(frame: pandas.DataFrame) -> list[bytes]:
    shape = getattr(frame, "_geometry_column_name", None)
    if shape not in frame.columns:
        return [b"null"] * len(frame)
    lonlat = _lonlat(frame)
    texts = [b"null"] * len(lonlat)
    types = np.where(shapely.is_missing(lonlat) | shapely.is_empty(lonlat), -1, shapely.get_type_id(lonlat))
    for kind in GeometryKind.POINT, GeometryKind.LINE, GeometryKind.POLYGON:
        rows = np.flatnonzero(np.isin(types, [number for number, name in _KINDS.items() if name is kind]))
        _fill(texts, rows, _written(lonlat[rows], kind))
    rest = np.flatnonzero((types >= 0) & ~np.isin(types, list(_KINDS)))
    _fill(texts, rest, [_collection(shape) for shape in lonlat[rest]])
    return texts


def _fill(texts: list[bytes], rows: npt.NDArray[np.int64], found: Iterable[bytes]) -> None:
    for row, text in zip(rows.tolist(), found, strict=True):
        texts[row] = text


def _lonlat(frame: Any) -> npt.NDArray[Any]:
    frame = frame.geometry if hasattr(frame, "geometry") else frame
    shapes: npt.NDArray[Any] = shapely.force_2d(frame.to_numpy())
    if frame.crs is None:
        raise InvalidParameter("frame", "a frame without a reference system", "one that states it; use set_crs")
    operation = crs.reprojection(frame.crs, crs.CRS84)
    return shapes if operation.is_identity else crs.reproject(shapes, operation)


def _written(shapes: npt.NDArray[Any], kind: GeometryKind) -> list[bytes]:
    if not len(shapes):
        return []
    if kind is GeometryKind.POLYGON:
        shapes = shapely.orient_polygons(shapes, exterior_cw=False)
    return geometry_texts(ragged(shapes, kind))


def _collection(shape: Any) -> bytes:
    """Write what is of no single kind: an overlay's areas and lines together, or a bare ring."""
    members = [] if shape.geom_type == "LinearRing" else list(shapely.get_parts(shape))
    if not members:
        return _written(np.array([shapely.LineString(shape.coords)]), GeometryKind.LINE)[0]
    texts = [
        _written(np.array([member]), _KINDS[number])[0]
        if (number := int(shapely.get_type_id(member))) in _KINDS
        else _collection(member)
        for member in members
        if not member.is_empty
    ]
    return b'{"type":"GeometryCollection","geometries":[%b]}' % b",".join(texts)
