"""The registry: what it reads, and that each mistake is told with its file, line, key and the way out."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gisservice.catalog.positions import key_lines
from gisservice.catalog.registry import load_registry
from gisservice.errors import RegistryError
from gisservice.model import AlwaysDrawn, ColumnType, GeometryKind, Source, Style, StyleClass, Visibility

GOOD = """\
maps = "maps.toml"

[city]
name = "Testville"
notice = "Not a real city."

[layers.parcels]
title = "Parcels"
sources = [{path = "parcels.gdb.zip", layer = "Parcels", crs = "EPSG:2283"}]
storage_crs = "EPSG:2283"
geometry = "polygon"
id_column = "pid"
coverage = true
zoom = [11, 16]

[layers.parcels.columns]
pid = {source = "OBJECTID", type = "integer", meaning = "Parcel number"}
zoning = {type = "string", codes = {RB = "Townhouse", R-20 = "Single family"}}
owner = {source = "OWN_NAME", type = "string", visibility = "never"}
value = {type = "number", unit = "USD", visibility = "internal"}

[layers.parcels.style]
color = "#AABBCC"
opacity = 0.4
label = "pid"
by = "zoning"
classes = [
    {value = "RB", label = "Townhouse", color = "#112233"},
    {value = "R-20", color = "#445566"},
]

[layers.relief]
title = "Relief"
sources = [{path = "dem.tif"}]
geometry = "raster"
enabled = false
"""

MAPS = """\
[maps.property]
title = "Property"
layers = ["relief", "parcels"]
center = [-77.05, 38.81]
zoom = 13
"""


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str = GOOD, maps: str = MAPS) -> Path:
        (tmp_path / "maps.toml").write_text(maps, encoding="utf-8")
        path = tmp_path / "layers.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_whole_registry(write):
    path = write()
    registry = load_registry(path)
    assert registry.folder == str(path.parent)
    assert (registry.city.name, registry.city.notice, registry.city.contact) == ("Testville", "Not a real city.", "")
    parcels, relief = registry.layers
    assert parcels.sources == (Source("parcels.gdb.zip", layer="Parcels", crs="EPSG:2283"),)
    assert (parcels.geometry, parcels.id_column, parcels.coverage) == (GeometryKind.POLYGON, "pid", True)
    assert (parcels.minzoom, parcels.maxzoom, parcels.storage_crs) == (11, 16, "EPSG:2283")
    pid, zoning, owner, value = parcels.columns
    assert (pid.source, pid.type, pid.meaning) == ("OBJECTID", ColumnType.INTEGER, "Parcel number")
    assert (zoning.source, zoning.codes) == ("zoning", (("RB", "Townhouse"), ("R-20", "Single family")))
    assert (owner.visibility, value.visibility, value.unit) == (Visibility.NEVER, Visibility.INTERNAL, "USD")
    assert parcels.style.color == "#aabbcc"
    assert parcels.style.classes == (StyleClass("RB", "Townhouse", "#112233"), StyleClass("R-20", "R-20", "#445566"))
    assert (relief.geometry, relief.columns, relief.enabled, relief.style) == (
        GeometryKind.RASTER,
        None,
        False,
        Style(),
    )
    (shown,) = registry.maps
    assert (shown.layers, shown.center, shown.zoom) == (("relief", "parcels"), (-77.05, 38.81), 13)


COUNTED = """\
[maps.property.styles.parcels]
by = "pid"
width = 2
classes = [{least = 0, label = "Few", color = "#ffffff"}, {least = 12.5, color = "#000000"}]
"""


def test_a_map_draws_a_layer_by_ranges_of_a_number(write):
    registry = load_registry(write(maps=MAPS + COUNTED))
    (shown,), parcels = registry.maps, registry.layer("parcels")
    drawn = shown.styled(parcels)
    assert (drawn.style.by, drawn.style.width, drawn.style.label, drawn.style.color) == ("pid", 2, "pid", "#aabbcc")
    assert drawn.style.classes == (StyleClass("", "Few", "#ffffff", 0), StyleClass("", "", "#000000", 12.5))
    assert parcels.style.by == "zoning" and shown.styled(registry.layer("relief")) == registry.layer("relief")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('by = "pid"', 'by = "zoning"', "ranges divide numbers only"),
        ("least = 12.5", "least = 0", "expected classes by rising numbers"),
        ("least = 12.5", 'least = "many"', "a number from"),
        ("least = 12.5, ", "", "the smallest number of the class"),
        ("least = 12.5", 'least = 12.5, value = "1"', "unknown key"),
    ],
)
def test_ranges_that_are_none_are_refused(write, old, new, words):
    with pytest.raises(RegistryError) as caught:
        load_registry(write(maps=MAPS + COUNTED.replace(old, new, 1)))
    assert words in caught.value.problem


def test_a_layer_itself_has_no_ranges(write):
    text = GOOD.replace('by = "zoning"', 'by = "pid"').replace('{value = "RB"', '{least = 1, value = "RB"')
    with pytest.raises(RegistryError, match="unknown key"):
        load_registry(write(text))


def test_urls_and_automatic_ids(write):
    text = GOOD.replace('{path = "parcels.gdb.zip", layer = "Parcels", crs = "EPSG:2283"}',
                        '{url = "https://gis.example.org/arcgis/rest/services/A/FeatureServer/0"}')  # fmt: skip
    parcels = load_registry(write(text.replace('id_column = "pid"', 'id_column = "auto"'))).layer("parcels")
    assert parcels.sources[0].location == "https://gis.example.org/arcgis/rest/services/A/FeatureServer/0"
    assert parcels.id_column is None
    local = GOOD.replace('path = "parcels.gdb.zip"', 'url = "http://127.0.0.1:8001/rest/services/A/MapServer/12"')
    assert load_registry(write(local)).layer("parcels").sources[0].location.endswith("/12")


def with_always_drawn(value: str) -> str:
    return GOOD.replace("zoom = [11, 16]", f"zoom = [11, 16]\nalways_drawn = {value}")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("true", AlwaysDrawn()),
        ("false", None),
        ("{column = 'zoning', values = ['R-20', 'RB']}", AlwaysDrawn("zoning", ("R-20", "RB"))),
    ],
)
def test_records_that_are_always_drawn(write, value, expected):
    assert load_registry(write(with_always_drawn(value))).layer("parcels").always_drawn == expected
    assert load_registry(write()).layer("parcels").always_drawn is None


@pytest.mark.parametrize(
    ("value", "key", "words"),
    [
        ("'RB'", "", "was 'RB'; expected true, or a table such as"),
        ("{values = ['RB']}", "", "has no 'column'"),
        ("{column = 'zoning'}", "", "has no 'values'; expected a list of values in quotes"),
        ("{column = 'zoning', value = ['RB']}", ".value", "did you mean 'values'?"),
        ("{column = 'zonin', values = ['RB']}", ".column", "did you mean 'zoning'?"),
        ("{column = 'owner', values = ['RB']}", ".column", "expected a declared public column"),
        ("{column = 'pid', values = ['1']}", ".column", "is of type integer; expected one of type string"),
        ("{column = 'zoning', values = []}", ".values", "was []; expected a list of values in quotes"),
        ("{column = 'zoning', values = 'RB'}", ".values", "was 'RB'; expected a list of values"),
        ("{column = 'zoning', values = [1]}", ".values", "was [1]; expected a list of values"),
        ("{column = 'zoning', values = ['RB', 'RB']}", ".values", "'RB' is there more than once"),
        ("{column = 'zoning', values = ['R-21']}", ".values", "is no code of column 'zoning'; did you mean 'R-20'?"),
        ("{column = 'zoning', values = ['x']}", ".values", "they are RB, R-20."),
    ],
)
def test_a_mistake_in_what_is_always_drawn(write, value, key, words):
    path = write(with_always_drawn(value))
    with pytest.raises(RegistryError) as caught:
        load_registry(path)
    assert (caught.value.line, caught.value.key) == (15, f"layers.parcels.always_drawn{key}")
    assert words in caught.value.problem


def test_a_raster_draws_no_records(write):
    with pytest.raises(RegistryError, match="a raster has no records"):
        load_registry(write(GOOD.replace("enabled = false", "always_drawn = true")))


MISTAKES = [
    # what is replaced, by what, line, key, words of the message
    ("title =", "titel =", 8, "layers.parcels.titel", "unknown key; did you mean 'title'?"),
    ('title = "Parcels"', "", 7, "layers.parcels", "has no 'title'"),
    ('title = "Parcels"', "title = 7", 8, "layers.parcels.title", "was 7; expected text"),
    ('title = "Parcels"', 'title = "  "', 8, "layers.parcels.title", "expected text"),
    ('name = "Testville"', "name = 2024-01-01", 4, "city.name", "expected text"),
    ('notice = "Not a real city."', "zzz = 1", 5, "city.zzz", "unknown key; expected one of name, notice, contact"),
    ("[city]", "[town]", 3, "town", "unknown key"),
    ("[layers.parcels]", '[layers."Par cels"]', 7, "layers.Par cels", "cannot be a collection id"),
    ('path = "parcels.gdb.zip"', 'pth = "x"', 9, "layers.parcels.sources[0].pth", "did you mean 'path'?"),
    ('path = "parcels.gdb.zip", ', "", 9, "layers.parcels.sources[0]", "has neither of 'path' and 'url'"),
    ('crs = "EPSG:2283"}', 'url = "https://h/x/FeatureServer/0"}', 9, "layers.parcels.sources[0]", "has both of"),
    ('crs = "EPSG:2283"}', 'x = "X"}', 9, "layers.parcels.sources[0]", "names one coordinate column"),
    ('crs = "EPSG:2283"}', 'crs = "EPSG:999999"}', 9, "layers.parcels.sources[0].crs", "EPSG:999999 is not in"),
    ('path = "parcels.gdb.zip"', 'url = "http://gis.example.org/x/FeatureServer/0"', 9,
     "layers.parcels.sources[0].url", "expected the https address"),
    ('path = "parcels.gdb.zip"', 'url = "https://gis.example.org/x/FeatureServer"', 9,
     "layers.parcels.sources[0].url", "ending in /FeatureServer/0"),
    ('path = "parcels.gdb.zip"', 'url = "https://user:word@gis.example.org/x/FeatureServer/0"', 9,
     "layers.parcels.sources[0].url", "expected the https address"),
    ('storage_crs = "EPSG:2283"', 'storage_crs = "+proj=longlat"', 10, "layers.parcels.storage_crs", "not understood"),
    ('storage_crs = "EPSG:2283"', 'storage_crs = "EPSG:5703"', 10, "layers.parcels.storage_crs", "projected or"),
    ('geometry = "polygon"', 'geometry = "polygons"', 11, "layers.parcels.geometry", "did you mean 'polygon'?"),
    ('geometry = "polygon"', 'geometry = "raster"', 16, "layers.parcels.columns", "a raster has no columns"),
    ('geometry = "polygon"', 'geometry = "point"', 13, "layers.parcels.coverage", "only polygons"),
    ('id_column = "pid"', 'id_column = "pidd"', 12, "layers.parcels.id_column", "did you mean 'pid'?"),
    ('id_column = "pid"', 'id_column = "pid"; title_column = "pi"'.replace("; ", "\n"), 13,
     "layers.parcels.title_column", "did you mean 'pid'?"),
    ('id_column = "pid"', 'id_column = "owner"', 12, "layers.parcels.id_column", "declared public column or 'auto'"),
    ("coverage = true", 'coverage = "yes"', 13, "layers.parcels.coverage", "was 'yes'; expected true or false"),
    ("zoom = [11, 16]", "zoom = [16, 11]", 14, "layers.parcels.zoom", "the smaller first"),
    ("zoom = [11, 16]", "zoom = [0, 21]", 14, "layers.parcels.zoom", "from 0 to 20"),
    ("enabled = false", "zoom = [0, 23]", 36, "layers.relief.zoom", "from 0 to 22"),
    ("zoom = [11, 16]", "zoom = [true, 3]", 14, "layers.parcels.zoom", "whole numbers"),
    ('type = "integer"', 'type = "int"', 17, "layers.parcels.columns.pid.type", "did you mean"),
    ('type = "integer", ', "", 17, "layers.parcels.columns.pid", "has no 'type'"),
    ('visibility = "never"', 'visability = "never"', 19, "layers.parcels.columns.owner.visability",
     "did you mean 'visibility'?"),
    ('visibility = "never"', 'visibility = "nobody"', 19, "layers.parcels.columns.owner.visibility",
     "one of public, internal, never"),
    ("owner = {source", "PID = {source", 19, "layers.parcels.columns.PID", "differs from column 'pid'"),
    ('source = "OWN_NAME"', 'source = "objectid"', 19, "layers.parcels.columns.owner", "is already column 'pid'"),
    ("owner = {source", "geometry = {source", 19, "layers.parcels.columns.geometry", "cannot be a column"),
    ("owner = {source", '"<script>" = {source', 19, "layers.parcels.columns.<script>", "cannot be a column"),
    ('R-20 = "Single family"', 'rb = "Again"', 18, "layers.parcels.columns.zoning.codes.rb", "case or blanks only"),
    ('zoning = {type = "string"', 'zoning = {type = "integer"', 18, "layers.parcels.columns.zoning.codes",
     "needs type = 'string'"),
    ('"#AABBCC"', '"red"', 23, "layers.parcels.style.color", "expected a colour such as '#3b6ea5'"),
    ("opacity = 0.4", "opacity = 40", 24, "layers.parcels.style.opacity", "a number from 0 to 1"),
    ("opacity = 0.4", "opacity = nan", 24, "layers.parcels.style.opacity", "a number from 0 to 1"),
    ('label = "pid"', 'label = "owner"', 25, "layers.parcels.style.label", "expected a declared public column"),
    ('by = "zoning"', "", 27, "layers.parcels.style.classes", "there is no 'by'"),
    ('value = "R-20", color = "#445566"', 'value = "R-21", color = "#445566"', 29,
     "layers.parcels.style.classes[1].value", "did you mean 'R-20'?"),
    ('value = "R-20", color = "#445566"', 'value = "RB", color = "#445566"', 29,
     "layers.parcels.style.classes[1].value", "has a class already"),
    ('value = "R-20", color = "#445566"', 'value = "R-20", color = "grey"', 29,
     "layers.parcels.style.classes[1].color", "expected a colour"),
    ("enabled = false", "enabled = 0", 36, "layers.relief.enabled", "true or false"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "key", "words"), MISTAKES)
def test_a_mistake_is_told_with_its_place(write, old, new, line, key, words):
    assert old in GOOD
    path = write(GOOD.replace(old, new, 1))
    with pytest.raises(RegistryError) as caught:
        load_registry(path)
    error = caught.value
    assert (error.file, error.line, error.key) == (str(path), line, key)
    assert words in error.problem
    assert str(error).startswith(f"{path}, line {line}: {key}: ")


MAP_MISTAKES = [
    ('"relief", "parcels"', '"relief", "parcel"', 3, "maps.property.layers", "did you mean 'parcels'?"),
    ('"relief", "parcels"', '"relief", "relief"', 3, "maps.property.layers", "more than once"),
    ('"relief", "parcels"', "", 3, "maps.property.layers", "a list of layer ids"),
    ("[-77.05, 38.81]", "[38.81, -77.05, 3]", 4, "maps.property.center", "longitude and latitude"),
    ("[-77.05, 38.81]", "[-77.05, 138.81]", 4, "maps.property.center", "longitude and latitude"),
    ("zoom = 13", "zoom = 13.5", 5, "maps.property.zoom", "a whole number"),
    ("zoom = 13", "zom = 13", 5, "maps.property.zom", "did you mean 'zoom'?"),
    ("[maps.property]", "[maps.'A/B']", 1, "maps.A/B", "cannot be a map id"),
    ("zoom = 13", 'reach = "parcels"', 5, "maps.property.reach", "a layer with a table 'network': there is none"),
    ("zoom = 13", 'relief = "relief"', 5, "maps.property.relief", "declares the unit of heights: there is none"),
    ("zoom = 13", 'relief = "parcels"', 5, "maps.property.relief", "one of this map's rasters"),
    ("zoom = 13", "styles.parcel.width = 2", 5, "maps.property.styles.parcel", "did you mean 'parcels'?"),
    ("zoom = 13", "styles.parcels.widht = 2", 5, "maps.property.styles.parcels.widht", "did you mean 'width'?"),
]


@pytest.mark.parametrize(("old", "new", "line", "key", "words"), MAP_MISTAKES)
def test_a_mistake_in_the_maps_names_the_file_of_maps(write, old, new, line, key, words):
    path = write(maps=MAPS.replace(old, new, 1))
    with pytest.raises(RegistryError) as caught:
        load_registry(path)
    assert caught.value.file == str(path.parent / "maps.toml")
    assert (caught.value.line, caught.value.key) == (line, key)
    assert words in caught.value.problem


def test_a_file_that_is_no_registry(write, tmp_path):
    with pytest.raises(RegistryError, match="there is no such file"):
        load_registry(tmp_path / "none.toml")
    with pytest.raises(RegistryError, match="there is no such file") as caught:
        load_registry(write('maps = "none.toml"\n' + GOOD.partition("\n")[2]))
    assert caught.value.file.endswith("none.toml")
    with pytest.raises(RegistryError, match="is not valid TOML") as caught:
        load_registry(write(GOOD.replace('title = "Parcels"', "title = Parcels")))
    assert caught.value.line == 8
    with pytest.raises(RegistryError, match="has no 'layers'"):
        load_registry(write('[city]\nname = "x"\n'))
    bad = tmp_path / "latin.toml"
    bad.write_bytes(b'[city]\nname = "Stra\xdfe"\n')
    with pytest.raises(RegistryError, match="not UTF-8"):
        load_registry(bad)
    with pytest.raises(RegistryError, match="cannot be read"):
        load_registry(tmp_path)


def test_lines_of_every_toml_construct():
    text = '''# a comment with [brackets] and = signs
a."b c".d = 1
text = """
[not.a.table]
x = "1"
"""
raw = \'\'\'
y = 2\'\'\'
[[list]]
n = [1, # one
  {k = "}"}, "]",
]
[list.inner]
z = 'a\\'
[[list]]
n = 1979-05-27T07:32:00Z
[table] # done
"quoted" = true
'''
    lines = key_lines(text)
    assert tomllib.loads(text)
    expected = {
        ("a",): 2, ("a", "b c"): 2, ("a", "b c", "d"): 2, ("text",): 3, ("raw",): 7,
        ("list",): 9, ("list", 0): 9, ("list", 0, "n"): 10, ("list", 0, "n", 0): 10, ("list", 0, "n", 1): 11,
        ("list", 0, "n", 1, "k"): 11, ("list", 0, "n", 2): 11, ("list", 0, "inner"): 13,
        ("list", 0, "inner", "z"): 14, ("list", 1): 15, ("list", 1, "n"): 16,
        ("table",): 17, ("table", "quoted"): 18,
    }  # fmt: skip
    assert lines == expected


_names = st.text("abcXYZ-_09", min_size=1, max_size=4)
_strings = st.text(st.characters(codec="ascii", exclude_characters="'\r\n", exclude_categories=["Cc"]), max_size=9)
_values = st.recursive(
    st.integers().map(str) | _strings.map("'{}'".format) | st.booleans().map(lambda b: str(b).lower()),
    lambda inner: st.lists(inner, max_size=3).map(lambda parts: "[" + ", ".join(parts) + "]"),
    max_leaves=5,
)


@given(st.lists(st.tuples(_names, st.dictionaries(_names, _values, max_size=3)), unique_by=lambda t: t[0], max_size=4))
def test_lines_of_any_document(tables):
    rows = []
    expected = {}
    for name, pairs in tables:
        rows.append(f"[{name}]  # {name} = 1")
        expected[(name,)] = len(rows)
        for key, value in pairs.items():
            rows.append(f"{key} = {value}")
            expected[(name, key)] = len(rows)
    text = "\n".join(rows)
    tomllib.loads(text)
    lines = key_lines(text)
    assert {path: line for path, line in lines.items() if all(isinstance(part, str) for part in path)} == expected


@pytest.mark.parametrize("name", ["layers.toml", "alexandria.toml"])
def test_the_registries_of_this_repository_are_right(root, name):
    registry = load_registry(root / "data" / name)
    assert registry.maps
    assert all(layer.licence and layer.attribution and layer.steward for layer in registry.layers)
