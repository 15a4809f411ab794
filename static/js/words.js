// The words of the scripts in the page's language, and its way of writing numbers and days.

const { words, locale } = JSON.parse(document.getElementById("page-data").textContent);
const NUMBERS = new Intl.NumberFormat(locale, { maximumFractionDigits: 6 });
const DAYS = new Intl.DateTimeFormat(locale, { dateStyle: "long", timeZone: "UTC" });

/** A text by its name, with values in the places of their names; values are put in as they are, so show it as text. */
export function say(name, values = {}) {
  return words[name].replace(/\{(\w+)\}/g, (place, key) => (Object.hasOwn(values, key) ? String(values[key]) : place));
}

export function number(value) {
  return NUMBERS.format(value);
}

/** A figure that was measured or worked out: to three digits at least, and to whole ones. */
export function rounded(value) {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return new Intl.NumberFormat(locale, { maximumFractionDigits: digits }).format(value);
}

/** A moment to the minute, as the pages write it. */
function moment(value) {
  return say("moment", { day: DAYS.format(value), time: value.toISOString().slice(11, 16) });
}

/** A value of a column as people read it; an empty one is undefined. */
export function worded(value, column) {
  if (value === null || value === undefined || value === "") return undefined;
  if (typeof value === "boolean") return say(value ? "yes" : "no");
  if (column.type === "datetime" && !Number.isNaN(Date.parse(value))) return moment(new Date(value));
  if (column.type === "date" && /^\d{4}-\d\d-\d\d$/.test(value)) return DAYS.format(new Date(value));
  const code = column.codes.find(([known]) => known === String(value));
  if (code && code[1]) return `${code[1]} (${value})`;
  const text = typeof value === "number" && column.unit ? number(value) : String(value);
  return column.unit ? `${text} ${value === 1 ? column.unit : column.units}` : text;
}

export function heading(column) {
  return column.meaning || column.name;
}

/** What a record is called: as the registry says, by its label, its name, else by its first column. */
export function nameOf(layer, item) {
  const { columns, style, title_column } = layer;
  const named = [title_column, style.label, "name"].map((wanted) => columns.find(({ name }) => name === wanted));
  const column = named.find(Boolean) ?? columns[0];
  return (column && worded(item.properties?.[column.name], column)) ?? String(item.id);
}
