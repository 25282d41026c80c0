from __future__ import annotations

from pathlib import Path

import pytest

from scenarios.load import load_scenario
from scenarios.schema import Scenario
from scenarios.suite import load_suite
from sim.errors import InputError

GOOD = """\
title: four experts
model: mixtral-8x7b
precision: q4_k
machine: a6000-i9-10980xe
workload: {prompt: 8, output: 4}
cache: 47%
predictor: {recall: 0.85}
strategies:
  - all-resident
  - name: cache
    policy: lru
    evict: swap
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "case.yaml"
    path.write_text(GOOD, encoding="utf-8")
    return path


def load(path: Path) -> Scenario:
    return load_scenario(path).spec


def edit(path: Path, old: str, new: str) -> Path:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


def test_a_bare_name_is_a_strategy_without_knobs(file: Path) -> None:
    first, second = load(file).strategies
    assert (first.name, first.knobs) == ("all-resident", {})
    assert (second.name, second.knobs) == ("cache", {"policy": "lru", "evict": "swap"})


def test_a_strategy_without_label_is_called_by_what_was_set(file: Path) -> None:
    edit(file, "    evict: swap", "    prefetch: true\n    cache: 60")
    assert [spec.title for spec in load(file).strategies] == ["all-resident", "cache policy=lru prefetch=true cache=60"]


@pytest.mark.parametrize(
    ("stated", "experts", "rest", "kv"),
    [
        ("bf16", "bf16", "bf16", "bf16"),
        ("fp32", "fp32", "fp32", "fp32"),
        ("q4_k", "q4_k", "q4_k", "bf16"),
        ("{experts: q4_k}", "q4_k", "bf16", "bf16"),
        ("{experts: mxfp4, rest: fp16, kv: fp8}", "mxfp4", "fp16", "fp8"),
    ],
)
def test_one_precision_serves_all_weights_and_the_cache_unless_caches_are_never_kept_so(
    file: Path, stated: str, experts: str, rest: str, kv: str
) -> None:
    precision = load(edit(file, "q4_k", stated)).precision
    assert (precision.experts, precision.rest, precision.kv) == (experts, rest, kv)


@pytest.mark.parametrize("size", ["0", "256", "47%", "46.9 %", "100%", "all", "auto"])
def test_a_cache_is_a_number_a_share_all_or_auto(file: Path, size: str) -> None:
    assert str(load(edit(file, "47%", size)).cache) == size


@pytest.mark.parametrize("size", ["-1", "470%", "2.5", "most", "true", "[1]"])
def test_anything_else_is_no_cache_size(file: Path, size: str) -> None:
    with pytest.raises(InputError, match="cache: cannot be a cache size"):
        load(edit(file, "47%", size))


BAD = {
    "unknown field": ("title:", "titel:", r":1: titel: there is no such field; did you mean title\?"),
    "unknown field deep down": (
        "prompt:",
        "promt:",
        r":5: workload.promt: there is no such field; did you mean prompt",
    ),
    "missing field": ("model: mixtral-8x7b\n", "", "model: is missing"),
    "wrong type": ("output: 4", "output: four", r":5: workload.output: must be a valid integer \(got 'four'\)"),
    "a number in quotes": ("output: 4", "output: '4'", r":5: workload.output: must be a valid integer"),
    "out of range": ("0.85", "85", r":7: predictor.recall: must be less than or equal to 1 \(got 85\)"),
    "not a number": ("0.85", ".nan", r":7: predictor.recall: must be"),
    "unknown precision": ("q4_k", "q4k", r":3: precision: unknown precision \(got 'q4k'\); did you mean q4_k\?"),
    "both workload and trace": ("cache:", "trace: {file: x}\ncache:", r":6: trace: .*contradict each other; keep one"),
    "neither workload nor trace": ("workload: {prompt: 8, output: 4}\n", "", "no routing is given; add `workload`"),
    "batch without sequences": ("output: 4", "output: 4, sequences: 2, batch: 3", "2 sequences cannot fill a batch"),
    "no strategies": (GOOD[GOOD.index("strategies") :], "strategies: []\n", ":8: strategies: is empty; name"),
    "two of a name": ("all-resident", "{name: cache, label: all-resident}\n  - all-resident", "two of them are called"),
    "a strategy without name": ("name: cache", "label: cache", r":10: strategies\[1\].name: is missing"),
    "a key given twice": ("evict: swap", "policy: lfu", ":12: policy: is given twice"),
    "broken YAML": ("{recall: 0.85}", "{recall: 0.85", r":\d+: is not YAML"),
    "a list": (GOOD, "- model\n", "must be a mapping"),
    "empty": (GOOD, "", "must be a mapping"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_fault_is_one_line_with_file_line_field_value_and_remedy(file: Path, case: str) -> None:
    old, new, message = BAD[case]
    with pytest.raises(InputError, match=message) as error:
        load(edit(file, old, new))
    assert str(error.value).startswith(str(file))
    assert "\n" not in str(error.value)


def test_binary_and_absent_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00model")
    with pytest.raises(InputError, match="not a text file"):
        load(tmp_path / "binary.yaml")
    with pytest.raises(InputError, match=r"no such scenario .*quickstart"):
        load(tmp_path / "absent.yaml")


def test_the_command_line_has_the_last_word(file: Path) -> None:
    loaded = load_scenario(file, machine="t4", seed=7)
    assert (loaded.spec.machine, loaded.spec.seed) == ("t4", 7)
    assert load_scenario(file, machine=None, seed=None).spec.seed == 0


def test_an_error_raised_at_a_field_names_its_line_or_the_option(file: Path) -> None:
    loaded = load_scenario(file, machine="t4")
    with pytest.raises(InputError, match=r"case.yaml:11: cause"), loaded.at("strategies", 1, "policy"):
        raise InputError("cause")
    with pytest.raises(InputError, match=r"^--machine: cause"), loaded.at("machine"):
        raise InputError("cause")


def test_bundled_examples_are_found_by_name() -> None:
    assert load_scenario("quickstart").spec.model == "mixtral-8x7b"


def test_the_quickstart_is_the_published_setting() -> None:
    spec = load_scenario("quickstart").spec
    assert spec.workload is not None
    assert (spec.workload.prompt, spec.workload.output, spec.cache) == (256, 512, 120)
    assert {each.name for each in spec.strategies} == {
        "all-resident", "layer-streaming", "on-demand", "cache", "fiddler", "oracle"
    }  # fmt: skip


def test_a_suite_completes_its_scenarios_by_its_defaults(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(
        "defaults: {precision: fp32, machine: t4, cache: 3, strategies: [on-demand]}\n"
        "scenarios:\n"
        "  - {model: a, workload: {prompt: 1, output: 2}}\n"
        "  - {model: b, workload: {prompt: 1, output: 2}, cache: 4}\n",
        encoding="utf-8",
    )
    title, scenarios, unseen = load_suite(path)
    assert not unseen
    assert title == "suite"
    assert [(s.spec.model, s.spec.cache) for s in scenarios] == [("a", 3), ("b", 4)]
    path.write_text(path.read_text(encoding="utf-8").replace("cache: 4", "cash: 4"), encoding="utf-8")
    with pytest.raises(InputError, match=r"suite.yaml:4: scenarios\[1\].cash: .*cache"):
        load_suite(path)


def test_the_bundled_suite_has_thirty_schedules_and_waits_for_a_machine() -> None:
    _, scenarios, _ = load_suite("host", machine="machine.json")
    assert sum(len(each.spec.strategies) for each in scenarios) >= 30
    with pytest.raises(InputError, match="machine: is missing"):
        load_suite("host")
