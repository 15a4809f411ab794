"""The whole way of a source to a published version: read, reproject, validate, standardize, publish."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import shapely

from gisservice import crs as reference_systems
from gisservice.catalog import Catalog
from gisservice.catalog.manifest import bare_location
from gisservice.catalog.registry import COLLECTION_ID
from gisservice.errors import CatalogError, CollectionNotFound, InvalidParameter, SourceError
from gisservice.ingest.formats import Format, prepare
from gisservice.ingest.publishing import publish
from gisservice.ingest.rasters import publish_raster
from gisservice.ingest.reading import file_provenance, quiet, read
from gisservice.ingest.reprojecting import reproject
from gisservice.ingest.stages import Progress, Shapes
from gisservice.ingest.standardizing import standardize
from gisservice.ingest.validating import validate
from gisservice.model import Finding, GeometryKind, Layer, Operation, Quality, Source

_RASTERS = (".tif", ".tiff", ".tif.gz", ".tiff.gz", ".tif.zip", ".tiff.zip")


@dataclass(frozen=True)
class Summary:
    """What came of an ingest. ``read == published + refused_count``, always."""

    collection: str
    version: str
    read: int
    published: int
    refused: tuple[Finding, ...]
    repaired: tuple[Finding, ...]
    noted: tuple[Finding, ...]
    operations: tuple[Operation, ...]
    seconds: dict[str, float] = field(compare=False)
    """Wall time of each step."""

    @property
    def refused_count(self) -> int:
        """How many records were not published."""
        return sum(finding.count for finding in self.refused)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything refused, repaired or noted."""
        return (*self.refused, *self.repaired, *self.noted)

    @property
    def accuracy_m(self) -> float | None:
        """Metres by which positions may be off through reprojection; None where an authority states none."""
        stated = [operation.accuracy_m for operation in self.operations]
        return None if None in stated else max((value for value in stated if value is not None), default=0.0)

    @property
    def missing_grids(self) -> tuple[str, ...]:
        """Grids that would make reprojection more accurate and are not installed."""
        return tuple(sorted({grid for operation in self.operations for grid in operation.missing_grids}))

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, ready for JSON."""
        return {
            **asdict(self),
            "refused_count": self.refused_count,
            "accuracy_m": self.accuracy_m,
            "missing_grids": self.missing_grids,
        }


def ingest(
    location: str | Path,
    collection_id: str,
    *,
    catalog: Catalog,
    layer: Layer | None = None,
    source_layer: str | None = None,
    crs: str | None = None,
    build_workers: int = 2,
    progress: Progress = quiet,
) -> Summary:
    """Publish one file or ArcGIS REST layer as a collection.

    ``layer`` is its declaration, whose sources are then not used. Without one, all columns are published as they
    are, the kind of geometry is the most frequent one, records are identified by the first column with a usual
    name whose values are all different, or counted, and positions stay in the source's reference system.
    ``source_layer`` picks one of several layers, ``crs`` (a code) says what the source does not.

    Raises :class:`IngestError` in all its kinds and :class:`ReprojectionError`; what was published is then
    untouched.
    """
    if not COLLECTION_ID.fullmatch(collection_id):
        raise InvalidParameter("id", collection_id, "1 to 64 of the characters a-z, 0-9, _ and -")
    named = layer.sources[0] if layer is not None and layer.sources else Source("")
    source = Source(str(location), layer=source_layer, crs=crs, x=named.x, y=named.y)
    if layer is None:
        title = collection_id.replace("_", " ").replace("-", " ").strip().capitalize() or collection_id
        kind = GeometryKind.RASTER if source.location.lower().endswith(_RASTERS) else None
        layer = Layer(collection_id, title, kind)
    declared = replace(layer, id=collection_id, sources=(source,))
    return ingest_layer(declared, folder=Path(), catalog=catalog, build_workers=build_workers, progress=progress)


def ingest_layer(
    layer: Layer, *, folder: Path, catalog: Catalog, build_workers: int = 2, progress: Progress = quiet
) -> Summary:
    """Publish a declared layer from its declared sources; relative ones start at ``folder``.

    Several sources are read one after the other into one collection. Raises as :func:`ingest` does.
    """
    if not layer.sources:
        raise SourceError(f"Layer {layer.id!r} declares no source.", source=layer.id)
    before = _count_published(catalog, layer.id)
    if layer.geometry is GeometryKind.RASTER:
        summary = _ingest_raster(layer, folder, catalog, build_workers, progress)
    else:
        summary = _ingest_features(layer, folder, catalog, build_workers, progress)
    return replace(summary, noted=(*summary.noted, *_change(before, summary.published)))


def _ingest_features(layer: Layer, folder: Path, catalog: Catalog, build_workers: int, progress: Progress) -> Summary:
    clock = _Clock()
    with clock("read"):
        readings = [read(source, folder=folder, columns=layer.columns, progress=progress) for source in layer.sources]
    storage = reference_systems.parse(layer.storage_crs) if layer.storage_crs else None
    with clock("reproject"):
        projection = reproject(readings, storage, progress=progress)
    progress("validate", 0, 1)
    with clock("validate"):
        report = validate(projection, layer)
    progress("standardize", 0, 1)
    with clock("standardize"):
        standard = standardize(projection, report)
    if layer.columns is None:
        layer = _with_zooms(layer, standard.records.lonlat)
    with clock("publish"):
        version = publish(standard, projection, layer, catalog, build_workers=build_workers, progress=progress)
    return _summary(layer.id, version.id, standard.quality, projection.operations, clock.seconds)


def _ingest_raster(layer: Layer, folder: Path, catalog: Catalog, build_workers: int, progress: Progress) -> Summary:
    if len(layer.sources) != 1:
        raise SourceError(
            f"Layer {layer.id!r} is a raster of {len(layer.sources)} sources; expected one.", source=layer.id
        )
    source, clock = layer.sources[0], _Clock()
    path, name = folder / source.location, bare_location(source.location)
    with tempfile.TemporaryDirectory(prefix="gisservice-") as temporary:
        with clock("read"):
            dataset = prepare(path, Path(temporary), source.layer, name)
            if dataset.format is not Format.GEOTIFF:
                raise SourceError(f"{name} is {dataset.format}; a raster layer expects GeoTIFF.", source=name)
            provenance = file_provenance(path, dataset)
        with clock("publish"):
            version, manifest = publish_raster(
                dataset,
                provenance,
                layer,
                catalog,
                declared_crs=source.crs,
                build_workers=build_workers,
                progress=progress,
            )
    return _summary(layer.id, version.id, manifest.quality, manifest.operations, clock.seconds)


def _summary(
    collection: str, version: str, quality: Quality, operations: tuple[Operation, ...], seconds: dict[str, float]
) -> Summary:
    return Summary(
        collection=collection,
        version=version,
        read=quality.read,
        published=quality.published,
        refused=quality.refused,
        repaired=quality.repaired,
        noted=quality.noted,
        operations=operations,
        seconds=seconds,
    )


class _Clock:
    """Takes the wall time of named steps."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[step] = round(time.perf_counter() - start, 3)


def _count_published(catalog: Catalog, collection_id: str) -> int | None:
    try:
        return catalog.collection(collection_id).manifest.count
    except (CollectionNotFound, CatalogError):  # a damaged version is a reason to publish anew, not to refuse to
        return None


def _change(before: int | None, now: int) -> tuple[Finding, ...]:
    if before is None or before == now:
        return ()
    message = f"{now:,} records are published; the version before had {before:,}."
    return (Finding("count-changed", message, abs(now - before)),)


def _with_zooms(layer: Layer, lonlat: Shapes) -> Layer:
    """Choose zooms for an undeclared layer: from where it fills about a tile, to where a city's lots are seen."""
    west, south, east, north = shapely.total_bounds(lonlat)
    span = max(east - west, north - south, 1e-4)
    minzoom = min(max(math.floor(math.log2(360.0 / span)) - 1, 0), 12)
    return replace(layer, minzoom=minzoom, maxzoom=min(16, minzoom + 6))
