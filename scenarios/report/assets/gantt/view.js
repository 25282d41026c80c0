// A part of a run: rows sorted by lane and start, and the segments of its critical path; times in ticks from the origin.
async function ganttView(raw) {
  const [rows, path] = await Promise.all([unpackedColumns(raw.rows), unpackedColumns(raw.path)]);
  const ticks = (time_s) => (time_s - raw.origin_s) / raw.tick_s;
  path.reach = reachOf(path, 0, path.start.length);
  const view = {
    ...raw, rows, path, lanes: ganttLanes(rows), ofRow: segmentsByRow(raw.count, path.row),
    begin: ticks(raw.start_s), end: ticks(raw.end_s), ticks, seconds: (tick) => raw.origin_s + tick * raw.tick_s,
  };
  return { ...view, far: { rows: coverage(view, rows, rows.category), path: coverage(view, path, path.cause) } };
}

// How much of each of `count` equal parts of a view bars of each lane and code cover, in ticks, for pictures of many bars.
function coverage(view, bars, codes, count = 8192) {
  const covered = new Map(), part = (view.end - view.begin) / count;
  for (let i = 0; i < codes.length; i++) {
    const key = bars.lane[i] * 256 + codes[i];
    if (!covered.has(key)) covered.set(key, new Float32Array(count));
    const parts = covered.get(key), start = bars.start[i] - view.begin, end = start + bars.length[i];
    for (let at = Math.max(0, Math.floor(start / part)); at < count && at * part < end; at++) {
      parts[at] += Math.min(end, (at + 1) * part) - Math.max(start, at * part);
    }
  }
  return { part, covered, begin: view.begin };
}

// For each lane its rows, from `first` up to `last`, and the latest end among these so far.
function ganttLanes(rows) {
  const lanes = [], count = rows.lane.length;
  for (let first = 0, last; first < count; first = last) {
    const number = rows.lane[first];
    for (last = first; last < count && rows.lane[last] === number; last++);
    lanes.push({ number, first, last, reach: reachOf(rows, first, last) });
  }
  return lanes;
}

// The latest end of those from `first` up to each one.
function reachOf({ start, length }, first, last) {
  const reach = new Float64Array(last - first);
  for (let i = first, most = 0; i < last; i++) reach[i - first] = most = Math.max(most, start[i] + length[i]);
  return reach;
}

// Chains of the path's segments that belong to each row.
function segmentsByRow(count, row) {
  const first = new Int32Array(count).fill(-1), next = new Int32Array(row.length).fill(-1);
  for (let i = row.length - 1; i >= 0; i--) {
    if (row[i] < 0) continue;
    next[i] = first[row[i]];
    first[row[i]] = i;
  }
  return { first, next };
}

// The first index from `first` up to `last` for which a test, which is false and then true, holds.
function firstWhere(first, last, test) {
  while (first < last) {
    const middle = (first + last) >> 1;
    if (test(middle)) last = middle;
    else first = middle + 1;
  }
  return first;
}

// The rows of a lane that reach into a span of time: the first of them, and the end.
function rowsWithin(view, lane, from, to) {
  const { rows } = view;
  const first = firstWhere(lane.first, lane.last, (i) => lane.reach[i - lane.first] > from);
  return [first, firstWhere(first, lane.last, (i) => rows.start[i] >= to)];
}

// The shortest of a lane's rows that a moment, give or take some ticks, is in; -1 if there is none.
function rowAt(view, lane, tick, slack) {
  const { rows } = view, [first, last] = rowsWithin(view, lane, tick - slack, tick + slack);
  let best = -1;
  for (let i = last - 1; i >= first; i--) {
    const within = rows.start[i] - slack <= tick && tick <= rows.start[i] + rows.length[i] + slack;
    if (within && (best < 0 || rows.length[i] < rows.length[best])) best = i;
  }
  return best;
}

// A row, what released it, what released that, and so on.
function chainOf(view, row, most = 400) {
  const chain = [];
  for (let at = row; at >= 0 && chain.length < most; at = view.rows.by[at]) chain.push(at);
  return chain;
}
