# %% [markdown]
# # What changed between two versions of a layer?
#
# Every publication is kept as a version of its own. Two of them can be compared at any time: which
# records came, which went, and which are another than before. To show it, this notebook publishes a
# few lots twice, in a folder of its own.

# %%
from pathlib import Path
from tempfile import TemporaryDirectory

import gisservice

city = gisservice.open_catalog()
lots = gisservice.read(city, "parcels", filter="land_area > 100000")
lots = lots[["pid", "zoning", "total_value", "geometry"]].rename(columns={"pid": "id"})
folder = TemporaryDirectory()
catalog = gisservice.open_catalog(Path(folder.name) / "published")

# %%
before = Path(folder.name) / "lots_before.geojson"
lots.to_crs("OGC:CRS84").to_file(before)
gisservice.ingest(before, "lots", catalog=catalog)

# %% [markdown]
# Half a year later: two lots are gone, one is rezoned, and ten are worth more.

# %%
later = lots.iloc[2:].copy()
later.loc[later.index[0], "zoning"] = "CRMU-H"
later.loc[later.index[5:15], "total_value"] += 50_000
after = Path(folder.name) / "lots_after.geojson"
later.to_crs("OGC:CRS84").to_file(after)
gisservice.ingest(after, "lots", catalog=catalog)

# %%
new, old = catalog.versions("lots")[:2]
changes = catalog.diff("lots", old.id, new.id)
print(f"{len(changes.added)} came, {len(changes.removed)} went, {len(changes.changed)} changed")

# %% [markdown]
# What changed is told column by column; here are the first three:

# %%
for item_id, columns in list(changes.changed.items())[:3]:
    print(item_id, columns)

# %% [markdown]
# The changed lots on the map of all lots, as they are now:

# %%
now = catalog.read("lots")
now["state"] = "as before"
now.loc[list(changes.changed), "state"] = "changed"
now.loc[list(changes.added), "state"] = "new"
picture = gisservice.plot(now, "state", title="Large lots: what changed", background=city.read("boundary"))
picture

# %%
folder.cleanup()

# %% [markdown]
# ## What this means
#
# A version is named by what it holds: the same data published twice is one version, so a change is a
# change of the data and nothing else. `catalog.read("lots", asof=…)` reads a layer as it was on any
# day since it was first published, and the service answers the same with `asof`.
