from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from scenarios.resolve import resolve
from scenarios.run import run_entry
from scenarios.sweeping.crew import Crew
from scenarios.sweeping.estimate import estimate
from scenarios.sweeping.evaluate import evaluate, rows
from scenarios.sweeping.load import Sweep, load_sweep
from scenarios.sweeping.points import Grid, chunks
from scenarios.sweeping.run import points_of, run_sweep
from scenarios.sweeping.shared import Shared
from scenarios.sweeping.store import Store
from sim.errors import FormatError, InputError
from tests.sweeps import SCENARIO, VARY, Counting, small_sweep, swept

SEARCH: dict[str, Any] = {
    "vary": {
        "cache": [4, 5, 6, 7, 99],
        "strategies.0": ["on-demand", {"name": "cache", "miss": "cpu"}, {"name": "cache"}],
        "machine_with.link.gb_per_s": {"from": 0.5, "to": 2},
        "workload.prompt": {"from": 2, "to": 9, "whole": True},
    },
    "method": "search",
    "points": 30,
    "batch": 8,
    "constraints": [{"figure": "ttft_s", "at_most": 0.0005}],
}


def interrupted(sweep: Sweep, folder: Path, after: int) -> list[int]:
    """Start a sweep that is stopped once so many chunks have been handed out; returns their points."""
    with ThreadPoolExecutor(1) as executor:
        counting = Counting(executor, most=after)
        with pytest.raises(KeyboardInterrupt):
            run_sweep(sweep, Store(folder, sweep), Crew(counting, 1))
    return list(counting.points)


def resumed(sweep: Sweep, folder: Path) -> list[int]:
    with ThreadPoolExecutor(1) as executor:
        counting = Counting(executor)
        run_sweep(sweep, Store(folder, sweep), Crew(counting, 1))
    return list(counting.points)


def test_a_row_says_what_running_the_scenario_says(tmp_path: Path) -> None:
    strategies = ["cache", {"name": "cache", "miss": "cheaper"}, "fiddler", {"name": "cache", "prefetch": True}]
    scenario = SCENARIO | {"strategies": strategies}
    vary = {k: VARY[k] for k in VARY if "policy" not in k} | {"predictor.recall": [0.3, 0.9]}
    sweep = small_sweep(tmp_path, scenario=scenario, vary=vary)
    found = {(row["point"], row["strategy"]): row for row in swept(sweep, tmp_path / "out")}
    assert len(found) == 12 * 4
    for point, choices in enumerate(Grid(sweep.axes)):
        case = resolve(sweep.ground.scenario_at(choices))
        for entry in case.entries:
            run, row = run_entry(case, entry), found[point, entry.spec.title]
            for name in ("ttft_s", "tpot_p50_s", "tpot_p95_s", "makespan_s", "tokens_per_s", "hit_rate"):
                assert row[name] == getattr(run.summary, name), (point, entry.spec.title, name)
            assert row["decode_tokens_per_s"] == run.summary.decode_tokens_per_s
            assert row["loaded_gb_per_token"] == run.loaded_gb_per_token
            assert (row["cached"], row["gpu_gb"]) == (run.cached, run.footprint.total_bytes / 1e9)


def test_points_that_differ_only_in_the_machine_share_one_plan(tmp_path: Path) -> None:
    strategies = ["cache", {"name": "cache", "miss": "cheaper"}]
    sweep = small_sweep(tmp_path, scenario=SCENARIO | {"strategies": strategies})
    shared = Shared()
    for point, choices in enumerate(Grid(sweep.axes)):
        assert [row["status"] for row in rows(sweep.ground, shared, point, choices)] == ["done", "done"]
    by_prices = len(Grid(sweep.axes))  # `cheaper` weighs the machine's prices, so that it plans for each
    assert shared.n_planned == 4 + by_prices


def test_a_cache_that_is_as_large_as_fits_is_planned_for_each_size(tmp_path: Path) -> None:
    vary = {"cache": ["auto"], "machine_with.gpu.memory_gib": [0.0008, 0.0009, 0.00090001]}
    sweep = small_sweep(tmp_path, vary=vary)
    shared = Shared()
    found = [row["cached"] for i, c in enumerate(Grid(sweep.axes)) for row in rows(sweep.ground, shared, i, c)]
    assert found[0] < found[1] == found[2]
    assert shared.n_planned == 2


def test_the_table_has_a_row_a_point_and_strategy_and_says_what_it_is_of(tmp_path: Path) -> None:
    sweep = small_sweep(tmp_path, title="small")
    swept(sweep, tmp_path / "out")
    table = parquet.read_table(tmp_path / "out" / "sweep.parquet")
    assert table["point"].to_pylist() == list(range(12))
    assert table["cache"].to_pylist() == [4] * 6 + [6] * 6
    assert table["machine_with.link.gb_per_s"].to_pylist() == [0.5, 1.0, 2.0] * 4
    assert table["strategies.0.policy"].to_pylist()[:6] == ["lru"] * 3 + ["lfu"] * 3
    assert len(set(table["scenario"].to_pylist())) == 12
    said = json.loads(table.schema.metadata[b"moesim.sweep"])
    assert said["axes"] == list(VARY)
    assert said["objectives"] == [
        {"figure": "decode_tokens_per_s", "better": "higher"},
        {"figure": "gpu_gb", "better": "lower"},
    ]
    assert (said["spec"]["title"], said["scenario"]["model"]) == ("small", "tiny.yaml")


def test_a_failing_point_is_a_row_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scenarios.sweeping.evaluate.summarise", lambda timeline: 1 / 0)
    vary = {"strategies.0.policy": ["lru", "best"], "cache": [4, 99, "most"], "machine": ["machine.json", "nowhere"]}
    found = swept(small_sweep(tmp_path, vary=vary), tmp_path / "out")
    assert len(found) == 12
    assert {row["status"] for row in found} == {"failed"}
    reasons = {(row["strategies.0.policy"], row["cache"], row["machine"]): row["reason"] for row in found}
    assert reasons["lru", "4", "machine.json"] == "ZeroDivisionError: division by zero"
    assert reasons["lru", "99", "machine.json"].startswith("cache: tiny has only 8 routed experts (got 99)")
    assert reasons["best", "4", "machine.json"].startswith("strategies.policy: cache cannot take this (got 'best')")
    assert reasons["lru", "most", "machine.json"].startswith("cache: cannot be a cache size (got 'most')")
    assert reasons["lru", "4", "nowhere"].startswith("machine: unknown machine (got 'nowhere')")
    unresolved = [row for row in found if row["cache"] == "most" or row["machine"] == "nowhere"]
    assert all(row["scenario"] is None for row in unresolved)
    assert all(row["scenario"] for row in found if row not in unresolved)
    assert not any(row["feasible"] or row["pareto"] for row in found)


def test_one_strategy_that_does_not_fit_leaves_the_others(tmp_path: Path) -> None:
    strategies = [{"name": "cache", "cache": 99}, "on-demand"]
    sweep = small_sweep(tmp_path, scenario=SCENARIO | {"strategies": strategies}, vary={"cache": [4]})
    assert [row["status"] for row in swept(sweep, tmp_path / "out")] == ["failed", "done"]


def test_constraints_and_brackets_leave_the_comparison_but_not_the_table(tmp_path: Path) -> None:
    strategies = ["cache", "all-resident", "oracle"]
    scenario = SCENARIO | {"strategies": strategies}
    fields = {"scenario": scenario, "objectives": ["tokens_per_s"]}
    free = swept(small_sweep(tmp_path, **fields), tmp_path / "free")
    times = sorted(row["ttft_s"] for row in free if row["strategy"].startswith("cache"))
    bound = times[len(times) // 2]
    found = swept(small_sweep(tmp_path, **fields, constraints=[{"figure": "ttft_s", "at_most": bound}]), tmp_path / "b")
    assert [row["ttft_s"] for row in found] == [row["ttft_s"] for row in free]
    for row in found:
        assert row["feasible"] == (row["strategy"] != "oracle" and row["ttft_s"] <= bound)
    best = max(row["tokens_per_s"] for row in found if row["feasible"])
    assert all(row["pareto"] == (row["feasible"] and row["tokens_per_s"] == best) for row in found)


MANY = {"vary": VARY | {"seed": [0, 1, 2, 3, 4, 5, 6, 7]}}


@pytest.mark.parametrize("fields", [MANY, MANY | {"method": "random", "points": 80, "seed": 5}, SEARCH])
def test_an_interrupted_sweep_goes_on_where_it_was_and_ends_the_same(tmp_path: Path, fields: dict[str, Any]) -> None:
    sweep = small_sweep(tmp_path, **fields)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    swept(sweep, whole)
    first = interrupted(sweep, broken, after=3)
    kept = Store(broken, sweep).done()
    second = interrupted(sweep, broken, after=2)
    kept_then = Store(broken, sweep).done()
    third = resumed(sweep, broken)
    assert set() < kept <= set(first)
    assert kept < kept_then <= kept | set(second)
    assert not kept & set(second)
    assert not kept_then & set(third)
    assert (broken / "sweep.parquet").read_bytes() == (whole / "sweep.parquet").read_bytes()
    assert not (broken / "parts").exists()
    assert resumed(sweep, broken) == []


def test_the_number_of_workers_leaves_no_trace(tmp_path: Path) -> None:
    sweep = small_sweep(tmp_path, **MANY)
    swept(sweep, tmp_path / "one")
    swept(sweep, tmp_path / "three", workers=3)
    assert (tmp_path / "one" / "sweep.parquet").read_bytes() == (tmp_path / "three" / "sweep.parquet").read_bytes()


@pytest.mark.parametrize("sampler", ["nsga2", "tpe"])
def test_a_search_depends_on_its_seed_and_finds_new_points_only(tmp_path: Path, sampler: str) -> None:
    def found(seed: int, name: str) -> list[tuple[Any, ...]]:
        sweep = small_sweep(tmp_path, **SEARCH | {"seed": seed, "sampler": sampler})
        return [tuple(row[axis.path] for axis in sweep.axes) for row in swept(sweep, tmp_path / f"{sampler}{name}")]

    first = found(1, "a")
    assert len(first) == len(set(first)) == 30
    assert first == found(1, "b")
    assert first != found(2, "c")


def test_a_search_ends_when_there_is_nothing_new(tmp_path: Path) -> None:
    fields = SEARCH | {"vary": {"cache": [4, 5, 6], "strategies.0.miss": ["cpu", "fetch"]}}
    found = swept(small_sweep(tmp_path, **fields), tmp_path / "out")
    assert len({(row["cache"], row["strategies.0.miss"]) for row in found}) == len(found) == 6


def test_a_search_learns(tmp_path: Path) -> None:
    speeds = [f"machine_with.{name}.speed" for name in ("link", "cpu", "gpu", "dispatch")]
    vary = {path: {"from": 0.1, "to": 10, "scale": "log"} for path in speeds}
    fields = {"vary": vary, "method": "search", "points": 72, "batch": 12, "objectives": ["tokens_per_s"]}
    found = [row["tokens_per_s"] for row in swept(small_sweep(tmp_path, **fields), tmp_path / "out")]
    assert sum(found[-12:]) > 1.5 * sum(found[:12])


def test_another_sweep_or_a_changed_file_is_refused_in_a_folder_that_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    swept(small_sweep(tmp_path), folder)
    other = small_sweep(tmp_path, seed=1)
    with pytest.raises(InputError, match=r"out: was begun with another sweep file.*choose another folder"):
        swept(other, folder)
    manifest = folder / "sweep.json"
    manifest.write_text(manifest.read_text().replace('"moesim": "', '"moesim": "0.0.'))
    with pytest.raises(InputError, match=r"was begun by moesim 0\.0\."):
        swept(small_sweep(tmp_path), folder)
    manifest.write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        swept(small_sweep(tmp_path), folder)


def test_a_damaged_part_is_named_and_can_be_done_again(tmp_path: Path) -> None:
    sweep, out = small_sweep(tmp_path, **MANY), tmp_path / "out"
    interrupted(sweep, out, after=4)
    part = min((out / "parts").glob("0*.parquet"))
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(FormatError, match=rf"{part.name}: is damaged: .*; delete it"):
        resumed(sweep, out)
    part.unlink()
    resumed(sweep, out)
    assert len(Store(out, sweep).rows()) == 96


def test_two_at_once_do_not_share_a_folder(tmp_path: Path) -> None:
    sweep = small_sweep(tmp_path)
    store = Store(tmp_path / "out", sweep)
    with store.claimed(), pytest.raises(InputError, match="a sweep is at work in it"):
        swept(sweep, tmp_path / "out")


def test_an_estimate_counts_points_rows_and_plans(tmp_path: Path) -> None:
    found = estimate(small_sweep(tmp_path, scenario=SCENARIO | {"strategies": ["cache", "on-demand"]}))
    assert (found.points, found.rows, found.plans) == (12, 24, 8)
    assert found.seconds > 0
    alone = estimate(small_sweep(tmp_path, vary={"cache": [4, 5]}))
    assert (alone.points, alone.plans) == (2, 2)


def test_a_worker_forgets_another_sweeps_models(tmp_path: Path) -> None:
    """Names stand for other things there."""
    sweep = small_sweep(tmp_path, vary={"cache": [4]})
    chunk = next(chunks(sweep.axes, points_of(sweep)))
    (before,) = evaluate(sweep.ground, chunk)
    model = tmp_path / "tiny.yaml"
    model.write_text(model.read_text().replace("hidden: 64", "hidden: 128"))
    (after,) = evaluate(load_sweep(tmp_path / "sweep.yaml").ground, chunk)
    assert before["scenario"] != after["scenario"]
    assert before["gpu_gb"] < after["gpu_gb"]
