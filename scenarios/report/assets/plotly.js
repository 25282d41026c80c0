// Plotly is large, and only some figures are made with it: it is read once the rest of the page has been drawn.
const plotlyReady = new Promise((done) => {
  document.addEventListener("DOMContentLoaded", () => requestAnimationFrame(() => setTimeout(() => {
    const script = document.createElement("script");
    script.textContent = document.getElementById("plotly").textContent;
    document.head.append(script);
    done();
  })));
});
