// Published against simulated, both logarithmic, with the band that counts as agreement.
(() => {
  const plot = document.getElementById("papers-plot"), hidden = new Set(), share = 0.25;
  const values = report.points.flatMap((p) => [p.reported, p.low, p.high]).filter((value) => value > 0);
  const ends = [Math.min(...values) / 1.6, Math.max(...values) * 1.6];

  function line(factor, dash, width) {
    return {
      type: "scatter", mode: "lines", x: ends, y: ends.map((end) => end * factor), hoverinfo: "skip",
      line: { color: colour("var(--ink-3)"), dash, width },
    };
  }

  function band() {
    return {
      type: "scatter", mode: "lines", x: [...ends, ...ends.slice().reverse()], hoverinfo: "skip", line: { width: 0 },
      y: [...ends.map((end) => end * (1 - share)), ...ends.slice().reverse().map((end) => end * (1 + share))],
      fill: "toself", fillcolor: colour("var(--raised)"),
    };
  }

  function points(name, number) {
    const mine = report.points.filter((p) => p.paper === number), paint = colour(`var(--s${number % 8})`);
    return {
      type: "scatter", mode: "markers", name: plain(name), x: mine.map((p) => p.reported), y: mine.map((p) => p.value),
      visible: !hidden.has(number),
      marker: { color: paint, size: 9, symbol: mine.map((p) => (p.bound ? "circle-open" : "circle")), line: { width: 1.5, color: paint } },
      error_y: {
        type: "data", symmetric: false, color: paint, thickness: 1.2, width: 0,
        array: mine.map((p) => p.high - p.value), arrayminus: mine.map((p) => p.value - p.low),
      },
      customdata: mine.map((p) => {
        const [reported, simulated, evidence] = p.texts.map(plain);
        return `<b>${plain(name)}</b>, ${plain(p.setting)}<br>${plain(p.says)}<br>reported ${reported} (${evidence})<br>simulated ${simulated}`;
      }),
      hovertemplate: "%{customdata}<extra></extra>",
    };
  }

  function draw() {
    const axis = { type: "log", range: ends.map(Math.log10), showgrid: true, dtick: 1, exponentformat: "power" };
    Plotly.react(plot, [band(), line(1, "solid", 1), ...report.papers.map(points)], layout({
      height: narrow.matches ? 420 : 720, margin: { l: 64, r: 12, t: 16, b: 56 }, hovermode: "closest", hoverdistance: 30,
      xaxis: { ...axis, title: { text: "reported, each in its own unit", standoff: 12 } },
      yaxis: { ...axis, title: { text: "simulated" } },
    }), config);
  }

  legend(document.getElementById("papers-legend"),
    report.papers.map((label, key) => ({ key, label, paint: `var(--s${key % 8})` })), hidden, draw);
  draw();
  theme.redraw.push(draw);
})();
