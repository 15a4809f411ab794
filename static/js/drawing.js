// Draws the layers of a page from vector tiles: one canvas for all of them, so that labels of different layers
// keep out of each other's way. Beside labels.js the only file that knows protomaps-leaflet.
/* global L, protomapsL */
import { labelRules } from "./labels.js";
import { symbolizer, tileQuery } from "./symbols.js";
import { say } from "./words.js";

const LEVEL_DIFFERENCE = 1; // a tile of zoom z is drawn 512 pixels wide, at zoom z + 1

export class Drawing {
  /** `layers` bottom first; `report` is given a sentence when tiles cannot be had. */
  constructor(map, layers, report) {
    this.map = map;
    this.layers = layers;
    const drawn = layers.filter((layer) => layer.tiles);
    this.source = (layer) => ({
      url: tileSource(layer, report),
      maxDataZoom: layer.tiles.maxzoom,
      levelDiff: LEVEL_DIFFERENCE,
    });
    this.grid = protomapsL.leafletLayer({
      sources: Object.fromEntries(drawn.map((layer) => [layer.number, this.source(layer)])),
      paintRules: drawn.map((layer) => rule(layer, symbolizer(layer))),
      labelRules: labelRules(drawn),
      attribution: "",
      lang: document.documentElement.lang,
      maxZoom: map.getMaxZoom(),
      noWrap: true,
    });
    this.views = new Map(this.grid.views);
    this.pictures = new Map(layers.filter((layer) => layer.picture).map((layer) => [layer, picture(map, layer)]));
    this.hidden = new Set();
  }

  /** Puts the layers on the map; the map's element is `aria-busy` until all tiles in view are drawn. */
  addTo(map) {
    this.grid.on("loading", () => this.setBusy(true)).on("load", () => this.setBusy(false));
    this.setBusy(true);
    for (const [layer, tiles] of this.pictures) if (!this.hidden.has(String(layer.number))) tiles.addTo(map);
    this.grid.addTo(map);
  }

  /** Shows or hides a layer; the tiles of a hidden one are not asked for. */
  show(layer, visible) {
    if (visible) this.hidden.delete(String(layer.number));
    else this.hidden.add(String(layer.number));
    const tiles = this.pictures.get(layer);
    if (tiles) {
      if (!visible) tiles.remove();
      else if (this.grid._map) tiles.addTo(this.map);
      return;
    }
    this.redraw();
  }

  /** Asks for the tiles of layers anew, after their filters changed. */
  refilter(layers) {
    for (const layer of layers.filter(({ tiles }) => tiles)) {
      const number = String(layer.number);
      this.views.set(number, protomapsL.sourcesToViews({ sources: { [number]: this.source(layer) } }).get(number));
    }
    this.redraw();
  }

  async redraw() {
    this.grid.views = new Map([...this.views].filter(([number]) => !this.hidden.has(number)));
    this.grid.clearLayout();
    if (!this.grid._map) return;
    this.setBusy(true);
    const turn = (this.turn = (this.turn ?? 0) + 1);
    const tiles = Object.values(this.grid._tiles);
    await Promise.allSettled(tiles.map(({ coords, el }) => this.grid.renderTile(coords, el, this.grid._tileCoordsToKey(coords))));
    if (turn === this.turn && !this.grid.isLoading()) this.setBusy(false);
  }

  setBusy(busy) {
    this.busy = busy;
    this.map.getContainer().setAttribute("aria-busy", String(busy));
  }

  /**
   * Returns the layers that show something within a tolerance (CSS pixels) of a position, top layer first; while
   * tiles are still coming, all layers that may.
   */
  layersAt(latlng, tolerance) {
    if (this.busy) return this.layers.filter((layer) => layer.tiles && this.mayShow(layer)).reverse();
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

/** The picture tiles of a raster, below all that is drawn. */
function picture(map, { picture: { url, minzoom, maxzoom, bounds }, style, number }) {
  const [west, south, east, north] = bounds ?? [-180, -85, 180, 85];
  return L.tileLayer(url, {
    minZoom: minzoom, maxZoom: map.getMaxZoom(), maxNativeZoom: maxzoom, opacity: style.opacity,
    zIndex: number - 1000, bounds: [[south, west], [north, east]], noWrap: true,
  });
}

/** A source in the form the library takes an archive: asks our server, and only for tiles that can exist. */
function tileSource(layer, report) {
  const { minzoom, maxzoom, bounds, url } = layer.tiles;
  const { filter } = layer; // as it is now: another one makes another source
  return {
    async getZxy(z, x, y, signal) {
      if (z < minzoom || z > maxzoom || (bounds && !touches(bounds, z, x, y))) return undefined;
      const address = url.replace("{z}", z).replace("{x}", x).replace("{y}", y) + filtered(tileQuery(layer, z), filter);
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

/** A query with a filter, if there is one. */
function filtered(query, filter) {
  return filter ? `${query ? `${query}&` : "?"}filter=${encodeURIComponent(filter)}` : query;
}

/** Whether a tile shares ground with a box in degrees (west, south, east, north). */
function touches([west, south, east, north], z, x, y) {
  const corner = (column, row) => L.CRS.EPSG3857.pointToLatLng(L.point(column * 256, row * 256), z);
  const northWest = corner(x, y);
  const southEast = corner(x + 1, y + 1);
  return northWest.lng <= east && southEast.lng >= west && southEast.lat <= north && northWest.lat >= south;
}
