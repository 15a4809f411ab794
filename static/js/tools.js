// The buttons on the map: the whole screen, the reader's own place, measuring.
/* global L */
import { number, say } from "./words.js";

const PLACE_ZOOM = 17;
const PATHS = {
  screen: "M3 8V3h5M12 3h5v5M17 12v5h-5M8 17H3v-5",
  locate: "M10 1v4M10 15v4M1 10h4M15 10h4M10 5a5 5 0 1 0 0 10a5 5 0 0 0 0-10",
  measure: "M2 14L14 2l4 4L6 18zM6 10l2 2M9 7l3 3M12 4l2 2",
};

/** Puts the buttons on the map; `clicks.take` is what a tool in use does with a click on it. */
export function joinTools(map, clicks, announce) {
  const bar = L.control({ position: "topleft" });
  bar.onAdd = () => {
    const element = L.DomUtil.create("div", "leaflet-bar map-tools");
    L.DomEvent.disableClickPropagation(element);
    element.append(...[wholeScreen(map, announce), locating(map, announce), measuring(map, clicks)].filter(Boolean));
    return element;
  };
  bar.addTo(map);
}

function tool(name, path) {
  const button = document.createElement("button");
  button.type = "button";
  const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 20 20", width: 20, height: 20, "aria-hidden": true })) {
    icon.setAttribute(key, value);
  }
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  icon.append(line);
  button.append(icon);
  button.title = name;
  button.setAttribute("aria-label", name);
  return button;
}

function wholeScreen(map, announce) {
  if (!document.fullscreenEnabled) return undefined;
  const frame = map.getContainer().closest(".map-frame");
  const button = tool(say("screen"), PATHS.screen);
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => (document.fullscreenElement ? document.exitFullscreen() : frame.requestFullscreen()));
  document.addEventListener("fullscreenchange", () => {
    const isWhole = document.fullscreenElement === frame;
    button.setAttribute("aria-pressed", String(isWhole));
    announce(say(isWhole ? "screen_whole" : "screen_left"));
  });
  return button;
}

function locating(map, announce) {
  if (!navigator.geolocation) return undefined;
  const button = tool(say("locate"), PATHS.locate);
  let shown;
  button.addEventListener("click", () => {
    announce(say("locating"));
    navigator.geolocation.getCurrentPosition(
      ({ coords: { latitude, longitude, accuracy } }) => {
        shown?.remove();
        const place = [latitude, longitude];
        const about = L.circle(place, { radius: accuracy, color: "#0a5796", weight: 1, fillOpacity: 0.15, interactive: false });
        const spot = { radius: 8, color: "#ffffff", weight: 3, fillColor: "#0a5796", fillOpacity: 1, interactive: false };
        shown = L.layerGroup([about, L.circleMarker(place, spot)]).addTo(map);
        map.setView(place, Math.max(map.getZoom(), PLACE_ZOOM), { animate: false });
        announce(say("located", { metres: number(Math.round(accuracy)), feet: number(Math.round(accuracy / 0.3048)) }));
      },
      () => announce(say("not_located_map"), true),
      { timeout: 10000, maximumAge: 60000 },
    );
  });
  return button;
}

function measuring(map, clicks) {
  const element = document.getElementById("measure");
  if (!element) return undefined;
  const button = tool(say("measure"), PATHS.measure);
  button.setAttribute("aria-expanded", "false");
  button.setAttribute("aria-controls", "measure");
  let ruler;
  button.addEventListener("click", async () => {
    const { Ruler } = await import("./measuring.js");
    ruler ??= new Ruler(element, map, clicks, button);
    ruler.toggle();
  });
  return button;
}
