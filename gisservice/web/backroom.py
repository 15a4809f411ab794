"""The process in which analysis runs, one for all processes of a server; started by :class:`.computing.Door`.

::

    python -m gisservice.web.backroom HOME SCRATCH DESCRIPTOR-OF-ITS-LOCK

It loads the libraries once and forks a child for each question, so that a child begins within milliseconds and ends
with all that it took. The kernel holds each child to its limits: of time (a timer whose signal ends it, whatever C
code it is in), of memory and of the size of its answer. A question that is too much costs its own child only.

Each server process has a connection, over which it sends lines of JSON: ``{"own": "…"}`` names its folder,
``{"number": 3, "folder": "…"}`` begins what ``question.json`` in the folder says, ``{"end": 3}`` ends it. It is sent a
line ``{"number": 3, "status": …}`` when a child has ended, with the status of ``os.waitpid``; of the questions of
others it hears nothing. When a connection ends, so do its children, and its folder is removed. When the input ends,
which all server processes hold, so does all of it, and the folder SCRATCH is removed.
"""

from __future__ import annotations

import os
import resource
import select
import shutil
import signal
import socket
import sys
import traceback
from contextlib import suppress
from errno import EAGAIN, EFBIG, ENOMEM
from importlib import import_module
from pathlib import Path
from typing import Any

import orjson

from gisservice.analysis.inputs import Stored, question
from gisservice.analysis.operations import Role, operation, operations
from gisservice.analysis.writing import to_geojson
from gisservice.catalog import Catalog
from gisservice.errors import GISServiceError, LimitExceeded
from gisservice.query.reading import read
from gisservice.web.computing import ANSWER, ERROR, MEGABYTE, PATIENCE, QUESTION, listening, too_large

_LIBRARIES = (
    "geopandas", "pandas", "pyarrow.parquet", "scipy.sparse.csgraph", "scipy.spatial", "scipy.ndimage", "rasterio",
    "exactextract", "mapclassify", "gisservice.analysis.travel", "gisservice.catalog.rasters",
)  # fmt: skip
"""What most questions need, loaded before the first."""


class Backroom:
    """Who is connected, and the children that work for them."""

    def __init__(self, home: Path, listener: socket.socket, running: int) -> None:
        """Work for those who come to ``listener``; ``running`` is the descriptor of the lock of this process."""
        self._home, self._listener, self._running = home, listener, running
        self._told, tell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self._callers: dict[int, _Caller] = {}
        self._children: dict[int, tuple[_Caller, int]] = {}

    def serve(self) -> None:
        """Serve until the input ends."""
        while True:
            ready, _, _ = select.select([0, self._told, self._listener.fileno(), *self._callers], [], [])
            if 0 in ready:  # nothing ever comes from there
                break
            if self._told in ready:
                os.read(self._told, 4_096)
                self._report()
            if self._listener.fileno() in ready:
                self._let_in()
            for number in ready:
                if number in self._callers:
                    self._hear(self._callers[number])
        for caller in list(self._callers.values()):
            self._forget(caller)

    def _let_in(self) -> None:
        with suppress(BlockingIOError, ConnectionError):  # who came is gone again
            connection, _ = self._listener.accept()
            connection.setblocking(False)
            self._callers[connection.fileno()] = _Caller(connection)

    def _hear(self, caller: _Caller) -> None:
        try:
            heard = caller.connection.recv(65_536)
        except BlockingIOError:
            return
        except ConnectionError:
            heard = b""
        if not heard:
            self._forget(caller)
            return
        *lines, caller.pending = (caller.pending + heard).split(b"\n")
        for line in lines:
            self._obey(caller, orjson.loads(line))

    def _obey(self, caller: _Caller, line: dict[str, Any]) -> None:
        if "own" in line:
            caller.folder = line["own"]
        elif "end" in line:
            for child, one in self._children.items():
                if one == (caller, line["end"]):
                    os.kill(child, signal.SIGKILL)
        else:
            child = os.fork()
            if child == 0:
                self._leave()
                _work(self._home, Path(line["folder"]))
            self._children[child] = caller, line["number"]

    def _leave(self) -> None:
        """Let go, in a child, of what tells others that this process lives."""
        self._listener.close()
        for caller in self._callers.values():
            caller.connection.close()
        os.close(self._running)

    def _report(self) -> None:
        """Tell of all children that have ended."""
        while self._children:
            child, status = os.waitpid(-1, os.WNOHANG)
            if not child:
                return
            caller, number = self._children.pop(child)
            try:
                caller.connection.sendall(orjson.dumps({"number": number, "status": status}) + b"\n")
            except OSError:  # gone, or it does not listen: others are not kept waiting for it
                self._forget(caller)

    def _forget(self, caller: _Caller) -> None:
        """End what is worked on for a caller, and remove its folder: it may have been killed."""
        if self._callers.pop(caller.connection.fileno(), None) is None:
            return
        for child in [child for child, (one, _) in self._children.items() if one is caller]:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            del self._children[child]
        caller.connection.close()
        if caller.folder is not None:
            shutil.rmtree(caller.folder, ignore_errors=True)


class _Caller:
    """A server process that is connected: what it has said that is no whole line yet, and the folder that is its."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.pending = b""
        self.folder: str | None = None


def main() -> None:
    """Serve until the input ends."""
    home, scratch = Path(sys.argv[1]), Path(sys.argv[2])
    os.nice(5)  # tiles go first
    with listening(scratch) as listener:
        for name in _LIBRARIES:
            import_module(name)
        operations()
        Backroom(home, listener, int(sys.argv[3])).serve()
    shutil.rmtree(scratch, ignore_errors=True)  # who made it may have been killed


def _work(home: Path, folder: Path) -> None:
    """Answer one question in a child, which ends here."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        task = orjson.loads((folder / QUESTION).read_bytes())
        limit(task["seconds"], task["memory_bytes"], task["answer_bytes"])
        try:
            written = _write(folder / ANSWER, solve(home, task))
        except Exception as error:
            written = _write(folder / ERROR, orjson.dumps(described(error, task)))
        os._exit(0 if written else 1)
    except BaseException:  # without memory even that may fail; the status says so
        os._exit(1)


def limit(seconds: float, memory_bytes: int, answer_bytes: int) -> None:
    """Hold this process to limits, for good. ``seconds`` are of the processor: on a busy machine they last longer."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (answer_bytes, answer_bytes))
    # Of memory that is written: maps of published files are shared with all others and do not count.
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    for timer, bell, most in (
        (signal.ITIMER_PROF, signal.SIGPROF, seconds),
        (signal.ITIMER_REAL, signal.SIGALRM, seconds * PATIENCE),
    ):
        signal.signal(bell, signal.SIG_DFL)
        signal.setitimer(timer, most)


def solve(home: Path, task: dict[str, Any]) -> bytes:
    """Return the answer to a task: the name of a process and its inputs."""
    catalog = Catalog(home)

    def frame(source: Stored) -> Any:
        return read(
            catalog,
            source.collection,
            bbox=source.bbox,
            filter=source.filter,
            filter_lang=source.filter_lang,
            asof=source.asof,
        )

    def opened(role: Role, collection_id: str) -> Any:
        from gisservice.analysis.ground import Ground
        from gisservice.analysis.network import Network

        return (Network if role is Role.NETWORK else Ground).open(catalog, collection_id)

    asked = question(operation(task["process"]), task["inputs"])
    return to_geojson(asked.answer(frame, opened))


def described(error: Exception, task: dict[str, Any]) -> dict[str, Any]:
    """Return an error as JSON, to be raised again by :func:`gisservice.web.computing.raised`."""
    if is_out_of_memory(error):
        error = too_large(task)
    elif isinstance(error, OSError) and error.errno == EFBIG:
        most = task["answer_bytes"] / MEGABYTE
        error = LimitExceeded("An answer", most + 1, most, "megabytes")
    if isinstance(error, GISServiceError):
        return {"type": type(error).__name__, "message": str(error)}
    return {"type": "", "message": "".join(traceback.format_exception(error))}


_NO_MEMORY = ("bad_alloc", "Unable to allocate", os.strerror(EAGAIN))
"""How libraries say so; the last when a thread finds no room for its stack."""


def is_out_of_memory(error: BaseException | None) -> bool:
    """Tell whether an error, or what it came from, is that no memory was left; C libraries say so in words only."""
    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == ENOMEM):
            return True
        if any(words in str(error) for words in _NO_MEMORY):
            return True
        error = error.__cause__ or error.__context__
    return False


def _write(path: Path, content: bytes) -> bool:
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.rename(path)
    return True


if __name__ == "__main__":
    main()
