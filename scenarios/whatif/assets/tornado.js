// A tornado a figure: bars from "as now" to half, twice and no limit of each lever, on a logarithmic axis.
const MOST = 4, LEAST = 0.25, SIDE = 0.1; // what the axis shows, and room for texts (in decades)

function times(value) {
  if (value === null) return "–";
  if (value >= 2 || value <= 0.5) return `× ${Number(value.toPrecision(3))}`;
  const percent = Math.abs(100 * (value - 1));
  return `${value >= 1 ? "+" : "−"}${percent >= 10 ? percent.toFixed(0) : percent.toFixed(1)} %`;
}

function clipped(value) {
  return value === null ? 1 : Math.min(MOST, Math.max(LEAST, value));
}

function bars(rows, key, paint, opacity, from) {
  return {
    type: "bar", orientation: "h", y: rows.map((row) => row.name), marker: { color: colour(paint), opacity },
    base: rows.map((row) => Math.log10(clipped(from ? row[from] : 1))),
    x: rows.map((row) => Math.log10(clipped(row[key])) - Math.log10(clipped(from ? row[from] : 1))),
    customdata: rows.map((row) => `<b>${plain(row.name)}</b>: ${plain(row.what)}<br>half ${times(row.half)}` +
      (row.twice_label ? `<br>${plain(row.twice_label)} ${times(row.twice)}` : "") + `<br>${plain(row.limit_label)} ${times(row.limit)}` +
      (row.elasticity === null ? "" : `<br>elasticity ${Number(row.elasticity.toPrecision(2))}`)),
    hovertemplate: "%{customdata}<extra></extra>", cliponaxis: false,
  };
}

function notes(rows) { // the limit, at the end of its bar
  return rows.map((row) => ({
    x: Math.log10(clipped(row.limit)), y: row.name, text: times(row.limit) + (row.limit > MOST ? " ▸" : ""), showarrow: false,
    xanchor: "left", xshift: 5, font: { size: 11, color: colour("var(--ink-3)") },
  }));
}

const holder = document.getElementById("tornado");
for (const panel of report.panels) {
  const box = document.createElement("div"), title = document.createElement("h3"), plot = document.createElement("div");
  box.className = "panel";
  plot.className = "plot";
  const note = document.createElement("small");
  note.textContent = panel.note;
  title.append(panel.title, note);
  box.append(title, plot);
  holder.append(box);
  const rows = [...panel.rows].reverse(), marks = [0.25, 0.5, 1, 2, 4];
  const draw = () => Plotly.react(plot, [
    bars(rows, "half", "var(--s1)", 0.85),
    bars(rows, "limit", "var(--s0)", 0.3, "twice"),
    bars(rows, "twice", "var(--s0)", 1),
  ], layout({
    height: 70 + 38 * rows.length, margin: { l: 84, r: 56, t: 8, b: 44 }, barmode: "overlay", bargap: 0.45, hovermode: "closest",
    annotations: notes(rows),
    xaxis: { range: [Math.log10(LEAST) - SIDE / 2, Math.log10(MOST)], tickvals: marks.map(Math.log10), ticktext: marks.map((mark) => (mark === 1 ? "as now" : `× ${mark}`)), fixedrange: true },
    yaxis: { fixedrange: true, showgrid: false },
    shapes: [{ type: "line", xref: "x", yref: "paper", x0: 0, x1: 0, y0: 0, y1: 1, line: { color: colour("var(--ink-3)"), width: 1 } }],
  }), { ...config, displayModeBar: false });
  draw();
  theme.redraw.push(draw);
}
