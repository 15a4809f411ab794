// The service worker: pages that were visited open without a connection, too, with the map as far as it was seen.
// The server writes one line before this program, SHELL: the edition of all files, their addresses, and the offline
// page in each language.
//
// Nothing grows stale in silence: scripts, styles and tiles are kept under addresses that hold a digest or a version,
// pages are always asked of the network first, and the copy of one says that it is a copy. Answers of the API and
// errors are never kept.
/* global SHELL */

const SCOPE = new URL(self.registration.scope).pathname;
const SHELL_CACHE = `${SCOPE} shell ${SHELL.edition}`;
const PAGE_CACHE = `${SCOPE} pages ${SHELL.edition}`;
const TILE_CACHE = `${SCOPE} tiles`;
const PAGES_MAX = 40;
const TILES_MAX = 1000;
const KEPT = "X-Kept-Since";

const FILE = /^(?:static|tiles|download|wmts)\/|\.[a-z]{2,8}$/; // what a click saves or shows outside our pages
const API = /^api(?:\/|$)/;
const TILE = /^tiles\/[^/]+\/v-[^/]+\/[0-9]+\/[0-9]+\/[0-9]+\.(?:mvt|png|webp|jpg)$/;
const ASSET = /^static\//;

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(activate()));
self.addEventListener("fetch", (event) => {
  const path = ours(event.request.url);
  if (event.request.method !== "GET" || path === undefined) return;
  if (event.request.mode === "navigate") {
    if (!FILE.test(path)) event.respondWith(page(event, path));
  } else if (TILE.test(path)) event.respondWith(lasting(event, TILE_CACHE));
  else if (ASSET.test(path)) event.respondWith(lasting(event, SHELL_CACHE));
});
// The page that brought this worker was loaded before it: it tells what it is made of.
self.addEventListener("message", (event) => event.waitUntil(Promise.allSettled(event.data.seen.map(remember))));

async function install() {
  const cache = await caches.open(SHELL_CACHE);
  await cache.addAll([...SHELL.assets, ...Object.values(SHELL.offline)]);
  await self.skipWaiting();
}

async function activate() {
  const current = [SHELL_CACHE, PAGE_CACHE, TILE_CACHE];
  const names = (await caches.keys()).filter((name) => name.startsWith(`${SCOPE} `) && !current.includes(name));
  await Promise.all(names.map((name) => caches.delete(name)));
  await self.clients.claim();
}

/** The path of an address below our scope; undefined for all others. */
function ours(address) {
  const { origin, pathname } = new URL(address);
  return origin === self.location.origin && pathname.startsWith(SCOPE) ? pathname.slice(SCOPE.length) : undefined;
}

async function page(event, path) {
  const { request } = event;
  try {
    const answer = await fetch(request);
    if (!API.test(path)) event.waitUntil(keepPage(request.url, answer.clone()));
    return answer;
  } catch {
    return (await keptPage(request.url)) ?? offlinePage(request.url);
  }
}

async function lasting(event, name) {
  const cache = await caches.open(name);
  const kept = await cache.match(event.request, { ignoreVary: true });
  if (kept) return kept;
  const answer = await fetch(event.request);
  event.waitUntil(keepLasting(cache, event.request.url, answer.clone()));
  return answer;
}

async function remember(address) {
  const path = ours(address);
  if (path === undefined) return;
  const name = TILE.test(path) ? TILE_CACHE : ASSET.test(path) ? SHELL_CACHE : undefined;
  if (!name) {
    if (!FILE.test(path) && !API.test(path)) await keepPage(address, await fetch(address, { headers: { Accept: "text/html" } }));
    return;
  }
  const cache = await caches.open(name);
  if (!(await cache.match(address, { ignoreVary: true }))) await keepLasting(cache, address, await fetch(address));
}

/** Keeps what its server says will never change; without room on the device nothing is kept, and nothing breaks. */
async function keepLasting(cache, address, answer) {
  if (![200, 204].includes(answer.status) || !/immutable/.test(answer.headers.get("Cache-Control") ?? "")) return;
  await cache.put(address, answer).catch(() => {});
  await trim(cache, TILES_MAX);
}

async function keepPage(address, answer) {
  const kind = answer.headers.get("Content-Type") ?? "";
  const refused = /no-store/.test(answer.headers.get("Cache-Control") ?? "");
  if (answer.status !== 200 || answer.redirected || refused || !kind.startsWith("text/html")) return;
  const headers = new Headers(answer.headers);
  headers.set(KEPT, new Date().toISOString());
  for (const name of ["Content-Encoding", "Content-Length"]) headers.delete(name);
  const cache = await caches.open(PAGE_CACHE);
  await cache.put(address, new Response(await answer.text(), { headers })).catch(() => {});
  await trim(cache, PAGES_MAX);
}

/** Lets go of what was kept longest. */
async function trim(cache, most) {
  const keys = await cache.keys();
  await Promise.all(keys.slice(0, Math.max(0, keys.length - most)).map((key) => cache.delete(key)));
}

/** The copy of a page, marked as one: the page then says since when it is kept. */
async function keptPage(address) {
  const cache = await caches.open(PAGE_CACHE);
  const kept = await cache.match(address, { ignoreVary: true });
  if (!kept) return undefined;
  const text = (await kept.text()).replace("<html ", `<html data-kept="${kept.headers.get(KEPT)}" `);
  return new Response(text, { headers: kept.headers });
}

async function offlinePage(address) {
  const wanted = [new URL(address).searchParams.get("lang"), ...self.navigator.languages.map((tag) => tag.slice(0, 2)), "en"];
  const language = wanted.find((code) => Object.hasOwn(SHELL.offline, code ?? ""));
  const cache = await caches.open(SHELL_CACHE);
  const kept = await cache.match(SHELL.offline[language], { ignoreVary: true });
  const headers = new Headers(kept.headers);
  for (const name of ["Content-Encoding", "Content-Length"]) headers.delete(name);
  return new Response(await kept.text(), { status: 503, headers });
}
