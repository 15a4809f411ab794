# %% [markdown]
# # Which addresses lie within 500 feet of a Metro station?
#
# This is the question that city planners ask first of any map. The answer names the distance of every
# address, and says by itself how it was measured and of which day the data is.

# %%
import gisservice

catalog = gisservice.open_catalog()
addresses = catalog.read("addresses")
stations = catalog.read("metro_stations")

# %% [markdown]
# `within` measures from edge to edge, in state plane feet. A distance always says its unit:
# `distance_ft` or `distance_m`.

# %%
near = gisservice.within(addresses, stations, distance_ft=500)
near[["nearest", "distance_ft"]].sort_values("distance_ft").head(10)

# %%
counts = near.groupby("nearest").size()
for station, count in counts.items():
    print(f"{stations.name[station]}: {count} addresses")

# %% [markdown]
# The picture: every address is a dot, coloured by its distance.

# %%
picture = gisservice.plot(
    near, "distance_ft", title="Addresses within 500 feet of a Metro station", background=catalog.read("boundary")
)
picture

# %% [markdown]
# The same to move about in, and to click:

# %%
page = gisservice.explore(
    near, "distance_ft", title="Addresses within 500 feet of a Metro station", background=catalog.read("boundary")
)
page

# %% [markdown]
# ## What this means
#
# The distance is in a straight line from the station's point, not from its entrances and not along
# the streets. For people on foot, ask `reach` instead: it follows the streets. The same list can be
# had by anybody at `/api/within?features=addresses&others=metro_stations&distance_ft=500`, with the
# same bytes.
