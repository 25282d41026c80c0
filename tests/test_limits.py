from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from scenarios.limits import with_limits
from scenarios.load import load_scenario
from scenarios.resolve import resolve
from scenarios.results import ScenarioResult
from scenarios.run import costs_of_entry, run_entry, run_scenario
from sim.bounds import bounds
from tests.scenario_files import SCENARIO, write_files

LOSSY = SCENARIO + "  - {label: daop, name: daop, first_predicted: 1}\n  - {label: sida, name: sida}\n"


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> ScenarioResult:
    return run_scenario(load_scenario(write_files(tmp_path_factory.mktemp("tiny"), LOSSY)))


def test_every_run_says_how_near_it_is_to_what_no_strategy_can_beat(result: ScenarioResult) -> None:
    for run in result.runs:
        assert run.limit is not None and run.of_limit is not None
        assert 0 < run.of_limit <= 1 + 1e-9, run.label
        assert run.limit.n_slots == run.schedule.n_slots
    told = json.loads(result.to_json())["runs"]
    assert [each["of_limit"] for each in told] == [run.of_limit for run in result.runs]
    assert told[0]["limit"]["limit_s"] == result.runs[0].limit.limit_s


def test_what_runs_have_in_common_is_worked_out_once_and_right(tmp_path: Path) -> None:
    case = resolve(load_scenario(write_files(tmp_path, LOSSY)))
    runs = [run_entry(case, entry) for entry in case.entries]
    for run, entry in zip(with_limits(case, runs), case.entries, strict=True):
        alone = bounds(run.schedule, costs_of_entry(case, entry))
        assert run.limit is not None
        assert run.limit.limit_s == pytest.approx(alone.limit_s, rel=1e-12)
        assert run.limit.least_misses == alone.least_misses


def test_a_run_without_ops_has_no_limit(tmp_path: Path) -> None:
    case = resolve(load_scenario(write_files(tmp_path)))
    run = run_entry(case, case.entries[0])
    empty = replace(run.schedule, ops=run.schedule.ops[:0])
    (limited,) = with_limits(case, [replace(run, schedule=empty)])
    assert (limited.limit, limited.of_limit) == (None, None)
