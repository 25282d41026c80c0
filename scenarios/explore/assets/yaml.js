// A row as a scenario: the sweep's, with its fields set and its strategy alone.
const yaml = {
  of(row) {
    const set = Object.fromEntries(report.axes.map((path) => [path, this.value(path, row)]).filter(([, value]) => value !== null));
    if (!report.scenario) return this.text(set);
    const scenario = structuredClone(report.scenario);
    for (const [path, value] of Object.entries(set)) this.put(scenario, path, value);
    scenario.strategies = [scenario.strategies[report.nth[row]] ?? scenario.strategies[0]];
    return this.text(scenario);
  },

  value(path, row) {
    const item = model.get(path);
    if (!item) return path in report.fixed ? this.parsed(report.fixed[path]) : null;
    const value = item.number[row];
    if (!item.text) return Number.isNaN(value) ? null : value;
    return item.names[value] === "–" ? null : this.parsed(item.names[value]);
  },

  parsed(text) { // mappings, lists and numbers among texts are kept as JSON
    if (typeof text !== "string") return text;
    try { return JSON.parse(text); } catch (_) { return text; }
  },

  // As scenarios/vary.py has it: names of a machine's numbers hold dots themselves.
  put(data, path, value) {
    const dot = path.indexOf("."), field = dot < 0 ? path : path.slice(0, dot), rest = dot < 0 ? "" : path.slice(dot + 1);
    if (!rest) { data[field] = value; return; }
    if (field === "machine_with") { data[field] = { ...data[field], [rest]: value }; return; }
    if (Array.isArray(data) && typeof data[field] === "string") data[field] = { name: data[field] };
    data[field] ??= {};
    this.put(data[field], rest, value);
  },

  text(value, indent = "") {
    return Object.entries(value).map(([key, each]) => `${indent}${this.scalar(key)}:${this.under(each, indent)}`).join("");
  },

  under(value, indent) {
    if (Array.isArray(value) && value.some((each) => each && typeof each === "object")) {
      return `\n${value.map((each) => `${indent}  - ${this.flow(each)}\n`).join("")}`;
    }
    if (value && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length) return `\n${this.text(value, `${indent}  `)}`;
    return ` ${this.flow(value)}\n`;
  },

  flow(value) {
    if (Array.isArray(value)) return `[${value.map((each) => this.flow(each)).join(", ")}]`;
    if (value && typeof value === "object") return `{${Object.entries(value).map(([key, each]) => `${this.scalar(key)}: ${this.flow(each)}`).join(", ")}}`;
    return this.scalar(value);
  },

  scalar(value) {
    if (typeof value !== "string") return String(value);
    const safe = /^[A-Za-z_][\w./-]*$/.test(value) && !/^(true|false|null|yes|no|on|off|y|n)$/i.test(value);
    return safe ? value : JSON.stringify(value);
  },
};
