# %% [markdown]
# # A rezoning: which lots, how much land, and whom to tell
#
# Suppose that the lots of one zone within a quarter mile of a Metro station were to be rezoned. Which
# are they, how much land is it, how many dwellings could stand there, and which neighbours have to be
# told of the application?

# %%
import gisservice

catalog = gisservice.open_catalog()
parcels = catalog.read("parcels")
stations = catalog.read("metro_stations")
boundary = catalog.read("boundary")

# %% [markdown]
# First all lots within a quarter mile (1,320 feet), then the zone that has most of them.

# %%
near = gisservice.within(parcels, stations, distance_ft=1_320)
zones = gisservice.aggregate(near, by="zoning", sums=["land_area"])
zones = zones.sort_values("count", ascending=False)
zones.head(8)

# %% [markdown]
# How much land is it, and how many dwellings could stand there, at 40 on an acre?

# %%
DWELLINGS_AN_ACRE = 40
zone = zones.zoning.iloc[0]
subject = near[near.zoning == zone]
land = gisservice.dissolve(subject)
acres = land.area_sqft.sum() / 43_560
today = gisservice.within(catalog.read("addresses"), subject, distance_ft=0)
print(f"{zone}: {len(subject):,} lots, {acres:,.1f} acres of land, {len(today):,} addresses today")
print(f"{DWELLINGS_AN_ACRE} dwellings an acre are {acres * DWELLINGS_AN_ACRE:,.0f}")

# %% [markdown]
# Whom to tell: all lots within 300 feet of the land, edge to edge. The list names lots and addresses.
# It names no owners: those are for the office alone, which joins them with
# `office=catalog.read_internal("parcels")`.

# %%
notice = gisservice.notify(parcels, subject, distance_ft=300)
neighbours = notice[~notice.is_subject]
print(f"{len(neighbours):,} lots around it are to be told")
neighbours[["address", "zoning", "distance_ft"]].head(10)

# %%
notice["part"] = notice.is_subject.map({True: f"to be rezoned ({zone})", False: "to be told"})
picture = gisservice.plot(notice, "part", title=f"Rezoning of {zone} near Metro stations", background=boundary)
picture

# %% [markdown]
# ## What this means
#
# The land is measured as the union of the lots, so that condominium units, which share one polygon,
# count once. The dwellings are those that the land would hold by its area alone: streets to be built,
# heights and what stands there already make them fewer. Whether a lot is told of the application is
# decided by the distance to the nearest edge: a lot that only touches the circle with a corner is on
# the list.
