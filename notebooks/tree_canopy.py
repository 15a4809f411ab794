# %% [markdown]
# # Tree canopy by neighbourhood
#
# Shade keeps streets cool. The raster of land cover says for each cell what covers it; each block
# group gets the exact share of its area under trees and under roofs and pavement.

# %%
import gisservice

catalog = gisservice.open_catalog()
blocks = catalog.read("block_groups")
cover = gisservice.Ground.open(catalog, "land_cover")

# %% [markdown]
# The raster's classes, and the share of each in every block group:

# %%
for entry in cover.classes:
    print(entry.value, entry.label)
shares = gisservice.cover_shares(blocks, cover)

# %%
trees = next(entry for entry in cover.classes if entry.label == "Tree canopy")
canopy = "tree_canopy_percent"
shares = shares.rename(columns={f"percent_{trees.value:g}": canopy})
shares[canopy].describe().round(1)

# %%
picture = gisservice.plot(shares, canopy, title="Tree canopy by block group, in percent of its area")
picture

# %%
middle = shares.median_income.median()
for name, part in (("above", shares[shares.median_income > middle]), ("below", shares[shares.median_income <= middle])):
    print(f"Median income {name} {middle:,.0f} dollars: {part[canopy].mean():.0f} percent under trees on average")

# %% [markdown]
# ## What this means
#
# Cells on a border count with the share of them that lies inside, so small block groups are as exact
# as large ones. Canopy stands for shade, and shade for less heat; it is no measure of temperature.
