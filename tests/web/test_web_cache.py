"""The cache of what is made on request: bounded in bytes, one making at a time, errors neither kept nor passed on."""

from __future__ import annotations

import threading

import pytest

from gisservice.web.cache import ByteCache


def test_what_was_made_is_kept() -> None:
    cache = ByteCache(10_000)
    assert cache.get(("a",), lambda: b"one") == b"one"
    assert cache.get(("a",), lambda: pytest.fail("made again")) == b"one"
    assert cache.kept(("a",)) == b"one" and cache.kept(("b",)) is None
    assert cache.get(("b",), lambda: b"two") == b"two"


def test_an_empty_tile_is_kept_too() -> None:
    cache = ByteCache(10_000)
    cache.get(("a",), lambda: b"")
    assert cache.get(("a",), lambda: pytest.fail("made again")) == b""


def test_it_never_holds_more_bytes_than_its_limit_and_lets_go_what_was_used_longest_ago() -> None:
    cache = ByteCache(10_000)
    for number in range(100):
        cache.get((str(number),), lambda: bytes(2_000))
        cache.get(("0",), lambda: bytes(2_000))
        assert cache.size_bytes <= 10_000
    assert cache.get(("0",), lambda: pytest.fail("let go")) == bytes(2_000)
    assert cache.get(("99",), lambda: pytest.fail("let go")) == bytes(2_000)
    assert cache.get(("5",), lambda: b"made again") == b"made again"


def test_long_keys_count() -> None:
    cache = ByteCache(10_000)
    for number in range(100):
        cache.get((str(number), "x" * 5_000), lambda: b"")
        assert cache.size_bytes <= 10_000


@pytest.mark.parametrize("limit", [0, 1_000])
def test_what_is_over_the_limit_alone_is_made_and_not_kept(limit: int) -> None:
    cache = ByteCache(limit)
    assert cache.get(("a",), lambda: bytes(2_000)) == bytes(2_000)
    assert cache.size_bytes == 0
    assert cache.get(("a",), lambda: b"again" * 1_000) == b"again" * 1_000


@pytest.mark.parametrize("limit", [0, 1_000_000])
def test_those_who_ask_at_a_time_share_one_making(limit: int) -> None:
    cache = ByteCache(limit)
    begun, finish = threading.Event(), threading.Event()
    made: list[int] = []
    got: list[bytes] = []

    def make() -> bytes:
        made.append(1)
        begun.set()
        assert finish.wait(20)
        return b"tile"

    threads = [threading.Thread(target=lambda: got.append(cache.get(("a",), make))) for _ in range(5)]
    threads[0].start()
    assert begun.wait(20)
    for thread in threads[1:]:
        thread.start()
    assert cache.get(("b",), lambda: b"other") == b"other"
    finish.set()
    for thread in threads:
        thread.join(20)
    assert got == [b"tile"] * 5
    assert len(made) == 1 or limit == 0  # uncached, one who came after it landed makes his own


def test_an_error_goes_to_its_maker_alone_and_the_next_in_line_tries() -> None:
    cache = ByteCache(10_000)
    begun, finish = threading.Event(), threading.Event()
    outcomes: list[object] = []

    def fail() -> bytes:
        begun.set()
        assert finish.wait(20)
        raise ValueError("first")

    def first() -> None:
        with pytest.raises(ValueError, match="first"):
            cache.get(("a",), fail)
        outcomes.append("failed")

    failing = threading.Thread(target=first)
    failing.start()
    assert begun.wait(20)
    waiting = [threading.Thread(target=lambda: outcomes.append(cache.get(("a",), lambda: b"good"))) for _ in range(3)]
    for thread in waiting:
        thread.start()
    finish.set()
    for thread in [failing, *waiting]:
        thread.join(20)
    assert sorted(map(str, outcomes)) == sorted(map(str, ["failed", b"good", b"good", b"good"]))
    assert cache.get(("a",), lambda: pytest.fail("made again")) == b"good"
