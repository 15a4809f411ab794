# %% [markdown]
# # The zones of the city: how much land, what stands on it, and what it is worth
#
# A summary that goes into every staff report: lots and land by zone, by small-area plan, and a map in
# classes.

# %%
import gisservice

catalog = gisservice.open_catalog()
parcels = catalog.read("parcels")
plans = catalog.read("small_area_plans")

# %% [markdown]
# Lots, land and value by zone. Zones with fewer than twenty lots are left out, by `having`.

# %%
zones = gisservice.aggregate(
    parcels,
    by="zoning",
    sums=["land_area", "total_value"],
    percentiles={"year_built": [50]},
    having="count >= 20",
)
zones = zones.sort_values("sum_land_area", ascending=False)
for zone, acres in zip(zones.zoning[:5], zones.sum_land_area[:5] / 43_560, strict=True):
    print(f"{zone}: {acres:,.0f} acres")
zones.head(10)

# %% [markdown]
# Value by small-area plan: a lot across the border counts in each plan with the share of its land
# that lies there.

# %%
summary = gisservice.summarize(plans, parcels, sums=["total_value", "land_area"])
summary["dollars_a_square_foot"] = summary.sum_total_value / summary.sum_land_area
summary[["name", "count", "dollars_a_square_foot"]].sort_values("dollars_a_square_foot").round(1)

# %% [markdown]
# Classes for a legend: natural breaks keep like with like.

# %%
classed = gisservice.classify(summary, column="dollars_a_square_foot", method="natural breaks", classes=5)
picture = gisservice.plot(
    classed, "class_label", title="Assessed dollars for each square foot of land, by small-area plan"
)
picture

# %% [markdown]
# Where dear and cheap land gathers: cells whose neighbourhood is higher than chance would have it.

# %%
cells = gisservice.aggregate(parcels, grid="hexagon", cell_ft=1_000, means=["total_value"], having="count >= 5")
spots = gisservice.hotspots(cells, column="mean_total_value", distance_ft=2_100)
hot = gisservice.plot(spots, "spot", title="Where values gather", background=catalog.read("boundary"))
hot

# %% [markdown]
# ## What this means
#
# Values are assessments, not prices. Sums over plans add up to the whole city but for lots outside
# all plans. A hot spot says that values are alike and high around there, adjusted for asking in every
# cell; it does not say why.
