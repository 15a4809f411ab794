"""Publishing the city's real parcels with tiles, beside ogr2ogr and tippecanoe doing the same.

Ours reads the FileGDB, checks and repairs it, writes the archive, the items, the index and the tiles of zooms 10 to
16. Theirs reads the same file, reprojects it to GeoJSON and makes the tiles of the same zooms: less is asked of them.

    python benchmarks/publish.py [RUNS]
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import measure

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT.parent / "shared" / "data" / "alexandria" / "parcels_2283.gdb.zip"
BIN = Path(sys.executable).parent


def ours(folder: Path) -> list[list[str]]:
    command = [
        str(BIN / "gisservice"),
        "--registry",
        str(ROOT / "data" / "alexandria.toml"),
        "--home",
        str(folder / "home"),
    ]
    return [["rm", "-rf", str(folder / "home")], [*command, "ingest", str(SOURCE), "--id", "parcels", "--json"]]


def theirs(folder: Path) -> list[list[str]]:
    lines, tiles = str(folder / "parcels.geojsonl"), str(folder / "parcels.pmtiles")
    source = f"/vsizip/{SOURCE}"
    convert = ["ogr2ogr", "-f", "GeoJSONSeq", "-t_srs", "EPSG:4326", "-lco", "RS=NO", lines, source]
    return [
        ["rm", "-f", lines],
        convert,
        [str(BIN / "tippecanoe"), "-Z10", "-z16", "-o", tiles, "-f", "-P", "-l", "parcels", "-q", lines],
    ]


def main(runs: int) -> None:
    if shutil.which("ogr2ogr") is None:
        sys.exit("benchmarks/publish.py needs ogr2ogr; on Debian: apt-get install gdal-bin")
    if not SOURCE.exists():
        sys.exit(
            f"benchmarks/publish.py needs the real parcels at {SOURCE.relative_to(ROOT.parent)} beside the checkout"
        )
    gdal = subprocess.run(["ogr2ogr", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"Publishing 47,174 parcels, zooms 10 to 16, {runs} runs in turn; {measure.machine()}")
    print(f"gisservice {version('gisservice')}; {gdal}; tippecanoe {version('tippecanoe')}")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        measure.show(measure.alternate({"gisservice": ours(work), "ogr2ogr + tippecanoe": theirs(work)}, runs))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
