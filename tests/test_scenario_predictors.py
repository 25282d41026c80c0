from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scenarios.load import load_scenario
from scenarios.report.metrics_table import metrics_table
from scenarios.report.ranking import rank
from scenarios.results import ScenarioResult
from scenarios.run import run_scenario
from scenarios.table import print_results
from sim.errors import InputError
from sim.trace import RoutingTrace
from tests.scenario_files import SCENARIO, write_files
from tests.traces import random_trace

HEAD, _ = SCENARIO.split("predictor:")
PREFETCH = "  - {label: lru, name: cache}\n  - {label: prefetch, name: cache, prefetch: true}\n"


def run(folder: Path, predictor: str, *, head: str = HEAD, strategies: str = PREFETCH) -> ScenarioResult:
    return run_scenario(load_scenario(write_files(folder, f"{head}predictor: {predictor}\nstrategies:\n{strategies}")))


def with_trace(folder: Path, trace: RoutingTrace, calibrate_on: float = 0.25) -> str:
    trace.save(folder / "t.arrow")
    workload = "workload: {prompt: 6, output: 4}"
    assert workload in HEAD
    return HEAD.replace(workload, f"trace: {{file: t.arrow, calibrate_on: {calibrate_on}}}")


def recorded(seed: int = 0) -> RoutingTrace:
    """Two layers of four experts; predictions one layer ahead, right as often as they happen to be."""
    trace = random_trace([(3, 8)] * 4, n_experts=4, seed=seed)
    rng = np.random.default_rng(seed)
    predicted = np.where(rng.random((trace.n_tokens, 1, 1)) < 0.6, trace.ids, np.roll(trace.ids, 1, axis=0))[:, None]
    predicted[:, :, 0] = trace.missing
    return replace(trace, predicted=predicted)


def test_a_recorded_predictor_is_as_good_as_the_record(tmp_path: Path) -> None:
    trace = recorded()
    lru, prefetch = run(tmp_path, "{kind: recorded}", head=with_trace(tmp_path, trace)).runs
    served = trace.part(1, 4)
    assert served.predicted is not None
    hits = (served.ids[:, 1, :, None] == served.predicted[:, 0, 1, None, :]).any(axis=2)
    assert lru.summary.prediction is None
    found = prefetch.summary.prediction
    assert found is not None
    assert found.recall == found.precision == hits.mean()
    assert [(each.layer, each.ahead, each.recall) for each in found.by_layer] == [(1, 1, hits.mean())]


def test_transitions_are_learned_from_the_calibration_sequences(tmp_path: Path) -> None:
    """Layer 1 uses the experts after those of layer 0."""
    trace = random_trace([(3, 40)] * 4, n_experts=4)
    chained = replace(trace, ids=(trace.ids[:, :1] + np.arange(2, dtype=np.uint8)[:, None]) % 4)
    (_, prefetch) = run(tmp_path, "{kind: transitions}", head=with_trace(tmp_path, chained)).runs
    assert prefetch.summary.prediction is not None
    assert prefetch.summary.prediction.recall == 1


def test_transitions_of_a_workload_are_those_of_its_calibration_requests(tmp_path: Path) -> None:
    (_, prefetch) = run(tmp_path, "{kind: transitions}").runs
    assert prefetch.summary.prediction is not None
    assert 0 < (prefetch.summary.prediction.recall or 0) < 1


@pytest.mark.parametrize(
    ("predictor", "calibrate_on", "complaint"),
    [
        ("transitions", 0.0, r"predictor\.kind: learns from calibration sequences.*set `trace\.calibrate_on` above 0"),
        ("recorded", 0.25, r"predictor\.kind: the routing comes with no recorded predictions.*record them"),
    ],
)
def test_a_predictor_without_what_it_needs_is_refused_in_one_line(
    tmp_path: Path, predictor: str, calibrate_on: float, complaint: str
) -> None:
    head = with_trace(tmp_path, random_trace([(3, 8)] * 4, n_experts=4), calibrate_on)
    with pytest.raises(InputError, match=complaint) as error:
        run(tmp_path, f"{{kind: {predictor}}}", head=head)
    assert str(error.value).startswith(str(tmp_path / "scenario.yaml"))


@pytest.mark.parametrize("kind", ["recorded", "transitions"])
def test_their_recall_cannot_be_stated(tmp_path: Path, kind: str) -> None:
    with pytest.raises(InputError, match=f"contradicts `kind: {kind}`"):
        run(tmp_path, f"{{kind: {kind}, recall: 0.5}}")


def test_realised_recall_is_shown_as_soon_as_a_strategy_predicts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for strategies, shown in ((PREFETCH, True), (PREFETCH.splitlines()[0] + "\n", False)):
        result = run(tmp_path, "{kind: perfect}", strategies=strategies)
        print_results(result)
        assert ("predictor" in capsys.readouterr().out) is shown
        assert ("Predictor recall" in str(metrics_table(rank(result.runs)))) is shown
        summaries = [each["summary"]["prediction"] for each in result.to_dict()["runs"]]
        assert [None if each is None else each["recall"] for each in summaries] == ([None, 1.0] if shown else [None])
        result.write_parquet(tmp_path / "rows.parquet")
