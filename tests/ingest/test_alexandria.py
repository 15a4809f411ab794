"""The city's own layers, whole: every record is there, and where two other programs put it; what is asked of them."""

from __future__ import annotations

import runpy
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import geopandas
import numpy as np
import orjson
import pyogrio
import pytest
import rasterio.warp
import shapely
from documented import check_examples

from gisservice import crs
from gisservice.catalog import Catalog, load_registry
from gisservice.ingest import ingest_layer, read, reproject, standardize, validate
from gisservice.model import Layer, Registry, Source

pytestmark = pytest.mark.slow

FEET_PER_METRE = 3937.0 / 1200.0
MILLIMETRE_FT = 0.001 * FEET_PER_METRE
MILLIMETRE_DEG = 0.001 / 111_320.0


@pytest.fixture(scope="module")
def registry(root: Path, shared_data: Path) -> Registry:
    return load_registry(root / "data" / "alexandria.toml")


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("alexandria")


@pytest.fixture(scope="module")
def published(registry, home):
    """All layers in a catalog of their own, and the summaries; tiles of the upper zooms, to save time."""
    catalog = Catalog(home)
    layers = [replace(layer, maxzoom=min(layer.maxzoom, 13)) for layer in registry.layers if layer.enabled]
    return catalog, {
        layer.id: ingest_layer(layer, folder=Path(registry.folder), catalog=catalog, build_workers=2)
        for layer in layers
    }


@pytest.fixture(scope="module")
def raw(read_parcels) -> geopandas.GeoDataFrame:
    """The parcels as GDAL reads them, by object id."""
    return read_parcels()[["OBJECTID", "geometry"]].set_index("OBJECTID")


@pytest.fixture(scope="module")
def parcels(published) -> geopandas.GeoDataFrame:
    """The published archive, in state plane feet, by object id."""
    catalog, _ = published
    return geopandas.read_parquet(catalog.collection("parcels").path / "features.parquet").set_index("objectid")


@pytest.fixture(scope="module")
def repaired(raw) -> list[int]:
    return raw.index[~shapely.is_valid(raw.geometry.to_numpy())].tolist()


def lambert(lonlat):
    """State plane coordinates, US survey feet, of EPSG method 9802 (Lambert conic, two standard parallels).

    Snyder, Map Projections: A Working Manual (USGS Professional Paper 1395), equations 15-1 to 15-11 and 14-15;
    EPSG:2283 on GRS 1980. Between WGS 84 and NAD83 nothing is shifted (EPSG:1188).
    """
    a, f = 6_378_137.0, 1 / 298.257222101
    e = np.sqrt(2 * f - f * f)
    first, second, origin = np.radians([38 + 2 / 60, 39.2, 37 + 40 / 60])

    def m(latitude):
        return np.cos(latitude) / np.sqrt(1 - (e * np.sin(latitude)) ** 2)

    def t(latitude):
        sine = e * np.sin(latitude)
        return np.tan(np.pi / 4 - latitude / 2) / ((1 - sine) / (1 + sine)) ** (e / 2)

    n = np.log(m(first) / m(second)) / np.log(t(first) / t(second))
    scale = m(first) / (n * t(first) ** n)
    radius, radius_origin = a * scale * t(np.radians(lonlat[:, 1])) ** n, a * scale * t(origin) ** n
    angle = n * np.radians(lonlat[:, 0] + 78.5)
    east = radius * np.sin(angle) * FEET_PER_METRE + 11_482_916.667
    north = (radius_origin - radius * np.cos(angle)) * FEET_PER_METRE + 6_561_666.667
    return np.column_stack([east, north])


def test_every_record_is_published(published):
    catalog, summaries = published
    counts = {"boundary": 1, "zoning": 64, "parcels": 47_174, "addresses": 35_592, "metro_stations": 91}
    assert {name: summary.read for name, summary in summaries.items()} == counts
    assert {name: summary.published for name, summary in summaries.items()} == counts
    assert {name: catalog.collection(name).features.count for name in counts} == counts
    assert all(not summary.refused for summary in summaries.values())


def test_stacks_are_kept(published):
    catalog, _ = published
    features = catalog.collection("parcels").features
    assert len(features.geometries) == 28_413
    assert len(np.unique(features.record_geometry)) == 28_413
    assert len({features.item_id(row) for row in range(features.count)}) == 47_174


def test_the_invalid_polygons_are_repaired_and_listed(published, parcels, repaired):
    _, summaries = published
    listed = [finding for finding in summaries["parcels"].repaired if finding.code == "invalid-geometry"]
    assert sum(finding.count for finding in listed) == len(repaired) == 20
    assert sorted(int(record) for finding in listed for record in finding.records) == sorted(repaired)
    assert shapely.is_valid(parcels.geometry.to_numpy()).all()


def test_positions_are_those_of_the_published_formulas(parcels, raw, repaired):
    plain = raw.drop(index=repaired)
    expected = lambert(shapely.get_coordinates(plain.geometry.to_numpy()))
    stored = shapely.get_coordinates(parcels.loc[plain.index].geometry.to_numpy())
    assert np.abs(stored - expected).max() < MILLIMETRE_FT


def test_positions_are_those_of_another_copy_of_proj(parcels, raw, repaired):
    plain = raw.drop(index=repaired).iloc[::20]
    lon, lat = shapely.get_coordinates(plain.geometry.to_numpy()).T
    expected = np.column_stack(rasterio.warp.transform("OGC:CRS84", "EPSG:2283", lon, lat))
    stored = shapely.get_coordinates(parcels.loc[plain.index].geometry.to_numpy())
    assert np.abs(stored - expected).max() < MILLIMETRE_FT


def test_positions_are_those_of_ogr2ogr(parcels, repaired, shared_data, tmp_path):
    program = shutil.which("ogr2ogr")
    if program is None:
        pytest.skip("ogr2ogr is not installed")
    source, target = f"/vsigzip/{shared_data}/alexandria/parcels.geojson.gz", tmp_path / "parcels.fgb"
    command = [program, "-q", "-f", "FlatGeobuf", "-t_srs", "EPSG:2283", "-lco", "SPATIAL_INDEX=NO"]
    command += ["-select", "OBJECTID", "-nlt", "PROMOTE_TO_MULTI", str(target), source]
    subprocess.run(command, check=True, timeout=300)
    expected = pyogrio.read_dataframe(target).set_index("OBJECTID").drop(index=repaired)
    stored = parcels.loc[expected.index].geometry.to_numpy()
    off = shapely.get_coordinates(stored) - shapely.get_coordinates(expected.geometry.to_numpy())
    assert np.abs(off).max() < MILLIMETRE_FT


def test_items_are_where_the_source_says(published, raw, repaired):
    catalog, _ = published
    features = catalog.collection("parcels").features
    items = orjson.loads(b"[" + features.items(np.arange(features.count)) + b"]")
    shapes = np.array([shapely.from_geojson(orjson.dumps(item["geometry"])) for item in items])
    served = geopandas.GeoSeries(shapes, index=[int(item["id"]) for item in items])
    plain = raw.drop(index=repaired)
    rings = [shapely.normalize(s.to_numpy()) for s in (served.loc[plain.index], plain.geometry)]
    off = shapely.get_coordinates(rings[0]) - shapely.get_coordinates(rings[1])
    assert np.abs(off).max() < MILLIMETRE_DEG
    assert shapely.is_valid(shapes).all()


def test_the_geodatabase_is_the_same_city(registry, parcels, shared_data):
    """The same parcels as an office has them: in feet, in a zipped File Geodatabase."""
    declared: Layer = registry.layer("parcels")
    source = Source("parcels_2283.gdb.zip")
    reading = read(source, folder=shared_data / "alexandria", columns=declared.columns)
    assert crs.code(reading.crs) == "EPSG:2283"
    projection = reproject([reading], crs.parse(declared.storage_crs))
    standard = standardize(projection, validate(projection, replace(declared, sources=(source,))))
    assert (standard.quality.read, standard.quality.published) == (47_174, 47_174)
    invalid = [finding for finding in standard.quality.repaired if finding.code == "invalid-geometry"]
    assert sum(finding.count for finding in invalid) == 20
    frame = standard.records.frame.set_index("objectid")
    assert sorted(frame.index) == sorted(parcels.index)
    area, other = frame.geometry.area, parcels.geometry.area.loc[frame.index]
    assert (np.abs(area / other - 1) < 1e-4).all()
    assert len({shape.wkb for shape in standard.records.lonlat}) == 28_413
    columns = [name for name in frame.columns if name not in ("geometry", "land_area")]
    same = frame[columns].fillna("").to_numpy() == parcels.loc[frame.index, columns].fillna("").to_numpy()
    assert same.all()


def test_areas_agree_with_the_assessors(parcels):
    lots = parcels[parcels.land_area > 0]
    ratio = lots.geometry.area / lots.land_area.astype(float)
    assert abs(ratio.median() - 1) < 0.005


def test_addresses_are_points_where_the_table_says(published, shared_data):
    catalog, _ = published
    stored = geopandas.read_parquet(catalog.collection("addresses").path / "features.parquet").set_index("objectid")
    table = pyogrio.read_dataframe(shared_data / "alexandria" / "address_points_2019.csv")
    lonlat = table[["X", "Y"]].astype(float).to_numpy()
    points = shapely.get_coordinates(stored.loc[table.OBJECTID.astype(int)].geometry.to_numpy())
    assert np.abs(points - lambert(lonlat)).max() < MILLIMETRE_FT
    assert set(stored.street_direction.dropna()) == {"N", "S", "E", "W"}


def test_zoning_keeps_its_area(published, shared_data):
    catalog, _ = published
    stored = geopandas.read_parquet(catalog.collection("zoning").path / "features.parquet").set_index("zoning")
    source = pyogrio.read_dataframe(f"/vsizip/{shared_data}/alexandria/zoning_lots_2283.shp.zip").set_index("ZONING")
    assert sorted(stored.index) == sorted(source.index)
    assert np.allclose(stored.geometry.area, source.geometry.area.loc[stored.index], rtol=1e-6)
    assert shapely.is_valid(stored.geometry.to_numpy()).all()


def test_web_mercator_areas_are_not_published(published):
    catalog, summaries = published
    names = {column.name.lower() for column in catalog.collection("parcels").manifest.columns}
    assert not any("shape" in name for name in names)
    (noted,) = [finding for finding in summaries["parcels"].noted if finding.code == "undeclared-columns"]
    assert "SHAPE__Area" in noted.message


def test_live_services_are_listed_and_switched_off(registry):
    live = [layer for layer in registry.layers if layer.id.startswith("live_")]
    assert len(live) >= 5
    assert all(not layer.enabled for layer in live)
    assert all(source.location.startswith("https://") for layer in live for source in layer.sources)


def test_the_answers_in_the_documents_hold(published, home, root, monkeypatch):
    monkeypatch.setenv("GISSERVICE_HOME", str(home))
    monkeypatch.chdir(root)
    assert check_examples(root / "docs" / "analysis.md", "On the real parcels") > 20


@pytest.mark.parametrize("notebook", ["address_quality", "chickens", "metro_500_feet", "rezoning"])
def test_a_notebook_runs_over_the_real_city(published, home, root, monkeypatch, capsys, notebook):
    monkeypatch.setenv("GISSERVICE_HOME", str(home))
    monkeypatch.setenv("GISSERVICE_STATIC", str(root / "static"))
    found = runpy.run_path(str(root / "notebooks" / f"{notebook}.py"))
    assert capsys.readouterr().out and "Sources: " in found["picture"].svg


def test_what_changed_runs_over_real_parcels(registry, root, shared_data, tmp_path, monkeypatch, capsys):
    now = pyogrio.read_dataframe(f"/vsigzip/{shared_data}/alexandria/parcels.geojson.gz", max_features=400)
    then = now.iloc[2:].copy()
    then.loc[then.index[:3], "ZONING"] = "I"
    catalog, declared = Catalog(tmp_path / "published"), registry.layer("parcels")
    for day, frame in (("then", then), ("now", now)):
        frame.to_file(tmp_path / f"{day}.gpkg", layer="parcels")
        layer = replace(declared, sources=(Source(f"{day}.gpkg"),), maxzoom=declared.minzoom)
        ingest_layer(layer, folder=tmp_path, catalog=catalog, build_workers=1)
    monkeypatch.setenv("GISSERVICE_HOME", str(tmp_path / "published"))
    monkeypatch.setenv("GISSERVICE_STATIC", str(root / "static"))
    runpy.run_path(str(root / "notebooks" / "what_changed.py"))
    assert "2 came, 0 went, 3 changed" in capsys.readouterr().out
