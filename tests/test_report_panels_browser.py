"""The panels of experts and of behaviour over time in a real browser, where there is one."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenarios.report.page import render
from scenarios.report.ranking import rank
from sim.expert_use import expert_use
from sim.over_time import over_time
from sim.schedule import Phase
from tests.browser import needs_chromium, told
from tests.report_pages import small_result

pytestmark = [pytest.mark.long, needs_chromium]

# A reader who looks at every map and every line, in both orders and phases, hides a strategy and changes the theme.
READER = """
const soon = () => new Promise((ready) => setTimeout(ready, 25));
const drawn = async (done) => { for (let i = 0; i < 400 && !done(); i++) await soon(); };
const buttons = (id) => [...document.querySelectorAll(`#${id} button`)];
const pressed = (id) => document.querySelector(`#${id} button[aria-pressed=true]`).textContent;
const maps = document.getElementById("experts-plot"), lines = document.getElementById("over-time-plot");
const select = document.getElementById("experts-run"), sum = document.getElementById("experts-sum");
const scale = () => JSON.stringify(maps.data[0].colorscale);
await drawn(() => maps.data);
const sums = [], looks = new Set();
for (const option of select.options) {
  select.value = option.value;
  select.dispatchEvent(new Event("change"));
  for (const button of buttons("experts-what")) {
    sum.textContent = "";
    button.click();
    await drawn(() => sum.textContent);
    sums.push(sum.textContent);
    looks.add(scale());
  }
}
const cell = () => maps.data[0].customdata[1][0];
const plainOrder = [cell(), maps.data[0].z.length, maps.data[0].z[0].length];
buttons("experts-order")[1].click();
await drawn(() => maps.layout.xaxis.title.text + maps.layout.yaxis.title.text === "popularity ranklayer");
const popular = cell(), before = scale();
document.getElementById("theme").click();
await drawn(() => scale() !== before);
const shares = [];
for (const phase of buttons("over-time-phase")) {
  phase.click();
  for (const kind of buttons("over-time-what")) {
    kind.click();
    const lru = lines.data.find((trace) => trace.name === "lru");
    shares.push([phase.textContent, kind.textContent, lru.type, lru.y]);
  }
}
buttons("over-time-legend")[0].click();
return {
  sums, looks: looks.size, plainOrder, popular, recoloured: scale() !== before, shares,
  chosen: ["experts-what", "experts-order", "over-time-what", "over-time-phase"].map(pressed),
  hidden: lines.data.filter((trace) => !trace.visible).length, overflow: document.body.scrollWidth > innerWidth,
};
"""


@pytest.mark.parametrize("width", [1280, 390])
def test_both_panels_draw_what_the_numbers_say(tmp_path: Path, width: int) -> None:
    result = small_result(tmp_path)
    entries = rank(result.runs)
    seen = told(tmp_path, render(result), READER, width)
    assert (seen["looks"], seen["recoloured"], seen["hidden"], seen["overflow"]) == (3, True, 1, False)
    assert seen["chosen"] == ["Misses", "by popularity", "CPU busy", "Prefill"]
    for i, entry in enumerate(entries):
        use = expert_use(entry.run.timeline)
        popularity, residency, misses = seen["sums"][3 * i : 3 * i + 3]
        assert popularity.startswith(f"{use.uses.sum()} uses")
        assert popularity.endswith("The same for all strategies.")
        mean = float(residency.removeprefix("On average ").split(" of 8 experts")[0])
        assert mean == pytest.approx(use.resident.sum(), abs=0.1)
        assert misses.startswith(f"{round(100 * use.misses.sum() / use.uses.sum())} %" if use.misses.any() else "All ")

    use = expert_use(entries[-1].run.timeline)
    text, *shape = seen["plainOrder"]
    assert shape == [2, 4], "layers down, experts across"
    assert text.startswith(f"<b>layer 2, expert 0</b><br>{use.uses[1, 0]} uses")
    assert f"expert {max(range(4), key=lambda e: (use.uses[1, e], use.tokens[1, e], -e))}<" in seen["popular"]

    lru = next(entry.run.timeline for entry in entries if entry.label == "lru")
    assert len(seen["shares"]) == 2 * 5
    for phase, kind, drawn, values in seen["shares"]:
        steps = over_time(lru, Phase[phase.upper()])
        assert drawn == ("bar" if phase == "Prefill" else "scatter")
        if kind == "Hit rate":
            assert values == pytest.approx((100 * steps.hit_rate).tolist())
        if kind == "Link busy":
            busy = 100 * steps.busy[:, lru.schedule.lane_index["gpu0.h2d"]]
            assert values == pytest.approx(busy.tolist(), rel=1e-3)
