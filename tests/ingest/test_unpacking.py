"""Zip and gzip files from strangers: each trick is refused before anything is used."""

from __future__ import annotations

import gzip
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from gisservice.errors import SourceError
from gisservice.ingest import unpacking
from gisservice.ingest.unpacking import gunzip, unzip


def archive(path: Path, *entries: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in entries:
            target.writestr(name, data)
    return path


def refused(path: Path, tmp_path: Path) -> str:
    folder = tmp_path / "unpacked"
    folder.mkdir()
    with pytest.raises(SourceError) as caught:
        unzip(path, folder, "source.zip")
    assert caught.value.source == "source.zip"
    assert not any(item.is_file() for item in tmp_path.parent.glob("evil*"))
    return str(caught.value)


def test_a_plain_archive_is_unpacked_without_the_extras_of_macos(tmp_path):
    path = archive(tmp_path / "a.zip", ("sub/a.txt", b"one"), ("__MACOSX/sub/._a.txt", b"x"), ("b.txt", b"two"))
    folder = tmp_path / "out"
    folder.mkdir()
    unzip(path, folder, "a.zip")
    assert (folder / "sub/a.txt").read_bytes() == b"one"
    assert sorted(p.name for p in folder.rglob("*") if p.is_file()) == ["a.txt", "b.txt"]


@pytest.mark.parametrize("name", ["../evil.shp", "/evil.shp", "a/../../evil.shp", "C:/evil.shp", "..\\evil.shp"])
def test_names_that_lead_out_are_refused(tmp_path, name):
    path = archive(tmp_path / "a.zip", (name, b"x"))
    assert "leads out of the archive" in refused(path, tmp_path)


def test_a_symbolic_link_is_refused(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as target:
        entry = zipfile.ZipInfo("lots.shp")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        target.writestr(entry, "/etc/passwd")
    assert "is a symbolic link" in refused(path, tmp_path)


@pytest.mark.parametrize("inner", ["more.zip", "lots.geojson.gz", "lots.KMZ", "x.tar"])
def test_an_archive_in_the_archive_is_refused(tmp_path, inner):
    assert "archive inside" in refused(archive(tmp_path / "a.zip", (inner, b"PK")), tmp_path)


def test_names_that_differ_in_case_only_are_refused(tmp_path):
    assert "twice" in refused(archive(tmp_path / "a.zip", ("a.shp", b"1"), ("A.SHP", b"2")), tmp_path)


def test_too_many_files_are_refused(tmp_path):
    many = [(f"{n}.txt", b"") for n in range(unpacking.ENTRIES_MAX + 1)]
    assert "2,001 files" in refused(archive(tmp_path / "a.zip", *many), tmp_path)


def test_a_bomb_is_refused_by_its_directory(tmp_path):
    path = archive(tmp_path / "a.zip", ("lots.dbf", bytes(32 * 1024**2)))
    assert path.stat().st_size < 64 * 1024
    assert "unpacks to more than 16 MiB" in refused(path, tmp_path)


def test_entries_that_share_bytes_are_refused(tmp_path):
    path = archive(tmp_path / "a.zip", ("a.txt", b"x" * 100), ("b.txt", b"x" * 100))
    data = bytearray(path.read_bytes())
    second = data.rindex(b"PK\x01\x02")
    data[second + 42 : second + 46] = struct.pack("<I", 0)  # the second entry begins where the first does
    path.write_bytes(data)
    assert "overlap" in refused(path, tmp_path)


def test_a_password_is_refused_by_name(tmp_path):
    path = archive(tmp_path / "a.zip", ("a.txt", b"x"))
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert "password" in refused(path, tmp_path)


@pytest.mark.parametrize("keep", [10, 60, 0.5, 0.99])
def test_a_truncated_archive_is_refused(tmp_path, keep):
    path = archive(tmp_path / "a.zip", ("a.txt", bytes(range(256)) * 40))
    data = path.read_bytes()
    path.write_bytes(data[: keep if keep > 1 else int(len(data) * keep)])
    assert "truncated or damaged" in refused(path, tmp_path)


def test_damage_inside_an_entry_is_noticed(tmp_path):
    path = archive(tmp_path / "a.zip", ("a.txt", bytes(range(256)) * 40))
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    path.write_bytes(data)
    assert "truncated or damaged" in refused(path, tmp_path)


def test_an_archive_of_nothing_is_refused(tmp_path):
    assert "without any file" in refused(archive(tmp_path / "a.zip"), tmp_path)


def test_gzip_whole_truncated_and_bomb(tmp_path):
    path, target = tmp_path / "a.csv.gz", tmp_path / "a.csv"
    path.write_bytes(gzip.compress(b"x,y\n" * 1000))
    gunzip(path, target, "a.csv.gz")
    assert target.read_bytes() == b"x,y\n" * 1000
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(SourceError, match="truncated or damaged"):
        gunzip(path, target, "a.csv.gz")
    path.write_bytes(b"no gzip at all")
    with pytest.raises(SourceError, match="not a whole gzip file"):
        gunzip(path, target, "a.csv.gz")
    path.write_bytes(gzip.compress(bytes(64 * 1024**2)))
    with pytest.raises(SourceError, match="unpacks to more than 16 MiB"):
        gunzip(path, target, "a.csv.gz")
    assert target.stat().st_size <= 16 * 1024**2
