// Decode latency over the run: a line for each strategy.
plotlyReady.then(() => {
  const plot = document.getElementById("latency-plot"), hidden = new Set();
  const shown = report.runs.filter((run) => run.latency.x.length);
  if (!plot || !shown.length) return;

  function draw() {
    const values = shown.flatMap((run) => run.latency.median_s).filter((value) => value > 0);
    const least = Math.min(...values), most = Math.max(...values), log = most / least > 20;
    const scale = unit(most);
    const traces = shown.map((run, i) => ({
      type: "scatter", mode: run.latency.x.length > 1 ? "lines" : "markers", name: plain(run.label),
      x: run.latency.x, y: run.latency.median_s.map((value) => value * scale.factor), visible: !hidden.has(i),
      line: { color: colour(run.paint), width: i ? 1.5 : 2.5, dash: run.bracket ? "dot" : run.dashed ? "dash" : "solid" },
      marker: { color: colour(run.paint), size: 8 },
      customdata: run.latency.median_s.map((median, at) => text(run, at, median)),
      hovertemplate: "%{customdata}<extra></extra>",
    }));
    const marks = log ? decades(least, most) : [];
    Plotly.react(plot, traces.reverse(), layout({
      height: narrow.matches ? 320 : 400, margin: { l: 64, r: 12, t: 30, b: 50 }, hovermode: "closest", hoverdistance: 40,
      xaxis: { title: { text: "decode step", standoff: 12 }, showgrid: false, nticks: narrow.matches ? 5 : 10 },
      yaxis: log
        ? { type: "log", tickvals: marks.map((mark) => mark * scale.factor), ticktext: marks.map(seconds) }
        : { rangemode: "tozero", ticksuffix: ` ${scale.name}` },
    }), config);
  }

  function decades(least, most) { // 1, 2 and 5 of each; only 1 where that is many
    const steps = most / least > 1000 ? [1] : [1, 2, 5], marks = [];
    for (let e = Math.floor(Math.log10(least)); e <= Math.log10(most); e++) marks.push(...steps.map((step) => step * 10 ** e));
    return marks;
  }

  function text(run, at, median) {
    const of = run.latency, range = of.per_point > 1 ? `<br>from ${seconds(of.least_s[at])} to ${seconds(of.most_s[at])}` : "";
    return `<b>${plain(run.label)}</b><br>step ${of.x[at]}: ${seconds(median)}${range}`;
  }

  const bins = Math.max(...shown.map((run) => run.latency.per_point));
  if (bins > 1) {
    document.getElementById("latency-note").textContent = `Each point is the median of up to ${bins} consecutive steps.`;
  }
  legend(document.getElementById("latency-legend"),
    shown.map((run, key) => ({ key, label: run.label, paint: run.paint, dashed: run.dashed })), hidden, draw);
  draw();
  theme.redraw.push(draw);
});
