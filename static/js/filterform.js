// The form beside the map by which its records are filtered, and the list of the conditions that hold.
import { isAskable, kindOf, OPERATORS } from "./filters.js";
import { heading, number, say, worded } from "./words.js";

export class FilterForm {
  /** `element` is the part of the page; `announce` says a sentence where the part is closed. */
  constructor(element, filters, announce) {
    this.element = element;
    this.filters = filters;
    this.announce = announce;
    this.layers = filters.layers.filter(({ columns, kind }) => columns.length && kind !== "raster");
    this.part = (name) => element.querySelector(`[data-part="${name}"]`);
    this.part("layer").addEventListener("change", () => this.chooseLayer());
    this.part("column").addEventListener("change", () => this.chooseColumn());
    this.part("operator").addEventListener("change", () => this.chooseOperator());
    this.part("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.apply();
    });
    this.part("clear").addEventListener("click", () => {
      filters.set([]);
      this.part("layer").focus();
    });
    const [largest] = [...this.layers].sort((a, b) => b.count - a.count); // the outline of the city is seldom meant
    if (largest) this.part("layer").value = largest.id;
    this.chooseLayer();
    element.hidden = this.layers.length === 0;
  }

  get layer() {
    return this.layers.find(({ id }) => id === this.part("layer").value);
  }

  get column() {
    return this.layer.columns.find(({ name }) => name === this.part("column").value);
  }

  chooseLayer() {
    if (!this.layer) return;
    this.part("column").replaceChildren(...this.layer.columns.map((column) => option(column.name, heading(column))));
    this.chooseColumn();
  }

  chooseColumn() {
    const operators = OPERATORS[kindOf(this.column)];
    this.part("operator").replaceChildren(...operators.map((name) => option(name, say(`filter_${name}`))));
    this.value = field(this.column);
    this.part("value").replaceChildren(this.value);
    this.value.addEventListener("input", () => this.value.setCustomValidity(""));
    this.part("unit").textContent = this.column.units ?? "";
    this.chooseOperator();
  }

  chooseOperator() {
    const needsNone = this.part("operator").value === "empty";
    this.part("value-field").hidden = needsNone;
    this.value.required = !needsNone;
  }

  apply() {
    const operator = this.part("operator").value;
    const value = operator === "empty" ? "" : this.value.value.trim();
    const condition = { layer: this.layer, column: this.column, operator, value };
    if (isAskable(condition)) {
      this.filters.add(condition);
      return;
    }
    this.value.setCustomValidity(say("filter_unusable"));
    this.value.reportValidity();
  }

  /** Lists the conditions that hold now, and says how many records do. */
  async show(changed) {
    const { conditions } = this.filters;
    const items = conditions.map((condition) => this.line(condition));
    const focused = this.part("conditions").contains(document.activeElement);
    this.part("conditions").replaceChildren(...items);
    this.part("clear").hidden = conditions.length < 2;
    this.part("active").textContent = conditions.length ? ` (${number(conditions.length)})` : "";
    if (conditions.length) this.element.open = true;
    if (focused) (this.part("conditions").querySelector("button") ?? this.part("layer")).focus();
    this.waiting?.abort();
    this.waiting = new AbortController();
    try {
      const { signal } = this.waiting;
      const sentences = await Promise.all(changed.map((layer) => this.counted(layer, signal)));
      this.tell(sentences.join(" "));
    } catch (error) {
      if (error.name !== "AbortError") this.tell(error.message);
    }
  }

  tell(sentence) {
    this.part("status").textContent = sentence;
    if (!this.element.open) this.announce(sentence);
  }

  async counted(layer, signal) {
    if (!layer.filter) return say("filter_gone", { layer: layer.title });
    const query = new URLSearchParams({ filter: layer.filter, limit: 1, skipGeometry: "true" });
    const response = await fetch(`${layer.items_url}?${query}`, { signal, headers: { Accept: "application/geo+json" } });
    if (!response.ok) throw new Error(say("failed_records", { layer: layer.title }));
    const { numberMatched } = await response.json();
    const values = { layer: layer.title, count: number(numberMatched ?? 0), all: number(layer.count) };
    return say(numberMatched ? "filter_count" : "filter_zero", values);
  }

  line(condition) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = say("filter_remove");
    const text = sentence(condition);
    button.setAttribute("aria-label", say("filter_remove_one", { condition: text }));
    button.addEventListener("click", () => this.filters.remove(condition));
    const span = document.createElement("span");
    span.textContent = text;
    item.append(span, button);
    return item;
  }
}

/** A condition as people read it. */
export function sentence({ layer, column, operator, value }) {
  const parts = [heading(column), say(`filter_${operator}`), operator === "empty" ? "" : readable(column, value)];
  return `${layer.title}: ${parts.filter(Boolean).join(" ")}`;
}

function readable(column, value) {
  if (column.type === "boolean") return say(value === "true" ? "yes" : "no");
  const isNumber = ["integer", "number"].includes(column.type);
  const isDay = kindOf(column) === "day";
  return worded(isNumber ? Number(value) : value, isDay ? { ...column, type: "date" } : column);
}

/** What a value is given in: a list where the values are known, else a field of the right kind. */
function field(column) {
  const kind = kindOf(column);
  if (kind === "choice") {
    const choices = column.type === "boolean" ? [["true", say("yes")], ["false", say("no")]] : column.codes;
    const plain = ([code, meaning]) => column.type === "boolean" || !meaning || meaning === code;
    const select = document.createElement("select");
    select.append(...choices.map((one) => option(one[0], plain(one) ? one[1] || one[0] : `${one[1]} (${one[0]})`)));
    select.id = "filter-value";
    return select;
  }
  const input = document.createElement("input");
  input.id = "filter-value";
  input.type = { number: "text", day: "date", text: "text" }[kind];
  if (kind === "number") input.inputMode = "decimal";
  input.maxLength = 100;
  input.autocomplete = "off";
  return input;
}

function option(value, text) {
  const made = document.createElement("option");
  made.value = value;
  made.textContent = text;
  return made;
}
