// A slider through the years of a layer that has days: the map and the table then show what there was by that year.
import { heading, say } from "./words.js";

const PAUSE = 250; // milliseconds after the slider stood still

export class Years {
  /** `element` is the part of the page; it stays hidden where no layer has a column of days. */
  constructor(element, filters) {
    this.filters = filters;
    this.part = (name) => element.querySelector(`[data-part="${name}"]`);
    this.choices = filters.layers.flatMap((layer) =>
      layer.columns.filter(({ type }) => type === "date").map((column) => ({ layer, column, operator: "until" })),
    );
    this.choices.forEach(({ layer, column }, index) => {
      this.part("column").add(new Option(`${layer.title}: ${heading(column)}`, index));
    });
    element.hidden = this.choices.length === 0;
    if (element.hidden) return;
    element.addEventListener("toggle", () => element.open && this.choose());
    this.part("column").addEventListener("change", () => this.choose());
    this.part("all").addEventListener("click", () => this.end());
    this.part("slider").addEventListener("input", () => {
      this.tell();
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.filters.add({ ...this.choice, value: `${this.part("slider").value}-12-31` }), PAUSE);
    });
  }

  get choice() {
    return this.choices[this.part("column").value];
  }

  /** The value that the filter has for the chosen column now, if any. */
  get held() {
    const { layer, column } = this.choice;
    return this.filters.of(layer).find((one) => one.column === column && one.operator === "until")?.value;
  }

  /** Takes the first and the last year of the chosen column as the ends of the slider. */
  async choose() {
    const { choice } = this;
    const slider = this.part("slider");
    slider.disabled = true;
    try {
      const [first, last] = await Promise.all([outermost(choice, ""), outermost(choice, "-")]);
      if (choice !== this.choice) return;
      if (first === undefined) throw new Error(say("years_none"));
      slider.min = first;
      slider.max = last;
      slider.disabled = false;
      this.follow();
    } catch (error) {
      this.part("year").textContent = error.message;
    }
  }

  /** Shows the year that the filter has. */
  follow() {
    const slider = this.part("slider");
    if (slider.disabled) return;
    slider.value = this.held?.slice(0, 4) ?? slider.max;
    this.tell();
  }

  tell() {
    const { value } = this.part("slider");
    const text = say("years_until", { year: value });
    this.part("slider").setAttribute("aria-valuetext", text);
    this.part("year").textContent = text;
  }

  end() {
    clearTimeout(this.timer);
    this.filters.remove(this.choice);
    this.follow();
  }
}

/** The year of the first (sign "") or the last (sign "-") day of a column; undefined where no record has one. */
async function outermost({ layer, column }, sign) {
  const query = new URLSearchParams({
    filter: `"${column.name}" IS NOT NULL`, sortby: sign + column.name, properties: column.name, limit: 1, skipGeometry: "true",
  });
  const response = await fetch(`${layer.items_url}?${query}`, { headers: { Accept: "application/geo+json" } });
  if (!response.ok) throw new Error(say("failed_records", { layer: layer.title }));
  return (await response.json()).features[0]?.properties[column.name].slice(0, 4);
}
