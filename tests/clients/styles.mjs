// Validates styles against the MapLibre style specification. Standard input: a JSON list of styles. Standard output:
// a JSON list with the messages for each, empty for a valid one.
import { text } from "node:stream/consumers";
import { validateStyleMin } from "@maplibre/maplibre-gl-style-spec";

const styles = JSON.parse(await text(process.stdin));
process.stdout.write(JSON.stringify(styles.map((style) => validateStyleMin(style).map((error) => error.message))));
