# %% [markdown]
# # What changed between two versions of a layer?
#
# Every publication is kept as a version of its own. Two of them can be compared at any time: which
# records came, which went, and which are another than before. The sample city's parcels have two:
# the survey at the end of 2023, and the one of a year later.

# %%
import gisservice

city = gisservice.open_catalog()
new, old = city.versions("parcels")[:2]
changes = city.diff("parcels", old.id, new.id)
print(f"{len(changes.added)} came, {len(changes.removed)} went, {len(changes.changed)} changed")

# %% [markdown]
# What changed is told column by column, the value before and the value now; here are the first three:

# %%
for item_id, columns in list(changes.changed.items())[:3]:
    print(item_id, columns)

# %% [markdown]
# Which zones became which? The parcels whose zone is another one, counted by both:

# %%
rezoned = {}
for columns in changes.changed.values():
    if "zoning" in columns:
        rezoned[columns["zoning"]] = rezoned.get(columns["zoning"], 0) + 1
for (before, now), count in rezoned.items():
    print(f"{before} became {now} on {count} parcels")

# %% [markdown]
# A layer can be read as it was on any day since it was first published. The parcels that went are
# those of then:

# %%
then = gisservice.read(city, "parcels", asof=old.published)
gone = then.loc[list(changes.removed)]
print(gone[["address", "land_use_text", "land_area", "zoning"]].to_string())

# %% [markdown]
# On the map, where it happened: the neighbourhood of what came and changed.

# %%
parcels = gisservice.read(city, "parcels")
parcels["state"] = "as before"
parcels.loc[list(changes.changed), "state"] = "changed"
parcels.loc[list(changes.added), "state"] = "new"
west, south, east, north = parcels[parcels["state"] != "as before"].total_bounds
shown = parcels.cx[west:east, south:north]
picture = gisservice.plot(shown, "state", title="Parcels: what the last update changed")
picture

# %% [markdown]
# ## What this means
#
# A version is named by what it holds: the same data published twice is one version, so a change is a
# change of the data and nothing else. One commercial block was divided and became apartments: one
# parcel went, and its lots and condominium units came. `gisservice diff parcels` says the same in a
# terminal, and `/api/collections/parcels/changes` to programs.
