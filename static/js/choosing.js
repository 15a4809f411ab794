// The form that chooses the layers of a map: a short address, and the view of the map that is shown already.
for (const form of document.querySelectorAll("form.chooser")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const layers = [...form.querySelectorAll('input[name="layers"]:checked')].map(({ value }) => value);
    if (!layers.length || layers.length > Number(form.dataset.most)) {
      form.querySelector(".chooser-status").textContent = form.dataset.wrong;
      return;
    }
    const lang = form.querySelector('input[name="lang"]')?.value;
    const view = window.location.hash.split("&")[0]; // what was hidden or picked belongs to the map before
    window.location.assign(`${form.action}?layers=${layers.join(",")}${lang ? `&lang=${lang}` : ""}${view}`);
  });
}
