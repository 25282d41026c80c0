"""A scenario's ranges: of computers and of requests, the same ones for all strategies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from scenarios.load import load_scenario
from scenarios.results import RunResult, ScenarioResult
from scenarios.run import run_scenario
from scenarios.uncertainty import REPLANS, _interleaved, run_with_ranges
from sim.intervals import Drawn, range_of
from sim.machine import Machine
from tests.scenario_files import SCENARIO, machine, read_json, write_files

DRAWS, SEEDS = 60, 2
FEW = SCENARIO[: SCENARIO.index("  - all-resident")] + (
    "  - on-demand\n  - {label: lru, name: cache}\n  - {label: infinity, name: moe-infinity}\n"
)


def uncertain(spread: float) -> Machine:
    """The machine with a link that is not quite known, and one figure behind every other speed."""
    exact = machine()
    links = [
        link.model_copy(update={"curve": link.curve.model_copy(update={"spread": (spread,) * 2})})
        for link in exact.links
    ]
    lines = [line.model_copy(update={"spread": spread / 3}) for line in exact.rooflines]
    return exact.model_copy(update={"links": tuple(links), "rooflines": tuple(lines)})


def ran(folder: Path, *, spread: float = 0.3, seeds: int = SEEDS, jobs: int = 1, text: str = FEW) -> ScenarioResult:
    path = write_files(folder, text)
    uncertain(spread).save(folder / "machine.json")
    return run_with_ranges(load_scenario(path), seeds=seeds, draws=DRAWS, jobs=jobs)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> ScenarioResult:
    return ran(tmp_path_factory.mktemp("tiny"))


def by_label(result: ScenarioResult, label: str) -> RunResult:
    return next(run for run in result.runs if run.label == label)


def test_the_figures_are_those_of_a_run_without_ranges(tmp_path: Path, result: ScenarioResult) -> None:
    plain = run_scenario(load_scenario(write_files(tmp_path, FEW)))
    assert [run.summary for run in plain.runs] == [run.summary for run in result.runs]
    assert [run.ranges for run in plain.runs] == [{}] * 3


def test_every_speed_of_every_strategy_has_a_range(result: ScenarioResult) -> None:
    for run in result.runs:
        assert len(run.ranges) == 6, run.label
        for name, (low, high) in run.ranges.items():
            assert low < high, (run.label, name)
            if run.schedule.clock_free:
                assert low < getattr(run.summary, name) < high, (run.label, name)


def test_draws_take_turns_with_the_seeds(tmp_path: Path, result: ScenarioResult) -> None:
    drawn = by_label(result, "lru").drawn["makespan_s"]
    assert len(drawn) == DRAWS
    exact = by_label(ran(tmp_path, spread=0.0), "lru").drawn["makespan_s"]
    others = [run_scenario(load_scenario(tmp_path / "scenario.yaml", seed=seed)) for seed in range(SEEDS + 1)]
    expected = [by_label(other, "lru").summary.makespan_s for other in others]
    assert len(set(expected)) == SEEDS + 1
    assert exact == pytest.approx(np.tile(expected, DRAWS // (SEEDS + 1)), rel=1e-12)


def test_where_a_turn_has_fewer_draws_the_numbers_stay_in_step() -> None:
    def turn(first: int, n: int) -> Drawn:
        return {"makespan_s": np.arange(first, first + 3 * n, 3, dtype=float)}

    assert _interleaved([turn(0, 4), turn(1, 4), turn(2, 4)])["makespan_s"].tolist() == [*range(12)]
    assert _interleaved([turn(0, 4), turn(1, 2), turn(2, 4)])["makespan_s"].tolist() == [*range(7)]
    assert _interleaved([turn(0, 2), {}]) == {}


def test_a_strategy_that_asks_the_clock_is_planned_on_the_drawn_computers(tmp_path: Path) -> None:
    result = ran(tmp_path, seeds=0)
    run = by_label(result, "infinity")
    assert not run.schedule.clock_free
    assert run.ranges_made is not None
    assert run.ranges_made.planned_anew
    assert len(run.drawn["makespan_s"]) == run.ranges_made.draws == REPLANS
    others = by_label(result, "on-demand").drawn["makespan_s"][:REPLANS]
    assert np.corrcoef(run.drawn["makespan_s"], others)[0, 1] > 0.9  # the same computers


def test_a_recording_has_no_other_seeds(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    trace = ran(tmp_path / "first").runs[0].schedule  # any scenario; what matters is the spec
    assert trace.meta["seed"] == 0
    from tests.traces import random_trace

    random_trace([(4, 4)] * 4, 2, 4, 2, 0).save(tmp_path / "t.arrow")
    text = FEW.replace("workload: {prompt: 6, output: 4}", "trace: {file: t.arrow}")
    made = ran(tmp_path, text=text).runs[0].ranges_made
    assert made is not None
    assert made.trace_seeds == (0,)


def test_processes_give_what_one_gives(tmp_path: Path, result: ScenarioResult, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scenarios.run.WORTH_PROCESSES", 0)
    assert ran(tmp_path, jobs=2).to_json() == result.to_json()


def test_results_say_the_ranges_and_how_they_were_made(tmp_path: Path, result: ScenarioResult) -> None:
    result.write_json(tmp_path / "r.json")
    run = read_json(tmp_path / "r.json")["runs"][1]
    assert run["ranges"]["tokens_per_s"] == result.runs[1].ranges["tokens_per_s"]._asdict()
    assert run["ranges_made"] == {"level": 0.9, "draws": DRAWS, "trace_seeds": [0, 1, 2], "planned_anew": False}
    result.write_parquet(tmp_path / "r.parquet")
    row = parquet.read_table(tmp_path / "r.parquet").to_pylist()[1]
    assert row["ranges.tokens_per_s.low"] == result.runs[1].ranges["tokens_per_s"].low
    assert row["ranges_made.trace_seeds"] == [0, 1, 2]


def test_the_range_is_of_the_draws(result: ScenarioResult) -> None:
    for run in result.runs:
        assert run.ranges["ttft_s"] == range_of(run.drawn["ttft_s"])
    assert replace(result.runs[0], ranges={}).to_dict()["ranges"] == {}
