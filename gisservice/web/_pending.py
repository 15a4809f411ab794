"""In place of the query room's filters until they are there."""

from __future__ import annotations

from collections.abc import Sequence

from gisservice.crs import CRS, CRS84
from gisservice.errors import InvalidParameter
from gisservice.model import Column, Condition


def parse_filter(text: str, lang: str, columns: Sequence[Column], filter_crs: CRS = CRS84) -> Condition:
    """Refuse any filter."""
    raise InvalidParameter("filter", text, "no filter yet")
