"""How large a filter may be, and what is raised when one cannot be used.

Every limit is checked before the work that it bounds: a filter is text from a stranger.
"""

from __future__ import annotations

TEXT_MAX = 32_768
"""Characters of a filter; four times the longest query string the service reads."""

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


class Refusal(Exception):
    """The filter cannot be used; ``expected`` completes the sentence "expected ..."."""

    def __init__(self, expected: str) -> None:
        super().__init__(expected)
        self.expected = expected
