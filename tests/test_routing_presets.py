from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scenarios.presets import list_models, load_model
from scenarios.routing import synthetic
from scenarios.routing_presets import list_routings, load_routing, routing_of
from scenarios.schema import WorkloadSpec
from sim.errors import InputError
from sim.synth.fit import TOLERANCES


@pytest.mark.parametrize("name", list_routings())
def test_every_preset_says_whose_routing_it_is_and_has_targets(name: str) -> None:
    preset = load_routing(name.upper())
    assert preset.name == name
    assert preset.source
    assert set(TOLERANCES) - set(preset.goal.targets) <= {"overlap_8", "overlap_32"}
    if name in list_models():
        model = load_model(name)
        shape = (preset.goal.n_layers, preset.goal.n_experts, preset.goal.top_k)
        assert shape == (model.n_moe_layers, model.n_experts, model.top_k)


@pytest.mark.parametrize("name", list_routings())
def test_what_is_saved_loads_equal(name: str, tmp_path: Path) -> None:
    preset = load_routing(name)
    preset.save(tmp_path / "mine.yaml")
    assert load_routing("mine.yaml", tmp_path) == replace(preset, name="mine")


def test_a_model_is_like_itself_and_else_like_one_of_as_many_experts() -> None:
    chosen = {name: routing_of(load_model(name)).name for name in list_models()}
    assert {name for name, like in chosen.items() if name == like} == set(list_routings()) & set(list_models())
    assert chosen["mixtral-8x22b"] == chosen["phi-3.5-moe"] == "mixtral-8x7b"
    assert chosen["deepseek-v3"] == chosen["switch-base-128"] == "olmoe-1b-7b"


def test_a_workload_takes_the_preset_it_names(tmp_path: Path) -> None:
    model = load_model("olmoe-1b-7b")
    load_routing("mixtral-8x7b").save(tmp_path / "mine.yaml")
    named, by_path, default = (
        synthetic(WorkloadSpec(prompt=3, output=3, like=like), model, 0, tmp_path).trace
        for like in ("mixtral-8x7b", "mine.yaml", None)
    )
    assert by_path.equal(named)
    assert not default.equal(named)
    assert default.equal(synthetic(WorkloadSpec(prompt=3, output=3, like="olmoe-1b-7b"), model, 0).trace)


GOOD = """\
source: a test
layers: 2
experts: 4
top_k: 2
sequences: [30, 20]
targets: {reuse: 0.5}
style: {token: 1.5}
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("layers: 2\n", "", "bad.yaml: layers: is missing; fit it again"),
        ("layers: 2", "layers: 0", r"bad.yaml:2: layers: must be a whole number, 1 or more \(got 0\)"),
        ("layers: 2", "layers: true", "bad.yaml:2: layers: must be a whole number"),
        ("layers: 2", "layers: 2\nlayer: 2", "bad.yaml:3: layer: there is no such field"),
        ("top_k: 2", "top_k: 5", r"bad.yaml:4: top_k: must not exceed experts \(got 5\)"),
        ("[30, 20]", "30", r"bad.yaml:5: sequences: must be a list of numbers of tokens \(got 30\)"),
        ("[30, 20]", "[]", "bad.yaml:5: sequences: must be a list of numbers of tokens"),
        ("reuse: 0.5", "reuse: 50", "bad.yaml:6: targets: must give shares from 0 to 1 of entropy, "),
        ("reuse: 0.5", "rreuse: 0.5", "bad.yaml:6: targets: must give shares"),
        ("{reuse: 0.5}", "none", "bad.yaml:6: targets: must be a mapping of fields"),
        ("token: 1.5", "tokken: 1.5", "bad.yaml:7: style.tokken: there is no such field; use popularity"),
        ("token: 1.5", "token: -1", r"bad.yaml:7: style.token: must be from 0 to 100 \(got -1\)"),
        ("source: a test", "source: 3", r"bad.yaml:1: source: must be a text \(got 3\)"),
    ],
)
def test_a_faulty_preset_is_refused_with_file_line_and_field(tmp_path: Path, old: str, new: str, message: str) -> None:
    (tmp_path / "bad.yaml").write_text(GOOD.replace(old, new))
    with pytest.raises(InputError, match=message) as error:
        load_routing(tmp_path / "bad.yaml")
    assert "\n" not in str(error.value)


def test_a_preset_that_does_not_exist_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match=r"no such routing preset \(got 'mixtral-8x7'\); did you mean mixtral-8x7b\?"):
        load_routing("mixtral-8x7")


def test_good_is_good(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    assert load_routing(tmp_path / "good.yaml").goal.sequences == [30, 20]
