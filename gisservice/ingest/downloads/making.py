"""Making the files of a version: each by one process, whole or not at all."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyogrio.errors
import shapely

from gisservice.catalog import Catalog, Collection
from gisservice.catalog.derived import Derived, DerivedFile
from gisservice.catalog.features import shapes_of
from gisservice.catalog.layout import write_geoparquet
from gisservice.ingest.downloads.containers import write_flatgeobuf, write_geopackage, write_shapefile
from gisservice.ingest.downloads.content import Content
from gisservice.ingest.downloads.kml import write_kml
from gisservice.ingest.downloads.plaintext import digest_geojson, write_csv, write_geojson
from gisservice.ingest.reading import quiet
from gisservice.ingest.stages import Progress
from gisservice.query.downloads import LONLAT, Wanted, all_files, archive_of, file_name

_TOO_LARGE = "2GB file size limit"
"""What GDAL says when a part of a Shapefile would grow beyond what all its readers can take."""


def make(collection: Collection, wanted: Iterable[Wanted]) -> list[DerivedFile]:
    """Make those of the wanted files that are not there yet, and return these.

    A file that the format cannot hold (a Shapefile beyond 2 GB) is noted with the reason. Raises OSError when the
    disk refuses; nothing half made is then left to be taken for whole.
    """
    derived = Derived(collection)
    made: list[DerivedFile] = []
    contents: dict[str, Content] = {}
    for entry in wanted:
        name = file_name(collection.manifest, entry.extension, entry.system)
        if archive_of(collection.manifest, entry) or derived.find(name):
            continue
        content = contents.setdefault(entry.system, Content(collection, entry.system))
        with derived.making(name) as draft:
            if derived.find(name) is None:  # nobody made it while we waited
                made.append(_made(derived, content, entry.extension, name, draft))
    return made


@dataclass(frozen=True)
class Made:
    """What came of making the files of several layers."""

    files: int
    size_bytes: int
    failed: tuple[str, ...]
    """A sentence for each layer whose files could not all be made."""


def make_current(home: Path, collection_ids: Iterable[str], *, workers: int, progress: Progress = quiet) -> Made:
    """Make all files of the current version of collections, the largest first, in several processes.

    A layer whose files fail does not stop the others: its files are made when somebody asks for them.
    """
    tasks = _tasks(Catalog(home), collection_ids)
    progress("downloads", 0, len(tasks))
    made: list[DerivedFile] = []
    failed: dict[str, str] = {}
    with ProcessPoolExecutor(workers, get_context("fork")) as pool:
        under_way = {pool.submit(_run, home, task): task.collection_id for task in tasks}
        for done, future in enumerate(as_completed(under_way), start=1):
            try:
                made += future.result()
            except (OSError, BrokenProcessPool) as exc:
                name = under_way[future]
                reason = (exc.strerror if isinstance(exc, OSError) else "") or str(exc)
                failed[name] = f"The files of {name!r} could not all be made: {reason}."
            progress("downloads", done, len(tasks))
    return Made(len(made), sum(entry.size for entry in made), tuple(failed.values()))


class _Task(NamedTuple):
    """What one process makes at a time: the files of one version in one system, whose records it reads once."""

    collection_id: str
    version: str
    records: int
    wanted: list[Wanted]


def _tasks(catalog: Catalog, collection_ids: Iterable[str]) -> list[_Task]:
    tasks = []
    for collection_id in collection_ids:
        collection = catalog.collection(collection_id)
        by_system: dict[str, list[Wanted]] = {}
        for wanted in all_files(collection.manifest):
            by_system.setdefault(wanted.system, []).append(wanted)
        tasks += [
            _Task(collection_id, collection.version, collection.manifest.count, files) for files in by_system.values()
        ]
    return sorted(tasks, key=lambda task: -task.records)


def _run(home: Path, task: _Task) -> list[DerivedFile]:
    return make(Catalog(home).version(task.collection_id, task.version), task.wanted)


def _made(derived: Derived, content: Content, extension: str, name: str, draft: Path) -> DerivedFile:
    if extension == "geojson" and content.system == LONLAT:
        return derived.note(DerivedFile(name, *digest_geojson(content)))
    try:
        _WRITERS[extension](content, draft)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as exc:
        if _TOO_LARGE not in str(exc):
            raise OSError(errno.EIO, f"GDAL could not write {name}: {exc}") from exc
        return derived.note(DerivedFile(name, "", 0, "The layer is larger than this format can hold."))
    return derived.keep(name, draft)


def _write_geoparquet(content: Content, path: Path) -> None:
    shapes = shapes_of(content.geometries)
    single = np.diff(content.geometries.starts) == 1
    shapes[single] = shapely.get_geometry(shapes[single], 0)
    write_geoparquet(path, content.table, content.free_name("geometry"), shapes[content.uses], content.crs)


_WRITERS: dict[str, Callable[[Content, Path], None]] = {
    "geojson": write_geojson,
    "csv": write_csv,
    "gpkg": write_geopackage,
    "shp.zip": write_shapefile,
    "fgb": write_flatgeobuf,
    "parquet": _write_geoparquet,
    "kml": write_kml,
}
