// Measures a way and the ground inside it, point by point: by clicks, or by the keyboard at the centre of the map.
/* global L */
import { area, length } from "./geodesy.js";
import { rounded, say } from "./words.js";

const FOOT_M = 0.3048;
const MILE_FT = 5280;
const ACRE_M2 = 4046.8564224;
const LOOK = { color: "#b3123c", weight: 3, interactive: false };

export class Ruler {
  /** `element` is the hidden section of the page; `button` opens it and gets the focus back. */
  constructor(element, map, clicks, button) {
    Object.assign(this, { element, map, clicks, button });
    this.points = [];
    this.drawn = L.layerGroup();
    this.part = (name) => element.querySelector(`[data-part="${name}"]`);
    this.part("close").addEventListener("click", () => this.close());
    this.part("add").addEventListener("click", () => this.add(map.getCenter()));
    this.part("undo").addEventListener("click", () => this.set(this.points.slice(0, -1)));
    this.part("clear").addEventListener("click", () => this.set([]));
    const end = (event) => event.key === "Escape" && this.isOpen && this.close();
    for (const place of [element, map.getContainer()]) place.addEventListener("keydown", end);
    L.DomEvent.disableClickPropagation(element);
    L.DomEvent.disableScrollPropagation(element);
  }

  get isOpen() {
    return !this.element.hidden;
  }

  toggle() {
    if (this.isOpen) this.close();
    else this.open();
  }

  open() {
    this.element.hidden = false;
    this.button.setAttribute("aria-expanded", "true");
    this.map.getContainer().classList.add("is-measuring");
    this.drawn.addTo(this.map);
    this.clicks.take = (latlng) => this.add(latlng);
    this.set([]);
    this.element.focus({ preventScroll: true });
  }

  close() {
    this.element.hidden = true;
    this.button.setAttribute("aria-expanded", "false");
    this.map.getContainer().classList.remove("is-measuring");
    this.drawn.remove();
    this.clicks.take = undefined;
    this.button.focus({ preventScroll: true });
  }

  add({ lat, lng }) {
    this.set([...this.points, { lat, lng }]);
  }

  set(points) {
    this.points = points;
    this.drawn.clearLayers();
    if (points.length > 2) this.drawn.addLayer(L.polygon(points, { ...LOOK, stroke: false, fillOpacity: 0.12 }));
    if (points.length > 1) this.drawn.addLayer(L.polyline(points, LOOK));
    for (const point of points) this.drawn.addLayer(L.circleMarker(point, { ...LOOK, radius: 5, fillColor: "#fff", fillOpacity: 1 }));
    for (const name of ["undo", "clear"]) this.part(name).disabled = points.length === 0;
    if (document.activeElement === document.body) this.part("add").focus();
    this.part("result").textContent = result(points);
  }
}

/** The sentences for some points. */
export function result(points) {
  if (!points.length) return say("measure_none");
  if (points.length === 1) return say("measure_one");
  const sentences = [say("measure_length", { count: rounded(points.length), length: inWords(length(points)) })];
  if (points.length > 2) {
    const [squareMetres, around] = [area(points), length([...points, points[0]])];
    const acres = rounded(squareMetres / ACRE_M2);
    const values = { acres, feet: rounded(squareMetres / FOOT_M ** 2), metres: rounded(squareMetres), length: inWords(around) };
    sentences.push(say("measure_area", values));
  }
  return sentences.join(" ");
}

function inWords(metres) {
  const feet = metres / FOOT_M;
  const values = { feet: rounded(feet), metres: rounded(metres), miles: rounded(feet / MILE_FT) };
  return say(feet > MILE_FT ? "length_miles" : "length_feet", values);
}
