"""Rasters: a GeoTIFF is judged by its header, written as a cloud-optimised GeoTIFF in its own CRS, and described.

Nothing is resampled but the overviews: cells keep the values the office gave.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError, RasterioIOError
from rio_cogeo.cogeo import cog_translate

from gisservice import crs
from gisservice.catalog import Catalog, Manifest
from gisservice.catalog.rasters import RASTER_FILE, Raster, close_raster
from gisservice.crs import CRS, CRS84
from gisservice.errors import MissingCRSError, ReprojectionError, SourceError, ValidationError
from gisservice.ingest.formats import Dataset, Format
from gisservice.ingest.publishing import writing
from gisservice.ingest.reading import NO_CRS, quiet
from gisservice.ingest.stages import Progress
from gisservice.model import BBox, Extent, Finding, GeometryKind, Layer, Operation, Provenance, Quality, Version
from gisservice.query.rastering import settle
from gisservice.tiles import TILES_FILE
from gisservice.tiles.matrix import WEB_MERCATOR_QUAD
from gisservice.tiles.rasterpyramid import build_raster_pyramid, stored_zooms
from gisservice.tiles.rasterwarp import Warp

CELLS_MAX = 2_000_000_000
"""Cells of all bands together; a file may state far more than it holds."""

BANDS_MAX = 64

_BLOCK = 256
"""Cells a side of a block. A tile needs fewer cells of smaller blocks: half the time to decode, 6 % more bytes."""
_CODES_MAX = 256
_PROFILE = {
    "driver": "GTiff",
    "interleave": "pixel",
    "tiled": True,
    "blockxsize": _BLOCK,
    "blockysize": _BLOCK,
    "compress": "DEFLATE",
    "bigtiff": "IF_SAFER",
}
_TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
_SAFE = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no sidecar file beside the raster is looked at
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_TIFF_INTERNAL_MASK": "YES",
}


def publish_raster(
    dataset: Dataset,
    provenance: Provenance,
    layer: Layer,
    catalog: Catalog,
    *,
    declared_crs: str | None = None,
    build_workers: int = 2,
    progress: Progress = quiet,
) -> tuple[Version, Manifest]:
    """Check a GeoTIFF and publish it as a new version of a raster collection.

    ``build_workers`` processes draw the tiles that are stored.

    Raises :class:`SourceError` for a file that cannot be read or is too large by its header,
    :class:`MissingCRSError`, :class:`ValidationError` when it is not where its CRS is used, and
    :class:`PublishError`.
    """
    with rasterio.Env(**_SAFE), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a missing georeference is an error below
        with _open(dataset) as header:
            _judge_header(header, dataset.name)
            system, declared, noted = _system(header, declared_crs, dataset.name)
            _require_own(system, layer, dataset.name)
            extent, operation = _extent(header, system, dataset.name)
        stated = _saying(dataset, system if declared else None)
        with catalog.stage(layer.id) as staging, writing(layer.id), stated as source:
            target = staging.path / RASTER_FILE
            progress("publish", 0, 3)
            _optimise(source, target)
            progress("publish", 1, 3)
            described = _describe(target, system)
            described["tiles"] = _tiles(target, layer, described, system, extent.bbox, build_workers, progress)
            progress("publish", 2, 3)
            manifest = Manifest(
                collection=layer.id,
                layer=replace(layer, geometry=GeometryKind.RASTER),
                kind=GeometryKind.RASTER,
                count=1,
                storage_crs=crs.code(system) or system.name,
                storage_crs_definition=system.to_wkt(),
                extent=extent,
                provenance=(replace(provenance, crs=crs.code(system) or system.name, crs_declared=declared),),
                operations=(operation,),
                quality=Quality(read=1, published=1, noted=noted),
                raster=described,
            )
            version = staging.publish(manifest)
    progress("publish", 3, 3)
    return version, manifest


def _open(dataset: Dataset) -> AbstractContextManager[Any]:
    try:
        opened: AbstractContextManager[Any] = rasterio.open(dataset.path, driver="GTiff")
        return opened
    except RasterioIOError as exc:
        raise SourceError(
            f"{dataset.name} cannot be read as {Format.GEOTIFF}: it is damaged or truncated. Export or copy it again.",
            source=dataset.name,
        ) from exc


def _judge_header(header: Any, name: str) -> None:
    cells = header.width * header.height * header.count
    if header.count > BANDS_MAX or cells > CELLS_MAX:
        raise SourceError(
            f"{name} states {header.width:,} x {header.height:,} cells in {header.count:,} bands; expected at most "
            f"{CELLS_MAX:,} cells in {BANDS_MAX} bands. Cut it into parts.",
            source=name,
        )
    if any(kind not in _TYPES for kind in header.dtypes):
        raise SourceError(
            f"{name} has cells of type {header.dtypes[0]}; expected one of {', '.join(_TYPES)}.", source=name
        )
    if header.transform.is_identity:
        raise SourceError(f"{name} does not say where on the ground it lies (it has no geotransform).", source=name)


def _system(header: Any, declared: str | None, name: str) -> tuple[CRS, bool, tuple[Finding, ...]]:
    stated = crs.from_definition(header.crs.to_wkt()) if header.crs else None
    if stated is not None and not (stated.is_projected or stated.is_geographic):
        stated = None
    if declared is None:
        if stated is None:
            raise MissingCRSError(f"{name} {NO_CRS}", source=name)
        return stated, False, ()
    system = crs.parse(declared)
    if stated is None or stated == system:
        return system, stated is None, ()
    message = f"The source states {crs.code(stated) or stated.name}; it was read as {declared}, as declared."
    return system, True, (Finding("crs-overridden", message, 1),)


def _require_own(system: CRS, layer: Layer, name: str) -> None:
    if layer.storage_crs is not None and crs.parse(layer.storage_crs) != system:
        raise ValidationError(
            f"{name} is in {crs.code(system) or system.name}; storage_crs is {layer.storage_crs}. A raster is kept in "
            "its own reference system: leave storage_crs out, or reproject the file.",
            source=name,
        )


def _extent(header: Any, system: CRS, name: str) -> tuple[Extent, Operation]:
    left, bottom, right, top = header.bounds
    box = (min(left, right), min(bottom, top), max(left, right), max(bottom, top))
    try:
        west, south, east, north = crs.transform_bbox(box, system, CRS84)
        inside = -180.001 <= west and east <= 180.001 and -90.001 <= south and north <= 90.001
    except ReprojectionError:
        inside = False
    if not inside:
        raise ValidationError(
            f"{name} covers x {box[0]:.8g} to {box[2]:.8g} and y {box[1]:.8g} to {box[3]:.8g}, which is outside the "
            f"extent of {crs.code(system) or system.name}. Is it another reference system (--crs EPSG:n)?",
            source=name,
        )
    bbox = (max(-180.0, west), max(-90.0, south), min(180.0, east), min(90.0, north))
    return Extent(bbox), crs.reprojection(system, CRS84, bbox).record


def _optimise(dataset: Dataset, target: Path) -> None:
    """Write the cloud-optimised GeoTIFF: 256-cell blocks, deflate, overviews that suit the values."""
    with _open(dataset) as opened:
        classes = _is_classes(opened)
        predictor = 1 if classes else 3 if opened.dtypes[0].startswith("float") else 2
        try:
            cog_translate(
                opened,
                target,
                {**_PROFILE, "predictor": predictor},
                overview_resampling="nearest" if classes else "average",
                in_memory=False,
                forward_band_tags=True,
                quiet=True,
            )
        except RasterioError as exc:
            raise SourceError(
                f"{dataset.name} cannot be read whole: it is damaged or truncated. Export or copy it again.",
                source=dataset.name,
            ) from exc


@contextmanager
def _saying(dataset: Dataset, system: CRS | None) -> Iterator[Dataset]:
    """Yield the dataset, or a copy that states ``system``; the file an office gave us is not written to."""
    if system is None:
        yield dataset
        return
    with tempfile.TemporaryDirectory(prefix="gisservice-") as folder:
        copy = shutil.copyfile(dataset.path, Path(folder) / "raster.tif")
        with rasterio.open(copy, "r+", driver="GTiff") as opened:
            opened.crs = system.to_wkt()
        yield replace(dataset, path=copy)


def _is_classes(opened: Any) -> bool:
    """Tell codes, which must not be averaged, from measurements and pictures: a single band with a colour table."""
    return opened.count == 1 and opened.colorinterp[0] is ColorInterp.palette


def _describe(path: Path, system: CRS) -> dict[str, Any]:
    """Return what the manifest says of a raster; values that are not finite are left out, as JSON has none."""
    with rasterio.open(path, driver="GTiff") as opened:
        unit, _ = crs.unit(system)
        return {
            "width": opened.width,
            "height": opened.height,
            "transform": list(opened.transform)[:6],
            "bounds": list(opened.bounds),
            "resolution": list(opened.res),
            "unit": unit,
            "overviews": opened.overviews(1),
            "block": list(opened.block_shapes[0]),
            "bands": [_band(opened, index) for index in opened.indexes],
        }


def _tiles(
    path: Path, layer: Layer, described: dict[str, Any], system: CRS, bounds: BBox, workers: int, progress: Progress
) -> dict[str, Any] | None:
    """Draw the tiles of the declared zooms; return what the manifest says of them, None where there are none."""
    raster = Raster(path, layer.id, described, system.to_wkt())
    try:
        warp = Warp(raster, WEB_MERCATOR_QUAD, bounds)
        zooms = stored_zooms(warp, layer.minzoom, layer.maxzoom)
        if not zooms:
            return None
        rendering = settle(raster, layer.raster)
        extension = layer.raster.format
        archive = path.parent / TILES_FILE
        metadata = {"name": layer.title, "description": layer.description, "attribution": layer.attribution}
        close_raster(path)  # processes that shared an open file would move each other's place in it
        count = build_raster_pyramid(
            warp, rendering, archive, zooms, extension, bounds, metadata, workers,
            lambda done, total: progress("tiles", done, total),
        )  # fmt: skip
    finally:
        close_raster(path)
    if not count:
        archive.unlink()
        return None
    return {"minzoom": zooms.start, "maxzoom": zooms.stop - 1, "tiles": count, "bytes": archive.stat().st_size}


def _band(opened: Any, index: int) -> dict[str, Any]:
    """Return type, no-data value and statistics of a band, from every valid cell at full resolution."""
    count, mean, squares = 0, 0.0, 0.0
    low, high = math.inf, -math.inf
    codes: set[int] | None = set() if _is_classes(opened) else None
    for _, window in opened.block_windows(index):
        block = opened.read(index, window=window, masked=True).compressed().astype(np.float64)
        block = block[np.isfinite(block)]
        if not len(block):
            continue
        low, high = min(low, float(block.min())), max(high, float(block.max()))
        # Chan, Golub and LeVeque (1979): the moments of two sets joined, without loss of digits
        shift = float(block.mean()) - mean
        total = count + len(block)
        squares += float(((block - block.mean()) ** 2).sum()) + shift * shift * count * len(block) / total
        mean, count = mean + shift * len(block) / total, total
        if codes is not None:
            codes.update(np.unique(block).astype(int).tolist())
    nodata = opened.nodatavals[index - 1]
    band: dict[str, Any] = {
        "type": opened.dtypes[index - 1],
        "nodata": None if nodata is None else str(nodata) if not math.isfinite(nodata) else nodata,
        "description": opened.descriptions[index - 1],
        "interpretation": opened.colorinterp[index - 1].name,
        "valid": count,
    }
    if count:
        band |= {"min": low, "max": high, "mean": mean, "std": math.sqrt(squares / count)}
    if codes is not None and len(codes) <= _CODES_MAX:
        table = opened.colormap(index)
        band["colors"] = {str(code): "#{:02x}{:02x}{:02x}".format(*table[code][:3]) for code in sorted(codes)}
    return band
