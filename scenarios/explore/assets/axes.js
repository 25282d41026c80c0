// An axis of the parallel coordinates: where a value stands on it, from 0 (bottom) to 1, and its marks.
const axes = {
  of(item) {
    if (item.few) return this.named(item);
    const log = item.low > 0 && item.high > 50 * item.low, to = log ? Math.log10 : Number, from = log ? (at) => 10 ** at : Number;
    const low = to(item.low), span = to(item.high) - low || 1;
    return {
      item, at: (row) => (to(item.number[row]) - low) / span, value: (share) => from(low + share * span),
      marks: (log ? this.decades(item.low, item.high) : this.round(item.low, item.high)).map((value) => [(to(value) - low) / span, reading(value)]),
      kept: (filter) => [filter.map((value) => Math.min(1, Math.max(0, (to(Math.max(value, log ? 1e-300 : -Infinity)) - low) / span)))],
    };
  },

  // Its distinct values at even distances, half a step from the ends.
  named(item) {
    const n = item.distinct.length, centre = (place) => (place + 0.5) / n;
    return {
      item, at: (row) => centre(item.place[row]), places: (low, high) => [...item.distinct.keys()].filter((place) => centre(place) >= low && centre(place) <= high),
      marks: item.distinct.map((value, place) => [centre(place), item.label(value)]).filter((_, place) => place % Math.ceil(n / 24) === 0),
      kept: (filter) => [...filter].map((place) => [place / n, (place + 1) / n]),
    };
  },

  round(low, high) {
    const raw = (high - low) / 5, power = 10 ** Math.floor(Math.log10(raw)), step = [1, 2, 5, 10].find((m) => m * power >= raw) * power;
    const marks = [];
    for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-9; value += step) marks.push(Number(value.toPrecision(12)));
    return marks;
  },

  decades(low, high) {
    const factors = high / low > 1e3 ? [1] : [1, 2, 5], marks = [];
    for (let power = 10 ** Math.floor(Math.log10(low)); power <= high; power *= 10) marks.push(...factors.map((factor) => factor * power));
    return marks.filter((value) => value >= low && value <= high);
  },
};
