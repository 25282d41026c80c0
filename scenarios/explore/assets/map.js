// Two axes, the best run in each place, contours, and the line along which two rivals are level.
(() => {
  const plot = document.getElementById("map-plot"), note = document.getElementById("map-note"), fixed = document.getElementById("map-fixed");
  const axes = model.axes.filter((item) => !item.text), section = document.getElementById("map");
  if (axes.length < 2) { section.hidden = true; return; }
  const names = axes.map((item) => [item.key, item.title]);
  const [x, y] = [["map-x", 0], ["map-y", 1]].map(([id, at]) => options(document.getElementById(id), names, axes[at].key));
  const shown = options(document.getElementById("map-figure"), model.figures.filter((item) => item.better).map((item) => [item.key, item.title]), first.key);
  const strategies = model.columns[0];
  const of = options(document.getElementById("map-of"), [["", "the best of all"], ...strategies.distinct.map((value, place) => [String(place), strategies.label(value)])], "");
  const rivals = model.named.filter((item) => item.text && item.distinct.length <= 40).flatMap((item) => item.distinct.map((value, place) => [`${item.key} ${place}`, item.role === "strategy" ? item.label(value) : `${item.title} ${item.label(value)}`]));
  const pair = ["map-first", "map-second"].map((id, at) => options(document.getElementById(id), [["", "–"], ...rivals], rivals[at]?.[0] ?? ""));
  const held = new Map(); // key -> place that an axis is held at

  function choices() { // one for each axis that is not drawn
    const others = model.axes.filter((item) => item.few && item.key !== x.value && item.key !== y.value);
    [...held.keys()].filter((key) => !others.some((item) => item.key === key)).forEach((key) => held.delete(key));
    fixed.replaceChildren(...others.map((item) => {
      const label = document.createElement("label"), select = document.createElement("select");
      label.append(item.title, select);
      options(select, [["", "best over all"], ...item.distinct.map((value, place) => [String(place), item.label(value)])], String(held.get(item.key) ?? ""));
      select.dataset.key = item.key;
      select.addEventListener("change", () => {
        select.value === "" ? held.delete(item.key) : held.set(item.key, Number(select.value));
        draw();
      });
      return label;
    }));
  }

  function rows() {
    return model.shown.filter((row) => model.feasible[row] && [...held].every(([key, place]) => model.get(key).place[row] === place));
  }

  const rival = (select) => { const at = select.value.lastIndexOf(" "); return { item: model.get(select.value.slice(0, at)), place: Number(select.value.slice(at + 1)) }; };

  function crossing(across, up, item, all) {
    if (pair.some((select) => !select.value) || pair[0].value === pair[1].value) return [];
    const [one, two] = pair.map((select) => {
      const { item: by, place } = rival(select);
      return grids.best(across, up, item, all.filter((row) => by.place[row] === place)).map((line) => line.map((row) => item.number[row]));
    });
    return grids.level(one, two);
  }

  function line(pieces, across, up) {
    const along = (at) => pieces.flatMap((piece) => [...piece.map((end) => end[at]), null]);
    const said = pieces.flatMap((piece) => [...piece.map(([i, j]) => `level at ${reading(grids.between(across.values, i))}, ${reading(grids.between(up.values, j))}`), ""]);
    return { type: "scatter", mode: "lines", x: along(0), y: along(1), text: said, hovertemplate: "%{text}<extra></extra>", line: { color: colour("var(--bad)"), width: 3.5 }, name: "level" };
  }

  function axis(places, item) {
    const every = Math.ceil(places.labels.length / (narrow.matches ? 6 : 14));
    return { title: { text: plain(item.title), standoff: 12 }, showgrid: false, tickvals: places.labels.flatMap((_, i) => (i % every ? [] : [i])), ticktext: places.labels.filter((_, i) => i % every === 0).map(plain), range: [-0.5, places.labels.length - 0.5] };
  }

  function draw() {
    const item = model.get(shown.value), across = grids.places(model.get(x.value)), up = grids.places(model.get(y.value));
    const all = rows(), mine = of.value === "" ? all : all.filter((row) => strategies.place[row] === Number(of.value));
    const best = grids.best(across, up, item, mine);
    const values = best.map((cells) => cells.map((row) => (row === undefined ? null : item.number[row])));
    const pieces = crossing(across, up, item, all);
    Plotly.react(plot, [
      { type: "heatmap", z: values, text: best.map((cells) => cells.map((row) => (row === undefined ? "" : describe(row)))), hovertemplate: "%{text}<extra></extra>", colorscale: scale(item), xgap: 1, ygap: 1, colorbar: { thickness: 10, outlinewidth: 0, tickfont: { color: colour("var(--ink-2)"), size: 11 }, title: { text: plain(item.unit ?? ""), font: { size: 11, color: colour("var(--ink-2)") } } } },
      { type: "contour", z: values, hoverinfo: "skip", showscale: false, contours: { coloring: "none", showlabels: true, labelfont: { size: 10, color: colour("var(--ink)") } }, line: { color: colour("var(--page)"), width: 1.2 }, connectgaps: false },
      line(pieces, across, up),
    ], layout({
      height: narrow.matches ? 380 : 500, margin: { l: 72, r: 12, t: 34, b: 60 }, hovermode: "closest", xaxis: axis(across, model.get(x.value)), yaxis: axis(up, model.get(y.value)),
    }), config);
    const places = [...held].map(([key, place]) => `${model.get(key).title} is ${model.get(key).label(model.get(key).distinct[place])}`);
    const open = model.axes.filter((each) => each.key !== x.value && each.key !== y.value && !held.has(each.key)).map((each) => each.title);
    note.textContent = [
      `Each place has the best ${item.title} of ${of.value === "" ? "all strategies" : strategies.label(strategies.distinct[Number(of.value)])}${open.length ? ` over ${open.join(", ")}` : ""}${report.feasible.includes("0") ? " that meets the constraints" : ""}`,
      ...places, ...(across.binned || up.binned ? ["values are put into bins"] : []),
      pair.every((select) => select.value) && !pieces.length ? "the two rivals are nowhere level here" : "",
    ].filter(Boolean).join("; ") + ".";
  }

  const again = () => { choices(); draw(); };
  [x, y].forEach((select) => select.addEventListener("change", again));
  [shown, of, ...pair].forEach((select) => select.addEventListener("change", draw));
  choices();
  figure(draw);
})();
