// Grids of the best run in each place of two axes, and the line along which two grids are level.
const grids = {
  BINS: 16,

  // The places of an axis: its distinct values if they are few, else bins; `of` is the place of each row.
  places(item) {
    if (item.few || item.distinct.length <= 40) {
      const place = new Map(item.distinct.map((value, i) => [value, i]));
      return { values: item.distinct, labels: item.distinct.map((v) => item.label(v)), of: Array.from(item.number, (value) => place.get(value) ?? -1), binned: false };
    }
    const log = item.low > 0 && item.high > 20 * item.low, to = log ? Math.log : Number, from = log ? Math.exp : Number;
    const low = to(item.low), width = (to(item.high) - low) / this.BINS;
    const values = Array.from({ length: this.BINS }, (_, i) => from(low + (i + 0.5) * width));
    const of = Array.from(item.number, (value) => (Number.isNaN(value) ? -1 : Math.min(this.BINS - 1, Math.floor((to(value) - low) / width))));
    return { values, labels: values.map((v) => reading(v, item.unit)), of, binned: true };
  },

  // Row of the best value of a figure in each place, [up][across]; undefined where there is none.
  best(across, up, figure, rows) {
    const cells = up.values.map(() => across.values.map(() => []));
    for (const row of rows) if (across.of[row] >= 0 && up.of[row] >= 0) cells[up.of[row]][across.of[row]].push(row);
    return cells.map((line) => line.map((cell) => model.best(figure, cell)));
  },

  // Pieces [[x, y], [x, y]] of the line along which log(first / second) is 0, in steps of the grids, [up][across].
  // Between neighbours the logarithm is taken as straight; where one of four is missing, there is no line.
  level(one, two) {
    const lead = one.map((line, j) => line.map((value, i) => (value > 0 && two[j][i] > 0 ? Math.log(value / two[j][i]) : NaN)));
    const pieces = [];
    for (let j = 0; j + 1 < lead.length; j++) {
      for (let i = 0; i + 1 < lead[j].length; i++) pieces.push(...this.within(lead, i, j));
    }
    return pieces;
  },

  // The same within one square, whose corners are numbered around it.
  within(lead, i, j) {
    const corners = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]], values = corners.map(([x, y]) => lead[y][x]);
    if (values.some(Number.isNaN)) return [];
    const ends = [];
    corners.forEach(([x, y], at) => {
      const next = (at + 1) % 4, [a, b] = [values[at], values[next]];
      if (a > 0 === b > 0) return;
      const share = a / (a - b);
      ends.push([x + share * (corners[next][0] - x), y + share * (corners[next][1] - y)]);
    });
    if (ends.length < 4) return ends.length ? [ends] : [];
    const middle = values.reduce((sum, value) => sum + value, 0) > 0; // a saddle: the middle belongs to whom?
    return middle === values[0] > 0 ? [[ends[0], ends[1]], [ends[2], ends[3]]] : [[ends[0], ends[3]], [ends[1], ends[2]]];
  },

  // What a place between the values of an axis stands for.
  between(values, place) {
    const low = Math.min(Math.floor(place), values.length - 1), high = Math.min(low + 1, values.length - 1);
    return values[low] + (place - low) * (values[high] - values[low]);
  },
};
