from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from scenarios.adjust import adjusted
from scenarios.advise import Advice, Question, advise
from scenarios.advise.levers import first, levers
from scenarios.advise.plain import plain
from scenarios.advise.trial import Trial
from scenarios.cli import app
from scenarios.load import load_scenario
from scenarios.run import run_scenario
from sim.errors import DoesNotFit, InputError
from sim.machine import Machine
from tests.report_pages import SMALL_GPU
from tests.scenario_files import MODEL, machine

N_EXPERTS = 8  # of both blocks


def asked(folder: Path, built: Machine | None = None, **options: Any) -> Question:
    """About the tiny model in fp32, on a machine that fits four of its experts."""
    (folder / "tiny.yaml").write_text(MODEL, encoding="utf-8")
    (built or machine(gpu_bytes=SMALL_GPU)).save(folder / "machine.json")
    stated = {"precision": "fp32", "context": 64, "prompt": 6, "output": 4} | options
    return Question(str(folder / "tiny.yaml"), str(folder / "machine.json"), **stated)


def answer(folder: Path, built: Machine | None = None, **options: Any) -> Advice:
    return advise(asked(folder, built, **options))


def labels(trial: Trial) -> list[str]:
    return [each.run.label for each in trial.ranked()]


def speed(found: Advice, label: str) -> float:
    """Of the largest cache."""
    return max(each.speed for each in found.chosen.ranked() if each.run.label == label)


def test_what_fits_as_a_whole_is_best_kept_as_a_whole(tmp_path: Path) -> None:
    found = answer(tmp_path, machine(gpu_bytes=10**7))
    assert found.best.run.strategy in ("all-resident", "llama-cpp")
    assert found.best.run.cached == N_EXPERTS
    assert found.best.run.summary.hit_rate == 1
    smaller = [each.run.cached for each in found.chosen.ranked() if each.run.strategy == "cache"]
    assert {4, 2} <= set(smaller)
    assert not found.chosen.refused


def test_behind_a_slow_link_misses_go_to_the_cpu_and_a_slow_cpu_leaves_them_to_the_link(tmp_path: Path) -> None:
    base = machine(gpu_bytes=SMALL_GPU)
    slow_link = answer(tmp_path, adjusted(base, {"link.speed": 0.01}))
    assert slow_link.best.run.summary.bytes_loaded == 0
    assert speed(slow_link, "LRU cache, misses computed on the CPU") > 10 * speed(
        slow_link, "LRU cache, misses fetched"
    )
    slow_cpu = answer(tmp_path, adjusted(base, {"cpu.speed": 0.01}))
    assert slow_cpu.best.run.summary.bytes_loaded > 0
    assert speed(slow_cpu, "LRU cache, misses fetched") > 10 * speed(slow_cpu, "LRU cache, misses computed on the CPU")


def test_the_best_is_as_fast_as_moesim_run_says(tmp_path: Path) -> None:
    found = answer(tmp_path, context=10)
    path = tmp_path / "scenario.yaml"
    path.write_text(json.dumps(plain(found)["scenario"]), encoding="utf-8")
    again = run_scenario(load_scenario(path))
    speeds = {run.label: run.summary.decode_tokens_per_s for run in again.runs}
    shown = [each for each in found.chosen.ranked() if not each.contender.steady]
    assert len(shown) >= 6
    for each in shown:
        assert speeds[f"{each.run.label}, {each.run.cached} experts"] == each.speed


def test_memory_is_set_aside_for_the_context(tmp_path: Path) -> None:
    short, long = answer(tmp_path, context=10), answer(tmp_path, context=450)
    footprints = [each.best.run.footprint.items["KV cache"] for each in (short, long)]
    assert footprints[1] == 45 * footprints[0]
    assert long.best.run.cached < short.best.run.cached


def test_ranked_means_by_decode_rate_and_smaller_caches_are_among_them(tmp_path: Path) -> None:
    found = answer(tmp_path)
    rates = [each.speed for each in found.chosen.ranked()]
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert rates[0] * 1.01 >= max(rates)
    assert len({each.run.cached for each in found.chosen.ranked() if each.contender == found.best.contender}) > 1


def test_those_that_change_the_routing_stand_apart(tmp_path: Path) -> None:
    found = answer(tmp_path)
    assert [each.run.strategy for each in found.chosen.lossy()] == ["daop"]
    assert all(each.run.summary.fidelity is None for each in found.chosen.ranked())


def test_what_only_a_larger_gpu_holds_is_hypothetical_and_no_choice(tmp_path: Path) -> None:
    found = answer(tmp_path)
    assert [each.run.strategy for each in found.chosen.hypothetical()] == ["all-resident"]
    assert "all experts on the GPU" not in labels(found.chosen)


def test_fewer_bits_are_taken_where_they_gain_enough(tmp_path: Path) -> None:
    found = answer(tmp_path, machine(gpu_bytes=600_000), precision=None)
    rates = {trial.weights: trial.ranked()[0].speed for trial in (found.chosen, *found.others) if trial.ranked()}
    assert set(rates) == {"bf16", "q8_0", "q4_k"}
    best = max(rates.values())
    assert rates[found.chosen.weights] >= best / 1.1**2
    roomy = answer(tmp_path, adjusted(machine(), {"gpu.speed": 1000.0}), precision=None)
    assert roomy.chosen.weights == "bf16"  # all fits and dispatch binds: fewer bits gain nothing


def test_nothing_fits_is_one_line_with_the_sum(tmp_path: Path) -> None:
    with pytest.raises(DoesNotFit, match=r"= 0\.\d+ GB > 0\.0002 GB usable"):
        answer(tmp_path, machine(gpu_bytes=200_000))
    with pytest.raises(DoesNotFit, match="larger than all memories"):
        answer(tmp_path, machine(gpu_bytes=500_000, host_bytes=100_000))


def test_a_lever_says_what_a_run_on_the_better_machine_says(tmp_path: Path) -> None:
    found = answer(tmp_path)
    better = adjusted(machine(gpu_bytes=SMALL_GPU), {"link.speed": 1.5})
    again = answer(tmp_path, better)
    same = next(each for each in again.chosen.ranked() if each.contender == found.best.contender)
    gain = next(lever.gain for lever in found.levers if lever.name == "PCIe link")
    assert gain == pytest.approx(same.speed / found.best.speed)
    assert [lever.gain for lever in found.levers] == sorted((lever.gain for lever in found.levers), reverse=True)


def test_more_gpu_memory_means_a_larger_cache(tmp_path: Path) -> None:
    found = answer(tmp_path)
    larger = answer(tmp_path, machine(gpu_bytes=int(1.5 * SMALL_GPU)))
    gain = next(lever.gain for lever in found.levers if lever.name == "GPU memory")
    speeds = [each.speed for each in larger.chosen.tried if each.contender == found.best.contender]
    assert gain == pytest.approx(max(speeds) / found.best.speed)
    assert gain > 1.05


def test_nothing_is_to_be_bought_where_nothing_gains(tmp_path: Path) -> None:
    bound_by_software = adjusted(machine(), {"gpu.speed": 1000.0, "dispatch.speed": 0.01})
    found = answer(tmp_path, bound_by_software)
    assert first(found.levers) is None
    assert found.levers[0].name == "host software"
    assert levers(found.ground, "fp32", found.best) == list(found.levers)


def invoke(folder: Path, *options: str, **changed: Any) -> Any:
    question = asked(folder, **changed)
    stated = ["--precision", "fp32", "--context", "64", "--prompt", "6", "--output", "4"]
    return CliRunner().invoke(
        app, ["advise", "--model", question.model, "--machine", question.machine, *stated, *options]
    )


def test_the_command_says_what_to_take_and_what_to_buy(tmp_path: Path) -> None:
    shown = invoke(tmp_path)
    assert shown.exit_code == 0, shown.output
    best = answer(tmp_path).best.run
    assert f"Take fp32 weights and: {best.label}." in shown.output
    assert "does not fit" in shown.output
    assert "1.5 times as much" in shown.output
    assert len(shown.output.splitlines()) < 30
    assert invoke(tmp_path).output == shown.output


def test_the_answer_as_json_has_what_the_table_has(tmp_path: Path) -> None:
    told = json.loads(invoke(tmp_path, "--json").stdout)
    assert set(told) == {
        "model", "machine", "context", "scenario", "best", "formats", "levers", "buy_first"
    }  # fmt: skip
    (only,) = told["formats"]
    assert set(only) == {"precision", "ranked", "lossy", "hypothetical", "does_not_fit"}
    assert only["ranked"][0] == {name: told["best"][name] for name in only["ranked"][0]}
    low, high = told["best"]["ranges"]["decode_tokens_per_s"].values()
    assert low <= told["best"]["decode_tokens_per_s"] * 1.001
    assert high >= told["best"]["decode_tokens_per_s"] / 1.001
    for each in only["ranked"]:
        assert each["decode_tokens_per_s"] > 0
        assert each["memory_bytes"]["gpu0"]["total"] <= SMALL_GPU


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("model", "qwen3-30b-a3", "did you mean qwen3-30b-a3b?"),
        ("machine", "rtx-3061", "did you mean rtx-3060?"),
        ("precision", "q4", "unknown precision"),
        ("stack", "nonsense", "nonsense"),
        ("like", "nobody", "no such routing preset"),
        ("context", 5, "--context: is shorter than the 6 tokens in and 4 out"),
    ],
)
def test_what_is_not_known_is_one_line(tmp_path: Path, option: str, value: Any, said: str) -> None:
    given = asked(tmp_path)
    with pytest.raises(InputError, match=said) as raised:
        advise(Question(**{**vars(given), option: value}))
    assert "\n" not in str(raised.value)
    assert not isinstance(raised.value, DoesNotFit)
