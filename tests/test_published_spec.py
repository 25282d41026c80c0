from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from scenarios.published.load import list_papers, load_paper, variants
from scenarios.published.spec import Figure, Setting, Tolerance
from sim.errors import InputError

FIGURE: dict[str, Any] = {
    "id": "one", "says": "it is fast", "reported": 4.0, "evidence": "text", "read": "tokens_per_s", "of": "fiddler",
}  # fmt: skip
SCENARIO: dict[str, Any] = {
    "model": "mixtral-8x7b",
    "precision": "bf16",
    "machine": "a6000-i9-10980xe",
    "cache": 100,
    "workload": {"prompt": 8, "output": 4},
    "strategies": ["fiddler", "on-demand"],
}


def paper(scenario: dict[str, Any] = SCENARIO, **setting: Any) -> dict[str, Any]:
    settings = [{"name": "box", "about": "a box", "scenario": scenario, "figures": [FIGURE]} | setting]
    return {"title": "T", "citation": "C", "source": "S", "settings": settings}


def written(folder: Path, data: dict[str, Any]) -> Path:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return path


def figure(**fields: Any) -> Figure:
    return Figure.model_validate(FIGURE | fields)


@pytest.mark.parametrize("name", list_papers())
def test_every_bundled_paper_can_be_read_and_states_source_and_inputs(name: str) -> None:
    spec = load_paper(name).spec
    assert spec.citation
    assert spec.source is None or spec.source.startswith("https://")
    for setting in spec.settings:
        assert setting.figures
        assert setting.about
        assert all(each.why for each in setting.uncertain)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (
            paper(figures=[FIGURE | {"read": "tokens_per_second"}]),
            "read: is no quantity (got 'tokens_per_second'); did",
        ),
        (paper(figures=[FIGURE | {"of": None}]), "needs a strategy to be read of"),
        (paper(figures=[FIGURE | {"read": "model_gib"}]), "is not read of a strategy"),
        (paper(figures=[FIGURE | {"of": "daop"}]), "a strategy that the scenario does not have (got 'daop')"),
        (paper(figures=[FIGURE | {"over": ["on-demand"], "minus": "fiddler"}]), "minus: contradicts `over`"),
        (paper(figures=[FIGURE | {"within": "a lot"}]), "within: is no tolerance (got 'a lot')"),
        (paper(figures=[FIGURE, FIGURE]), "two are called 'one'"),
        (paper(misses=[{"of": ["two"], "cause": "x"}]), "misses: 'two' is no figure of this setting"),
        (paper(SCENARIO | {"machin": "t4"}), "there is no such field; did you mean machine?"),
        (paper(uncertain=[{"change": "sed", "values": [1], "why": "x"}]), "there is no such field; did you mean seed?"),
        (paper(uncertain=[{"change": "seed", "values": [], "why": "x"}]), "settings[0].uncertain[0].values"),
    ],
)
def test_a_fault_in_a_paper_file_is_one_line_that_says_where(tmp_path: Path, data: dict[str, Any], words: str) -> None:
    path = written(tmp_path, data)
    with pytest.raises(InputError) as caught:
        load_paper(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:")
    assert words in message
    assert "\n" not in message


def test_an_unknown_paper_is_told_those_there_are() -> None:
    with pytest.raises(InputError, match=r"no such paper.*daop"):
        load_paper("doap")


def test_a_setting_that_runs_nothing_needs_no_workload_and_no_strategies(tmp_path: Path) -> None:
    facts = {name: SCENARIO[name] for name in ("model", "precision", "machine")}
    figures = [FIGURE | {"read": "model_gib", "of": None}]
    file = load_paper(written(tmp_path, paper(facts, figures=figures)))
    assert file.scenario(0).spec.strategies[0].name == "all-resident"


def test_inputs_vary_one_at_a_time_then_all_low_then_all_high() -> None:
    uncertain = [
        {"change": "seed", "values": [1, 2, 3], "why": "x"},
        {"change": "machine_with.link.gb_per_s", "values": [5, 9], "why": "y"},
    ]
    setting = Setting.model_validate(paper(uncertain=uncertain)["settings"][0])
    link = "machine_with.link.gb_per_s"
    assert list(variants(setting)) == [
        {"seed": 1}, {"seed": 2}, {"seed": 3}, {link: 5}, {link: 9}, {"seed": 1, link: 5}, {"seed": 3, link: 9},
    ]  # fmt: skip


def test_the_corners_of_a_single_input_are_not_run_twice() -> None:
    setting = Setting.model_validate(paper(uncertain=[{"change": "seed", "values": [1, 2], "why": "x"}])["settings"][0])
    assert list(variants(setting)) == [{"seed": 1}, {"seed": 2}]


@pytest.mark.parametrize(
    ("within", "simulated", "met"),
    [
        ("25%", 4.9, True),
        ("25%", 5.1, False),
        ("25%", 3.1, True),
        ("25%", 2.9, False),
        (0.5, 4.4, True),
        (0.5, 3.4, False),
    ],
)
def test_a_target_is_a_share_or_a_distance(within: object, simulated: float, met: bool) -> None:
    assert figure(within=within).met(simulated) is met


def test_a_bound_is_met_on_its_side_only() -> None:
    assert [figure(bound="below").met(value) for value in (3.9, 4.1)] == [True, False]
    assert [figure(bound="above").met(value) for value in (3.9, 4.1)] == [False, True]


def test_tolerances_read_as_they_are_written() -> None:
    assert [str(Tolerance(share=0.25)), str(Tolerance(absolute=0.03))] == ["25 %", "0.03"]
