"""Files beside a version: whole or not there, whenever their maker dies; made by one process at a time."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from gisservice.catalog.derived import Derived, DerivedFile, damage

CALLS = ("open", "replace", "fsync", "unlink", "write")
"""What changes the disk, or leads to it."""


@pytest.fixture
def derived(publisher) -> Derived:
    publisher()
    return Derived(publisher.catalog.collection("parcels"))


def put(derived: Derived, name: str, content: bytes) -> DerivedFile:
    with derived.making(name) as draft:
        draft.write_bytes(content)
        return derived.keep(name, draft)


def killed_before(call: int, work: Callable[[], object]) -> bool:
    """Run some work in a process that is killed before its n-th call to the disk; tell whether it was."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    count = 0

    def counted(real: Callable[..., object]) -> Callable[..., object]:
        def run(*arguments: object, **options: object) -> object:
            nonlocal count
            count += 1
            if count == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)

        return run

    try:
        for name in CALLS:
            setattr(os, name, counted(getattr(os, name)))
        work()
        os._exit(0)
    finally:
        os._exit(1)


def test_a_file_is_known_once_it_was_kept(derived):
    assert derived.find("a.csv") is None
    made = put(derived, "a.csv", b"content")
    assert derived.find("a.csv") == made and made.size == 7
    assert derived.path("a.csv").read_bytes() == b"content"


def test_a_draft_that_is_not_kept_is_gone(derived):
    with pytest.raises(RuntimeError), derived.making("a.csv") as draft:
        draft.write_bytes(b"half")
        raise RuntimeError
    assert derived.find("a.csv") is None and not draft.exists()


def test_what_needs_no_place_of_its_own_and_what_cannot_be_made_is_noted(derived):
    for found in (DerivedFile("a.geojson", "ab" * 32, 5), DerivedFile("a.shp.zip", "", 0, "Too large.")):
        with derived.making(found.name):
            derived.note(found)
        assert derived.find(found.name) == found


@pytest.mark.parametrize("before", [None, b"the content of a maker before", b"other bytes" * 1000])
def test_killed_before_any_call_a_file_is_whole_or_not_there(derived, before):
    content = b"new content" * 1000
    assert len(content) == len(b"other bytes" * 1000)
    call, alive = 1, False
    while not alive:
        shutil.rmtree(derived.folder, ignore_errors=True)
        if before is not None:
            put(derived, "a.csv", before)
        alive = not killed_before(call, lambda: put(derived, "a.csv", content))
        found = derived.find("a.csv")
        if found is not None:
            kept = derived.path("a.csv").read_bytes()
            assert (hashlib.sha256(kept).hexdigest(), len(kept)) == (found.sha256, found.size)
            assert kept in (content, before)
        assert put(derived, "a.csv", content) == derived.find("a.csv"), "the next maker is not in the way of anything"
        assert [path.name for path in derived.folder.iterdir() if path.name.startswith(".new")] == []
        call += 1
    assert call > 6


def test_one_makes_a_file_and_the_others_wait_for_it(derived):
    inside, go = Event(), Event()

    def first() -> None:
        with derived.making("a.csv") as draft:
            inside.set()
            go.wait(60)
            draft.write_bytes(b"first")
            derived.keep("a.csv", draft)

    def second() -> DerivedFile | None:
        inside.wait(60)
        go.set()
        with derived.making("a.csv"):
            return derived.find("a.csv")

    with ThreadPoolExecutor(2) as pool:
        making, waiting = pool.submit(first), pool.submit(second)
        making.result()
        found = waiting.result()
    assert found is not None and found.size == 5


def test_damage_is_named_and_a_record_that_was_changed_is_none(derived, publisher):
    made = put(derived, "a.csv", b"content")
    version = derived.folder.parents[1] / "versions" / derived.folder.name
    assert list(damage(version, "parcels")) == []
    derived.path("a.csv").write_bytes(b"CONTENT")
    (finding,) = damage(version, "parcels")
    assert finding.code == "damaged-download" and "a.csv" in finding.message
    assert [entry.code for entry in publisher.catalog.verify()] == ["damaged-download"]
    record = derived.folder / "a.csv.json"
    record.write_bytes(record.read_bytes().replace(b'"size": 7', b'"size": 8'))
    assert derived.find("a.csv") is None and made.size == 7


def test_files_go_when_their_version_is_no_longer_current_and_readers_read_on(publisher):
    publisher(0)
    derived = Derived(publisher.catalog.collection("parcels"))
    put(derived, "a.csv", b"content")
    with open(derived.path("a.csv"), "rb") as reader:
        publisher(0)
        assert derived.find("a.csv") is not None, "the same content is the same version"
        publisher(1)
        assert not derived.folder.exists() and derived.find("a.csv") is None
        assert reader.read() == b"content"


def test_a_backup_has_no_need_of_them(publisher, tmp_path: Path):
    publisher(0)
    put(Derived(publisher.catalog.collection("parcels")), "a.csv", b"x" * 1_000_000)
    publisher.catalog.backup(tmp_path / "backup.tar")
    assert (tmp_path / "backup.tar").stat().st_size < 1_000_000
