from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scenarios.load import check_scenario
from scenarios.published.compare import Outcome, Ranked, Simulated, evaluate, outcome, value_of
from scenarios.published.load import PaperFile, load_paper
from scenarios.published.plain import plain
from scenarios.published.runs import Values, tasks
from scenarios.published.spec import At, Setting
from scenarios.published.store import digest, load, save, stale
from scenarios.run import run_scenario
from sim.errors import FormatError
from tests.test_published_spec import FIGURE, SCENARIO, figure, paper, written

SLOW, FAST = "on-demand", "fiddler"
SEEDS = [{"change": "seed", "values": [3, 4], "why": "unknown"}]
RATIO = FIGURE | {"id": "ratio", "unit": "×", "over": SLOW}
ORDER = {"id": "order", "says": "as published", "read": "tokens_per_s", "of": [FAST, SLOW]}


def file_of(tmp_path: Path, **setting: Any) -> PaperFile:
    return load_paper(written(tmp_path, paper(**setting)))


def run_values(file: PaperFile, **stated: Any) -> dict[str, float]:
    """Tokens a second by label, by the way that `moesim run` goes."""
    source = file.source
    scenario = check_scenario(source, SCENARIO, ("settings", 0, "scenario"), **stated)
    return {run.label: run.summary.tokens_per_s for run in run_scenario(scenario).runs}


def test_a_figure_is_what_a_run_of_its_scenario_gives(tmp_path: Path) -> None:
    file = file_of(tmp_path, figures=[FIGURE, RATIO], orders=[ORDER])
    found = evaluate([file])["mine"]["box"]
    fast, slow = (run_values(file)[label] for label in (FAST, SLOW))
    assert found.figures == {"one": Simulated(fast, fast, fast), "ratio": Simulated(fast / slow, *[fast / slow] * 2)}
    assert found.orders == {"order": Ranked((fast, slow), held=int(fast > slow), runs=1)}


def test_the_range_is_over_every_variant_and_the_value_is_of_none(tmp_path: Path) -> None:
    file = file_of(tmp_path, uncertain=SEEDS, orders=[ORDER])
    found = evaluate([file])["mine"]["box"]
    values = [run_values(file, seed=seed)[FAST] for seed in (0, 3, 4)]
    assert found.figures["one"] == Simulated(values[0], min(values), max(values))
    assert found.orders["order"].runs == 3
    assert evaluate([file], ranges=False)["mine"]["box"].figures["one"] == Simulated(*[values[0]] * 3)


def test_strategies_that_several_figures_read_are_run_once(tmp_path: Path) -> None:
    file = file_of(tmp_path, uncertain=SEEDS, figures=[FIGURE, RATIO], orders=[ORDER])
    todo = list(tasks(file, ranges=True))
    assert [(task.changes, task.label) for task in todo] == [
        (changes, label) for changes in ("{}", '{"seed": 3}', '{"seed": 4}') for label in (FAST, SLOW)
    ]


def test_processes_do_not_change_what_is_found(tmp_path: Path) -> None:
    file = file_of(tmp_path, figures=[FIGURE, RATIO])
    assert evaluate([file], jobs=2) == evaluate([file], jobs=1)


def test_ratios_and_differences_are_taken_from_the_mean_of_several() -> None:
    run: Values = {
        (label, "tokens_per_s", At()): value for label, value in {"fiddler": 9.0, "b": 2.0, "c": 4.0}.items()
    }
    assert value_of(figure(over=["b", "c"]), run) == 3.0
    assert value_of(figure(minus=["b", "c"]), run) == 6.0
    assert value_of(figure(times=0.5), run) == 4.5


def test_an_order_holds_where_every_step_descends() -> None:
    setting = Setting.model_validate(paper(figures=[], orders=[ORDER])["settings"][0])
    runs: list[Values] = [{(label, "tokens_per_s", At()): v for label, v in zip((FAST, SLOW), pair, strict=True)}
            for pair in ((2.0, 1.0), (1.0, 1.0), (3.0, 2.0))]  # fmt: skip
    assert outcome(setting, runs).orders["order"] == Ranked((2.0, 1.0), held=2, runs=3)


def test_outcomes_load_as_they_were_saved(tmp_path: Path) -> None:
    file = file_of(tmp_path, uncertain=SEEDS, orders=[ORDER])
    found = evaluate([file])
    save(tmp_path / "papers.json", [file], found)
    loaded, digests = load(tmp_path / "papers.json")
    assert loaded == found
    assert stale([file], digests) == []


def test_what_changes_the_result_makes_the_stored_one_stale(tmp_path: Path) -> None:
    before = digest(file_of(tmp_path), 0)
    assert digest(file_of(tmp_path), 0) == before
    assert digest(file_of(tmp_path, about="another text"), 0) == before
    for change in ({"cache": 99}, {"seed": 1}, {"machine": "t4"}, {"stack": "cuda-graph"}):
        assert digest(file_of(tmp_path, scenario=SCENARIO | change), 0) != before
    assert digest(file_of(tmp_path, uncertain=SEEDS), 0) != before


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "moesim-papers", "version": 99, "papers": {}}'])
def test_a_file_that_is_no_store_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "papers.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=r"papers\.json: .*; run `make papers`"):
        load(path)


def test_plain_values_state_inputs_targets_and_verdicts(tmp_path: Path) -> None:
    file = file_of(tmp_path, uncertain=SEEDS, orders=[ORDER], misses=[{"of": ["one"], "cause": "because"}])
    found = {"mine": {"box": Outcome({"one": Simulated(5.5, 5.0, 6.0)}, {"order": Ranked((2.0, 1.0), 3, 3)})}}
    setting = json.loads(json.dumps(plain([file], found)))["papers"][0]["settings"][0]
    assert setting["scenario"] == SCENARIO
    assert setting["figures"][0] | FIGURE == setting["figures"][0]
    assert {name: setting["figures"][0][name] for name in ("simulated", "low", "high", "ratio", "within", "met")} == {
        "simulated": 5.5, "low": 5.0, "high": 6.0, "ratio": 1.375, "within": "25 %", "met": False,
    }  # fmt: skip
    assert setting["orders"][0]["met"] is True
    assert setting["misses"] == [{"of": ["it is fast"], "cause": "because"}]
