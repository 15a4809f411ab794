"""A whole layer as GeoJSON and as CSV, written a few records at a time from what is stored."""

from __future__ import annotations

import hashlib
from pathlib import Path

from gisservice.catalog.layout import ITEM_SEPARATOR
from gisservice.ingest.downloads.content import Content
from gisservice.query.downloads import GEOJSON_TAIL, geojson_head
from gisservice.query.formats.delimited import cells, geometry_cells, header, lines, position_columns
from gisservice.query.formats.jsonfg import split_item


def write_geojson(content: Content, path: Path) -> None:
    """Write the finished items with their geometries in the content's system."""
    texts, uses = content.geometry_texts, content.uses
    with open(path, "wb") as file:
        file.write(geojson_head(content.name, content.system))
        for rows in content.runs():
            if rows[0]:
                file.write(ITEM_SEPARATOR)
            items = content.features.items(rows).split(ITEM_SEPARATOR)
            file.write(
                ITEM_SEPARATOR.join(
                    [_with_geometry(item, texts[use]) for item, use in zip(items, uses[rows].tolist(), strict=True)]
                )
            )
        file.write(GEOJSON_TAIL)


def _with_geometry(item: bytes, geometry: bytes) -> bytes:
    head, _, properties = split_item(item)
    return b"".join([head, b',"geometry":', geometry, properties])


def digest_geojson(content: Content) -> tuple[str, int]:
    """Return the sha256 and the size of the GeoJSON in degrees, which is sent from the stored items themselves."""
    features, sha256 = content.features, hashlib.sha256()
    size = 0

    def add(piece: bytes) -> None:
        nonlocal size
        sha256.update(piece)
        size += len(piece)

    add(geojson_head(content.name, content.system))
    for rows in content.runs():
        add((ITEM_SEPARATOR if rows[0] else b"") + features.items(rows))
    add(GEOJSON_TAIL)
    return sha256.hexdigest(), size


def write_csv(content: Content, path: Path) -> None:
    """Write the table with the positions after it; see :mod:`gisservice.query.formats.delimited`."""
    geographic = content.crs.is_geographic
    positions = position_columns(content.geometries, geographic, content.table.column_names)
    columns = [cells(column) for column in content.table.columns]
    columns += geometry_cells(content.geometries, content.uses, content.decimals, len(positions) == 2)
    with open(path, "wb") as file:
        file.write(header([*content.table.column_names, *positions]))
        for rows in content.runs():
            file.write(lines([column.slice(rows[0], len(rows)) for column in columns], len(rows)))
