// Names on the map: along lines, inside polygons, beside points. Only fonts that the reader's device has.
/* global protomapsL */
import { valueOf } from "./features.js";
import { isNamed } from "./symbols.js";

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif";
const INK = "#26313b";
const HALO = "#ffffff";
const REPEAT = 320; // CSS pixels before a name is drawn again
const FIT = 0.5; // share of a name's width that has to fit into its polygon
const PRECEDENCE = ["point", "polygon", "line"]; // whose names go first

/** Returns the label rules of the layers with `style.label`; where names meet, those of sparser layers stay. */
export function labelRules(layers) {
  const rank = (layer) => PRECEDENCE.indexOf(layer.kind);
  const named = layers.filter((layer) => layer.style.label);
  return named.sort((a, b) => rank(a) - rank(b) || b.spacing_m - a.spacing_m).map(labelRule);
}

function labelRule(layer) {
  const place = { polygon: insidePolygon, line: alongLine, point: besidePoint }[layer.kind]();
  return {
    dataSource: String(layer.number),
    dataLayer: layer.tiles.name,
    symbolizer: { place: (layout, geometry, feature) => place(layout, geometry, worded(feature, layer)) },
    filter: (z) => isNamed(layer, z),
  };
}

/** The library draws text properties only, so the label's value is handed over as text. */
function worded(feature, layer) {
  const value = valueOf(feature, layer.style.label);
  return { ...feature, props: { text: value === undefined || value === null ? "" : String(value) } };
}

function look(size, weight) {
  return { labelProps: ["text"], fontFamily: FONT, fontSize: size, fontWeight: weight, fill: INK, stroke: HALO, lineHeight: 1.35 };
}

function alongLine() {
  const symbol = new protomapsL.LineLabelSymbolizer({
    ...look(11, 500),
    width: 3,
    position: 2, // centred on the line
    repeatDistance: REPEAT,
  });
  return (layout, geometry, feature) => symbol.place(layout, geometry, feature);
}

function besidePoint() {
  const symbol = new protomapsL.OffsetTextSymbolizer({
    ...look(11, 600),
    width: 1.5,
    offsetX: 7,
    offsetY: 0,
    placements: [3], // to the right
    maxLineChars: 22,
  });
  return (layout, geometry, feature) => symbol.place(layout, geometry, feature);
}

function insidePolygon() {
  const symbol = new protomapsL.CenteredTextSymbolizer({ ...look(12, 600), width: 1.5, maxLineChars: 16 });
  return (layout, geometry, feature) => {
    const run = widestRun(geometry);
    const labels = run && symbol.place(layout, [[run.middle]], feature);
    if (!labels || run.width < FIT * widthOf(labels[0].bboxes[0])) return undefined;
    labels[0].deduplicationKey = feature.props.text;
    labels[0].deduplicationDistance = REPEAT;
    return labels;
  };
}

function widthOf({ minX, maxX }) {
  return maxX - minX;
}

/** Returns the widest run inside a polygon at half the height of its largest ring, as `{width, middle}`, if any. */
function widestRun(rings) {
  const [top, bottom] = rings.map(heightOf).reduce((a, b) => (b[1] - b[0] > a[1] - a[0] ? b : a), [0, 0]);
  const y = (top + bottom) / 2;
  const crossings = rings.flatMap((ring) => crossingsAt(ring, y)).sort((a, b) => a - b);
  let best;
  for (let i = 0; i + 1 < crossings.length; i += 2) {
    const width = crossings[i + 1] - crossings[i];
    if (!best || width > best.width) best = { width, x: (crossings[i] + crossings[i + 1]) / 2 };
  }
  if (!best) return undefined;
  const middle = rings[0][0].clone();
  middle.x = best.x;
  middle.y = y;
  return { width: best.width, middle };
}

function heightOf(ring) {
  let [top, bottom] = [Infinity, -Infinity];
  for (const { y } of ring) {
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
  }
  return [top, bottom];
}

function crossingsAt(ring, y) {
  const found = [];
  for (let i = 1; i < ring.length; i += 1) {
    const [a, b] = [ring[i - 1], ring[i]];
    if (a.y > y !== b.y > y) found.push(a.x + ((y - a.y) / (b.y - a.y)) * (b.x - a.x));
  }
  return found;
}
