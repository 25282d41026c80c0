// What rows of the Gantt are, and why they started when they did, in words.
const ganttWords = {
  name(view, row) {
    const { rows } = view, kind = report.kinds[rows.kind[row]], expert = rows.expert[row];
    const own = kind !== "expert" ? kind : expert < 0 ? "shared or dense FFN" : `expert ${expert}`;
    const what = expert >= 0 && kind !== "expert" ? `${kind} of expert ${expert}` : own;
    return rows.category[row] === report.dispatch ? `dispatch of ${what}` : what;
  },

  // On a bar: as much as it has room for.
  labels(view, row) {
    const { rows } = view, kind = report.kinds[rows.kind[row]], expert = rows.expert[row];
    if (rows.category[row] === report.dispatch) return ["dispatch"];
    const short = expert >= 0 ? `E${expert}` : kind === "expert" ? "FFN" : kind;
    return [rows.layer[row] >= 0 ? `L${rows.layer[row]} ${short}` : short, short];
  },

  facts(view, row) {
    const { rows } = view, host = rows.category[row] === report.dispatch, size = rows.sizes[rows.size[row]];
    return [
      rows.layer[row] >= 0 && `layer ${rows.layer[row]}`,
      !host && report.categories[rows.category[row]].label,
      !host && size > 0 && bytes(size),
      !host && rows.tokens[row] > 0 && `${rows.tokens[row]} ${rows.tokens[row] === 1 ? "token" : "tokens"}`,
    ].filter(Boolean).join(" · ");
  },

  length: (view, row) => seconds(view.rows.length[row] * view.tick_s),

  // Why it did not start sooner.
  release(view, row) {
    const { rows } = view, by = rows.by[row], how = report.releases[rows.how[row]];
    const before = by >= 0 ? this.name(view, by) : null;
    if (rows.category[row] === report.dispatch) return before ? `after ${before}` : "first of what the host does here";
    if (how === "dispatch") return "started once the host had handed it over";
    if (!before) return how === "queue" ? "queued behind earlier work" : "waited for nothing shown here";
    return how === "queue" ? `queued behind ${before}` : `waited for ${before}`;
  },

  // Its part of the critical path.
  path(view, row) {
    const { path, ofRow } = view, spent = new Map();
    for (let i = ofRow.first[row]; i >= 0; i = ofRow.next[i]) spent.set(path.cause[i], (spent.get(path.cause[i]) || 0) + path.length[i]);
    if (!spent.size) return "not on the critical path";
    const parts = [...spent].sort((a, b) => b[1] - a[1]).map(([cause, ticks]) => `${seconds(ticks * view.tick_s)} ${report.causes[cause].label}`);
    return `on the critical path: ${parts.join(", ")}`;
  },
};
