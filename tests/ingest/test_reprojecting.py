"""Reprojection: which operation, how exact, and from several sources into one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import shapely
from ingest_sources import STATE_PLANE, lots

from gisservice import crs
from gisservice.errors import ReprojectionError
from gisservice.ingest import Reading, reproject
from gisservice.ingest.stages import Flaw, Verdict
from gisservice.model import Provenance


def reading(frame, system: str, **table) -> Reading:
    return Reading(
        table=pa.table(table or {"PID": frame.PID.tolist()}),
        geometry=frame.geometry.to_numpy(),
        crs=crs.parse(system),
        columns=(),
        provenance=Provenance(f"{system}.gpkg", "GeoPackage", "0" * 64, 1, None, system),
    )


@pytest.mark.parametrize("system", ["OGC:CRS84", "EPSG:4326", "EPSG:3857", "EPSG:26985", STATE_PLANE])
def test_every_way_into_state_plane_feet_agrees(system):
    frame = lots()
    projection = reproject([reading(frame.to_crs(system), system)], crs.parse(STATE_PLANE))
    assert (shapely.hausdorff_distance(projection.geometry, frame.geometry.to_numpy()) < 0.003).all()  # 1 mm in feet
    lonlat = frame.to_crs("OGC:CRS84").geometry.to_numpy()
    assert (shapely.hausdorff_distance(projection.lonlat, lonlat) < 1e-8).all()
    assert {operation.target_crs for operation in projection.operations} == {STATE_PLANE, "OGC:CRS84"}


def test_the_operation_its_accuracy_and_missing_grids_are_recorded():
    projection = reproject([reading(lots(), STATE_PLANE)])
    same, serving = projection.operations
    assert (same.name, same.accuracy_m) == ("none", 0.0)
    assert "NAD83 to WGS 84" in serving.name
    assert serving.accuracy_m == 4.0
    assert serving.definition.startswith("proj=pipeline")
    assert all(name.endswith(".tif") for name in serving.missing_grids)


def test_the_way_back_is_the_way_there():
    frame = lots(crs="OGC:CRS84")
    projection = reproject([reading(frame, "OGC:CRS84")], crs.parse(STATE_PLANE))
    off = shapely.get_coordinates(projection.lonlat) - shapely.get_coordinates(frame.geometry.to_numpy())
    assert np.abs(off).max() < 1e-12


def test_storage_is_the_sources_own_system_unless_declared():
    assert crs.code(reproject([reading(lots(), STATE_PLANE)]).crs) == STATE_PLANE
    unlisted = crs.CRS.from_proj4("+proj=tmerc +lat_0=38.8 +lon_0=-77.05 +ellps=GRS80 +towgs84=0,0,0")
    projection = reproject([replace(reading(lots().to_crs(unlisted), STATE_PLANE), crs=unlisted)])
    assert crs.code(projection.crs) == "OGC:CRS84"
    assert [finding.code for finding in projection.noted] == ["unlisted-crs"]


def test_sources_are_put_below_one_another():
    first = replace(
        reading(lots(2), STATE_PLANE, n=[1, 2]),
        flaws=(Flaw("a", "a", np.array([1]), Verdict.NOTE),),
    )
    second = replace(
        reading(lots(3).to_crs("EPSG:3857"), "EPSG:3857", n=["x", "y", "z"]),
        flaws=(Flaw("b", "b", np.array([0, 2]), Verdict.NOTE),),
    )
    projection = reproject([first, second])
    assert projection.table.column("n").to_pylist() == ["1", "2", "x", "y", "z"]
    assert [flaw.rows.tolist() for flaw in projection.flaws] == [[1], [2, 4]]
    assert [len(span.bounds) for span in projection.spans] == [2, 3]
    assert projection.geometry[2].equals_exact(projection.geometry[0], 0.003)
    assert projection.name == "EPSG:2283.gpkg, EPSG:3857.gpkg"


def test_missing_geometry_stays_missing_and_heights_fall_away():
    frame = lots(2)
    frame.geometry = shapely.force_3d(frame.geometry.to_numpy(), 12.0)
    given = replace(reading(frame, STATE_PLANE), geometry=np.array([None, frame.geometry[1]], dtype=object))
    projection = reproject([given], crs.CRS84)
    assert projection.geometry[0] is None
    assert not shapely.has_z(projection.geometry).any()
    assert [(finding.code, finding.count) for finding in projection.noted] == [("heights-dropped", 1)]


def test_a_stray_record_does_not_choose_the_operation():
    frame = lots(200)
    plain = reproject([reading(frame, STATE_PLANE)], crs.CRS84).operations
    frame.loc[0, "geometry"] = shapely.box(0, 0, 1, 1)
    assert reproject([reading(frame, STATE_PLANE)], crs.CRS84).operations == plain


def test_a_guessed_operation_is_refused():
    with pytest.raises(ReprojectionError, match="No operation"):
        reproject([reading(lots(), STATE_PLANE)], crs.parse("EPSG:3163"))
