"""Forty hostile texts in a layer's words and values, published as any layer is, in everything that can be taken away.

Each form is read by somebody else's reader and has to give back the texts as they are; what is XML or HTML has to be
well formed, with no element or attribute that the texts would make.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
import xml.etree.ElementTree as ET
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import pyarrow.parquet as pq
import pyogrio
import pypdfium2
import pytest
from hostile_texts import HOSTILE_TEXTS
from PIL import Image
from werkzeug.test import Client

from gisservice.catalog import Catalog, load_registry
from gisservice.ingest import ingest_layer
from gisservice.ingest.downloads import make_current
from gisservice.settings import Settings
from gisservice.web import wsgi_app

ALL = " ".join(HOSTILE_TEXTS)
STEP = 0.001
WRITTEN = {  # what a form cannot hold is written otherwise, and nothing else is
    "csv": lambda text: f"'{text}" if text.startswith(("=", "+", "-", "@")) else text,
}


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\u007f", "\\u007f")


REGISTRY = f"""
maps = "maps.toml"
[city]
name = {quoted(ALL)}
notice = {quoted(ALL)}
contact = "gis@example.org"

[layers.hostile]
title = {quoted(ALL)}
description = {quoted(ALL)}
sources = [{{path = "hostile.geojson"}}]
licence = {quoted(ALL)}
attribution = {quoted(ALL)}
cadence = {quoted(ALL)}
steward = {quoted(ALL)}
geometry = "polygon"
storage_crs = "EPSG:2283"
id_column = "pid"
zoom = [12, 14]

[layers.hostile.columns]
pid = {{type = "string", meaning = {quoted(ALL)}}}

[layers.hostile.columns.words]
type = "string"
meaning = {quoted(ALL)}
unit = {quoted(ALL[:200])}

[layers.hostile.columns.words.codes]
{chr(10).join(f"{quoted(text)} = {quoted(text)}" for text in HOSTILE_TEXTS)}

[layers.hostile.style]
label = "words"
by = "words"
classes = [{", ".join(f'{{value = {q}, label = {q}, color = "#1b998b"}}' for q in map(quoted, HOSTILE_TEXTS))}]
"""
MAPS = f"""
[maps.attacks]
title = {quoted(ALL)}
description = {quoted(ALL)}
layers = ["hostile"]
"""


def square(number: int) -> dict:
    west, south = -77.06 + number % 8 * STEP, 38.80 + number // 8 * STEP
    ring = [[west, south], [west + STEP, south], [west + STEP, south + STEP], [west, south + STEP], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Client:
    """A service of the hostile layer alone, its files for download made."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "layers.toml").write_text(REGISTRY)
    (folder / "maps.toml").write_text(MAPS)
    features = [
        {"type": "Feature", "properties": {"pid": text, "words": other}, "geometry": square(number)}
        for number, (text, other) in enumerate(zip(HOSTILE_TEXTS, reversed(HOSTILE_TEXTS), strict=True))
    ]
    (folder / "hostile.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    registry, catalog = load_registry(folder / "layers.toml"), Catalog(folder / "published")
    summary = ingest_layer(registry.layers[0], folder=folder, catalog=catalog, build_workers=1)
    assert summary.published == len(HOSTILE_TEXTS)
    make_current(folder / "published", ["hostile"], workers=1)
    given = {"home": folder / "published", "registry": folder / "layers.toml", "static": root / "static"}
    return Client(wsgi_app(Settings.load({}, **given)))


def fetched(exports: Client, path: str) -> bytes:
    answer = exports.get(path)
    assert answer.status_code == 200, (path, answer.data[:300])
    return answer.data


@pytest.mark.parametrize("extension", ["geojson", "csv", "gpkg", "shp.zip", "fgb", "parquet", "kml"])
def test_each_download_gives_the_texts_back(exports: Client, tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"hostile.{extension}"
    path.write_bytes(fetched(exports, f"/download/hostile.{extension}"))
    if extension == "csv":
        rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline="")))
        found = [(row["pid"], row["words"]) for row in rows]
    elif extension == "parquet":
        table = pq.read_table(path)
        found = list(zip(table["pid"].to_pylist(), table["words"].to_pylist(), strict=True))
    else:
        place = f"/vsizip/{path}" if extension == "shp.zip" else path
        frame = pyogrio.read_dataframe(place, layer="hostile" if extension == "gpkg" else 0)
        found = list(zip(frame["pid"], frame["words"], strict=True))
    written = WRITTEN.get(extension, lambda text: text)
    expected = zip(HOSTILE_TEXTS, reversed(HOSTILE_TEXTS), strict=True)
    assert sorted(found) == sorted((written(text), written(other)) for text, other in expected)
    if extension == "gpkg":
        with sqlite3.connect(path) as database:
            for (text,) in database.execute("SELECT metadata FROM gpkg_metadata").fetchall():
                said = "".join(ET.fromstring(text).itertext()) if text.startswith("<!DOCTYPE") else text
                assert HOSTILE_TEXTS[0] in said
            for qml, sld in database.execute("SELECT styleQML, styleSLD FROM layer_styles").fetchall():
                assert ET.fromstring(qml) is not None and ET.fromstring(sld) is not None
    if extension == "shp.zip":
        assert all(re.fullmatch(r"[\w.]+", name) for name in zipfile.ZipFile(path).namelist())


@pytest.mark.parametrize(
    "path",
    ["/layers/hostile.qlr", "/feed.xml", "/api/qgis.xml", "/wmts/1.0.0/WMTSCapabilities.xml", "/download/hostile.kml"],
)
def test_xml_is_well_formed_and_has_no_element_of_the_texts(exports: Client, path: str) -> None:
    tree = ET.fromstring(fetched(exports, path))
    names = {element.tag.rpartition("}")[2].lower() for element in tree.iter()}
    assert not names & {"script", "img", "svg", "b", "iframe", "base", "meta", "a", "m"}
    texts = "".join(tree.itertext()) + " ".join(value for element in tree.iter() for value in element.attrib.values())
    assert path == "/api/qgis.xml" or "<script>alert(1)</script>" in texts


@pytest.mark.parametrize("path", ["/catalog.json", "/data.json", "/api/collections/hostile/dictionary"])
def test_json_says_the_texts_as_they_are(exports: Client, path: str) -> None:
    def texts(value: object) -> list[str]:
        if isinstance(value, dict):
            return [text for part in value.values() for text in texts(part)]
        if isinstance(value, list):
            return [text for part in value for text in texts(part)]
        return [value] if isinstance(value, str) else []

    assert ALL in texts(json.loads(fetched(exports, path)))


def test_the_dictionary_as_csv_has_one_row_a_column(exports: Client) -> None:
    text = fetched(exports, "/api/collections/hostile/dictionary?f=csv").decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert len({len(row) for row in rows}) == 1
    assert any(ALL in cell for row in rows for cell in row)
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]


def test_prints_and_pictures_are_files_of_their_kind(exports: Client) -> None:
    for name in ("attacks", "hostile"):
        assert Image.open(io.BytesIO(fetched(exports, f"/maps/{name}.png"))).size == (800, 600)
        written = fetched(exports, f"/maps/{name}.pdf")
        assert not [word for word in (b"/JavaScript", b"/JS", b"/OpenAction", b"/AA", b"/URI") if word in written]
        document = pypdfium2.PdfDocument(written)
        assert len(document) == 1
        assert document.get_metadata_dict()["Title"].startswith("<script>alert(1)</script>")


class Elements(HTMLParser):
    """The elements of a page that run, load or lead somewhere by themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize(
    "path", ["/", "/layers/hostile", "/maps/attacks", "/maps", "/api/collections/hostile",
             "/api/collections/hostile/items", "/api/collections/hostile/dictionary", "/api/collections/catalog/items"]
)  # fmt: skip
def test_no_page_has_an_element_of_the_texts(exports: Client, path: str) -> None:
    answer = exports.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 200 and answer.content_type.startswith("text/html")
    page = Elements()
    page.feed(answer.get_data(as_text=True))
    for tag, attributes in page.found:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        for name in ("href", "src", "action"):
            address = attributes.get(name) or ""
            assert not re.match(r"(?i)\s*(javascript|data|vbscript):|//", address), (tag, address)
        assert tag not in ("iframe", "base", "img") or "evil" not in str(attributes)
        if tag == "script":
            ours = (attributes.get("src") or "").startswith("/static/") or "nonce" in attributes
            assert ours or attributes.get("type") in ("application/json", "application/ld+json")
