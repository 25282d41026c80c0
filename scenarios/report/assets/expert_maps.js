// The heat map of layers and experts of one strategy: popularity, residency or misses.
plotlyReady.then(() => {
  const maps = report.expert_maps, plot = document.getElementById("experts-plot");
  const shown = report.runs.map((run, i) => ({ label: run.label, grids: maps.runs[i] })).filter((run) => run.grids);
  if (!plot || !shown.length) return;
  const n = maps.n_experts, rows = maps.layers.length, flat = rows > n; // the longer side lies across
  const whole = (count) => count.toLocaleString("en").replace(/,/g, "\u202f");
  const amount = (count) => (count < 100 ? count.toFixed(1) : whole(Math.round(count)));
  const percent = (share) => `${Math.round(100 * share)} %`;
  const kinds = [
    {
      title: "Popularity", unit: "uses", heat: maps.heat.uses, values: (of) => of.uses,
      sum: (of) => `${whole(total(of.uses))} uses, one for each expert that a layer needs in a step. ${half(of.uses, "them")}` +
        (shown.length > 1 && shown.every((each) => each.grids.uses === run.grids.uses) ? " The same for all strategies." : ""),
    },
    {
      title: "Residency", unit: "of the run on the GPU", heat: maps.heat.resident, values: (of) => of.resident, share: true,
      sum: (of) => `On average ${amount(total(of.resident) / maps.always)} of ${whole(n * rows)} experts are on the GPU, ` +
        `${whole(of.resident.filter((there) => there === maps.always).length).replace(/^0$/, "none")} of them all the time.`,
    },
    {
      title: "Misses", unit: "misses", heat: maps.heat.misses, values: (of) => of.misses,
      sum: (of) => total(of.misses)
        ? `${percent(total(of.misses) / total(of.uses))} of ${whole(total(of.uses))} uses missed: ` +
          `${fate(total(of.loaded), total(of.on_cpu))}. ${half(of.misses, "the misses")}`
        : `All ${whole(total(of.uses))} uses hit.`,
    },
  ];
  let run = shown[0], kind = kinds[0], popular = false, latest = 0;

  const opened = new Map(); // grids that have been unpacked, or are being
  function grid(number) {
    if (!opened.has(number)) opened.set(number, unpacked(maps.grids[number]));
    return opened.get(number);
  }

  async function read(grids) {
    const names = Object.keys(grids), of = {};
    (await Promise.all(names.map((name) => grid(grids[name])))).forEach((values, i) => { of[names[i]] = values; });
    of.misses = Array.from(of.loaded, (loads, i) => loads + of.on_cpu[i]);
    return of;
  }

  function total(values) {
    return values.reduce((sum, value) => sum + value, 0);
  }

  function fate(loaded, onCpu) {
    const parts = [[loaded, "loaded"], [onCpu, "computed on the CPU"]].filter(([each]) => each);
    return parts.map(([each, what]) => `${whole(each)} ${what}`).join(", ");
  }

  function half(values, what) { // how few experts make up half of it
    const sorted = Array.from(values).sort((a, b) => b - a), goal = total(values) / 2;
    let sum = 0, few = 0;
    while (sum < goal) sum += sorted[few++];
    return `Half of ${what} fall on ${whole(few)} of ${whole(n * rows)} experts.`;
  }

  // For each layer its experts, in the order in which they are drawn.
  function order(of) {
    return maps.layers.map((_, row) => {
      const experts = Array.from({ length: n }, (_, expert) => expert), at = (expert) => row * n + expert;
      if (!popular) return experts;
      return experts.sort((a, b) => of.uses[at(b)] - of.uses[at(a)] || of.tokens[at(b)] - of.tokens[at(a)] || a - b);
    });
  }

  function describe(of, row, expert) {
    const i = row * n + expert, tokens = of.tokens[i];
    return `<b>layer ${maps.layers[row]}, expert ${expert}</b><br>` +
      (of.uses[i] ? `${whole(of.uses[i])} uses by ${whole(tokens)} tokens` : "never used") + "<br>" +
      `on the GPU ${percent(of.resident[i] / maps.always)} of the run<br>` +
      (of.misses[i] ? `${whole(of.misses[i])} missed: ${fate(of.loaded[i], of.on_cpu[i])}` : of.uses[i] ? "no miss" : "");
  }

  function turned(table) {
    return flat ? table[0].map((_, column) => table.map((row) => row[column])) : table;
  }

  async function draw() {
    const turn = ++latest, of = await read(run.grids);
    if (turn !== latest) return; // something else has been chosen since
    const values = kind.values(of), { depth, marks } = scale(values);
    const experts = order(of), down = flat ? n : rows, height = Math.max(5, Math.min(24, Math.floor(460 / down)));
    const table = (cell) => turned(experts.map((list, row) => list.map((expert) => cell(row, expert))));
    const gap = Math.min(height, (plot.clientWidth - 66) / (flat ? rows : n)) > 6 ? 1 : 0;
    const byLayer = { tickvals: ticks(rows), ticktext: ticks(rows).map((row) => String(maps.layers[row])), title: "layer" };
    const byExpert = {
      tickvals: ticks(n), ticktext: ticks(n).map((expert) => String(expert + popular)),
      title: popular ? "popularity rank" : "expert",
    };
    const [across, upright] = flat ? [byLayer, byExpert] : [byExpert, byLayer];
    Plotly.react(plot, [{
      type: "heatmap", z: table((row, expert) => depth(values[row * n + expert])), zmin: 0, zmax: 1,
      colorscale: kind.heat.map((paint, i) => [i / (kind.heat.length - 1), colour(paint)]), showscale: false,
      xgap: gap, ygap: gap,
      customdata: table((row, expert) => describe(of, row, expert)), hovertemplate: "%{customdata}<extra></extra>",
    }], layout({
      uirevision: `${popular}`, height: 84 + down * height, margin: { l: 54, r: 12, t: 30, b: 54 },
      dragmode: narrow.matches ? false : "zoom", // so that a finger scrolls the page
      xaxis: { ...across, title: { text: across.title, standoff: 12 }, showgrid: false, ticklen: 0 },
      yaxis: {
        ...upright, title: { text: upright.title, standoff: 6 }, showgrid: false, ticklen: 0, autorange: "reversed",
      },
    }), config);
    document.getElementById("experts-sum").textContent = kind.sum(of);
    explain(marks);
  }

  // How deep a value is coloured, 0 to 1, and what stands for nothing, half as deep and most.
  function scale(values) {
    if (kind.share) return { depth: (value) => value / maps.always, marks: ["0 %", "50 %", "100 %"] };
    const most = values.reduce((top, value) => Math.max(top, value), 1);
    const root = total(values) < values.length * most / 4; // few stand out: make the others visible too
    const middle = most < 4 ? "" : whole(Math.round(most / (root ? 4 : 2)));
    return { depth: (value) => (root ? Math.sqrt(value / most) : value / most), marks: ["0", middle, whole(most)] };
  }

  function explain(marks) {
    const [unit, bar, ...places] = document.getElementById("experts-ramp").children;
    unit.textContent = kind.unit;
    bar.style.background = `linear-gradient(90deg, ${kind.heat.join(", ")})`;
    places.forEach((place, i) => { place.textContent = marks[i]; });
  }

  function ticks(count) {
    const step = [1, 2, 4, 8, 16, 32, 64, 128].find((each) => count / each <= (narrow.matches ? 8 : 16)) || 256;
    return Array.from({ length: Math.ceil(count / step) }, (_, i) => i * step);
  }

  const select = document.getElementById("experts-run");
  select.replaceChildren(...shown.map((each, i) => new Option(each.label, String(i))));
  select.addEventListener("change", () => { run = shown[Number(select.value)]; draw(); });
  choice(document.getElementById("experts-what"), kinds.map((each) => each.title), 0, (i) => { kind = kinds[i]; draw(); });
  choice(document.getElementById("experts-order"), ["by number", "by popularity"], 0, (i) => { popular = i === 1; draw(); });
  if (shown.length < report.runs.length) {
    const note = `Left out, to keep this file small: ${report.runs.length - shown.length} strategies.`;
    document.getElementById("experts-note").textContent = note;
  }
  draw();
  theme.redraw.push(draw);
});
