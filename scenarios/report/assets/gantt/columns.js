// Bars of one lane on a canvas, in order of time. Of bars narrower than a pixel, each column of pixels is filled from
// below by as much of it as they cover, so that a lane seen from afar shows how busy it is, and what with.
class GanttBars {
  constructor(context, top, height, paints) {
    Object.assign(this, { context, top, height, paints, column: NaN, covered: new Float64Array(paints.length) });
  }

  add(left, right, code, text) {
    if (right - left < 1) return this.#cover(left, right, code);
    this.flush();
    const { context, top, height } = this, paint = this.paints[code], width = right - left;
    context.fillStyle = paint.fill;
    context.fillRect(left, top, width > 4 ? width - 0.75 : width, height);
    if (text && width > 26) {
      const room = Math.floor((width - 8) / 6.2), shown = text.find((each) => each.length <= room);
      if (!shown) return;
      context.fillStyle = paint.ink;
      context.fillText(shown, Math.max(left, 0) + 4, top + height / 2);
    }
  }

  #cover(left, right, code) {
    for (let column = Math.floor(left); column < right; column++) {
      if (column !== this.column) this.flush();
      this.column = column;
      this.covered[code] += Math.min(right, column + 1) - Math.max(left, column);
    }
  }

  // Columns of pixels from `left` to `right`, of a lane's part of a `coverage`; `at` gives the tick of a place.
  spread({ part, covered, begin }, lane, left, right, at, skipped) {
    const lists = [...covered].filter(([key]) => key >> 8 === lane && !skipped(key & 255));
    for (let x = Math.floor(left); x < right; x++) {
      const first = Math.max(0, (at(x) - begin) / part), last = (at(x + 1) - begin) / part;
      for (const [key, parts] of lists) {
        let sum = 0;
        for (let i = Math.floor(first); i < last && i < parts.length; i++) sum += parts[i] * (Math.min(last, i + 1) - Math.max(first, i));
        this.covered[key & 255] = sum / ((last - first) * part);
      }
      this.column = x;
      this.flush();
    }
  }

  flush() {
    const { covered, context, top, height } = this;
    if (Number.isNaN(this.column)) return;
    const total = covered.reduce((sum, share) => sum + share, 0);
    const most = Math.max(total, 1), least = total * height < 1 ? 1 / (total * height) : 1; // one alone can be seen
    let bottom = top + height;
    for (let code = 0; code < covered.length; code++) {
      if (!covered[code]) continue;
      const tall = (covered[code] / most) * least * height;
      context.fillStyle = this.paints[code].fill;
      context.fillRect(this.column, bottom - tall, 1, tall);
      bottom -= tall;
    }
    covered.fill(0);
    this.column = NaN;
  }
}

// A colour with the ink that can be read on it.
function inked(fill) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(fill.slice(at, at + 2), 16) / 255);
  return { fill, ink: 0.3 * r + 0.59 * g + 0.11 * b > 0.55 ? "#15181d" : "#ffffff" };
}
