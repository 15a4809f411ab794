// What one does with a page: copy its link, print it. The buttons are hidden where they could do nothing.

const status = document.getElementById("action-status");

for (const button of document.querySelectorAll("button[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy || sharedAddress());
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

/** The address of this view, with the language in which it is read. */
function sharedAddress() {
  const address = new URL(window.location.href);
  address.searchParams.set("lang", document.documentElement.lang);
  return address.href;
}
