// Predicted against measured times, on logarithmic axes.
plotlyReady.then(() => {
  const plot = document.getElementById("scatter-plot"), { points } = report;
  const scenarios = [...new Set(points.map((each) => each.scenario))];
  const all = points.flatMap((each) => [each.predicted_s, each.measured_s]).filter((time) => time > 0);
  const ends = [Math.min(...all) / 1.3, Math.max(...all) * 1.3];

  function draw() {
    const scale = unit(ends[1]), shown = (time) => time * scale.factor;
    const line = (factor, dash) => ({
      type: "scatter", mode: "lines", x: ends.map(shown), y: ends.map((end) => shown(end) * factor), hoverinfo: "skip",
      line: { color: colour("var(--ink-3)"), width: 1, dash }, showlegend: false,
    });
    const traces = scenarios.map((name, i) => {
      const mine = points.filter((each) => each.scenario === name), paint = colour(`var(--s${i % 8})`);
      const bars = (each, low, high) => ({ type: "data", symmetric: false, array: mine.map(high), arrayminus: mine.map(low), color: paint, thickness: 1, width: 3 });
      return {
        type: "scatter", mode: "markers", name: plain(name), x: mine.map((each) => shown(each.measured_s)), y: mine.map((each) => shown(each.predicted_s)),
        marker: { color: paint, size: 8, symbol: i < 8 ? "circle" : "diamond" },
        error_x: bars(mine, (each) => (shown(each.measured_s) * (each.spread || 0)) / 2, (each) => (shown(each.measured_s) * (each.spread || 0)) / 2),
        error_y: bars(mine, (each) => (each.range_s ? shown(each.predicted_s - each.range_s[0]) : 0), (each) => (each.range_s ? shown(each.range_s[1] - each.predicted_s) : 0)),
        customdata: mine.map((each) => `<b>${plain(each.label)}</b><br>${plain(name)}<br>${each.text}`), hovertemplate: "%{customdata}<extra></extra>",
      };
    });
    const axis = (title) => ({ type: "log", title: { text: `${title}, ${scale.name}` }, range: ends.map((end) => Math.log10(shown(end))), dtick: "D2" });
    Plotly.react(plot, [line(1, "solid"), line(1.1, "dot"), line(1 / 1.1, "dot"), ...traces], layout({
      height: narrow.matches ? 420 : 560, margin: { l: 64, r: 12, t: 12, b: narrow.matches ? 130 : 60 }, hovermode: "closest", showlegend: true,
      legend: narrow.matches ? { orientation: "h", y: -0.2 } : {}, xaxis: axis("measured"), yaxis: axis("predicted"),
    }), config);
  }
  draw();
  theme.redraw.push(draw);
});
