"""Rasters: judged by the header, kept in their own cells, described from every cell."""

from __future__ import annotations

import io

import numpy as np
import pytest
import rasterio
from PIL import Image
from pmtiles.reader import MmapSource, Reader
from pmtiles.tile import Compression, TileType
from rio_cogeo.cogeo import cog_validate

from gisservice.catalog.rasters import Raster
from gisservice.errors import MissingCRSError, SourceError, ValidationError
from gisservice.ingest import ingest, ingest_layer, rasters
from gisservice.model import GeometryKind, Layer, RasterStyle, Source
from gisservice.query.rastering import settle
from gisservice.tiles import Archive
from gisservice.tiles.grid import tile_of_id
from gisservice.tiles.matrix import WEB_MERCATOR_QUAD
from gisservice.tiles.rasterpyramid import draw_tile
from gisservice.tiles.rasterwarp import Warp

FEET = "EPSG:2283"
PLACE = rasterio.Affine(10.0, 0.0, 11_880_000.0, 0.0, -10.0, 6_990_000.0)


def relief(rows: int = 700, columns: int = 600, kind: str = "float32"):
    y, x = np.mgrid[0:rows, 0:columns]
    return (x + 2.0 * y).astype(kind)


@pytest.fixture
def tif(tmp_path):
    def tif(cells=None, name="dem.tif", crs=FEET, transform=PLACE, colors=None, **more):
        cells = relief() if cells is None else cells
        bands = cells[np.newaxis] if cells.ndim == 2 else cells
        shape = {"count": len(bands), "height": bands.shape[1], "width": bands.shape[2], "dtype": bands.dtype}
        path = tmp_path / name
        with rasterio.open(path, "w", driver="GTiff", crs=crs, transform=transform, **shape, **more) as file:
            file.write(bands)
            if colors:
                file.write_colormap(1, colors)
        return path

    return tif


def test_a_relief_is_published_as_it_is(tif, catalog):
    cells = relief()
    cells[:5] = -9999
    summary = ingest(tif(cells, nodata=-9999), "dem", catalog=catalog)
    collection = catalog.collection("dem")
    assert (summary.read, summary.published, collection.manifest.kind) == (1, 1, GeometryKind.RASTER)
    path = collection.path / "raster.tif"
    valid, errors, _ = cog_validate(path)
    assert (valid, errors) == (True, [])
    with rasterio.open(path) as file:
        assert (file.read(1) == cells).all()
        assert file.crs.to_epsg() == 2283
        assert file.overviews(1) == [2, 4]
    raster = collection.manifest.raster
    (band,) = raster["bands"]
    truth = cells[5:].astype(float)
    assert (band["type"], band["nodata"], band["valid"]) == ("float32", -9999.0, truth.size)
    assert [band[key] for key in ("min", "max", "mean", "std")] == pytest.approx(
        [truth.min(), truth.max(), truth.mean(), truth.std()], rel=1e-9
    )
    assert (raster["width"], raster["height"], raster["resolution"]) == (600, 700, [10.0, 10.0])
    assert raster["unit"] == "US survey foot"
    west, south, east, north = collection.manifest.extent.bbox
    assert -77.2 < west < east < -77.0 and 38.7 < south < north < 38.9


def test_twice_is_the_same_version(tif, catalog):
    path = tif()
    assert ingest(path, "dem", catalog=catalog).version == ingest(path, "dem", catalog=catalog).version


def test_classes_keep_their_codes_and_colours(tif, catalog):
    cells = (relief(kind="uint8") % 3 + 1).astype("uint8")
    colors = {1: (0, 128, 0), 2: (255, 0, 0), 3: (0, 0, 255), 9: (1, 2, 3)}
    ingest(tif(cells, colors=colors), "cover", catalog=catalog)
    collection = catalog.collection("cover")
    (band,) = collection.manifest.raster["bands"]
    assert band["colors"] == {"1": "#008000", "2": "#ff0000", "3": "#0000ff"}
    with rasterio.open(collection.path / "raster.tif", overview_level=0) as file:
        assert set(np.unique(file.read(1))) <= {1, 2, 3}


def test_a_declared_system_leaves_colours_and_the_file_alone(tif, catalog):
    path = tif((relief(kind="uint8") % 3 + 1).astype("uint8"), colors={1: (0, 128, 0)}, crs=None)
    before = path.read_bytes()
    ingest(path, "cover", catalog=catalog, crs=FEET)
    (band,) = catalog.collection("cover").manifest.raster["bands"]
    assert band["colors"]["1"] == "#008000"
    assert path.read_bytes() == before
    assert [item.name for item in path.parent.iterdir() if item.suffix != ""] == ["dem.tif"]


def test_nan_is_no_value(tif, catalog):
    cells = relief()
    cells[0] = np.nan
    cells[1] = np.inf
    ingest(tif(cells, nodata=float("nan")), "dem", catalog=catalog)
    (band,) = catalog.collection("dem").manifest.raster["bands"]
    assert band["nodata"] == "nan"
    assert band["min"] == 2 * 2
    assert band["valid"] == cells.size - 2 * 600


def test_several_bands(tif, catalog):
    ingest(tif(np.stack([relief(64, 64, "uint8")] * 4), photometric="RGB", alpha="YES"), "photo", catalog=catalog)
    bands = catalog.collection("photo").manifest.raster["bands"]
    assert [band["interpretation"] for band in bands] == ["red", "green", "blue", "alpha"]


def test_without_a_reference_system(tif, catalog):
    path = tif(crs=None)
    with pytest.raises(MissingCRSError, match="--crs EPSG:n"):
        ingest(path, "dem", catalog=catalog)
    ingest(path, "dem", catalog=catalog, crs=FEET)
    collection = catalog.collection("dem")
    assert collection.manifest.provenance[0].crs_declared
    with rasterio.open(collection.path / "raster.tif") as file:
        assert file.crs.to_epsg() == 2283
        assert (file.read(1) == relief()).all()


def test_without_a_place(tif, catalog):
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        path = tif(transform=rasterio.Affine.identity())
    with pytest.raises(SourceError, match="does not say where on the ground"):
        ingest(path, "dem", catalog=catalog)


def test_in_the_wrong_place(tif, catalog):
    with pytest.raises(ValidationError, match="outside the extent of EPSG:4326"):
        ingest(tif(crs="EPSG:4326"), "dem", catalog=catalog)


def test_a_header_that_promises_too_much_is_refused_before_a_read(tmp_path, catalog):
    path = tmp_path / "vast.tif"
    shape = {"count": 1, "height": 1_000_000, "width": 1_000_000, "dtype": "uint8"}
    with rasterio.open(
        path, "w", driver="GTiff", crs=FEET, transform=PLACE, sparse_ok=True, tiled=True,
        blockxsize=16384, blockysize=16384, bigtiff="YES", compress="deflate", **shape
    ):  # fmt: skip
        pass
    assert path.stat().st_size < 1_000_000
    with pytest.raises(SourceError, match="states 1,000,000 x 1,000,000 cells in 1 bands; expected at most"):
        ingest(path, "vast", catalog=catalog)


def test_too_many_bands(tif, catalog):
    with pytest.raises(SourceError, match="in 65 bands"):
        ingest(tif(np.zeros((65, 4, 4), dtype="uint8")), "bands", catalog=catalog)


def test_numbers_of_another_kind(tif, catalog):
    with pytest.raises(SourceError, match="cells of type complex64"):
        ingest(tif(relief(8, 8).astype("complex64")), "dem", catalog=catalog)


@pytest.mark.parametrize("keep", [0.02, 0.6])
def test_truncated_files_leave_what_is_published(tif, catalog, keep):
    path = tif()
    version = ingest(path, "dem", catalog=catalog).version
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(SourceError, match="damaged or truncated"):
        ingest(path, "dem", catalog=catalog)
    assert catalog.collection("dem").version == version


def test_no_sidecar_is_looked_at(tif, catalog):
    path = tif()
    path.with_name("dem.tif.aux.xml").write_text(
        "<PAMDataset><SRS>EPSG:4326</SRS><GeoTransform>0,1,0,0,0,-1</GeoTransform></PAMDataset>"
    )
    ingest(path, "dem", catalog=catalog)
    assert catalog.collection("dem").manifest.storage_crs == FEET


def test_a_declared_raster(tif, catalog):
    path = tif()
    declared = Layer("dem", "Relief", GeometryKind.RASTER, sources=(Source("dem.tif"),), storage_crs=FEET)
    ingest_layer(declared, folder=path.parent, catalog=catalog)
    with pytest.raises(ValidationError, match="A raster is kept in its own reference system"):
        ingest(path, "dem", catalog=catalog, layer=Layer("dem", "Relief", GeometryKind.RASTER, storage_crs="EPSG:3857"))
    two = Layer("dem", "Relief", GeometryKind.RASTER, sources=(Source("dem.tif"), Source("dem.tif")))
    with pytest.raises(SourceError, match="a raster of 2 sources"):
        ingest_layer(two, folder=path.parent, catalog=catalog)


def test_a_raster_and_a_table_are_not_mistaken_for_each_other(tif, make, catalog):
    with pytest.raises(SourceError, match="is GeoPackage; a raster layer expects GeoTIFF"):
        ingest(make("lots.gpkg"), "lots", catalog=catalog, layer=Layer("lots", "Lots", GeometryKind.RASTER))
    with pytest.raises(SourceError, match="is a raster; declare its layer"):
        ingest(tif(), "dem", catalog=catalog, layer=Layer("dem", "Relief", GeometryKind.POLYGON))


def test_values_of_measurements_are_averaged_in_overviews(tif, catalog):
    ingest(tif(), "dem", catalog=catalog)
    with rasterio.open(catalog.collection("dem").path / "raster.tif", overview_level=0) as file:
        overview = file.read(1)
    assert overview[0, 0] == pytest.approx(relief()[:2, :2].mean())
    assert rasters.CELLS_MAX >= 36_000 * 18_000  # a world at a hundredth of a degree


def test_the_tiles_of_the_declared_zooms_are_stored_as_they_would_be_drawn(tif, catalog, tmp_path):
    layer = Layer(
        "dem", "Relief", GeometryKind.RASTER, sources=(Source(str(tif())),), minzoom=11, maxzoom=14,
        raster=RasterStyle(colormap="terrain", format="webp"),
    )  # fmt: skip
    ingest_layer(layer, folder=tmp_path, catalog=catalog)
    collection = catalog.collection("dem")
    stored = collection.manifest.raster["tiles"]
    assert (stored["minzoom"], stored["maxzoom"]) == (11, 14)
    assert stored["bytes"] == collection.manifest.files["tiles.pmtiles"]["size"]
    raster = Raster.open(collection)
    warp, rendering = Warp(raster, WEB_MERCATOR_QUAD, collection.manifest.extent.bbox), settle(raster, layer.raster)
    archive = Archive(collection.path / "tiles.pmtiles")
    places = list(archive.tiles())
    assert len(places) == stored["tiles"] > 4
    for place in places:
        assert archive.at(place) == draw_tile(warp, rendering, tile_of_id(place), "webp")
    with (collection.path / "tiles.pmtiles").open("rb") as file:
        reader = Reader(MmapSource(file))
        assert reader.header()["tile_type"] is TileType.WEBP and reader.header()["tile_compression"] is Compression.NONE
        tile = tile_of_id(places[-1])
        assert Image.open(io.BytesIO(reader.get(*tile))).size == (256, 256)


def test_several_processes_store_the_same_tiles(tif, catalog, tmp_path):
    layer = Layer("dem", "Relief", GeometryKind.RASTER, sources=(Source(str(tif())),), minzoom=11, maxzoom=17)
    versions = {
        ingest_layer(layer, folder=tmp_path, catalog=catalog, build_workers=workers).version for workers in (1, 3)
    }
    assert len(versions) == 1, "a version is named by what it holds"
    assert catalog.collection("dem").manifest.raster["tiles"]["tiles"] > 100, "more than one process has work"


def test_a_raster_of_the_world_has_no_more_tiles_than_the_bound(tif, catalog):
    cells = np.ones((180, 360), dtype="uint8")
    world = rasterio.Affine(1.0, 0.0, -180.0, 0.0, -1.0, 90.0)
    ingest(tif(cells, crs="EPSG:4326", transform=world), "world", catalog=catalog)
    collection = catalog.collection("world")
    assert collection.manifest.raster["tiles"] is None and "tiles.pmtiles" not in collection.manifest.files
