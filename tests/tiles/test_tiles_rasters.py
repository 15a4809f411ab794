"""Raster tiles: pixels as GDAL warps them, relief as gdaldem shades it, no seams, pictures that others can read."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import Affine

from gisservice.catalog.rasters import Raster
from gisservice.crs import CRS, CRS84, reprojection
from gisservice.tiles import matrix_set
from gisservice.tiles.grid import EXTENT
from gisservice.tiles.matrix import WEB_MERCATOR_QUAD, TileMatrixSet
from gisservice.tiles.rasterdraw import Product, Rendering, draw
from gisservice.tiles.rasterimage import JPEG, PNG, WEBP, Picture, encode
from gisservice.tiles.rasterwarp import Pixels, Rect, Resampling, Warp
from gisservice.tiles.relief import ground_steps

SIZE = 256


def shared(folder: Path, name: str, code: str) -> Raster:
    return Raster(folder / "raster" / f"{name}.tif", name, {}, code)


def box(grid: TileMatrixSet, z: int, rect: Rect) -> list[str]:
    matrix = grid.matrices[z]
    cell = matrix.unit * EXTENT / SIZE
    west, north = matrix.origin[0] + rect.column * cell, matrix.origin[1] - rect.row * cell
    return [repr(float(v)) for v in (west, north - rect.height * cell, west + rect.width * cell, north)]


def warped_by_gdal(folder: Path, path: Path, grid: TileMatrixSet, z: int, rect: Rect, how: str) -> np.ndarray:
    out = folder / "warped.tif"
    subprocess.run(
        ["gdalwarp", "-q", "-overwrite", "-t_srs", grid.crs.to_wkt(), "-te", *box(grid, z, rect), "-ts",
         str(rect.width), str(rect.height), "-r", how, "-et", "0", "-dstalpha", "-wo", "UNIFIED_SRC_NODATA=YES",
         str(path), str(out)],
        check=True,
    )  # fmt: skip
    with rasterio.open(out) as file:
        return file.read()


def nearest_zoom(warp: Warp) -> int:
    return min(range(20), key=lambda z: abs(np.log(warp.ratio(z, SIZE))))


def inside(warp: Warp, z: int) -> Rect:
    """Some hundred pixels on a side that the raster covers."""
    reach = warp.reach(z, SIZE)
    width, height = min(reach.width - 40, 500), min(reach.height - 40, 500)
    return Rect(reach.column + (reach.width - width) // 2, reach.row + (reach.height - height) // 2, width, height)


def alpha_of(pixels: Pixels) -> np.ndarray:
    if pixels.opacity is None:
        return np.full(pixels.values.shape[1:], 255)
    return pixels.opacity * 255 if pixels.opacity.dtype == bool else pixels.opacity.astype(int)


SOURCES = {
    "naip_rgba_cog_3857": "EPSG:3857",
    "rgb_rmnp_4326": "EPSG:4326",
    "shade_3857": "EPSG:3857",
    "dem_swiss_2m5_epsg2056": "EPSG:2056",
    "dem_rmnp_4326": "EPSG:4326",
}
"""Colours with alpha and without, bytes with nodata, 32-bit reals and 16-bit numbers with nodata."""


@pytest.mark.parametrize("how", ["nearest", "bilinear", "cubic"])
@pytest.mark.parametrize("set_id", ["WebMercatorQuad", "WorldCRS84Quad"])
@pytest.mark.parametrize("name", SOURCES)
def test_pixels_are_those_of_gdals_warp_within_one_level(tmp_path, shared_data, name, set_id, how):
    raster, grid = shared(shared_data, name, SOURCES[name]), matrix_set(set_id)
    warp = Warp(raster, grid)
    z = nearest_zoom(warp)
    for zoom in (z, z + 1):
        rect = inside(warp, zoom)
        found = warp.pixels(zoom, SIZE, rect, raster.bands, Resampling(how))
        truth = warped_by_gdal(tmp_path, raster.path, grid, zoom, rect, how)
        alpha, shown = truth[-1].astype(int) // (257 if truth.dtype == np.uint16 else 1), alpha_of(found)
        assert (np.abs(alpha - shown) > 1).sum() <= 2
        both = (alpha > 0) & (shown > 0)
        assert both.sum() > 1000
        values = found.values if raster.dtype != "uint8" else np.clip(found.values, 0, 255)
        off = np.abs(np.round(values) - np.round(truth[:-1].astype(float)))[:, both]
        # Where a pixel's middle lies on the line between two cells, nearest may take the other: one row of them.
        allowed = 0 if how != "nearest" else rect.width * len(raster.bands)
        assert (off > 1).sum() <= allowed


def test_codes_of_a_palette_are_those_of_gdals_warp(tmp_path, shared_data):
    """Of its overviews, too: a pixel has the code of one cell, never a mean of codes."""
    raster = shared(shared_data, "landcover_1m_palette_cog", "EPSG:3857")
    warp = Warp(raster, WEB_MERCATOR_QUAD)
    z = nearest_zoom(warp)
    for zoom in (z - 4, z - 2):
        rect = inside(warp, zoom)
        found = warp.pixels(zoom, SIZE, rect, [1], Resampling.NEAREST)
        truth = warped_by_gdal(tmp_path, raster.path, WEB_MERCATOR_QUAD, zoom, rect, "near")
        assert found.values.dtype == np.uint8 and len(np.unique(truth[0])) > 3
        # A pixel's middle can lie on the line between two cells: either is right.
        assert (found.values[0] != truth[0]).mean() < 0.005


@pytest.mark.parametrize("how", ["nearest", "bilinear"])
def test_what_a_mask_hides_is_hidden_as_gdal_does(tmp_path, how):
    y, x = np.mgrid[0:200, 0:200]
    path = tmp_path / "masked.tif"
    shape = {"width": 200, "height": 200, "count": 3, "dtype": "uint8"}
    place = Affine(10.0, 0.0, 11_890_000.0, 0.0, -10.0, 6_980_000.0)
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK="YES"),
        rasterio.open(path, "w", driver="GTiff", crs="EPSG:2283", transform=place, **shape) as file,
    ):
        file.write(np.stack([x, y, (x + y) // 2]).astype("uint8"))
        file.write_mask((x - 100) ** 2 + (y - 100) ** 2 < 80**2)
    raster = Raster(path, "masked", {}, "EPSG:2283")
    warp = Warp(raster, WEB_MERCATOR_QUAD)
    z = nearest_zoom(warp) + 1
    rect = warp.reach(z, SIZE)
    found = warp.pixels(z, SIZE, rect, raster.bands, Resampling(how))
    truth = warped_by_gdal(tmp_path, path, WEB_MERCATOR_QUAD, z, rect, how)
    shown, expected = alpha_of(found) > 0, truth[-1] > 0
    assert 0.2 < expected.mean() < 0.8 and (shown != expected).mean() < 0.002
    both = shown & expected
    off = np.abs(np.round(found.values) - truth[:-1].astype(float))[:, both]
    assert (off > 1).sum() <= (0 if how == "bilinear" else rect.width * 3)


@pytest.mark.parametrize(
    "turn",
    [Affine.rotation(25), Affine.scale(1, -1), Affine.scale(-1, 1), Affine.rotation(90)],
    ids=["rotated", "south up", "east left", "quarter turn"],
)
def test_rotated_and_flipped_rasters_lie_where_gdal_puts_them(tmp_path, turn):
    y, x = np.mgrid[0:300, 0:300]
    cells = (1000 + 800 * np.sin(x / 15) * np.cos(y / 21)).astype("uint16")
    place = Affine(10.0, 0.0, 11_890_000.0, 0.0, -10.0, 6_980_000.0) @ turn
    path = tmp_path / "a.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=300, height=300, count=1, dtype="uint16", crs="EPSG:2283", transform=place
    ) as file:
        file.write(cells, 1)
    raster = Raster(path, "a", {}, "EPSG:2283")
    warp = Warp(raster, WEB_MERCATOR_QUAD)
    z = nearest_zoom(warp) + 1
    rect = warp.reach(z, SIZE)
    found = warp.pixels(z, SIZE, rect, [1], Resampling.BILINEAR)
    truth = warped_by_gdal(tmp_path, path, WEB_MERCATOR_QUAD, z, rect, "bilinear")
    both = (truth[-1] > 0) & (alpha_of(found) > 0)
    # GDAL runs another, equally good operation from NAD83 to WGS 84, or none: a hundredth of a pixel.
    assert both.sum() > 20_000 and ((truth[-1] > 0) != (alpha_of(found) > 0)).sum() < 0.002 * both.sum()
    assert np.abs(found.values[0] - truth[0].astype(float))[both].max() < 3


RENDERINGS = {
    product.value: Rendering(product, (1,), ((1600.0, 2020.0) if product is Product.VALUES else (0.0, 360.0),), how)
    for product, how in zip(Product, [Resampling.CUBIC, *[Resampling.BILINEAR] * 6], strict=True)
}


@pytest.mark.parametrize("rendering", RENDERINGS.values(), ids=list(RENDERINGS))
def test_tiles_are_cut_from_one_big_picture_without_a_seam(shared_data, rendering):
    warp = Warp(shared(shared_data, "dem_swiss_2m5_epsg2056", "EPSG:2056"), WEB_MERCATOR_QUAD)
    z, size, seams, drawn = 19, 32, 0, 0
    reach = warp.reach(z, size)
    left, top = reach.column // size, reach.row // size
    columns, rows = -(-(reach.column + reach.width) // size) - left, -(-(reach.row + reach.height) // size) - top
    columns, rows = min(columns, 17), min(rows, 17)
    assert (columns - 1) * rows + columns * (rows - 1) >= 500, "pairs of neighbours"
    whole = draw(warp, z, size, Rect(left * size, top * size, columns * size, rows * size), rendering)
    assert whole is not None
    truth = whole.rgba()
    for i in range(columns):
        for j in range(rows):
            part = draw(warp, z, size, Rect((left + i) * size, (top + j) * size, size, size), rendering)
            expected = truth[j * size : (j + 1) * size, i * size : (i + 1) * size]
            found = np.zeros_like(expected) if part is None else part.rgba()
            both = (found[..., 3] > 0) | (expected[..., 3] > 0)
            seams += int((found != expected).any(axis=-1)[both].sum())
            drawn += part is not None
    assert drawn > 250 and seams == 0


@pytest.mark.parametrize(
    ("product", "arguments"),
    [
        (Product.HILLSHADE, ["hillshade"]),
        (Product.MULTIDIRECTIONAL, ["hillshade", "-multidirectional"]),
        (Product.SLOPE, ["slope"]),
        (Product.ASPECT, ["aspect"]),
    ],
)
def test_relief_is_that_of_gdaldem(tmp_path, shared_data, product, arguments):
    """On the same heights, with the step that a pixel of Web Mercator has on the ellipsoid there."""
    raster = shared(shared_data, "dem_swiss_2m5_epsg2056", "EPSG:2056")
    warp = Warp(raster, WEB_MERCATOR_QUAD)
    z = 15
    rect = inside(warp, z)
    heights = warp.pixels(z, SIZE, rect.grown(1), [1], Resampling.BILINEAR).values[0]
    across, down = (float(step[rect.height // 2, 0]) for step in ground_steps(WEB_MERCATOR_QUAD, z, SIZE, rect))
    with rasterio.open(
        tmp_path / "dem.tif", "w", driver="GTiff", width=rect.width + 2, height=rect.height + 2, count=1,
        dtype="float32", crs="EPSG:2056", transform=Affine(across, 0, 2_573_000, 0, -down, 1_086_000),
    ) as file:  # fmt: skip
        file.write(heights, 1)
    subprocess.run(["gdaldem", *arguments, "-q", tmp_path / "dem.tif", tmp_path / "out.tif"], check=True)
    with rasterio.open(tmp_path / "out.tif") as file:
        truth = file.read(1)[1:-1, 1:-1]
    span = {Product.SLOPE: (0.0, 90.0), Product.ASPECT: (0.0, 360.0)}.get(product, (0.0, 255.0))
    picture = draw(warp, z, SIZE, rect, Rendering(product, (1,), (span,), Resampling.BILINEAR))
    assert picture is not None
    found = picture.pixels[..., 0].astype(float)
    if product in (Product.SLOPE, Product.ASPECT):
        truth = truth / span[1] * 255
    off = np.abs(found - truth)
    off = np.minimum(off, 255 - off) if product is Product.ASPECT else off
    assert off.max() <= 1.01


def test_steps_on_the_ground_are_those_of_the_ellipsoid():
    geod = CRS("EPSG:4326").get_geod()
    for set_id, z in (("WebMercatorQuad", 14), ("WorldCRS84Quad", 13)):
        grid = matrix_set(set_id)
        tile = grid.positions(np.array([[-77.05, 38.8]]), z)[0] / EXTENT
        rect = Rect(int(tile[0] * SIZE), int(tile[1] * SIZE), 1, 1)
        across, down = (float(step[0, 0]) for step in ground_steps(grid, z, SIZE, rect))
        side = EXTENT / SIZE
        cell = grid.matrices[z].unit * side
        corner = np.array([grid.matrices[z].origin]) + np.array([[rect.column * cell, -rect.row * cell]])
        corners = corner + np.array([[0, 0], [cell, 0], [0, -cell]])
        (lon, east, _), (lat, _, south) = reprojection(grid.crs, CRS84).apply(corners).T
        assert geod.inv(lon, lat, east, lat)[2] == pytest.approx(across, rel=1e-4)
        assert geod.inv(lon, lat, lon, south)[2] == pytest.approx(down, rel=1e-4)


def test_heights_come_back_from_their_colours(shared_data):
    raster = shared(shared_data, "dem_swiss_2m5_epsg2056", "EPSG:2056")
    warp = Warp(raster, WEB_MERCATOR_QUAD)
    rect = inside(warp, 15)
    heights = warp.pixels(15, SIZE, rect, [1], Resampling.BILINEAR).values[0]
    for product, decode, step in (
        (Product.TERRAIN_RGB, lambda r, g, b: (r * 65536 + g * 256 + b) * 0.1 - 10000, 0.05),
        (Product.TERRARIUM, lambda r, g, b: r * 256 + g + b / 256 - 32768, 1 / 512),
    ):
        picture = draw(warp, 15, SIZE, rect, Rendering(product, (1,), ((0, 255),), Resampling.BILINEAR))
        assert picture is not None
        for media in (PNG, WEBP):
            pixels = np.asarray(Image.open(io.BytesIO(encode(picture, media))).convert("RGB")).astype(float)
            assert np.abs(decode(*np.moveaxis(pixels, -1, 0)) - heights).max() <= step + 1e-3


def test_classes_keep_their_colours_at_every_zoom(shared_data):
    raster = shared(shared_data, "landcover_1m_palette_cog", "EPSG:3857")
    warp = Warp(raster, WEB_MERCATOR_QUAD)
    codes = ((1, "#0000ff"), (2, "#00ff00"), (5, "#ff0000"))
    rendering = Rendering(Product.VALUES, (1,), ((0, 255),), Resampling.NEAREST, codes=codes)
    colours = {(0, 0, 255, 255), (0, 255, 0, 255), (255, 0, 0, 255)}
    drawn = 0
    for z in (10, 12, 14):
        reach = warp.reach(z, SIZE)
        picture = draw(
            warp, z, SIZE, reach._replace(width=min(reach.width, 600), height=min(reach.height, 600)), rendering
        )
        if picture is not None:
            rgba = np.asarray(Image.open(io.BytesIO(encode(picture, PNG))).convert("RGBA")).reshape(-1, 4)
            assert {tuple(row) for row in np.unique(rgba[rgba[:, 3] > 0], axis=0).tolist()} <= colours
            drawn += int((rgba[:, 3] > 0).sum())
    assert drawn > 1000


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_png_is_read_back_as_it_was(channels):
    pixels = np.random.default_rng(channels).integers(0, 256, (37, 53, channels)).astype("uint8")
    data = encode(Picture(pixels), PNG)
    image = Image.open(io.BytesIO(data))
    image.verify()
    found = np.asarray(Image.open(io.BytesIO(data)))
    assert (found.reshape(pixels.shape) == pixels).all()
    assert encode(Picture(pixels), PNG) == data


def test_a_palette_with_transparency_is_read_back():
    pixels = np.random.default_rng(1).integers(0, 7, (20, 30, 1)).astype("uint8")
    palette = np.random.default_rng(2).integers(0, 256, (7, 4)).astype("uint8")
    picture = Picture(pixels, palette)
    for media in (PNG, WEBP):
        found = np.asarray(Image.open(io.BytesIO(encode(picture, media))).convert("RGBA"))
        assert (found == palette[pixels[..., 0]]).all()


def test_a_jpeg_is_white_where_a_picture_is_transparent():
    pixels = np.zeros((32, 32, 4), dtype="uint8")
    found = np.asarray(Image.open(io.BytesIO(encode(Picture(pixels), JPEG))))
    assert (found >= 250).all()


def test_a_giant_sparse_world_is_drawn_at_every_zoom_with_few_cells(shared_data, monkeypatch):
    raster = shared(shared_data, "world_mask_36000x18000_cog", "EPSG:4326")
    read, most = raster.read, []
    monkeypatch.setattr(raster, "read", lambda b, w, level=0: (most.append(w.width * w.height), read(b, w, level))[1])
    for set_id in ("WebMercatorQuad", "WorldCRS84Quad"):
        grid = matrix_set(set_id)
        warp = Warp(raster, grid)
        for z in (0, 1, 3, 6, 9, 14):
            side = grid.matrices[z].width // 2
            warp.pixels(
                z, SIZE, Rect(side * SIZE, grid.matrices[z].height // 2 * SIZE, SIZE, SIZE), [1], Resampling.BILINEAR
            )
    assert max(most) < 3_000_000
