// The address of a view: #zoom/latitude/longitude, the hidden layers, the picked record. What is in an address may
// come from anybody, so it is taken apart here and only numbers and known names leave.

const VIEW = /^(\d{1,2}(?:\.\d{1,2})?)\/(-?\d{1,2}(?:\.\d{1,7})?)\/(-?\d{1,3}(?:\.\d{1,7})?)$/;

/** What an address asks for: `{view, hidden, item}`, each only where it is there and well formed. */
export function readAddress(hash, layers) {
  const asked = {};
  for (const part of hash.replace(/^#/, "").split("&")) {
    const [name, ...rest] = part.split("=");
    const value = decoded(rest.join("="));
    const match = VIEW.exec(name);
    if (match) {
      const [zoom, lat, lng] = match.slice(1).map(Number);
      if (zoom <= 22 && Math.abs(lat) <= 85 && Math.abs(lng) <= 180) asked.view = { zoom, lat, lng };
    } else if (name === "hidden") {
      asked.hidden = layers.filter(({ id }) => value.split(",").includes(id));
    } else if (name === "item") {
      const [id, ...item] = value.split("/");
      const layer = layers.find((one) => one.id === id);
      if (layer && item.length) asked.item = { layer, id: item.join("/") };
    }
  }
  return asked;
}

/** The address of a view, from what the map shows. */
export function writeAddress(map, hidden, picked) {
  const { lat, lng } = map.getCenter();
  const parts = [`${map.getZoom()}/${lat.toFixed(5)}/${lng.toFixed(5)}`];
  if (hidden.length) parts.push(`hidden=${hidden.map(({ id }) => encodeURIComponent(id)).join(",")}`);
  if (picked) parts.push(`item=${encodeURIComponent(picked.layer.id)}/${encodeURIComponent(picked.item.id)}`);
  return `#${parts.join("&")}`;
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}
