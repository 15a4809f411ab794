"""Packed files: what goes in comes out, and a damaged one is told from a whole one."""

from __future__ import annotations

import numpy as np
import pytest

from gisservice.errors import CatalogError
from gisservice.pack import Pack, PackWriter


@pytest.fixture
def packed(tmp_path):
    path = tmp_path / "some.bin"
    with PackWriter(path, {"count": 3}) as pack:
        pack.array("boxes", np.arange(12.0).reshape(3, 4))
        pack.chunks("items", [b"ab", b"", b"cde"])
        pack.array("none", np.empty((0, 2), dtype=np.uint32))
    return path


def test_round_trip(packed):
    pack = Pack(packed)
    assert pack.about == {"count": 3}
    assert pack.array("boxes").tolist() == np.arange(12.0).reshape(3, 4).tolist()
    assert not pack.array("boxes").flags.writeable
    start, end = pack.span("items")
    assert pack.map[start:end] == b"abcde" and start % 64 == 0
    assert pack.array("none").shape == (0, 2) and pack.array("none").dtype == np.uint32


def test_an_error_while_writing_leaves_a_file_that_is_not_taken_for_a_whole_one(tmp_path):
    with pytest.raises(ZeroDivisionError), PackWriter(tmp_path / "x.bin", {}) as pack:
        pack.array("a", np.arange(100))
        raise ZeroDivisionError
    with pytest.raises(CatalogError):
        Pack(tmp_path / "x.bin")


def test_every_truncation_is_noticed(packed, tmp_path):
    whole = packed.read_bytes()
    for length in range(len(whole)):
        (tmp_path / "cut.bin").write_bytes(whole[:length])
        with pytest.raises(CatalogError, match=r"cut\.bin"):
            Pack(tmp_path / "cut.bin")


def test_a_missing_file_is_named_without_its_folder(tmp_path):
    with pytest.raises(CatalogError, match=r"gone\.bin") as caught:
        Pack(tmp_path / "gone.bin")
    assert str(tmp_path) not in str(caught.value)


def test_every_flipped_bit_in_an_array_or_the_index_is_noticed(packed, tmp_path):
    whole = packed.read_bytes()
    start, end = Pack(packed).span("items")
    told = 0
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        (tmp_path / "flipped.bin").write_bytes(damaged)
        try:
            pack = Pack(tmp_path / "flipped.bin")
            assert pack.array("boxes").tolist() == np.arange(12.0).reshape(3, 4).tolist()
            assert pack.map[start:end] == b"abcde" or start <= position < end
        except CatalogError as exc:
            told += 1
            assert "flipped.bin is damaged" in str(exc)
    assert told > 96 + 100
