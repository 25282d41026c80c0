// What both plots share: data, formats, looks, legends.
const report = JSON.parse(document.getElementById("data").textContent);
const narrow = matchMedia("(max-width: 700px)");

function plain(text) { // Plotly reads tags in its texts
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

function unit(value_s) {
  return value_s >= 1 || value_s === 0 ? { factor: 1, name: "s" } : value_s >= 1e-3 ? { factor: 1e3, name: "ms" } : { factor: 1e6, name: "µs" };
}

function seconds(value) {
  const { factor, name } = unit(value);
  return `${Number((value * factor).toPrecision(value >= 1000 ? 6 : 4))} ${name}`;
}

function bytes(value) {
  const [factor, unit] = value >= 1e9 ? [1e9, "GB"] : value >= 1e6 ? [1e6, "MB"] : value >= 1e3 ? [1e3, "kB"] : [1, "B"];
  return `${Number((value / factor).toPrecision(4))} ${unit}`;
}

function layout(extra) {
  const ink = colour("var(--ink-2)"), line = colour("var(--line)");
  const axis = {
    gridcolor: line, zeroline: false, linecolor: line, tickcolor: line, ticklen: 4, automargin: false,
    tickfont: { color: ink, size: 12 }, title: { font: { color: ink, size: 12 } },
  };
  const result = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
    font: { family: getComputedStyle(document.body).fontFamily, color: ink, size: 12 },
    hoverlabel: {
      bgcolor: colour("var(--raised)"), bordercolor: colour("var(--line-2)"), align: "left",
      font: { color: colour("var(--ink)"), size: 12, family: getComputedStyle(document.body).fontFamily },
    },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("var(--ink-3)"), activecolor: colour("var(--ink)") },
    ...extra,
  };
  result.xaxis = { ...axis, ...extra.xaxis, title: { ...axis.title, ...extra.xaxis.title } };
  result.yaxis = { ...axis, ...extra.yaxis, title: { ...axis.title, ...(extra.yaxis.title || {}) } };
  return result;
}

const config = {
  responsive: true, displaylogo: false, showTips: false, doubleClick: "reset",
  modeBarButtons: [["zoomIn2d", "zoomOut2d", "pan2d", "zoom2d", "resetScale2d", "toImage"]],
};

// Buttons in a list, one for each item {key, label, paint, dashed}; `hidden` holds the keys that are off.
function legend(list, items, hidden, changed) {
  list.replaceChildren(...items.map((item) => {
    const entry = document.createElement("li"), button = document.createElement("button");
    button.type = "button";
    button.textContent = item.label;
    button.style.setProperty("--paint", item.paint);
    button.classList.toggle("dashed", Boolean(item.dashed));
    button.setAttribute("aria-pressed", String(!hidden.has(item.key)));
    button.addEventListener("click", () => {
      hidden.has(item.key) ? hidden.delete(item.key) : hidden.add(item.key);
      button.setAttribute("aria-pressed", String(!hidden.has(item.key)));
      changed();
    });
    entry.append(button);
    return entry;
  }));
}
