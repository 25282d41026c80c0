// Three figures of one replay: curves over capacity, causes of misses, and layers.
const policies = report.policies;
const height = () => (narrow.matches ? 320 : 420);
const percents = { tickformat: ".0%", rangemode: "tozero" };

function line(policy, x, y, text) {
  return {
    type: "scatter", mode: x.length > 1 ? "lines+markers" : "markers", name: plain(policy.label), x, y, customdata: text,
    line: { color: colour(policy.paint), width: policy.reference ? 1.5 : 2, dash: policy.dashed ? "dash" : policy.reference ? "dot" : "solid" },
    marker: { color: colour(policy.paint), size: 5 }, hovertemplate: "%{customdata}<extra></extra>",
  };
}

function share(value) {
  return value === null ? "no accesses" : `${Number((100 * value).toPrecision(3))} %`;
}

function choices(id, draw) {
  const select = document.getElementById(id);
  report.labels.forEach((label, at) => select.add(new Option(label, at, at === report.typical, at === report.typical)));
  select.addEventListener("change", draw);
  return () => Number(select.value);
}

function figure(id, lines, draw) {
  const hidden = new Set();
  const redraw = () => draw(document.getElementById(`${id}-plot`), hidden);
  legend(document.getElementById(`${id}-legend`), lines, hidden, redraw);
  theme.redraw.push(redraw);
  return redraw;
}

const keys = policies.map((policy, key) => ({ key, label: policy.label, paint: policy.paint, dashed: policy.dashed }));
const shown = (hidden) => policies.filter((_, key) => !hidden.has(key));

figure("curves", keys, (plot, hidden) => {
  const x = report.capacities.map((capacity) => (report.in_bytes ? capacity / 2 ** 20 : capacity / report.cache_experts));
  const traces = shown(hidden).map((policy) => line(policy, x, policy.ratios,
    policy.ratios.map((ratio, at) => `<b>${plain(policy.label)}</b><br>${report.labels[at]}: ${share(ratio)} miss`)));
  Plotly.react(plot, traces, layout({
    height: height(), margin: { l: 56, r: 12, t: 34, b: 50 }, hovermode: "closest",
    xaxis: { title: { text: report.in_bytes ? "cache, MiB" : "share of experts in the cache", standoff: 12 }, ...(report.in_bytes ? { rangemode: "tozero" } : percents) },
    yaxis: percents,
  }), config);
})();

const { causes } = report; // of misses
let splitAt;
const drawSplit = figure("split", causes, (plot, hidden) => {
  const rows = policies.filter((policy) => policy.label !== "static-oracle").reverse();
  const traces = causes.filter((cause) => !hidden.has(cause.key)).map((cause) => ({
    type: "bar", orientation: "h", name: cause.label, y: rows.map((policy) => plain(policy.label)),
    x: rows.map((policy) => policy.split[splitAt()][cause.key] / report.accesses), marker: { color: colour(cause.paint) },
    customdata: rows.map((policy) => policy.split[splitAt()][cause.key].toLocaleString("en")),
    hovertemplate: `<b>%{y}</b><br>${cause.label}: %{customdata} misses, %{x:.1%} of accesses<extra></extra>`,
  }));
  Plotly.react(plot, traces, layout({
    barmode: "relative", bargap: 0.35, height: 90 + 30 * rows.length, margin: { l: 110, r: 12, t: 34, b: 50 },
    xaxis: { title: { text: "misses, share of accesses", standoff: 12 }, ...percents }, yaxis: { showgrid: false },
  }), config);
});
splitAt = choices("split-capacity", drawSplit);
drawSplit();

if (report.by_layer) {
  let layerAt;
  const drawLayers = figure("layers", keys, (plot, hidden) => {
    const traces = shown(hidden).map((policy) => {
      const ratios = policy.layers[layerAt()];
      return line(policy, ratios.map((_, layer) => layer), ratios,
        ratios.map((ratio, layer) => `<b>${plain(policy.label)}</b><br>layer ${layer}: ${share(ratio)} miss`));
    });
    Plotly.react(plot, traces, layout({
      height: height(), margin: { l: 56, r: 12, t: 34, b: 50 }, hovermode: "closest",
      xaxis: { title: { text: "MoE layer", standoff: 12 }, showgrid: false }, yaxis: percents,
    }), config);
  });
  layerAt = choices("layers-capacity", drawLayers);
  drawLayers();
}
