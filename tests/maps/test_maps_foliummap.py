"""Folium's parts: ours only, the same each time, and made of numbers only."""

from __future__ import annotations

import re

import folium
import pytest
from page_factories import HOSTILE

from gisservice.maps import foliummap


def test_folium_writes_an_element_and_a_script_and_no_address() -> None:
    parts = foliummap.build(-77.09, 38.8165, 13, 3)
    assert str(parts.html).strip() == '<div class="folium-map" id="map_city" ></div>'
    assert "center: [38.8165, -77.09]" in parts.script
    assert "drawLayers(map_city, 3);" in parts.script
    assert '"zoom": 13' in parts.script and '"attributionControl": false' in parts.script
    assert "http" not in parts.script and "//" not in parts.script


def test_the_script_is_the_same_text_each_time() -> None:
    first = foliummap.build.__wrapped__(-77.0, 38.0, 12, 1)
    assert foliummap.build.__wrapped__(-77.0, 38.0, 12, 1) == first


def test_stock_folium_keeps_its_own_assets() -> None:
    """Ours are instance lists, so that a notebook's ordinary map in the same process is not touched."""
    foliummap.build(-77.0, 38.0, 12, 1)
    assert folium.Map.default_js and folium.Map.default_css


@pytest.mark.parametrize("text", HOSTILE)
def test_words_cannot_enter_a_folium_object(text: str) -> None:
    for arguments in ((text, 38.0, 12, 1), (-77.0, text, 12, 1), (-77.0, 38.0, text, 1), (-77.0, 38.0, 12, text)):
        with pytest.raises(ValueError, match=r"could not convert|invalid literal"):
            foliummap.build(*arguments)


def test_the_script_has_no_template_left_in_it() -> None:
    assert not re.search(r"\{\{|\{%|\{#", str(foliummap.build(-77.0, 38.0, 12, 9).script))
