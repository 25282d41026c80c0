from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scenarios.load import load_scenario
from scenarios.resolve import resolve
from scenarios.results import ScenarioResult
from scenarios.run import costs_of_entry, plan_entry, run_scenario, time_entry
from sim.errors import DoesNotFit, InputError, ScheduleError
from sim.schedule import Kind
from tests.scenario_files import SCENARIO, write_files

ONE_BUFFER = SCENARIO.replace("layer-streaming", "layer-streaming, prefetch: false")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> ScenarioResult:
    return run_scenario(load_scenario(write_files(tmp_path_factory.mktemp("tiny"))))


def refused(folder: Path, old: str, new: str, **sizes: int) -> str:
    assert old in SCENARIO
    path = write_files(folder, SCENARIO.replace(old, new), **sizes)
    with pytest.raises(InputError) as error:
        run_scenario(load_scenario(path))
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(str(folder) + "/")


def test_all_strategies_are_run_in_the_order_of_the_file(result: ScenarioResult) -> None:
    assert [run.label for run in result.runs] == [
        "all-resident", "stream", "on-demand", "lru", "prefetch", "cheaper", "fiddler", "oracle"
    ]  # fmt: skip


def test_every_strategy_serves_every_token(result: ScenarioResult) -> None:
    for run in result.runs:
        assert run.summary.output_tokens == 4, run.label
        routed = run.schedule.ops.tokens[(run.schedule.ops.kind == Kind.EXPERT) & (run.schedule.ops.expert >= 0)]
        assert routed.sum() == (6 + 3) * 2 * 2, run.label  # tokens × MoE blocks × top-k


def test_no_strategy_is_faster_than_one_that_needs_no_transfers(result: ScenarioResult) -> None:
    resident, *others = (run.summary.makespan_s for run in result.runs)
    assert resident < min(others)


def test_each_strategy_has_a_predictor_and_state_of_its_own(tmp_path: Path, result: ScenarioResult) -> None:
    alone = (
        SCENARIO[: SCENARIO.index("  - all-resident")]
        + "  - {label: prefetch, name: cache, prefetch: true, priority: true}\n"
    )
    (run,) = run_scenario(load_scenario(write_files(tmp_path, alone))).runs
    assert run.to_dict() == next(each for each in result.runs if each.label == "prefetch").to_dict()


def test_equal_scenarios_and_seeds_give_equal_results(tmp_path: Path, result: ScenarioResult) -> None:
    path = write_files(tmp_path)
    assert run_scenario(load_scenario(path)).to_json() == result.to_json()
    assert run_scenario(load_scenario(path, seed=1)).to_json() != result.to_json()


def test_a_strategy_may_have_its_own_cache_and_predictor(tmp_path: Path) -> None:
    strategies = """\
  - {label: two, name: cache, cache: 2}
  - {label: half, name: cache, cache: 50%}
  - {label: blind, name: cache, prefetch: true, predictor: {recall: 0.0}}
  - {label: perfect, name: cache, prefetch: true, predictor: {kind: perfect}}
"""
    path = write_files(tmp_path, SCENARIO[: SCENARIO.index("  - all-resident")] + strategies)
    runs = {run.label: run for run in run_scenario(load_scenario(path)).runs}
    assert (runs["two"].cached, runs["half"].cached) == (2, 4)
    blind, perfect = runs["blind"].summary.prefetch_used, runs["perfect"].summary.prefetch_used
    assert blind is not None
    assert perfect is not None
    assert blind < perfect


def test_progress_names_each_strategy(tmp_path: Path) -> None:
    said: list[str] = []
    run_scenario(load_scenario(write_files(tmp_path)), progress=said.append)
    assert said[1] == "0 of 8 strategies done, now all-resident"
    assert said[-1] == "8 of 8 strategies done"


def test_all_resident_that_does_not_fit_is_run_as_a_bracket(tmp_path: Path) -> None:
    path = write_files(tmp_path, ONE_BUFFER, gpu_bytes=820_000)
    hypothetical = [run for run in run_scenario(load_scenario(path)).runs if not run.fits]
    assert [run.label for run in hypothetical] == ["all-resident"]
    assert hypothetical[0].warnings[0].startswith("hypothetical: needs 0.001108 GB of 0.00082 GB")


def test_any_other_strategy_that_does_not_fit_is_refused_with_the_sum(tmp_path: Path) -> None:
    path = write_files(tmp_path, ONE_BUFFER.replace("cache: 4", "cache: 5"), gpu_bytes=820_000)
    with pytest.raises(
        DoesNotFit, match=r"scenario.yaml:11: .*on-demand does not fit toy: .* expert slots .* GB usable"
    ):
        run_scenario(load_scenario(path))


@pytest.mark.parametrize(
    ("old", "new", "start", "part"),
    [
        ("tiny.yaml", "tiny.yml", "scenario.yaml:2: ", "tiny.yml"),
        ("tiny.yaml", "mixtrl-8x7b", "scenario.yaml:2: model: unknown model", "did you mean mixtral-8x7b?"),
        ("machine.json", "nowhere", "scenario.yaml:4: machine: unknown machine", "a6000-i9-10980xe"),
        ("cache: 4", "cache: 4\nstack: theirs", "scenario.yaml:7: stack: ", "choose one of ours"),
        ("cache: 4", "cache: 9", "scenario.yaml:11: cache: ", "only 8 routed experts"),
        ("on-demand", "on-demnd", "scenario.yaml:11: strategies.name: unknown strategy", "did you mean on-demand?"),
        ("priority: true", "priorty: true", "scenario.yaml:13: strategies.priorty: ", "did you mean priority?"),
        ("miss: cheaper", "miss: free", "scenario.yaml:14: strategies.miss: ", "'fetch', 'cpu' or 'cheaper'"),
        ("predictor: {recall: 0.5}\n", "", "scenario.yaml:12: strategies.name: needs a predictor", "add `predictor:"),
        (
            "workload: {prompt: 6, output: 4}",
            "trace: {file: none.arrow}",
            "scenario.yaml:5: ",
            "none.arrow: no such file",
        ),
    ],
)
def test_what_cannot_be_resolved_is_refused_at_its_line(
    tmp_path: Path, old: str, new: str, start: str, part: str
) -> None:
    message = refused(tmp_path, old, new)
    assert message.startswith(start), message
    assert part in message


def test_a_model_larger_than_all_memories_is_one_clear_line(tmp_path: Path) -> None:
    message = refused(tmp_path, "cache: 4", "cache: 4", gpu_bytes=400_000, host_bytes=400_000)
    assert message.startswith("scenario.yaml:2: tiny is larger than all memories of toy")


def test_experts_beyond_the_model_are_refused(tmp_path: Path) -> None:
    path = write_files(tmp_path)
    model = tmp_path / "tiny.yaml"
    model.write_text(model.read_text(encoding="utf-8").replace("top_k: 2", "top_k: 5"), encoding="utf-8")
    with pytest.raises(InputError, match=r"scenario.yaml:2: .*tiny.yaml: .*top_k"):
        run_scenario(load_scenario(path))


def test_both_engines_give_the_same_results(tmp_path: Path, result: ScenarioResult) -> None:
    reference = run_scenario(load_scenario(write_files(tmp_path)), engine="simpy")
    assert reference.to_json() == result.to_json()


def test_a_schedule_that_weighed_prices_is_not_timed_on_another_machine(tmp_path: Path) -> None:
    case = resolve(load_scenario(write_files(tmp_path)))
    other = replace(case, machine=case.machine.model_copy(update={"name": "elsewhere"}))
    for entry in case.entries:
        schedule = plan_entry(case, entry, costs_of_entry(case, entry))
        if entry.spec.title == "cheaper":
            assert not schedule.portable
            with pytest.raises(ScheduleError, match="planned for toy"):
                time_entry(other, entry, schedule, costs_of_entry(other, entry))
        else:
            assert time_entry(other, entry, schedule, costs_of_entry(other, entry)).summary.makespan_s > 0


def test_without_numba_every_run_says_so_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.compiler.find_spec", lambda name: None)
    for run in run_scenario(load_scenario(write_files(tmp_path))).runs:
        assert [warning.startswith("Numba is not installed") for warning in run.warnings].count(True) == 1
    for run in run_scenario(load_scenario(write_files(tmp_path)), engine="simpy").runs:
        assert not any("Numba" in warning for warning in run.warnings)
