"""The private PostGIS itself: it answers, by either door, and nothing of it is left."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from postgis_server import PostgisMissing, postgis_server, programs


def test_the_fixture_answers_with_postgis(postgis):
    area = postgis.execute("SELECT ST_Area(ST_MakeEnvelope(0, 0, 2, 3)), current_setting('TimeZone')").fetchone()
    assert area == (6.0, "UTC")


@pytest.mark.slow
def test_the_loopback_door_wants_the_password_and_the_folder_is_removed():
    try:
        programs()
    except PostgisMissing as exc:
        pytest.skip(str(exc))
    with postgis_server(loopback=True, settings={"work_mem": "7MB"}) as address:
        host = urlsplit(address)
        assert host.hostname == "127.0.0.1"
        with psycopg.connect(address) as connection:
            assert connection.execute("SHOW work_mem").fetchone() == ("7MB",)
            folder = Path(connection.execute("SHOW data_directory").fetchone()[0]).parent
        assert folder.is_dir()
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(address.replace(host.password, "guess"))
    assert not folder.exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(address)


@pytest.mark.slow
def test_an_error_inside_stops_the_server():
    try:
        programs()
    except PostgisMissing as exc:
        pytest.skip(str(exc))
    with pytest.raises(ZeroDivisionError), postgis_server() as address:
        folder = Path(parse_qs(urlsplit(address).query)["host"][0])
        raise ZeroDivisionError
    assert not folder.exists()
