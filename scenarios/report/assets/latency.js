// Decode latency over the run, and its distribution: a line for each strategy.
plotlyReady.then(() => {
  const plot = document.getElementById("latency-plot"), hidden = new Set();
  const shown = report.runs.filter((run) => run.latency.x.length);
  if (!plot || !shown.length) return;

  let view = 0;

  function draw() {
    [overTheRun, distribution][view]();
    document.getElementById("latency-note").textContent = view || bins === 1 ? "" : `Each point is the median of up to ${bins} consecutive steps.`;
  }

  const look = (run, i) => ({
    type: "scatter", name: plain(run.label), visible: !hidden.has(i), hovertemplate: "%{customdata}<extra></extra>",
    line: { color: colour(run.paint), width: i ? 1.5 : 2.5, dash: run.bracket ? "dot" : run.dashed ? "dash" : "solid" },
    marker: { color: colour(run.paint), size: 8 },
  });
  const frame = { margin: { l: 64, r: 12, t: 30, b: 50 }, hovermode: "closest", hoverdistance: 40 };
  const tall = () => (narrow.matches ? 320 : 400);

  // The axis of times between two, logarithmic where they are far apart.
  function times(values) {
    const least = Math.min(...values), most = Math.max(...values), scale = unit(most), marks = decades(least, most);
    const log = { type: "log", tickvals: marks.map((mark) => mark * scale.factor), ticktext: marks.map(seconds) };
    return { scale, axis: most / least > 20 ? log : { rangemode: "tozero", ticksuffix: ` ${scale.name}` } };
  }

  // How many of the steps take at most how long.
  function distribution() {
    const { scale, axis } = times(shown.flatMap((run) => run.latency.quantiles_s).filter((value) => value > 0));
    const traces = shown.map((run, i) => ({
      ...look(run, i), mode: "lines", x: run.latency.quantiles_s.map((value) => value * scale.factor), y: run.latency.quantiles_s.map((_, percent) => percent),
      customdata: run.latency.quantiles_s.map((value, percent) => `<b>${plain(run.label)}</b><br>${percent} % of the steps take at most ${seconds(value)}`),
    }));
    Plotly.react(plot, traces.reverse(), layout({
      ...frame, height: tall(), xaxis: { ...axis, title: { text: "time of a step", standoff: 12 } }, yaxis: { range: [0, 101], ticksuffix: " %" },
    }), config);
  }

  function overTheRun() {
    const values = shown.flatMap((run) => run.latency.median_s).filter((value) => value > 0);
    const { scale, axis } = times(values);
    const traces = shown.map((run, i) => ({
      ...look(run, i), mode: run.latency.x.length > 1 ? "lines" : "markers",
      x: run.latency.x, y: run.latency.median_s.map((value) => value * scale.factor),
      customdata: run.latency.median_s.map((median, at) => text(run, at, median)),
    }));
    Plotly.react(plot, traces.reverse(), layout({
      ...frame, height: tall(), xaxis: { title: { text: "decode step", standoff: 12 }, showgrid: false, nticks: narrow.matches ? 5 : 10 }, yaxis: axis,
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
  choice(document.getElementById("latency-view"), ["Over the run", "Distribution"], view, (picked) => {
    view = picked;
    Plotly.purge(plot);
    draw();
  });
  legend(document.getElementById("latency-legend"),
    shown.map((run, key) => ({ key, label: run.label, paint: run.paint, dashed: run.dashed })), hidden, draw);
  draw();
  theme.redraw.push(draw);
});
