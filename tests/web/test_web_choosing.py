"""A map that its reader puts together, by link; inside other pages only what is meant to be there."""

from __future__ import annotations

import html

import pytest
from hostile_texts import HOSTILE_TEXTS
from werkzeug.test import Client


def policy(client: Client, path: str) -> str:
    return client.get(path).headers["Content-Security-Policy"]


def test_the_layers_named_are_the_map_areas_below_lines_below_points(client: Client) -> None:
    one = client.get("/maps?layers=places,lots")
    assert one.status_code == 200
    assert one.text.index('"id":"lots"') < one.text.index('"id":"places"')
    assert client.get("/maps?layers=places&layers=lots&utm_source=x").status_code == 200, "a form without scripts"


def test_without_names_one_chooses(client: Client) -> None:
    for path in ("/maps", "/maps?layers=", "/maps?layers=,"):
        page = client.get(path)
        assert page.status_code == 200 and 'value="lots"' in page.text and "Choose layers." in page.text


@pytest.mark.parametrize("text", [*HOSTILE_TEXTS, "x" * 3_000, "lots,\u202elots", "🗺️"])
def test_what_no_layer_is_called_is_not_repeated_and_the_page_helps(client: Client, text: str) -> None:
    answer = client.get("/maps", query_string={"layers": f"lots,{text}", "lang": "es"})
    assert answer.status_code == 404
    assert "no está publicada aquí" in answer.text and 'value="lots" checked' in answer.text
    if text.strip(",") not in ("", "lots"):
        assert f'"{html.escape(text)}"' not in answer.text and text not in answer.text.replace("{{", "\0")


def test_a_name_that_is_nearly_right_is_offered(client: Client) -> None:
    assert 'href="/maps?layers=lots"' in client.get("/maps?layers=lot").text


@pytest.mark.parametrize("query", ["layers=" + "x," * 5_000, "layers=%ff", "layers=" + ",".join(map(str, range(13)))])
def test_a_link_that_cannot_be_read_leads_to_the_choice(client: Client, query: str) -> None:
    answer = client.get(f"/maps?{query}")
    assert answer.status_code in (400, 404) and 'role="alert"' in answer.text and 'value="lots"' in answer.text


@pytest.mark.parametrize("path", ["/maps/city", "/maps/lots", "/maps?layers=lots"])
def test_only_the_embedded_form_of_a_map_may_stand_in_a_page_of_somebody_else(client: Client, path: str) -> None:
    embedded = f"{path}{'&' if '?' in path else '?'}embed"
    assert "frame-ancestors 'self';" in policy(client, path)
    assert "frame-ancestors *;" in policy(client, embedded)
    text = client.get(embedded).text
    assert "site-header" not in text and '<base target="_blank">' in text and 'rel="canonical"' in text
    assert html.escape(f"{embedded.split('embed')[0]}lang=en&embed") in html.unescape(client.get(path).text)


@pytest.mark.parametrize("path", ["/", "/layers/lots", "/address", "/accessibility", "/maps", "/maps?layers=no", "/no"])
def test_no_other_page_can_be_framed(client: Client, path: str) -> None:
    asked = f"{path}{'&' if '?' in path else '?'}embed"
    assert "frame-ancestors 'self'" in policy(client, asked) or "frame-ancestors 'none'" in policy(client, asked)
