// Reads an archive with the npm package pmtiles, by HTTP Range as a browser without a tile server does. Standard
// input: JSON {address, tiles: [[z, x, y], ...]}. Standard output: JSON {header, metadata, digests, statuses}, where
// digests has the SHA-256 of each tile's decompressed bytes (null: empty), and statuses those of all answers.
import { createHash } from "node:crypto";
import { text } from "node:stream/consumers";
import { FetchSource, PMTiles } from "pmtiles";

const { address, tiles } = JSON.parse(await text(process.stdin));
const statuses = [];
const fetchOnce = globalThis.fetch;
globalThis.fetch = async (...request) => {
  const answer = await fetchOnce(...request);
  statuses.push(answer.status);
  return answer;
};

const archive = new PMTiles(new FetchSource(address));
const digests = [];
for (const tile of tiles) {
  const found = await archive.getZxy(...tile);
  digests.push(found ? createHash("sha256").update(new Uint8Array(found.data)).digest("hex") : null);
}
const header = await archive.getHeader();
process.stdout.write(JSON.stringify({ header, metadata: await archive.getMetadata(), digests, statuses }));
