"""Reading every format: the same lots come out, with their reference system, and nothing else."""

from __future__ import annotations

import json
import sqlite3
import struct

import numpy as np
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely
from ingest_sources import STATE_PLANE, column, lots, zip_folder

from gisservice import crs
from gisservice.errors import MissingCRSError, SourceError
from gisservice.ingest import read
from gisservice.ingest.formats import Format
from gisservice.model import ColumnType, Source, Visibility

DECLARED = (
    column("pid", source="PID"),
    column("lots", "integer", source="LOTS"),
    column("owner", source="OWNER", visibility=Visibility.NEVER),
)


def read_file(path, columns=None, **more):
    return read(Source(path.name, **more), folder=path.parent, columns=columns)


@pytest.mark.parametrize(
    "name", ["lots.shp.zip", "lots.gdb.zip", "lots.gpkg", "lots.fgb", "lots.parquet", "lots.geojson", "lots.geojson.gz"]
)
@pytest.mark.parametrize("system", [STATE_PLANE, "EPSG:3857"])
def test_vector_formats(make, name, system):
    frame = lots(crs="OGC:CRS84" if "geojson" in name else system)
    reading = read_file(make(name, frame), DECLARED)
    assert crs.code(reading.crs) == ("OGC:CRS84" if "geojson" in name else system)
    assert reading.table.column_names == ["pid", "lots"]
    rows = reading.table.to_pydict()
    finest = 1e-3 if "gdb" in name else 1e-6  # a geodatabase keeps positions on a grid of its own
    order = np.argsort(rows["pid"])  # FlatGeobuf sorts
    assert sorted(rows["pid"]) == frame.PID.tolist()
    assert [rows["lots"][n] for n in order] == frame.LOTS.tolist()
    assert (shapely.hausdorff_distance(reading.geometry[order], frame.geometry.to_numpy()) < finest).all()
    assert [c.name for c in reading.columns] == ["pid", "lots"]
    assert (reading.provenance.source, reading.provenance.crs_declared) == (name, False)
    assert "Secret" not in str(reading)


@pytest.mark.parametrize("name", ["lots.csv", "lots.csv.gz"])
def test_csv(make, name):
    reading = read_file(make(name), DECLARED, crs=STATE_PLANE)
    assert reading.table.to_pydict() == {"pid": lots().PID.tolist(), "lots": [str(n) for n in lots().LOTS]}
    assert (shapely.get_type_id(reading.geometry) == 0).all()
    assert reading.provenance.crs_declared
    assert reading.provenance.format == Format.CSV


def test_kml(make):
    frame = lots(crs="OGC:CRS84").rename(columns={"PID": "Name"})[["Name", "geometry"]]
    reading = read_file(make("lots.kml", frame))
    assert crs.code(reading.crs) == "OGC:CRS84"
    assert reading.table.column("Name").to_pylist() == frame.Name.tolist()


def test_undeclared_columns_have_the_types_of_the_source(make):
    reading = read_file(make("lots.gpkg"))
    assert {c.name: c.type for c in reading.columns} == {
        "fid": ColumnType.INTEGER,
        "PID": ColumnType.STRING,
        "LOTS": ColumnType.INTEGER,
        "AREA": ColumnType.NUMBER,
        "OWNER": ColumnType.STRING,
    }


def test_a_geodatabase_keeps_its_object_ids(make):
    reading = read_file(make("lots.gdb.zip"), (column("oid", "integer", source="objectid"),))
    assert reading.table.column("oid").to_pylist() == [1, 2, 3, 4, 5, 6]


def test_one_of_several_layers(make, tmp_path):
    path = make("lots.gpkg")
    pyogrio.write_dataframe(lots(2), path, layer="more", append=True, driver="GPKG")
    assert len(read_file(path, layer="MORE").geometry) == 2
    with pytest.raises(SourceError, match="holds 2 layers: lots, more"):
        read_file(path)
    with pytest.raises(SourceError, match="no layer 'streets'; it has: lots, more"):
        read_file(path, layer="streets")


# Reference systems


def test_a_shapefile_without_prj_is_refused_with_the_way_out(make, tmp_path):
    make("lots.shp.zip")
    (tmp_path / "lots.shp.zip.parts" / "lots.prj").unlink()
    path = zip_folder(tmp_path / "lots.shp.zip.parts", tmp_path / "noprj.zip")
    with pytest.raises(MissingCRSError, match=r'--crs EPSG:n .* crs = "EPSG:n"'):
        read_file(path)
    reading = read_file(path, crs=STATE_PLANE)
    assert (crs.code(reading.crs), reading.provenance.crs_declared) == (STATE_PLANE, True)
    assert not reading.noted


def test_an_esri_prj_is_its_epsg_twin(make, tmp_path):
    make("lots.shp.zip")
    prj = tmp_path / "lots.shp.zip.parts" / "lots.prj"
    assert "NAD_1983_StatePlane_Virginia_North" in prj.read_text()
    assert crs.code(read_file(tmp_path / "lots.shp.zip").crs) == STATE_PLANE


def test_a_declaration_goes_before_what_the_source_says_and_is_noted(make):
    reading = read_file(make("lots.geojson", lots().set_crs("EPSG:4326", allow_override=True)), crs=STATE_PLANE)
    assert crs.code(reading.crs) == STATE_PLANE
    assert [finding.code for finding in reading.noted] == ["crs-overridden"]
    assert reading.provenance.crs_declared


def test_declaring_what_the_source_says_is_no_finding(make):
    reading = read_file(make("lots.gpkg"), crs=STATE_PLANE)
    assert (reading.noted, reading.provenance.crs_declared) == ((), False)


def test_a_local_system_is_none(make, tmp_path):
    make("lots.shp.zip")
    (tmp_path / "lots.shp.zip.parts" / "lots.prj").write_text('LOCAL_CS["Site grid",UNIT["Foot",0.3048]]')
    with pytest.raises(MissingCRSError):
        read_file(zip_folder(tmp_path / "lots.shp.zip.parts", tmp_path / "local.zip"))


def test_geoparquet_says_it_or_means_crs84(make, tmp_path):
    path = make("lots.parquet")
    table = pq.read_table(path)
    geo = json.loads(table.schema.metadata[b"geo"])
    for stated, expected in ((..., "OGC:CRS84"), (None, None)):
        if stated is ...:
            del geo["columns"]["geometry"]["crs"]
        else:
            geo["columns"]["geometry"]["crs"] = stated
        pq.write_table(table.replace_schema_metadata({b"geo": json.dumps(geo).encode()}), path)
        if expected:
            assert crs.code(read_file(path).crs) == expected
        else:
            with pytest.raises(MissingCRSError):
                read_file(path)


def test_parquet_without_geometry_is_called_so(tmp_path):
    lots().drop(columns="geometry").to_parquet(tmp_path / "a.parquet")
    with pytest.raises(SourceError, match="Parquet file without geometry"):
        read_file(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-20])
    with pytest.raises(SourceError, match="damaged GeoParquet"):
        read_file(tmp_path / "b.parquet")


# Damage and strangeness


def feature(geometry, **properties):
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def geojson(path, *features):
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}))
    return path


def test_truncated_geojson_is_refused(make):
    path = make("lots.geojson", lots(crs="OGC:CRS84"))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(SourceError, match=r"lots\.geojson cannot be read as GeoJSON"):
        read_file(path)


def test_an_empty_collection_is_refused(tmp_path):
    with pytest.raises(SourceError, match="holds no records"):
        read_file(geojson(tmp_path / "none.geojson"))


def test_other_json_is_not_taken_for_geojson(tmp_path):
    path = tmp_path / "a.json"
    for text in ('{"type": "gdal_streamed_alg", "command_line": "gdal vector pipeline ! read x.gpkg"}', '{"a": 1}'):
        path.write_text(text)
        with pytest.raises(SourceError, match="cannot be read as GeoJSON"):
            read_file(path)


def test_a_bare_feature_and_one_without_properties(tmp_path):
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps(feature({"type": "Point", "coordinates": [-77, 38.8]})))
    reading = read_file(path)
    assert len(reading.geometry) == 1
    assert reading.columns == ()


def test_a_byte_order_mark_is_no_harm(tmp_path):
    path = geojson(tmp_path / "a.geojson", feature({"type": "Point", "coordinates": [-77, 38.8]}, a=1))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_file(path).table.to_pydict() == {"a": [1]}


def test_ids_of_features_are_kept_as_text(tmp_path):
    point = {"type": "Point", "coordinates": [-77, 38.8]}
    path = geojson(tmp_path / "a.geojson", feature(point) | {"id": "abc"}, feature(point) | {"id": 2**53 + 1})
    assert read_file(path).table.column("id").to_pylist() == ["abc", str(2**53 + 1)]


def test_nulls_and_unclosed_rings(tmp_path):
    ring = [[0, 0], [1, 0], [1, 1]]
    path = geojson(tmp_path / "a.geojson", feature(None, n=1), feature({"type": "Polygon", "coordinates": [ring]}, n=2))
    geometry = read_file(path).geometry
    assert geometry[0] is None
    assert geometry[1].equals(shapely.Polygon(ring))


def test_a_coordinate_that_is_no_number_is_left_to_validation(tmp_path):
    path = tmp_path / "a.geojson"
    path.write_text(
        '{"type": "Feature", "properties": {}, "geometry": {"type": "LineString", "coordinates": [[NaN, 1], [2, 3]]}}'
    )
    assert np.isnan(shapely.get_coordinates(read_file(path).geometry)).any()


def test_text_that_is_not_in_the_stated_encoding_is_refused(make, tmp_path):
    make("lots.shp.zip", lots().assign(PID="Caf\u00e9"))
    parts = tmp_path / "lots.shp.zip.parts"
    table = parts / "lots.dbf"
    table.write_bytes(table.read_bytes().replace("é".encode(), b"\xe9 "))
    (parts / "lots.cpg").write_text("UTF-8")
    path = zip_folder(parts, tmp_path / "latin.zip")
    with pytest.raises(SourceError, match="not in the encoding"):
        read_file(path)
    (parts / "lots.cpg").write_text("1252")
    assert read_file(zip_folder(parts, tmp_path / "cp.zip")).table.column("PID")[0].as_py().strip() == "Café"


def test_arcs_become_lines_and_are_noted(make):
    path = make("lots.gpkg", lots(1))
    arc = struct.pack("<BII6d", 1, 8, 3, 0, 0, 1, 1, 2, 0)
    line = struct.pack("<BII4d", 1, 2, 2, 2, 0, 0, 0)
    compound = struct.pack("<BII", 1, 9, 2) + arc + line
    blob = b"GP\0\1" + struct.pack("<i", 2283) + struct.pack("<BII", 1, 10, 1) + compound
    database = sqlite3.connect(path)
    for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        database.execute(f'DROP TRIGGER "{trigger}"')
    database.execute("UPDATE lots SET geom = ?", (blob,))
    database.execute("UPDATE gpkg_geometry_columns SET geometry_type_name = 'CURVEPOLYGON'")
    database.commit()
    database.close()
    reading = read_file(path)
    assert reading.geometry[0].area == pytest.approx(np.pi / 2, rel=1e-3)
    assert [flaw.code for flaw in reading.flaws] == ["arcs"]
