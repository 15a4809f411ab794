from __future__ import annotations

import doctest

from gisservice.maps import wording


def test_examples_hold() -> None:
    results = doctest.testmod(wording)
    assert results.attempted >= 3 and results.failed == 0
