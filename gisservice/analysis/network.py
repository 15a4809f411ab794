"""A street network: lines noded where they meet, with what one may do on each of them, as compact arrays.

Built once from a version of a layer whose declaration has a ``network`` table, and kept beside that version as one
memory-mapped file (:mod:`gisservice.pack`), so that workers share it and none reads the layer again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import shapely

from gisservice import crs
from gisservice.analysis.noding import JOIN_M, cut_at_crossings, joined_ends, line_parts
from gisservice.analysis.placing import check_unit, flat
from gisservice.analysis.ragged import Floats, Ints, Lines
from gisservice.catalog import Catalog
from gisservice.catalog.derived import Derived
from gisservice.errors import CatalogError, InvalidParameter
from gisservice.model import Crossings, Streets
from gisservice.pack import Pack, PackWriter

if TYPE_CHECKING:
    import geopandas

    from gisservice.analysis.travel import Travel

_FILE = "network.bin"
_FORMAT = 1


class Mode(StrEnum):
    """How one travels."""

    WALK = "walk"
    BIKE = "bike"
    DRIVE = "drive"


MODES = tuple(Mode)

KMH_PER_MPH = 1.609344
WALK_KMH = 3.0 * KMH_PER_MPH
"""3 mph: a quarter of a mile in five minutes, as planners reckon; people who are old or carry something need longer."""
BIKE_KMH = 10.0 * KMH_PER_MPH
"""10 mph: an unhurried rider in a city."""
DRIVE_KMH = 25.0 * KMH_PER_MPH
"""25 mph, where a street does not state its speed."""


@dataclass(frozen=True)
class Network:
    """Edges between nodes. Positions and lengths are in the unit of ``crs``, a projected system.

    ``ends`` (shape (e, 2)) are the nodes where each edge begins and ends; ``allowed`` (shape (e, modes, 2)) tells for
    each of :data:`MODES` whether one may travel as the line runs, and against it. ``segment`` is the row of the source
    that an edge was cut from, ``name`` its place in ``names``. ``dropped`` are rows that gave no edge.
    """

    crs: crs.CRS
    lines: Lines
    nodes: Floats
    ends: npt.NDArray[np.int32]
    segment: Ints
    allowed: npt.NDArray[np.bool_]
    drive_kmh: Floats
    name: npt.NDArray[np.int32]
    names: tuple[str, ...]
    ids: tuple[str, ...]
    dropped: Ints
    source: dict[str, Any]
    """``collection``, ``version`` and ``published`` of the layer it was built from; empty for a frame of one's own."""
    _travels: dict[tuple[Mode, bool], Travel] = field(default_factory=dict, repr=False, compare=False)

    @property
    def metres(self) -> float:
        """How many metres one unit of the coordinates is."""
        return crs.unit(self.crs)[1]

    @classmethod
    def of(cls, streets: geopandas.GeoDataFrame, roles: Streets | None = None) -> Network:
        """Build the network of a frame of lines; ``roles`` names its columns (without: all lines go both ways).

        A frame in degrees or Web Mercator is measured in EPSG:2283. Raises :class:`InvalidParameter` for a frame
        without reference system, without a line, or whose positions cannot be in the unit it states.

        >>> import geopandas, shapely
        >>> lines = [shapely.LineString([(0, 0), (100, 0)]), shapely.LineString([(100, 0), (100, 50)])]
        >>> streets = geopandas.GeoDataFrame(geometry=lines, crs="EPSG:32618")
        >>> len(Network.of(streets).nodes)
        3
        """
        roles = roles or Streets()
        system, shapes = _projected(streets)
        parts, row = line_parts(shapes)
        long_enough = shapely.length(parts) > 0
        parts, row = parts[long_enough], row[long_enough]
        if not len(parts):
            raise InvalidParameter("streets", f"a frame of {len(streets)} rows without a line", "at least one line")
        lines, tolerance = Lines.of(parts), JOIN_M / crs.unit(system)[1]
        if roles.crossings is Crossings.AT_GRADE:
            over = _among(streets, roles.road_class, roles.over)[row]
            lines, piece = cut_at_crossings(lines, ~over, tolerance)
            row = row[piece]
        nodes, ends = joined_ends(lines.ends().reshape(-1, 2), tolerance)
        names, name = _names(streets, roles.name)
        return cls(
            crs=system,
            lines=lines,
            nodes=nodes,
            ends=ends.reshape(-1, 2),
            segment=row,
            allowed=_allowed(streets, roles)[row],
            drive_kmh=_speeds(streets, roles)[row],
            name=name[row],
            names=names,
            ids=tuple(str(key) for key in streets.index),
            dropped=np.setdiff1d(np.arange(len(streets)), row),
            source={key: streets.attrs[key] for key in ("collection", "version", "published") if key in streets.attrs},
        )

    @classmethod
    def open(cls, catalog: Catalog, collection_id: str = "streets") -> Network:
        """Return the network of the current version of a collection, built when it is first asked for.

        Raises :class:`InvalidParameter` for a collection that is not declared as a network.
        """
        collection = catalog.collection(collection_id)
        roles = collection.layer.network
        if roles is None:
            raise InvalidParameter(
                "network", collection_id, "a collection of lines whose declaration has a 'network' table"
            )
        derived = Derived(collection)
        found = derived.find(_FILE)
        if found is None:
            with derived.making(_FILE) as draft:
                found = derived.find(_FILE)  # another process may have made it while this one waited
                if found is None:
                    _write(cls.of(catalog.read(collection_id), roles), draft)
                    found = derived.keep(_FILE, draft)
        return _opened(derived.path(_FILE), found.sha256, tuple(collection.attrs.items()))

    def travel(self, mode: str, *, towards: bool = False) -> Travel:
        """Return the network as one travels it; ``towards`` measures the way to a place instead of from it.

        Raises :class:`InvalidParameter` for an unknown mode.
        """
        from gisservice.analysis.travel import Travel

        if mode not in [known.value for known in MODES]:
            raise InvalidParameter("mode", str(mode), "one of walk, bike, drive")
        key = Mode(mode), towards
        if key not in self._travels:
            self._travels[key] = Travel(self, *key)
        return self._travels[key]


@lru_cache(maxsize=8)
def _opened(path: Path, sha256: str, source: tuple[tuple[str, Any], ...]) -> Network:
    """Map the file of a network. ``sha256`` tells files of the same place apart."""
    pack = Pack(path)
    if pack.about.get("format") != _FORMAT:
        raise CatalogError(f"{path.name} has format {pack.about.get('format')!r}, not {_FORMAT}; remove it.")
    return Network(
        crs=crs.from_definition(pack.about["crs"]),
        lines=Lines(pack.array("coordinates"), pack.array("starts")),
        nodes=pack.array("nodes"),
        ends=pack.array("ends"),
        segment=pack.array("segment"),
        allowed=pack.array("allowed"),
        drive_kmh=pack.array("drive_kmh"),
        name=pack.array("name"),
        names=_texts(pack, "names"),
        ids=_texts(pack, "ids"),
        dropped=pack.array("dropped"),
        source=dict(source),
    )


def _write(network: Network, path: Path) -> None:
    about = {"format": _FORMAT, "crs": network.crs.to_wkt()}
    with PackWriter(path, about) as pack:
        pack.array("coordinates", network.lines.coordinates)
        pack.array("starts", network.lines.starts)
        for name in ("nodes", "ends", "segment", "allowed", "drive_kmh", "name", "dropped"):
            pack.array(name, getattr(network, name))
        pack.chunks("names", ["\0".join(network.names).encode()])
        pack.chunks("ids", ["\0".join(network.ids).encode()])


def _texts(pack: Pack, name: str) -> tuple[str, ...]:
    begin, end = pack.span(name)
    return tuple(bytes(pack.map[begin:end]).decode().split("\0"))


def _projected(streets: geopandas.GeoDataFrame) -> tuple[crs.CRS, npt.NDArray[Any]]:
    """Return a system to measure in, and the geometries in it."""
    if streets.crs is None:
        raise InvalidParameter("streets", "a frame without reference system", "one that states it; use set_crs")
    system = crs.from_definition(streets.crs.to_wkt())
    shapes, box = flat(streets.geometry.to_numpy())
    check_unit("streets", system, box)
    target = crs.measuring(system)
    return target, shapes if target is system else crs.reproject(shapes, crs.reprojection(system, target))


def _column(streets: geopandas.GeoDataFrame, name: str) -> Any:
    if name not in streets.columns:
        raise InvalidParameter("streets", f"a frame without column {name!r}", "the columns that its network names")
    return streets[name]


def _among(streets: geopandas.GeoDataFrame, column: str | None, values: Iterable[str]) -> npt.NDArray[np.bool_]:
    if column is None:
        return np.zeros(len(streets), bool)
    found: npt.NDArray[np.bool_] = _column(streets, column).isin(list(values)).to_numpy(bool)
    return found


def _allowed(streets: geopandas.GeoDataFrame, roles: Streets) -> npt.NDArray[np.bool_]:
    """Return for each row, mode and direction whether one may travel there. Who walks may walk both ways."""
    allowed = np.ones((len(streets), len(MODES), 2), bool)
    if roles.walk is not None:
        allowed[:, 0] &= _column(streets, roles.walk).fillna(False).to_numpy(bool)[:, None]
    for mode, closed in enumerate((roles.no_walk, roles.no_bike, roles.no_drive)):
        allowed[:, mode] &= ~_among(streets, roles.road_class, closed)[:, None]
    allowed[:, 1:, 0] &= ~_among(streets, roles.oneway, roles.backward)[:, None]
    allowed[:, 1:, 1] &= ~_among(streets, roles.oneway, roles.forward)[:, None]
    return allowed


def _speeds(streets: geopandas.GeoDataFrame, roles: Streets) -> Floats:
    if roles.speed is None:
        return np.full(len(streets), DRIVE_KMH)
    stated = _column(streets, roles.speed).astype("float64").to_numpy()
    kmh = stated * (KMH_PER_MPH if roles.speed_unit == "mile per hour" else 1.0)
    usable = np.isfinite(kmh) & (kmh > 0)
    return np.where(usable, kmh, DRIVE_KMH)


def _names(streets: geopandas.GeoDataFrame, column: str | None) -> tuple[tuple[str, ...], npt.NDArray[np.int32]]:
    if column is None:
        return ("",), np.zeros(len(streets), np.int32)
    texts = _column(streets, column).fillna("").astype(str).to_numpy(str)
    names, place = np.unique(texts, return_inverse=True)
    return tuple(names.tolist()), place.reshape(-1).astype(np.int32)
