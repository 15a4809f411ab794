from __future__ import annotations

from pathlib import Path

import pytest

from gisservice.errors import SettingsError
from gisservice.settings import SETTINGS, Settings


def test_defaults_of_every_row_are_accepted() -> None:
    settings = Settings.load({})
    assert settings.port == 8000 and settings.home == Path("data/published")
    assert settings.trusted_hosts == ("localhost", "127.0.0.1", "[::1]")


def test_a_keyword_goes_before_the_environment_and_none_is_not_given() -> None:
    environ = {"GISSERVICE_PORT": "9000", "GISSERVICE_WORKERS": "3"}
    settings = Settings.load(environ, port=9001, workers=None)
    assert (settings.port, settings.workers) == (9001, 3)


def test_another_process_loads_the_same_settings() -> None:
    settings = Settings.load({}, port=1234, trusted_hosts="a.example,b.example", public_url="https://a.example/gis/")
    assert settings.public_url == "https://a.example/gis"
    assert Settings.load(settings.environment()) == settings


@pytest.mark.parametrize("value", ["0", "65536", "-1", "8_000", "８０００", "+80", "1e3", "", " 80"])
def test_a_bad_number_names_the_variable_the_value_and_the_range(value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load({"GISSERVICE_PORT": value})
    assert "GISSERVICE_PORT" in str(caught.value) and repr(value) in str(caught.value)
    assert "from 1 to 65535" in str(caught.value)


@pytest.mark.parametrize("value", ["ftp://city.example", "city.example", "https://", "https://a.example/?q=1"])
def test_a_bad_public_url_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="GISSERVICE_PUBLIC_URL"):
        Settings.load({"GISSERVICE_PUBLIC_URL": value})


def test_an_unknown_keyword_and_an_empty_path_are_refused() -> None:
    with pytest.raises(SettingsError, match="colour"):
        Settings.load({}, colour="red")
    with pytest.raises(SettingsError, match="GISSERVICE_HOME"):
        Settings.load({"GISSERVICE_HOME": ""})


def test_every_row_has_a_field_a_unit_and_a_help_sentence() -> None:
    for row in SETTINGS:
        assert hasattr(Settings.load({}), row.name)
        assert row.unit and row.help.endswith(".")
