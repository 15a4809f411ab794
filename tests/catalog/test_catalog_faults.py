"""Publishing under fire: killed at every call, refused by the disk at every call, done by two at once, read meanwhile.

A fault is put into a forked child, so that nothing of it stays in this process. An audit hook sees every file call
that Python makes, by whatever module (open, rename, mkdir, remove, …); ``os.write``, ``os.fsync`` and ``fcntl.flock``
are wrapped, as they have no audit event or one that comes too seldom.
"""

from __future__ import annotations

import errno
import json
import os
import pickle
import resource
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from gisservice.catalog import Catalog
from gisservice.errors import CollectionNotFound, PublishError

FILE_EVENTS = {
    "open",
    "os.rename",
    "os.mkdir",
    "os.remove",
    "os.rmdir",
    "os.link",
    "os.listdir",
    "os.scandir",
    "os.chmod",
}


def in_child(work: Callable[[], Any]) -> tuple[int, Any]:
    """Run ``work`` in a forked child; return its exit status and what it returned or raised."""
    reader, writer = os.pipe()
    tell = os.write  # not the one that a fault has been put into
    child = os.fork()
    if child == 0:
        try:
            try:
                answer = work()
            except BaseException as exc:
                answer = type(exc).__name__, str(exc)
            tell(writer, pickle.dumps(answer))
            os._exit(0)
        finally:
            os._exit(99)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), pickle.loads(answer) if answer else None


def arm(strike: Callable[[str, tuple[Any, ...]], None]) -> None:
    """Call ``strike`` before every file call of this process from now on."""

    def wrapped(module: Any, name: str) -> None:
        plain = getattr(module, name)

        def call(*args: Any) -> Any:
            strike(f"{module.__name__}.{name}", args)
            return plain(*args)

        setattr(module, name, call)

    import fcntl

    wrapped(os, "write")
    wrapped(os, "fsync")
    wrapped(fcntl, "flock")
    sys.addaudithook(lambda event, args: strike(event, args) if event in FILE_EVENTS else None)


class KillAt:
    """Kills this process before its k-th file call; a write is cut in half first."""

    def __init__(self, k: int) -> None:
        self.left = k
        self.write = os.write

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        self.left -= 1
        if self.left == 0:
            if event == "os.write":
                self.write(args[0], bytes(args[1])[: len(args[1]) // 2])
            os.kill(os.getpid(), signal.SIGKILL)


class FailAt:
    """Raises an OSError instead of the k-th file call."""

    def __init__(self, k: int, code: int) -> None:
        self.left, self.code, self.event = k, code, ""

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        self.left -= 1
        if self.left == 0:
            self.event = event
            raise OSError(self.code, os.strerror(self.code))


def generations(catalog: Catalog) -> set[int]:
    """What the current version holds, read whole from the serving file and from the archive."""
    collection = catalog.collection("parcels")
    assert collection.features is not None
    rows = range(collection.features.count)
    served = {json.loads(collection.features.item(row))["properties"]["generation"] for row in rows}
    return served | set(catalog.read("parcels")["generation"])


def leftovers(publisher: Any) -> list[str]:
    folder = publisher.home / "collections" / "parcels"
    names = [path.name for path in (*folder.iterdir(), *(folder / "versions").iterdir())]
    return [name for name in names if not name.startswith("v-") and name not in ("current.json", "lock", "versions")]


@pytest.mark.parametrize("published_before", [pytest.param(False, marks=pytest.mark.slow), True])
def test_killed_at_any_call_the_last_good_version_is_whole(make_publisher, tmp_path, published_before):
    before = make_publisher(tmp_path / "home", versions_kept=2)
    before.home.mkdir()
    for generation in (1, 2) if published_before else ():
        before(generation)
    content = before.content(3)
    number = 0
    struck = 0
    while True:
        number += 1
        publisher = make_publisher(tmp_path / f"home-{number}", versions_kept=2)
        shutil.copytree(before.home, publisher.home)

        def publish(publisher=publisher, k=number):
            arm(KillAt(k))
            return publisher.publish(content)

        status, answer = in_child(publish)
        if status == 0:
            assert answer.count == 12
            break
        assert status == -signal.SIGKILL
        struck += 1
        catalog = Catalog(publisher.home)
        if published_before or catalog.ids():
            assert generations(catalog) in ([{2}, {3}] if published_before else [{3}])
            assert catalog.verify() == ()
        else:
            with pytest.raises(CollectionNotFound):
                catalog.collection("parcels")
        publisher(4)
        assert generations(catalog) == {4} and catalog.verify() == () and leftovers(publisher) == []
    assert struck > 60  # it did strike, and at every call until none was left


@pytest.mark.parametrize(
    "code",
    [errno.ENOSPC, *(pytest.param(code, marks=pytest.mark.slow) for code in (errno.EIO, errno.EMFILE, errno.EACCES))],
)
def test_refused_at_any_call_nothing_published_changes(make_publisher, tmp_path, code):
    publisher = make_publisher(tmp_path / "home", versions_kept=2)
    publisher(1)
    publisher(2)
    number, failed, current = 0, 0, 2
    while True:
        number += 1
        fault = FailAt(number, code)

        content = publisher.content(1000 + number)

        def publish(fault=fault, content=content):
            arm(fault)
            try:
                return publisher.publish(content), fault.event
            except PublishError as exc:
                return str(exc), fault.event

        status, answer = in_child(publish)
        assert status == 0, answer
        outcome, event = answer
        catalog = Catalog(publisher.home)
        assert catalog.verify() == ()
        if isinstance(outcome, str):
            failed += 1
            assert generations(catalog) == {current}, event
            assert "still current" in outcome or "backup" in outcome
            if code == errno.ENOSPC and "backup" not in outcome:
                assert outcome.startswith("The disk is full"), outcome
            if event not in ("open", "os.scandir", "os.rmdir", "os.remove", "os.listdir"):  # of the cleaning itself
                assert leftovers(publisher) == [], event
        else:
            current = 1000 + number
            assert generations(catalog) == {current}
            if not event:
                break
    assert failed > 40
    publisher(2)
    assert leftovers(publisher) == []


@pytest.mark.parametrize("limit", [0, 100, 4096, 10_000, 20_000])
def test_a_disk_that_takes_no_more_stops_every_writer(make_publisher, tmp_path, limit):
    """A real refusal by the kernel, which also meets what C++ writes (Parquet): a limit on the size of files."""
    publisher = make_publisher(tmp_path / "home")
    publisher(1, count=100)

    def publish():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            publisher(2, count=100)
        except PublishError as exc:
            return str(exc)

    status, answer = in_child(publish)
    assert status == 0 and "still current" in answer
    assert generations(publisher.catalog) == {1} and publisher.catalog.verify() == () and leftovers(publisher) == []


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["rollback", "restore"])
def test_killed_while_going_back_the_last_good_version_is_whole(make_publisher, tmp_path, verb):
    before = make_publisher(tmp_path / "home")
    first = before(1)
    before.catalog.backup(tmp_path / "backup.tar")
    before(2)
    number = 0
    while True:
        number += 1
        catalog = Catalog(tmp_path / f"home-{number}")
        shutil.copytree(before.home, tmp_path / f"home-{number}")

        def go_back(catalog=catalog):
            if verb == "rollback":
                return catalog.rollback("parcels", first.id)
            return catalog.restore(tmp_path / "backup.tar")

        def go_back_and_die(go_back=go_back, k=number):
            arm(KillAt(k))
            return go_back()

        status, _ = in_child(go_back_and_die)
        assert status in (0, -signal.SIGKILL)
        assert generations(catalog) in ([{1}] if status == 0 else [{1}, {2}]) and catalog.verify() == ()
        if status == 0:
            break
        go_back()
        assert generations(catalog) == {1} and catalog.verify() == ()
        assert not list((tmp_path / f"home-{number}" / "collections").glob(".restore-*"))
    assert number > 15


def test_a_folder_that_may_not_be_written_is_said_to_be_one(tmp_path, make_publisher):
    (tmp_path / "home").write_text("a file")
    with pytest.raises(PublishError, match="Not a directory"):
        make_publisher(tmp_path / "home")(1)


def test_two_publishers_at_once(make_publisher, tmp_path):
    publisher = make_publisher(tmp_path / "home", versions_kept=100)
    publisher(0)
    children = []
    for which in (1, 2):
        child = os.fork()
        if child == 0:
            try:
                for number in range(15):
                    publisher(which * 100 + number)
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    assert len(publisher.catalog.versions("parcels")) == 31
    assert publisher.catalog.verify() == () and leftovers(publisher) == []
    moments = [version.published for version in publisher.catalog.versions("parcels")]
    assert moments == sorted(moments, reverse=True)


def test_one_who_publishes_does_not_sweep_away_what_another_is_writing(publisher):
    with publisher.catalog.stage("parcels") as staging:
        (staging.path / "half.bin").write_bytes(b"x")
        publisher(1)
        assert (staging.path / "half.bin").exists()
    assert leftovers(publisher) == []


@pytest.mark.slow
def test_readers_never_see_an_error_or_a_mixture(make_publisher, tmp_path):
    """200 publications, only one version kept, against two threads and a process that read all the time."""
    publisher = make_publisher(tmp_path / "home", versions_kept=1)
    publisher(0)
    done = threading.Event()
    problems: list[str] = []
    seen: set[int] = set()

    def read_once(catalog: Catalog) -> int:
        collection = catalog.collection("parcels")
        features = collection.features
        assert features is not None
        rows = range(features.count)
        found = {json.loads(features.item(row))["properties"]["generation"] for row in rows}
        found |= set(features.attributes["generation"].to_pylist()) | set(catalog.read("parcels")["generation"])
        # read() asks for the current version anew, so it may be a later one, but never a mixture
        assert len(found) <= 2 and collection.manifest.count == features.count == 12, found
        return min(found)

    def read() -> None:
        catalog = Catalog(publisher.home)
        while not done.is_set():
            try:
                seen.add(read_once(catalog))
            except Exception as exc:
                problems.append(f"{type(exc).__name__}: {exc}")
                return

    stop_reader, stop_writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.set_blocking(stop_reader, False)
        catalog, count = Catalog(publisher.home), 0
        try:
            while True:
                read_once(catalog)
                count += 1
                try:
                    os.read(stop_reader, 1)
                    os._exit(0 if count > 10 else 3)
                except BlockingIOError:
                    pass
        except BaseException:
            os._exit(1)
    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(1, 201):
        publisher(number)
    done.set()
    for thread in threads:
        thread.join()
    os.write(stop_writer, b"x")
    assert os.waitpid(child, 0)[1] == 0
    assert problems == [] and len(seen) > 3
    publisher(201)
    assert generations(publisher.catalog) == {201}
    os.close(stop_reader)
    os.close(stop_writer)
