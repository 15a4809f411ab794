// Reads tiles with @mapbox/vector-tile, as browsers do. Standard input: a JSON list of addresses. Standard output: a
// JSON object, address to null (an empty tile) or to its layers with all that the decoder made of them.
import { text } from "node:stream/consumers";
import { VectorTile, VectorTileFeature, classifyRings } from "@mapbox/vector-tile";
import { PbfReader } from "pbf";

async function read(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  return answer.status === 204 ? null : decode(new Uint8Array(await answer.arrayBuffer()));
}

function decode(bytes) {
  const tile = new VectorTile(new PbfReader(bytes));
  const layers = Object.values(tile.layers).map((layer) => {
    const features = Array.from({ length: layer.length }, (_, row) => describe(layer.feature(row)));
    return [layer.name, { version: layer.version, extent: layer.extent, features }];
  });
  return Object.fromEntries(layers);
}

function describe(feature) {
  const lines = feature.loadGeometry();
  const type = VectorTileFeature.types[feature.type];
  const { id, properties } = feature;
  const types = Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, typeof value]));
  const parts = type === "Polygon" ? classifyRings(lines).map((rings) => rings.length) : lines.map((line) => line.length);
  return { id, type, properties, types, parts };
}

const addresses = JSON.parse(await text(process.stdin));
const tiles = {};
for (const address of addresses) tiles[address] = await read(address);
process.stdout.write(JSON.stringify(tiles));
