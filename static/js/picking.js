// From a place on the map to the items there.
import { valueOf } from "./features.js";

/** Returns the items drawn at a position, top layer first, each once: `{layer, id}`. */
export function find(drawing, latlng, tolerance) {
  const seen = new Set();
  return drawing.at(latlng, tolerance).flatMap(({ layer, feature }) => {
    const id = itemId(layer, feature);
    const key = `${layer.number} ${id}`;
    if (id === undefined || seen.has(key)) return [];
    seen.add(key);
    return [{ layer, id }];
  });
}

/** The id of an item is its id column's value; a tile without that column carries it as the feature's number. */
function itemId(layer, feature) {
  const id = valueOf(feature, layer.id_column) ?? feature.id;
  return id === undefined || id === null ? undefined : String(id);
}

/** Fetches an item; `signal` ends the wait. Throws an Error with a sentence for people. */
export async function fetchItem({ layer, id }, signal) {
  const response = await fetch(itemAddress({ layer, id }), { signal, headers: { Accept: "application/geo+json" } });
  if (!response.ok) throw new Error(`This record could not be loaded (${response.status}).`);
  return response.json();
}

export function itemAddress({ layer, id }) {
  return `${layer.items_url}/${encodeURIComponent(id)}`;
}
