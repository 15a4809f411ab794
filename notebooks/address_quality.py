# %% [markdown]
# # How good is the layer of addresses?
#
# Ambulances, letters and permits depend on it. This notebook asks five things of the layer: is every
# record complete, is any address there twice, does each lie on a lot, does every lot to live on have
# one, and is an address found again when somebody types it?

# %%
import gisservice

catalog = gisservice.open_catalog()
addresses = catalog.read("addresses")
parcels = catalog.read("parcels")
boundary = catalog.read("boundary")
print(f"{len(addresses):,} addresses, {len(parcels):,} parcels")

# %% [markdown]
# What was found when the layer was published, and what was done about it:

# %%
quality = catalog.collection("addresses").manifest.quality
print(f"{quality.read:,} records read, {quality.published:,} published")
for finding in (*quality.refused, *quality.repaired, *quality.noted):
    print(f"{finding.count:,}: {finding.message}")

# %% [markdown]
# **Complete?** The share of records in which a column says nothing:

# %%
empty = addresses.drop(columns="geometry").isna().mean().mul(100).round(2)
print(empty.sort_values(ascending=False).to_string())

# %% [markdown]
# **Twice?** The same text at more than one point:

# %%
twice = gisservice.aggregate(addresses, by="address", having="count > 1")
print(f"{len(twice):,} addresses are there more than once, {twice['count'].sum():,} records in all")
twice.sort_values("count", ascending=False).head(10)

# %% [markdown]
# **On a lot?** `within` at a distance of 0 keeps the points that lie on a parcel; the others are off.

# %%
on_lot = gisservice.within(addresses, parcels, distance_ft=0)
off = addresses[~addresses.index.isin(on_lot.index)]
how_far = gisservice.nearest(off, parcels)
outside = ~off.index.isin(gisservice.within(off, boundary, distance_ft=0).index)
print(f"{len(off):,} lie on no parcel, half of them by no more than {how_far.distance_ft.median():,.1f} feet")
print(f"{outside.sum():,} of them lie outside the city")

# %% [markdown]
# **Does every lot to live on have an address?** Lots with a land use from 100 to 159, houses and flats that
# are owned; units of a building share their ground, and so their addresses.

# %%
lots = parcels[parcels.land_use.astype(str).str.fullmatch("1[0-5][0-9]")]
addressed = gisservice.within(lots, addresses, distance_ft=0)
bare = lots[~lots.index.isin(addressed.index)]
print(f"{len(bare):,} of {len(lots):,} lots to live on have no address ({len(bare) / len(lots):.1%})")

# %% [markdown]
# **Found again?** Two hundred records, evenly over the layer, are asked for by their own text. A record
# is found when the best match lies where the record lies.

# %%
gazetteer = gisservice.Gazetteer.open(catalog)
asked = addresses.iloc[:: max(1, len(addresses) // 200)]
found = 0
for record in asked.to_crs("OGC:CRS84").itertuples():
    match = gisservice.geocode(gazetteer, record.address, limit=1)
    found += len(match) > 0 and match.geometry.iloc[0].distance(record.geometry) < 1e-5
print(f"{found} of {len(asked)} are found where they are")

# %% [markdown]
# Where is the work? Every half mile, the share of lots to live on that have no address:

# %%
lots = lots.assign(without=(~lots.index.isin(addressed.index)) * 100.0)
cells = gisservice.aggregate(lots, grid="hexagon", cell_ft=2_640, means=["without"], having="count >= 10")
title = "Lots to live on without an address, percent"
picture = gisservice.plot(cells, "mean_without", title=title, background=boundary)
picture

# %%
page = gisservice.explore(cells, "mean_without", title=title, background=boundary)
page

# %% [markdown]
# ## What this means
#
# Points on no parcel mostly lie just over the edge of their lot, or in the street before it: such an
# address is right to drive to and wrong to join with the assessment. An address that is there twice
# is no mistake where several doors share it. A lot without an address is first a question to the
# office: a new house, or a garden that belongs to the neighbour? The map says where to begin.
