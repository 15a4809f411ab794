"""What a version's records look like on disk: written here, read by :mod:`gisservice.catalog.features`.

``features.parquet``   GeoParquet 1.1 in the storage CRS, public columns, a bounding box for every row
``internal.parquet``   ids and internal columns, readable by the owner alone; only for layers that have such columns
``serve/features.bin`` a packed file (:mod:`gisservice.pack`) with these sections:

=================== =========== =====================================================================================
``items``           bytes       finished GeoJSON features, one a line, in row order, each followed by ``,\\n``
``item_starts``     int64 n+1   where each item begins in ``items``; it ends two bytes before the next begins
``boxes``           float64 n,4 box of each record, CRS84
``tree_1`` …        float64 m,4 levels of the packed R-tree above ``boxes``, lowest first
``record_geometry`` uint32 n    record to distinct geometry
``coordinates``     float64 c,2 positions of the distinct geometries, CRS84
``world``           uint32 c,2  the same on the world grid
``rings``           int64       positions to rings; see :class:`gisservice.model.Geometries`
``parts``           int64       rings to parts
``starts``          int64       parts to geometries
``tile_ids``        int64 n     feature ids inside tiles
``ids``             bytes       item ids in UTF-8, in row order
``id_starts``       int64 n+1   where each id begins
``id_hashes``       uint64 n    hashes of the ids, ascending
``id_rows``         uint32 n    the row of each hash
``attributes``      bytes       the public columns as an Arrow IPC file; strings are dictionary-encoded
=================== =========== =====================================================================================

Rows are in Hilbert order of the centre of their box, records on one spot in order of their ids: the files do not
depend on the order of the source, and what lies together on the map lies together on disk.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from gisservice import crs
from gisservice.catalog.index import build_levels, hilbert_keys
from gisservice.catalog.store import writing
from gisservice.errors import PublishError
from gisservice.model import Geometries, GeometryKind
from gisservice.pack import PackWriter

if TYPE_CHECKING:
    import geopandas
    import pandas

SERVE_FILE = "serve/features.bin"
PARQUET_FILE = "features.parquet"
INTERNAL_FILE = "internal.parquet"
ITEM_SEPARATOR = b",\n"

ROWS_PER_GROUP = 4096
"""Of the Parquet files: small enough that a box reads little, large enough to compress well."""

DECIMALS = 8
"""Of a degree, in items: 1.1 mm at the equator; RFC 7946, section 11.2, finds six decimals plenty."""

_TILE_ID_MAX = 2**53 - 1
_JSON_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
_POSITIONS_AT_ONCE = 1 << 17
"""Written as one text at a time, 5 MB or so."""

_ROWS_AT_ONCE = 2048
"""Made Python objects of at a time, on the way to JSON."""

_TYPES = {
    GeometryKind.POINT: ("Point", "MultiPoint"),
    GeometryKind.LINE: ("LineString", "MultiLineString"),
    GeometryKind.POLYGON: ("Polygon", "MultiPolygon"),
}
_TYPE_NAMES = {0: "Point", 1: "LineString", 3: "Polygon", 4: "MultiPoint", 5: "MultiLineString", 6: "MultiPolygon"}
_TYPE_IDS = {GeometryKind.POINT: (0, 4), GeometryKind.LINE: (1, 5), GeometryKind.POLYGON: (3, 6)}


@dataclass(frozen=True)
class Records:
    """Records ready to be published; row ``i`` of every part is record ``i``.

    ``frame`` holds the geometry in the storage CRS and the public columns in declared order, the id column among
    them. ``ids`` are the item ids, ``tile_ids`` (int64, from 0 to 2**53 - 1) their numbers inside tiles, both
    unique. ``lonlat`` are the same geometries in CRS84: none missing or empty, all of ``kind``, single or multi.
    ``internal`` holds the internal columns, or is None.
    """

    frame: geopandas.GeoDataFrame
    ids: list[str]
    tile_ids: npt.NDArray[np.int64]
    lonlat: npt.NDArray[Any]
    internal: pandas.DataFrame | None
    kind: GeometryKind


def write_features(folder: Path, records: Records) -> None:
    """Write the files of the records into the folder of a version that is being staged.

    Raises :class:`PublishError` when the disk is full or a column mixes types, ValueError when ``records`` is not
    what :class:`Records` says. Positions in items are rounded to 8 decimals of a degree, exterior rings run
    counter-clockwise (RFC 7946), a number that is not finite is null, dates are ISO 8601, times UTC with ``Z``.
    """
    _check(records)
    order = _order(records)
    table = _table(records.frame, order)
    with writing("records"):
        shapes = records.frame.geometry
        write_geoparquet(folder / PARQUET_FILE, table, shapes.name, shapes.to_numpy()[order], shapes.crs)
        if records.internal is not None and len(records.internal.columns):
            _write_internal(folder / INTERNAL_FILE, records, order)
        (folder / SERVE_FILE).parent.mkdir(exist_ok=True)
        _write_serve(folder / SERVE_FILE, records, order, table)


def _check(records: Records) -> None:
    count = len(records.ids)
    lengths = {len(records.frame), count, len(records.tile_ids), len(records.lonlat)}
    if records.internal is not None:
        lengths.add(len(records.internal))
    if len(lengths) != 1:
        raise ValueError(f"the parts of the records differ in length: {sorted(lengths)}")
    if len(set(records.ids)) != count or len(np.unique(records.tile_ids)) != count:
        raise ValueError("ids and tile ids must be unique")
    if count and not 0 <= records.tile_ids.min() <= records.tile_ids.max() <= _TILE_ID_MAX:
        raise ValueError(f"tile ids must lie between 0 and {_TILE_ID_MAX}")
    types = shapely.get_type_id(records.lonlat)
    finite = np.isfinite(shapely.bounds(records.lonlat)).reshape(count, 4).all(axis=1)  # not finite: empty, too
    wrong = ~np.isin(types, _TYPE_IDS[records.kind]) | ~finite
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"record {records.ids[first]!r} has no finite geometry of kind {records.kind}")


def _order(records: Records) -> npt.NDArray[np.int64]:
    if not records.ids:
        return np.empty(0, dtype=np.int64)
    bounds = shapely.bounds(records.lonlat)
    centres = (bounds[:, :2] + bounds[:, 2:]) / 2
    by_id = np.empty(len(records.ids), dtype=np.int64)
    by_id[sorted(range(len(records.ids)), key=records.ids.__getitem__)] = np.arange(len(records.ids))
    return np.lexsort([by_id, hilbert_keys(crs.world_positions(centres))]).astype(np.int64)


def _table(frame: geopandas.GeoDataFrame, order: npt.NDArray[np.int64]) -> pa.Table:
    """Return the public columns without the geometry, in stored order."""
    import pandas  # here, not above: a server reads what this module lays out, and writes none of it

    plain = pandas.DataFrame(frame.drop(columns=frame.geometry.name))
    return _arrow(plain.iloc[order])


def _arrow(frame: pandas.DataFrame) -> pa.Table:
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as exc:
        told = "; ".join(str(part) for part in exc.args)  # names the column
        raise PublishError(f"A column holds values of more than one type: {told}.", source="records") from exc


def write_geoparquet(path: Path, table: pa.Table, geometry: str, shapes: npt.NDArray[Any], system: crs.CRS) -> None:
    """Write GeoParquet 1.1: a table, and the shape of each row (in ``system``, x before y) in a column ``geometry``.

    It has a covering: the box of each row as a struct column, named in the metadata.
    """
    bounds = shapely.bounds(shapes) if len(shapes) else np.empty((0, 4))
    taken = {*table.column_names, geometry}
    covering = next(name for name in ("bbox", "geometry_bbox", "_geometry_bbox") if name not in taken)
    corners = ("xmin", "ymin", "xmax", "ymax")
    wkb = pa.array(shapely.to_wkb(shapes), type=pa.binary())
    boxes = pa.StructArray.from_arrays([pa.array(bounds[:, i]) for i in range(4)], names=corners)
    geo = {
        "version": "1.1.0",
        "primary_column": geometry,
        "columns": {
            geometry: {
                "encoding": "WKB",
                "geometry_types": sorted({_TYPE_NAMES[number] for number in shapely.get_type_id(shapes).tolist()}),
                "crs": system.to_json_dict(),
                "covering": {"bbox": {corner: [covering, corner] for corner in corners}},
                **({"bbox": [*bounds.min(axis=0)[:2], *bounds.max(axis=0)[2:]]} if len(bounds) else {}),
            }
        },
    }
    complete = table.append_column(geometry, wkb).append_column(covering, boxes)
    metadata = {**(table.schema.metadata or {}), b"geo": json.dumps(geo).encode()}
    pq.write_table(complete.replace_schema_metadata(metadata), path, compression="zstd", row_group_size=ROWS_PER_GROUP)


def _write_internal(path: Path, records: Records, order: npt.NDArray[np.int64]) -> None:
    assert records.internal is not None
    table = _arrow(records.internal.iloc[order])
    table = table.add_column(0, "item_id", pa.array([records.ids[row] for row in order], type=pa.string()))
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)  # readable by its owner from the start
    with os.fdopen(descriptor, "wb") as file:
        pq.write_table(table, file, compression="zstd", row_group_size=ROWS_PER_GROUP)


def _write_serve(path: Path, records: Records, order: npt.NDArray[np.int64], table: pa.Table) -> None:
    ids = [records.ids[row] for row in order]
    distinct, record_geometry = _distinct(records.lonlat[order], records.kind)
    geometries = ragged(distinct, records.kind)
    bounds = shapely.bounds(distinct) if len(distinct) else np.empty((0, 4))
    boxes = bounds[record_geometry]
    with PackWriter(path, {"count": len(ids), "kind": str(records.kind)}) as pack:
        starts = _write_items(pack, ids, geometry_texts(geometries), record_geometry, table)
        pack.array("item_starts", starts)
        pack.array("boxes", boxes)
        for height, level in enumerate(build_levels(boxes), start=1):
            pack.array(f"tree_{height}", level)
        pack.array("record_geometry", record_geometry)
        pack.array("coordinates", geometries.coordinates)
        pack.array("world", crs.world_positions(geometries.coordinates))
        for name in ("rings", "parts", "starts"):
            pack.array(name, getattr(geometries, name))
        pack.array("tile_ids", np.asarray(records.tile_ids, dtype=np.int64)[order])
        _write_ids(pack, ids)
        pack.chunks("attributes", [_arrow_file(table)])


def _distinct(lonlat: npt.NDArray[Any], kind: GeometryKind) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint32]]:
    """Return the distinct geometries, by their bytes, in order of first use, and the one of each record."""
    flat = shapely.force_2d(lonlat)
    if kind is GeometryKind.POLYGON:
        flat = shapely.orient_polygons(flat, exterior_cw=False)
    texts = shapely.to_wkb(flat, byte_order=1)
    first: dict[bytes, int] = {}
    uses = np.fromiter((first.setdefault(text, len(first)) for text in texts), dtype=np.uint32, count=len(texts))
    where = np.full(len(first), len(texts), dtype=np.int64)
    np.minimum.at(where, uses, np.arange(len(texts)))
    return flat[where], uses


def ragged(distinct: npt.NDArray[Any], kind: GeometryKind) -> Geometries:
    """Return shapely geometries of one kind, single or multi, as flat arrays."""
    pieces, owners = shapely.get_parts(distinct, return_index=True)
    starts = np.searchsorted(owners, np.arange(len(distinct) + 1)).astype(np.int64)
    if not len(distinct):
        zero = np.zeros(1, dtype=np.int64)
        return Geometries(kind, np.empty((0, 2)), zero, zero, zero)
    _, coordinates, offsets = shapely.to_ragged_array(pieces, include_z=False)
    if kind is GeometryKind.POLYGON:
        rings, parts = offsets
    elif kind is GeometryKind.LINE:
        rings, parts = offsets[0], np.arange(len(pieces) + 1)
    else:
        rings = parts = np.arange(len(pieces) + 1)
    return Geometries(kind, coordinates, rings.astype(np.int64), parts.astype(np.int64), starts)


def geometry_texts(geometries: Geometries, decimals: int = DECIMALS) -> list[bytes]:
    """Return each geometry as GeoJSON, its positions rounded to so many decimals; one part alone is no multi."""
    texts: list[bytes] = []
    edges = geometries.rings[geometries.parts[geometries.starts]]
    first = 0
    while first < len(geometries):
        last = max(first + 1, int(np.searchsorted(edges, edges[first] + _POSITIONS_AT_ONCE, side="right")) - 1)
        texts += _some_geometry_texts(geometries, first, last, decimals)
        first = last
    return texts


def _some_geometry_texts(geometries: Geometries, first: int, last: int, decimals: int) -> list[bytes]:
    """Write all positions as one text, and cut it where rings end: fifty times fewer calls than ring by ring."""
    parts, starts = geometries.parts.tolist(), geometries.starts.tolist()
    ring_texts = _ring_texts(geometries, parts[starts[first]], parts[starts[last]], decimals)
    offset = parts[starts[first]]
    single, multi = (kind.encode() for kind in _TYPES[geometries.kind])

    def part(index: int) -> bytes:
        texts = ring_texts[parts[index] - offset : parts[index + 1] - offset]
        if geometries.kind is GeometryKind.POLYGON:
            return b"[[%b]]" % b"],[".join(texts)
        return b"[%b]" % texts[0] if geometries.kind is GeometryKind.LINE else texts[0]

    found: list[bytes] = []
    for begin, end in pairwise(starts[first : last + 1]):
        if end - begin == 1:
            found.append(b'{"type":"%b","coordinates":%b}' % (single, part(begin)))
        else:
            members = b",".join([part(index) for index in range(begin, end)])
            found.append(b'{"type":"%b","coordinates":[%b]}' % (multi, members))
    return found


def _ring_texts(geometries: Geometries, first: int, last: int, decimals: int) -> list[bytes]:
    """Return the positions of each ring, ``[x,y],[x,y]``, without brackets around them."""
    rings = geometries.rings[first : last + 1]
    positions = geometries.coordinates[rings[0] : rings[-1]]
    rounded = np.round(positions, decimals) + 0.0  # minus zero would be printed as -0.0
    text = orjson.dumps(np.ascontiguousarray(rounded), option=_JSON_OPTIONS)
    closings = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == ord("]"))
    ends = np.concatenate([[0], closings[:-1] + 1])  # one past each position; each begins one further, past [ or ,
    cuts = ends[rings - rings[0]].tolist()
    return [text[begin + 1 : end] for begin, end in pairwise(cuts)]


def _write_items(
    pack: PackWriter, ids: list[str], texts: list[bytes], record_geometry: npt.NDArray[np.uint32], table: pa.Table
) -> npt.NDArray[np.int64]:
    """Write the finished items one by one, and return where each begins."""
    starts = [0]

    def items() -> Iterator[bytes]:
        for item_id, geometry, properties in zip(ids, record_geometry.tolist(), properties_texts(table), strict=True):
            item = b'{"type":"Feature","id":%b,"geometry":%b,"properties":%b}%b' % (
                orjson.dumps(item_id),
                texts[geometry],
                properties,
                ITEM_SEPARATOR,
            )
            starts.append(starts[-1] + len(item))
            yield item

    pack.chunks("items", items())
    return np.array(starts, dtype=np.int64)


def properties_texts(table: pa.Table) -> Iterator[bytes]:
    """Yield the ``properties`` of each row as JSON: no NaN, dates in ISO 8601, times in UTC with ``Z``."""
    names = table.column_names
    for first in range(0, table.num_rows, _ROWS_AT_ONCE):
        columns = [_values(column) for column in table.slice(first, _ROWS_AT_ONCE).columns]
        for values in zip(*columns, strict=True):
            yield orjson.dumps(dict(zip(names, values, strict=True)), option=_JSON_OPTIONS)


def _values(column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_timestamp(column.type):  # nanoseconds would come as pandas objects
        column = column.cast(pa.timestamp("us", "UTC" if column.type.tz else None), safe=False)
    values: list[Any] = column.to_pylist()
    return values


def _write_ids(pack: PackWriter, ids: list[str]) -> None:
    encoded = [item_id.encode() for item_id in ids]
    starts = np.zeros(len(encoded) + 1, dtype=np.int64)
    np.cumsum([len(text) for text in encoded], out=starts[1:])
    hashes = np.fromiter((id_hash(text) for text in encoded), dtype=np.uint64, count=len(encoded))
    rows = np.argsort(hashes, kind="stable")
    pack.chunks("ids", encoded)
    pack.array("id_starts", starts)
    pack.array("id_hashes", hashes[rows])
    pack.array("id_rows", rows.astype(np.uint32))


def id_hash(encoded: bytes) -> int:
    """Return the 64-bit hash under which an item id is looked up. Equal hashes are told apart by the ids."""
    return int.from_bytes(blake2b(encoded, digest_size=8).digest(), "little")


def _arrow_file(table: pa.Table) -> bytes:
    columns = [_dictionary(column) for column in table.columns]
    encoded = pa.table(columns, names=table.column_names) if columns else pa.table({})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, encoded.schema) as writer:
        writer.write_table(encoded)
    file: bytes = sink.getvalue().to_pybytes()
    return file


def _dictionary(column: pa.ChunkedArray) -> pa.Array:
    joined = column.combine_chunks()
    if isinstance(joined, pa.ChunkedArray):
        joined = pa.concat_arrays(joined.chunks)
    if pa.types.is_large_string(joined.type) or pa.types.is_string(joined.type):
        return joined.cast(pa.string()).dictionary_encode()
    return joined
