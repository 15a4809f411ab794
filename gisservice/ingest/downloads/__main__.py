"""The process that makes a file of a version while the server goes on serving.

``python -m gisservice.ingest.downloads HOME COLLECTION VERSION EXTENSION SYSTEM``
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from gisservice.catalog import Catalog
from gisservice.ingest.downloads.making import make
from gisservice.query.downloads import Wanted

_YIELDING = 5
"""How much it steps back behind the processes that answer requests."""


def main(arguments: list[str]) -> None:
    """Make the file that the arguments name."""
    home, collection_id, version, extension, system = arguments
    os.nice(_YIELDING)
    make(
        Catalog(Path(home)).version(collection_id, version),
        [Wanted(extension, system)],
    )


if __name__ == "__main__":
    main(sys.argv[1:])
