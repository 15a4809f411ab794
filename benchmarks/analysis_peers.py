"""The questions of analysis_network.py as networkx, pandana and rasterstats answer them; run by their own Python.

Prints one line of JSON: for each peer the least seconds of some rounds of an answer, and those of the first, its own
network made of arrays for it. They start at the nearest node, not along an edge, which is less work. What pandana can
prepare for sums over everything in reach (``precompute``, minutes and gigabytes for a city) is no part of these
questions: the nearest is found in its contracted network, which it always makes.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np


def timed(run, rounds: int) -> float:
    seconds = []
    for _ in range(rounds):
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def measured(prepare, run, rounds: int) -> list[float]:
    """Seconds of the quickest answer, and of the first with what it needs."""
    begin = time.perf_counter()
    made = prepare()
    run(*made)
    first = time.perf_counter() - begin
    return [timed(lambda: run(*made), rounds), first]


def graph_of(data):
    import networkx

    graph = networkx.DiGraph()
    graph.add_weighted_edges_from(
        zip(data["tail"].tolist(), data["head"].tolist(), data["minutes"].tolist(), strict=True)
    )
    return graph


def network_of(data):
    import pandana
    import pandas

    edges = pandas.DataFrame({"minutes": data["minutes"]})
    nodes = pandas.DataFrame(data["nodes"], columns=["x", "y"])
    network = pandana.Network(
        nodes.x, nodes.y, pandas.Series(data["tail"]), pandas.Series(data["head"]), edges, twoway=False
    )
    return network


def access(data, folder: Path, rounds: int) -> dict[str, list[float]]:
    import geopandas
    import networkx
    from scipy.spatial import cKDTree

    places = geopandas.read_parquet(folder / "places.parquet")

    def points():
        inside = places.geometry.representative_point()
        return np.column_stack([inside.x, inside.y])

    def by_networkx(graph, tree):
        goals = set(tree.query(data["goals"])[1].tolist())
        minutes = networkx.multi_source_dijkstra_path_length(graph, goals, weight="weight")
        nodes = tree.query(points())[1].tolist()
        return places.assign(minutes=[minutes.get(node) for node in nodes])

    def by_pandana(network):
        network.set_pois("goal", 240, 1, data["goals"][:, 0], data["goals"][:, 1])
        minutes = network.nearest_pois(240, "goal", num_pois=1)
        nodes = network.get_node_ids(*points().T)
        return places.assign(minutes=minutes.loc[nodes].to_numpy())

    return {
        "networkx": measured(lambda: (graph_of(data), cKDTree(data["nodes"])), by_networkx, rounds),
        "pandana": measured(lambda: (network_of(data),), by_pandana, rounds),
    }


def reach(data, folder: Path, rounds: int) -> dict[str, list[float]]:
    import networkx
    import shapely
    from scipy.spatial import cKDTree

    width = 50 / float(data["metres"])

    def prepared():
        graph, tree = graph_of(data), cKDTree(data["nodes"])
        lines = shapely.from_ragged_array(shapely.GeometryType.LINESTRING, data["lines"], (data["starts"],))
        ways = zip(data["tail"].tolist(), data["head"].tolist(), strict=True)
        return graph, tree, lines, dict(zip(ways, data["edge"].tolist(), strict=True))

    def by_networkx(graph, tree, lines, between):
        for goal in tree.query(data["goals"])[1].tolist():
            near = networkx.ego_graph(graph, goal, radius=float(data["most"]), distance="weight")
            streets = lines[list({between[edge] for edge in near.edges})]
            shapely.union_all(shapely.buffer(streets, width, quad_segs=4))

    return {"networkx with shapely": measured(prepared, by_networkx, rounds)}


def zonal(file: Path) -> dict[str, list[float]]:
    import geopandas
    from rasterstats import zonal_stats

    parcels, raster = geopandas.read_file(file), (file.parent / "raster.txt").read_text()
    some = parcels.iloc[:: max(1, len(parcels) // 1000)]  # of all it takes minutes: measured on a part, and scaled
    seconds = timed(lambda: zonal_stats(some, raster, stats=["count", "mean", "min", "max"]), 1)
    return {"rasterstats (whole cells only)": [seconds * len(parcels) / len(some)] * 2}


if __name__ == "__main__":
    question, path, rounds = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    asked = {"access": access, "reach": reach}
    print(json.dumps(zonal(path) if question == "zonal" else asked[question](np.load(path), path.parent, rounds)))
