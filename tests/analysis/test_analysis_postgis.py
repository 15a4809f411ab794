"""Nearness, overlay and zones on the city's parcels and on random shapes, against PostGIS."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import psycopg
import pyogrio
import pytest
import shapely
from frames import scattered

from gisservice import analysis

pytestmark = pytest.mark.slow

KINDS = ("point", "line", "polygon")


def load(postgis: psycopg.Connection, name: str, shapes: geopandas.GeoDataFrame) -> None:
    """Copy a frame into a table: the place of each row from 0, its ``value`` and its geometry."""
    postgis.execute(f"DROP TABLE IF EXISTS {name}")
    postgis.execute(f"CREATE TABLE {name} (row int PRIMARY KEY, value float8, geometry geometry(Geometry, 2283))")
    texts = shapely.to_wkb(shapely.set_srid(shapes.geometry.to_numpy(), 2283), hex=True, include_srid=True)
    with postgis.cursor() as cursor, cursor.copy(f"COPY {name} FROM STDIN") as copy:
        for row, (value, text) in enumerate(zip(shapes["value"].tolist(), texts.tolist(), strict=True)):
            copy.write_row((row, value, text))
    postgis.execute(f"CREATE INDEX ON {name} USING gist (geometry)")
    postgis.execute(f"ANALYZE {name}")


@pytest.fixture(scope="module")
def city(postgis: psycopg.Connection, shared_data: Path) -> tuple[geopandas.GeoDataFrame, geopandas.GeoDataFrame]:
    """4,000 of the city's parcels, valid ones, and 60 zones over them that touch edge to edge; both in PostGIS."""
    parcels = pyogrio.read_dataframe(f"/vsizip/{shared_data}/alexandria/parcels_2283.gdb.zip", max_features=4000)
    parcels = parcels[parcels.geometry.is_valid].rename(columns={"LAND_SF": "value"})[["value", "geometry"]]
    parcels = parcels.reset_index(drop=True).to_crs(2283)
    west, south, east, north = parcels.total_bounds
    xs, ys = np.linspace(west, east, 11), np.linspace(south, north, 7)
    boxes = [shapely.box(xs[i], ys[j], xs[i + 1], ys[j + 1]) for i in range(10) for j in range(6)]
    zones = geopandas.GeoDataFrame({"value": np.arange(60.0)}, geometry=boxes, crs=2283)
    load(postgis, "parcels", parcels)
    load(postgis, "zones", zones)
    return parcels, zones


@pytest.mark.parametrize("ours", KINDS)
@pytest.mark.parametrize("theirs", KINDS)
def test_within_and_nearest_of_every_kind(postgis: psycopg.Connection, ours: str, theirs: str) -> None:
    mine, others = scattered(150, ours, 11), scattered(80, theirs, 12)
    load(postgis, "mine", mine)
    load(postgis, "others", others)
    for distance_ft in (0, 75.5, 400):
        found = analysis.within(mine, others, distance_ft=distance_ft)
        sql = f"""SELECT row FROM mine m WHERE EXISTS (
            SELECT FROM others o WHERE ST_DWithin(m.geometry, o.geometry, {distance_ft})) ORDER BY row"""
        assert mine.index.get_indexer(found.index).tolist() == [row for (row,) in postgis.execute(sql)]
    found = analysis.nearest(mine, others, k=3)
    sql = """SELECT near.distance FROM mine m CROSS JOIN LATERAL (
        SELECT ST_Distance(m.geometry, o.geometry) distance FROM others o ORDER BY 1 LIMIT 3) near ORDER BY m.row, 1"""
    expected = [distance for (distance,) in postgis.execute(sql)]
    assert found["distance_ft"].to_numpy() == pytest.approx(expected, abs=1e-6)


def test_parcels_within_a_distance_of_parcels(postgis: psycopg.Connection, city) -> None:
    parcels, _ = city
    subject = parcels.iloc[[100, 2000]]
    found = analysis.within(parcels, subject, distance_ft=300)
    sql = """SELECT p.row, min(ST_Distance(p.geometry, s.geometry)) FROM parcels p, parcels s
        WHERE s.row IN (100, 2000) AND ST_DWithin(p.geometry, s.geometry, 300) GROUP BY p.row ORDER BY p.row"""
    rows = postgis.execute(sql).fetchall()
    assert found.index.tolist() == [row for row, _ in rows]
    assert found["distance_ft"].to_numpy() == pytest.approx([distance for _, distance in rows], abs=1e-6)
    print(f"{len(rows)} parcels within 300 ft, as PostGIS has them")


def test_pieces_of_parcels_in_zones(postgis: psycopg.Connection, city) -> None:
    parcels, zones = city
    found = analysis.overlay(parcels, zones)
    sql = """SELECT p.row, z.row, ST_Area(ST_Intersection(p.geometry, z.geometry)) FROM parcels p
        JOIN zones z ON ST_Intersects(p.geometry, z.geometry)
        WHERE ST_Dimension(ST_Intersection(p.geometry, z.geometry)) = 2 ORDER BY 1, 2"""
    rows = postgis.execute(sql).fetchall()
    assert list(zip(found["feature"], found["other"], strict=True)) == [(row, zone) for row, zone, _ in rows]
    assert found["area_sqft"].to_numpy() == pytest.approx([area for *_, area in rows], rel=1e-9, abs=1e-3)
    print(f"{len(rows)} pieces of {len(parcels)} parcels, as PostGIS has them")


def test_zones_sum_what_lies_in_them(postgis: psycopg.Connection, city) -> None:
    parcels, zones = city
    found = analysis.summarize(zones, parcels, sums=["value"])
    sql = """SELECT z.row, count(*), sum(i.area), sum(i.area / ST_Area(p.geometry) * p.value),
            ST_Area(ST_Union(i.piece)) / ST_Area(z.geometry)
        FROM zones z JOIN parcels p ON ST_Intersects(p.geometry, z.geometry)
        CROSS JOIN LATERAL (SELECT ST_CollectionExtract(ST_Intersection(p.geometry, z.geometry), 3) piece) c
        CROSS JOIN LATERAL (SELECT c.piece, ST_Area(c.piece) area) i
        WHERE i.area > 0 GROUP BY z.row, z.geometry ORDER BY 1"""
    rows = postgis.execute(sql).fetchall()
    there = found[found["count"] > 0]
    assert there.index.tolist() == [row[0] for row in rows]
    assert there["count"].tolist() == [row[1] for row in rows]
    for name, place in (("area_sqft", 2), ("sum_value", 3), ("area_share", 4)):
        expected = [row[place] or 0.0 for row in rows]
        assert there[name].to_numpy() == pytest.approx(expected, rel=1e-7, abs=1e-3), name
    print(f"{len(rows)} zones with {there['count'].sum()} parts of parcels, as PostGIS has them")


def test_points_and_lines_in_zones(postgis: psycopg.Connection) -> None:
    zones, points, lines = scattered(40, "polygon", 21), scattered(500, "point", 22), scattered(200, "line", 23)
    for name, shapes in (("areas", zones), ("points", points), ("lines", lines)):
        load(postgis, name, shapes)
    sql = """SELECT count(p.row), coalesce(sum(p.value), 0) FROM areas z
        LEFT JOIN points p ON ST_Intersects(p.geometry, z.geometry) GROUP BY z.row ORDER BY z.row"""
    found = analysis.summarize(zones, points, sums=["value"])
    assert found[["count", "sum_value"]].to_numpy() == pytest.approx(np.array(postgis.execute(sql).fetchall(), float))
    sql = """SELECT coalesce(sum(ST_Length(ST_Intersection(l.geometry, z.geometry))), 0) FROM areas z
        LEFT JOIN lines l ON ST_Intersects(l.geometry, z.geometry) GROUP BY z.row ORDER BY z.row"""
    found = analysis.summarize(zones, lines)
    assert found["length_ft"].to_numpy() == pytest.approx([length for (length,) in postgis.execute(sql)])


def test_what_is_left_and_what_is_put_together(postgis: psycopg.Connection) -> None:
    ours, theirs = scattered(80, "polygon", 31), scattered(40, "polygon", 32)
    load(postgis, "mine", ours)
    load(postgis, "others", theirs)
    left = analysis.overlay(ours, theirs, how="difference")
    sql = """SELECT m.row, ST_Area(ST_Difference(m.geometry, (SELECT ST_Union(geometry) FROM others))) FROM mine m
        WHERE NOT ST_Within(m.geometry, (SELECT ST_Union(geometry) FROM others)) ORDER BY 1"""
    rows = postgis.execute(sql).fetchall()
    assert ours.index.get_indexer(left["feature"]).tolist() == [row for row, _ in rows]
    assert left["area_sqft"].to_numpy() == pytest.approx([area for _, area in rows], rel=1e-9, abs=1e-4)
    union = analysis.dissolve(ours)
    (expected,) = postgis.execute("SELECT ST_Area(ST_Union(geometry)) FROM mine").fetchone()
    assert union["area_sqft"].tolist() == pytest.approx([expected])
