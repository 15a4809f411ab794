// The table beside the map: the records of one layer that are in view, by the same service the map asks.
import { heading, number, say, worded } from "./words.js";

const ROWS = 20;
const PAUSE = 300; // milliseconds after the map stood still

export class Twin {
  /** `show` is given a layer and a record that is to be shown on the map. */
  constructor(element, map, layers, show) {
    this.element = element;
    this.map = map;
    this.layers = new Map(layers.map((layer) => [layer.id, layer]));
    this.show = show;
    this.sort = "";
    this.select = element.querySelector("select");
    this.table = element.querySelector("table");
    this.status = element.querySelector("#twin-status");
    this.part = (name) => element.querySelector(`[data-page="${name}"]`);
    this.csv = element.querySelector('[data-part="csv"]');
    this.select.addEventListener("change", () => {
      this.sort = "";
      this.load();
    });
    this.part("first").addEventListener("click", () => this.load());
    this.part("next").addEventListener("click", () => this.ask(this.next));
    element.addEventListener("toggle", () => element.open && this.load());
    map.on("moveend", () => {
      clearTimeout(this.timer);
      if (element.open) this.timer = setTimeout(() => this.load(), PAUSE);
    });
  }

  get layer() {
    return this.layers.get(this.select.value);
  }

  /** The question both the table and its file ask: what is in view and passes the filter, in this order. */
  query() {
    const bounds = this.map.getBounds();
    const box = [bounds.getWest(), bounds.getSouth(), bounds.getEast(), bounds.getNorth()];
    const query = new URLSearchParams({ bbox: box.map((edge) => edge.toFixed(6)).join(",") });
    if (this.layer.filter) query.set("filter", this.layer.filter);
    if (this.sort) query.set("sortby", this.sort);
    return query;
  }

  /** Asks anew where the table is shown, after the filter changed. */
  refresh() {
    if (this.element.open) this.load();
  }

  load() {
    const query = this.query();
    this.csv.href = `${this.layer.items_url}?${query}&f=csv&limit=5000`;
    query.set("limit", ROWS);
    query.set("skipGeometry", "true");
    return this.ask(`${this.layer.items_url}?${query}`);
  }

  async ask(address) {
    this.waiting?.abort();
    this.waiting = new AbortController();
    const layer = this.layer;
    try {
      const response = await fetch(address, { signal: this.waiting.signal, headers: { Accept: "application/geo+json" } });
      if (!response.ok) throw new Error(String(response.status));
      this.fill(layer, await response.json());
    } catch (error) {
      if (error.name !== "AbortError") this.status.textContent = say("failed_records", { layer: layer.title });
    }
  }

  fill(layer, page) {
    const held = this.held();
    const following = page.links?.find(({ rel }) => rel === "next");
    this.next = following && new URL(following.href, window.location.href).href.replace(/^[a-z]+:\/\/[^/]+/, "");
    if (!this.next && this.part("next") === document.activeElement) this.part("first").focus();
    this.part("next").disabled = !this.next;
    const columns = layer.columns.filter(({ name }) => page.features.some(({ properties }) => Object.hasOwn(properties, name)));
    this.table.caption.textContent = say("table_caption", { layer: layer.title });
    const row = element("tr", ...columns.map((column) => this.head(column)));
    this.table.tHead.replaceChildren(row);
    this.table.tBodies[0].replaceChildren(...page.features.map((item) => this.row(layer, columns, item)));
    const count = page.numberMatched === undefined ? "?" : number(page.numberMatched);
    this.status.textContent = page.features.length
      ? say("table_count", { layer: layer.title, shown: number(page.features.length), count })
      : say(layer.filter ? "table_none_filtered" : "table_none", { layer: layer.title });
    this.refocus(held);
  }

  /** What in the table has the focus, as `{row}` or `{column}`; undefined when nothing has. */
  held() {
    const { activeElement: focused } = document;
    if (!this.table.contains(focused)) return undefined;
    return { row: focused.dataset.item, column: focused.dataset.column };
  }

  /** Puts the focus back on the same row or heading, else on the region of the table. */
  refocus(held) {
    if (!held) return;
    const same = ({ dataset }) => (held.row === undefined ? dataset.column === held.column : dataset.item === held.row);
    const buttons = [...this.table.querySelectorAll("button")];
    (buttons.find(same) ?? this.table.parentElement).focus({ preventScroll: true });
  }

  head(column) {
    const button = element("button", heading(column));
    button.type = "button";
    button.dataset.column = column.name;
    const cell = element("th", button);
    cell.scope = "col";
    const direction = { [column.name]: "ascending", [`-${column.name}`]: "descending" }[this.sort];
    if (direction) cell.ariaSort = direction;
    button.title = say("table_sort", { column: heading(column) });
    button.addEventListener("click", async () => {
      this.sort = this.sort === column.name ? `-${column.name}` : column.name;
      this.load();
    });
    return cell;
  }

  row(layer, columns, item) {
    const cells = columns.map((column, index) => {
      const text = worded(item.properties[column.name], column) ?? (index ? say("unrecorded") : String(item.id));
      if (index) return element("td", text);
      const button = element("button", text);
      button.type = "button";
      button.dataset.item = item.id;
      button.title = say("table_show", { record: text });
      button.addEventListener("click", () => this.show(layer, item.id));
      const cell = element("th", button);
      cell.scope = "row";
      return cell;
    });
    cells.slice(1).forEach((cell, index) => (cell.dataset.label = heading(columns[index + 1])));
    return element("tr", ...cells);
  }
}

function element(name, ...children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}
