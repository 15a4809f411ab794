"""One item of 446,789 positions over HTTP: it costs its bytes."""

from __future__ import annotations

import gzip
from pathlib import Path

import geopandas
import pyogrio
import pytest
import shapely
from feature_city import REGISTRY, publish
from web_city import write_static
from werkzeug.test import Client

from gisservice.catalog import Catalog, Features
from gisservice.model import Column, ColumnType, GeometryKind
from gisservice.settings import Settings
from gisservice.web import wsgi_app

pytestmark = pytest.mark.slow

ITEMS = "/api/collections/ocean/items"


@pytest.fixture(scope="module")
def ocean(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Client, int]:
    """A client of a service that has all seas of the world as one item, and how many bytes it is stored in."""
    folder = tmp_path_factory.mktemp("ocean")
    (folder / "layers.toml").write_text(REGISTRY)
    source = pyogrio.read_dataframe(f"/vsizip/{shared_data}/samples/ne_10m_ocean.shp.zip")
    sea = source.geometry.iloc[0]  # not valid as it comes; nothing here looks at more than its bytes
    frame = geopandas.GeoDataFrame({"name": ["sea"]}, geometry=[sea], crs="OGC:CRS84")
    settings = Settings.load(
        {}, registry=folder / "layers.toml", home=folder / "home", static=write_static(folder), items_cache_bytes=0
    )
    catalog = Catalog(settings.home)
    columns = (Column("name", ColumnType.STRING),)
    publish(catalog, frame, "ocean", GeometryKind.POLYGON, columns, "name", "OGC:CRS84")
    features = catalog.collection("ocean").features
    assert features is not None and shapely.get_num_coordinates(sea) > 446_000
    return Client(wsgi_app(settings)), features.items_stretch[1]


def test_it_is_sent_as_it_is_stored(ocean: tuple[Client, int], monkeypatch: pytest.MonkeyPatch) -> None:
    client, size = ocean
    for name in ("few_shapes", "distinct_shapes", "shapes"):
        monkeypatch.setattr(Features, name, lambda *_: pytest.fail("the geometry was put together"))
    for path in (f"{ITEMS}/sea", ITEMS, f"{ITEMS}?bbox=-180,-90,180,90"):
        answer = client.get(path)
        assert answer.status_code == 200 and size < len(answer.data) < size + 5_000
        assert client.get(path, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    packed = client.get(ITEMS, headers={"Accept-Encoding": "gzip"})
    assert len(gzip.decompress(packed.data)) == len(client.get(ITEMS).data)
    hits = client.get(f"{ITEMS}?resulttype=hits").get_json()
    assert (hits["numberMatched"], hits["features"]) == (1, [])
