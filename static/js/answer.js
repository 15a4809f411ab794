// The map of one answer: draws its features in the colours of their classes, and tells all columns of one on a click.
/* global L */

const ABSENT = "#c9c9c9";

// eslint-disable-next-line no-unused-vars -- called by the program that Folium writes behind this one
function drawAnswer(map) {
  const page = JSON.parse(document.getElementById("answer-data").textContent);
  page.answer.features.forEach((feature, row) => {
    feature.colour = page.classes[page.places[row]]?.colour ?? ABSENT;
  });
  const pale = { color: "#c9c3b8", weight: 1, fillColor: "#e9e6df", fillOpacity: 0.6, interactive: false };
  if (page.background) L.geoJSON(page.background, { style: pale }).addTo(map);
  const style = ({ colour }) => ({ color: colour, weight: 2, opacity: 0.9, fillColor: colour, fillOpacity: 0.55 });
  const shown = L.geoJSON(page.answer, {
    style,
    pointToLayer: (feature, place) => L.circleMarker(place, { ...style(feature), radius: 5 }),
    onEachFeature: (feature, layer) => layer.bindPopup(() => table(feature), { maxHeight: 260 }),
  }).addTo(map);
  const bounds = shown.getBounds();
  if (bounds.isValid()) map.fitBounds(bounds, { maxZoom: 17, animate: false });
}

/** Returns the columns of a feature as a list; every value is text. */
function table(feature) {
  const list = document.createElement("dl");
  const entries = Object.entries(feature.properties ?? {});
  if (feature.id !== undefined) entries.unshift(["id", feature.id]);
  for (const [name, value] of entries) {
    list.append(part("dt", name), part("dd", written(value)));
  }
  return list;
}

function part(name, text) {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}

function written(value) {
  if (value === null || value === undefined) return "—";
  if (typeof value === "number") return value.toLocaleString("en-US", { maximumFractionDigits: 2, useGrouping: false });
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
