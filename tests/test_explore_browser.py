"""The page of a sweep in a real browser, where there is one."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from scenarios.explore.page import render
from scenarios.explore.table import read_sweep
from scenarios.vary import changed
from tests.browser import needs_chromium, told
from tests.level_line import Grid, crossed_edges, random_pairs, rounded, wrong_sides
from tests.sweep_tables import CACHES, LINKS, SCENARIO, Row, grid_rows, rates, write_sweep

pytestmark = [pytest.mark.long, needs_chromium]
CONSTRAINT = {"figure": "gpu_gb", "at_most": 60.0, "at_least": None}
PAIRS = random_pairs(20)

# What the figures show: how many points, places, table rows and brushes.
HELPERS = """
const get = (id) => document.getElementById(id);
const state = () => ({
  count: get("count").textContent, rows: document.querySelectorAll("#best-table tbody tr").length,
  points: get("pareto-plot").data.slice(1).reduce((sum, trace) => sum + trace.x.length, 0),
  places: get("map-plot").data[0].z.flat().filter((value) => value !== null).length,
  lines: Number(document.querySelector("#parallel-plot canvas").dataset.lines),
  brushed: [...new Set([...document.querySelectorAll("#parallel-plot [data-of]")].map((mark) => mark.dataset.of))],
});
const choose = (select, value) => { select.value = value; select.dispatchEvent(new Event("change")); };
const chip = (key, text) =>
  [...document.querySelectorAll(`[data-key="${key}"] button`)].find((each) => each.textContent === text).click();
const strip = (key) => document.querySelector(`#parallel-plot [data-key="${key}"]`);
const brush = (key, from, to) => { // shares of the axis, from its lower end
  const { bottom, height, left } = strip(key).getBoundingClientRect();
  const at = (share) => ({ clientX: left + 9, clientY: bottom - share * height, bubbles: true });
  const send = (kind, share) => strip(key).dispatchEvent(new PointerEvent(kind, at(share)));
  send("pointerdown", from); send("pointermove", to); send("pointerup", to);
};
"""
FILTERS = """
const seen = [state()], ink = get("pareto-plot").layout.font.color;
chip("strategy", "cpu"); seen.push(state());
brush("cache", 2 / 7, 4 / 7); seen.push(state());
get("pareto-plot").emit("plotly_selected", { range: { x: [20, 32], y: [0, 1.5] } }); seen.push(state());
brush("cache", 0.5, 0.5); seen.push(state());
get("reset").click(); seen.push(state());
get("theme").click();
const filters = {
  seen, recoloured: ink !== get("pareto-plot").layout.font.color, overflow: document.body.scrollWidth > innerWidth,
};
"""
FRONTS = """
const front = () => { const { x, y } = get("pareto-plot").data[0]; return x.map((value, i) => [value, y[i]]); };
const fronts = [front()];
choose(get("pareto-x"), "ttft_s");
fronts.push(front());
"""
MAP = """
const [heat, , line] = get("map-plot").data, map = { all: heat.z, x: line.x, y: line.y };
choose(get("map-of"), "1");
choose(document.querySelector('#map-fixed select[data-key="strategies.0.policy"]'), "0");
Object.assign(map, {
  one: get("map-plot").data[0].z, of: get("map-of").selectedOptions[0].textContent, note: get("map-note").textContent,
});
"""
COPY = """
chip("strategy", "cpu");
const row = document.querySelector("#best-table tbody tr");
row.querySelector("button").click();
await new Promise((go) => setTimeout(go, 50));
const copy = {
  text: get("best-text").textContent, shown: !get("best-yaml").hidden,
  row: [...row.children].map((each) => each.textContent),
};
"""


def page_of(folder: Path, **table: Any) -> str:
    return render(read_sweep(write_sweep(folder / "sweep", constraints=[CONSTRAINT], **table)))


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What one reader has seen who did all that is tested."""
    folder = tmp_path_factory.mktemp("page")
    pairs = json.dumps([[plain(first), plain(second)] for first, second in PAIRS])
    level = f"const level = {pairs}.map(([one, two]) => grids.level(one, two));"
    reader = f"{HELPERS}{FILTERS}{FRONTS}{MAP}{COPY}{level} return {{ filters, fronts, map, copy, level }};"
    return told(folder, page_of(folder), reader)


def plain(grid: Grid) -> list[list[float | None]]:
    return [[None if math.isnan(value) else value for value in line] for line in grid.tolist()]


def done(**where: Any) -> list[Row]:
    return [row for row in grid_rows() if row["status"] == "done" and all(row[key] == at for key, at in where.items())]


def check_filters(said: Any) -> None:
    """Each of the states has what a plain loop over the rows finds."""
    everything, cpu, few, boxed, clicked, again = said["seen"]
    assert everything["points"] == len(done())
    assert everything["count"] == f"{len(done())} of {len(done())} runs shown"
    assert everything["brushed"] == []
    assert cpu["points"] == len(done(strategy="cpu"))
    assert cpu["brushed"] == ["strategy"]
    kept = [row for row in done(strategy="cpu") if row["cache"] in CACHES[2:4]]
    assert few["points"] == len(kept)
    assert few["places"] == len({(row["cache"], row["machine_with.link.gb_per_s"]) for row in kept})
    assert set(few["brushed"]) == {"strategy", "cache"}
    inside = [row for row in kept if 20 <= row["gpu_gb"] <= 32 and row["decode_tokens_per_s"] <= 1.5]
    assert boxed["points"] == len(inside) > 0
    assert boxed["rows"] == min(10, len(inside))
    assert {"decode_tokens_per_s", "gpu_gb"} <= set(boxed["brushed"])
    wider = [r for r in done(strategy="cpu") if 20 <= r["gpu_gb"] <= 32 and r["decode_tokens_per_s"] <= 1.5]
    assert clicked["points"] == len(wider) >= len(inside)
    assert "cache" not in clicked["brushed"]
    assert all(state["lines"] == state["points"] for state in said["seen"])
    assert again == everything
    assert said["recoloured"]
    assert not said["overflow"]


def test_every_figure_follows_the_filters_and_the_theme(said: Any) -> None:
    check_filters(said["filters"])


def test_a_narrow_screen_has_the_same(tmp_path: Path) -> None:
    check_filters(told(tmp_path, page_of(tmp_path), f"{HELPERS}{FILTERS} return filters;", 390))


def test_the_front_is_what_no_feasible_run_beats(said: Any) -> None:
    for shown, figure in zip(said["fronts"], ("gpu_gb", "ttft_s"), strict=True):
        points = {(row[figure], row["decode_tokens_per_s"]) for row in done(feasible=True)}
        best = {p for p in points if not any(q != p and q[0] <= p[0] and q[1] >= p[1] for q in points)}
        assert np.array(sorted(shown)) == pytest.approx(np.array(sorted(best)), rel=1e-5)


def test_the_map_holds_the_best_of_each_place(said: Any) -> None:
    fits = [cache for cache in CACHES if 3 + 0.35 * cache <= 60]
    best = [[max(max(rates(c, link, p).values()) for p in ("lru", "lfu")) for c in fits] for link in LINKS]
    one = [[rates(c, link, "lru")[said["map"]["of"]] for c in fits] for link in LINKS]
    for shown, expected in ((said["map"]["all"], best), (said["map"]["one"], one)):
        assert np.array([line[: len(fits)] for line in shown]) == pytest.approx(np.array(expected), rel=1e-5)
        assert all(value is None for line in shown for value in line[len(fits) :])
    assert "policy of 1 is lru" in said["map"]["note"]


def test_two_rivals_are_level_where_their_ratio_is_one(said: Any) -> None:
    places = [y for y in said["map"]["y"] if y is not None]
    assert 2 < min(places) <= max(places) < 3  # between 12 and 25 GB/s; they are level at 20
    lead = [math.log(rates(80, link, "lfu")["fetch"] / rates(80, link, "lfu")["cpu"]) for link in LINKS[2:4]]
    at_80 = next(y for x, y in zip(said["map"]["x"], said["map"]["y"], strict=True) if x == CACHES.index(80))
    assert at_80 == pytest.approx(2 + lead[0] / (lead[0] - lead[1]), rel=1e-4)


def test_the_line_is_that_of_brute_force(said: Any) -> None:
    for (first, second), pieces in zip(PAIRS, said["level"], strict=True):
        lead = np.log(first / second)
        assert {rounded(end) for piece in pieces for end in piece} == crossed_edges(lead)
        assert len(pieces) > 3
        assert not wrong_sides(lead, pieces)


def test_a_row_is_to_be_had_as_a_scenario(said: Any) -> None:
    best = max(done(strategy="cpu", feasible=True), key=lambda row: row["decode_tokens_per_s"])
    cache, link, policy = (best[path] for path in ("cache", "machine_with.link.gb_per_s", "strategies.0.policy"))
    fields = {"cache": cache, "machine_with.link.gb_per_s": link, "strategies.0.policy": policy}
    expected = changed(SCENARIO, fields)
    expected["strategies"] = expected["strategies"][1:]
    assert yaml.safe_load(said["copy"]["text"]) == expected
    assert said["copy"]["shown"]
    assert said["copy"]["row"][1:4] == [str(cache), f"{link:g}", policy]


def test_scenarios_of_any_field_are_written_as_the_program_reads_them(tmp_path: Path) -> None:
    fields = {
        "cache": "47%",
        "precision": '{"experts": "q4_k", "rest": "bf16"}',
        "strategies.1": '{"name": "cache", "miss": "cpu"}',
        "predictor.recall": 0.5,
        "machine_with.link.pageable.gb_per_s": 8.0,
        "strategies.0.prefetch": True,
        "workload.prompt": '{"median": 21, "sigma": 0.5}',
        "title": "yes: a # title",
        "seed": 1234567,
    }
    figures = {"status": "done", "reason": None, "feasible": True, "decode_tokens_per_s": 1.0, "gpu_gb": 2.0}
    rows = [
        {"point": i, "strategy": "b", **figures, **fields, "cache": cache} for i, cache in enumerate(("47%", "all"))
    ]
    scenario = SCENARIO | {"strategies": [{"name": "cache"}, "fiddler"]}
    text = told(tmp_path, page_of(tmp_path, rows=rows, axes=[*fields], scenario=scenario), "return yaml.of(0);")
    expected = changed(scenario, {path: _parsed(value) for path, value in fields.items()})
    expected["strategies"] = expected["strategies"][:1]
    assert yaml.safe_load(text) == expected


def _parsed(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value
