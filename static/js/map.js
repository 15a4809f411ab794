// The map page: reads the page's data, draws its layers on the map that Folium made, and joins the parts beside it.
/* global L */
import { Drawing } from "./drawing.js";
import { Filters } from "./filters.js";
import { FilterForm } from "./filterform.js";
import { Panel } from "./panel.js";
import { pictureAddress, readAddress, writeAddress } from "./permalink.js";
import { find, findOne } from "./picking.js";
import { spacing } from "./symbols.js";
import { joinTools } from "./tools.js";
import { Trail } from "./trail.js";
import { Twin } from "./twin.js";
import { say } from "./words.js";
import { Years } from "./years.js";

const CLICK_TOLERANCE = 6; // CSS pixels around a point or a line that still count as a hit
const TOUCH_TOLERANCE = 10;
const RECORD_ZOOM = 17; // a record that is picked in the table is shown at least so close
const PHONE_WIDTH = 600; // CSS pixels; a narrower map starts one zoom further out, unless it shows single lots
const LOTS_ZOOM = 16;
const TOLD_APART = 8; // CSS pixels between neighbours, of all layers, from which they are more than a smear

export function drawLayers(map, count) {
  const page = JSON.parse(document.getElementById("page-data").textContent);
  const layers = page.layers.slice(0, count);
  prepare(map);
  const drawing = new Drawing(map, layers, announce);
  if (page.view.mark) drawPlace(map, drawing, page);
  else new City(map, drawing, layers, page);
}

/** The small map of a report: one place, and what is there. */
function drawPlace(map, drawing, { view, report_url: reportUrl }) {
  const [longitude, latitude] = view.mark;
  const spot = { interactive: false, color: "#ffffff", weight: 3, fillColor: "#b3123c", fillOpacity: 1, radius: 9 };
  setView(map, view, []);
  drawing.addTo(map);
  L.circleMarker([latitude, longitude], spot).addTo(map);
  joinPicking(map, drawing, new Panel(document.getElementById("picked"), map, reportUrl), {});
  announce(say("mark"));
}

/** The map of a page of its own, with the parts around it that there are on this page. */
class City {
  constructor(map, drawing, layers, page) {
    Object.assign(this, { map, drawing, layers });
    this.clicks = {}; // `take` is what a tool in use does with a click
    this.panel = new Panel(document.getElementById("picked"), map, page.report_url, () => this.trail.note());
    this.filters = new Filters(layers, (changed) => this.refilter(changed));
    this.trail = new Trail(() => this.address(), () => this.follow(readAddress(window.location.hash, layers)));
    const part = (id, make) => document.getElementById(id) && make(document.getElementById(id));
    this.twin = part("twin", (element) => new Twin(element, map, layers, (layer, id) => this.show(layer, id)));
    this.form = part("filter", (element) => new FilterForm(element, this.filters, announce));
    this.years = part("years", (element) => new Years(element, this.filters));
    this.wanted = {};
    this.tools = { reach: "./reaching.js", changes: "./changes.js" };
    for (const name of Object.keys(this.tools)) this.joinTool(name);
    const asked = readAddress(window.location.hash, layers);
    setView(map, page.view, layers, asked.view);
    this.apply(asked);
    drawing.addTo(map);
    joinLayerList(layers, (layer, visible) => this.switch(layer, visible));
    joinPicking(map, drawing, this.panel, this.clicks);
    joinTools(map, this.clicks, announce);
    map.on("moveend resize", () => this.followPrints());
    map.on("moveend", () => this.trail.note(true));
    new ResizeObserver(() => this.trail.quietly(() => fit(map))).observe(map.getContainer());
    if (asked.view || !window.location.hash) this.trail.note();
  }

  /** What the map leaves out: hidden layers and the conditions of the filter. */
  get left() {
    const hidden = this.layers.filter(({ number }) => this.drawing.hidden.has(String(number)));
    return { hidden, where: this.filters.conditions };
  }

  address() {
    return writeAddress(this.map, {
      ...this.left,
      picked: this.panel.picked,
      reach: this.askedOf("reach"),
      changes: this.askedOf("changes"),
    });
  }

  /** What a tool is asked, also while its script is still to come. */
  askedOf(name) {
    return this[name] ? this[name].asked : this.wanted[name];
  }

  /** Lets a part of the page load its script when it is first opened. */
  joinTool(name) {
    const element = document.getElementById(name);
    if (!element) return;
    element.hidden = false;
    element.addEventListener("toggle", () => element.open && this.tool(name));
  }

  /** The tool of a name, from its own script; undefined where the page has no such part. */
  async tool(name) {
    const element = document.getElementById(name);
    if (!element) return undefined;
    const { default: Tool } = await import(this.tools[name]);
    const show = (layer, id) => this.show(layer, id);
    this[name] ??= new Tool(element, this.map, this.layers, { clicks: this.clicks, show, changed: () => this.trail.note(), announce });
    return this[name];
  }

  /** Has a tool answer the question of an address; without one its answer goes. */
  async use(name, question) {
    this.wanted[name] = question;
    if (!question) this[name]?.clear();
    else (await this.tool(name))?.ask(question);
  }

  /** Goes to what an address asks for; one without a view, such as that of a heading, asks for nothing. */
  follow(asked) {
    if (!asked.view) return;
    setView(this.map, {}, [], asked.view);
    this.apply(asked);
  }

  apply({ view, hidden, where, item, reach, changes }) {
    for (const layer of this.layers) {
      const box = document.querySelector(`input[data-layer="${layer.number}"]`);
      const visible = !hidden.includes(layer);
      if (box) box.checked = visible;
      if (visible === this.drawing.hidden.has(String(layer.number))) this.drawing.show(layer, visible);
    }
    this.filters.set(where);
    this.followPrints();
    this.use("reach", reach);
    this.use("changes", changes);
    const { picked } = this.panel;
    if (!item) this.panel.close();
    else if (picked?.layer !== item.layer || String(picked.item.id) !== item.id) {
      this.show(item.layer, item.id, !view);
    }
  }

  /** Picks one record, and brings it into view unless the view is given. */
  show(layer, id, isSought = true) {
    const { map, panel } = this;
    return panel.ask(async (signal) => {
      const found = await findOne(layer, id, signal);
      const bounds = L.geoJSON(found[0].item.geometry).getBounds();
      if (!bounds.isValid()) return found;
      const maxZoom = Math.max(map.getZoom(), RECORD_ZOOM);
      if (isSought) map.fitBounds(bounds, { animate: false, maxZoom, padding: [60, 60] });
      panel.place = bounds.getCenter();
      return found;
    }, map.getCenter());
  }

  switch(layer, visible) {
    this.drawing.show(layer, visible);
    this.panel.close();
    this.followPrints();
    this.trail.note();
    announce(say(visible ? "shown" : "hidden", { layer: layer.title }));
  }

  refilter(changed) {
    this.drawing.refilter(changed);
    this.panel.close();
    this.form?.show(changed);
    this.years?.follow();
    this.twin?.refresh();
    this.followPrints();
    this.trail.note();
  }

  /** Lets the links to the map for print and as a picture lead to what the map shows. */
  followPrints() {
    for (const link of document.querySelectorAll("a[data-picture]")) {
      link.href = pictureAddress(link.dataset.picture, this.map, this.left);
    }
  }
}

function prepare(map) {
  map.setMinZoom(8);
  map.setMaxZoom(20);
  const container = map.getContainer();
  container.setAttribute("role", "application");
  container.setAttribute("aria-label", say("map"));
  container.setAttribute("aria-describedby", "map-keys");
  for (const name of ["in", "out"]) {
    const button = container.querySelector(`.leaflet-control-zoom-${name}`);
    button.title = say(`map_zoom_${name}`);
    button.setAttribute("aria-label", button.title);
  }
}

/** Tells the map that its place on the page is another, as when a part beside it opens; its centre stays. */
function fit(map) {
  const { clientWidth, clientHeight } = map.getContainer();
  const centre = map.getCenter();
  if (map.getSize().equals([clientWidth, clientHeight])) return;
  map.invalidateSize({ pan: false });
  map.setView(centre, map.getZoom(), { animate: false, reset: true });
}

function setView(map, view, layers, asked) {
  if (asked) {
    map.setView([asked.lat, asked.lng], asked.zoom, { animate: false });
  } else if (view.bounds) {
    const [west, south, east, north] = view.bounds;
    map.fitBounds([[south, west], [north, east]], { animate: false, padding: [8, 8] });
    const least = Math.min(RECORD_ZOOM, leastZoom(layers.filter(({ tiles }) => tiles)));
    if (map.getZoom() < least) map.setZoom(least, { animate: false });
  } else if (map.getSize().x < PHONE_WIDTH && map.getZoom() < LOTS_ZOOM) {
    map.setZoom(map.getZoom() - 1, { animate: false });
  }
}

/** The zoom from which the features of layers are there and can be told apart: a city of parcels is a smear, and heavy. */
function leastZoom(layers) {
  const crowd = layers.reduce((sum, layer) => sum + spacing(layer, 0) ** -2, 0); // features on a pixel at zoom 0
  const apart = Math.ceil(Math.log2(TOLD_APART * Math.sqrt(crowd)));
  return Math.max(0, apart, ...layers.map(({ tiles }) => tiles.minzoom + 1)); // as Drawing draws them
}

function joinLayerList(layers, apply) {
  for (const box of document.querySelectorAll("input[data-layer]")) {
    const layer = layers[Number(box.dataset.layer)];
    box.addEventListener("change", () => apply(layer, box.checked));
  }
}

function joinPicking(map, drawing, panel, clicks) {
  const container = map.getContainer();
  const pick = (latlng, tolerance) => {
    if (clicks.take) clicks.take(latlng);
    else panel.ask((signal) => find(drawing, latlng, tolerance, signal), latlng);
  };
  let tolerance = CLICK_TOLERANCE;
  container.addEventListener("pointerdown", (event) => {
    tolerance = event.pointerType === "mouse" ? CLICK_TOLERANCE : TOUCH_TOLERANCE;
  });
  map.on("click", (event) => pick(event.latlng, tolerance));
  container.addEventListener("keydown", (event) => {
    if (event.key === "Escape") panel.close();
    if (event.key === "Enter" && event.target === container) pick(map.getCenter(), TOUCH_TOLERANCE);
  });
}

/** Says a sentence to those who hear the page; `isShown` shows it, too, where nothing else on the page does. */
function announce(message, isShown = false) {
  const status = document.getElementById("map-status");
  status.classList.toggle("visually-hidden", !isShown);
  status.textContent = message;
}
