"""The sample city: a generated Alexandria, written as the sources an office would have.

The outline, the water, the main roads, the railways and the places are facts, to a few tens of feet; lots, buildings,
addresses, owners, values and people are invented. The same seed gives the same files. The clean city has 47,000
parcel records on about 28,000 lots, 30,000 buildings, 50,000 addresses, 30,000 trees and 700 bus stops.

Dirt of real data is put in, in numbers known to :mod:`gisservice.ingest.sample.flaws`:

- ``parcels.gpkg``: 24 invalid polygons (bow-ties and spikes), 30 records repeated exactly, 1,200 without zoning, 400
  zone codes in lower case, 300 with blanks around them, 500 standings in upper case, 15 sale dates that are none, 10
  lot areas of -1. The invented ``OWNER_NAME``, ``OWN_ADDR`` and ``OWN_CITY`` are there to be kept from the public;
- ``buildings.shp.zip``: 12 invalid polygons;
- ``addresses.csv``: 12 positions outside the city, 40 records repeated exactly;
- ``zoning.shp.zip``: 20 codes in lower case;
- ``trees.csv.gz``: 25 records repeated exactly, 18 dates that are none, 8 diameters that are no number.

Of parcels, buildings, addresses and zoning there is the survey of a year before, too: see
:mod:`gisservice.ingest.sample.earlier`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gisservice.ingest.sample.city import SampleCity, build_city
from gisservice.ingest.sample.earlier import survey_before
from gisservice.ingest.sample.sources import FILES, write_sources

__all__ = ["FILES", "SampleCity", "build_city", "generate", "survey_before"]

_STEPS = 8


def generate(
    folder: Path, seed: int = 51510, progress: Callable[[str, int, int], None] | None = None
) -> tuple[Path, ...]:
    """Write the sample city's sources into ``folder`` (made if missing) and return the paths of today's.

    ``progress(step, done, total)`` is told how far the work has come. Coordinates are in EPSG:2283 (US survey feet)
    or, in CSV and GeoJSON, in CRS84, as ``data/layers.toml`` declares. Nothing is read but this package.
    """
    done = 0

    def report() -> None:
        nonlocal done
        done += 1
        if progress:
            progress("sample city", done, _STEPS)

    folder.mkdir(parents=True, exist_ok=True)
    return write_sources(folder, build_city(seed, report), seed, report)
