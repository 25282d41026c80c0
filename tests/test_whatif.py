"""Levers agree with running the changed scenario, and with what must be true of any schedule."""

from __future__ import annotations

import json
from dataclasses import replace
from math import log
from pathlib import Path
from typing import Any

import pytest

from scenarios.adjust import adjusted
from scenarios.load import load_scenario
from scenarios.resolve import Case, Entry, resolve
from scenarios.run import run_entry, run_scenario
from scenarios.whatif import Lever, levers
from scenarios.whatif.answer import Answer, ask, conclusion
from scenarios.whatif.levers import SMOOTH
from scenarios.whatif.page import render
from sim.errors import InputError
from sim.machine import Machine
from tests.report_pages import data_of, read_page
from tests.scenario_files import SCENARIO, machine, write_files
from tests.test_cli import moesim

LONG = SCENARIO.replace("{prompt: 6, output: 4}", "{prompt: 6, output: 12}")
CACHED = 4


def without_fixed_costs() -> Machine:
    """Every second hangs on one lever, and host memory is never short."""
    exact = machine(gpu_bytes=1_050_000)
    lines = tuple(line.model_copy(update={"fixed_s": 0.0}) for line in exact.rooflines)
    curves = [link.curve.model_copy(update={"seconds": tuple(x / 1e9 for x in link.curve.x)}) for link in exact.links]
    links = tuple(link.model_copy(update={"curve": c}) for link, c in zip(exact.links, curves, strict=True))
    return exact.model_copy(update={"rooflines": lines, "links": links, "capacities": {"dram": 1e15}})


def case_of(folder: Path, on: Machine | None = None, text: str = LONG) -> Case:
    path = write_files(folder, text.replace("  - {label: stream, name: layer-streaming}\n", ""), gpu_bytes=1_050_000)
    if on is not None:
        on.save(folder / "machine.json")
    return resolve(load_scenario(path))


def entry_of(case: Case, label: str) -> Entry:
    return next(entry for entry in case.entries if entry.spec.title == label)


def by_name(case: Case, label: str) -> dict[str, Lever]:
    return {lever.name: lever for lever in levers(case, entry_of(case, label))}


@pytest.mark.parametrize("label", ["on-demand", "lru", "prefetch", "fiddler", "cheaper"])
@pytest.mark.parametrize(
    ("lever", "name"), [("link", "link.speed"), ("cpu", "cpu.speed"), ("dispatch", "dispatch.speed")]
)
def test_gains_and_slopes_are_those_of_running_the_changed_scenario(
    tmp_path: Path, label: str, lever: str, name: str
) -> None:
    case = case_of(tmp_path)
    entry, found = entry_of(case, label), by_name(case, label)[lever]

    def decode(factor: float) -> float:
        changed = replace(case, machine=adjusted(case.machine, {name: factor}))
        rate = run_entry(changed, entry, "simpy").summary.decode_tokens_per_s
        assert rate is not None
        return rate

    for text, factor in (("+25 %", 1.25), ("× 2", 2.0)):
        assert found.gains[text].decode == pytest.approx(decode(factor) / decode(1.0), rel=1e-9)
    assert found.loss.decode == pytest.approx(decode(0.5) / decode(1.0), rel=1e-9)
    above, below = 1 + found.step, 1 - found.step
    expected = log(decode(above) / decode(below)) / log(above / below)
    assert found.elasticity.decode == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert (found.step == SMOOTH) == (label != "cheaper")


@pytest.mark.parametrize("label", ["on-demand", "lru", "fiddler", "prefetch"])
def test_where_each_second_hangs_on_one_lever_elasticities_sum_to_one(tmp_path: Path, label: str) -> None:
    found = by_name(case_of(tmp_path, without_fixed_costs()), label)
    for figure in ("decode", "first_token"):
        parts = [getattr(found[name].elasticity, figure) for name in ("link", "gpu", "cpu", "dispatch")]
        assert min(parts) >= -1e-6
        assert sum(parts) == pytest.approx(1, abs=0.01)


def test_more_of_a_thing_is_no_worse_and_nothing_exceeds_the_limit(tmp_path: Path) -> None:
    case = case_of(tmp_path)
    for label in ("on-demand", "lru", "fiddler"):
        for name in ("link", "gpu", "cpu", "dram", "dispatch"):
            lever = by_name(case, label)[name]
            paces = [lever.loss, *lever.gains.values()]
            for figure in ("decode", "first_token"):
                ladder = [getattr(pace, figure) for pace in paces]
                assert ladder == pytest.approx(sorted(ladder), rel=1e-9), (label, name)
                assert ladder[0] - 1e-9 <= 1 <= ladder[1] + 1e-9


def test_what_does_not_run_on_the_cpu_gains_nothing_by_it(tmp_path: Path) -> None:
    cpu = by_name(case_of(tmp_path), "lru")["cpu"]
    assert cpu.elasticity == (0, 0)
    assert cpu.limit == (1, 1)


def test_a_larger_cache_is_planned_as_if_it_were_there(tmp_path: Path) -> None:
    case = case_of(tmp_path)
    lever = by_name(case, "lru")["cache"]
    big = write_files(tmp_path, LONG.replace("cache: 4", "cache: all"), gpu_bytes=10**7)
    best = next(run for run in run_scenario(load_scenario(big)).runs if run.label == "lru").summary
    now = run_entry(case, entry_of(case, "lru")).summary
    assert lever.limit.decode == pytest.approx(best.decode_tokens_per_s / now.decode_tokens_per_s)  # type: ignore[operator]
    assert lever.gains["× 2"] == lever.limit  # 8 of 8
    assert list(lever.gains)[-1] == "all 8"
    assert "room for 0 more" not in lever.note
    assert "cache" not in by_name(case, "all-resident")


def test_a_better_predictor_is_a_lever_of_those_that_ask_one(tmp_path: Path) -> None:
    case = case_of(tmp_path)
    assert "predictor" not in by_name(case, "lru")
    lever = by_name(case, "prefetch")["predictor"]
    assert list(lever.gains) == ["recall 0.55", "perfect"]
    perfect = LONG.replace("predictor: {recall: 0.5}", "predictor: {kind: perfect}")
    runs = [
        run_entry(each, entry_of(each, "prefetch")).summary.decode_tokens_per_s
        for each in (case_of(tmp_path, text=perfect), case)
    ]
    assert lever.limit.decode == pytest.approx(runs[0] / runs[1])  # type: ignore[operator]


def test_the_order_is_that_of_the_slopes(tmp_path: Path) -> None:
    case = case_of(tmp_path)
    slopes = [lever.elasticity.decode or 0.0 for lever in levers(case, entry_of(case, "on-demand"))]
    assert slopes == sorted(slopes, reverse=True)
    assert slopes[0] > 0.5


def test_the_conclusion_names_what_binds_and_the_best_strategy_is_the_default(tmp_path: Path) -> None:
    case_of(tmp_path, without_fixed_costs())
    file = load_scenario(tmp_path / "scenario.yaml")
    said = conclusion(ask(file, "on-demand"))
    assert said.startswith("Decoding of on-demand is bound by the PCIe link: 10 % more gives ")
    runs = [run for run in run_scenario(file).runs if run.fits and run.strategy != "oracle"]
    best = max(runs, key=lambda run: run.summary.decode_tokens_per_s or 0.0)
    assert ask(file).run.label == best.label


def test_an_unknown_strategy_is_one_line(tmp_path: Path) -> None:
    case_of(tmp_path)
    with pytest.raises(InputError, match=r"--strategy: no strategy is called this \(got 'lrv'\); did you mean lru\?"):
        ask(load_scenario(tmp_path / "scenario.yaml"), "lrv")


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> Answer:
    folder = tmp_path_factory.mktemp("whatif")
    case_of(folder)
    return ask(load_scenario(folder / "scenario.yaml"), "prefetch")


def test_json_says_all_of_it(answer: Answer) -> None:
    told = json.loads(answer.to_json())
    assert told["strategy"] == "prefetch"
    assert [each["name"] for each in told["levers"]] == [lever.name for lever in answer.levers]
    link = next(each for each in told["levers"] if each["name"] == "link")
    (lever,) = [lever for lever in answer.levers if lever.name == "link"]
    assert link["gains"]["× 2"] == {"decode": lever.gains["× 2"].decode, "first_token": lever.gains["× 2"].first_token}


def test_the_page_draws_every_lever_and_loads_nothing(answer: Answer) -> None:
    page = read_page(render(answer))
    data: dict[str, Any] = data_of(page)
    assert [panel["title"] for panel in data["panels"]] == ["Decode speed", "Time to first token"]
    for panel, figure in zip(data["panels"], ("decode", "first_token"), strict=True):
        assert {row["name"]: row["limit"] for row in panel["rows"]} == {
            lever.name: getattr(lever.limit, figure) for lever in answer.levers
        }
    assert not [each for each in page.find() if "src" in each.attributes]
    assert conclusion(answer) in page.text


def test_the_command_prints_a_row_a_lever_and_writes_page_and_json(tmp_path: Path) -> None:
    case_of(tmp_path)
    shown = moesim("whatif", str(tmp_path / "scenario.yaml"), "--strategy", "lru", "--out", str(tmp_path / "out"))
    for name in ("link", "gpu", "cpu", "dram", "dispatch", "cache"):
        assert any(line.startswith(name) for line in shown.splitlines()), name
    assert "Decoding of lru is bound by" in shown
    assert json.loads((tmp_path / "out" / "whatif.json").read_text("utf-8"))["strategy"] == "lru"
    assert (tmp_path / "out" / "whatif.html").stat().st_size > 1_000_000
