// The panel that says in text what was picked on the map. Values are only ever set as text.
/* global L */
import { itemAddress } from "./picking.js";
import { heading, number, say, worded } from "./words.js";

const HIGHLIGHT = { color: "#b3123c", weight: 3, fillColor: "#b3123c", fillOpacity: 0.12, interactive: false };

export class Panel {
  /**
   * `element` is the hidden section of the page; the focus goes back to where it was when it is closed. `changed` is
   * called when another record is shown, or none.
   */
  constructor(element, map, reportAddress, changed = () => {}) {
    this.reportAddress = reportAddress;
    this.changed = changed;
    this.element = element;
    this.map = map;
    this.found = [];
    this.part = (name) => element.querySelector(`[data-part="${name}"]`);
    this.part("close").addEventListener("click", () => this.close());
    this.part("previous").addEventListener("click", () => this.step(-1));
    this.part("next").addEventListener("click", () => this.step(1));
    element.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
    L.DomEvent.disableClickPropagation(element);
    L.DomEvent.disableScrollPropagation(element);
  }

  /** Shows what `search` finds at a position; it is given a signal that ends it when the panel moves on. */
  async ask(search, latlng) {
    this.leave();
    this.found = [];
    this.place = latlng;
    if (this.element.hidden) this.before = document.activeElement;
    this.fill(say("here"), [], say("loading"));
    this.part("steps").hidden = true;
    this.element.hidden = false;
    this.element.focus({ preventScroll: true });
    this.uncover(latlng);
    this.waiting = new AbortController();
    try {
      this.show(await search(this.waiting.signal));
    } catch (error) {
      if (error.name !== "AbortError") this.fill(say("here"), [], error.message);
    }
  }

  show(found) {
    this.found = found;
    this.part("steps").hidden = found.length < 2;
    if (found.length) this.turnTo(0);
    else this.fill(say("nothing"), [], say("nothing_more"));
  }

  close() {
    if (this.element.hidden) return;
    const focused = this.element.contains(document.activeElement);
    this.leave();
    this.element.hidden = true;
    this.found = [];
    this.changed();
    if (!focused) return;
    this.back().focus({ preventScroll: true });
  }

  /** Where the focus was before; the row of the same record where the table was filled anew since. */
  back() {
    const { before } = this;
    if (before?.isConnected && before !== document.body) return before;
    const rows = before?.dataset?.item ? [...document.querySelectorAll("[data-item]")] : [];
    return rows.find(({ dataset }) => dataset.item === before.dataset.item) ?? this.map.getContainer();
  }

  step(by) {
    this.turnTo((this.index + by + this.found.length) % this.found.length);
  }

  turnTo(index) {
    this.highlight?.remove();
    this.index = index;
    const picked = this.found[index];
    this.part("count").textContent = say("turned", { index: index + 1, count: this.found.length });
    const more = picked.more ? say("more", { count: number(picked.more) }) : "";
    const known = picked.layer.columns.filter(({ name }) => Object.hasOwn(picked.item.properties ?? {}, name));
    const [full, empty] = [false, true].map((side) => known.filter((column) => isEmpty(picked.item, column) === side));
    this.fill(picked.layer.title, full.map((column) => row(picked.item, column)), more);
    if (empty.length) this.part("empty").textContent = say("empty", { names: empty.map(heading).join("; ") });
    this.link(picked);
    this.outline(picked.item.geometry);
    this.changed();
  }

  /** The record that is shown, as `{layer, item}`; undefined when none is. */
  get picked() {
    return this.element.hidden ? undefined : this.found[this.index];
  }

  /** Keeps the position in sight: the panel goes to the other side, or on a phone the map moves from under it. */
  uncover(latlng) {
    const size = this.map.getSize();
    const onTheRight = this.map.latLngToContainerPoint(latlng).x > size.x / 2;
    this.element.classList.toggle("picked-left", onTheRight);
    if (this.element.offsetWidth < 0.9 * size.x) return;
    this.map.panInside(latlng, { paddingTopLeft: [0, 40], paddingBottomRight: [0, 0.62 * size.y + 40] });
  }

  leave() {
    this.waiting?.abort();
    this.highlight?.remove();
    this.highlight = undefined;
  }

  fill(title, values, message) {
    this.part("title").textContent = title;
    this.part("message").textContent = message;
    this.part("empty").textContent = "";
    this.part("links").hidden = true;
    this.part("values").replaceChildren(
      ...values.flatMap(([name, value]) => [textElement("dt", name), textElement("dd", value)]),
    );
  }

  link(picked) {
    this.part("links").hidden = false;
    this.part("item").href = itemAddress(picked);
    this.part("layer").href = picked.layer.page_url;
    const report = new URL(this.reportAddress, window.location.href);
    report.searchParams.set("lon", this.place.lng.toFixed(6));
    report.searchParams.set("lat", this.place.lat.toFixed(6));
    this.part("report").href = report.pathname + report.search;
  }

  outline(geometry) {
    if (!geometry) return;
    const pointToLayer = (_, latlng) => L.circleMarker(latlng, { ...HIGHLIGHT, radius: 9 });
    this.highlight = L.geoJSON(geometry, { style: HIGHLIGHT, pointToLayer, interactive: false }).addTo(this.map);
  }
}

function textElement(name, text) {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}

function isEmpty(item, { name }) {
  return item.properties[name] === null || item.properties[name] === "";
}

function row(item, column) {
  return [heading(column), worded(item.properties[column.name], column)];
}
