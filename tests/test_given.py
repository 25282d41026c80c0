"""Scenarios given in Python: by fields, as YAML text, with objects in place of names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from scenarios import resolve, run_scenario, run_with_ranges, scenario
from scenarios.presets import load_model
from scenarios.run import processes
from sim import Strategy
from sim.errors import InputError
from sim.model import MoEModel
from sim.parts.misses import run_or_stream
from sim.parts.placement import popular_placement
from sim.precision import Precisions
from sim.program import Program
from sim.slots import Key
from sim.strategies.fiddler import Fiddler
from sim.strategy import LayerPass, World
from tests.machines import tiny_model
from tests.scenario_files import MODEL, SCENARIO, machine, write_files
from tests.traces import random_trace

TINY = MoEModel.from_dict(yaml.safe_load(MODEL))
FIELDS: dict[str, Any] = {
    "model": TINY, "precision": "fp32", "machine": machine(), "workload": {"prompt": 6, "output": 4}, "cache": 4,
    "strategies": ["on-demand", "cache"],
}  # fmt: skip


class Mine(Strategy):
    """`on-demand`, written anew."""

    name = "mine"
    extra_slots = 1

    def __init__(self, *, blocking: bool = False) -> None:
        self.blocking = blocking

    def start(self, world: World) -> Sequence[Key]:
        super().start(world)
        return popular_placement(world.model, world.popularity, world.n_slots)

    def experts(self, p: Program, now: LayerPass, ready: int) -> list[int]:
        first = sorted(now.tokens_of, key=lambda expert: not p.resident(now.layer, expert))
        return [run_or_stream(p, now, expert, ready, blocking=self.blocking) for expert in first]


def test_fields_give_what_a_file_gives(tmp_path: Path) -> None:
    path = write_files(tmp_path)
    plain = yaml.safe_load(SCENARIO) | {"model": str(tmp_path / "tiny.yaml"), "machine": tmp_path / "machine.json"}
    texts = [
        run_scenario(scenario(**given)).runs[3].summary
        for given in (plain, plain | {"model": TINY}, plain | {"machine": machine()})
    ]
    texts += [run_scenario(scenario(what)).runs[3].summary for what in (path, str(path), plain)]
    assert all(each == texts[0] for each in texts)


def test_a_text_is_yaml_and_its_lines_are_told() -> None:
    question = scenario("model: mixtral-8x7b\nprecision: q4_k\nmachine: rtx-4090\nworkload: {prompt: 1, output: 1}\n"
                        "strategies: [cache]\n")  # fmt: skip
    assert question.spec.model == "mixtral-8x7b"
    with pytest.raises(InputError, match="scenario:2: precision: unknown precision"):
        scenario("model: mixtral-8x7b\nprecision: q4\n")


def test_fields_replace_what_is_there_and_none_leaves_out() -> None:
    question = scenario("quickstart", machine="rtx-4090", cache=None, title=None)
    assert (question.spec.machine, question.spec.cache, question.spec.title) == ("rtx-4090", "auto", "")
    again = scenario(question, seed=3, strategies=["fiddler"])
    assert (again.spec.machine, again.spec.seed, len(again.spec.strategies)) == ("rtx-4090", 3, 1)


def test_numbers_and_lists_of_numpy_are_plain() -> None:
    fields = FIELDS | {"cache": np.int64(3), "predictor": {"recall": np.array([0.5, 0.25])}, "strategies": ("cache",)}
    spec = scenario(fields).spec
    assert spec.cache == 3
    assert spec.predictor is not None
    assert spec.predictor.recall == [0.5, 0.25]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"machine": "rtx-4009"}, r"^scenario\['machine'\]: machine: unknown machine .* did you mean rtx-4090\?"),
        ({"strategies": ["cache", {"name": "cache", "polcy": 1}]}, r"^scenario\['strategies'\]\[1\]: .*no such knob"),
        ({"cahce": 3}, r"^scenario\['cahce'\]: cahce: there is no such field; did you mean cache\?"),
        ({"strategies": [Mine()]}, r"^strategies: is an object .*give its class.*\{'name': Mine, …\}"),
        ({"strategies": [int]}, r"^strategies: is no strategy \(got <class 'int'>\)"),
        ({"strategies": [Strategy]}, r"^strategies: is no strategy"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_one_line(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        run_scenario(scenario(FIELDS | change))


def test_a_strategy_of_ones_own_stands_beside_the_others() -> None:
    entries = ["on-demand", Mine, {"name": Mine, "blocking": True, "label": "held up"}]
    result = run_scenario(scenario(FIELDS, strategies=entries))
    assert [run.label for run in result.runs] == ["on-demand", "mine", "held up"]
    assert result["mine"].summary == result["on-demand"].summary
    assert result["held up"].summary.makespan_s > result["mine"].summary.makespan_s
    assert result.to_dict()["scenario"]["strategies"][1]["name"] == "mine"


def test_its_knobs_are_checked_and_it_has_ranges() -> None:
    with pytest.raises(InputError, match=r"mine has no such knob .*did you mean blocking"):
        run_scenario(scenario(FIELDS, strategies=[{"name": Mine, "blokcing": True}]))
    with pytest.raises(InputError, match="mine cannot take this"):
        run_scenario(scenario(FIELDS, strategies=[{"name": Mine, "blocking": "yes"}]))
    assert run_with_ranges(scenario(FIELDS, strategies=[Mine]), seeds=1, draws=20).runs[0].ranges


def test_a_class_that_is_defined_again_takes_the_place_of_the_old_one() -> None:
    before = scenario(FIELDS, strategies=[Mine])
    again = type("Mine", (Mine,), {"extra_slots": 2})
    assert resolve(scenario(before, strategies=[again])).entries[0].kind is again
    assert resolve(scenario(before, cache=2)).entries[0].kind is Mine


def test_two_classes_of_one_name_are_refused() -> None:
    for taken in (type("Theirs", (Mine,), {"name": "fiddler"}), type("Theirs", (Mine,), {})):
        with pytest.raises(InputError, match=r"another strategy has this name .*rename it: `name` of Theirs"):
            scenario(FIELDS, strategies=[Mine, taken])
    assert resolve(scenario(FIELDS, strategies=[Fiddler])).entries[0].kind is Fiddler, "that one itself may be given"


def test_a_strategy_that_knows_the_future_is_shown_as_a_bracket() -> None:
    seer = type("Seer", (Mine,), {"name": "seer", "needs_future": True})
    result = run_scenario(scenario(FIELDS, strategies=["cache", "oracle", seer]))
    assert [run.knows_future for run in result.runs] == [False, True, True]


def test_a_model_a_trace_and_precisions_may_be_objects() -> None:
    wide = tiny_model(name="wide", n_experts=6)
    trace = random_trace([(4, 3)] * 4, wide.n_moe_layers, 6, wide.top_k)
    fields = FIELDS | {"model": wide, "precision": Precisions("fp16", "bf16", "bf16"), "workload": None}
    case = resolve(scenario(fields, trace=trace))
    assert (case.model, case.precisions.experts) == (wide, "fp16")
    assert case.trace.n_sequences == 3, "the first quarter is for calibration"
    assert resolve(scenario(fields, trace={"file": trace, "calibrate_on": 0.0, "batch": 2})).trace.n_sequences == 4
    assert resolve(scenario(scenario(fields, trace=trace), cache=1)).trace.n_sequences == 3
    with pytest.raises(InputError, match="the trace does not fit wide"):
        resolve(scenario(fields, trace=random_trace([(4, 3)], wide.n_moe_layers, 5)))


def test_a_model_of_a_preset_with_a_field_changed() -> None:
    wide = replace(load_model("mixtral-8x7b"), name="wide", n_experts=16)
    fields = {"precision": "q4_k", "machine": "a100-80-xeon", "workload": {"prompt": 2, "output": 2}}
    assert resolve(scenario(model=wide, **fields, strategies=["cache"])).model.n_slots_total == 512


def test_a_class_of_the_notebook_runs_in_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scenarios.run.WORTH_PROCESSES", 0)
    of_notebook = type("Mine", (Mine,), {"__module__": "__main__"})
    assert processes(resolve(scenario(FIELDS, strategies=["cache", Mine])), 2, 4) == 2
    assert processes(resolve(scenario(FIELDS, strategies=["cache", of_notebook])), 2, 4) == 1
