"""The way to the process in which analysis runs: questions in, answers or errors out, within limits."""

from __future__ import annotations

import fcntl
import itertools
import logging
import os
import shutil
import signal
import socket
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR
from subprocess import DEVNULL, Popen
from tempfile import TemporaryDirectory, gettempdir, mkdtemp
from threading import Event, Lock, Thread
from typing import Any, BinaryIO

import orjson

from gisservice import errors
from gisservice.analysis.inputs import Question
from gisservice.errors import LimitExceeded, Overloaded

_log = logging.getLogger("gisservice.web")

QUESTION, ANSWER, ERROR = "question.json", "answer", "error.json"
"""Files of a folder: what is asked; what was found, whole or not there; or why not."""

MEGABYTE = 1_000_000

PATIENCE = 3.0
"""How many times its seconds of the processor a question may last on a busy machine."""

_LOOKS_SECONDS = 0.25
"""How often a question that can be called off is looked after."""

_GRACE_SECONDS = 60.0
"""How long to wait for a process that should have been ended by its timer: only a stopped machine takes so long."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one question may take; seconds are of one processor."""

    seconds: float
    memory_bytes: int
    answer_bytes: int


AT_ONCE = Limits(10.0, 1_500_000_000, 64_000_000)
"""Of a question whose asker waits. Memory beyond the libraries' 250 MB: a city's parcels take 300 MB."""

AS_JOB = Limits(300.0, 3_000_000_000, 64_000_000)
"""Of a job."""


class Scratch:
    """A folder for what is under way, that nothing is left of.

    It is removed with this object, or by the backroom when its processes are killed; were all killed, by the next
    process that makes one: what holds it is a lock, which the kernel lets go.
    """

    def __init__(self) -> None:
        home = Path(gettempdir())
        for left in home.glob(f"{_SCRATCH}*"):
            _remove_unheld(left)
        for left in home.glob(f".{_SCRATCH}*"):
            _remove_draft(left)
        draft = Path(mkdtemp(prefix=f".{_SCRATCH}"))  # under another name until it is held
        held = os.open(draft / _HELD, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(held, fcntl.LOCK_EX)
        self.path = draft.rename(home / draft.name.removeprefix("."))
        self.remove = weakref.finalize(self, _let_go, self.path, held, os.getpid())
        """Lets go of the folder and of all that is in it."""


_SCRATCH, _HELD = "gisservice-", "held"
_DRAFT_SECONDS = 3600
"""A folder that is not held after so long never will be: that takes milliseconds."""


def _let_go(path: Path, held: int, owner: int) -> None:
    if os.getpid() == owner:  # a fork of it has a copy of the object, not of what the object stands for
        shutil.rmtree(path, ignore_errors=True)
        os.close(held)


def _remove_unheld(path: Path) -> None:
    """Remove a folder of a process that was killed; another user's, or what is none of ours, stays."""
    try:
        file = os.open(path / _HELD, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(file)


def _remove_draft(path: Path) -> None:
    """Remove a folder whose maker was killed before it held it; a young one, or another user's, stays."""
    try:
        found = path.lstat()
    except OSError:
        return
    if found.st_uid == os.getuid() and S_ISDIR(found.st_mode) and time.time() - found.st_mtime > _DRAFT_SECONDS:
        shutil.rmtree(path, ignore_errors=True)


class Door:
    """Where the processes of a server meet the one backroom that works for all of them.

    Made before they are forked. The backroom is started by whoever needs it while there is none, and holds a lock for
    as long as it lives; it ends when nobody is left who has the door, or when that is closed.
    """

    def __init__(self, home: Path) -> None:
        self.scratch = Scratch()
        self.started: list[Popen[bytes]] = []
        """The backroom, last, where it was this process that started it."""
        self._home = home
        self._life, held = os.pipe()
        self.close = weakref.finalize(self, _close, self.scratch, (self._life, held), self.started, os.getpid())

    def entered(self) -> socket.socket:
        """Return a connection to the backroom, which is started when there is none.

        Raises :class:`Overloaded` when it ends before it can be reached.
        """
        mine: Popen[bytes] | None = None
        for _ in range(_KNOCKS):
            with suppress(FileNotFoundError, ConnectionError), _folder(self.scratch.path) as folder:
                connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                try:
                    connection.connect(f"{folder}/{DOOR}")
                    return connection
                except OSError:
                    connection.close()
                    raise
            if mine is not None and mine.poll() is not None:
                break
            mine = self._start() or mine
            time.sleep(_KNOCK_SECONDS)
        raise Overloaded(_HAS_ENDED)

    def _start(self) -> Popen[bytes] | None:
        """Start the backroom unless there is one; it takes the lock over, so there are never two."""
        running = os.open(self.scratch.path / RUNNING, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(running, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # One thread each: a child is a fork of a process that must not have others.
            surroundings = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
            # Arrow's own allocator reserves a gigabyte at once, which would count as used.
            surroundings["ARROW_DEFAULT_MEMORY_POOL"] = "system"
            command = [sys.executable, "-m", "gisservice.web.backroom"]
            process = Popen(
                ["/usr/bin/env", *(f"{name}={value}" for name, value in surroundings.items()), *command,
                 str(self._home), str(self.scratch.path), str(running)],
                stdin=self._life, stdout=DEVNULL, pass_fds=(running,), start_new_session=True,
            )  # fmt: skip
            self.started[:] = [*(one for one in self.started if one.poll() is None), process]
            return process
        except BlockingIOError:  # there is one
            return None
        finally:
            os.close(running)


DOOR, RUNNING = "door", "running"
"""Files of a door's scratch folder: the socket at which the backroom listens, and the lock that it holds."""

_KNOCKS, _KNOCK_SECONDS = 3_000, 0.01
_HAS_ENDED = "The process that works out answers has ended; ask again in a moment."


@contextmanager
def _folder(path: Path) -> Iterator[str]:
    """Give a short name of a folder: the path of a socket has 107 bytes at most."""
    descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


@contextmanager
def listening(folder: Path) -> Iterator[socket.socket]:
    """Give the socket at which a door's backroom listens."""
    (folder / DOOR).unlink(missing_ok=True)  # of one that was killed
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        with _folder(folder) as short:
            listener.bind(f"{short}/{DOOR}")
        listener.listen(128)
        listener.setblocking(False)
        yield listener


def _close(scratch: Scratch, life: tuple[int, int], started: list[Popen[bytes]], owner: int) -> None:
    """Let the backroom end, which it does when its input does, and wait until it has."""
    if os.getpid() != owner:
        return
    for end in life:
        os.close(end)
    with suppress(FileNotFoundError):  # it has removed the folder
        running = os.open(scratch.path / RUNNING, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(running, fcntl.LOCK_EX)
        finally:
            os.close(running)
    for process in started:
        process.wait()
    scratch.remove()


class _Flight:
    """One question under way; ``status`` is that of its process, None when the backroom itself ended."""

    def __init__(self) -> None:
        self.over = Event()
        self.status: int | None = None


class _Room:
    """The backroom as one process has it: a connection, a folder of its own, and who waits for what."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.folder = Path(mkdtemp(prefix="of-", dir=door.scratch.path))
        self.flights: dict[int, _Flight] = {}
        self.lock = Lock()
        self.alive = True
        self._connection = door.entered()
        self.send({"own": str(self.folder)})
        Thread(target=_listen, args=(weakref.ref(self), self._connection.makefile("rb")), daemon=True).start()
        weakref.finalize(self, _hang_up, self._connection, os.getpid())

    def send(self, line: dict[str, Any]) -> None:
        with self.lock:
            self._connection.sendall(orjson.dumps(line) + b"\n")

    def heard(self, line: dict[str, Any]) -> None:
        flight = self.flights.pop(line["number"], None)
        if flight is not None:
            flight.status = line["status"]
            flight.over.set()

    def ended(self) -> None:
        self.alive = False
        for number in list(self.flights):
            self.flights.pop(number).over.set()


def _listen(room: weakref.ref[_Room], lines: BinaryIO) -> None:
    with suppress(ConnectionError):
        for line in lines:
            if (there := room()) is not None:
                there.heard(orjson.loads(line))
            del there
    if (there := room()) is not None:
        there.ended()


def _hang_up(connection: socket.socket, owner: int) -> None:
    """End a connection, so that the thread that listens ends, too; a fork of its owner has a copy of it only."""
    if os.getpid() == owner:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
    connection.close()


class Computer:
    """Has questions answered by the backroom, which is started for the first. Safe for threads."""

    def __init__(self, home: Path) -> None:
        self.at_once, self.as_job = AT_ONCE, AS_JOB
        self._home = home
        self._lock = Lock()
        self._numbers = itertools.count(1)
        self._door: Door | None = None
        self._room: _Room | None = None

    def share(self, door: Door | None = None) -> Door:
        """Return the door to the backroom, another's or made now: processes forked from this one use the same."""
        if self._door is None:
            self._door = door or Door(self._home)
        return self._door

    def prepare(self) -> None:
        """Start the backroom before the first question."""
        self._open()

    def answer(self, asked: Question) -> bytes:
        """Return the answer to a question whose asker waits."""
        room = self._open()
        with TemporaryDirectory(dir=room.folder, ignore_cleanup_errors=True) as name:
            return self.run(asked, Path(name), self.at_once).read_bytes()

    def run(self, asked: Question, folder: Path, limits: Limits, called_off: Callable[[], bool] | None = None) -> Path:
        """Have a question answered in a folder, and return the answer's file.

        ``called_off`` is asked now and then whether to stop. Raises what the operation raises,
        :class:`LimitExceeded` when it takes more than its limits, :class:`Overloaded` when the process died.
        """
        task = {
            "process": asked.operation.name,
            "inputs": orjson.loads(asked.text),
            "seconds": limits.seconds,
            "memory_bytes": limits.memory_bytes,
            "answer_bytes": limits.answer_bytes,
        }
        (folder / QUESTION).write_bytes(orjson.dumps(task))
        status = self._waited_for(folder, limits, called_off)
        if (folder / ANSWER).exists():
            return folder / ANSWER
        if (folder / ERROR).exists():
            raise raised(orjson.loads((folder / ERROR).read_bytes()))
        raise _ended(status, task, asked)

    def _waited_for(self, folder: Path, limits: Limits, called_off: Callable[[], bool] | None) -> int | None:
        number, flight = next(self._numbers), _Flight()
        room = self._open()
        room.flights[number] = flight
        try:
            room.send({"number": number, "folder": str(folder)})
        except OSError:
            room.ended()
        waited, step = 0.0, _LOOKS_SECONDS if called_off else limits.seconds * PATIENCE + _GRACE_SECONDS
        while not flight.over.wait(step):
            waited += step
            if waited >= limits.seconds * PATIENCE + _GRACE_SECONDS or (called_off is not None and called_off()):
                with suppress(OSError):
                    room.send({"end": number})
                flight.over.wait(_GRACE_SECONDS)
                break
        return flight.status

    def _open(self) -> _Room:
        with self._lock:
            if self._room is None or not self._room.alive:
                self._room = _Room(self.share())
            return self._room


def raised(described: dict[str, Any]) -> Exception:
    """Return the error that :func:`gisservice.web.backroom.described` described."""
    kind = getattr(errors, described["type"], None)
    if kind is None:
        return RuntimeError(described["message"])
    found: Exception = kind.__new__(kind)
    found.args = (described["message"],)
    return found


def _ended(status: int | None, task: dict[str, Any], asked: Question) -> Exception:
    """Return why a process left neither an answer nor an error."""
    if status is None:
        return Overloaded(_HAS_ENDED)
    by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if by in (signal.SIGPROF, signal.SIGALRM):
        return LimitExceeded("The work on this question", task["seconds"] + 1, task["seconds"], "seconds")
    # Out of memory, C code gives up in ways of its own: by abort, or by writing where nothing is.
    _log.warning(
        "%s", orjson.dumps({"event": "analysis ended", "signal": by, "process": asked.operation.name}).decode()
    )
    return too_large(task)


def too_large(task: dict[str, Any]) -> LimitExceeded:
    """Return the error of a question that needs more memory than it may take."""
    most = task["memory_bytes"] / MEGABYTE
    return LimitExceeded("The work on this question, in memory", most + 1, most, "megabytes")
