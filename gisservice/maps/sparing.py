"""What a server does without: pandas, which Arrow and Folium would load for it.

Both look whether what they are given is a pandas object, and load pandas to know: Arrow for any value that becomes an
array and any array that becomes one of numpy's, Folium as soon as it is imported. That is half a second and 33 MiB in
each worker. Either does as well where pandas is not installed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder

import pyarrow as pa


class _NoPandas(MetaPathFinder):
    """Says of pandas that it is not installed."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: object = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is not looked for", name=fullname)


@contextmanager
def without_pandas() -> Iterator[None]:
    """Let what is imported meanwhile find no pandas, unless it is loaded already. Afterwards it is there as ever."""
    finder = _NoPandas()
    if "pandas" not in sys.modules:
        sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)


def keep_pandas_from_arrow() -> None:
    """Let Arrow find, once and for all, that there is no pandas. Who asks it for a frame still gets one."""
    with without_pandas():
        pa.scalar(0)
