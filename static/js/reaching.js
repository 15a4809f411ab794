// How far one comes from a place in some minutes: the area on the map, the same in words, and what is there in a list.
/* global L */
import Asking, { fetched } from "./asking.js";
import { nameOf, number, rounded, say } from "./words.js";

const LISTED = 40; // records of a layer that are listed, the nearest first
const MILE_FT = 5280;
const KEYS = ["lat", "lng", "minutes", "mode"];
const JSON_ONLY = { Accept: "application/geo+json, application/json" };

export default class Reach extends Asking {
  /** `clicks.take` is what a tool in use does with a click; `show` picks a record. */
  constructor(element, map, layers, { clicks, show, changed, announce }) {
    super(element, map, { answers: ["method", "lists"], first: "centre", changed, announce });
    Object.assign(this, { clicks, show });
    this.points = layers.filter(({ kind }) => kind === "point");
    this.part("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.fromAddress();
    });
    this.part("centre").addEventListener("click", () => this.fromPlace(map.getCenter()));
    this.part("pick").addEventListener("click", () => this.pick(!this.isPicking));
    map.getContainer().addEventListener("keydown", (event) => event.key === "Escape" && this.isPicking && this.pick(false));
  }

  get isPicking() {
    return this.part("pick").getAttribute("aria-pressed") === "true";
  }

  /** Lets the next click on the map, or Enter at its centre, be the place. */
  pick(isOn) {
    this.part("pick").setAttribute("aria-pressed", String(isOn));
    if (!isOn) {
      this.clicks.take = this.before;
      return;
    }
    this.before = this.clicks.take; // the ruler's, perhaps
    this.clicks.take = (latlng) => this.take(latlng);
    this.tell(say("reach_pick"));
    this.map.getContainer().focus();
  }

  take(latlng) {
    this.pick(false);
    this.fromPlace(latlng);
  }

  fromPlace({ lat, lng }) {
    const [north, east] = [lat, lng].map((degrees) => Number(degrees.toFixed(5))); // as the address of the page has it
    return this.ask({ lat: north, lng: east, minutes: Number(this.part("minutes").value), mode: this.part("mode").value });
  }

  async fromAddress() {
    const text = this.part("address").value.trim();
    if (!text) return;
    this.tell(say("loading"));
    const response = await fetch(`${this.part("address").dataset.geocode}?${new URLSearchParams({ q: text })}`, { headers: JSON_ONLY });
    const [found] = response.ok ? (await response.json()).features : [];
    if (!found) {
      this.tell(say("reach_no_address"));
      return;
    }
    const [lng, lat] = found.geometry.coordinates;
    this.part("address").value = found.properties.address;
    await this.fromPlace({ lat, lng });
  }

  /** Asks one question, `{lat, lng, minutes, mode}`, unless it is the one that is answered already. */
  async ask(question) {
    if (this.asked && KEYS.every((key) => question[key] === this.asked[key])) return;
    this.hold(String(question.minutes));
    this.part("mode").value = question.mode;
    await this.put(question, (signal) => this.answer(question, signal), (error) => error.message);
  }

  /** Shows the minutes that are asked for, also where the list has none such. */
  hold(minutes) {
    const list = this.part("minutes");
    if (![...list.options].some(({ value }) => value === minutes)) list.add(new Option(minutes));
    list.value = minutes;
  }

  async answer({ lat, lng, minutes, mode }, signal) {
    const { dataset } = this.element;
    const query = new URLSearchParams({ network: dataset.network, origins: `${lng},${lat}`, minutes, mode });
    const found = await fetched(`${dataset.reach}?${query}`, { signal, headers: JSON_ONLY }, say("reach_failed"));
    const [{ properties, geometry }] = found.features;
    const values = { minutes: number(minutes), acres: rounded(properties.area_acres), miles: rounded(properties.street_feet / MILE_FT) };
    this.draw(geometry, [lat, lng]);
    this.part("clear").hidden = false;
    this.part("lists").replaceChildren();
    if (!properties.area_acres) {
      this.tell(say("reach_nothing"));
      return;
    }
    this.tell(say(`reach_${mode}`, values));
    this.part("method").textContent = found.method;
    const origins = { type: "FeatureCollection", features: [{ type: "Feature", properties: {}, geometry: { type: "Point", coordinates: [lng, lat] } }] };
    for (const layer of this.points) {
      const inputs = { network: dataset.network, origins, features: { collection: layer.id }, minutes, mode };
      const headers = { ...JSON_ONLY, "Content-Type": "application/json" };
      const options = { method: "POST", signal, headers, body: JSON.stringify({ inputs }) };
      const reached = await fetched(dataset.reached, options, say("reach_failed"));
      this.part("lists").append(this.list(layer, reached.features));
    }
  }

  draw(geometry, place) {
    const look = { color: "#5b2a86", weight: 2, fillColor: "#5b2a86", fillOpacity: 0.2, interactive: false };
    const area = L.geoJSON(geometry, { style: look, interactive: false }).addTo(this.drawn);
    const spot = { radius: 8, color: "#ffffff", weight: 3, fillColor: "#5b2a86", fillOpacity: 1, interactive: false };
    L.circleMarker(place, spot).addTo(this.drawn);
    const bounds = area.getBounds();
    const isSeen = bounds.isValid() && this.map.getBounds().contains(bounds);
    if (bounds.isValid() && !isSeen) this.map.fitBounds(bounds, { animate: false, padding: [20, 20] });
  }

  list(layer, features) {
    const near = [...features].sort((a, b) => a.properties.minutes_from_origin - b.properties.minutes_from_origin);
    const section = document.createElement("section");
    const title = document.createElement("h2");
    title.textContent = say("reach_count", { layer: layer.title, count: number(features.length) });
    const list = document.createElement("ul");
    list.append(...near.slice(0, LISTED).map((item) => this.line(layer, item)));
    section.append(title, list);
    if (near.length > LISTED) {
      const more = document.createElement("p");
      more.textContent = say("reach_more", { count: number(near.length - LISTED) });
      section.append(more);
    }
    return section;
  }

  line(layer, item) {
    const line = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = nameOf(layer, item);
    button.title = say("table_show", { record: button.textContent });
    button.addEventListener("click", () => this.show(layer, item.id));
    const time = document.createElement("span");
    time.textContent = say("reach_minutes", { minutes: number(Math.round(item.properties.minutes_from_origin * 10) / 10) });
    line.append(button, " ", time);
    return line;
  }
}
