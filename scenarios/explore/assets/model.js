// The rows and what of them is shown: filters are kept here, and all figures follow.
const MOST_NAMED = 12; // distinct values of a column that are chosen one by one

function column(raw) {
  const number = raw.values ? Float64Array.from(raw.values, (v) => (v === null ? NaN : v)) : Float64Array.from(raw.codes);
  const distinct = [...new Set(number)].filter((v) => !Number.isNaN(v)).sort((a, b) => a - b);
  const few = Boolean(raw.names) || (raw.role !== "figure" && distinct.length <= MOST_NAMED);
  const places = new Map(distinct.map((value, place) => [value, place]));
  const item = {
    ...raw, number, distinct, few, text: Boolean(raw.names),
    low: distinct[0], high: distinct[distinct.length - 1],
    place: few ? Float64Array.from(number, (value) => places.get(value) ?? NaN) : null, // number of the distinct value
  };
  item.label = (value) => (item.text ? item.names[value] : reading(value, item.unit));
  return item;
}

function reading(value, unit) {
  if (value === null || Number.isNaN(value)) return "–";
  if (unit === "s") return seconds(value);
  if (unit === "share") return `${Number((100 * value).toPrecision(3))} %`;
  return `${Number(value.toPrecision(4))}${unit ? ` ${unit}` : ""}`;
}

const model = {
  columns: report.columns.map(column),
  size: report.points.length,
  feasible: Uint8Array.from(report.feasible, Number),
  filters: new Map(), // key -> Set of places (few), or [from, to] (many)
  feasibleOnly: false,
  listeners: [],
  shown: [],

  get(key) { return this.columns.find((each) => each.key === key); },
  get axes() { return this.columns.filter((each) => each.role === "axis"); },
  get figures() { return this.columns.filter((each) => each.role === "figure"); },
  get named() { return this.columns.filter((each) => each.role !== "figure" && each.few && each.distinct.length > 1); },

  // Keep of a column what lies in a range of its numbers; null lets go.
  keep(key, range) {
    const item = this.get(key);
    if (range === null) this.filters.delete(key);
    else if (item.few) this.choose(key, new Set(item.distinct.flatMap((value, place) => (value >= range[0] && value <= range[1] ? [place] : []))));
    else this.filters.set(key, range);
  },

  // Keep of a column some of its distinct values, by place; none or all lets go.
  choose(key, places) {
    const all = this.get(key).distinct.length;
    if (places.size === 0 || places.size === all) this.filters.delete(key);
    else this.filters.set(key, places);
  },

  update(source) {
    const tests = [...this.filters].map(([key, kept]) => {
      const item = this.get(key);
      return kept instanceof Set ? (row) => kept.has(item.place[row]) : (row) => item.number[row] >= kept[0] && item.number[row] <= kept[1];
    });
    if (this.feasibleOnly) tests.push((row) => this.feasible[row]);
    this.shown = [];
    for (let row = 0; row < this.size; row++) if (tests.every((test) => test(row))) this.shown.push(row);
    this.listeners.forEach((listener) => listener(source));
  },

  reset() {
    this.filters.clear();
    this.feasibleOnly = false;
    this.update("reset");
  },

  // Row with the best value of a figure among some; undefined if none has it.
  best(item, rows) {
    const sign = item.better === "lower" ? -1 : 1;
    let found, most = -Infinity;
    for (const row of rows) {
      const merit = sign * item.number[row];
      if (merit > most) [found, most] = [row, merit];
    }
    return found;
  },
};

// All that is known of a row, as lines for a hover.
function describe(row) {
  const lines = model.columns.filter((item) => !Number.isNaN(item.number[row])).map((item) => `${plain(item.title)}: ${plain(item.label(item.number[row]))}`);
  lines[0] = `<b>${plain(model.columns[0].label(model.columns[0].number[row]))}</b>, point ${report.points[row]}`;
  if (!model.feasible[row]) lines.push("misses a constraint");
  return lines.join("<br>");
}

// A note beside the pointer; Plotly's own would need the text of every point ahead.
const tip = {
  box: Object.assign(document.createElement("div"), { id: "tip", hidden: true }),
  show(event, row) {
    this.box.innerHTML = describe(row);
    this.box.hidden = false;
    const { width, height } = this.box.getBoundingClientRect();
    this.box.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 4))}px`;
    this.box.style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - height - 4))}px`;
  },
  hide() { this.box.hidden = true; },
};
document.body.append(tip.box);

function options(select, entries, chosen) {
  select.replaceChildren(...entries.map(([value, text]) => new Option(text, value, value === chosen, value === chosen)));
  return select;
}

// Draw now, and whenever the filters or the theme change.
function figure(draw) {
  draw();
  model.listeners.push(draw);
  theme.redraw.push(draw);
}


const first = model.get(report.objectives[0].figure) ?? model.figures[0];

// From bad to good.
function scale(item) {
  const paints = ["var(--line-2)", "var(--s0)", "var(--ink)"].map(colour);
  if (item.better === "lower") paints.reverse();
  return [0, 0.55, 1].map((at, i) => [at, paints[i]]);
}

model.update("start");
