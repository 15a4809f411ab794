"""Named ramps of colours: 256 colours each, read from the arrays that rio-tiler brings, without loading rio-tiler."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

Colours = npt.NDArray[np.uint8]


@lru_cache(maxsize=1)
def ramp_names() -> tuple[str, ...]:
    """Return the names of all ramps, sorted; one ending in ``_r`` runs the other way."""
    return tuple(sorted(file.stem for file in _folder().glob("*.npy")))


@lru_cache(maxsize=64)
def ramp(name: str) -> Colours:
    """Return a ramp, shape (256, 4): red, green, blue, alpha, for the smallest value first.

    The name has to be one of :func:`ramp_names`.

    >>> ramp("viridis")[0].tolist()
    [68, 1, 84, 255]
    """
    if name not in ramp_names():
        raise KeyError(name)
    found: Colours = np.load(_folder() / f"{name}.npy", allow_pickle=False)
    return found


def _folder() -> Path:
    spec = find_spec("rio_tiler")
    assert spec is not None and spec.origin is not None  # a dependency
    return Path(spec.origin).parent / "cmap_data"
