"""Work shared among processes that inherit what they work on."""

from __future__ import annotations

import ctypes
import multiprocessing
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import pyarrow as pa

from gisservice.errors import PublishError

T = TypeVar("T")
R = TypeVar("R")

_work: Callable[[Any], Any]
"""In a worker process: what it does with each task."""


def shared(work: Callable[[T], R], tasks: Sequence[T], workers: int, name: str) -> Iterator[R]:
    """Yield what ``work`` makes of each task, in their order; tasks are begun in that order too.

    ``work`` and all that it refers to is inherited by the processes, not sent to them: it may be large. Only tasks
    and results travel; what is large is better left in a file. With one worker or one task everything is done here.
    Raises :class:`PublishError`, naming the layer ``name``, when a process dies.
    """
    if workers == 1 or len(tasks) < 2:
        yield from map(work, tasks)
        return
    give_back()
    with ProcessPoolExecutor(min(workers, len(tasks)), multiprocessing.get_context("fork"), _adopt, (work,)) as pool:
        try:
            for finished in _submitted(pool, tasks):
                yield finished.result()
        except BrokenProcessPool as exc:
            raise PublishError(
                f"The tiles of {name!r} could not be cut: one of {workers} processes ended early, most often "
                "because memory ran out. Ingest again with fewer build workers.",
                source=name,
            ) from exc
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _submitted(pool: ProcessPoolExecutor, tasks: Sequence[Any]) -> list[Future[Any]]:
    with warnings.catch_warnings():
        # Python 3.12 and later warn of forking beside threads. The children run numpy, GEOS and zlib alone, none of
        # which holds a lock between calls.
        warnings.simplefilter("ignore", DeprecationWarning)
        return [pool.submit(_do, task) for task in tasks]


def _adopt(work: Callable[[Any], Any]) -> None:
    global _work
    _work = work


def _do(task: Any) -> Any:
    result = _work(task)
    give_back()
    return result


def give_back() -> None:
    """Give memory that is free, but lies between what is not, back to the system, where its allocator can."""
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
