// The map page: reads the page's data, draws its layers on the map that Folium made, and joins the parts beside it.
/* global L */
import { Drawing } from "./drawing.js";
import { Panel } from "./panel.js";
import { readAddress, writeAddress } from "./permalink.js";
import { find, findOne } from "./picking.js";
import { Twin } from "./twin.js";
import { say } from "./words.js";

const CLICK_TOLERANCE = 6; // CSS pixels around a point or a line that still count as a hit
const TOUCH_TOLERANCE = 10;
const RECORD_ZOOM = 17; // a record that is picked in the table is shown at least so close
const PHONE_WIDTH = 600; // CSS pixels; a narrower map starts one zoom further out

export function drawLayers(map, count) {
  const page = JSON.parse(document.getElementById("page-data").textContent);
  const layers = page.layers.slice(0, count);
  const { mark } = page.view;
  const asked = mark ? {} : readAddress(window.location.hash, layers);
  prepare(map);
  const drawing = new Drawing(map, layers, announce);
  const remember = () => mark || history.replaceState(null, "", writeAddress(map, hiddenOf(drawing, layers), panel.picked));
  const panel = new Panel(document.getElementById("picked"), map, page.report_url, remember);
  setView(map, page.view, asked.view);
  if (asked.hidden) showAllBut(asked.hidden, layers);
  drawing.addTo(map);
  if (mark) putMark(map, mark);
  joinLayerList(drawing, layers, panel, remember);
  joinPicking(map, drawing, panel);
  const show = (layer, id) => showRecord(map, panel, layer, id);
  const twin = document.getElementById("twin");
  if (twin) new Twin(twin, map, layers, show);
  if (asked.item) show(asked.item.layer, asked.item.id);
  if (!mark) joinAddress(map, layers, remember, show);
}

/** Keeps the address of the page that of the view, and follows it when it is changed. */
function joinAddress(map, layers, remember, show) {
  map.on("moveend", remember);
  window.addEventListener("hashchange", () => {
    const { view, item } = readAddress(window.location.hash, layers);
    if (view) map.setView([view.lat, view.lng], view.zoom, { animate: false });
    if (item) show(item.layer, item.id);
  });
}

function hiddenOf(drawing, layers) {
  return layers.filter(({ number }) => drawing.hidden.has(String(number)));
}

function showAllBut(hidden, layers) {
  for (const box of document.querySelectorAll("input[data-layer]")) {
    box.checked = !hidden.includes(layers[Number(box.dataset.layer)]);
  }
}

/** Picks one record and brings it into view. */
function showRecord(map, panel, layer, id) {
  return panel.ask(async (signal) => {
    const found = await findOne(layer, id, signal);
    const bounds = L.geoJSON(found[0].item.geometry).getBounds();
    if (bounds.isValid()) {
      map.fitBounds(bounds, { animate: false, maxZoom: Math.max(map.getZoom(), RECORD_ZOOM), padding: [60, 60] });
      panel.place = bounds.getCenter();
    }
    return found;
  }, map.getCenter());
}

function putMark(map, [longitude, latitude]) {
  const spot = { interactive: false, color: "#ffffff", weight: 3, fillColor: "#b3123c", fillOpacity: 1, radius: 9 };
  L.circleMarker([latitude, longitude], spot).addTo(map);
  announce(say("mark"));
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

function setView(map, view, asked) {
  if (asked) {
    map.setView([asked.lat, asked.lng], asked.zoom, { animate: false });
  } else if (view.bounds) {
    const [west, south, east, north] = view.bounds;
    map.fitBounds([[south, west], [north, east]], { animate: false, padding: [8, 8] });
  } else if (map.getSize().x < PHONE_WIDTH) {
    map.setZoom(map.getZoom() - 1, { animate: false });
  }
}

function joinLayerList(drawing, layers, panel, remember) {
  for (const box of document.querySelectorAll("input[data-layer]")) {
    const layer = layers[Number(box.dataset.layer)];
    const apply = () => {
      drawing.show(layer, box.checked);
      panel.close();
      remember();
      announce(say(box.checked ? "shown" : "hidden", { layer: layer.title }));
    };
    if (!box.checked) drawing.show(layer, false); // a browser may restore the boxes of an earlier visit
    box.addEventListener("change", apply);
  }
}

function joinPicking(map, drawing, panel) {
  const container = map.getContainer();
  const pick = (latlng, tolerance) => panel.ask((signal) => find(drawing, latlng, tolerance, signal), latlng);
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

function announce(message) {
  document.getElementById("map-status").textContent = message;
}
