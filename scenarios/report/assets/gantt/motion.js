// Zoom and pan. Dragging marks what to zoom into; a finger pans, two zoom; the wheel zooms with Ctrl and pans sideways.
class GanttMotion {
  // `moved` is called with each new range, `pointed` with a place or null, `chosen` with a place that was tapped.
  constructor(canvas, map, picture, { range, whole, moved, pointed, chosen, marking }) {
    Object.assign(this, { canvas, picture, range, whole, moved, marking, fingers: new Map(), from: null });
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => { if (!this.#drag(event)) pointed(this.#place(event)); });
    canvas.addEventListener("pointerup", (event) => this.#up(event, chosen));
    canvas.addEventListener("pointercancel", () => this.#end());
    canvas.addEventListener("pointerleave", () => pointed(null));
    canvas.addEventListener("dblclick", () => moved(whole()));
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.#key(event));
    for (const kind of ["pointerdown", "pointermove"]) map.addEventListener(kind, (event) => this.#to(event));
  }

  zoom(factor, at = null) {
    const [from, to] = this.range(), middle = at ?? (from + to) / 2;
    this.go(middle - (middle - from) * factor, middle + (to - middle) * factor);
  }

  pan(share) {
    const [from, to] = this.range();
    this.go(from + (to - from) * share, to + (to - from) * share);
  }

  // As near to these times as the view allows.
  go(from, to) {
    const [first, last] = this.whole(), span = Math.min(Math.max(to - from, 20), last - first);
    const middle = (from + to) / 2, begin = Math.min(Math.max(middle - span / 2, first), last - span);
    this.moved([begin, begin + span]);
  }

  #place(event) {
    const box = this.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  #down(event) {
    this.fingers.set(event.pointerId, this.#place(event));
    this.from = { ...this.#place(event), range: this.range(), panning: event.pointerType === "touch" || event.shiftKey, far: false };
    try { this.canvas.setPointerCapture(event.pointerId); } catch (_) { /* gone already */ }
  }

  #drag(event) {
    if (!this.from || !this.fingers.has(event.pointerId)) return false;
    const place = this.#place(event), before = [...this.fingers.values()];
    this.fingers.set(event.pointerId, place);
    if (this.fingers.size === 2) return this.#pinch(before, [...this.fingers.values()]);
    this.from.far ||= Math.abs(place.x - this.from.x) > 4;
    if (!this.from.far) return true;
    if (this.from.panning) {
      const [from, to] = this.from.range, moved = ((this.from.x - place.x) / this.picture.plot) * (to - from);
      this.go(from + moved, to + moved);
    } else this.marking([this.from.x, place.x]);
    return true;
  }

  #pinch(before, after) {
    const span = ([one, other]) => Math.max(20, Math.abs(one.x - other.x)), middle = ([one, other]) => (one.x + other.x) / 2;
    this.from.far = this.from.panning = true;
    this.zoom(span(before) / span(after), this.picture.tick(middle(after), this.range()));
    return true;
  }

  #up(event, chosen) {
    const { from } = this, place = this.#place(event);
    this.#end();
    if (from && !from.far) chosen(place);
    else if (from && !from.panning) {
      const [left, right] = [from.x, place.x].sort((a, b) => a - b).map((x) => this.picture.tick(x, from.range));
      this.go(left, right);
    }
  }

  #end() {
    this.fingers.clear();
    this.from = null;
    this.marking(null);
  }

  #wheel(event) {
    if (event.ctrlKey || event.metaKey) this.zoom(Math.exp(Math.min(1, Math.max(-1, event.deltaY / 150))), this.picture.tick(this.#place(event).x, this.range()));
    else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.pan(event.deltaX / this.picture.plot);
    else return;
    event.preventDefault();
  }

  #key(event) {
    const actions = {
      ArrowLeft: () => this.pan(-0.2), ArrowRight: () => this.pan(0.2), "+": () => this.zoom(0.6), "=": () => this.zoom(0.6),
      "-": () => this.zoom(1 / 0.6), Home: () => this.moved(this.whole()), 0: () => this.moved(this.whole()),
    };
    if (!actions[event.key] || event.ctrlKey || event.metaKey) return;
    actions[event.key]();
    event.preventDefault();
  }

  #to(event) {
    if (!event.buttons) return;
    const [from, to] = this.range(), middle = this.picture.tick(this.#place(event).x, this.whole());
    this.go(middle - (to - from) / 2, middle + (to - from) / 2);
  }
}
