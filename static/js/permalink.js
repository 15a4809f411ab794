// The address of a view: #zoom/latitude/longitude, the hidden layers, the conditions of the filter, the picked record,
// the tool in use. What is in an address may come from anybody, so it is taken apart here and only numbers and known
// names leave.
import { readCondition, written } from "./filters.js";

const VIEW = /^(\d{1,2}(?:\.\d{1,2})?)\/(-?\d{1,2}(?:\.\d{1,7})?)\/(-?\d{1,3}(?:\.\d{1,7})?)$/;
const REACH = /^(walk|bike|drive)\/(\d{1,2})\/(-?\d{1,2}(?:\.\d{1,7})?)\/(-?\d{1,3}(?:\.\d{1,7})?)$/;

/** What an address asks for: `{view, hidden, where, item, reach, changes}`; lists are empty where it says nothing. */
export function readAddress(hash, layers) {
  const asked = { hidden: [], where: [] };
  for (const part of hash.replace(/^#/, "").split("&")) {
    const [name, ...rest] = part.split("=");
    const text = rest.join("=");
    const match = VIEW.exec(name);
    if (match) asked.view = place(match.slice(2)) && { zoom: Number(match[1]), ...place(match.slice(2)) };
    else if (name === "hidden") asked.hidden = layers.filter(({ id }) => decoded(text).split(",").includes(id));
    else if (name === "where") asked.where.push(readCondition(decoded(text), layers));
    else if (name === "item") asked.item = record(decoded(text), layers);
    else if (name === "reach") asked.reach = reach(REACH.exec(decoded(text)));
    else if (name === "changes") asked.changes = layers.find(({ id }) => id === decoded(text));
  }
  asked.where = asked.where.filter(Boolean);
  if (asked.view?.zoom > 22) asked.view = undefined;
  return asked;
}

/** The address of a view, from what the map shows. */
export function writeAddress(map, { hidden, where, picked, reach, changes }) {
  const { lat, lng } = map.getCenter();
  const parts = [`${map.getZoom()}/${lat.toFixed(5)}/${lng.toFixed(5)}`];
  if (hidden.length) parts.push(`hidden=${hidden.map(({ id }) => encodeURIComponent(id)).join(",")}`);
  parts.push(...where.map((condition) => `where=${encodeURIComponent(written(condition))}`));
  if (reach) parts.push(`reach=${reach.mode}/${reach.minutes}/${reach.lat.toFixed(5)}/${reach.lng.toFixed(5)}`);
  if (changes) parts.push(`changes=${encodeURIComponent(changes.id)}`);
  if (picked) parts.push(`item=${encodeURIComponent(picked.layer.id)}/${encodeURIComponent(picked.item.id)}`);
  return `#${parts.join("&")}`;
}

/** The address of the map for print or as a picture: what the window shows of the layers that are not hidden. */
export function pictureAddress(address, map, { hidden, where }) {
  const { lat, lng } = map.getCenter();
  const { x, y } = map.getSize();
  const [width, height] = [x, y].map((side) => Math.min(2000, Math.max(200, Math.round(side))));
  const parts = [`center=${lng.toFixed(5)},${lat.toFixed(5)}`, `zoom=${map.getZoom()}`, `width=${width}`, `height=${height}`];
  if (hidden.length) parts.push(`hidden=${hidden.map(({ id }) => encodeURIComponent(id)).join(",")}`);
  if (where.length) parts.push(`where=${where.map((condition) => encodeURIComponent(listed(written(condition)))).join(",")}`);
  return `${address}${address.includes("?") ? "&" : "?"}${parts.join("&")}`;
}

/** A text as an entry of a list, which has commas between its entries. */
function listed(text) {
  return text.replaceAll("%", "%25").replaceAll(",", "%2C");
}

function place([latitude, longitude]) {
  const [lat, lng] = [Number(latitude), Number(longitude)];
  return Math.abs(lat) <= 85 && Math.abs(lng) <= 180 ? { lat, lng } : undefined;
}

function record(text, layers) {
  const [id, ...item] = text.split("/");
  const layer = layers.find((one) => one.id === id);
  return layer && item.length ? { layer, id: item.join("/") } : undefined;
}

function reach(match) {
  const where = match && place(match.slice(3));
  return where && { mode: match[1], minutes: Number(match[2]), ...where };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}
