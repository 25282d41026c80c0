// The Gantt of lanes: one bar trace for each category of the chosen strategy and part of the run.
(() => {
  const plot = document.getElementById("gantt"), hidden = new Set(), { dispatch, wait } = report;
  const select = document.getElementById("gantt-run"), choice = document.getElementById("gantt-view");
  const runs = report.runs.filter((each) => each.views.length);
  if (!runs.length) return;
  let run = runs[0], part = run.views.length - 1;
  let view, ordered, lanes, scale, tick; // of what is shown; a tick is that many units of the axis

  select.replaceChildren(...runs.map((each, i) => new Option(each.label, String(i))));
  if (runs.length < report.runs.length) {
    const note = `Left out, to keep this file small: ${report.runs.length - runs.length} strategies.`;
    document.getElementById("gantt-note").textContent = note;
  }
  select.addEventListener("change", () => {
    run = runs[Number(select.value)];
    show(Math.min(part, run.views.length - 1));
  });

  function show(index) {
    part = index;
    view = run.views[part];
    lanes = [...new Set(view.bars.lane)].sort((a, b) => a - b);
    scale = unit(view.span * report.tick_s);
    tick = report.tick_s * scale.factor;
    ordered = lists(view.bars);
    choice.replaceChildren(...run.views.map((each, i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = each.title;
      button.setAttribute("aria-pressed", String(i === part));
      button.addEventListener("click", () => show(i));
      return button;
    }));
    const used = [...new Set(view.bars.category)].sort((a, b) => a - b);
    legend(document.getElementById("gantt-legend"), used.map((key) => ({ key, ...report.categories[key] })), hidden, draw);
    Plotly.purge(plot); // with it goes the zoom, and what a double-click resets to
    draw();
    plot.on("plotly_relayout", (change) => {
      if (Object.keys(change).some((key) => key.startsWith("xaxis"))) draw();
    });
  }

  function draw() {
    const full = [0, view.span * tick], range = plot.layout ? plot.layout.xaxis.range : full;
    Plotly.react(plot, traces(range.map((at) => at / tick)), layout({
      uirevision: true, // a zoom outlives a change of theme or of what is hidden
      barmode: "overlay", bargap: 0, dragmode: "zoom", hovermode: "closest",
      height: 114 + 50 * lanes.length, margin: { l: 64, r: 12, t: 52, b: 50 },
      xaxis: {
        range: full, ticksuffix: ` ${scale.name}`, nticks: narrow.matches ? 5 : 10,
        title: { text: `from ${seconds(view.start_s)} into the run`, standoff: 12 },
      },
      yaxis: {
        range: [lanes.length - 0.45, -0.55], fixedrange: true, showgrid: false, ticklen: 0,
        tickvals: lanes.map((_, i) => i), ticktext: lanes.map((lane) => `<b>${plain(run.lanes[lane])}</b>`),
      },
      ...steps(),
    }), config);
    label();
  }

  // One trace a category; beyond what is on the screen, as much again on either side, for panning.
  function traces([from, to]) {
    const span = to - from, pixel = span / Math.max(100, plot.clientWidth - 76), by = new Map();
    for (const list of ordered) {
      if (hidden.has(list.category)) continue;
      if (!by.has(list.category)) by.set(list.category, { base: [], x: [], y: [], customdata: [] });
      const trace = by.get(list.category);
      for (const [i, unseen] of visible(view.bars, list.index, from - span, to + span, pixel)) {
        trace.base.push(view.bars.start[i] * tick);
        trace.x.push(Math.max(view.bars.length[i], unseen ? pixel : 0) * tick);
        trace.y.push(lanes.indexOf(list.lane));
        trace.customdata.push(describe(i) + (unseen ? `<br>and ${unseen} more too short to be seen` : ""));
      }
    }
    const depth = (category) => (category === wait ? -1 : category); // short dispatches lie on top of long waits
    return [...by].sort(([a], [b]) => depth(a) - depth(b)).map(([category, trace]) => ({
      type: "bar", orientation: "h", width: 0.72, ...trace,
      marker: { color: colour(report.categories[category].paint), line: { width: 0 } },
      hovertemplate: "%{customdata}<extra></extra>",
    }));
  }

  function describe(i) {
    const bars = view.bars, host = bars.category[i] === dispatch;
    const kind = report.kinds[bars.kind[i]], expert = bars.expert[i];
    const name = kind !== "expert" ? kind : expert < 0 ? "shared or dense FFN" : `expert ${expert}`;
    const what = expert >= 0 && kind !== "expert" ? `${kind} of expert ${expert}` : name;
    const size = view.sizes[bars.size[i]];
    const details = [
      bars.layer[i] >= 0 && `layer ${bars.layer[i]}`,
      !host && report.categories[bars.category[i]].label,
      !host && size && bytes(size),
    ];
    return `<b>${host ? "dispatch of " : ""}${what}</b><br>${details.filter(Boolean).join(" · ")}<br>` +
      `${seconds(bars.length[i] * report.tick_s)}, from ${Number((bars.start[i] * tick).toPrecision(6))} ${scale.name}`;
  }

  // Lane names with how busy each is in what is on the screen.
  function label() {
    const bars = view.bars, [from, to] = plot.layout.xaxis.range, busy = new Map(lanes.map((lane) => [lane, 0]));
    for (let i = 0; i < bars.lane.length; i++) {
      if (bars.category[i] === wait) continue;
      const start = bars.start[i] * tick, end = start + bars.length[i] * tick, lane = bars.lane[i];
      busy.set(lane, busy.get(lane) + Math.max(0, Math.min(end, to) - Math.max(start, from)));
    }
    const share = (lane) => Math.round(100 * busy.get(lane) / (to - from));
    Plotly.relayout(plot, {
      "yaxis.ticktext": lanes.map((lane) => `<b>${plain(run.lanes[lane])}</b><br>${share(lane)} %`),
    });
  }

  function steps() {
    const line = { color: colour("var(--ink-3)"), width: 1, dash: "dot" };
    const ends = view.first_step === null ? [] : view.step_ends.map((end) => end * tick);
    return {
      shapes: ends.slice(0, -1).map((x) => ({ type: "line", x0: x, x1: x, yref: "paper", y0: 0, y1: 1, line })),
      annotations: ends.map((end, i) => ({
        x: ((ends[i - 1] || 0) + end) / 2, yref: "paper", y: 1, yanchor: "bottom", yshift: 2, showarrow: false,
        text: `step ${view.first_step + i}`, font: { color: colour("var(--ink-3)"), size: 11 },
      })),
    };
  }

  show(part);
  theme.redraw.push(draw);
})();
