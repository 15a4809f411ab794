"""Publishing, reading back, going back: the catalog as its users see it."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta

import geopandas
import pandas
import pytest
import shapely

import gisservice
from gisservice.catalog import Catalog
from gisservice.errors import CatalogError, CollectionNotFound, ItemNotFound, PublishError, VersionNotFound
from gisservice.model import GeometryKind


def generation(collection):
    return json.loads(collection.features.item(0))["properties"]["generation"]


def test_a_missing_home_is_an_empty_catalog_and_stays_missing(tmp_path):
    catalog = gisservice.open_catalog(str(tmp_path / "nowhere"))
    assert catalog.ids() == () and catalog.verify() == ()
    for ask in (catalog.collection, catalog.versions, catalog.verify, catalog.read):
        with pytest.raises(CollectionNotFound, match="'parcels'"):
            ask("parcels")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("name", ["", "..", "a/b", "Parcels", "a" * 65, "parcels\n", "\0", "päckchen", "current.json"])
def test_what_is_no_id_is_not_found_and_not_published(publisher, name):
    with pytest.raises(CollectionNotFound):
        publisher.catalog.collection(name)
    with pytest.raises(PublishError, match="1 to 64"), publisher.catalog.stage(name):
        pass
    assert not publisher.home.exists()


def test_publish_and_open(publisher):
    version = publisher(1)
    collection = publisher.catalog.collection("parcels")
    assert publisher.catalog.ids() == ("parcels",)
    assert (collection.id, collection.version, collection.path.name) == ("parcels", version.id, version.id)
    assert collection.layer.title == "Parcels" and collection.manifest.count == collection.features.count == 12
    assert (version.action, version.count, version.current) == ("publish", 12, True)
    assert set(collection.manifest.files) == {"features.parquet", "serve/features.bin"}
    assert publisher.catalog.verify() == ()
    assert publisher.catalog.collection("parcels") is collection


def test_a_new_version_is_seen_at_the_next_call_and_the_old_one_stays_whole(publisher):
    publisher(1)
    other = Catalog(publisher.home)
    before = other.collection("parcels")
    publisher(2)
    after = other.collection("parcels")
    assert (generation(before), generation(after)) == (1, 2) and other.collection("parcels") is after


def test_the_same_content_is_the_same_version_and_no_news(publisher, make_publisher, tmp_path):
    first, again = publisher(1), publisher(1)
    elsewhere = make_publisher(tmp_path / "elsewhere")(1)
    assert first == again and elsewhere.id == first.id
    assert len(publisher.catalog.versions("parcels")) == 1
    second = publisher(2)
    back = publisher(1)
    assert back.id == first.id and back.published > second.published
    assert [v.id for v in publisher.catalog.versions("parcels")] == [first.id, second.id]


def test_nothing_written_names_a_path_of_the_machine(publisher):
    publisher(1)
    files = [path for path in publisher.home.rglob("*") if path.is_file()]
    assert len(files) >= 4
    for path in files:
        content = path.read_bytes()
        assert os.fsencode(publisher.home) not in content and b"/srv/office" not in content


def test_published_files_can_be_read_by_others(publisher):
    mask = os.umask(0o022)
    try:
        publisher(1)
    finally:
        os.umask(mask)
    for path in (publisher.home / "collections").rglob("*"):
        wanted = 0o755 if path.is_dir() else 0o644
        assert path.stat().st_mode & 0o777 == wanted, path.name


def test_what_is_not_published_is_gone(publisher):
    with publisher.catalog.stage("parcels") as staging:
        (staging.path / "half.bin").write_bytes(b"x")
    with pytest.raises(ZeroDivisionError), publisher.catalog.stage("parcels"):
        raise ZeroDivisionError
    assert publisher.catalog.ids() == ()
    assert not list((publisher.home / "collections" / "parcels").glob("staging-*"))


def test_the_manifest_must_be_of_the_collection(publisher, make_records, make_shapes, make_manifest):
    content = make_records(make_shapes(GeometryKind.POINT, 1), GeometryKind.POINT)
    with publisher.catalog.stage("parcels") as staging, pytest.raises(ValueError, match="'zoning'"):
        staging.publish(make_manifest("zoning", content))


def test_old_versions_go_and_the_current_one_never(make_publisher, tmp_path):
    publisher = make_publisher(tmp_path / "home", versions_kept=3)
    ids = [publisher(number).id for number in range(5)]
    assert [version.id for version in publisher.catalog.versions("parcels")] == ids[:1:-1]
    publisher.catalog.rollback("parcels", ids[2])
    publisher(9)
    assert [version.id for version in publisher.catalog.versions("parcels")][1:] == [ids[2], ids[4]]
    only = make_publisher(tmp_path / "home", versions_kept=1)
    last = only(10)
    assert [version.id for version in only.catalog.versions("parcels")] == [last.id]
    folder = publisher.home / "collections" / "parcels" / "versions"
    assert [path.name for path in folder.iterdir()] == [last.id]


def test_a_version_that_is_being_read_is_not_removed_from_disk(make_publisher, tmp_path):
    publisher = make_publisher(tmp_path / "home", versions_kept=1)
    reader = Catalog(publisher.home)
    publisher(1)
    held = reader.collection("parcels")
    publisher(2)
    assert held.path.is_dir() and generation(held) == 1
    reader.collection("parcels")
    del held
    publisher(3)
    assert len(list((publisher.home / "collections" / "parcels" / "versions").iterdir())) == 2  # 3, and 2 is held


def test_rollback_and_as_of(publisher):
    catalog = publisher.catalog
    first, second = publisher(1), publisher(2)
    back = catalog.rollback("parcels", first.id)
    assert back.id == first.id and back.action == "rollback" and back.current
    assert generation(catalog.collection("parcels")) == 1
    assert catalog.rollback("parcels", first.id) == back
    assert [(v.id, v.action, v.current) for v in catalog.versions("parcels")] == [
        (first.id, "rollback", True),
        (second.id, "publish", False),
    ]
    instant = timedelta(microseconds=1)
    for moment, expected in (
        (first.published, 1),
        (second.published - instant, 1),
        (second.published, 2),
        (back.published - instant, 2),
        (back.published, 1),
        (datetime.now(UTC) + timedelta(days=1), 1),
        (second.published.replace(tzinfo=None), 2),
    ):
        assert generation(catalog.as_of("parcels", moment)) == expected
        assert catalog.read("parcels", asof=moment)["generation"].unique().tolist() == [expected]
    with pytest.raises(VersionNotFound, match="first was published"):
        catalog.as_of("parcels", first.published - instant)


def test_times_grow_even_when_the_clock_goes_back(publisher, monkeypatch):
    from gisservice.catalog import history

    publisher(1)

    class Yesterday(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) - timedelta(days=1)

    monkeypatch.setattr(history, "datetime", Yesterday)
    second = publisher(2)
    newest, former = publisher.catalog.versions("parcels")
    assert newest.id == second.id and newest.published > former.published


def test_an_unknown_version_is_refused_with_what_is_kept(publisher):
    kept = publisher(1)
    for asked in ("v-0000000000000000", "latest", "../../x", ""):
        for ask in (publisher.catalog.version, publisher.catalog.rollback):
            with pytest.raises(VersionNotFound, match=kept.id):
                ask("parcels", asked)
        with pytest.raises(VersionNotFound):
            publisher.catalog.diff("parcels", kept.id, asked)


def test_a_version_no_longer_kept_is_named_by_as_of(make_publisher, tmp_path):
    publisher = make_publisher(tmp_path / "home", versions_kept=1)
    first = publisher(1)
    second = publisher(2)
    with pytest.raises(VersionNotFound, match=f"{first.id}.*kept: {second.id}"):
        publisher.catalog.as_of("parcels", first.published)


def test_diff_of_two_versions(publisher):
    first, second = publisher(1), publisher(2, count=10)
    diff = publisher.catalog.diff("parcels", first.id, second.id)
    assert (diff.collection, diff.a, diff.b) == ("parcels", first.id, second.id)
    assert set(diff.removed) == {"10", "11"} and diff.added == ()
    assert diff.changed == {str(number): {"generation": (1, 2)} for number in range(10)}


def test_internal_columns_are_in_no_diff(publisher, make_records, make_shapes):
    versions = []
    for value in ("a", "b"):
        internal = pandas.DataFrame({"assessor": [value] * 3})
        content = make_records(make_shapes(GeometryKind.POINT, 3), GeometryKind.POINT, internal=internal)
        versions.append(publisher.publish(content).id)
    diff = publisher.catalog.diff("parcels", *versions)
    assert versions[0] != versions[1] and not (diff.added or diff.removed or diff.changed)


def test_read_gives_the_frame_back(publisher, make_records, make_shapes):
    geometries = make_shapes(GeometryKind.POLYGON, 60)
    columns = {
        "n": pandas.array([None, *range(1, 60)], dtype="Int64"),
        "when": pandas.to_datetime(["2026-01-01T00:00:00Z"] * 60),
        "text": pandas.array([None, *["ü"] * 59], dtype="str"),
    }
    content = make_records(geometries, GeometryKind.POLYGON, columns)
    publisher.publish(content)
    frame = publisher.catalog.read("parcels")
    assert isinstance(frame, geopandas.GeoDataFrame) and frame.crs == "OGC:CRS84" and frame.index.name == "item_id"
    expected = content.frame.set_axis(pandas.Index(content.ids, dtype="str", name="item_id")).loc[frame.index]
    pandas.testing.assert_frame_equal(
        pandas.DataFrame(frame.drop(columns="geometry")), pandas.DataFrame(expected.drop(columns="geometry"))
    )
    assert frame.geometry.geom_equals_exact(expected.geometry, 0).all()


@pytest.mark.parametrize("bbox", [(-77.06, 38.79, -77.04, 38.81), (0.0, 0.0, 1.0, 1.0), (-78.0, 38.0, -76.0, 39.0)])
def test_read_of_a_box_is_exact_and_in_stored_order(publisher, make_records, make_shapes, bbox, monkeypatch):
    from gisservice.catalog import layout

    monkeypatch.setattr(layout, "ROWS_PER_GROUP", 16)
    publisher.publish(make_records(make_shapes(GeometryKind.POLYGON, 200), GeometryKind.POLYGON))
    frame = publisher.catalog.read("parcels", bbox)
    whole = publisher.catalog.read("parcels")
    expected = whole[shapely.intersects(whole.geometry.array, shapely.box(*bbox))]
    assert frame.index.tolist() == expected.index.tolist() and frame["pid"].tolist() == expected["pid"].tolist()
    assert frame.geometry.geom_equals_exact(expected.geometry, 0).all()


def test_an_empty_layer_can_be_published_and_read(publisher, make_records):
    publisher.publish(make_records([], GeometryKind.POLYGON))
    assert len(publisher.catalog.read("parcels")) == 0 == publisher.catalog.collection("parcels").features.count


def test_a_raster_has_files_and_no_items(publisher, make_records, make_manifest):
    from dataclasses import replace

    manifest = make_manifest("dem", make_records([], GeometryKind.POINT))
    with publisher.catalog.stage("dem") as staging:
        (staging.path / "raster.tif").write_bytes(b"II*\0")
        staging.publish(replace(manifest, kind=GeometryKind.RASTER, raster={"width": 1}))
    collection = publisher.catalog.collection("dem")
    assert collection.features is None and collection.manifest.raster == {"width": 1}
    with pytest.raises(ItemNotFound, match="raster"):
        publisher.catalog.read("dem")


def test_opening_many_layers_holds_few_descriptors(publisher):
    names = [f"layer-{number}" for number in range(20)]
    for name in names:
        publisher(1, collection=name, count=2)
    catalog = Catalog(publisher.home)
    before = len(os.listdir("/proc/self/fd"))
    held = [catalog.collection(name) for name in names]
    assert all(collection.features.count == 2 and collection.features.attributes.num_rows for collection in held)
    assert len(os.listdir("/proc/self/fd")) - before <= 2 * len(names)
    del held, catalog
    assert len(os.listdir("/proc/self/fd")) <= before


def test_a_full_history_names_what_replaced_what(publisher):
    ids = [publisher(number).id for number in (1, 2, 1)]
    content = json.loads((publisher.home / "collections" / "parcels" / "current.json").read_bytes())
    assert content["format"] == 1 and content["current"] == ids[0]
    assert [entry["version"] for entry in content["history"]] == ids
    assert all(entry["at"].endswith("Z") and entry["action"] == "publish" for entry in content["history"])


# Damage (F06)


def damaged(path, how):
    content = bytearray(path.read_bytes())
    if how == "flip":
        content[len(content) // 2] ^= 4
    elif how == "truncate":
        del content[len(content) * 2 // 3 :]
    path.unlink()
    if how != "remove":
        path.write_bytes(content)


@pytest.mark.parametrize("name", ["manifest.json", "features.parquet", "serve/features.bin"])
@pytest.mark.parametrize("how", ["flip", "truncate", "remove"])
def test_verify_names_the_damaged_file_and_a_good_version_helps(publisher, name, how):
    good, bad = publisher(1), publisher(2)
    publisher(1, collection="other")
    folder = publisher.home / "collections" / "parcels" / "versions" / bad.id
    damaged(folder / name, how)
    catalog = Catalog(publisher.home)
    (finding,) = catalog.verify()
    assert finding.records == (f"parcels/{bad.id}/{name}",) and name in finding.message
    assert str(publisher.home) not in finding.message
    assert catalog.verify("other") == ()
    if how != "flip" or name == "manifest.json":
        with pytest.raises(CatalogError, match=name.rpartition("/")[2]):
            catalog.collection("parcels")
    assert generation(catalog.collection("other")) == 1
    assert [version.id for version in catalog.versions("parcels")] == [bad.id, good.id]
    assert catalog.rollback("parcels", good.id).current
    assert generation(catalog.collection("parcels")) == 1
    with pytest.raises(CatalogError, match=r"damaged|does not match|cannot be read"):
        catalog.rollback("parcels", bad.id)
    assert catalog.collection("parcels").version == good.id


def test_publishing_the_same_again_repairs_a_damaged_version_and_readers_notice(publisher):
    version = publisher(1)
    reader = Catalog(publisher.home)
    before = reader.collection("parcels")
    damaged(before.path / "serve" / "features.bin", "flip")
    assert publisher(1) == version and publisher.catalog.verify() == ()
    after = reader.collection("parcels")
    assert after is not before and after.version == version.id and generation(after) == 1
    assert len(reader.versions("parcels")) == 1


@pytest.mark.parametrize("how", ["flip", "truncate"])
def test_a_damaged_pointer_is_named_and_not_built_upon(publisher, how):
    publisher(1)
    pointer = publisher.home / "collections" / "parcels" / "current.json"
    damaged(pointer, how)
    left = pointer.read_bytes()
    catalog = Catalog(publisher.home)
    assert [finding.code for finding in catalog.verify()] == ["damaged-pointer"]
    for ask in (catalog.collection, catalog.versions):
        with pytest.raises(CatalogError, match=r"parcels/current\.json"):
            ask("parcels")
    with pytest.raises(PublishError, match=r"current\.json is damaged.*backup"):
        publisher(2)
    assert pointer.read_bytes() == left


def test_a_file_that_does_not_belong_is_named(publisher):
    version = publisher(1)
    (publisher.home / "collections" / "parcels" / "versions" / version.id / "notes.txt").write_text("x")
    (finding,) = publisher.catalog.verify("parcels")
    assert finding.code == "unknown-file" and finding.records == (f"parcels/{version.id}/notes.txt",)


def test_a_current_version_that_is_gone_is_named(publisher):
    version = publisher(1)
    folder = publisher.home / "collections" / "parcels" / "versions"
    (folder / version.id).rename(folder / "elsewhere")
    catalog = Catalog(publisher.home)
    assert [finding.code for finding in catalog.verify()] == ["missing-version"]
    with pytest.raises(CatalogError, match="not on disk"):
        catalog.collection("parcels")


def test_a_version_under_anothers_name_is_refused(publisher):
    first, second = publisher(1), publisher(2)
    folder = publisher.home / "collections" / "parcels" / "versions"
    (folder / second.id).rename(folder / "elsewhere")
    (folder / first.id).rename(folder / second.id)
    with pytest.raises(CatalogError, match="another version"):
        Catalog(publisher.home).collection("parcels")


def test_real_boundary_round_trip(publisher, shared_data, make_records):
    boundary = geopandas.read_file(shared_data / "alexandria" / "city_boundary.geojson")
    content = make_records(boundary.geometry.to_numpy(), GeometryKind.POLYGON, ids=["51510"])
    publisher.publish(content, "boundary")
    frame = publisher.catalog.read("boundary", (-77.05, 38.80, -77.04, 38.81))
    assert frame.index.tolist() == ["51510"]
    assert frame.geometry.iloc[0].equals_exact(boundary.geometry.iloc[0], 0)
