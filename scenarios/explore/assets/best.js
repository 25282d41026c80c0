// The ten best runs that the filters leave, each to be had as a scenario.
(() => {
  const table = document.getElementById("best-table"), box = document.getElementById("best-yaml");
  const others = model.columns.filter((item) => item.role !== "strategy" && item.distinct.length > 1);
  const by = options(document.getElementById("best-by"), model.figures.filter((item) => item.better).map((item) => [item.key, item.title]), first.key);

  function element(name, text, extra = {}) {
    return Object.assign(document.createElement(name), { textContent: text, ...extra });
  }

  function ten() {
    const item = model.get(by.value), sign = item.better === "lower" ? 1 : -1;
    const able = model.shown.filter((row) => model.feasible[row] && !Number.isNaN(item.number[row]));
    return able.sort((a, b) => sign * (item.number[a] - item.number[b]) || a - b).slice(0, 10);
  }

  function line(row, at) {
    const made = document.createElement("tr"), copy = element("button", "copy as scenario", { type: "button", className: "plain" });
    copy.addEventListener("click", () => give(row));
    const cell = document.createElement("td");
    cell.append(copy);
    const name = element("th", `${at + 1}  ${model.columns[0].label(model.columns[0].number[row])}`, { scope: "row" });
    made.dataset.row = row;
    made.append(name, ...others.map((item) => element("td", item.label(item.number[row]))), cell);
    return made;
  }

  async function give(row) {
    const text = yaml.of(row), said = document.getElementById("best-copied");
    document.getElementById("best-text").textContent = text;
    box.hidden = false;
    try {
      await navigator.clipboard.writeText(text);
      said.textContent = "Copied; `moesim run` takes it as a file.";
    } catch (_) { // a page from a file may not be allowed to
      said.textContent = "Copy this into a file for `moesim run`.";
    }
  }

  function draw() {
    const head = document.createElement("thead"), row = document.createElement("tr"), body = document.createElement("tbody");
    row.append(element("th", "Strategy", { scope: "col" }), ...others.map((item) => element("th", item.title, { scope: "col" })), element("th", "", { scope: "col" }));
    head.append(row);
    body.append(...ten().map(line));
    table.replaceChildren(head, body);
  }

  by.addEventListener("change", draw);
  figure(draw);
})();
