"""Parts of files (RFC 9110, 14): which span a Range header asks for, and that span on its way out, piece by piece."""

from __future__ import annotations

import os
import re
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

PIECE_BYTES = 1 << 18
"""What is read of a file at once."""

_RANGE = re.compile(r"bytes=[ \t]*(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))[ \t]*", re.ASCII | re.IGNORECASE)


class Span(NamedTuple):
    """Bytes of a file: the first, and how many."""

    start: int
    length: int


def parse_range(header: str, size: int) -> Span | None:
    """Return the span of a file of ``size`` bytes that a Range header asks for; None where it asks for the whole file.

    A header that is malformed, that has another unit, or that asks for several spans is left out of account, as
    RFC 9110 (14.2) lets a server do. A span that the file has nothing of has length 0: its answer is 416.

    >>> parse_range("bytes=0-15", 100), parse_range("bytes=-10", 100), parse_range("bytes=100-", 100)
    (Span(start=0, length=16), Span(start=90, length=10), Span(start=100, length=0))
    """
    match = _RANGE.fullmatch(header)
    if match is None:
        return None
    if match[3] is not None:
        length = min(int(match[3]), size)
        return Span(size - length, length)
    start = int(match[1])
    end = int(match[2]) if match[2] else size - 1
    if end < start and match[2]:
        return None
    return Span(start, max(0, min(end, size - 1) - start + 1))


def is_whole(if_range: str | None, etag: str) -> bool:
    """Tell whether an If-Range header asks for the whole file instead of a span, because the file is another now.

    Only a strong tag that equals ours keeps the span (RFC 9110, 13.1.5); a date never does, as we give none.
    """
    return if_range is not None and if_range.strip() != etag


@dataclass(frozen=True, slots=True)
class Framed:
    """A file that does not lie on disk as it is sent: a stretch of another one, with bytes before and after it."""

    path: Path
    stretch: Span
    before: bytes
    after: bytes

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return len(self.before) + self.stretch.length + len(self.after)


class FilePart:
    """A span of a file as the body of an answer: of any length, in the same memory. Open until read or let go of."""

    def __init__(self, file: Path | Framed, span: Span, let_go: Callable[[], None] = lambda: None) -> None:
        """Open the file; ``let_go`` is called once, when the part is closed."""
        framed = file if isinstance(file, Framed) else None
        self._before, self._after = (framed.before, framed.after) if framed else (b"", b"")
        self._stretch = framed.stretch if framed else Span(0, span.start + span.length)
        self._descriptor = os.open(framed.path if framed else file, os.O_RDONLY | os.O_CLOEXEC)  # type: ignore[arg-type]
        self._span = span
        self.close = weakref.finalize(self, _close, self._descriptor, let_go)

    def __len__(self) -> int:
        return self._span.length

    def __iter__(self) -> Iterator[bytes]:
        """Yield the span in pieces. Raises OSError when the file is shorter than it was."""
        at, left = self._span
        while left:
            piece = self._piece(at, min(left, PIECE_BYTES))
            if not piece:
                raise OSError("a file ended before the part of it that was promised")
            yield piece
            at, left = at + len(piece), left - len(piece)
        self.close()

    def _piece(self, at: int, length: int) -> bytes:
        """Return at most ``length`` bytes from place ``at`` on: of what stands before, of the file, of what follows."""
        if at < len(self._before):
            return self._before[at : at + length]
        at -= len(self._before)
        if at < self._stretch.length:
            return os.pread(self._descriptor, min(length, self._stretch.length - at), self._stretch.start + at)
        at -= self._stretch.length
        return self._after[at : at + length]

    def read(self) -> bytes:
        """Return the whole span."""
        return b"".join(self)


def _close(descriptor: int, let_go: Callable[[], None]) -> None:
    os.close(descriptor)
    let_go()
