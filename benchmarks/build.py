"""Building the tiles of the city's real parcels, zooms 10 to 16, beside tippecanoe and GDAL making the same zooms.

    python benchmarks/build.py [RUNS]

Each reads the same published records in the form that suits it best: ours the memory-mapped arrays of the version,
tippecanoe lines of GeoJSON (its parallel reader), GDAL a GeoPackage in Web Mercator. Ours also writes every tile as
brotli, the shapes that tiles are drawn from on request, and the account of what was left out. The time of a whole
process counts, and the memory of all its children.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import measure
from alexandria import LAYER, ZOOMS, publish

import gisservice
from gisservice.catalog import Features
from gisservice.ingest.publishing import tile_source
from gisservice.tiles import build_pyramid

BIN = Path(sys.executable).parent
WORKERS = 2


def main(runs: int) -> None:
    if shutil.which("ogr2ogr") is None:
        sys.exit("benchmarks/build.py needs ogr2ogr; on Debian: apt-get install gdal-bin")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        publish(work / "home")
        write_sources(work)
        gdal = subprocess.run(["ogr2ogr", "--version"], capture_output=True, text=True, check=True).stdout.strip()
        print(f"Building zooms {ZOOMS[0]} to {ZOOMS[1]} of 47,174 parcels, {runs} runs in turn; {measure.machine()}")
        print(f"gisservice {version('gisservice')}; tippecanoe {version('tippecanoe')}; {gdal}")
        measure.show(measure.alternate(contestants(work), runs))
        for name, file in outputs(work).items():
            print(f"{name:<34} {file.stat().st_size / 1e6:7.1f} MB")


def write_sources(work: Path) -> None:
    """Write the published records for the others: GeoJSON in CRS84 a line each, and a GeoPackage in Web Mercator."""
    parcels = gisservice.open_catalog(work / "home").read(LAYER)
    lonlat = parcels.to_crs("OGC:CRS84")
    lonlat.to_file(work / "parcels.geojsonl", driver="GeoJSONSeq", COORDINATE_PRECISION=8)
    parcels.to_crs("EPSG:3857").to_file(work / "parcels.gpkg", layer=LAYER)


def contestants(work: Path) -> dict[str, list[list[str]]]:
    """Return what each runs, step by step; all write into ``work``."""
    low, high = (str(zoom) for zoom in ZOOMS)
    files = outputs(work)
    tippecanoe = [str(BIN / "tippecanoe"), f"-Z{low}", f"-z{high}", "-P", "-f", "-q", "-l", LAYER]
    gdal = ["ogr2ogr", "-f", "MVT", "-dsco", f"MINZOOM={low}", "-dsco", f"MAXZOOM={high}", "-nln", LAYER]
    return {
        "gisservice": [[sys.executable, __file__, "--ours", str(work)]],
        "tippecanoe": [[*tippecanoe, "-o", str(files["tippecanoe"]), str(work / "parcels.geojsonl")]],
        "GDAL": [
            ["rm", "-f", str(files["GDAL"])],
            [*gdal, str(files["GDAL"]), str(work / "parcels.gpkg")],
        ],
    }


def outputs(work: Path) -> dict[str, Path]:
    """Return the archive that each writes."""
    return {
        "gisservice": work / "tiles.pmtiles",
        "gisservice, brotli": work / "tiles.br.pmtiles",
        "tippecanoe": work / "tippecanoe.pmtiles",
        "GDAL": work / "gdal.mbtiles",
    }


def build_ours(work: Path) -> None:
    """Build the tiles of the published version anew; run in a process of its own."""
    collection = gisservice.open_catalog(work / "home").collection(LAYER)
    source = tile_source(Features.open(collection.path), collection.layer)
    build_pyramid(source, work, workers=WORKERS)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--ours"]:
        build_ours(Path(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
