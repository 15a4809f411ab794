// What one does with a page: copy its link, print it. The buttons are hidden where they could do nothing.

const status = document.getElementById("action-status");

for (const button of document.querySelectorAll("button[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy || copied(button.dataset.copyFrom) || sharedAddress());
      status.textContent = button.dataset.copied;
    } catch {
      status.textContent = button.dataset.failed;
    }
  });
}

for (const button of document.querySelectorAll("button[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

/** The text of the element that a button belongs to; that of a frame for another page shows the view of this one. */
function copied(id) {
  const source = id && document.getElementById(id);
  if (!source) return "";
  if (source.id !== "embed-code") return source.textContent;
  const view = window.location.hash.replaceAll("&", "&amp;").replaceAll('"', "%22");
  source.value = source.value.replace(/src="([^"#]*)[^"]*"/, (_, address) => `src="${address}${view}"`);
  return source.value;
}

/** The address of this view, with the language in which it is read. */
function sharedAddress() {
  const address = new URL(window.location.href);
  address.searchParams.set("lang", document.documentElement.lang);
  return address.href;
}
