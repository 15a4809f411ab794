// Draws the layers of a page from vector tiles: one canvas for all of them, so that labels of different layers
// keep out of each other's way. Beside labels.js the only file that knows protomaps-leaflet.
/* global L, protomapsL */
import { labelRules } from "./labels.js";
import { symbolizer } from "./symbols.js";
import { say } from "./words.js";

const LEVEL_DIFFERENCE = 1; // a tile of zoom z is drawn 512 pixels wide, at zoom z + 1

export class Drawing {
  /** `layers` bottom first; `report` is given a sentence when tiles cannot be had. */
  constructor(map, layers, report) {
    this.map = map;
    this.layers = layers;
    const drawn = layers.filter((layer) => layer.tiles);
    const sources = {};
    drawn.forEach((layer) => {
      sources[layer.number] = {
        url: tileSource(layer, report),
        maxDataZoom: layer.tiles.maxzoom,
        levelDiff: LEVEL_DIFFERENCE,
      };
    });
    this.grid = protomapsL.leafletLayer({
      sources,
      paintRules: drawn.map((layer) => rule(layer, symbolizer(layer))),
      labelRules: labelRules(drawn),
      attribution: "",
      lang: document.documentElement.lang,
      maxZoom: map.getMaxZoom(),
      noWrap: true,
    });
    this.views = new Map(this.grid.views);
    this.hidden = new Set();
  }

  /** Puts the layers on the map; the map's element is `aria-busy` until all tiles in view are drawn. */
  addTo(map) {
    const setBusy = (busy) => {
      this.busy = busy;
      map.getContainer().setAttribute("aria-busy", String(busy));
    };
    this.grid.on("loading", () => setBusy(true)).on("load", () => setBusy(false));
    setBusy(true);
    this.grid.addTo(map);
  }

  /** Shows or hides a layer; the tiles of a hidden one are not asked for. */
  show(layer, visible) {
    if (visible) this.hidden.delete(String(layer.number));
    else this.hidden.add(String(layer.number));
    this.grid.views = new Map([...this.views].filter(([number]) => !this.hidden.has(number)));
    this.grid.clearLayout();
    if (this.grid._map) this.grid.rerenderTiles();
  }

  /**
   * Returns the layers that show something within a tolerance (CSS pixels) of a position, top layer first; while
   * tiles are still coming, all layers that may.
   */
  layersAt(latlng, tolerance) {
    if (this.busy) return this.layers.filter((layer) => this.mayShow(layer)).reverse();
    // The library takes its brush at the zoom of the data, which is drawn twice as large.
    const found = this.grid.queryTileFeaturesDebug(latlng.lng, latlng.lat, tolerance * 2 ** LEVEL_DIFFERENCE);
    return this.layers.filter((layer) => found.get(String(layer.number))?.length).reverse();
  }

  mayShow({ number, tiles }) {
    return this.grid.views.has(String(number)) && this.map.getZoom() - LEVEL_DIFFERENCE >= tiles.minzoom;
  }
}

function rule(layer, symbol) {
  return { dataSource: String(layer.number), dataLayer: layer.tiles.name, symbolizer: symbol };
}

/** A source in the form the library takes an archive: asks our server, and only for tiles that can exist. */
function tileSource(layer, report) {
  const { url, minzoom, maxzoom, bounds } = layer.tiles;
  return {
    async getZxy(z, x, y, signal) {
      if (z < minzoom || z > maxzoom || (bounds && !touches(bounds, z, x, y))) return undefined;
      const address = url.replace("{z}", z).replace("{x}", x).replace("{y}", y);
      const response = await fetch(address, { signal });
      if (response.status === 204) return undefined;
      if (!response.ok) {
        report(say("failed_tiles", { layer: layer.title }));
        throw new Error(`${address}: ${response.status}`);
      }
      return { data: await response.arrayBuffer() };
    },
  };
}

/** Whether a tile shares ground with a box in degrees (west, south, east, north). */
function touches([west, south, east, north], z, x, y) {
  const corner = (column, row) => L.CRS.EPSG3857.pointToLatLng(L.point(column * 256, row * 256), z);
  const northWest = corner(x, y);
  const southEast = corner(x + 1, y + 1);
  return northWest.lng <= east && southEast.lng >= west && southEast.lat <= north && northWest.lat >= south;
}
