"""The whole way: with and without a declaration, and what a caller is told."""

from __future__ import annotations

import json

import numpy as np
import pytest
import shapely
from ingest_sources import SOUTH, STATE_PLANE, WEST, column, layer, lots, write

from gisservice.catalog import Catalog
from gisservice.errors import CollectionNotFound, GISServiceError, InvalidParameter, SourceError
from gisservice.ingest import Summary, ingest, ingest_layer
from gisservice.model import Finding, Operation, Source


def test_an_undeclared_file_gets_sensible_defaults(make, catalog):
    summary = ingest(make("lots.shp.zip"), "city-lots", catalog=catalog, build_workers=1)
    manifest = catalog.collection("city-lots").manifest
    assert manifest.layer.title == "City lots"
    assert (manifest.kind, manifest.storage_crs, manifest.id_column) == ("polygon", STATE_PLANE, "id")
    assert [c.name for c in manifest.columns] == ["id", "PID", "LOTS", "AREA", "OWNER"]
    assert [finding.code for finding in summary.noted] == ["counted-ids"]
    assert 10 <= manifest.tiles["minzoom"] <= manifest.tiles["maxzoom"] == 16


def test_a_declaration_takes_another_file(make, catalog):
    declared = layer(column("pid", source="PID"), sources=("elsewhere.gpkg",), id_column="pid")
    summary = ingest(
        make("lots.geojson", lots(crs="OGC:CRS84")), "lots", catalog=catalog, layer=declared, build_workers=1
    )
    manifest = catalog.collection("lots").manifest
    assert (manifest.storage_crs, manifest.provenance[0].source) == (STATE_PLANE, "lots.geojson")
    assert summary.accuracy_m == 4.0
    assert manifest.layer.title == "Lots"


def test_a_declared_csv_keeps_its_position_columns(tmp_path, catalog):
    path = tmp_path / "a.csv"
    path.write_text(f"E,N,pid\n{WEST},{SOUTH},a\n{WEST + 1},{SOUTH},b\n")
    source = Source("a.csv", x="E", y="N", crs=STATE_PLANE)
    declared = layer(column("pid"), sources=(source,), geometry="point", id_column="pid")
    assert ingest(path, "lots", catalog=catalog, layer=declared, crs=STATE_PLANE, build_workers=1).published == 2


def test_several_sources_become_one_collection(tmp_path, catalog):
    write(lots(3), tmp_path, "east.gpkg")
    west = lots(4, "EPSG:3857")
    west["PID"] = [f"w{n}" for n in range(4)]
    write(west, tmp_path, "west.geojson.gz".replace(".geojson.gz", ".shp.zip"))
    declared = layer(column("pid", source="PID"), sources=("east.gpkg", "west.shp.zip"), id_column="pid")
    summary = ingest_layer(declared, folder=tmp_path, catalog=catalog, build_workers=1)
    manifest = catalog.collection("lots").manifest
    assert (summary.read, summary.published) == (7, 7)
    assert [item.source for item in manifest.provenance] == ["east.gpkg", "west.shp.zip"]
    assert {operation.source_crs for operation in manifest.operations} == {STATE_PLANE, "EPSG:3857"}


def test_the_summary_adds_up_and_is_json(make, catalog):
    frame = lots(8)
    frame.loc[0, "geometry"] = None
    frame.loc[1, "geometry"] = shapely.Polygon(
        [(WEST, SOUTH), (WEST + 9, SOUTH + 9), (WEST + 9, SOUTH), (WEST, SOUTH + 9)]
    )
    frame.loc[2, "PID"] = frame.PID[3]
    frame.loc[4, "PID"] = None
    declared = layer(column("pid", source="PID"), sources=("lots.gpkg",), id_column="pid")
    path = make("lots.gpkg", frame)
    told = []
    summary = ingest_layer(
        declared, folder=path.parent, catalog=catalog, build_workers=1, progress=lambda *step: told.append(step)
    )
    assert (summary.read, summary.published, summary.refused_count) == (8, 5, 3)
    assert {finding.code for finding in summary.refused} == {"missing-geometry", "duplicate-id", "null-id"}
    assert [finding.code for finding in summary.repaired] == ["invalid-geometry"]
    assert list(summary.seconds) == ["read", "reproject", "validate", "standardize", "publish"]
    assert json.loads(json.dumps(summary.to_dict()))["refused_count"] == 3
    assert list(dict.fromkeys(step for step, _, _ in told)) == [
        "read", "reproject", "validate", "standardize", "publish", "tiles",
    ]  # fmt: skip
    assert all(done <= total or total == 0 for _, done, total in told)


def test_accuracy_is_the_worst_of_the_operations():
    def summary(*accuracies):
        operations = tuple(Operation("a", "b", "n", "", value, ("x.tif",)) for value in accuracies)
        return Summary("c", "v", 1, 1, (), (), (Finding("a", "b", 1),), operations, {})

    assert summary(0.0, 4.0).accuracy_m == 4.0
    assert summary(None, 4.0).accuracy_m is None
    assert summary().accuracy_m == 0.0
    assert summary(1.0, 2.0).missing_grids == ("x.tif",)
    assert len(summary().findings) == 1


@pytest.mark.parametrize("collection_id", ["", "Lots", "a/b", "../x", "x" * 65, "a b"])
def test_an_impossible_id(make, catalog, collection_id):
    with pytest.raises(InvalidParameter, match="1 to 64 of the characters"):
        ingest("none.gpkg", collection_id, catalog=catalog)


def test_a_layer_without_sources(catalog):
    with pytest.raises(SourceError, match="declares no source"):
        ingest_layer(layer(column("pid")), folder=None, catalog=catalog)


def test_every_bad_source_leaves_the_catalog_as_it_was(make, tmp_path, catalog):
    declared = layer(column("pid", source="PID"), sources=("lots.gpkg",), id_column="pid")
    good = make("lots.gpkg")
    version = ingest_layer(declared, folder=tmp_path, catalog=catalog, build_workers=1).version
    (tmp_path / "page.geojson").write_text("<html>Not found</html>")
    (tmp_path / "empty.csv").touch()
    (tmp_path / "cut.zip").write_bytes(make("lots.shp.zip").read_bytes()[:-500])
    (tmp_path / "text.csv").write_text("lon,lat,PID\na,b,c\n")
    write(lots().assign(geometry=None), tmp_path, "none.gpkg")
    write(lots().set_crs("EPSG:4326", allow_override=True), tmp_path, "feet.fgb")
    bad = ["page.geojson", "empty.csv", "cut.zip", "text.csv", "none.gpkg", "feet.fgb", "absent.gpkg"]
    for name in bad:
        with pytest.raises(GISServiceError) as caught:
            ingest(tmp_path / name, "lots", catalog=catalog, layer=declared, build_workers=1)
        assert name in str(caught.value)
        assert str(tmp_path) not in str(caught.value)
        assert catalog.collection("lots").version == version
        with pytest.raises(GISServiceError):
            ingest(tmp_path / name, "new", catalog=catalog, layer=declared, build_workers=1)
    with pytest.raises(CollectionNotFound):
        catalog.collection("new")
    assert good.exists()


def test_a_damaged_version_is_no_reason_not_to_publish(make, catalog, tmp_path):
    path = make("lots.gpkg")
    first = ingest(path, "lots", catalog=catalog, build_workers=1)
    manifest = catalog.collection("lots").path / "manifest.json"
    manifest.chmod(0o600)
    manifest.write_bytes(b"{}")
    path.unlink()
    write(lots(3), path.parent, path.name)
    second = ingest(path, "lots", catalog=Catalog(tmp_path / "published"), build_workers=1)
    assert second.version != first.version
    assert np.all(second.published == 3)
