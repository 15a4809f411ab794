// A field that finds entries of a list by their words while one types; without this script it is not shown.

/** Letters without accents, in lower case: "Árboles" is found by "arboles". */
function plain(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

function join(field) {
  const entries = [...document.querySelectorAll(field.dataset.find)];
  const texts = entries.map((entry) => plain(entry.textContent));
  const status = field.parentElement.querySelector('[role="status"]');
  field.parentElement.hidden = false;
  const find = () => {
    const words = plain(field.value).split(/\s+/).filter(Boolean);
    entries.forEach((entry, index) => (entry.hidden = !words.every((word) => texts[index].includes(word))));
    const { none, one, many } = field.dataset;
    const count = entries.filter((entry) => !entry.hidden).length;
    status.textContent = words.length ? [none, one][count] ?? many.replace("{count}", count) : "";
  };
  field.addEventListener("input", find);
  field.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault()); // it sends no form
  if (field.value) find(); // a browser may restore what was typed
}

document.querySelectorAll("input[data-find]").forEach(join);
