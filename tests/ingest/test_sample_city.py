"""The whole sample city, generated once and read back with GDAL: what it promises, and that its dirt is counted."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import rasterio
import shapely

from gisservice.catalog.registry import load_registry
from gisservice.crs import parse, reprojection
from gisservice.ingest.sample import FILES, earlier, flaws, places, survey_before
from gisservice.ingest.sample.plane import positions
from gisservice.model import Layer, Registry

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FEET_PER_METRE = 1 / 0.3048006


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry(ROOT / "data" / "layers.toml")


@pytest.fixture(scope="module")
def frames(sample_sources: Path, registry: Registry) -> dict[str, gpd.GeoDataFrame]:
    vectors = [layer for layer in registry.layers if layer.columns is not None]
    return {layer.id: _read(sample_sources, layer) for layer in vectors}


def _read(folder: Path, layer: Layer) -> gpd.GeoDataFrame:
    """Read a source with GDAL or the csv module, as text where CSV is, and return it in feet."""
    source = layer.sources[0]
    path = folder / Path(source.location).name
    if ".csv" in path.name:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
        table = pd.DataFrame(rows)
        points = shapely.points(table[source.x].astype(float), table[source.y].astype(float))
        return gpd.GeoDataFrame(table, geometry=points, crs=source.crs).to_crs("EPSG:2283")
    name = f"/vsigzip/{path}" if path.suffix == ".gz" else str(path)
    frame = pyogrio.read_dataframe(name, layer=source.layer) if source.layer else pyogrio.read_dataframe(name)
    return frame.to_crs("EPSG:2283")


def _distinct_valid(shapes: np.ndarray) -> np.ndarray:
    keep = shapes[shapely.is_valid(shapes)]
    _, first = np.unique(shapely.to_wkb(shapely.normalize(keep)), return_index=True)
    return keep[np.sort(first)]


def test_every_declared_source_is_written(registry: Registry) -> None:
    assert sorted(Path(layer.sources[0].location).name for layer in registry.layers) == sorted(FILES)
    assert {map_id for declared in registry.maps for map_id in declared.layers} <= {
        layer.id for layer in registry.layers
    }


def test_sources_have_the_declared_columns_and_no_others(
    frames: dict[str, gpd.GeoDataFrame], registry: Registry
) -> None:
    for layer in registry.layers:
        if layer.columns is None:
            continue
        source = layer.sources[0]
        there = set(frames[layer.id].columns) - {"geometry", source.x, source.y}
        assert there == {column.source for column in layer.columns}, layer.id
        ids = frames[layer.id][next(column.source for column in layer.columns if column.name == layer.id_column)]
        assert ids.notna().all()


def test_codes_are_declared(frames: dict[str, gpd.GeoDataFrame], registry: Registry) -> None:
    for layer in registry.layers:
        for column in layer.columns or ():
            if column.codes:
                values = frames[layer.id][column.source].dropna().str.strip().str.upper()
                assert set(values) - {""} <= {code.upper() for code, _ in column.codes}, (layer.id, column.name)


def test_counts(frames: dict[str, gpd.GeoDataFrame]) -> None:
    assert len(frames["parcels"]) == 47_000 + flaws.DUPLICATE_PARCELS
    assert 27_500 <= len(_distinct_valid(frames["parcels"].geometry.to_numpy())) <= 29_500
    assert len(frames["buildings"]) == 30_000
    assert len(frames["addresses"]) == 50_000 + flaws.DUPLICATE_ADDRESSES
    assert len(frames["trees"]) == 30_000 + flaws.DUPLICATE_TREES
    assert len(frames["bus_stops"]) == 700
    assert len(frames["small_area_plans"]) == 18
    assert len(frames["metro_stations"]) == 5
    assert 5_000 <= len(frames["streets"]) <= 7_000
    assert frames["block_groups"]["POP"].sum() == 159_467


def test_condominiums_are_stacks(frames: dict[str, gpd.GeoDataFrame]) -> None:
    parcels = frames["parcels"]
    units = parcels[parcels["UNIT"].notna()]
    assert len(units) > 18_000
    assert (units["LAND_SF"].isin([0, -1])).all()
    stacks = units.groupby(shapely.to_wkb(units.geometry.to_numpy())).size()
    assert stacks.min() > 1 and stacks.max() <= 281
    assert not units.drop_duplicates("PID_RE")[["ADDRESS", "UNIT"]].duplicated().any()


def test_parcels_share_borders(frames: dict[str, gpd.GeoDataFrame]) -> None:
    assert shapely.coverage_is_valid(_distinct_valid(frames["parcels"].geometry.to_numpy()))


def test_coverages_are_coverages(sample_sources: Path, registry: Registry) -> None:
    """Read as they are stored: reprojecting would move vertices by rounding, alike but not to the last bit."""
    for layer in registry.layers:
        if layer.coverage and layer.id != "parcels":
            source = layer.sources[0]
            path = sample_sources / Path(source.location).name
            name = f"/vsigzip/{path}" if path.suffix == ".gz" else str(path)
            shapes = pyogrio.read_dataframe(name).geometry.to_numpy()
            assert shapely.is_valid(shapes).all(), layer.id
            assert shapely.coverage_is_valid(shapes), layer.id


def test_zones_cover_every_parcel(frames: dict[str, gpd.GeoDataFrame]) -> None:
    points = shapely.point_on_surface(_distinct_valid(frames["parcels"].geometry.to_numpy()))
    for name in (
        "small_area_plans",
        "elementary_zones",
        "middle_zones",
        "refuse_zones",
        "recycling_zones",
        "block_groups",
    ):
        tree = shapely.STRtree(frames[name].geometry.to_numpy())
        assert len(np.unique(tree.query(points, predicate="intersects")[0])) == len(points), name


def test_outline_and_stations(frames: dict[str, gpd.GeoDataFrame]) -> None:
    city = frames["boundary"].geometry.iloc[0]
    assert city.is_valid and shapely.get_num_coordinates(city) >= 80
    assert 15 < city.area / 5280**2 < 16
    for name in ("metro_stations", "libraries", "fire_stations", "schools"):
        assert frames[name].within(city).all(), name
    box = frames["boundary"].to_crs("OGC:CRS84").total_bounds
    assert np.allclose(box, [-77.1444, 38.7854, -77.0374, 38.8450], atol=2e-4)


def test_streets_are_one_network(frames: dict[str, gpd.GeoDataFrame]) -> None:
    streets = frames["streets"]
    parent = list(range(int(streets[["FROM_NODE", "TO_NODE"]].to_numpy().max()) + 1))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for begin, end in zip(streets["FROM_NODE"], streets["TO_NODE"], strict=True):
        parent[root(begin)] = root(end)
    assert len({root(node) for node in streets["FROM_NODE"]}) == 1
    assert (streets["FULL_NAME"] != "").all()
    assert set(streets["ONEWAY"]) == {"B", "FT", "TF"}


def test_nodes_are_where_segments_end(frames: dict[str, gpd.GeoDataFrame]) -> None:
    streets = frames["streets"]
    lines = streets.geometry.to_numpy()
    ends = np.concatenate([shapely.get_coordinates(shapely.get_point(lines, at)) for at in (0, -1)])
    nodes = np.concatenate([streets["FROM_NODE"], streets["TO_NODE"]])
    spread = pd.DataFrame(ends).groupby(nodes).agg(np.ptp)
    assert spread.to_numpy().max() < 0.02
    assert np.allclose(shapely.length(lines), streets["LENGTH_FT"], atol=0.1)


def test_main_streets_have_their_names(frames: dict[str, gpd.GeoDataFrame]) -> None:
    names = set(frames["streets"]["FULL_NAME"])
    assert {"King St", "Duke St", "N Washington St", "S Washington St", "N Patrick St", "S Henry St"} <= names
    assert {
        "Mount Vernon Ave",
        "W Braddock Rd",
        "Seminary Rd",
        "N Quaker La",
        "S Van Dorn St",
        "Eisenhower Ave",
    } <= names
    assert {"I-395", "I-495", "Richmond Hwy", "E Del Ray Ave", "W Glebe Rd", "Russell Rd", "Janneys La"} <= names


def test_addresses_are_on_their_street(frames: dict[str, gpd.GeoDataFrame]) -> None:
    addresses, streets, city = frames["addresses"], frames["streets"], frames["boundary"].geometry.iloc[0]
    inside = addresses[addresses.within(city)]
    assert len(addresses) - len(inside) == flaws.ADDRESSES_OUTSIDE
    by_name = {name: shapely.union_all(group.geometry.to_numpy()) for name, group in streets.groupby("FULL_NAME")}
    name = (inside["ST_DIR"] + " " + inside["ST_NAME"] + " " + inside["ST_TYPE"]).str.strip()
    distance = shapely.distance(name.map(by_name).to_numpy(), inside.geometry.to_numpy())
    assert distance.max() < 150 * FEET_PER_METRE


def test_house_numbers_lie_in_the_ranges_of_the_nearest_segment(frames: dict[str, gpd.GeoDataFrame]) -> None:
    addresses, streets = frames["addresses"], frames["streets"]
    name = (addresses["ST_DIR"] + " " + addresses["ST_NAME"] + " " + addresses["ST_TYPE"]).str.strip()
    number = addresses["ST_NUM"].astype(int)
    ranges = streets.groupby("FULL_NAME").agg({"L_FROM": "min", "R_FROM": "min", "L_TO": "max", "R_TO": "max"})
    odd = number % 2 == 1
    low = np.where(odd, name.map(ranges["L_FROM"]), name.map(ranges["R_FROM"]))
    high = np.where(odd, name.map(ranges["L_TO"]), name.map(ranges["R_TO"]))
    assert ((number >= low) & (number <= high)).all()
    unique = addresses.drop_duplicates("ADDR_ID")
    assert not unique["FULL_ADDR"].duplicated().any()
    assert {"1/2", ""} == set(addresses["ST_ALPHA"])


def test_buildings_stand_in_their_parcel(frames: dict[str, gpd.GeoDataFrame]) -> None:
    parcels = frames["parcels"].drop_duplicates("PID_RE").set_index("PID_RE").geometry
    buildings = frames["buildings"]
    lots = parcels.loc[buildings["PID_RE"]].to_numpy()
    shapes = buildings.geometry.to_numpy()
    sound = shapely.is_valid(lots) & shapely.is_valid(shapes)
    outside = shapely.area(shapely.difference(shapes[sound], lots[sound]))
    assert (outside < 0.02 * shapely.area(shapes[sound])).all()


def test_dirt_of_the_parcels(frames: dict[str, gpd.GeoDataFrame]) -> None:
    parcels = frames["parcels"]
    assert (~parcels.geometry.is_valid).sum() == flaws.INVALID_PARCELS
    again = parcels.duplicated("PID_RE")
    assert again.sum() == flaws.DUPLICATE_PARCELS
    texts = pd.DataFrame(parcels.drop(columns="geometry")).astype(str)
    assert texts.assign(shape=shapely.to_wkb(parcels.geometry.to_numpy())).duplicated().sum() == flaws.DUPLICATE_PARCELS
    once = parcels[~again]
    zoning = once["ZONING"].dropna()
    assert once["ZONING"].isna().sum() == flaws.NULL_ZONING
    assert (zoning != zoning.str.strip()).sum() == flaws.PADDED_ZONING
    assert 0.9 * flaws.MIXED_CASE_ZONING < (zoning != zoning.str.upper()).sum() <= flaws.MIXED_CASE_ZONING
    assert once["STATUS"].isin(["LEGAL", "UNRECORDED"]).sum() == flaws.MIXED_CASE_STATUS
    dates = pd.to_datetime(once["SALE_DATE"], format="%Y-%m-%d", errors="coerce")
    assert (once["SALE_DATE"].notna() & dates.isna()).sum() == flaws.BAD_SALE_DATES
    assert (once["LAND_SF"] < 0).sum() == flaws.BAD_LAND_AREAS


def test_dirt_of_the_other_layers(frames: dict[str, gpd.GeoDataFrame]) -> None:
    assert (~frames["buildings"].geometry.is_valid).sum() == flaws.INVALID_BUILDINGS
    assert frames["addresses"].drop(columns="geometry").duplicated().sum() == flaws.DUPLICATE_ADDRESSES
    zones = frames["zoning"]["ZONING"]
    assert (zones != zones.str.upper()).sum() == flaws.MIXED_CASE_ZONES
    trees = frames["trees"]
    once = trees[~trees.duplicated("TREE_ID")]
    assert len(trees) - len(once) == flaws.DUPLICATE_TREES
    assert (once["PLANTED"] == "00/00/0000").sum() == flaws.BAD_TREE_DATES
    assert (once["DBH_IN"] == "n/a").sum() == flaws.BAD_TREE_DIAMETERS
    clean = set(frames) - {"parcels", "buildings"}
    assert all(frames[name].geometry.is_valid.all() for name in clean)


def test_owners_are_in_the_source_and_declared_never(frames: dict[str, gpd.GeoDataFrame], registry: Registry) -> None:
    layer = registry.layer("parcels")
    assert layer is not None and layer.columns is not None
    hidden = [column.source for column in layer.columns if column.visibility == "never"]
    assert hidden == ["OWNER_NAME", "OWN_ADDR", "OWN_CITY"]
    assert frames["parcels"][hidden].notna().all().all()
    assert [column.name for column in layer.columns if column.visibility == "internal"] == ["assessor_note"]


def test_elevation_falls_to_the_potomac(sample_sources: Path) -> None:
    with rasterio.open(sample_sources / "elevation.tif") as raster:
        assert raster.crs.to_epsg() == 2283 and raster.dtypes == ("float32",) and raster.nodata == -9999
        heights = raster.read(1, masked=True)
        sample = dict(zip(_SPOTS, (value[0] for value in raster.sample(_in_feet(_SPOTS.values()))), strict=True))
    assert 0 <= heights.min() and heights.max() <= 85 and heights.max() > 80
    assert sample["river"] == 0
    assert sample["river"] < sample["waterfront"] < 6 < sample["King St station"] < 20
    assert sample["Masonic Memorial"] > 40 and sample["Fort Ward"] > 75
    assert sample["Cameron Run"] < 12 < sample["above Cameron Run"]


_SPOTS = {
    "river": (-77.0350, 38.8040),
    "waterfront": (-77.0400, 38.8040),
    "King St station": (-77.0600, 38.8068),
    "Masonic Memorial": (-77.0663, 38.8075),
    "Fort Ward": (-77.1020, 38.8305),
    "Cameron Run": (-77.1000, 38.8036),
    "above Cameron Run": (-77.1000, 38.8160),
}


def _in_feet(lonlat: object) -> np.ndarray:
    return reprojection(parse("OGC:CRS84"), parse("EPSG:2283")).apply(np.array(list(lonlat), dtype=float))  # type: ignore[call-overload]


def test_land_cover_agrees_with_the_vectors(sample_sources: Path, frames: dict[str, gpd.GeoDataFrame]) -> None:
    with rasterio.open(sample_sources / "land_cover.tif") as raster:
        cover = raster.read(1)
        assert raster.dtypes == ("uint8",) and raster.nodata == 0 and len(raster.colormap(1)) >= 8
        buildings = frames["buildings"].geometry
        large = buildings[(buildings.area > 1500) & buildings.is_valid][:2000]
        at = shapely.get_coordinates(shapely.point_on_surface(large.to_numpy()))
        hits = np.array([value[0] for value in raster.sample(at)])
    assert set(np.unique(cover)) == set(range(8))
    assert (hits == 5).mean() > 0.98
    share = np.bincount(cover[cover > 0], minlength=8) / (cover > 0).sum()
    assert 0.15 < share[2] < 0.45 and share[5] > 0.1 and share[7] > 0.08


def test_floods_lie_low_and_by_the_water(sample_sources: Path, frames: dict[str, gpd.GeoDataFrame]) -> None:
    floods = frames["flood_zones"]
    assert set(floods["FLD_ZONE"]) == {"AE", "X"}
    assert {"Potomac River", "Four Mile Run", "Cameron Run"} <= set(floods["WATER"])
    assert (floods.loc[floods["FLD_ZONE"] == "AE", "SFHA_TF"] == "T").all()
    assert floods.area.sum() < 0.2 * frames["boundary"].area.iloc[0]
    shapes = floods.geometry.to_numpy()
    pairs = shapely.STRtree(shapes).query(shapes, predicate="overlaps")
    assert shapely.area(shapely.intersection(shapes[pairs[0]], shapes[pairs[1]])).sum() < 1e-6 * floods.area.sum()


def test_facts_are_complete() -> None:
    assert {station.name for station in places.STATIONS} >= {"King St–Old Town", "Potomac Yard", "Van Dorn Street"}


def test_the_survey_before_differs_in_one_neighbourhood(sample_sources: Path, registry: Registry) -> None:
    before = {
        layer.id: (_read(sample_sources / earlier.FOLDER, old), layer.id_column)
        for layer in registry.layers
        if (old := survey_before(layer))
    }
    assert sorted(before) == ["addresses", "buildings", "parcels", "zoning"]
    middle = shapely.Point(positions(earlier.REDEVELOPED)[0])
    for name, (then, key) in before.items():
        layer = next(layer for layer in registry.layers if layer.id == name)
        now, column = _read(sample_sources, layer), next(c.source for c in layer.columns if c.name == key)
        assert list(then.columns) == list(now.columns)
        rows = [
            pd.DataFrame(frame.drop_duplicates(column).set_index(column)).assign(
                geometry=lambda f: f["geometry"].map(str)
            )
            for frame in (then, now)
        ]
        texts = [pd.Series(map(repr, frame.to_numpy().tolist()), frame.index) for frame in rows]
        joined = pd.concat(texts, axis=1, keys=["then", "now"])
        other = joined[(joined["then"] != joined["now"])].index
        assert 0 < len(other) < 300, name
        changed = pd.concat([then, now]).set_index(column).loc[other]
        assert (shapely.distance(changed.geometry.to_numpy(), middle) < 4_000).all(), name
    parcels, _ = before["parcels"]
    assert not {"10000001"} & set(_read(sample_sources, registry.layer("parcels"))["PID_RE"])
    lot = parcels[parcels["PID_RE"] == "10000001"].iloc[0]
    assert lot.geometry.is_valid and lot.geometry.contains(middle) and lot["LAND_SF"] == round(lot.geometry.area)
