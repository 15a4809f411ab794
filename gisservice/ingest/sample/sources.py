"""The sources: each part of the city in the format, columns and state in which an office keeps it.

Of four layers there is also the survey of a year before, in a folder of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import shapely

from gisservice.ingest.sample import amenities, districts, earlier, flaws, nature, places, zones
from gisservice.ingest.sample.blocks import half_widths
from gisservice.ingest.sample.city import SampleCity
from gisservice.ingest.sample.ground import water_shapes
from gisservice.ingest.sample.people import block_groups
from gisservice.ingest.sample.plane import Positions, generator, positions, to_lonlat
from gisservice.ingest.sample.rasters import Cover, write_elevation, write_land_cover
from gisservice.ingest.sample.write import write_csv, write_geojson, write_geopackage, write_shapefile

TREES = 30_000
PARK_TREES = 6_000
BUS_STOPS = 700

FILES = (
    "city_boundary.geojson",
    "water.geojson",
    "parcels.gpkg",
    "buildings.shp.zip",
    "addresses.csv",
    "streets.gpkg",
    "zoning.shp.zip",
    "small_area_plans.geojson.gz",
    "historic_districts.geojson",
    "elementary_zones.shp.zip",
    "middle_zones.shp.zip",
    "refuse_zones.geojson",
    "recycling_zones.geojson",
    "flood_zones.shp.zip",
    "parks.geojson.gz",
    "trails.geojson",
    "trees.csv.gz",
    "bus_stops.csv",
    "metro_stations.geojson",
    "rail_lines.geojson",
    "libraries.geojson",
    "fire_stations.geojson",
    "schools.geojson.gz",
    "places.geojson",
    "block_groups.gpkg",
    "elevation.tif",
    "land_cover.tif",
)
"""All files of the sample's latest survey, as ``data/layers.toml`` names them."""

_OUTSIDE = (
    "300,8500 1500,8500 1520,8300 1480,7950 900,7950 1000,7900 700,7900 250,8300 1300,8450 950,8420 1100,7980 200,8000"
)
"""Positions beyond the city's edge, for addresses that are wrong."""


def write_sources(folder: Path, city: SampleCity, seed: int, report: Callable[[], None]) -> tuple[Path, ...]:
    """Write all sources; ``report`` is called after each of the three steps."""
    random = partial(generator, seed)
    (folder / earlier.FOLDER).mkdir(exist_ok=True)
    zoning = earlier.adopt(zones.zoning(city.blocks, random("zoning")))
    _write_property(folder, city, zoning, random)
    report()
    _write_districts(folder, city, zoning, random)
    _write_amenities(folder, city, random)
    report()
    _write_nature(folder, city, random)
    report()
    return tuple(folder / name for name in FILES)


def _write_property(
    folder: Path, city: SampleCity, zoning: pd.DataFrame, random: Callable[[str], np.random.Generator]
) -> None:
    parcels = city.parcels.assign(geometry=city.lots.shapes[city.parcels["lot"]])
    parcels = flaws.spoil_parcels(parcels, random("spoiled parcels"))
    parcels_before = earlier.parcels_before(parcels, zoning, city.lots, city.numbers.point)
    for path, table in _both(folder, "parcels.gpkg", parcels, parcels_before):
        write_geopackage(path, table.drop(columns="lot"), "Real_Estate_Parcels", "Polygon")
    buildings = flaws.spoil_buildings(_building_table(city, random("surveys")), random("spoiled buildings"))
    block = earlier.neighbourhood(city.lots)
    buildings_before = earlier.buildings_before(buildings, block, np.isin(city.buildings.lot, block.lots))
    for path, table in _both(folder, "buildings.shp.zip", buildings, buildings_before):
        write_shapefile(path, table, "Buildings", "Polygon")
    addresses = flaws.spoil_addresses(city.addresses, positions(_OUTSIDE), random("spoiled addresses"))
    addresses_before = earlier.addresses_before(addresses, city.lots, random("corrected addresses"))
    for path, table in _both(folder, "addresses.csv", addresses, addresses_before):
        write_csv(path, _with_lonlat(table.drop(columns="lot"), "LON", "LAT"))
    streets = city.streets.table.drop(columns=["low", "high"])
    write_geopackage(folder / "streets.gpkg", streets, "Street_Centerlines", "LineString")


def _both(
    folder: Path, name: str, today: pd.DataFrame, before: pd.DataFrame
) -> tuple[tuple[Path, pd.DataFrame], tuple[Path, pd.DataFrame]]:
    """Return today's source and the earlier one, each as the path it is written to and its table."""
    return (folder / name, today), (folder / earlier.FOLDER / earlier.NAMES[name], before)


def _building_table(city: SampleCity, random: np.random.Generator) -> pd.DataFrame:
    buildings = city.buildings
    parcel_of_lot = city.parcels.drop_duplicates("lot").set_index("lot")["PID_RE"].sort_index().to_numpy()
    flights = np.array(["2017-03-11", "2019-03-30", "2021-03-14", "2023-03-25", "2025-03-22"])
    return pd.DataFrame(
        {
            "BLDG_ID": [f"B{number:06d}" for number in range(1, len(buildings.shapes) + 1)],
            "BLDG_USE": buildings.use,
            "HEIGHT_FT": buildings.height,
            "STORIES": buildings.storeys.astype(np.int32),
            "YEAR_BUILT": buildings.year.astype(np.int32),
            "PID_RE": parcel_of_lot[buildings.lot],
            "SURVEYED": pd.to_datetime(random.choice(flights, len(buildings.shapes))).date,
            "geometry": buildings.shapes,
        }
    )


def _with_lonlat(table: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """Replace positions in feet by longitude and latitude, eight decimals."""
    lonlat = np.round(to_lonlat(table[["X", "Y"]].to_numpy(float)), 8)
    return table.drop(columns=["X", "Y"]).assign(**{x: lonlat[:, 0], y: lonlat[:, 1]})


def _write_districts(
    folder: Path, city: SampleCity, zoning: pd.DataFrame, random: Callable[[str], np.random.Generator]
) -> None:
    outline = pd.DataFrame(
        {
            "FIPS": ["51510"],
            "NAME": ["Alexandria"],
            "AREA_SQMI": [round(city.ground.city.area / 5280**2, 2)],
            "geometry": [city.ground.city],
        }
    )
    write_geojson(folder / "city_boundary.geojson", outline)
    zoning = flaws.spoil_zoning(zoning, random("spoiled zoning"))
    for path, table in _both(folder, "zoning.shp.zip", zoning, earlier.zoning_before(zoning)):
        write_shapefile(path, table, "Zoning", "Polygon")
    write_geojson(folder / "small_area_plans.geojson.gz", zones.plans(city.blocks, random("plans")))
    elementary = zones.elementary_zones(city.blocks)
    write_shapefile(folder / "elementary_zones.shp.zip", elementary, "Elementary_Zones", "MultiPolygon")
    write_shapefile(folder / "middle_zones.shp.zip", zones.middle_zones(elementary), "Middle_Zones", "MultiPolygon")
    refuse = zones.collection_zones(city.blocks, districts.REFUSE_SEEDS, "DAYSERVED")
    write_geojson(folder / "refuse_zones.geojson", refuse)
    recycling = zones.collection_zones(city.blocks, districts.RECYCLING_SEEDS, "PICKUPDAY")
    write_geojson(folder / "recycling_zones.geojson", recycling)
    write_geojson(folder / "historic_districts.geojson", zones.historic_districts(city.ground))
    group, census = block_groups(city.blocks, city.lots.block[city.addresses["lot"]], random("census"))
    numbers, shapes = zones.dissolve(city.blocks.faces, group)
    census = census.iloc[numbers].assign(geometry=shapes)
    write_geopackage(folder / "block_groups.gpkg", census, "Block_Groups", "MultiPolygon")


def _write_amenities(folder: Path, city: SampleCity, random: Callable[[str], np.random.Generator]) -> None:
    stops = amenities.bus_stops(city.streets.walkable, random("bus stops"), BUS_STOPS)
    write_csv(folder / "bus_stops.csv", _with_lonlat(stops, "stop_lon", "stop_lat"))
    write_geojson(folder / "metro_stations.geojson", amenities.stations())
    write_geojson(folder / "rail_lines.geojson", amenities.rail_lines(city.ground))
    write_geojson(folder / "libraries.geojson", amenities.facilities(places.LIBRARIES, "L"))
    write_geojson(folder / "fire_stations.geojson", amenities.facilities(places.FIRE_STATIONS, "F"))
    write_geojson(folder / "schools.geojson.gz", amenities.facilities(places.SCHOOLS, "S"))
    write_geojson(folder / "places.geojson", amenities.place_names())


def _write_nature(folder: Path, city: SampleCity, random: Callable[[str], np.random.Generator]) -> None:
    waters = water_shapes(city.ground)
    write_geojson(
        folder / "water.geojson",
        pd.DataFrame(
            {
                "WATER_ID": [f"W{number:02d}" for number in range(1, len(waters) + 1)],
                "NAME": [name for name, _, _ in waters],
                "KIND": [kind for _, kind, _ in waters],
                "geometry": [shape for _, _, shape in waters],
            }
        ),
    )
    terrain = nature.model_terrain(city.ground, random("terrain"))
    floods = nature.flood_zones(terrain, city.ground)
    write_shapefile(folder / "flood_zones.shp.zip", floods, "Flood_Zones", "Polygon")
    parks = nature.parks(city.lots, city.ground, random("parks"))
    write_geojson(folder / "parks.geojson.gz", parks)
    write_geojson(folder / "trails.geojson", nature.trails(city.ground))
    park_shapes = parks["geometry"].to_numpy()
    trees = nature.trees(city.streets.walkable, park_shapes, city.buildings.shapes, random("trees"), TREES, PARK_TREES)
    write_csv(folder / "trees.csv.gz", flaws.spoil_trees(trees, random("spoiled trees")))
    write_elevation(folder / "elevation.tif", terrain, city.ground, random("unevenness"))
    cover = _land_cover(city, parks, trees[["X", "Y"]].to_numpy())
    write_land_cover(folder / "land_cover.tif", city.ground, cover, random("clearings"))


def _land_cover(city: SampleCity, parks: pd.DataFrame, trees: Positions) -> Cover:
    walkable = city.streets.walkable
    fast = city.streets.lines[~city.streets.table["WALK"]]
    shapes, private = city.lots.shapes, city.lots.site < 0
    leafy = (private & np.isin(city.use, ("HOUSE", "APARTMENT"))) | np.isin(city.use, ("OPEN", "PUBLIC"))
    return Cover(
        paved=shapes[np.isin(city.use, ("COMMERCIAL", "INDUSTRIAL")) & private],
        leafy=shapes[leafy],
        woods=parks["geometry"].to_numpy()[(parks["PARK_TYPE"] == "NATURAL").to_numpy()],
        roads=np.concatenate([shapely.buffer(walkable.lines, half_widths(walkable) * 0.55), shapely.buffer(fast, 24)]),
        trees=trees,
        buildings=city.buildings.shapes,
    )
