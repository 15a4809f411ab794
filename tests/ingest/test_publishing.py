"""Publishing: the same file is the same version; a full disk leaves what is published; nothing private gets out."""

from __future__ import annotations

import errno
import gzip
import os
from pathlib import Path

import geopandas
import mapbox_vector_tile
import orjson
import pyarrow.parquet as pq
import pytest
import shapely
from ingest_sources import STATE_PLANE, column, layer, lots, write
from pmtiles.reader import MmapSource, Reader, all_tiles

from gisservice.catalog import Catalog
from gisservice.errors import PublishError
from gisservice.ingest import ingest, ingest_layer, publishing
from gisservice.model import AlwaysDrawn, Visibility
from gisservice.pack import Pack
from gisservice.tiles import past, reuse

COLUMNS = (
    column("pid", source="PID", meaning="Parcel number"),
    column("lots", "integer", source="LOTS"),
    column("area", "number", source="AREA", visibility=Visibility.INTERNAL),
    column("owner", source="OWNER", visibility=Visibility.NEVER),
)


def publish(path: Path, catalog, **more):
    declared = layer(*COLUMNS, sources=(path.name,), id_column="pid", **more)
    return ingest_layer(declared, folder=path.parent, catalog=catalog, build_workers=1)


def files(catalog) -> dict[str, bytes]:
    folder = catalog.collection("lots").path
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_all_files_of_a_version(make, catalog):
    summary = publish(make("lots.gpkg"), catalog)
    assert set(files(catalog)) >= {
        "manifest.json",
        "features.parquet",
        "internal.parquet",
        "tiles.pmtiles",
        "tiles.json",
    }
    collection = catalog.collection("lots")
    manifest = collection.manifest
    assert (collection.version, manifest.count, manifest.id_column) == (summary.version, 6, "pid")
    assert manifest.storage_crs == STATE_PLANE
    assert manifest.storage_crs_definition.startswith("PROJCRS[")
    assert [c.name for c in manifest.columns] == ["pid", "lots"]
    assert manifest.provenance[0].source == "lots.gpkg"
    assert (manifest.tiles["minzoom"], manifest.tiles["maxzoom"]) == (14, 15)
    assert manifest.quality.read == manifest.quality.published == 6
    west, south, east, north = manifest.extent.bbox
    assert lots(crs="OGC:CRS84").total_bounds.tolist() == pytest.approx([west, south, east, north], abs=1e-9)


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (None, None),
        (AlwaysDrawn(), {f"{n:03}.0{n}" for n in range(1, 7)}),
        (AlwaysDrawn("pid", ("002.02", "005.05", "none")), {"002.02", "005.05"}),
    ],
)
def test_what_a_layer_always_draws_is_marked_for_its_tiles(make, catalog, declared, expected):
    publish(make("lots.gpkg"), catalog, always_drawn=declared)
    collection = catalog.collection("lots")
    assert collection.layer.always_drawn == declared
    source = publishing.tile_source(collection.features, collection.layer)
    if expected is None:
        assert source.always is None
    else:
        names = source.attributes["pid"].to_pylist()
        assert {name for name, always in zip(names, source.always, strict=True) if always} == expected


def test_parquet_items_and_tiles_tell_the_same(make, catalog):
    publish(make("lots.gpkg"), catalog)
    collection = catalog.collection("lots")
    truth = lots().set_index("PID")
    stored = geopandas.read_parquet(collection.path / "features.parquet").set_index("pid")
    assert stored.crs == STATE_PLANE
    assert (shapely.hausdorff_distance(stored.loc[truth.index].geometry, truth.geometry) < 1e-6).all()
    served = lots(crs="OGC:CRS84").set_index("PID")
    for row in range(6):
        item = orjson.loads(collection.features.item(row))
        assert set(item["properties"]) == {"pid", "lots"}
        expected = served.loc[item["id"]].geometry
        assert shapely.hausdorff_distance(shapely.from_geojson(orjson.dumps(item["geometry"])), expected) < 1e-8
    with open(collection.path / "tiles.pmtiles", "rb") as file:
        tiles = [
            mapbox_vector_tile.decode(gzip.decompress(data))
            for _, data in all_tiles(Reader(MmapSource(file)).get_bytes)
        ]
    seen = {feature["properties"]["pid"] for tile in tiles for feature in tile["lots"]["features"]}
    assert seen == set(truth.index)


def test_what_nobody_may_see_is_in_no_file(make, catalog, capfd):
    frame = lots()
    frame.loc[0, "OWNER"] = "Secret Person in a repaired record"
    frame.loc[0, "geometry"] = shapely.Polygon(
        [(11880000, 6980000), (11880010, 6980010), (11880010, 6980000), (11880000, 6980010)]
    )
    frame.loc[1, "geometry"] = None
    told = []
    declared = layer(*COLUMNS, sources=("lots.gpkg",), id_column="pid")
    path = make("lots.gpkg", frame)
    summary = ingest_layer(
        declared, folder=path.parent, catalog=catalog, build_workers=1, progress=lambda *step: told.append(step)
    )
    assert b"Secret" not in orjson.dumps(summary.to_dict()) + repr(summary).encode() + repr(told).encode()
    assert "Secret" not in "".join(capfd.readouterr())
    for name, data in files(catalog).items():
        assert b"Secret" not in data, name
    folder = catalog.collection("lots").path
    assert "Secret" not in str(pq.read_table(folder / "features.parquet").to_pydict())
    assert pq.read_table(folder / "internal.parquet").column_names == ["item_id", "area"]


def test_internal_columns_are_in_the_internal_file_alone(make, catalog):
    publish(make("lots.gpkg"), catalog)
    folder = catalog.collection("lots").path
    internal = pq.read_table(folder / "internal.parquet").to_pydict()
    assert sorted(internal["area"]) == lots().AREA.tolist()
    assert (folder / "internal.parquet").stat().st_mode & 0o077 == 0
    assert "area" not in pq.read_schema(folder / "features.parquet").names


@pytest.mark.parametrize("name", ["lots.gpkg", "lots.shp.zip", "lots.geojson"])
def test_the_same_file_twice_is_the_same_version(tmp_path, catalog, name):
    path = write(lots(crs="OGC:CRS84"), tmp_path, name)
    first = publish(path, catalog)
    os.utime(path, (1, 1))  # its age is recorded and is no part of its content
    second = publish(path, catalog)
    assert first == second
    assert len(catalog.versions("lots")) == 1


def test_a_changed_count_is_told_and_is_no_part_of_the_version(make, catalog):
    path = make("lots.gpkg")
    first = publish(path, catalog)
    path.unlink()
    write(lots(2), path.parent, path.name)
    second = publish(path, catalog)
    assert [finding.code for finding in second.noted if finding.code == "count-changed"] == ["count-changed"]
    assert "2 records are published; the version before had 6" in second.noted[-1].message
    again = publish(path, catalog)
    assert again.version == second.version != first.version
    assert not again.noted[-1:] or again.noted[-1].code != "count-changed"


@pytest.mark.parametrize("where", ["tiles", "records", "report"])
def test_a_full_disk_leaves_what_is_published(make, catalog, monkeypatch, tmp_path, where):
    first = publish(make("lots.gpkg"), catalog)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    target = {"tiles": "build_pyramid", "records": "write_features", "report": "_tiles"}[where]
    monkeypatch.setattr(publishing, target, full)
    changed = write(lots(3), tmp_path, "changed.gpkg")
    with pytest.raises(PublishError, match=r"the disk is full\. Free some space") as caught:
        publish(changed, catalog)
    assert caught.value.step == "publish"
    assert catalog.collection("lots").version == first.version
    assert not list((tmp_path / "published").rglob("*.tmp"))
    folders = [path.name for path in (tmp_path / "published/collections/lots/versions").iterdir()]
    assert folders == [first.version]


def test_an_undeclared_file_with_dates_and_odd_names(make, catalog):
    frame = lots().rename(columns={"LOTS": "<script>", "OWNER": "__proto__"})
    frame["day"] = ["2024-01-31"] * 6
    summary = ingest(make("lots.gpkg", frame), "lots", catalog=catalog, build_workers=1)
    manifest = catalog.collection("lots").manifest
    assert [c.name for c in manifest.columns] == ["fid", "PID", "script", "AREA", "proto", "day"]
    assert manifest.id_column == "fid"
    assert [finding.code for finding in summary.noted] == ["renamed-columns"]


@pytest.fixture
def taken_over(monkeypatch) -> list[int]:
    """How many tiles each zoom took over from the version before."""
    counts = []
    clean = reuse.Reuse.clean

    def watched(self, archive):
        found = clean(self, archive)
        counts.append(len(found))
        return found

    monkeypatch.setattr(reuse.Reuse, "clean", watched)
    monkeypatch.setattr(past, "_MOST_CHANGED", 1.0)
    return counts


@pytest.mark.parametrize(
    "harm", ["", "tiles.pmtiles", "tiles.br.pmtiles", "tiles.levels", "tiles.json", "serve/features.bin"]
)
def test_a_version_is_the_same_whatever_was_published_before(tmp_path, catalog, taken_over, harm):
    changed = lots()
    changed.loc[5, "LOTS"] = 99
    (tmp_path / "new").mkdir()
    first, second = write(lots(), tmp_path, "lots.gpkg"), write(changed, tmp_path / "new", "lots.gpkg")
    publish(first, catalog)
    if harm:
        path = catalog.collection("lots").path / harm
        content = bytearray(path.read_bytes())
        content[Pack(path).span("world")[0] if harm.endswith("bin") else len(content) // 2] ^= 1
        path.write_bytes(content)
    after = publish(second, Catalog(tmp_path / "published"))
    alone = publish(second, Catalog(tmp_path / "another"))
    assert after.version == alone.version
    assert bool(taken_over) == (not harm)
    assert not any(Catalog(tmp_path / "another").verify())
