"""Validation: what it sees, that it changes nothing, and when it refuses the whole source."""

from __future__ import annotations

from dataclasses import replace

import geopandas
import numpy as np
import pyarrow as pa
import pytest
import shapely
from ingest_sources import SOUTH, STATE_PLANE, WEST, column, layer, lots

from gisservice import crs
from gisservice.errors import ValidationError
from gisservice.ingest import Reading, reproject, validate
from gisservice.ingest.stages import Flaw, Verdict
from gisservice.model import GeometryKind, Provenance

SQUARE = shapely.box(WEST, SOUTH, WEST + 100, SOUTH + 100)
BOW_TIE = shapely.Polygon([(WEST, SOUTH), (WEST + 10, SOUTH + 10), (WEST + 10, SOUTH), (WEST, SOUTH + 10)])
COLUMNS = (column("pid", codes=()),)


def projected(shapes, system=STATE_PLANE, storage=None, columns=COLUMNS, flaws=(), **table):
    geometry = np.empty(len(shapes), dtype=object)
    geometry[:] = shapes
    names = table or {"pid": [f"p{n}" for n in range(1, len(shapes) + 1)]}
    reading = Reading(
        table=pa.table(names),
        geometry=geometry,
        crs=crs.parse(system),
        columns=columns,
        provenance=Provenance("lots.gpkg", "GeoPackage", "0" * 64, 1, None, system),
        flaws=flaws,
    )
    return reproject([reading], crs.parse(storage) if storage else None)


def squares(count: int):
    return list(lots(count).geometry)


def found(report, code: str):
    return [(finding.count, finding.records) for finding in report.findings if finding.code == code]


DECLARED = layer(*COLUMNS, id_column="pid")


def test_sound_data_has_no_findings():
    report = validate(projected(squares(5)), DECLARED)
    assert report.findings == ()
    assert (report.kind, report.id_column, list(report.labels)) == (
        GeometryKind.POLYGON,
        "pid",
        ["p1", "p2", "p3", "p4", "p5"],
    )


def test_nothing_is_changed():
    projection = projected([BOW_TIE, *squares(3)])
    before = shapely.to_wkb(projection.geometry).tolist()
    validate(projection, DECLARED)
    assert shapely.to_wkb(projection.geometry).tolist() == before


def test_invalid_polygons_are_listed_with_reason_and_place():
    report = validate(projected([*squares(3), BOW_TIE]), DECLARED)
    assert found(report, "invalid-geometry") == [(1, ("p4",))]
    (finding,) = report.findings
    lon, lat = (geopandas.GeoSeries([shapely.Point(WEST + 5, SOUTH + 5)], crs=STATE_PLANE).to_crs("OGC:CRS84"))[
        0
    ].coords[0]
    assert f"(self-intersection), at longitude latitude {lon:.6f} {lat:.6f}" in finding.message


def test_what_is_valid_only_at_full_precision_is_found():
    sliver = shapely.Polygon([(-77.05, 38.81), (-77.049, 38.81), (-77.049, 38.8100000001), (-77.05, 38.8100000001)])
    report = validate(projected([sliver, shapely.box(-77.05, 38.81, -77.04, 38.82)], "OGC:CRS84"), DECLARED)
    assert found(report, "invalid-geometry") == [(1, ("p1",))]


def test_missing_empty_and_not_finite():
    nan = shapely.transform(SQUARE, lambda xy: np.where(xy == WEST, np.nan, xy))
    report = validate(projected([None, shapely.Polygon(), nan, *squares(4)]), DECLARED)
    assert found(report, "missing-geometry") == [(1, ("p1",))]
    assert found(report, "empty-geometry") == [(1, ("p2",))]
    assert found(report, "not-finite") == [(1, ("p3",))]
    assert report.rows(Verdict.REFUSE, 7).tolist() == [True] * 3 + [False] * 4


def test_feet_sent_as_degrees_are_refused_with_the_extent():
    with pytest.raises(ValidationError) as caught:
        validate(projected(squares(3), "OGC:CRS84", STATE_PLANE), DECLARED)
    message = str(caught.value)
    assert "3 of 3 records lie outside the extent" in message
    assert "x 11880000, y 6980000" in message
    assert "OGC:CRS84 is for longitude -180 to 180, latitude -90 to 90" in message
    assert "EPSG:2283 is for longitude -81.06 to -75.51" in message
    assert "--crs EPSG:n" in message
    assert caught.value.report


def test_swapped_axes_and_metres_for_feet_are_refused():
    swapped = shapely.transform(np.array(list(lots(3, "OGC:CRS84").geometry)), lambda xy: xy[:, ::-1])
    metres = list(lots(3, "EPSG:6592").geometry)
    for shapes, system in ((swapped, "OGC:CRS84"), (metres, STATE_PLANE)):
        with pytest.raises(ValidationError, match="are x and y swapped"):
            validate(projected(list(shapes), system, STATE_PLANE), DECLARED)


def test_a_stray_record_alone_is_refused():
    report = validate(projected([shapely.box(0, 0, 10, 10), *squares(3)]), DECLARED)
    assert found(report, "outside-crs-extent") == [(1, ("p1",))]


def test_the_whole_world_fits_its_own_system():
    world = [shapely.box(-180, -90, 180, 90), shapely.box(179, -20, 180.0000000001, -10)]
    assert validate(projected(world, "OGC:CRS84"), DECLARED).findings == ()


def test_null_island():
    points = [shapely.Point(0, 0), *[shapely.Point(-77, 38 + n / 10) for n in range(3)]]
    declared = replace(DECLARED, geometry=GeometryKind.POINT)
    report = validate(projected(points, "OGC:CRS84"), declared)
    assert found(report, "null-island") == [(1, ("p1",))]
    assert not report.rows(Verdict.REFUSE, 4).any()
    with pytest.raises(ValidationError, match="their positions are missing"):
        validate(projected([shapely.Point(0, 0)] * 3, "OGC:CRS84"), declared)


def test_another_kind_of_geometry():
    line = shapely.LineString([(WEST, SOUTH), (WEST + 10, SOUTH)])
    mixed = shapely.GeometryCollection([SQUARE, line])
    report = validate(projected([line, mixed, *squares(3)]), DECLARED)
    assert found(report, "wrong-kind") == [(1, ("p1",))]
    assert found(report, "collection") == [(1, ("p2",))]
    with pytest.raises(ValidationError, match="3 of 4 geometries are not polygons, as the layer is declared"):
        validate(projected([line, line, line, SQUARE]), DECLARED)


def test_an_undeclared_kind_is_the_most_frequent():
    line = shapely.LineString([(WEST, SOUTH), (WEST + 10, SOUTH)])
    undeclared = replace(DECLARED, geometry=None)
    assert validate(projected([line, line, SQUARE]), undeclared).kind is GeometryKind.LINE
    assert validate(projected([shapely.MultiPoint([(WEST, SOUTH)])]), undeclared).kind is GeometryKind.POINT


def test_ids_that_are_missing_or_taken():
    same = squares(1) * 2
    report = validate(projected([*same, *squares(3)], pid=["a", "a ", "a", None, " "]), DECLARED)
    assert found(report, "null-id") == [(2, ("record 4", "record 5"))]
    assert found(report, "duplicate-id") == [(1, ("a",))]  # row 2 has other text than row 1: "a " is trimmed later
    assert found(report, "duplicate-record") == [(1, ("a",))]
    with pytest.raises(ValidationError, match="2 of 3 records have no usable id in column 'pid'"):
        validate(projected(squares(3), pid=["a", None, ""]), DECLARED)


def test_ids_of_a_refused_record_are_free():
    report = validate(projected([None, *squares(2)], pid=["a", "a", "b"]), DECLARED)
    assert [finding.code for finding in report.findings] == ["missing-geometry"]


def test_an_id_column_is_found_by_name_when_its_values_are_all_different():
    columns = (column("GlobalID"), column("OBJECTID", "integer"))
    auto = layer(*columns)
    assert (
        validate(projected(squares(2), columns=columns, GlobalID=["x", "y"], OBJECTID=[1, 2]), auto).id_column
        == "OBJECTID"
    )
    report = validate(projected(squares(2), columns=columns, GlobalID=["x", "y"], OBJECTID=[1, 1]), auto)
    assert report.id_column == "GlobalID"
    report = validate(projected(squares(2), columns=columns, GlobalID=["x", None], OBJECTID=[1, 1]), auto)
    assert (report.id_column, list(report.labels)) == (None, ["1", "2"])


def test_twins_without_ids_are_refused_when_all_columns_were_read():
    shapes = [*squares(2), *squares(1)]
    undeclared = layer(geometry=None)
    report = validate(projected(shapes, columns=(column("n"),), n=["a", "b", "a"]), undeclared)
    assert found(report, "duplicate-record") == [(1, ("3",))]
    declared = layer(column("n"))
    assert not found(
        validate(projected(shapes, columns=(column("n"),), n=["a", "b", "a"]), declared), "duplicate-record"
    )


def test_values_outside_a_code_list_and_stacks_are_noted():
    columns = (column("pid"), column("zone", codes=(("RB", "Townhouse"),)))
    shapes = [*squares(2), *squares(1)]
    report = validate(projected(shapes, columns=columns, pid=["a", "b", "c"], zone=["rb", "XX", None]), DECLARED)
    assert found(report, "unknown-code") == [(1, ("b",))]
    assert "XX" in report.flaws[0].message
    assert found(report, "stacked-geometry") == [(1, ())]
    assert "3 records share 2 geometries" in report.noted[0].message


def test_flaws_of_reading_are_counted_once():
    flaw = Flaw("bad-coordinate", "Text.", np.array([0]), Verdict.REFUSE)
    report = validate(projected([None, *squares(2)], flaws=(flaw,)), DECLARED)
    assert [(finding.code, finding.count) for finding in report.findings] == [("bad-coordinate", 1)]


def test_nothing_left_is_an_error_with_its_reasons():
    with pytest.raises(ValidationError, match="none of its 2 records can be published") as caught:
        validate(projected([None, None]), DECLARED)
    assert caught.value.report == ("2: There is no geometry.",)


def test_a_finding_names_a_hundred_records_at_most():
    report = validate(projected([*([None] * 150), *squares(1)]), DECLARED)
    ((count, records),) = found(report, "missing-geometry")
    assert (count, len(records)) == (150, 100)
