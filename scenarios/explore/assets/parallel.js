// Parallel coordinates: an axis for the strategy, each field that was varied, and each objective; drawn on a canvas.
(() => {
  const HEIGHT = 440, TOP = 40, BOTTOM = 16, SIDE = 74, APART = 104, SHADES = 24, CLICK = 4; // pixels, but for SHADES
  const box = document.getElementById("parallel-plot"), canvas = document.createElement("canvas");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), pen = canvas.getContext("2d");
  const objectives = report.objectives.map((each) => model.get(each.figure)).filter((item) => item && item.distinct.length > 1);
  const shown = [...model.columns.filter((item) => item.role !== "figure" && item.distinct.length > 1), ...objectives].map((item) => axes.of(item));
  if (shown.length < 2) { document.getElementById("parallel").hidden = true; return; }
  box.append(canvas, svg);
  const heights = shown.map((axis) => Float32Array.from({ length: model.size }, (_, row) => y(axis.at(row)))); // NaN: the row has no value
  const merit = axes.of(first);
  let width = 0;

  function y(share) { return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM); }
  function x(i) { return SIDE + (i * (width - 2 * SIDE)) / (shown.length - 1); }

  function element(name, attributes, text = "") {
    const made = document.createElementNS(svg.namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    return made;
  }

  function stroke(rows, paint) {
    pen.strokeStyle = paint;
    pen.beginPath();
    for (const row of rows) {
      let down = false;
      for (let i = 0; i < shown.length; i++) {
        const at = heights[i][row];
        if (Number.isNaN(at)) down = false;
        else if (down) pen.lineTo(x(i), at);
        else { pen.moveTo(x(i), at); down = true; }
      }
    }
    pen.stroke();
  }

  function lines() {
    const ratio = devicePixelRatio || 1, paints = ["var(--line-2)", "var(--s0)", "var(--ink)"].map(colour);
    [canvas.width, canvas.height] = [width * ratio, HEIGHT * ratio];
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.lineWidth = model.shown.length > 3000 ? 0.6 : 1;
    if (model.shown.length < model.size) stroke(model.feasible.keys(), colour("var(--line)"));
    const shades = Array.from({ length: SHADES }, () => []);
    for (const row of model.shown) {
      const share = merit.at(row);
      if (!Number.isNaN(share)) shades[Math.min(SHADES - 1, Math.floor((first.better === "lower" ? 1 - share : share) * SHADES))].push(row);
    }
    shades.forEach((rows, i) => { if (rows.length) stroke(rows, mixed(paints, i / (SHADES - 1))); });
    canvas.dataset.lines = model.shown.length;
  }

  function mixed([low, middle, high], share) { // as scale() has it for what Plotly draws
    const [a, b, part] = share < 0.55 ? [low, middle, share / 0.55] : [middle, high, (share - 0.55) / 0.45];
    return `color-mix(in srgb, ${b} ${100 * part}%, ${a})`;
  }

  function frame() {
    svg.replaceChildren(...shown.flatMap((axis, i) => {
      const filter = model.filters.get(axis.item.key), top = y(1), bottom = y(0);
      const brushes = filter ? axis.kept(filter) : [];
      const strip = element("rect", { class: "strip", x: x(i) - 18, y: top, width: 36, height: bottom - top, "data-key": axis.item.key });
      strip.addEventListener("pointerdown", (event) => brush(event, axis, i));
      return [
        element("text", { class: "name", x: x(i), y: TOP - 18, "text-anchor": "middle" }, clipped(axis.item.title, 16)),
        element("line", { x1: x(i), x2: x(i), y1: top, y2: bottom }),
        ...axis.marks.map(([share, text]) => element("text", { x: x(i) - 7, y: y(share) + 4, "text-anchor": "end" }, clipped(text, 12))),
        ...brushes.map(([low, high]) => element("rect", { class: "brush", "data-of": axis.item.key, x: x(i) - 5, y: y(high), width: 10, height: Math.max(2, y(low) - y(high)) })),
        strip,
      ];
    }));
  }

  function clipped(text, most) {
    return text.length > most ? `${text.slice(0, most / 2 - 1)}…${text.slice(-most / 2)}` : text;
  }

  // From a press on an axis to its end: what was passed is kept; a mere click lets go.
  function brush(event, axis, i) {
    const strip = event.target, start = event.clientY, above = svg.getBoundingClientRect().top;
    const area = element("rect", { class: "brush", x: x(i) - 5, width: 10 });
    const ends = (now) => [Math.max(start, now.clientY), Math.min(start, now.clientY)].map((at) => Math.min(y(0), Math.max(y(1), at - above)));
    svg.insertBefore(area, strip);
    const move = (now) => {
      const [low, high] = ends(now);
      area.setAttribute("y", high);
      area.setAttribute("height", low - high);
    };
    const end = (now) => {
      strip.removeEventListener("pointermove", move);
      strip.removeEventListener("pointerup", end);
      const shares = ends(now).map((at) => (y(0) - at) / (y(0) - y(1)));
      if (Math.abs(now.clientY - start) < CLICK) model.keep(axis.item.key, null);
      else if (axis.places) model.choose(axis.item.key, new Set(axis.places(...shares)));
      else model.keep(axis.item.key, shares.map(axis.value));
      model.update("parallel");
    };
    if (event.isTrusted) strip.setPointerCapture(event.pointerId);
    strip.addEventListener("pointermove", move);
    strip.addEventListener("pointerup", end);
  }

  function draw() {
    width = Math.max(box.parentElement.clientWidth, shown.length * APART);
    for (const part of [canvas, svg]) Object.assign(part.style, { width: `${width}px`, height: `${HEIGHT}px` });
    lines();
    frame();
  }

  figure(draw);
  new ResizeObserver(() => { if (Math.max(box.parentElement.clientWidth, shown.length * APART) !== width) draw(); }).observe(box.parentElement);
})();
