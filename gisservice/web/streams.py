"""Bodies that are made while they are sent, so that a long answer takes no more memory than a piece of it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator

import brotli
from isal import isal_zlib

GZIP_LEVEL = 2
"""Of Intel's library, whose levels are its own: all are fast, and the next takes twice the time for 1 % of bytes."""


class Stream:
    """A body in pieces. ``length`` is how many bytes they have together, None where nobody knows yet."""

    def __init__(self, pieces: Iterable[bytes], length: int | None, let_go: Callable[[], None]) -> None:
        """Take the pieces; ``let_go`` is called once, when the last was sent or the reader is gone."""
        self._pieces = pieces
        self.length = length
        self.close = weakref.finalize(self, let_go)

    def whole(self) -> bytes:
        """Return all pieces as one; what was taken for them is kept until ``close`` is called."""
        return b"".join(self._pieces)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the pieces."""
        yield from self._pieces
        self.close()


def compressing(pieces: Iterable[bytes], coding: str) -> Iterator[bytes]:
    """Yield the pieces compressed (``br`` or ``gzip``), quickly rather than well; see ``exchange.compressed``."""
    if coding == "br":
        packer = brotli.Compressor(quality=1)
        yield from filter(None, (packer.process(piece) for piece in pieces))
        yield packer.finish()
    else:
        deflater = isal_zlib.compressobj(GZIP_LEVEL, wbits=31)
        yield from filter(None, (deflater.compress(piece) for piece in pieces))
        yield deflater.flush()
