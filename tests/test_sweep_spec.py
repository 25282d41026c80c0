from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from scenarios.json_schema import sweep_schema
from scenarios.sweeping.axes import Axis, axis_of, number_in
from scenarios.sweeping.figures import FIGURES
from scenarios.sweeping.load import load_sweep
from scenarios.sweeping.points import Grid, plans
from scenarios.sweeping.spec import SpanSpec, SweepSpec
from sim.errors import InputError
from tests.sweeps import SCENARIO, VARY, small_sweep, write_sweep


def span(low: float, high: float, **fields: Any) -> SpanSpec:
    return SpanSpec.model_validate({"from": low, "to": high, **fields})


def values(path: Path, **fields: Any) -> tuple[Any, ...]:
    return small_sweep(path, vary={"cache": [4], **fields}).axes[1].values


def test_a_span_has_its_steps_evenly_on_its_scale(tmp_path: Path) -> None:
    assert axis_of("x", span(1, 3, steps=5)).values == (1.0, 1.5, 2.0, 2.5, 3.0)
    assert axis_of("x", span(1, 16, steps=3, scale="log")).values == (1.0, 4.0, 16.0)
    assert axis_of("x", span(1, 2, steps=4)).values == (1.0, 1.33333, 1.66667, 2.0)
    whole = axis_of("x", span(1, 4, steps=9, whole=True)).values
    assert whole == (1, 2, 3, 4)
    assert {type(value) for value in whole} == {int}


def test_a_number_never_leaves_its_span() -> None:
    narrow = span(1.00000049, 1.0000005)  # six digits would be 1.0
    assert number_in(narrow, 0.0) == 1.00000049
    assert number_in(narrow, 1.0) == 1.0000005


def test_values_may_be_listed_either_way_and_a_strategy_may_be_a_name(tmp_path: Path) -> None:
    assert values(tmp_path, **{"predictor.recall": [0.5, 1]}) == (0.5, 1)
    assert values(tmp_path, **{"predictor.recall": {"among": [0.5, 1]}}) == (0.5, 1)
    entries = ["on-demand", {"name": "cache", "miss": "cpu"}]
    assert values(tmp_path, **{"strategies.0": entries}) == ({"name": "on-demand"}, {"name": "cache", "miss": "cpu"})


@pytest.mark.parametrize(
    ("path", "rank"),
    [
        ("model", 0), ("workload.prompt", 0), ("seed", 0), ("predictor.recall", 1), ("strategies.1.predictor", 1),
        ("cache", 2), ("strategies.0", 2), ("strategies.0.policy", 2), ("machine", 3), ("machine_with.cpu.speed", 3),
        ("stack", 3), ("strategies.0.stack", 3),
    ],
)  # fmt: skip
def test_an_axis_knows_what_it_makes_necessary(path: str, rank: int) -> None:
    assert Axis(path, (1,)).rank == rank


@pytest.mark.parametrize(
    ("fields", "line", "message"),
    [
        ({"vray": {}}, None, "vray: there is no such field; did you mean vary?"),
        ({"vary": {}}, "vary:", "vary: is empty"),
        ({"vary": {"cache": []}}, "cache:", "at least 1 item"),
        ({"vary": {"cache": {"from": 8, "to": 4}}}, "cache:", "must be below `to`, 4; swap the two"),
        ({"vary": {"cache": {"from": 4, "to": 8}}}, "vary:", "cache has no `steps`; a grid needs them"),
        ({"vary": {"cache": {"from": 0, "to": 8, "steps": 2, "scale": "log"}}}, "cache:", "must be above 0"),
        ({"vary": {"cache": {"from": 1.5, "to": 8, "steps": 2, "whole": True}}}, "whole:", "which are not whole"),
        ({"vary": {"cache": {"from": 1, "until": 8}}}, "until:", "until: there is no such field"),
        ({"vary": {"cahce": [4]}}, "cahce:", "vary.cahce: cahce: there is no such field; did you mean cache?"),
        ({"vary": {"strategies.3.policy": ["lru"]}}, "strategies.3.policy:", "no entry of a list"),
        ({"vary": {"cache": ["most"]}}, "cache:", "vary.cache: cache: cannot be a cache size"),
        ({"vary": {"precision.experts": ["int4"]}}, "precision.experts:", "set inside of what is no mapping"),
        ({"vary": {"machine": ["rtx-409"]}}, "machine:", "did you mean rtx-4090?"),
        ({"method": "random"}, None, "points: is missing"),
        ({"points": 3}, "points:", "points: contradicts `method: grid`"),
        ({"objectives": ["speed"]}, "objectives:", "speed"),
        ({"objectives": ["cached"]}, "objectives:", "is not better either way by itself"),
        ({"objectives": ["ttft_s", "ttft_s"]}, "objectives:", "ttft_s is there twice"),
        ({"constraints": [{"figure": "ttft_s"}]}, "constraints:", "bounds nothing; add `at_most` or `at_least`"),
        ({"objectives": ["usd_per_mtok"]}, "objectives:", "has no price for machine.json; state it: `prices:"),
        ({"constraints": [{"figure": "energy_j_per_token", "at_most": 1}]}, "constraints:", "no power figures for"),
        ({"prices": {"rtx-4090": 1}}, "rtx-4090:", "no point has this machine"),
        ({"method": "search", "points": 4, "vary": {"strategies": [["cache"]]}}, "scenario:", "each is one strategy"),
        ({"scenario": SCENARIO | {"model": "tinny"}}, "model:", "unknown model"),
        ({"scenario": "nowhere"}, "scenario:", "no such scenario"),
    ],
)  # fmt: skip
def test_a_fault_is_refused_with_its_line_and_a_remedy(
    tmp_path: Path, fields: dict[str, Any], line: str | None, message: str
) -> None:
    path = write_sweep(tmp_path, **fields)
    with pytest.raises(InputError) as refused:
        load_sweep(path)
    text = str(refused.value)
    assert message in text
    assert "\n" not in text
    if line is not None:
        numbers = [i for i, each in enumerate(path.read_text().splitlines(), 1) if line in each]
        assert any(text.startswith((f"{path}:{number}:", f"{path}:{number + 1}:")) for number in numbers), text


def test_values_that_no_point_can_have_are_only_warned_of(tmp_path: Path) -> None:
    sweep = small_sweep(tmp_path, vary={"cache": [4, "most"], "machine": ["machine.json", "rtx-409"]})
    first, second = sweep.warnings
    assert first.startswith("cache: no point can have 'most': cache: cannot be a cache size")
    assert second.startswith("machine: no point can have 'rtx-409'")


def test_a_bad_first_value_of_one_axis_is_not_blamed_on_another(tmp_path: Path) -> None:
    sweep = small_sweep(tmp_path, vary={"cache": ["most", 4], "strategies.0.policy": ["lru", "lfu"]})
    assert len(sweep.warnings) == 1


def test_the_scenario_may_be_a_file_beside_or_a_bundled_one(tmp_path: Path) -> None:
    vary = {"cache": [4]}
    assert small_sweep(tmp_path, scenario="scenario.yaml", vary=vary).n_strategies == 8
    assert small_sweep(tmp_path, scenario="quickstart", vary=vary).n_strategies == 12


def test_the_bundled_sweep_is_the_one_that_the_documents_speak_of() -> None:
    sweep = load_sweep("mixtral")
    points = Grid(sweep.axes)
    assert (len(points), len(plans(sweep.axes, points)), sweep.warnings) == (10_000, 100, ())
    assert [load_sweep("mixtral").ground.scenario_at(points[i]).spec.cache for i in (0, -1 + len(points))] == [
        "10%",
        "50%",
    ]


def test_the_documents_own_sweep_is_accepted(tmp_path: Path) -> None:
    text = (Path(__file__).parent.parent / "docs" / "sweeps.md").read_text(encoding="utf-8")
    example = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert example is not None
    path = tmp_path / "my.yaml"
    path.write_text(example[1], encoding="utf-8")
    assert load_sweep(path).warnings == ()


def test_the_document_explains_every_field_and_figure() -> None:
    text = (Path(__file__).parent.parent / "docs" / "sweeps.md").read_text(encoding="utf-8")
    assert [name for name in (*SweepSpec.model_fields, *FIGURES) if f"`{name}`" not in text] == []


def test_what_a_folder_is_claimed_for_changes_with_all_that_counts(tmp_path: Path) -> None:
    def key(**fields: Any) -> str:
        return small_sweep(tmp_path, **fields).ground.key

    base = key()
    assert key() == base
    turned = dict(reversed(VARY.items()))
    others = [key(seed=1), key(vary=turned), key(scenario=SCENARIO | {"seed": 1}), key(constraints=[])]
    assert others.pop() == base
    path = write_sweep(tmp_path)
    (tmp_path / "tiny.yaml").write_text((tmp_path / "tiny.yaml").read_text().replace("hidden: 64", "hidden: 128"))
    others.append(load_sweep(path).ground.key)
    assert len({base, *others}) == 1 + len(others)


def test_the_schema_knows_the_fields_of_both_files() -> None:
    schema = sweep_schema()
    assert set(schema["required"]) == {"scenario", "vary"}
    assert "strategies" in schema["$defs"]["Scenario"]["properties"]
    assert {"$ref": "#/$defs/Scenario"} in schema["properties"]["scenario"]["anyOf"]
