"""From a source to a published version: read, reproject, validate, standardize, publish, in that order."""

import sys
from types import ModuleType
from typing import Any

from gisservice.ingest.flow import Summary, ingest, ingest_layer
from gisservice.ingest.publishing import publish
from gisservice.ingest.reading import read
from gisservice.ingest.reprojecting import reproject
from gisservice.ingest.stages import Flaw, Progress, Projection, Reading, Report, Standard
from gisservice.ingest.standardizing import standardize
from gisservice.ingest.validating import validate

__all__ = [
    "Flaw",
    "Progress",
    "Projection",
    "Reading",
    "Report",
    "Standard",
    "Summary",
    "ingest",
    "ingest_layer",
    "publish",
    "read",
    "reproject",
    "standardize",
    "validate",
]


class _CallableRoom(ModuleType):
    """Makes ``gisservice.ingest(...)`` the function, though importing this package gives that name to the package."""

    def __call__(self, *args: Any, **options: Any) -> Summary:
        return ingest(*args, **options)


sys.modules[__name__].__class__ = _CallableRoom
