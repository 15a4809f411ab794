"""Published rasters open for reading: levels, windows, values at positions, bounds, damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from gisservice.catalog.rasters import CELLS_MAX, Raster, Window
from gisservice.errors import CatalogError, LimitExceeded


def write(path: Path, cells: np.ndarray, transform: Affine, *, overviews: tuple[int, ...] = (), **more: object) -> Path:
    bands = cells[np.newaxis] if cells.ndim == 2 else cells
    shape = {"count": len(bands), "height": bands.shape[1], "width": bands.shape[2], "dtype": bands.dtype}
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:2283", transform=transform, **shape, **more) as file:
        file.write(bands)
        if overviews:
            file.build_overviews(overviews)
    return path


def opened(path: Path, code: str = "EPSG:2283") -> Raster:
    return Raster(path, path.name, {}, code)


PLACE = Affine(10.0, 0.0, 11_880_000.0, 0.0, -10.0, 6_990_000.0)


@pytest.mark.parametrize(
    "transform",
    [PLACE, PLACE @ Affine.rotation(30), PLACE @ Affine.scale(1, -1), PLACE @ Affine.shear(20, 5)],
    ids=["north up", "rotated", "south up", "sheared"],
)
def test_values_at_positions_are_those_that_gdal_samples(tmp_path, transform):
    cells = np.arange(60 * 80, dtype="float32").reshape(60, 80)
    cells[10:20, 30:40] = -9999
    path = write(tmp_path / "a.tif", cells, transform, nodata=-9999)
    at = np.random.default_rng(1).uniform((-5, -5), (85, 65), (500, 2))
    xy = np.array([transform @ tuple(pair) for pair in at])
    found = opened(path).sample(xy)[:, 0]
    with rasterio.open(path) as file:
        truth = np.array([value[0] for value in file.sample(xy, masked=True)], dtype=object)
    truth = np.array([np.nan if value is np.ma.masked else float(value) for value in truth])
    inside = (at >= 0).all(axis=1) & (at < (80, 60)).all(axis=1)
    assert np.array_equal(found[inside], truth[inside], equal_nan=True)
    assert np.isnan(found[~inside]).all()


def test_levels_are_those_of_the_file_and_halvings_of_its_last(tmp_path):
    cells = np.random.default_rng(2).uniform(0, 100, (256, 300)).astype("float32")
    raster = opened(write(tmp_path / "a.tif", cells, PLACE, overviews=(2,)))
    sizes = [(level.width, level.height) for level in raster.levels]
    assert sizes[:3] == [(300, 256), (150, 128), (75, 64)]
    whole = raster.read([1], Window(0, 0, 75, 64), 2)
    assert whole.values[0] == pytest.approx(cells.reshape(64, 4, 75, 4)[:, ::2, :, ::2].mean(axis=(1, 3)), abs=40)
    part = raster.read([1], Window(10, 20, 5, 6), 2)
    assert (part.values == whole.values[:, 20:26, 10:15]).all()


def test_a_window_over_the_limit_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "sparse.tif"
    options = {"driver": "GTiff", "width": 20_000, "height": 20_000, "count": 1, "dtype": "uint8"}
    with rasterio.open(
        path, "w", crs="EPSG:2283", transform=PLACE, tiled=True, SPARSE_OK=True, nodata=0, **options
    ) as file:
        assert file.width * file.height > CELLS_MAX
    with pytest.raises(LimitExceeded, match="cells"):
        opened(path).read([1], Window(0, 0, 20_000, 20_000))


def test_masks_alpha_and_nodata_are_told_apart(tmp_path, shared_data):
    plain = opened(write(tmp_path / "plain.tif", np.ones((20, 20), "uint8"), PLACE))
    assert plain.read([1], Window(0, 0, 20, 20)).opacity is None
    cells = np.ones((20, 20), "float32")
    cells[3, 4], cells[5, 6] = np.nan, -1
    holes = opened(write(tmp_path / "holes.tif", cells, PLACE, nodata=-1)).read([1], Window(0, 0, 20, 20)).opacity
    assert [tuple(place) for place in np.argwhere(~holes)] == [(3, 4), (5, 6)]
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="YES"):
        path = write(tmp_path / "mask.tif", np.ones((20, 20), "uint8"), PLACE)
        with rasterio.open(path, "r+") as file:
            file.write_mask(np.eye(20, dtype=bool))
    assert (opened(path).read([1], Window(0, 0, 20, 20)).opacity == np.eye(20, dtype=bool)).all()
    imagery = opened(shared_data / "raster" / "naip_rgba_cog_3857.tif", "EPSG:3857")
    assert (imagery.bands, imagery.alpha) == ((1, 2, 3), 4)
    with rasterio.open(imagery.path) as file:
        assert (imagery.read((1, 2, 3), Window(0, 0, 512, 512)).opacity == file.read(4)[:512, :512]).all()


def test_a_truncated_file_is_an_error_that_names_it(tmp_path):
    cells = np.random.default_rng(3).integers(0, 255, (512, 512)).astype("uint8")
    path = write(tmp_path / "cut.tif", cells, PLACE, tiled=True, blockxsize=128, blockysize=128, compress="deflate")
    raster = opened(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CatalogError, match=r"cut\.tif is damaged"):
        opened(path).read([1], Window(0, 0, 512, 512))
    with pytest.raises(CatalogError, match=r"cut\.tif is damaged"):
        raster.read([1], Window(0, 0, 512, 512))
