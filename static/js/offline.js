// Keeps the site usable without a connection: brings the service worker, and says when a page is a copy or the
// connection is gone. Without service workers everything else is the same.

const note = document.getElementById("connection");
const { lang, dataset: { kept } } = document.documentElement; // the worker marks a copy

function tell() {
  if (kept) {
    const words = new Intl.DateTimeFormat(`${lang}-u-nu-latn`, { dateStyle: "long", timeStyle: "short" });
    const moment = words.format(new Date(kept));
    const again = document.createElement("a");
    again.href = window.location.href;
    again.textContent = note.dataset.again;
    again.addEventListener("click", (event) => {
      event.preventDefault(); // an address with a fragment would not be loaded anew
      window.location.reload();
    });
    note.replaceChildren(note.dataset.kept.replace("{moment}", moment), " ", again);
  } else note.textContent = navigator.onLine ? "" : note.dataset.offline;
}

/** Lists the pages that are kept on this device, by their titles, on the page that is shown without a connection. */
async function listKept(list) {
  const scope = new URL("../../", import.meta.url).pathname;
  const name = (await caches.keys()).find((one) => one.startsWith(`${scope} pages `));
  if (!name) return;
  const cache = await caches.open(name);
  for (const request of await cache.keys()) {
    const html = await (await cache.match(request, { ignoreVary: true })).text();
    const link = document.createElement("a");
    link.href = request.url;
    link.textContent = new DOMParser().parseFromString(html, "text/html").title;
    const entry = document.createElement("li");
    entry.append(link);
    list.append(entry);
  }
  list.parentElement.hidden = !list.children.length;
}

async function join() {
  const [visit] = performance.getEntriesByType("navigation");
  try {
    await navigator.serviceWorker.register(new URL("../../worker.js", import.meta.url));
    if (visit?.workerStart) return; // the worker saw this page come
    const { active } = await navigator.serviceWorker.ready;
    active.postMessage({ seen: [window.location.href.split("#")[0]] });
    // What was asked for before the worker was in charge, and what of it still comes.
    const tell = (entries) => active.postMessage({ seen: entries.getEntries().map(({ name }) => name) });
    new PerformanceObserver(tell).observe({ type: "resource", buffered: true });
  } catch {
    // a browser that keeps nothing: the site needs none of this
  }
}

if (note) {
  tell();
  for (const change of ["online", "offline"]) window.addEventListener(change, tell);
}
const list = document.getElementById("kept-pages");
if (list && "caches" in window) listKept(list);
if ("serviceWorker" in navigator && window.top === window) {
  if (document.readyState === "complete") join();
  else window.addEventListener("load", join, { once: true });
}
