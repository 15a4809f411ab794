from __future__ import annotations

import gzip
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pmtiles.reader import MemorySource, Reader, all_tiles
from pmtiles.tile import Compression, Entry, TileType, deserialize_directory, serialize_directory

from gisservice.errors import CatalogError
from gisservice.tiles import Archive, TileCoord
from gisservice.tiles.archive import ArchiveWriter, Directory, compress, decompress
from gisservice.tiles.grid import tile_id, tile_of_id

BOUNDS = (-77.15, 38.78, -77.03, 38.85)


def write(path: Path, tiles: dict[int, bytes], *, minzoom: int = 0, maxzoom: int = 16) -> Archive:
    with ArchiveWriter(path, metadata={"name": "x"}, bounds=BOUNDS, minzoom=minzoom, maxzoom=maxzoom) as writer:
        for place, tile in tiles.items():
            writer.add(place, tile)
    return Archive(path)


def scattered_tiles(count: int, contents: int) -> dict[int, bytes]:
    chance = random.Random(7)
    places = sorted(chance.sample(range(200_000), count))
    return {place: compress(f"tile {chance.randrange(contents)}".encode() * 9) for place in places}


@pytest.mark.parametrize(("count", "contents"), [(1, 1), (5_000, 40), (30_000, 30_000)])
def test_the_pmtiles_package_reads_the_same_tiles(tmp_path: Path, count: int, contents: int) -> None:
    tiles = scattered_tiles(count, contents)
    archive = write(tmp_path / "a.pmtiles", tiles)
    source = MemorySource((tmp_path / "a.pmtiles").read_bytes())
    theirs = dict(all_tiles(source))
    assert theirs == {tile_of_id(place): data for place, data in tiles.items()}
    assert all(archive.get(tile) == data for tile, data in theirs.items())
    assert list(archive.tiles()) == sorted(tiles)
    reader = Reader(source)
    header = reader.header()
    assert header["clustered"]
    assert (header["tile_type"], header["tile_compression"], header["internal_compression"]) == (
        TileType.MVT,
        Compression.GZIP,
        Compression.GZIP,
    )
    assert header["addressed_tiles_count"] == len(tiles)
    assert header["tile_contents_count"] == len(set(tiles.values()))
    assert header["root_offset"] + header["root_length"] <= 16_384
    assert (header["leaf_directory_length"] > 0) == (count == 30_000)
    assert reader.metadata() == {"name": "x"} == archive.metadata
    assert archive.bounds == BOUNDS


def test_tiles_lie_in_the_order_of_their_places_and_equal_ones_once(tmp_path: Path) -> None:
    tiles = {9: b"b", 3: b"a", 4: b"a", 5: b"a", 7: b"a", 8: b"c"}
    archive = write(tmp_path / "a.pmtiles", tiles)
    directory = archive.directory
    assert directory.places.tolist() == [3, 7, 8, 9]
    assert directory.runs.tolist() == [3, 1, 1, 1]
    assert directory.offsets.tolist() == [0, 0, 1, 2]
    assert archive.header.contents == 3


def test_places_without_a_tile_have_none(tmp_path: Path) -> None:
    archive = write(tmp_path / "a.pmtiles", {3: b"a", 4: b"a", 9: b"b"})
    assert [archive.get(tile_of_id(place)) for place in (0, 2, 3, 4, 5, 8, 9, 10)] == [
        None, None, b"a", b"a", None, None, b"b", None,
    ]  # fmt: skip
    assert archive.get(TileCoord(30, 2**30 - 1, 2**30 - 1)) is None


def test_an_empty_archive_can_be_written_and_read(tmp_path: Path) -> None:
    archive = write(tmp_path / "a.pmtiles", {})
    assert archive.get(TileCoord(0, 0, 0)) is None
    assert list(archive.tiles()) == []


def test_the_order_of_adding_changes_no_byte(tmp_path: Path) -> None:
    tiles = scattered_tiles(500, 20)
    write(tmp_path / "a.pmtiles", tiles)
    write(tmp_path / "b.pmtiles", dict(reversed(tiles.items())))
    assert (tmp_path / "a.pmtiles").read_bytes() == (tmp_path / "b.pmtiles").read_bytes()


def test_nothing_is_left_when_writing_fails(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError),
        ArchiveWriter(tmp_path / "a.pmtiles", metadata={}, bounds=BOUNDS, minzoom=0, maxzoom=1) as writer,
    ):
        writer.add(0, b"a")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@given(st.binary(max_size=5_000))
def test_compression_holds_no_time_and_is_undone(data: bytes) -> None:
    packed = compress(data)
    assert packed == compress(data)
    assert packed[4:8] == b"\0\0\0\0"
    assert gzip.decompress(packed) == data == decompress(packed)


@st.composite
def directories(draw: st.DrawFn) -> Directory:
    rows = draw(st.lists(st.tuples(*[st.integers(1, 2**40)] * 4), max_size=40))
    steps, runs, offsets, lengths = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    if draw(st.booleans()):
        offsets = np.cumsum(lengths) - lengths
    return Directory(np.cumsum(steps), runs, offsets, lengths)


@given(directories())
def test_directories_are_those_of_the_pmtiles_package(directory: Directory) -> None:
    columns = [c.tolist() for c in (directory.places, directory.offsets, directory.lengths, directory.runs)]
    rows = list(zip(*columns, strict=True))
    assert [(e.tile_id, e.offset, e.length, e.run_length) for e in deserialize_directory(directory.to_bytes())] == rows
    if rows:
        again = Directory.from_bytes(serialize_directory([Entry(*row) for row in rows]))
        assert all((getattr(again, name) == getattr(directory, name)).all() for name in vars(directory))


@pytest.mark.parametrize("damage", ["empty", "short", "magic", "version", "directory", "cut"])
def test_a_damaged_archive_is_told(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.pmtiles"
    write(path, scattered_tiles(100, 100))
    data = bytearray(path.read_bytes())
    if damage == "empty":
        data = bytearray()
    elif damage == "short":
        data = data[:50]
    elif damage == "magic":
        data[0] = 0
    elif damage == "version":
        data[7] = 2
    elif damage == "directory":
        data[140:150] = bytes(10)
    else:
        data = data[:-1]
    path.write_bytes(data)
    with pytest.raises(CatalogError, match="tile archive"):
        Archive(path)


def test_a_missing_archive_is_told(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="cannot be read"):
        Archive(tmp_path / "none.pmtiles")


def test_places_follow_from_addresses(tmp_path: Path) -> None:
    tile = TileCoord(16, 18_729, 25_085)
    assert write(tmp_path / "a.pmtiles", {tile_id(tile): b"x"}).get(tile) == b"x"
