"""How large a filter may be, and what is raised when one cannot be used.

Every limit is checked before the work that it bounds: a filter is text from a stranger.
"""

from __future__ import annotations

TEXT_MAX = 65_536
"""Characters of a filter; enough for the positions below, and eight times the longest query string that is read."""

DEPTH_MAX = 32
"""Levels of nesting, in either encoding."""

NODES_MAX = 2_000
"""Properties, values and operators in one filter, the positions of geometries apart."""

VERTICES_MAX = 2_000
"""Positions in all geometries of one filter."""

SPATIAL_MAX = 16
"""Spatial functions in one filter."""

PATTERNS_MAX = 32
"""LIKE predicates in one filter."""

PATTERN_MAX = 256
"""Characters of one LIKE pattern."""

FOLDS_MAX = 16
"""Columns without regard to case or accents in one filter."""

GEOMETRY_SECONDS_MAX = 1.5
"""For comparing geometries in one evaluation. Two thousand positions that cross one another everywhere can keep GEOS
busy for minutes; ordinary ones need some hundredths of a second for a whole city."""


class Refusal(Exception):
    """The filter cannot be used; ``expected`` completes the sentence "expected ..."."""

    def __init__(self, expected: str) -> None:
        super().__init__(expected)
        self.expected = expected
