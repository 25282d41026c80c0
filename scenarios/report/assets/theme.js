"use strict";

// Dark or light: as the system says, until the reader has said otherwise.
const theme = {
  redraw: [],
  system: matchMedia("(prefers-color-scheme: dark)"),
  get dark() {
    const stated = document.documentElement.dataset.theme;
    return stated ? stated === "dark" : this.system.matches;
  },
  set(name) {
    document.documentElement.dataset.theme = name;
    try { localStorage.setItem("moesim-theme", name); } catch (_) { /* a file may have no storage */ }
    this.redraw.forEach((draw) => draw());
  },
};
try {
  const stored = localStorage.getItem("moesim-theme");
  if (stored === "dark" || stored === "light") document.documentElement.dataset.theme = stored;
} catch (_) { /* as above */ }
document.getElementById("theme").addEventListener("click", () => theme.set(theme.dark ? "light" : "dark"));
theme.system.addEventListener("change", () => theme.redraw.forEach((draw) => draw()));

// A CSS variable as the colour it stands for now: Plotly draws without the style sheet.
function colour(paint) {
  const name = /^var\((--[\w-]+)\)$/.exec(paint);
  return name ? getComputedStyle(document.documentElement).getPropertyValue(name[1]).trim() : paint;
}
