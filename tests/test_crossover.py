from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from scenarios.cli import app
from scenarios.crossover import Answer, Question, answer, in_words, table
from scenarios.yaml_file import YamlFile, read_yaml
from sim.errors import InputError

# On a faster link, caching overtakes the CPU.
QUESTION = {
    "say": "A faster link.",
    "scenario": {
        "model": "mixtral-8x7b",
        "precision": "bf16",
        "machine": "a6000-i9-10980xe",
        "workload": {"prompt": 2, "output": 3},
        "cache": 120,
        "strategies": [{"name": "cache", "label": "caching"}, {"name": "fiddler", "label": "Fiddler"}],
    },
    "vary": "machine_with.link.gb_per_s",
    "values": [5.0, 500.0],
    "rivals": ["caching", "Fiddler"],
}


@pytest.fixture
def source(tmp_path: Path) -> YamlFile:
    (tmp_path / "q.yaml").write_text("crossover: []\n")
    return read_yaml(tmp_path / "q.yaml")


def test_a_change_of_leader_lies_where_the_ratio_is_one_in_proportion_of_its_logarithm() -> None:
    found = Answer((10.0, 20.0, 30.0), {"a": (1.0, 4.0, 1.0), "b": (2.0, 2.0, 2.0), "c": (0.1, 0.1, 0.1)})
    assert found.leaders() == [(None, "b"), (15.0, "a"), (25.0, "b")]
    assert in_words(found, "cache") == "b leads at first, from cache ≈ 15 on a, from cache ≈ 25 on b."


def test_without_a_change_the_lead_is_told_as_a_range() -> None:
    found = Answer(("20%", "40%"), {"a": (1.0, 2.0), "b": (4.0, 4.0)})
    assert found.leaders() == [(None, "b")]
    assert in_words(found, "cache") == "b leads everywhere here, by 2.00 to 4.00× over the next."


def test_shares_are_places_in_percent() -> None:
    found = Answer(("20%", "40%"), {"a": (1.0, 4.0), "b": (2.0, 2.0)})
    assert in_words(found, "cache") == "b leads at first, from cache ≈ 30 % on a."
    assert table(found, "cache", "tok/s").splitlines() == [
        "| cache | a, tok/s | b, tok/s |", "|---|---|---|", "| 20% | 1 | 2 |", "| 40% | 4 | 2 |"
    ]  # fmt: skip


def test_what_could_not_be_read_is_never_ahead() -> None:
    assert Answer((1.0, 2.0), {"a": (math.nan, 2.0), "b": (1.0, 1.0)}).leaders()[0] == (None, "b")


def test_who_leads_does_so_until_another_is_ahead_by_more_than_a_percent() -> None:
    found = Answer((1.0, 2.0, 3.0), {"a": (1.0, 1.0, 1.0), "b": (1.005, 1.005, 1.02), "c": (0.9, 0.9, 0.9)})
    assert found.leaders() == [(None, "b")], "the best leads at first, however little"
    grown = Answer((1.0, 2.0, 3.0), {"a": (1.1, 1.0, 1.0), "b": (1.0, 1.005, 1.02)})
    assert grown.leaders() == [(None, "a"), (2.0, "b")]


def test_over_values_without_an_order_nobody_is_said_to_lead() -> None:
    assert in_words(Answer(("olmoe-1b-7b", "mixtral-8x7b"), {"a": (1.0, 2.0), "b": (2.0, 1.0)}), "like") == ""


def test_of_times_the_lower_leads_and_of_other_quantities_nobody_does() -> None:
    series = {"a": (1.0, 4.0), "b": (2.0, 2.0)}
    assert Answer((10.0, 20.0), series, "lower").leaders() == [(None, "a"), (15.0, "b")]
    assert Answer((10.0, 20.0), {"a": (1.0, 1.0), "b": (2.0, 4.0)}, "lower").lead("a") == (2.0, 4.0)
    assert in_words(Answer((10.0, 20.0), series, None), "cache") == ""


def test_values_at_which_nothing_fits_are_left_out() -> None:
    found = Answer((1.0, 2.0, 3.0), {"a": (3.0, math.nan, 1.0), "b": (1.0, math.nan, 3.0)})
    assert found.leaders() == [(None, "a"), (2.0, "b")]
    assert "| 2.0 | does not fit | does not fit |" in table(found, "cache", "tok/s")
    assert in_words(Answer((1.0, 2.0), {"a": (math.nan,) * 2}), "cache") == "Nothing fits the machine here."


def test_the_rivals_are_run_at_every_value(source: YamlFile) -> None:
    said: list[str] = []
    found = answer(Question(**QUESTION), source, progress=said.append)
    assert [leader for _, leader in found.leaders()] == ["Fiddler", "caching"]
    assert len(said) == 2


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"rivals": ["caching", "Fidler"]}, r"rivals: no strategy has this label \(got 'Fidler'\)"),
        ({"vary": "workload.prompts"}, r"prompts: there is no such field"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_in_one_line(
    source: YamlFile, change: dict[str, object], complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint):
        answer(Question(**(QUESTION | change)), source)


def test_the_command_prints_the_table_and_who_leads(tmp_path: Path) -> None:
    scenario = tmp_path / "s.yaml"
    scenario.write_text(yaml.safe_dump(QUESTION["scenario"]))
    asked = ["crossover", str(scenario), "--vary", "machine_with.link.gb_per_s", "--values", "5, 500"]
    shown = CliRunner().invoke(app, asked).stdout
    assert "Fiddler leads at first, from machine_with.link.gb_per_s ≈" in shown
    told = json.loads(CliRunner().invoke(app, [*asked, "--json", "--rival", "caching", "--rival", "Fiddler"]).stdout)
    assert list(told["series"]) == ["caching", "Fiddler"]
    assert told["values"] == [5, 500]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--vary", "cache", "--values", "5"], "--values: needs two values or more (got '5')"),
        (["--vary", "cache", "--values", "5,6", "--quantity", "model_gb"], "is not read of a run"),
        (["--vary", "machine_with.lnk", "--values", "5,6"], "lnk: no number of a machine is called this"),
    ],
)
def test_the_command_refuses_what_it_cannot_do_in_one_line(options: list[str], complaint: str) -> None:
    done = CliRunner().invoke(app, ["crossover", "quickstart", *options])
    assert (done.exit_code, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert complaint in done.stderr
