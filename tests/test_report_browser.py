"""The report in a real browser, where there is one."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenarios.report.page import render
from tests.browser import needs_chromium, told
from tests.report_pages import small_result

pytestmark = [pytest.mark.long, needs_chromium]

# A reader who goes through all strategies and parts, zooms, hides a reason and changes the theme.
READER = """
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
return {
  seen, hidden: before - plot.data.length, recoloured: plot.layout.font.color !== ink,
  lines: document.getElementById("latency-plot").data.length, overflow: document.body.scrollWidth > innerWidth,
};
"""


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_draws_and_answers_without_errors(tmp_path: Path, width: int) -> None:
    result = small_result(tmp_path)
    assert told(tmp_path, render(result), READER, width) == {
        "seen": [True] * (2 * len(result.runs)),
        "hidden": 1,
        "recoloured": True,
        "lines": len(result.runs),
        "overflow": False,
    }
