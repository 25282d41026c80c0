"""The report in a real browser, where there is one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scenarios.report.page import render
from tests.browser import needs_chromium, told
from tests.report_pages import small_result
from tests.scenario_files import SCENARIO

pytestmark = [pytest.mark.long, needs_chromium]

# A reader who goes through all strategies and parts, zooms, points, follows a chain, hides a reason, changes the theme.
READER = """
const frame = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
const canvas = document.getElementById("gantt-canvas"), box = () => canvas.getBoundingClientRect();
const tip = document.getElementById("gantt-tip"), chain = document.getElementById("gantt-chain");
const pixels = () => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.reduce((sum, each) => sum + each, 0);
const send = (kind, x, y, more = {}) => canvas.dispatchEvent(new PointerEvent(kind, {
  clientX: box().left + x, clientY: box().top + y, pointerId: 1, pointerType: "mouse", bubbles: true, ...more }));
await gantt.ready;
const seen = [];
for (const run of report.runs) {
  for (const [nth] of run.views.entries()) {
    await gantt.show(run.label, nth);
    await frame();
    seen.push(gantt.picture.busy.some((share) => share > 0) && pixels() > 0);
  }
}
const { state, picture, motion } = gantt, { view } = state, { rows } = view;
const place = (row) => [picture.x(rows.start[row] + rows.length[row] / 2, state.range),
  GANTT.top + (view.lanes.findIndex((lane) => lane.number === rows.lane[row]) + 0.5) * GANTT.row];
// dragging from a third to a half of the picture zooms into that sixth
const whole = [view.begin, view.end], left = picture.left + picture.plot / 3, right = picture.left + picture.plot / 2;
motion.moved(whole);
send("pointerdown", left, 60); send("pointermove", right, 60); send("pointerup", right, 60);
await frame();
const zoomed = (state.range[1] - state.range[0]) / (whole[1] - whole[0]);
canvas.dispatchEvent(new KeyboardEvent("keydown", { key: "Home" }));
const back = state.range.join() === whole.join();
// the longest expert, pointed at and tapped
let longest = -1;
for (let i = 0; i < view.count; i++) if (report.kinds[rows.kind[i]] === "expert" && rows.expert[i] >= 0 && rows.by[i] >= 0 && rows.category[i] !== report.dispatch && (longest < 0 || rows.length[i] > rows.length[longest])) longest = i;
motion.go(rows.start[longest] - 3 * rows.length[longest], rows.start[longest] + 4 * rows.length[longest]);
await frame();
send("pointermove", ...place(longest));
const pointed = !tip.hidden && tip.textContent.includes(`expert ${rows.expert[longest]}`) && tip.textContent.includes(`layer ${rows.layer[longest]}`);
send("pointerdown", ...place(longest)); send("pointerup", ...place(longest));
await frame();
const followed = chain.children.length > 1 && state.chain[0] === longest && state.chain[1] === rows.by[longest];
send("pointermove", 5, 5);
const left_alone = tip.hidden;
const before = pixels();
[...document.querySelectorAll("#gantt-legend button")].forEach((button) => button.click());
await frame();
const hidden = pixels() < before;
document.querySelectorAll("#gantt-colour button")[1].click();
await frame();
const causes = [...document.querySelectorAll("#gantt-legend button")].map((button) => button.textContent);
document.querySelector(".pace button").click();
await new Promise((done) => setTimeout(done, 50));
const linked = state.run.label === document.querySelector(".pace li").dataset.label && state.byPath;
const light = pixels();
document.getElementById("theme").click();
await frame();
await plotlyReady;
await frame();
document.querySelectorAll("details").forEach((details) => { details.open = true; });
document.querySelectorAll("#latency-view button")[1].click();
const share = document.getElementById("latency-plot").data.every((line) => line.y.length === 101);
return {
  share, seen, zoomed: Math.round(600 * zoomed), back, pointed, followed, left_alone, hidden, causes: causes.includes("GPU compute"), linked,
  recoloured: pixels() !== light, lines: document.getElementById("latency-plot").data.length, overflow: document.body.scrollWidth > innerWidth,
};
"""  # noqa: E501


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_draws_and_answers_without_errors(tmp_path: Path, width: int) -> None:
    result = small_result(tmp_path)
    assert told(tmp_path, render(result), READER, width) == {
        "share": True,
        "seen": [True] * len(result.runs),
        "zoomed": 100,
        "back": True,
        "pointed": True,
        "followed": True,
        "left_alone": True,
        "hidden": True,
        "causes": True,
        "linked": True,
        "recoloured": True,
        "lines": len(result.runs),
        "overflow": False,
    }


# How long the first picture takes, and one while zooming from the whole run to a thousandth of it and panning there.
WATCH = """
await gantt.ready;
await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
const ready_ms = performance.getEntriesByName("timeline drawn")[0].startTime;
const { state, motion, picture } = gantt, frames = [];
const whole = [state.view.begin, state.view.end], span = whole[1] - whole[0];
for (const byPath of [false, true]) {
  state.byPath = byPath;
  for (let i = 0; i < 40; i++) {
    const share = 10 ** (-3 * i / 40), from = whole[0] + (span * (1 - share) * i) / 40;
    state.range = [from, from + span * share];
    const begin = performance.now();
    picture.draw(state);
    picture.canvas.getContext("2d").getImageData(0, 0, 1, 1); // waits until it is drawn
    frames.push(performance.now() - begin);
  }
}
frames.sort((a, b) => a - b);
return { rows: state.view.count, ready_ms, median_ms: frames[40], p95_ms: frames[75] };
"""


def test_a_hundred_thousand_ops_are_drawn_at_once_and_move_smoothly(tmp_path: Path) -> None:
    result = small_result(tmp_path, SCENARIO.replace("output: 4", "output: 4500"), gpu_bytes=10**7)
    run = max(result.runs, key=lambda run: len(run.schedule))
    html = render(replace(result, runs=(run,)))
    assert len(run.schedule) > 100_000
    assert len(html) < 8_000_000
    seen = told(tmp_path, html, WATCH)
    print(len(run.schedule), "ops", f"{len(html) / 1e6:.1f} MB", seen)
    assert seen["rows"] > len(run.schedule)
    assert seen["ready_ms"] < 3000
    assert seen["median_ms"] < 50
