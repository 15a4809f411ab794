"""Backup and restore: the same bytes back, and nothing from a damaged or foreign file."""

from __future__ import annotations

import io
import tarfile

import pandas
import pytest

from gisservice.catalog import Catalog
from gisservice.errors import CatalogError, PublishError
from gisservice.model import GeometryKind


def contents(home):
    root = home / "collections"
    return {
        path.relative_to(root).as_posix(): (path.read_bytes(), path.stat().st_mode & 0o777)
        for path in root.rglob("*")
        if path.is_file() and path.name != "lock"
    }


@pytest.fixture
def filled(publisher, make_records, make_shapes, tmp_path):
    """Two collections, one with two versions rolled back and internal columns; and a backup of them."""
    first = publisher(1)
    publisher(2)
    publisher.catalog.rollback("parcels", first.id)
    internal = pandas.DataFrame({"assessor": ["a", "b", "c"]})
    publisher.publish(make_records(make_shapes(GeometryKind.LINE, 3), GeometryKind.LINE, internal=internal), "streets")
    publisher.catalog.backup(tmp_path / "backup.tar")
    return publisher


def test_a_restore_into_nothing_gives_the_same_bytes(filled, tmp_path):
    catalog = Catalog(tmp_path / "new")
    assert catalog.restore(tmp_path / "backup.tar") == ("parcels", "streets")
    assert contents(tmp_path / "new") == contents(filled.home)
    assert catalog.verify() == () and catalog.versions("parcels") == filled.catalog.versions("parcels")
    assert {mode for name, (_, mode) in contents(tmp_path / "new").items() if "internal" in name} == {0o600}


def test_a_backup_is_for_its_owner_alone_and_holds_no_path_and_no_name_of_the_machine(filled, tmp_path):
    assert (tmp_path / "backup.tar").stat().st_mode & 0o777 == 0o600
    with tarfile.open(tmp_path / "backup.tar") as tar:
        members = tar.getmembers()
    assert {member.name for member in members} == set(contents(filled.home))
    assert {(member.uname, member.uid, member.mtime) for member in members} == {("", 0, 0)}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_what_was_published_since_stays_and_the_backups_current_version_becomes_current(filled, tmp_path):
    reader = Catalog(filled.home)
    then = filled.catalog.versions("parcels")
    newer = filled(3)
    reader.collection("parcels")
    filled.catalog.restore(tmp_path / "backup.tar")
    assert reader.collection("parcels").version == then[0].id
    after = filled.catalog.versions("parcels")
    assert [version.id for version in after] == [then[0].id, newer.id, then[1].id]
    assert after[0].action == "rollback" and after[0].published > newer.published
    assert reader.as_of("parcels", newer.published).version == newer.id
    assert filled.catalog.verify() == ()


def test_restoring_twice_changes_nothing(filled, tmp_path):
    before = contents(filled.home)
    filled.catalog.restore(tmp_path / "backup.tar")
    filled.catalog.restore(tmp_path / "backup.tar")
    assert contents(filled.home) == before


def test_a_restore_repairs_what_is_damaged(filled, tmp_path):
    good = contents(filled.home)
    current = filled.catalog.collection("parcels").path
    (current / "serve" / "features.bin").write_bytes(b"?")
    (filled.home / "collections" / "streets" / "current.json").write_bytes(b"{")
    assert len(filled.catalog.verify()) == 2
    filled.catalog.restore(tmp_path / "backup.tar")
    assert contents(filled.home) == good


def test_an_empty_catalog_can_be_backed_up(tmp_path):
    Catalog(tmp_path / "none").backup(tmp_path / "backup.tar")
    assert Catalog(tmp_path / "new").restore(tmp_path / "backup.tar") == ()


@pytest.mark.parametrize("tries", [20, pytest.param(100, marks=pytest.mark.slow)])
def test_no_damage_to_a_backup_gets_into_the_catalog(filled, tmp_path, tries):
    whole = (tmp_path / "backup.tar").read_bytes()
    (tmp_path / "damaged.tar").write_bytes(whole)
    before = contents(filled.home)
    refused = 0
    for position in range(1, len(whole), len(whole) // tries):
        damaged = bytearray(whole)
        damaged[position] ^= 16
        (tmp_path / "damaged.tar").write_bytes(damaged)
        try:
            filled.catalog.restore(tmp_path / "damaged.tar")
        except CatalogError as exc:
            refused += 1
            assert "damaged.tar" in str(exc) and str(tmp_path) not in str(exc)
        assert contents(filled.home) == before
    assert refused > tries / 3  # the rest hit padding


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_truncated_backup_is_refused(filled, tmp_path, share):
    whole = (tmp_path / "backup.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CatalogError, match=r"cut\.tar"):
        Catalog(tmp_path / "new").restore(tmp_path / "cut.tar")
    assert Catalog(tmp_path / "new").ids() == ()


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/etc/evil",
        "parcels/../../evil",
        "parcels/versions/v-0123456789abcdef/../../../../evil",
        "parcels/versions/v-0123456789abcdef/.hidden",
        "parcels/versions/latest/manifest.json",
        "Parcels/current.json",
        "parcels/lock",
    ],
)
def test_a_member_that_no_backup_has_is_refused(tmp_path, name):
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        member = tarfile.TarInfo(name)
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(CatalogError, match="which no backup has"):
        Catalog(tmp_path / "new").restore(tmp_path / "evil.tar")
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        member = tarfile.TarInfo("parcels/current.json")
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(CatalogError, match="which no backup has"):
        Catalog(tmp_path / "new").restore(tmp_path / "evil.tar")


def test_a_backup_that_lacks_the_current_version_is_refused(filled, tmp_path):
    current = filled.catalog.collection("parcels").version
    with tarfile.open(tmp_path / "backup.tar") as whole, tarfile.open(tmp_path / "less.tar", "w") as less:
        for member in whole:
            if current not in member.name:
                less.addfile(member, whole.extractfile(member))
    with pytest.raises(CatalogError, match="lacks the current version of parcels"):
        filled.catalog.restore(tmp_path / "less.tar")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(PublishError, match="No such file"):
        Catalog(tmp_path / "new").restore(tmp_path / "gone.tar")
    with pytest.raises(PublishError, match=r"backup\.tar could not be written: No such file"):
        Catalog(tmp_path / "new").backup(tmp_path / "no-folder" / "backup.tar")
