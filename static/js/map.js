// The map page: reads the page's data, draws its layers on the map that Folium made, and joins the parts beside it.
/* global L */
import { Drawing } from "./drawing.js";
import { Panel } from "./panel.js";
import { find } from "./picking.js";

const CLICK_TOLERANCE = 6; // CSS pixels around a point or a line that still count as a hit
const TOUCH_TOLERANCE = 10;
const PHONE_WIDTH = 600; // CSS pixels; a narrower map starts one zoom further out

export function drawLayers(map, count) {
  const page = JSON.parse(document.getElementById("page-data").textContent);
  const layers = page.layers.slice(0, count);
  prepare(map);
  const drawing = new Drawing(map, layers, (message) => say(message));
  const panel = new Panel(document.getElementById("picked"), map);
  setView(map, page.view);
  drawing.addTo(map);
  joinLayerList(drawing, layers, panel);
  joinPicking(map, drawing, panel);
}

function prepare(map) {
  map.setMinZoom(8);
  map.setMaxZoom(20);
  const container = map.getContainer();
  container.setAttribute("role", "application");
  container.setAttribute("aria-label", "Map");
  container.setAttribute("aria-describedby", "map-keys");
}

function setView(map, view) {
  if (view.bounds) {
    const [west, south, east, north] = view.bounds;
    map.fitBounds([[south, west], [north, east]], { animate: false, padding: [8, 8] });
  } else if (map.getSize().x < PHONE_WIDTH) {
    map.setZoom(map.getZoom() - 1, { animate: false });
  }
}

function joinLayerList(drawing, layers, panel) {
  for (const box of document.querySelectorAll("input[data-layer]")) {
    const layer = layers[Number(box.dataset.layer)];
    const apply = () => {
      drawing.show(layer, box.checked);
      panel.close();
      say(`${layer.title} is ${box.checked ? "shown" : "hidden"}.`);
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

function say(message) {
  document.getElementById("map-status").textContent = message;
}
