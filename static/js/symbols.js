// How features look on the canvas, derived from the layer's declared style and from how crowded it is.

import { valueOf } from "./features.js";

const EARTH_CIRCUMFERENCE_M = 40075016.686;
const FULL_WIDTH_SPACING = 36; // CSS pixels between neighbours from which lines have their declared width
const NO_OUTLINE_SPACING = 6; // below this, outlines of polygons would only smear
const ROOM = { polygon: 60, line: 20, point: 64 }; // CSS pixels between neighbours before names are drawn

/** Mean distance between neighbouring features in CSS pixels at a zoom. */
export function spacing(layer, z) {
  const metresPerPixel = (EARTH_CIRCUMFERENCE_M * Math.cos((layer.latitude * Math.PI) / 180)) / (256 * 2 ** z);
  return layer.spacing_m / metresPerPixel;
}

/** Whether the names of a layer's features are drawn at a zoom. */
export function isNamed(layer, z) {
  return Boolean(layer.style.label) && spacing(layer, z) >= ROOM[layer.kind];
}

/** The query of a layer's tile, which is drawn a zoom later: what is drawn of it and no more, about half the bytes. */
export function tileQuery(layer, z) {
  const { columns, style: { by, label }, tiles: { maxzoom } } = layer;
  const drawn = columns.filter(({ name }) => name === by || name === label);
  if (drawn.length === columns.length) return ""; // these tiles are stored
  const isLabelled = z >= maxzoom || isNamed(layer, z + 1); // the last tiles are drawn at all later zooms, too
  const asked = drawn.filter(({ name }) => name === by || isLabelled);
  return `?properties=${asked.map(({ name }) => encodeURIComponent(name)).join(",")}&skipIds=true`;
}

/** Returns the paint symbolizer of a layer: an object with `draw(ctx, geometry, z, feature)`. */
export function symbolizer(layer) {
  const draw = { polygon: drawPolygon, line: drawLine, point: drawPoint }[layer.kind];
  const colour = colours(layer.style);
  return { draw: (ctx, geometry, z, feature) => draw(ctx, geometry, z, layer, colour(feature)) };
}

function colours(style) {
  if (!style.by) return () => style.color;
  if (style.classes.some(({ least }) => least !== null)) return (feature) => inRange(style, valueOf(feature, style.by));
  const byValue = new Map(style.classes.map(({ value, color }) => [value, color]));
  return (feature) => byValue.get(String(valueOf(feature, style.by))) ?? style.color;
}

/** The colour of the class that a number lies in: the last whose smallest number is not above it. */
function inRange(style, value) {
  return (typeof value === "number" && style.classes.findLast(({ least }) => least <= value)?.color) || style.color;
}

function drawPolygon(ctx, geometry, z, layer, colour) {
  const { style } = layer;
  trace(ctx, geometry);
  if (style.opacity > 0) {
    ctx.globalAlpha = style.opacity;
    ctx.fillStyle = colour;
    ctx.fill();
  }
  const crowd = spacing(layer, z);
  if (style.width > 0 && (crowd >= NO_OUTLINE_SPACING || style.opacity === 0)) {
    ctx.globalAlpha = 1;
    ctx.strokeStyle = style.outline;
    ctx.lineWidth = style.width * share(crowd, 0.4, 1);
    ctx.lineJoin = "round";
    ctx.stroke();
  }
}

function drawLine(ctx, geometry, z, layer, colour) {
  const { style } = layer;
  trace(ctx, geometry);
  ctx.globalAlpha = style.opacity;
  ctx.strokeStyle = colour;
  ctx.lineWidth = style.width * share(spacing(layer, z), 0.3, 2);
  ctx.lineJoin = ctx.lineCap = "round";
  ctx.stroke();
}

function drawPoint(ctx, geometry, z, layer, colour) {
  const { style } = layer;
  const radius = style.radius * share(spacing(layer, z), 0.22, 1);
  ctx.beginPath();
  for (const [position] of geometry) {
    ctx.moveTo(position.x + radius, position.y);
    ctx.arc(position.x, position.y, radius, 0, 2 * Math.PI);
  }
  ctx.globalAlpha = style.opacity;
  ctx.fillStyle = colour;
  ctx.fill();
  if (style.width > 0 && radius >= 2) {
    ctx.strokeStyle = style.outline;
    ctx.lineWidth = style.width;
    ctx.stroke();
  }
}

function share(crowd, least, most) {
  return Math.min(most, Math.max(least, crowd / FULL_WIDTH_SPACING));
}

function trace(ctx, geometry) {
  ctx.beginPath();
  for (const ring of geometry) {
    ring.forEach((position, index) => (index ? ctx.lineTo(position.x, position.y) : ctx.moveTo(position.x, position.y)));
  }
}
