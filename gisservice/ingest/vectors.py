"""Reading vector files: through GDAL, and GeoParquet through Arrow. Here their errors end.

Attributes come as Arrow tables and geometries as well-known binary, so nothing is turned into Python objects on
the way. Columns that are not wanted are dropped batch by batch, as they arrive.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import shapely
from pyogrio.errors import CRSError, DataLayerError, DataSourceError, FieldError, GeometryError

from gisservice import crs
from gisservice.crs import CRS
from gisservice.errors import ReprojectionError, SourceError
from gisservice.ingest.formats import Dataset, Format, unknown_layer
from gisservice.ingest.selecting import Selection, select
from gisservice.ingest.stages import Flaw, Progress, Shapes, Verdict
from gisservice.model import Column, Finding

_PREFIXES = {Format.GEOJSON: "GeoJSON:", Format.ARCGIS: "ESRIJSON:"}
"""Where several drivers read one extension, GDAL is told which to use."""

_NUMBERED = (Format.GEODATABASE, Format.GEOPACKAGE)
"""Formats whose records carry a number of their own, kept beside the columns."""

_GEOMETRY_COLUMN = "wkb_geometry"


@dataclass(frozen=True)
class Raw:
    """What a file holds. ``crs`` is None where it does not say; columns bear their published names already."""

    table: pa.Table
    geometry: Shapes
    crs: CRS | None
    flaws: tuple[Flaw, ...] = ()
    noted: tuple[Finding, ...] = ()


def read_vectors(dataset: Dataset, layer: str | None, declared: tuple[Column, ...] | None, progress: Progress) -> Raw:
    """Read one layer of a file through GDAL. Raises :class:`SourceError`."""
    name = dataset.name
    path = _PREFIXES.get(dataset.format, "") + str(dataset.path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # GDAL's words may quote values; what matters is found by validation
            chosen = _layer(path, dataset, layer)
            meta, selection, table, wkb = _stream(path, dataset, chosen, declared, progress)
            geometry, flaws = _geometries(wkb, path, chosen)
    except (DataSourceError, DataLayerError, FieldError, GeometryError, CRSError) as exc:
        reason = str(exc).replace(str(dataset.path), name).replace(_PREFIXES.get(dataset.format, ""), "")
        raise SourceError(
            f"{name} cannot be read as {dataset.format}: {reason.rstrip('.')}. Export or copy it again.", source=name
        ) from exc
    _require_text(table, name)
    return Raw(table, geometry, _system(meta["crs"], dataset), flaws, selection.noted)


def _layer(path: str, dataset: Dataset, layer: str | None) -> str | None:
    """Return which layer to read; None for a format that has one."""
    if dataset.format not in (Format.GEODATABASE, Format.GEOPACKAGE, Format.KML):
        return None
    layers = [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None]
    if not layers:
        raise SourceError(f"{dataset.name} holds no layer with geometry.", source=dataset.name)
    if layer is None and len(layers) == 1:
        return layers[0]
    found = [name for name in layers if name == layer] or [
        name for name in layers if layer is not None and name.casefold() == layer.casefold()
    ]
    if len(found) != 1:
        raise SourceError(unknown_layer(dataset.name, layer, layers), source=dataset.name)
    return found[0]


def _stream(
    path: str, dataset: Dataset, layer: str | None, declared: tuple[Column, ...] | None, progress: Progress
) -> tuple[dict[str, Any], Selection, pa.Table, pa.ChunkedArray]:
    numbered = dataset.format in _NUMBERED
    with pyogrio.open_arrow(path, layer=layer, encoding=dataset.encoding, return_fids=numbered, use_pyarrow=True) as (
        meta,
        batches,
    ):
        geometry = meta["geometry_name"] or _GEOMETRY_COLUMN
        available = [name for name in batches.schema.names if name != geometry]
        if geometry not in batches.schema.names:
            raise SourceError(f"{dataset.name} has no geometry; expected a layer of features.", source=dataset.name)
        selection = select(available, declared, dataset.name)
        tables, wkb, done = [], [], 0
        for batch in batches:
            tables.append(selection.apply(pa.Table.from_batches([batch])))
            wkb.append(batch.column(geometry))
            done += batch.num_rows
            progress("read", done, 0)
        schema = selection.apply(batches.schema.empty_table()).schema
    return meta, selection, pa.concat_tables(tables or [schema.empty_table()]), pa.chunked_array(wkb, pa.binary())


def _geometries(wkb: pa.ChunkedArray, path: str, layer: str | None) -> tuple[Shapes, tuple[Flaw, ...]]:
    """Build the geometries; arcs are drawn as lines, open rings closed, what no reader understands is refused."""
    texts = wkb.to_numpy()
    flaws: list[Flaw] = []
    try:
        shapes = shapely.from_wkb(texts, on_invalid="ignore")
    except NotImplementedError:  # circular arcs, of which GDAL makes lines when it is not read through Arrow
        texts = pyogrio.raw.read(path, layer=layer, columns=[])[2]
        shapes = shapely.from_wkb(texts, on_invalid="ignore")
        rows = np.arange(len(texts), dtype=np.int64)
        flaws.append(Flaw("arcs", "Circular arcs were drawn as straight lines.", rows, Verdict.NOTE))
    unread = np.flatnonzero(shapely.is_missing(shapes) & np.array([text is not None for text in texts], dtype=bool))
    if len(unread):
        shapes[unread] = shapely.from_wkb(texts[unread], on_invalid="fix")
        lost = shapely.is_missing(shapes[unread])
        flaws += _flaw("open-ring", "Rings whose ends did not meet were closed.", unread[~lost], Verdict.REPAIR)
        flaws += _flaw("unreadable-geometry", "The geometry cannot be read.", unread[lost], Verdict.REFUSE)
    return shapes, tuple(flaws)


def _flaw(code: str, message: str, rows: Any, verdict: Verdict) -> list[Flaw]:
    return [Flaw(code, message, rows.astype(np.int64), verdict)] if len(rows) else []


def _require_text(table: pa.Table, name: str) -> None:
    """Refuse texts that are not UTF-8: the wrong encoding would be published as nonsense."""
    for column in table.column_names:
        try:
            table.select([column]).validate(full=True)
        except pa.ArrowInvalid as exc:
            raise SourceError(
                f"{name}: column {column!r} holds text that is not in the encoding the file states (for a shapefile, "
                "in its .cpg). Export it as UTF-8.",
                source=name,
            ) from exc


def _system(definition: str | None, dataset: Dataset) -> CRS | None:
    if not definition:
        return None
    try:
        system = crs.from_definition(definition)
    except ReprojectionError as exc:
        raise SourceError(f"{dataset.name}: {exc}", source=dataset.name) from exc
    if dataset.format in (Format.GEOJSON, Format.KML) and crs.code(system) == "EPSG:4326":
        return crs.CRS84  # RFC 7946, section 4; KML 2.3 likewise
    return system if system.is_projected or system.is_geographic else None


def read_parquet(dataset: Dataset, declared: tuple[Column, ...] | None, progress: Progress) -> Raw:
    """Read a GeoParquet file (1.0 and 1.1, geometry as WKB). Raises :class:`SourceError`."""
    name = dataset.name
    try:
        with pq.ParquetFile(dataset.path) as file:
            geo = _geo_metadata(file, name)
            column = geo["columns"][geo["primary_column"]]
            if column["encoding"] != "WKB":
                raise SourceError(f"{name} encodes geometry as {column['encoding']}; expected WKB.", source=name)
            covering = column.get("covering", {}).get("bbox", {}).get("xmin", [None])[0]
            hidden = (*geo["columns"], covering)
            available = [field for field in file.schema_arrow.names if field not in hidden]
            selection = select(available, declared, name)
            complete = file.read(columns=[*selection.names, geo["primary_column"]])
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as exc:
        raise SourceError(f"{name} is a damaged GeoParquet file. Export or copy it again.", source=name) from exc
    progress("read", complete.num_rows, complete.num_rows)
    wkb = complete.column(geo["primary_column"]).cast(pa.binary())
    geometry, flaws = _geometries(wkb, str(dataset.path), None)
    stated = column.get("crs", "OGC:CRS84")  # GeoParquet 1.1: without a crs member it is OGC:CRS84
    system = _system(json.dumps(stated) if isinstance(stated, dict) else stated, dataset)
    return Raw(selection.apply(complete), geometry, system, flaws, selection.noted)


def _geo_metadata(file: pq.ParquetFile, name: str) -> dict[str, Any]:
    text = (file.schema_arrow.metadata or {}).get(b"geo")
    if text is None:
        raise SourceError(f"{name} is a Parquet file without geometry; expected GeoParquet.", source=name)
    geo: dict[str, Any] = json.loads(text)
    return geo
