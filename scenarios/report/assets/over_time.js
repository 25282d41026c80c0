// Cache, link and devices step by step: a line for each strategy, or a bar where there is only one step.
plotlyReady.then(() => {
  const plot = document.getElementById("over-time-plot"), hidden = new Set();
  const phases = ["decode", "prefill"].filter((name) => report.over_time.some((run) => run[name].x.length));
  if (!plot || !phases.length) return;
  const percent = (share) => `${Number((100 * share).toPrecision(3))} %`;
  const busy = (lane, title, what) => ({
    title, share: true, there: (part) => lane in part.busy && part.busy[lane].some((share) => share > 0),
    values: (part) => part.busy[lane] || part.x.map(() => null), text: (part, i) => `${what} busy ${percent(part.busy[lane][i])} of the time`,
  });
  const kinds = [
    {
      title: "Hit rate", share: true, there: (part) => part.uses.some((uses) => uses),
      values: (part) => part.uses.map((uses, i) => (uses ? part.hits[i] / uses : null)),
      text: (part, i) => `${percent(part.hits[i] / part.uses[i])} hits, ${part.hits[i]} of ${part.uses[i]} uses`,
    },
    {
      title: "Loaded", share: false, there: () => true, values: (part) => part.x.map((_, i) => loaded(part, i)),
      text: (part, i) => [`${bytes(1e9 * loaded(part, i))} a step`, ...Object.entries(part.loaded_gb)
        .filter(([, each]) => each[i]).map(([why, each]) => `${bytes(1e9 * each[i])} ${why}`)].join("<br>"),
    },
    busy("H2D", "Link busy", "link to the GPU"), busy("GPU", "GPU busy", "GPU"), busy("CPU", "CPU busy", "CPU"),
  ].filter((each) => report.over_time.some((run) => phases.some((phase) => each.there(run[phase]))));
  let kind = kinds[0], phase = phases[0];

  function loaded(part, i) {
    return Object.values(part.loaded_gb).reduce((sum, each) => sum + each[i], 0);
  }

  function draw() {
    const shown = report.runs.map((run, key) => ({ ...run, key, part: report.over_time[key][phase] }))
      .filter((run) => run.part.x.length);
    const single = shown.every((run) => run.part.x.length === 1);
    const { factor, name } = kind.share ? { factor: 100, name: "%" } : size(Math.max(...shown.flatMap((run) => kind.values(run.part))));
    const traces = shown.map((run, i) => {
      const values = kind.values(run.part).map((value) => (value === null ? null : factor * value));
      const dash = run.bracket ? "dot" : run.dashed ? "dash" : "solid", paint = colour(run.paint);
      return {
        name: plain(run.label), y: values, visible: !hidden.has(run.key),
        customdata: values.map((value, at) => (value === null ? "" : text(run, at))), hovertemplate: "%{customdata}<extra></extra>",
        ...(single
          ? { type: "bar", x: [i], marker: { color: paint, pattern: { shape: dash === "solid" ? "" : "/", size: 6 } },
              text: values.map(brief), textposition: "outside", textangle: 0, cliponaxis: false }
          : { type: "scatter", mode: values.length > 40 ? "lines" : "lines+markers", x: run.part.x,
              line: { color: paint, width: i ? 1.5 : 2.5, dash }, marker: { color: paint, size: 5 } }),
      };
    });
    Plotly.react(plot, single ? traces : traces.reverse(), layout({
      height: narrow.matches ? 320 : 400, margin: { l: 64, r: 12, t: 30, b: 50 }, hovermode: "closest", hoverdistance: 40,
      xaxis: {
        title: { text: single ? `the only ${phase} step` : `${phase} step`, standoff: 12 }, showgrid: false,
        nticks: narrow.matches ? 5 : 10, showticklabels: !single,
      },
      yaxis: kind.share ? { range: [0, 104], ticksuffix: " %" } : { rangemode: "tozero", ticksuffix: ` ${name}` },
    }), config);
    note(shown);
  }

  function brief(value) {
    return value === null ? "–" : `${Number(value.toPrecision(2))}`;
  }

  function size(most_gb) {
    return most_gb >= 1 ? { factor: 1, name: "GB" } : most_gb >= 1e-3 ? { factor: 1e3, name: "MB" } : { factor: 1e6, name: "kB" };
  }

  function text(run, at) {
    const first = at * run.part.per_point + 1, last = 2 * run.part.x[at] - first;
    const steps = first < last ? `steps ${first}–${last}` : `step ${first}`;
    return `<b>${plain(run.label)}</b><br>${steps}: ${kind.text(run.part, at)}`;
  }

  function note(shown) {
    const bins = Math.max(...shown.map((run) => run.part.per_point));
    document.getElementById("over-time-note").textContent = bins > 1 ? `Each point is the mean of up to ${bins} consecutive steps.` : "";
  }

  choice(document.getElementById("over-time-what"), kinds.map((each) => each.title), 0, (i) => { kind = kinds[i]; draw(); });
  choice(document.getElementById("over-time-phase"), phases.map((name) => name[0].toUpperCase() + name.slice(1)), 0, (i) => {
    phase = phases[i];
    draw();
  });
  legend(document.getElementById("over-time-legend"),
    report.runs.map((run, key) => ({ key, label: run.label, paint: run.paint, dashed: run.dashed })), hidden, draw);
  draw();
  theme.redraw.push(draw);
});
