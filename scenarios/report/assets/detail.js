// Level of detail: of what is narrower than a pixel, as much is drawn as keeps the share of the lane that it covers.

// Bars of a view by lane and category, each list in order of start; `bars` are its columns.
function lists(bars) {
  const found = new Map();
  for (let i = 0; i < bars.lane.length; i++) {
    const key = bars.lane[i] * 256 + bars.category[i];
    if (!found.has(key)) found.set(key, { lane: bars.lane[i], category: bars.category[i], index: [] });
    found.get(key).index.push(i);
  }
  for (const list of found.values()) list.index.sort((a, b) => bars.start[a] - bars.start[b]);
  return [...found.values()];
}

// What to draw of one list between two times, all in ticks: pairs of a bar and how many unseen ones it stands for.
function visible(bars, index, from, to, pixel) {
  const drawn = [];
  let owed = 0, unseen = 0, last = -Infinity;
  for (const i of index) {
    const start = bars.start[i], length = bars.length[i];
    if (start > to || start + length < from) continue;
    if (length >= pixel) {
      drawn.push([i, 0]);
    } else {
      owed += length;
      unseen += 1;
      const alone = start - last > 12 * pixel;
      if (owed < pixel && !alone) continue;
      drawn.push([i, unseen - 1]);
      owed = alone ? 0 : owed - pixel;
      unseen = 0;
    }
    last = start + length;
  }
  return drawn;
}
