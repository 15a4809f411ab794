// What changed in a layer between its last two versions: on the map by colour and stroke, and in a list by words.
/* global L */
import Asking, { fetched } from "./asking.js";
import { heading, nameOf, number, say } from "./words.js";

const MOST = 500; // changes that are drawn and listed
const HEADERS = { Accept: "application/geo+json, application/json" };
const LOOKS = {
  added: { color: "#1a7a3c", dashArray: undefined },
  changed: { color: "#8a5a00", dashArray: "6 4" },
  removed: { color: "#b3123c", dashArray: "1 5" },
};

export default class Changes extends Asking {
  constructor(element, map, layers, { changed, announce }) {
    super(element, map, { answers: ["more", "list"], first: "layer", changed, announce });
    this.layers = layers.filter(({ kind }) => kind !== "raster");
    this.part("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask(this.layers.find(({ id }) => id === this.part("layer").value));
    });
  }

  /** Shows what changed in a layer, unless that is shown already. */
  async ask(layer) {
    if (layer === this.asked || !this.layers.includes(layer)) return;
    this.part("layer").value = layer.id;
    const failed = () => say("changes_failed", { layer: layer.title });
    await this.put(layer, (signal) => this.answer(layer, signal), failed);
  }

  async answer(layer, signal) {
    const base = layer.items_url.replace(/\/items$/, "");
    const { versions } = await fetched(`${base}/versions`, { signal, headers: HEADERS });
    const before = versions.findIndex(({ current }) => current) + 1;
    this.part("clear").hidden = false;
    if (!versions[before]) {
      this.tell(say("changes_first", { layer: layer.title }));
      return;
    }
    const query = new URLSearchParams({ since: versions[before].version, f: "geojson", limit: MOST });
    const found = await fetched(`${base}/changes?${query}`, { signal, headers: HEADERS });
    const counts = { added: found.numberAdded, changed: found.numberChanged, removed: found.numberRemoved };
    const values = Object.fromEntries(Object.entries(counts).map(([kind, count]) => [kind, number(count)]));
    this.tell(say(found.numberMatched ? "changes_count" : "changes_none", { layer: layer.title, ...values }));
    if (found.numberMatched > MOST) this.part("more").textContent = say("changes_more", { count: number(MOST) });
    this.draw(found.features);
    this.part("list").replaceChildren(...found.features.map((item) => this.line(layer, item)));
  }

  draw(features) {
    const look = ({ change }) => ({ ...LOOKS[change], weight: 4, fillOpacity: 0.25, interactive: false });
    const pointToLayer = (item, place) => L.circleMarker(place, { ...look(item), radius: 8 });
    const shown = L.geoJSON(features.filter(({ geometry }) => geometry), { style: look, pointToLayer, interactive: false });
    shown.addTo(this.drawn);
    const bounds = shown.getBounds();
    if (bounds.isValid()) this.map.fitBounds(bounds, { animate: false, maxZoom: 17, padding: [40, 40] });
  }

  line(layer, item) {
    const line = document.createElement("li");
    const [name, id] = [nameOf(layer, item), String(item.id)];
    const values = { record: name === id ? name : `${name} (${id})` };
    const fields = Object.keys(item.before ?? {}).map((name) => layer.columns.find((one) => one.name === name));
    const parts = fields.filter(Boolean).map(heading);
    if (item.geometryChanged) parts.push(say("changes_shape"));
    line.textContent = [say(`changes_${item.change}`, values), parts.join("; ")].filter(Boolean).join(": ");
    return line;
  }
}
