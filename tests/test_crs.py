"""Reference systems against an independent hand: GDAL's own PROJ, and the published formulas."""

from __future__ import annotations

import math

import morecantile
import numpy as np
import pytest
import rasterio.warp
from hypothesis import given
from hypothesis import strategies as st

from gisservice import crs
from gisservice.errors import ReprojectionError

LONLAT_ALEXANDRIA = st.tuples(st.floats(-77.15, -77.03), st.floats(38.78, 38.85))


@pytest.mark.parametrize(
    "text",
    [
        "EPSG:2283",
        "http://www.opengis.net/def/crs/EPSG/0/2283",
        "https://www.opengis.net/def/crs/EPSG/0/2283",
        "urn:ogc:def:crs:EPSG::2283",
    ],
)
def test_every_way_to_name_a_system_means_the_same(text: str) -> None:
    assert crs.parse(text) == crs.parse("EPSG:2283")
    assert crs.code(crs.parse(text)) == "EPSG:2283"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2283",
        "epsg:2283 ",
        "EPSG:999999",
        "EPSG:4326;x",
        "+proj=lcc +nadgrids=/etc/passwd",
        "+init=/etc/passwd",
        'GEOGCS["x"]',
        '{"type": "GeographicCRS"}',
        "EPSG:٤٣٢٦",
        "x" * 100_000,
    ],
)
def test_definitions_and_unknown_codes_are_refused_with_what_is_expected(text: str) -> None:
    with pytest.raises(ReprojectionError, match="expected a code such as"):
        crs.parse(text)


def test_uri_and_code_lead_back() -> None:
    for text in ("EPSG:2283", "OGC:CRS84", "EPSG:3857", "EPSG:26918"):
        assert crs.parse(crs.uri(crs.parse(text))) == crs.parse(text)


def test_an_esri_definition_is_recognised_as_its_epsg_twin() -> None:
    esri = crs.parse("ESRI:102746").to_wkt("WKT1_ESRI")
    assert crs.from_definition(esri) == crs.parse("EPSG:2283")


def test_the_us_survey_foot_is_not_the_international_foot() -> None:
    name, metres = crs.unit(crs.parse("EPSG:2283"))
    assert name == "US survey foot" and metres == pytest.approx(1200 / 3937, abs=1e-15)


@given(LONLAT_ALEXANDRIA)
def test_reprojection_agrees_with_the_raster_librarys_proj_and_leads_back(lonlat: tuple[float, float]) -> None:
    operation = crs.reprojection(crs.CRS84, crs.parse("EPSG:2283"))
    ours = operation.apply(np.array([lonlat]))
    theirs = np.column_stack(rasterio.warp.transform("OGC:CRS84", "EPSG:2283", [lonlat[0]], [lonlat[1]]))
    assert np.hypot(*(ours - theirs)[0]) * 0.3048 < 0.001
    assert operation.invert(ours) == pytest.approx(np.array([lonlat]), abs=1e-9)


def lambert_conformal_conic(lon: float, lat: float) -> tuple[float, float]:
    """EPSG method 9802 with the constants of EPSG:2283 (IOGP Guidance Note 7-2), in US survey feet."""
    a, f = 6_378_137.0, 1 / 298.257222101
    e = math.sqrt(2 * f - f * f)

    def m(phi: float) -> float:
        return math.cos(phi) / math.sqrt(1 - (e * math.sin(phi)) ** 2)

    def t(phi: float) -> float:
        return math.tan(math.pi / 4 - phi / 2) / ((1 - e * math.sin(phi)) / (1 + e * math.sin(phi))) ** (e / 2)

    phi_f, lon_f = math.radians(37 + 40 / 60), math.radians(-78.5)
    phi_1, phi_2 = math.radians(39.2), math.radians(38 + 2 / 60)
    n = (math.log(m(phi_1)) - math.log(m(phi_2))) / (math.log(t(phi_1)) - math.log(t(phi_2)))
    scale = m(phi_1) / (n * t(phi_1) ** n)
    r, r_f = a * scale * t(math.radians(lat)) ** n, a * scale * t(phi_f) ** n
    theta = n * (math.radians(lon) - lon_f)
    foot = 1200 / 3937
    return 11_482_916.667 + r * math.sin(theta) / foot, 6_561_666.667 + (r_f - r * math.cos(theta)) / foot


@given(LONLAT_ALEXANDRIA)
def test_state_plane_agrees_with_the_published_formulas(lonlat: tuple[float, float]) -> None:
    ours = crs.reprojection(crs.CRS84, crs.parse("EPSG:2283")).apply(np.array([lonlat]))[0]
    assert ours == pytest.approx(lambert_conformal_conic(*lonlat), abs=0.002)  # feet: 0.6 mm


def test_the_record_says_operation_accuracy_and_missing_grids() -> None:
    record = crs.reprojection(crs.parse("EPSG:2283"), crs.CRS84).record
    assert "Virginia North" in record.name and record.definition.startswith("proj=pipeline")
    assert record.accuracy_m is not None and record.accuracy_m > 0
    assert (record.source_crs, record.target_crs) == ("EPSG:2283", "OGC:CRS84")


def test_the_same_system_needs_no_operation() -> None:
    same = crs.reprojection(crs.parse("EPSG:2283"), crs.parse("EPSG:2283"))
    xy = np.array([[1.0, 2.0]])
    assert same.record.accuracy_m == 0.0 and (same.apply(xy) == xy).all() and same.apply(xy) is not xy


def test_a_ballpark_operation_is_refused_unless_allowed() -> None:
    source, target = crs.parse("EPSG:4267"), crs.parse("EPSG:4322")  # NAD27 to WGS 72: no published operation
    area = (-170.0, 10.0, -160.0, 20.0)
    try:
        crs.reprojection(source, target, area)
    except ReprojectionError as error:
        assert "ballpark" in str(error)
        assert crs.reprojection(source, target, area, allow_ballpark=True).record.accuracy_m is None
    else:
        pytest.skip("this PROJ knows an operation of stated accuracy")


@given(st.lists(LONLAT_ALEXANDRIA, min_size=2, max_size=2))
def test_a_box_through_two_systems_holds_itself(corners: list[tuple[float, float]]) -> None:
    (x1, y1), (x2, y2) = corners
    box = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
    state_plane = crs.parse("EPSG:2283")
    back = crs.transform_bbox(crs.transform_bbox(box, crs.CRS84, state_plane), state_plane, crs.CRS84)
    slack = 1e-9
    assert back[0] <= box[0] + slack and back[1] <= box[1] + slack
    assert back[2] >= box[2] - slack and back[3] >= box[3] - slack


def test_a_box_without_image_is_an_error() -> None:
    with pytest.raises(ReprojectionError, match="no image"):
        crs.transform_bbox((math.nan, 38.0, -77.0, 39.0), crs.CRS84, crs.parse("EPSG:3857"))


@given(st.floats(-179.99, 179.99), st.floats(-85, 85), st.integers(0, 20))
def test_world_positions_fall_into_the_tile_that_morecantile_names(lon: float, lat: float, zoom: int) -> None:
    x, y = (int(v) for v in crs.world_positions(np.array([[lon, lat]]))[0])
    tile = morecantile.tms.get("WebMercatorQuad").tile(lon, lat, zoom)
    step = 2 ** (crs.WORLD_BITS - zoom)
    # half a step of the grid may lie on the other side of a tile's edge
    assert (x - 1) // step <= tile.x <= (x + 1) // step and (y - 1) // step <= tile.y <= (y + 1) // step
