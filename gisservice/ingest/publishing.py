"""Step five, **publish**: the files of a version, written beside the current one and swapped in at once."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from gisservice import crs
from gisservice.catalog import Catalog, Collection, Features, Manifest, write_features
from gisservice.errors import CatalogError, NotFound, PublishError
from gisservice.ingest.reading import quiet
from gisservice.ingest.stages import Progress, Projection, Standard
from gisservice.model import AlwaysDrawn, Extent, Geometries, Layer, Version
from gisservice.tiles import BROTLI_FILE, LEVELS_FILE, REPORT_FILE, TILES_FILE, Previous, TileSource, build_pyramid


def publish(
    standard: Standard,
    projection: Projection,
    layer: Layer,
    catalog: Catalog,
    *,
    build_workers: int = 2,
    progress: Progress = quiet,
) -> Version:
    """Write records and their tiles as a new version of the collection and make it current.

    The same content is the same version. Raises :class:`PublishError`, for example on a full disk; what was
    published before is then untouched.
    """
    kind = standard.records.kind
    declared = replace(layer, geometry=kind, columns=layer.columns or projection.columns)
    with catalog.stage(layer.id) as staging, writing(layer.id):
        write_features(staging.path, standard.records)
        progress("publish", 1, 3)
        tiles = _tiles(staging.path, declared, _current(catalog, layer.id), build_workers, progress)
        west, south, east, north = shapely.total_bounds(standard.records.lonlat)
        manifest = Manifest(
            collection=layer.id,
            layer=declared,
            kind=kind,
            count=len(standard.records.ids),
            storage_crs=crs.code(projection.crs) or projection.crs.name,
            storage_crs_definition=projection.crs.to_wkt(),
            extent=Extent((float(west), float(south), float(east), float(north))),
            columns=standard.columns,
            id_column=standard.id_column,
            provenance=projection.provenance,
            operations=projection.operations,
            quality=standard.quality,
            tiles=tiles,
        )
        progress("publish", 2, 3)
        version = staging.publish(manifest)
    progress("publish", 3, 3)
    return version


@contextmanager
def writing(collection_id: str) -> Iterator[None]:
    """Turn what the disk refuses into a :class:`PublishError` that says what to do."""
    try:
        yield
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            reason = "the disk is full. Free some space and ingest again."
        else:
            reason = f"{os.strerror(exc.errno) if exc.errno else exc}. Check the disk and ingest again."
        raise PublishError(
            f"Collection {collection_id!r} could not be written: {reason} What was published before is untouched.",
            source=collection_id,
        ) from exc


def _current(catalog: Catalog, collection_id: str) -> Collection | None:
    """Return the current version of a collection, or None when tiles cannot be taken over from it."""
    try:
        current = catalog.collection(collection_id)
        whole = current.features is not None and current.is_whole((TILES_FILE, BROTLI_FILE, LEVELS_FILE, REPORT_FILE))
    except (CatalogError, NotFound):
        return None
    return current if whole else None


def _tiles(folder: Path, layer: Layer, current: Collection | None, workers: int, progress: Progress) -> dict[str, Any]:
    """Cut the tiles of the records just written; return what the manifest says of them."""
    report = build_pyramid(
        tile_source(Features.open(folder), layer),
        folder,
        workers=workers,
        progress=lambda done, total: progress("tiles", done, total),
        previous=_previous(current),
    )
    return {
        "minzoom": layer.minzoom,
        "maxzoom": layer.maxzoom,
        "tiles": sum(zoom["tiles"] for zoom in report["zooms"].values()),
        "bytes": sum((folder / name).stat().st_size for name in (TILES_FILE, BROTLI_FILE, LEVELS_FILE)),
    }


def _previous(current: Collection | None) -> Previous | None:
    if current is None or current.features is None:
        return None
    try:
        return Previous(tile_source(current.features, current.layer), current.path)
    except CatalogError:  # a part of the records is damaged: seen when it is first used
        return None


def tile_source(features: Features, layer: Layer) -> TileSource:
    """Return what the tiles of published records are cut from, as their layer declares it."""
    plain = features.geometries
    return TileSource(
        name=layer.id,
        kind=features.kind,
        geometries=Geometries(features.kind, features.world, plain.rings, plain.parts, plain.starts),
        record_geometry=features.record_geometry,
        ids=features.tile_ids,
        attributes=features.attributes,
        coverage=layer.coverage,
        minzoom=layer.minzoom,
        maxzoom=layer.maxzoom,
        merge_by=layer.style.by,
        always=_always(features.attributes, layer.always_drawn),
    )


def _always(attributes: pa.Table, always: AlwaysDrawn | None) -> npt.NDArray[np.bool_] | None:
    """Mark the records that are drawn at every zoom."""
    if always is None:
        return None
    if always.column is None:
        return np.ones(attributes.num_rows, dtype=bool)
    values = attributes[always.column].cast(pa.string())
    marked: npt.NDArray[np.bool_] = pc.is_in(values, pa.array(always.values, pa.string())).to_numpy()
    return marked
