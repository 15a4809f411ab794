"""Manifests: JSON and back, seals, and no path of the machine."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime

import orjson
import pytest

from gisservice.catalog import Manifest
from gisservice.catalog.manifest import bare_location, seal, unseal, version_id
from gisservice.errors import CatalogError
from gisservice.model import (
    AlwaysDrawn,
    Column,
    ColumnType,
    Extent,
    Finding,
    GeometryKind,
    Layer,
    Operation,
    Provenance,
    Quality,
    Source,
    Style,
    StyleClass,
    Visibility,
)


def full_manifest() -> Manifest:
    when = datetime(2026, 3, 4, 5, 6, 7, 890, tzinfo=UTC)
    column = Column("pid", ColumnType.STRING, "Id", "ft", Visibility.INTERNAL, "PID_RE", (("RB", "Townhouse"),))
    layer = Layer(
        "parcels",
        "Parcels",
        GeometryKind.POLYGON,
        sources=(
            Source("/home/someone/in/parcels.gdb.zip", "Parcels", "EPSG:2283"),
            Source("https://u:p@a.org/F/0?k=1"),
        ),
        columns=(column,),
        always_drawn=AlwaysDrawn("pid", ("1", "2")),
        style=Style(classes=(StyleClass("RB", "Townhouse", "#aabbcc"),)),
    )
    return Manifest(
        collection="parcels",
        layer=layer,
        kind=GeometryKind.POLYGON,
        count=3,
        storage_crs="EPSG:2283",
        storage_crs_definition="PROJCRS[…]",
        extent=Extent((-77.1, 38.7, -77.0, 38.9), (None, when)),
        columns=(column,),
        id_column="pid",
        provenance=(Provenance("C:\\office\\parcels.gdb.zip", "OpenFileGDB", "00" * 32, 12, when, "EPSG:2283"),),
        operations=(Operation("EPSG:2283", "OGC:CRS84", "Null", "+proj=noop", None, ("us_nga.tif",)),),
        quality=Quality(4, 3, (Finding("no-id", "No id.", 1, ("7",)),)),
        created=when,
        tiles={"minzoom": 8, "maxzoom": 16, "tiles": 10, "bytes": 1000},
        files={"features.parquet": {"sha256": "ff" * 32, "size": 9}},
    )


def test_json_round_trip():
    manifest = full_manifest()
    assert Manifest.from_json(orjson.loads(orjson.dumps(manifest.to_json()))) == manifest


def test_everything_declared_is_written():
    assert set(full_manifest().to_json()) == {field.name for field in fields(Manifest)}


def test_no_path_and_no_secret_is_kept():
    text = orjson.dumps(full_manifest().without_paths().to_json()).decode()
    assert "someone" not in text and "office" not in text and "u:p" not in text and "k=1" not in text
    assert "parcels.gdb.zip" in text and "https://a.org/F/0" in text


@pytest.mark.parametrize(
    ("location", "bare"),
    [("a/b/c.csv", "c.csv"), ("c.csv", "c.csv"), ("..\\x\\c.csv", "c.csv"), ("https://h:8/p?q#f", "https://h:8/p")],
)
def test_bare_location(location, bare):
    assert bare_location(location) == bare


def test_the_version_depends_on_content_and_on_no_time():
    manifest = full_manifest()
    same = replace(manifest, created=datetime(2020, 1, 1, tzinfo=UTC))
    other = replace(manifest, files={"features.parquet": {"sha256": "ee" * 32, "size": 9}})
    assert version_id(manifest.to_json()) == version_id(same.to_json())
    assert version_id(manifest.to_json()) != version_id(other.to_json())
    assert version_id(manifest.to_json()) != version_id(replace(manifest, quality=Quality(5, 5)).to_json())


def test_a_later_format_is_refused_and_a_later_key_is_not():
    data = full_manifest().to_json()
    assert Manifest.from_json({**data, "mood": "good"}) == full_manifest()
    with pytest.raises(CatalogError, match="format 2"):
        Manifest.from_json({**data, "format": 2})
    with pytest.raises(CatalogError, match="form of format 1"):
        Manifest.from_json({**data, "kind": "blob"})


def test_every_flipped_bit_breaks_the_seal():
    sealed = seal({"format": 1, "current": "v-0123456789abcdef", "at": "2026-01-01T00:00:00Z"})
    content = unseal(sealed, "x")
    for position in range(len(sealed) * 8):
        damaged = bytearray(sealed)
        damaged[position // 8] ^= 1 << position % 8
        try:
            assert unseal(bytes(damaged), "x") == content  # white space that became other white space
        except CatalogError as exc:
            assert str(exc).startswith("x is damaged")
