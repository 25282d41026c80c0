"""The report in a real browser, where there is one."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from scenarios.report.page import render
from tests.report_pages import small_result

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.long, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]

# A reader who goes through all strategies and parts, zooms, hides a reason and changes the theme.
READER = """
<script>
(() => {
  const seen = [], plot = document.getElementById("gantt"), select = document.getElementById("gantt-run");
  for (const option of select.options) {
    select.value = option.value;
    select.dispatchEvent(new Event("change"));
    for (const nth of [0, 1]) {
      document.querySelectorAll("#gantt-view button")[nth].click();
      seen.push(plot.data.reduce((sum, trace) => sum + trace.x.length, 0) > 0);
    }
  }
  const full = plot.layout.xaxis.range[1];
  Plotly.relayout(plot, { "xaxis.range": [full * 0.4, full * 0.6] });
  const before = plot.data.length, ink = plot.layout.font.color;
  document.querySelector("#gantt-legend button").click();
  document.getElementById("theme").click();
  document.querySelectorAll("details").forEach((details) => { details.open = true; });
  const told = document.createElement("output");
  told.textContent = JSON.stringify({
    seen, hidden: before - plot.data.length, recoloured: plot.layout.font.color !== ink,
    lines: document.getElementById("latency-plot").data.length, overflow: document.body.scrollWidth > innerWidth,
  });
  document.body.append(told);
})();
</script>
"""


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_draws_and_answers_without_errors(tmp_path: Path, width: int) -> None:
    result = small_result(tmp_path)
    page = tmp_path / "report.html"
    page.write_text(render(result).replace("</body>", f"{READER}</body>"), encoding="utf-8")
    command = [
        *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
        *("--disable-background-networking", "--disable-component-update", "--enable-logging=stderr"),
        *("--virtual-time-budget=10000", f"--window-size={width},900", f"--user-data-dir={tmp_path / 'profile'}"),
        *("--dump-dom", page.as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr, done.stderr
    told = done.stdout.rsplit("<output>", 1)[1].split("</output>")[0]
    assert json.loads(told) == {
        "seen": [True] * (2 * len(result.runs)),
        "hidden": 1,
        "recoloured": True,
        "lines": len(result.runs),
        "overflow": False,
    }
