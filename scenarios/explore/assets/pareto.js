// Two figures against each other, with the front of those that feasible runs reach.
const fronts = {
  // Rows that no other is as good as in both figures and better in one, in the order of the first.
  of(across, up, rows) {
    const signs = [across, up].map((item) => (item.better === "lower" ? 1 : -1));
    const able = rows.filter((row) => !Number.isNaN(across.number[row]) && !Number.isNaN(up.number[row]));
    able.sort((a, b) => signs[0] * (across.number[a] - across.number[b]) || signs[1] * (up.number[a] - up.number[b]));
    const found = [];
    let least = Infinity, at = NaN;
    for (const row of able) {
      const loss = signs[1] * up.number[row];
      if (loss < least || (loss === least && across.number[row] === at)) { found.push(row); least = loss; at = across.number[row]; }
    }
    return found;
  },
};

(() => {
  const plot = document.getElementById("pareto-plot"), list = document.getElementById("pareto-legend"), note = document.getElementById("pareto-note");
  const webgl = Boolean(document.createElement("canvas").getContext("webgl"));
  const figures = model.figures.map((item) => [item.key, item.title]);
  const asked = report.objectives.map((each) => each.figure).filter((key) => figures.some(([known]) => known === key));
  const other = figures.map(([key]) => key).find((key) => key !== asked[0]);
  const [x, y] = [["pareto-x", asked[1] ?? other ?? asked[0]], ["pareto-y", asked[0] ?? other]].map(([id, key]) => options(document.getElementById(id), figures, key));
  const paint = options(document.getElementById("pareto-colour"), model.named.map((item) => [item.key, item.title]), model.named[0]?.key);

  function axis(item) {
    const values = item.distinct, log = values[0] > 0 && values[values.length - 1] > 50 * values[0];
    return { title: { text: plain(item.unit && item.unit !== "share" ? `${item.title}, ${item.unit}` : item.title), standoff: 12 }, type: log ? "log" : "linear", ...(item.unit === "share" ? { tickformat: ".0%" } : {}), ...(log ? { dtick: "D2" } : {}) };
  }

  function bounds(item, side) { // the constraints on one of the two figures
    return report.constraints.filter((each) => each.figure === item.key).flatMap((each) => [each.at_least, each.at_most]).filter((at) => at != null).map((at) => ({
      type: "line", [`${side}0`]: at, [`${side}1`]: at, ...(side === "x" ? { yref: "paper", y0: 0, y1: 1 } : { xref: "paper", x0: 0, x1: 1 }),
      line: { color: colour("var(--bad)"), width: 1, dash: "dash" },
    }));
  }

  function points(rows, across, up, name, fill) {
    return {
      type: webgl ? "scattergl" : "scatter", mode: "markers", name: plain(name), x: rows.map((row) => across.number[row]), y: rows.map((row) => up.number[row]),
      customdata: rows, hoverinfo: "none",
      marker: { color: fill, size: model.shown.length > 2000 ? 5 : 7, symbol: rows.map((row) => (model.feasible[row] ? "circle" : "circle-open")), opacity: 0.85, line: { width: 1.2, color: fill } },
      selected: { marker: { opacity: 0.85 } }, unselected: { marker: { opacity: 0.85 } },
    };
  }

  function draw() {
    const across = model.get(x.value), up = model.get(y.value), by = model.get(paint.value);
    const groups = by ? by.distinct.map((value, place) => [by.label(value), `var(--s${place % 8})`, model.shown.filter((row) => by.place[row] === place)]) : [["runs", "var(--s0)", model.shown]];
    const front = fronts.of(across, up, model.shown.filter((row) => model.feasible[row]));
    const traces = groups.filter(([, , rows]) => rows.length).map(([name, fill, rows]) => points(rows, across, up, name, colour(fill)));
    traces.unshift({
      type: "scatter", mode: "lines", x: front.map((row) => across.number[row]), y: front.map((row) => up.number[row]), hoverinfo: "skip",
      line: { color: colour("var(--ink)"), width: 1.5, shape: across.better === "lower" ? "hv" : "vh" }, name: "front",
    });
    Plotly.react(plot, traces, layout({
      height: narrow.matches ? 380 : 520, margin: { l: 64, r: 12, t: 34, b: 56 }, hovermode: "closest", dragmode: narrow.matches ? false : "select",
      xaxis: axis(across), yaxis: axis(up), shapes: [...bounds(across, "x"), ...bounds(up, "y")], selections: [],
    }), { ...config, modeBarButtons: [["select2d", "zoom2d", "pan2d", "resetScale2d", "toImage"]] });
    list.replaceChildren(...groups.map(([name, fill]) => {
      const entry = document.createElement("li");
      entry.textContent = name;
      entry.style.setProperty("--paint", fill);
      return entry;
    }));
    note.textContent = `${front.length} of ${model.shown.length.toLocaleString("en")} runs are on the front.`;
  }

  figure(draw);
  plot.on("plotly_hover", (event) => { if (event.points[0].customdata !== undefined) tip.show(event.event, event.points[0].customdata); });
  plot.on("plotly_unhover", () => tip.hide());
  plot.on("plotly_selected", (event) => {
    if (!event?.range) return;
    const ends = (range) => [Math.min(...range), Math.max(...range)];
    model.keep(x.value, ends(event.range.x));
    model.keep(y.value, ends(event.range.y));
    model.update("pareto");
  });
  [x, y, paint].forEach((select) => select.addEventListener("change", draw));
})();
