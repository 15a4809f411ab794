# %% [markdown]
# # Who lives within ten minutes' walk of a park?
#
# Walking follows the streets. This notebook measures the minutes from every block group to the
# nearest park, and compares those who have one near with those who have not.

# %%
import gisservice

catalog = gisservice.open_catalog()
streets = gisservice.Network.open(catalog)
parks = catalog.read("parks")
parks = parks[parks["kind"] != "CEMETERY"]
blocks = catalog.read("block_groups")
parcels = catalog.read("parcels")

# %% [markdown]
# `access` gives the minutes from each lot to the edge of the nearest park, at three miles an hour.

# %%
homes = gisservice.access(streets, parcels, {"park": parks})
share = (homes.minutes_to_park <= 10).mean()
print(f"{share:.0%} of the lots are within ten minutes' walk of a park")

# %% [markdown]
# Each block group gets the mean of its lots.

# %%
groups = gisservice.summarize(blocks, homes.assign(geometry=homes.representative_point()), means=["minutes_to_park"])
groups = groups.rename(columns={"mean_minutes_to_park": "minutes"})
near, far = groups[groups.minutes <= 10], groups[groups.minutes > 10]
for name, part in (("within ten minutes", near), ("farther", far)):
    income = (part.median_income * part.population).sum() / max(part.population.sum(), 1)
    children = part.under_18.sum() / max(part.population.sum(), 1)
    print(
        f"{name}: {part.population.sum():,} people, median income about {income:,.0f} dollars, {children:.0%} children"
    )

# %%
picture = gisservice.plot(groups, "minutes", title="Minutes on foot to the nearest park, by block group")
picture

# %% [markdown]
# The area that can be reached from the library in five, ten and fifteen minutes:

# %%
library = catalog.read("libraries").iloc[:1]
area = gisservice.reach(streets, library, minutes=[5, 10, 15])
reached = gisservice.plot(area, "minutes", title=f"On foot from {library.name.iloc[0]}", background=parcels)
reached

# %% [markdown]
# ## What this means
#
# A park is reached where a street comes to its edge; gates are not known. The mean of a block group
# hides those at its far end: `gisservice.service_gap` lists the lots themselves. Income is the mean
# of the block groups' medians, weighted by people: good to compare, not to quote.
