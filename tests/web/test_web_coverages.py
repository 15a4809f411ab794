"""Parts of rasters as GeoTIFF: the cells that rasterio reads there."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import rasterio.warp
from rasterio.io import MemoryFile
from web_city import City
from werkzeug.test import Client

from gisservice.catalog.rasters import Raster, Window

URL = "/api/collections/relief/coverage"
BOX = (-77.052, 38.806, -77.047, 38.811)


def test_a_part_has_the_cells_that_rasterio_reads_there(client: Client, city: City):
    answer = client.get(f"{URL}?bbox={','.join(map(str, BOX))}")
    assert (answer.status_code, answer.content_type) == (200, "image/tiff; application=geotiff")
    bounds = rasterio.warp.transform_bounds("OGC:CRS84", "EPSG:2283", *BOX, densify_pts=200)
    with MemoryFile(answer.data) as memory, memory.open() as part, rasterio.open(
        city.catalog.collection("relief").path / "raster.tif"
    ) as whole:  # fmt: skip
        first = np.floor(~whole.transform @ (bounds[0], bounds[3])).astype(int)
        last = np.ceil(~whole.transform @ (bounds[2], bounds[1])).astype(int)
        expected = rasterio.windows.Window(*first, *(last - first))
        assert part.transform == whole.transform @ rasterio.Affine.translation(*first)
        assert (part.crs, part.nodata, part.dtypes) == (whole.crs, whole.nodata, whole.dtypes)
        assert (part.read() == whole.read(window=expected)).all() and part.read().std() > 1
    etag = answer.headers["ETag"]
    assert client.get(f"{URL}?bbox={','.join(map(str, BOX))}", headers={"If-None-Match": etag}).status_code == 304


def test_without_a_box_it_is_the_whole_and_beyond_the_edge_what_is_there(client: Client, city: City):
    with rasterio.open(city.catalog.collection("relief").path / "raster.tif") as whole:
        for query in ("", "?bbox=-80,30,-70,45&f=tiff"):
            with MemoryFile(client.get(URL + query).data) as memory, memory.open() as part:
                assert (part.read() == whole.read()).all() and part.transform == whole.transform


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("bbox=1,2,3", "west,south"), ("bbox=1,2,nan,4", "west,south"), ("bbox=3,2,1,4", "west before east"),
        ("bbox=0,0,1,1", "meets the layer"), ("f=png", "'tiff'"), ("box=1", "did you mean 'bbox'"),
    ],
)  # fmt: skip
def test_what_is_no_part_is_refused(client: Client, query: str, told: str):
    answer = client.get(f"{URL}?{query}")
    assert answer.status_code == 400 and told in answer.get_json()["detail"]


def test_more_cells_than_are_cut_are_refused_before_they_are_read(client: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gisservice.web.coverages.CELLS_MAX", 1000)
    answer = client.get(f"{URL}?bbox=-77.053,38.805,-77.047,38.811")
    assert answer.status_code == 400 and "download" in answer.get_json()["detail"]
    assert client.get("/api/collections/lots/coverage").status_code == 404


def test_colours_masks_and_alpha_go_along(tmp_path, shared_data):
    folder = shared_data / "raster"
    for name, code in (("landcover_1m_palette_cog", "EPSG:3857"), ("naip_rgba_cog_3857", "EPSG:3857")):
        raster = Raster(folder / f"{name}.tif", name, {}, code)
        with MemoryFile(raster.cut(Window(300, 200, 400, 300))) as memory, memory.open() as part, rasterio.open(
            raster.path
        ) as whole:  # fmt: skip
            assert (part.read() == whole.read(window=rasterio.windows.Window(300, 200, 400, 300))).all()
            assert part.colorinterp == whole.colorinterp
            assert name[:4] == "naip" or part.colormap(1) == whole.colormap(1)
    path = tmp_path / "masked.tif"
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK="YES"),
        rasterio.open(
            path, "w", driver="GTiff", width=20, height=20, count=1, dtype="uint8", crs="EPSG:2283",
            transform=rasterio.Affine(10, 0, 11_880_000, 0, -10, 6_990_000),
        ) as file,
    ):  # fmt: skip
        file.write(np.ones((1, 20, 20), "uint8"))
        file.write_mask(np.eye(20, dtype=bool))
    with MemoryFile(Raster(path, "m", {}, "EPSG:2283").cut(Window(5, 5, 10, 10))) as memory, memory.open() as part:
        assert (part.read_masks(1) > 0).tolist() == np.eye(10, dtype=bool).tolist()
