// The picture of a view: lanes with their bars, the path, steps and the axis.
const GANTT = { top: 22, row: 46, bar: 32, bottom: 40, many: 8000 }; // pixels; bars too many to draw one by one

class GanttPicture {
  constructor(canvas, map) {
    Object.assign(this, { canvas, map, left: 64, width: 0, busy: [] });
  }

  get plot() { return Math.max(50, this.width - this.left - 8); }
  x(tick, [from, to]) { return this.left + ((tick - from) / (to - from)) * this.plot; }
  tick(x, [from, to]) { return from + ((x - this.left) / this.plot) * (to - from); }
  lane(y, view) { return view.lanes[Math.floor((y - GANTT.top) / GANTT.row)]; }

  draw(state) {
    this.left = state.run.notes ? 104 : 64;
    const { view, range } = state, context = this.#fresh(this.canvas, GANTT.top + GANTT.row * view.lanes.length + GANTT.bottom);
    const look = this.#look(state);
    this.#axis(context, state, look);
    context.save();
    context.beginPath();
    context.rect(this.left, 0, this.plot, GANTT.top + GANTT.row * view.lanes.length);
    context.clip();
    this.busy = view.lanes.map((lane, i) => this.#lane(context, state, look, lane, GANTT.top + i * GANTT.row + (GANTT.row - GANTT.bar) / 2));
    if (state.byPath) this.#path(context, state, look);
    if (state.chain.length) this.#chain(context, state, look);
    context.restore();
    view.lanes.forEach((lane, i) => this.#name(context, state, look, i));
    this.#overview(state, look, range);
  }

  #fresh(canvas, height) {
    const ratio = window.devicePixelRatio || 1, width = canvas.parentElement.clientWidth;
    if (canvas === this.canvas) this.width = width;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.height = `${height}px`;
    }
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    context.textBaseline = "middle";
    return context;
  }

  #look(state) {
    const faint = inked(colour("var(--line)"));
    return {
      ink: colour("var(--ink)"), ink2: colour("var(--ink-2)"), ink3: colour("var(--ink-3)"), line: colour("var(--line)"),
      rows: report.categories.map((each) => (state.byPath ? faint : inked(colour(each.paint)))),
      causes: report.causes.map((each) => inked(colour(each.paint))),
    };
  }

  #axis(context, { view, range }, look) {
    const foot = GANTT.top + GANTT.row * view.lanes.length, [from_s, to_s] = range.map(view.seconds);
    const { marks, title } = timeMarks(from_s, to_s, Math.max(2, this.plot / 110));
    context.textAlign = "center";
    for (const { at_s, text } of marks) {
      const x = this.x(view.ticks(at_s), range);
      context.fillStyle = look.line;
      context.fillRect(x, GANTT.top, 1, foot - GANTT.top + 4);
      context.fillStyle = look.ink2;
      context.fillText(text, Math.min(Math.max(x, this.left + 20), this.width - 24), foot + 13);
    }
    context.fillStyle = look.ink3;
    context.fillText(title, this.left + this.plot / 2, foot + 30);
    this.#steps(context, view, range, look, foot);
  }

  #steps(context, view, range, look, foot) {
    let begin_s = view.start_s, free = this.left;
    for (const { end_s, name } of view.steps) {
      const left = this.x(view.ticks(begin_s), range), right = this.x(view.ticks(end_s), range);
      begin_s = end_s;
      if (right < this.left || left > this.width || right - left < 3) continue;
      context.fillStyle = look.ink3;
      if (right < this.width) for (let y = GANTT.top; y < foot; y += 6) context.fillRect(right, y, 1, 3);
      const middle = (Math.max(left, this.left) + Math.min(right, this.width)) / 2, half = context.measureText(name).width / 2;
      if (middle - half < free || middle + half > this.width || 2 * half > right - left) continue;
      context.fillText(name, middle, GANTT.top / 2);
      free = middle + half + 8;
    }
  }

  // Draws a lane's bars; what share of what is shown it is busy.
  #lane(context, state, look, lane, top) {
    const { view, range, hidden } = state, { rows } = view, [from, to] = range;
    const bars = new GanttBars(context, top, GANTT.bar, look.rows), [first, last] = rowsWithin(view, lane, from, to);
    if (last - first > GANTT.many && view.far.rows.part * this.plot < to - from) return this.#far(bars, state, lane);
    context.textAlign = "left";
    const left = this.left, scale = this.plot / (to - from), wide = 26 / scale;
    let busy = 0;
    for (let i = first; i < last; i++) {
      const start = rows.start[i], end = start + rows.length[i], category = rows.category[i];
      if (end <= from) continue;
      if (category !== report.wait) busy += Math.min(end, to) - Math.max(start, from);
      if (hidden.has(category) && !state.byPath) continue;
      const text = rows.length[i] > wide && !state.byPath ? ganttWords.labels(view, i) : null;
      bars.add(left + (start - from) * scale, left + (end - from) * scale, category, text);
    }
    bars.flush();
    return busy / (to - from);
  }

  // The same from afar.
  #far(bars, { view, range, hidden, byPath }, lane) {
    const { part, covered } = view.far.rows, [from, to] = range.map((tick) => (tick - view.begin) / part);
    const at = (x) => this.tick(x, range), right = this.left + this.plot;
    bars.spread(view.far.rows, lane.number, this.left, right, at, (code) => hidden.has(code) && !byPath);
    let busy = 0;
    for (const [key, parts] of covered) {
      if (key >> 8 !== lane.number || (key & 255) === report.wait) continue;
      for (let i = Math.max(0, Math.round(from)); i < Math.min(parts.length, to); i++) busy += parts[i];
    }
    return busy / (part * (to - from));
  }

  // The segments of the path, each on the lane that it is spent on; thin lines lead from lane to lane.
  #path(context, { view, range, hiddenCauses }, look) {
    const { path } = view, [from, to] = range, count = path.start.length;
    const first = firstWhere(0, count, (i) => path.reach[i] > from), last = firstWhere(first, count, (i) => path.start[i] >= to);
    const rowOf = new Map(view.lanes.map((lane, i) => [lane.number, i]));
    const bars = view.lanes.map((_, i) => new GanttBars(context, GANTT.top + i * GANTT.row + (GANTT.row - GANTT.bar) / 2, GANTT.bar, look.causes));
    if (last - first > GANTT.many && view.far.path.part * this.plot < to - from) {
      const at = (x) => this.tick(x, range), right = this.left + this.plot;
      view.lanes.forEach((lane, i) => bars[i].spread(view.far.path, lane.number, this.left, right, at, (code) => hiddenCauses.has(code)));
      return;
    }
    if (last - first < 3000 && !view.several) this.#turns(context, view, range, rowOf, first, last, look);
    for (let i = first; i < last; i++) {
      const row = rowOf.get(path.lane[i]);
      if (row === undefined || hiddenCauses.has(path.cause[i])) continue;
      bars[row].add(this.x(path.start[i], range), this.x(path.start[i] + path.length[i], range), path.cause[i], [report.causes[path.cause[i]].label]);
    }
    bars.forEach((each) => each.flush());
  }

  #turns(context, { path }, range, rowOf, first, last, look) {
    context.strokeStyle = look.ink3;
    context.beginPath();
    for (let i = Math.max(1, first); i < last; i++) {
      const [one, other] = [rowOf.get(path.lane[i - 1]), rowOf.get(path.lane[i])];
      if (one === other || one === undefined || other === undefined) continue;
      const x = this.x(path.start[i], range);
      context.moveTo(x, GANTT.top + (one + 0.5) * GANTT.row);
      context.lineTo(x, GANTT.top + (other + 0.5) * GANTT.row);
    }
    context.stroke();
  }

  // The chosen row and what it waited for, joined by lines.
  #chain(context, { view, range, chain }, look) {
    const { rows } = view, rowOf = new Map(view.lanes.map((lane, i) => [lane.number, i]));
    const middle = (row) => GANTT.top + (rowOf.get(rows.lane[row]) + 0.5) * GANTT.row;
    context.strokeStyle = look.ink;
    context.lineWidth = 2;
    chain.forEach((row, i) => {
      const left = this.x(rows.start[row], range), right = this.x(rows.start[row] + rows.length[row], range);
      context.strokeRect(left, middle(row) - GANTT.bar / 2, Math.max(1, right - left), GANTT.bar);
      if (i + 1 === chain.length) return;
      const cause = chain[i + 1], end = this.x(rows.start[cause] + rows.length[cause], range);
      context.beginPath();
      context.moveTo(end, middle(cause));
      context.lineTo(left, middle(row));
      context.stroke();
    });
    context.lineWidth = 1;
  }

  #name(context, { run, view }, look, i) {
    const y = GANTT.top + (i + 0.5) * GANTT.row;
    context.textAlign = "left";
    context.fillStyle = look.ink;
    context.font = context.font.replace(/^/, "600 ");
    context.fillText(run.lanes[view.lanes[i].number], 0, y - 7, this.left - 4);
    context.font = context.font.replace(/^600 /, "");
    context.fillStyle = look.ink3;
    const note = run.notes ? `${run.notes[view.lanes[i].number]} ` : "";
    context.fillText(`${note}${Math.round(100 * this.busy[i])} %`, 0, y + 8);
  }

  // The whole part, small, with a frame around what is shown.
  #overview(state, look, [from, to]) {
    const { view } = state, whole = [view.begin, view.end], context = this.#fresh(this.map, 5 * view.lanes.length + 6);
    const key = [view.title, state.run.label, this.width, theme.dark, state.byPath].join("|");
    if (this.kept?.key !== key) this.kept = { key, image: this.#small(state, look, whole) };
    context.drawImage(this.kept.image, 0, 0, this.width, 5 * view.lanes.length + 6);
    const left = this.x(from, whole), right = this.x(to, whole);
    context.fillStyle = look.ink;
    context.globalAlpha = 0.12;
    context.fillRect(this.left, 0, left - this.left, 5 * view.lanes.length + 6);
    context.fillRect(right, 0, this.left + this.plot - right, 5 * view.lanes.length + 6);
    context.globalAlpha = 1;
    context.strokeStyle = look.ink2;
    context.strokeRect(left + 0.5, 0.5, Math.max(2, right - left - 1), 5 * view.lanes.length + 5);
  }

  #small(state, look, whole) {
    const { view } = state, image = document.createElement("canvas"), ratio = window.devicePixelRatio || 1;
    image.width = this.width * ratio;
    image.height = (5 * view.lanes.length + 6) * ratio;
    const context = image.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const paints = state.byPath ? look.causes : look.rows, far = state.byPath ? view.far.path : view.far.rows;
    view.lanes.forEach((lane, i) => {
      const bars = new GanttBars(context, 3 + 5 * i, 4, paints);
      bars.spread(far, lane.number, this.left, this.left + this.plot, (x) => this.tick(x, whole), () => false);
    });
    return image;
  }
}
