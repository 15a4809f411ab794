# %% [markdown]
# # Where may I keep chickens?
#
# Hens must be kept at least 200 feet from every home but one's own. So the question for each lot
# is: is there a spot on it that is 200 feet or more from all homes of other people?

# %%
import gisservice

catalog = gisservice.open_catalog()
parcels = catalog.read("parcels")
addresses = catalog.read("addresses")
boundary = catalog.read("boundary")
FEET = 200

# %% [markdown]
# People live where the land use is from 100 to 399 (houses and flats), in public housing (743) and on the
# ground of condominiums (802): an address there is a home. `within` at a distance of 0 finds the addresses
# that lie on such ground; the column `nearest` names the lot. Several flats at one point are one home here.
# The lots asked about are those of houses (100 to 129) with a home on them; ground that several lots share is
# nobody's own and left out.

# %%
use = parcels.land_use.astype(str)
living = parcels[use.str.fullmatch("[123][0-9][0-9]|743|802")]
homes = gisservice.within(addresses, living, distance_ft=0).drop_duplicates("geometry")
houses = parcels[use.str.fullmatch("1[0-2][0-9]") & parcels.index.isin(homes.nearest)]
lots = houses[~houses.normalize().duplicated(keep=False)]
print(f"{len(homes):,} homes, {len(lots):,} lots with a house of their own")

# %% [markdown]
# Most lots are settled by a look at the homes nearest to their middle: if the home of another lot is
# so near that even the farthest corner is within 200 feet of it, there is no such spot.

# %%
middles = lots.set_geometry(lots.minimum_bounding_circle().centroid)[["geometry"]]
nearest = gisservice.nearest(middles, homes, k=2)
nearest["lot"] = homes.nearest.reindex(nearest.nearest).to_numpy()
foreign = nearest[nearest.lot != nearest.index]
reach = foreign.groupby(level=0).distance_ft.min() + lots.minimum_bounding_radius()
left = lots[~(reach.reindex(lots.index) <= FEET)]
print(f"{len(left):,} lots are left to look at closely")

# %% [markdown]
# From each of these the ground within 200 feet of other people's homes is cut away. What remains is
# where a coop may stand.

# %%
free = []
for lot, ground in left.geometry.items():
    near = homes.iloc[homes.sindex.query(ground, predicate="dwithin", distance=FEET)]
    others = near[near.nearest != lot]
    free.append(ground.difference(others.buffer(FEET, quad_segs=16).union_all()))
spots = left.set_geometry(free, crs=left.crs)
spots["free_sqft"] = spots.area.round()
spots = spots[spots.free_sqft >= 100]
print(f"{len(spots):,} of {len(lots):,} lots have 100 square feet or more for a coop")

# %%
spots[["address", "zoning", "free_sqft"]].sort_values("free_sqft", ascending=False).head(10)

# %%
zones = gisservice.aggregate(spots.fillna({"zoning": "zone not stated"}), by="zoning", sums=["free_sqft"])
for zone in zones.sort_values("count", ascending=False).head(5).itertuples():
    print(f"{zone.zoning}: {zone.count} lots")

# %%
title = "Where chickens may be kept: ground 200 feet from every other home"
picture = gisservice.plot(spots, "free_sqft", title=title, background=boundary)
picture

# %%
page = gisservice.explore(spots, "free_sqft", title=title, background=boundary)
page

# %% [markdown]
# ## What this means
#
# In a town of small lots hardly anyone may: the spots are on the largest lots, far behind the house, and
# at the edge of town. A home just beyond the city's line is not in the layer, so look over the fence there.
# The distance is measured from the point of the address, which mostly lies on the house; the ordinance means
# the wall, so a spot of a few feet may be none. Ask the office before you buy hens.
