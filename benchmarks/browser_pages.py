"""The pages of others for browser.py, written in the peers' environment."""

from __future__ import annotations

import sys
from pathlib import Path

import folium
import geopandas

CENTRE, ZOOM = (38.8165, -77.0905), 13


def main(source: Path, folder: Path) -> None:
    frame = geopandas.read_file(source)
    for column in frame.columns:  # days are no JSON to Folium
        if frame[column].dtype.kind == "M":
            frame[column] = frame[column].astype(str)
    stock = folium.Map(CENTRE, zoom_start=ZOOM, tiles=None)
    folium.GeoJson(frame).add_to(stock)
    stock.save(folder / "folium.html")
    explored = frame.explore(location=CENTRE, zoom_start=ZOOM, tiles=None)
    explored.save(folder / "explore.html")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
