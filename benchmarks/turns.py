"""What comparisons of servers have in common: options, turns taken one after another, a row of medians."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Protocol

from alexandria import publish
from tiles_load import Load


class Measured(Protocol):
    """A running server."""

    def cpu_seconds(self) -> float:
        """Return the processor time that its living processes have taken so far."""


@dataclass(frozen=True)
class Turn:
    """What a server did in one round: as the client saw it, and its processor time for a request."""

    load: Load
    cpu_seconds: float


def parser(description: str) -> argparse.ArgumentParser:
    """Return a parser with the options that all comparisons have."""
    found = argparse.ArgumentParser(description=description)
    found.add_argument("--rounds", type=int, default=3)
    found.add_argument("--seconds", type=int, default=10, help="of each server's turn")
    found.add_argument("--home", type=Path, help="published parcels with zooms 10 to 16, instead of publishing them")
    return found


def home_of(options: argparse.Namespace, work: Path) -> Path:
    """Return the folder of the published parcels, published into ``work`` where none is named."""
    if options.home is not None:
        return Path(options.home)
    publish(work / "home")
    return work / "home"


def take(server: Measured, ask: Callable[[], Load]) -> Turn:
    """Let a server be asked, and see what that costs it."""
    before = server.cpu_seconds()
    seen = ask()
    return Turn(seen, (server.cpu_seconds() - before) / seen.requests)


def ratios(ours: Sequence[Turn], others: Sequence[Turn]) -> list[float]:
    """Return our rate as a multiple of another's, round by round."""
    return [mine.load.rate / other.load.rate for mine, other in zip(ours, others, strict=False)]


def show(name: str, turns: Sequence[Turn], compared: Sequence[float]) -> None:
    """Print the medians of a server's turns as a row of a table, with the ratios of ours to it unless it is ours."""

    def middle(value: Callable[[Turn], float]) -> float:
        return median(value(turn) for turn in turns)

    rate = middle(lambda t: t.load.rate)
    ratio = f"{median(compared):.3g} ({min(compared):.3g} to {max(compared):.3g})"
    print(
        f"| {name} | {rate:,.{0 if rate >= 100 else 1}f} "
        f"| {middle(lambda t: t.load.p50_ms):,.2f} | {middle(lambda t: t.load.p99_ms):,.2f} "
        f"| {middle(lambda t: t.load.mean_bytes) / 1000:,.1f} | {middle(lambda t: t.cpu_seconds) * 1000:,.2f} "
        f"| {ratio if compared and set(compared) != {1.0} else ''} |",
        flush=True,
    )
