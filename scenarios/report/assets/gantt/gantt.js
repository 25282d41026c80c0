// The Gantt of lanes: what is shown of which strategy, and in which colours.
const gantt = (() => {
  const element = (name) => document.getElementById(`gantt-${name}`), canvas = element("canvas"), tip = element("tip");
  const runs = report.runs.filter((each) => each.views.length);
  if (!canvas || !runs.length) return null;
  const picture = new GanttPicture(canvas, element("map")), views = new Map();
  const state = { run: runs[0], part: 0, view: null, range: null, hidden: new Set(), hiddenCauses: new Set(), byPath: false, chain: [] };
  let asked = 0; // frames

  const motion = new GanttMotion(canvas, element("map"), picture, {
    range: () => state.range, whole: () => [state.view.begin, state.view.end], marking: mark,
    moved(range) { state.range = range; draw(); },
    pointed: (place) => state.view && point(place),
    chosen: (place) => state.view && choose(place),
  });

  function draw() {
    asked ||= requestAnimationFrame(() => {
      asked = 0;
      if (!state.view) return;
      picture.draw(state);
      performance.mark("timeline drawn");
    });
  }

  // Show a part of a run: a span of it if that is given, in seconds.
  async function show(run, part, span_s) {
    const key = run.views[Math.min(part, run.views.length - 1)];
    Object.assign(state, { run, part: run.views.indexOf(key), chain: [] });
    element("run").value = String(runs.indexOf(run));
    if (!views.has(key)) views.set(key, ganttView(key));
    const view = await views.get(key);
    if (state.run.views[state.part] !== key) return; // something else was chosen meanwhile
    state.view = view;
    state.range = [view.begin, view.end];
    motion.go(...(span_s || fewSteps(view)).map(view.ticks));
    tip.hidden = true;
    choices();
    legends();
    tell();
    draw();
  }

  // What to begin with, in seconds: some steps in the middle, since of many at once little can be seen.
  function fewSteps({ steps, start_s, end_s }, most = 3) {
    const middle = Math.floor((steps.length - most) / 2);
    return middle > 0 ? [steps[middle - 1].end_s, steps[middle + most - 1].end_s] : [start_s, end_s];
  }

  function choices() {
    choice(element("view"), state.run.views.map((each) => each.title), state.part, (part) => show(state.run, part));
    choice(element("colour"), ["Reasons", "Critical path"], Number(state.byPath), (byPath) => colourBy(Boolean(byPath)));
  }

  function colourBy(byPath) {
    state.byPath = byPath;
    legends();
    draw();
  }

  function legends() {
    const names = state.byPath ? report.causes : report.categories, codes = state.byPath ? state.view.path.cause : state.view.rows.category;
    const used = [...new Set(codes)].sort((a, b) => a - b);
    legend(element("legend"), used.map((key) => ({ key, ...names[key] })), state.byPath ? state.hiddenCauses : state.hidden, draw);
  }

  function mark(span) {
    const box = element("mark");
    box.hidden = !span;
    if (!span) return;
    const [left, right] = [...span].sort((a, b) => a - b);
    Object.assign(box.style, { left: `${left}px`, width: `${right - left}px` });
  }

  function rowUnder({ x, y }) {
    const lane = x >= picture.left && y >= GANTT.top ? picture.lane(y, state.view) : null;
    const slack = (2 * (state.range[1] - state.range[0])) / picture.plot;
    return lane ? rowAt(state.view, lane, picture.tick(x, state.range), slack) : -1;
  }

  function point(place) {
    const row = place ? rowUnder(place) : -1;
    tip.hidden = row < 0;
    if (row < 0) return;
    const { view } = state, lines = [ganttWords.name(view, row), ganttWords.facts(view, row),
      `${ganttWords.length(view, row)}, from ${seconds(view.seconds(view.rows.start[row]))}`, ganttWords.release(view, row), ganttWords.path(view, row)];
    tip.replaceChildren(...lines.filter(Boolean).map((text, i) => Object.assign(document.createElement(i ? "span" : "b"), { textContent: text })));
    const left = Math.min(Math.max(0, place.x + 14), picture.width - tip.offsetWidth);
    Object.assign(tip.style, { left: `${left}px`, top: `${place.y + 18}px` });
  }

  function choose(place) {
    const row = rowUnder(place);
    state.chain = row < 0 ? [] : chainOf(state.view, row);
    point(place);
    tell();
    draw();
  }

  // The chain of what the chosen row waited for, as a list.
  function tell() {
    const { view, chain } = state, list = element("chain");
    list.replaceChildren(...chain.slice(0, 8).map((row) => {
      const item = document.createElement("li"), lane = state.run.lanes[view.rows.lane[row]];
      const layer = view.rows.layer[row] >= 0 ? `, layer ${view.rows.layer[row]}` : "";
      item.append(Object.assign(document.createElement("b"), { textContent: `${ganttWords.name(view, row)}${layer}` }),
        ` on ${lane}, ${ganttWords.length(view, row)}: ${ganttWords.release(view, row)}`);
      return item;
    }));
    if (chain.length > 8) list.append(Object.assign(document.createElement("li"), { textContent: `and ${chain.length - 8} before it` }));
  }

  // From elsewhere on the page: the longest stretch of the path that one cause takes, in its middle.
  async function showCause(label, cause) {
    const run = runs.find((each) => each.label === label);
    if (!run) return;
    state.byPath = true;
    state.hiddenCauses.clear();
    await show(run, run.views.length - 1);
    const { path } = state.view;
    let best = -1;
    for (let i = 0; i < path.cause.length; i++) if (path.cause[i] === cause && (best < 0 || path.length[i] > path.length[best])) best = i;
    if (best < 0) return;
    const middle = path.start[best] + path.length[best] / 2, half = Math.max(path.length[best], 50) * 4;
    motion.go(middle - half, middle + half);
  }

  element("run").replaceChildren(...runs.map((each, i) => new Option(each.label, String(i))));
  element("run").addEventListener("change", (event) => show(runs[Number(event.target.value)], state.part));
  element("in").addEventListener("click", () => motion.zoom(0.5));
  element("out").addEventListener("click", () => motion.zoom(2));
  element("all").addEventListener("click", () => motion.moved([state.view.begin, state.view.end]));
  if (runs.length < report.runs.length) {
    element("note").textContent = `Left out, to keep this file small: ${report.runs.length - runs.length} strategies.`;
  }
  theme.redraw.push(draw);
  new ResizeObserver(draw).observe(canvas.parentElement);
  const ready = show(state.run, state.run.views.length - 1);
  return { state, picture, motion, show: (label, part, span_s) => show(runs.find((each) => each.label === label), part, span_s), showCause, ready };
})();
