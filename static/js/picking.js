// From a place on the map to the records there. Tiles say which layers show something; the records themselves come
// from the service by position, because a tile may draw many records as one (units of a condominium, small lots
// merged at low zooms) and may leave columns out.

/* global L */
import { say } from "./words.js";

const MOST = 50; // records of one layer that are listed
const AIMED = 3; // so many lines or points near a place may be meant; of more none was

/**
 * Returns the records at a position as `{layer, item, more}`, those of the layer with the smallest one first, top layer
 * first where they are alike; `more` counts those not listed.
 */
export async function find(drawing, latlng, tolerance, signal) {
  const layers = drawing.layersAt(latlng, tolerance);
  const found = await Promise.all(layers.map((layer) => itemsAt(layer, drawing.map, latlng, tolerance, signal)));
  const ranked = found.filter(({ length }) => length).map((records) => ({ records, breadth: breadth(records) }));
  return ranked.sort((one, other) => one.breadth - other.breadth).flatMap(({ records }) => records);
}

/** How broad a layer's record is at a place, so that a city's outline does not come before what lies in the city. */
function breadth([{ layer, item }, ...others]) {
  if (layer.kind !== "polygon") return others.length < AIMED ? 0 : Number.MAX_VALUE;
  const bounds = L.geoJSON(item.geometry).getBounds();
  return (bounds.getEast() - bounds.getWest()) * (bounds.getNorth() - bounds.getSouth());
}

async function itemsAt(layer, map, latlng, tolerance, signal) {
  const box = layer.kind === "polygon" ? pointBox(latlng) : boxAround(map, latlng, tolerance);
  const query = new URLSearchParams({ limit: MOST, bbox: box.map((edge) => edge.toFixed(9)).join(",") });
  if (layer.filter) query.set("filter", layer.filter);
  const response = await fetch(`${layer.items_url}?${query}`, { signal, headers: { Accept: "application/geo+json" } });
  if (!response.ok) throw new Error(say("failed_records", { layer: layer.title }));
  const page = await response.json();
  const more = Math.max(0, (page.numberMatched ?? 0) - page.features.length);
  return page.features.map((item) => ({ layer, item, more }));
}

function pointBox({ lng, lat }) {
  return [lng, lat, lng, lat];
}

function boxAround(map, latlng, tolerance) {
  const middle = map.latLngToContainerPoint(latlng);
  const southWest = map.containerPointToLatLng(middle.add([-tolerance, tolerance]));
  const northEast = map.containerPointToLatLng(middle.add([tolerance, -tolerance]));
  return [southWest.lng, southWest.lat, northEast.lng, northEast.lat];
}

/** Returns one record by its id, as `find` does. */
export async function findOne(layer, id, signal) {
  const address = itemAddress({ layer, item: { id } });
  const response = await fetch(address, { signal, headers: { Accept: "application/geo+json" } });
  if (!response.ok) throw new Error(say(response.status === 404 ? "gone" : "failed_records", { layer: layer.title }));
  return [{ layer, item: await response.json(), more: 0 }];
}

export function itemAddress({ layer, item }) {
  return `${layer.items_url}/${encodeURIComponent(item.id)}`;
}
