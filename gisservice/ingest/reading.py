"""Step one, **read**: a source becomes a table, geometries, and a reference system that is never guessed."""

from __future__ import annotations

import hashlib
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from gisservice import crs
from gisservice.catalog.manifest import bare_location
from gisservice.crs import CRS
from gisservice.errors import MissingCRSError, SourceError
from gisservice.ingest.arcgis import read_service
from gisservice.ingest.delimited import read_csv
from gisservice.ingest.formats import Dataset, Format, prepare
from gisservice.ingest.selecting import describe, plain_types
from gisservice.ingest.stages import Progress, Reading
from gisservice.ingest.vectors import Raw, read_parquet, read_vectors
from gisservice.model import Column, Finding, Provenance, Source, Visibility

NO_CRS = (
    "does not state its coordinate reference system (in a shapefile the .prj does). Say which it is: --crs EPSG:n on "
    'the command line, or crs = "EPSG:n" in the source\'s declaration.'
)


def quiet(step: str, done: int, total: int) -> None:
    """Report progress to nobody."""


def read(
    source: Source,
    *,
    folder: Path = Path(),
    columns: tuple[Column, ...] | None = None,
    progress: Progress = quiet,
) -> Reading:
    """Read a source as it is: nothing is reprojected, repaired or refused yet.

    Relative locations start at ``folder``. ``columns`` are the layer's declarations; with None all columns are
    taken and described by what they hold. Columns of visibility ``never`` are dropped here. Raises
    :class:`SourceError` for what cannot be read and :class:`MissingCRSError` where neither the source nor its
    declaration says the reference system.
    """
    with tempfile.TemporaryDirectory(prefix="gisservice-") as temporary:
        if source.location.startswith(("https://", "http://")):
            raw, provenance = _read_address(source, Path(temporary), columns, progress)
        else:
            raw, provenance = _read_file(source, folder, Path(temporary), columns, progress)
    if not len(raw.geometry):
        raise SourceError(f"{provenance.source} holds no records; expected at least one.", source=provenance.source)
    table, binary = plain_types(raw.table)
    if columns is None:
        taken = describe(table, texts_may_be_numbers=provenance.format == Format.CSV)
    else:
        taken = tuple(column for column in columns if column.visibility is not Visibility.NEVER)
    system, declared, overridden = _system(raw.crs, source, provenance.source)
    return Reading(
        table=table,
        geometry=raw.geometry,
        crs=system,
        columns=taken,
        provenance=_with_system(provenance, system, declared),
        flaws=raw.flaws,
        noted=(*raw.noted, *binary, *overridden),
    )


def _read_file(
    source: Source, folder: Path, workspace: Path, columns: tuple[Column, ...] | None, progress: Progress
) -> tuple[Raw, Provenance]:
    path = folder / source.location
    name = bare_location(source.location)
    progress("read", 0, 0)
    dataset = prepare(path, workspace, source.layer, name)
    if dataset.format is Format.GEOTIFF:
        raise SourceError(f"{name} is a raster; declare its layer with geometry = 'raster'.", source=name)
    return _read_dataset(dataset, source, columns, progress), file_provenance(path, dataset)


def _read_dataset(dataset: Dataset, source: Source, columns: tuple[Column, ...] | None, progress: Progress) -> Raw:
    if dataset.format is Format.CSV:
        return read_csv(dataset, source, columns, progress)
    if dataset.format is Format.PARQUET:
        return read_parquet(dataset, columns, progress)
    return read_vectors(dataset, source.layer, columns, progress)


def _read_address(
    source: Source, workspace: Path, columns: tuple[Column, ...] | None, progress: Progress
) -> tuple[Raw, Provenance]:
    raw, digest, size = read_service(source.location, workspace, columns, progress)
    return raw, Provenance(bare_location(source.location), Format.ARCGIS.value, digest, size, None, "")


def file_provenance(path: Path, dataset: Dataset) -> Provenance:
    """Return where a file's data comes from: its bare name, its digest, its age; the CRS is filled in later."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    status = path.stat()
    modified = datetime.fromtimestamp(int(status.st_mtime), UTC)
    return Provenance(dataset.name, dataset.format.value, digest, status.st_size, modified, "")


def _system(stated: CRS | None, source: Source, name: str) -> tuple[CRS, bool, tuple[Finding, ...]]:
    """Return the reference system, whether it was only declared, and a finding when the declaration overrode it."""
    if source.crs is None:
        if stated is None:
            raise MissingCRSError(f"{name} {NO_CRS}", source=name)
        return stated, False, ()
    declared = crs.parse(source.crs)
    if stated is None:
        return declared, True, ()
    if stated == declared or crs.code(stated) == crs.code(declared):
        return declared, False, ()
    message = f"The source states {crs.code(stated) or stated.name}; it was read as {source.crs}, as declared."
    return declared, True, (Finding("crs-overridden", message, 1),)


def _with_system(provenance: Provenance, system: CRS, declared: bool) -> Provenance:
    return Provenance(
        provenance.source,
        provenance.format,
        provenance.sha256,
        provenance.size_bytes,
        provenance.modified,
        crs.code(system) or system.name,
        declared,
    )
