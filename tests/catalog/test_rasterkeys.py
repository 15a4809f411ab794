"""The registry's table of how a raster is drawn: read, and every mistake named."""

from __future__ import annotations

from pathlib import Path

import pytest

from gisservice.catalog import load_registry
from gisservice.catalog.rasterkeys import height_unit
from gisservice.errors import RegistryError
from gisservice.model import ColorStop, RasterClass, RasterStyle
from gisservice.ramps import ramp, ramp_names


def style(folder: Path, text: str, geometry: str = "raster") -> RasterStyle:
    more = "" if geometry == "raster" else 'columns.pid = {type = "string"}\n'
    (folder / "layers.toml").write_text(
        f'[city]\nname = "X"\n[layers.a]\ntitle = "A"\ngeometry = "{geometry}"\nsources = [{{path = "a.tif"}}]\n{more}'
        f"[layers.a.raster]\n{text}\n"
    )
    found = load_registry(folder / "layers.toml").layer("a")
    assert found is not None
    return found.raster


def test_all_keys_are_read(tmp_path):
    found = style(
        tmp_path, 'bands = [4, 3, 2]\nrescale = [0, 300]\nresampling = "cubic"\nformat = "webp"\nunit = "foot"'
    )
    assert found == RasterStyle((4, 3, 2), ((0.0, 300.0),), None, (), (), "cubic", "foot", "webp")
    assert style(tmp_path, "rescale = [[0, 1], [0, 2], [0, 3]]").rescale == ((0, 1), (0, 2), (0, 3))
    assert style(tmp_path, 'colormap = "viridis"').colormap == "viridis"
    stops = style(tmp_path, 'stops = [{value = 0, color = "#000000"}, {value = 9.5, color = "#FFFFFF"}]').stops
    assert stops == (ColorStop(0, "#000000"), ColorStop(9.5, "#ffffff"))
    classes = style(tmp_path, 'classes = [{value = 1, label = "Water", color = "#4c7fb0"}]').classes
    assert classes == (RasterClass(1, "Water", "#4c7fb0"),)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('colourmap = "viridis"', "did you mean 'colormap'"),
        ('colormap = "viridiss"', "did you mean 'viridis'"),
        ("bands = [1, 2]", "the number of one band, or of three"),
        ("bands = [0]", "the number of one band"),
        ("rescale = [3, 3]", "two rising values"),
        ("rescale = [0, nan]", "two rising values"),
        ('stops = [{value = 0, color = "#000000"}]', "at least two"),
        ('stops = [{value = 1, color = "#000000"}, {value = 1, color = "#ffffff"}]', "values that rise"),
        ('classes = [{value = 1.5, label = "A", color = "#000000"}]', "a whole number"),
        ('classes = [{value = 1, label = "A", color = "red"}]', "a colour such as"),
        ('resampling = "bilinear"\nclasses = [{value = 1, label = "A", color = "#000000"}]', "cannot be averaged"),
        ('colormap = "viridis"\nclasses = [{value = 1, label = "A", color = "#000000"}]', "expected one of"),
        ('unit = "feet"', "did you mean 'foot'"),
        ('format = "tiff"', "a format of pictures"),
    ],
)
def test_mistakes_are_named(tmp_path, text, problem):
    with pytest.raises(RegistryError, match=problem):
        style(tmp_path, text)


def test_only_rasters_have_the_table(tmp_path):
    with pytest.raises(RegistryError, match="only rasters have this table"):
        style(tmp_path, "bands = [1]", "polygon")


def test_every_named_ramp_has_256_colours():
    assert {"viridis", "terrain", "gray"} <= set(ramp_names())
    assert all(ramp(name).shape == (256, 4) for name in ramp_names())
    with pytest.raises(KeyError):
        ramp("../viridis")


def test_units_of_heights_go_by_many_names():
    names = {
        "m": "metre",
        "Meters": "metre",
        "ft": "foot",
        "ftUS": "US survey foot",
        "US survey foot": "US survey foot",
    }
    assert {name: height_unit(name) for name in names} == names
    assert height_unit(None, "", "ft") == "foot", "the first that is given"
    assert height_unit("fathom", "ft") is None and height_unit(None) is None
