// What the records of a layer are filtered by: conditions on its columns, as a person chooses them, as CQL2 for the
// service, and as a part of the page's address. A layer's `filter` is what tiles, table and picking all ask with.

const MOST = 8; // conditions at once

/** The conditions that a column can be asked for, by what kind of values it has. */
export const OPERATORS = {
  choice: ["is", "empty"],
  text: ["contains", "is", "empty"],
  number: ["least", "most", "is", "empty"],
  day: ["since", "until", "empty"],
};

const SIGNS = { is: "=", least: ">=", most: "<=", since: ">=", until: "<=" };
const NUMBER = /^-?\d{1,15}(?:\.\d{1,9})?$/;
const DAY = /^\d{4}-\d\d-\d\d$/;
const LONGEST = 100; // characters of a value

/** What kind of values a column has: `choice`, `text`, `number` or `day`. */
export function kindOf({ type, codes }) {
  if (codes.length || type === "boolean") return "choice";
  return { integer: "number", number: "number", date: "day", datetime: "day" }[type] ?? "text";
}

/** Whether a column can be asked for this value in this way; what is not well formed reaches no server. */
export function isAskable({ column, operator, value }) {
  if (!OPERATORS[kindOf(column)].includes(operator)) return false;
  if (operator === "empty") return value === "";
  if (value === "" || value.length > LONGEST) return false;
  if (column.type === "boolean") return ["true", "false"].includes(value);
  if (["integer", "number"].includes(column.type)) return NUMBER.test(value);
  if (kindOf(column) === "day") return DAY.test(value) && !Number.isNaN(Date.parse(value));
  return true;
}

/** A condition as CQL2. */
export function cql({ column, operator, value }) {
  const name = `"${column.name.replaceAll('"', '""')}"`;
  if (operator === "empty") return `${name} IS NULL`;
  if (operator === "contains") return `CASEI(${name}) LIKE CASEI(${quoted(`%${value.replace(/[\\%_]/g, "\\$&")}%`)})`;
  return `${name} ${SIGNS[operator]} ${literal(column, operator, value)}`;
}

function literal({ type }, operator, value) {
  if (type === "boolean") return value.toUpperCase();
  if (["integer", "number"].includes(type)) return value;
  if (type === "date") return `DATE(${quoted(value)})`;
  if (type === "datetime") return `TIMESTAMP(${quoted(value + (operator === "until" ? "T23:59:59.999999Z" : "T00:00:00Z"))})`;
  return quoted(value);
}

function quoted(text) {
  return `'${text.replaceAll("'", "''")}'`;
}

/** A condition as a part of an address: layer.column.operator.value. */
export function written({ layer, column, operator, value }) {
  return [layer.id, column.name, operator, value].join(".");
}

/** The condition that a part of an address names; undefined for one that is not about these layers. */
export function readCondition(text, layers) {
  const [id, name, operator, ...rest] = text.split(".");
  const layer = layers.find((one) => one.id === id);
  const column = layer?.columns.find((one) => one.name === name);
  const condition = { layer, column, operator, value: rest.join(".") };
  return column && isAskable(condition) ? condition : undefined;
}

export class Filters {
  /** `changed` is called with the layers whose filter is another one than before. */
  constructor(layers, changed) {
    this.layers = layers;
    this.changed = changed;
    this.conditions = [];
    for (const layer of layers) layer.filter = "";
  }

  /** Adds a condition; it takes the place of one on the same column in the same way. */
  add(condition) {
    this.set([...this.conditions.filter((one) => !same(one, condition)), condition]);
  }

  remove(condition) {
    this.set(this.conditions.filter((one) => !same(one, condition)));
  }

  set(conditions) {
    this.conditions = conditions.slice(-MOST);
    const changed = this.layers.filter((layer) => layer.filter !== this.text(layer));
    for (const layer of changed) layer.filter = this.text(layer);
    if (changed.length) this.changed(changed);
  }

  of(layer) {
    return this.conditions.filter((one) => one.layer === layer);
  }

  text(layer) {
    return this.of(layer).map(cql).join(" AND ");
  }
}

function same(one, other) {
  return one.layer === other.layer && one.column === other.column && one.operator === other.operator;
}
