"""The process in which analysis runs: ``python -m gisservice.web.backroom HOME SCRATCH``, started by :mod:`.computing`.

It loads the libraries once and forks a child for each question, so that a child begins within milliseconds and ends
with all that it took. The kernel holds each child to its limits: of time (a timer whose signal ends it, whatever C
code it is in), of memory and of the size of its answer. A question that is too much costs its own child only.

It reads lines of JSON: ``{"number": 3, "folder": "…"}`` begins what ``question.json`` in the folder says,
``{"end": 3}`` ends it. It writes a line ``{"number": 3, "status": …}`` when a child has ended, with the status of
``os.waitpid``. When its input ends, so do all children and it, and the folder SCRATCH is removed.
"""

from __future__ import annotations

import os
import resource
import select
import shutil
import signal
import sys
import traceback
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
from gisservice.web.computing import ANSWER, ERROR, MEGABYTE, PATIENCE, QUESTION, too_large

_LIBRARIES = (
    "geopandas", "pandas", "pyarrow.parquet", "scipy.sparse.csgraph", "scipy.spatial", "scipy.ndimage", "rasterio",
    "exactextract", "mapclassify", "gisservice.analysis.travel", "gisservice.catalog.rasters",
)  # fmt: skip
"""What most questions need, loaded before the first."""


def main() -> None:
    """Serve until the input ends."""
    home = Path(sys.argv[1])
    os.nice(5)  # tiles go first
    for name in _LIBRARIES:
        import_module(name)
    operations()
    told, tell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    children: dict[int, int] = {}
    pending = b""
    while True:
        ready, _, _ = select.select([0, told], [], [])
        if told in ready:
            os.read(told, 4_096)
            _report(children)
        if 0 in ready:
            heard = os.read(0, 65_536)
            if not heard:
                break
            *lines, pending = (pending + heard).split(b"\n")
            for line in lines:
                _obey(orjson.loads(line), home, children)
    for child in children:
        os.kill(child, signal.SIGKILL)
    shutil.rmtree(sys.argv[2], ignore_errors=True)  # who started it may have been killed


def _obey(line: dict[str, Any], home: Path, children: dict[int, int]) -> None:
    if "end" in line:
        for child, number in children.items():
            if number == line["end"]:
                os.kill(child, signal.SIGKILL)
        return
    child = os.fork()
    if child == 0:
        _work(home, Path(line["folder"]))
    children[child] = line["number"]


def _report(children: dict[int, int]) -> None:
    """Tell of all children that have ended."""
    while children:
        child, status = os.waitpid(-1, os.WNOHANG)
        if not child:
            return
        os.write(1, orjson.dumps({"number": children.pop(child), "status": status}) + b"\n")


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
