"""Run a command whole and say what it cost: seconds, and the memory of its process tree at the worst moment."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True, slots=True)
class Cost:
    """What the command and all its children took.

    Wall seconds, the peak of their summed proportional set sizes (MiB), and seconds of the processor.
    """

    seconds: float
    peak_mib: float
    processor_seconds: float


def run(command: Sequence[str], **options: object) -> Cost:
    """Run ``command``, raise when it fails, and return its cost."""
    started, before = time.perf_counter(), _children_seconds()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)  # type: ignore[call-overload]
    watch = Watch(process.pid)
    watch.start()
    _, complaint = process.communicate()
    seconds = time.perf_counter() - started
    watch.stop()
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}: {complaint.decode()[-2000:]}")
    return Cost(seconds, watch.peak_kib / 1024, _children_seconds() - before)


def _children_seconds() -> float:
    """Processor time of all that this process started and that has ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Watch(threading.Thread):
    """Looks at a process tree twenty times a second and remembers the largest sum of its memory."""

    def __init__(self, pid: int, kib: Callable[[int], int] | None = None) -> None:
        super().__init__(daemon=True)
        self.pid, self.peak_kib, self._ended = pid, 0, threading.Event()
        self._kib = kib or proportional_kib

    def run(self) -> None:
        while not self._ended.wait(0.05):
            self.peak_kib = max(self.peak_kib, sum(self._kib(pid) for pid in tree(self.pid)))

    def stop(self) -> None:
        self._ended.set()
        self.join()


def tree(pid: int) -> Iterator[int]:
    """The process and all that descend from it, as far as they still live."""
    yield pid
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from tree(int(child))
    except OSError:
        return


def proportional_kib(pid: int) -> int:
    """Proportional set size: a page shared by n processes counts 1/n for each, so that sums are true."""
    return _rolled_up(pid).get("Pss", 0)


def resident_kib(pid: int) -> int:
    """Resident set size: all pages in memory that the process has mapped, shared ones too."""
    return _rolled_up(pid).get("Rss", 0)


def anonymous_kib(pid: int) -> int:
    """The part of the resident set that is no file's: what cannot be dropped and read again when memory is short."""
    return _rolled_up(pid).get("Anonymous", 0)


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has taken so far, in user mode and in the kernel's; 0 when it has ended."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def parent(pid: int) -> int:
    """The process that started this one."""
    return int(_stat(pid)[1])


def _stat(pid: int) -> list[str]:
    """The fields of proc_pid_stat(5) from the third on."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []


def _rolled_up(pid: int) -> dict[str, int]:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return {}
    return {name: int(rest.split()[0]) for name, rest in (line.split(":", 1) for line in lines)}


def alternate(commands: dict[str, list[list[str]]], runs: int) -> dict[str, list[Cost]]:
    """Run each contestant's steps in turn, ``runs`` times, so that a machine that drifts treats all alike."""
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, steps in commands.items():
            parts = [run(step) for step in steps]
            costs[name].append(
                Cost(
                    sum(p.seconds for p in parts),
                    max(p.peak_mib for p in parts),
                    sum(p.processor_seconds for p in parts),
                )
            )
    return costs


def show(costs: dict[str, list[Cost]]) -> None:
    """Print the median, least and most of each contestant, and how each compares with the first."""
    first = next(iter(costs))
    for name, rows in costs.items():
        seconds, memory = [row.seconds for row in rows], [row.peak_mib for row in rows]
        ratios = [row.seconds / ours.seconds for row, ours in zip(rows, costs[first], strict=True)]
        print(
            f"{name:<34} {median(seconds):7.1f} s ({min(seconds):.1f} to {max(seconds):.1f})"
            f"  {median(memory):7.0f} MiB  {median(ratios):5.2f} times {first}'s time"
        )


def machine() -> str:
    """One line about where the figures come from."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB, Python {platform.python_version()}"
