from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sim.errors import FormatError, InputError
from sim.machine import Machine
from tests.machines import busy_machine, link, roofline, tiny_machine

Fields = dict[str, Any]


@pytest.fixture
def fields() -> Fields:
    kernel = {
        "device": "gpu",
        "kind": "expert",
        "shape": [10, 10, 2],
        "precision": "bf16",
        "curve": {"x": [1, 8], "seconds": [0.1, 0.2], "spread": [0.01, 0.02]},
        "source": "made up",
    }
    data: Fields = json.loads(busy_machine(kernels=[kernel]).model_dump_json())
    return data


def refusal(data: object) -> str:
    with pytest.raises(FormatError) as caught:
        Machine.parse(data, "m.json")
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_machine_file_loads_back_equal_and_saves_to_equal_bytes(fields: Fields, tmp_path: Path) -> None:
    machine = Machine.parse(fields, "m.json")
    machine.save(tmp_path / "a.json")
    again = Machine.load(tmp_path / "a.json")
    again.save(tmp_path / "b.json")
    assert again == machine
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_numbers_survive_the_file_to_the_last_bit(tmp_path: Path) -> None:
    machine = tiny_machine(capacities={"dram": 0.1 + 0.2})
    machine.save(tmp_path / "m.json")
    assert Machine.load(tmp_path / "m.json").capacities["dram"] == 0.1 + 0.2


def test_a_newer_version_asks_for_an_update(fields: Fields) -> None:
    message = refusal(fields | {"version": 99})
    assert message.startswith("m.json: version: was written by a newer moesim (got 99); update moesim")


def test_a_newer_version_is_refused_even_if_its_fields_are_unknown() -> None:
    assert "newer moesim" in refusal({"format": "moesim-machine", "version": 2, "gpus": []})


@pytest.mark.parametrize("version", [0, -1, "2", 1.5, None])
def test_a_version_that_never_was_is_refused(fields: Fields, version: object) -> None:
    assert refusal(fields | {"version": version}).startswith("m.json: version: ")


@pytest.mark.parametrize(
    ("damage", "field", "complaint"),
    [
        (lambda f: f["kernels"][0]["curve"].update(seconds=[0.1, float("nan")]), "kernels.0.curve.seconds.1", "finite"),
        (lambda f: f["links"][1]["curve"].update(x=[40, float("inf")]), "links.1.curve.x.1", "finite"),
        (lambda f: f["kernels"][0]["curve"].update(seconds=[0.1, -0.2]), "kernels.0.curve.seconds.1", "greater than 0"),
        (lambda f: f["kernels"][0]["curve"].update(seconds=[0.1, "fast"]), "kernels.0.curve.seconds.1", "number"),
        (lambda f: f["kernels"][0]["curve"].update(x=[8, 1]), "kernels.0.curve", "x must increase strictly"),
        (lambda f: f["kernels"][0]["curve"].update(x=[1, 1]), "kernels.0.curve", "x must increase strictly"),
        (lambda f: f["kernels"][0]["curve"].update(x=[1]), "kernels.0.curve", "same, positive length"),
        (lambda f: f["kernels"][0]["curve"].update(x=[], seconds=[]), "kernels.0.curve", "same, positive length"),
        (lambda f: f["kernels"][0]["curve"].update(spread=[0.1]), "kernels.0.curve", "spread must be empty"),
        (lambda f: f["rooflines"][2].update(bytes_per_s=0), "rooflines.2.bytes_per_s", "greater than 0"),
        (lambda f: f["memory"]["gpu0"].update(usable_bytes=-1), "memory.gpu0.usable_bytes", "greater than or equal"),
        (lambda f: f["stacks"]["plain"].update(copies="magic"), "stacks.plain.copies", "'pinned' or 'pageable'"),
        (lambda f: f["devices"]["gpu"].update(colour="red"), "devices.gpu.colour", "extra inputs"),
        (lambda f: f.update(gpus=2), "gpus", "extra inputs"),
        (lambda f: f.pop("lanes"), "lanes", "required"),
        (lambda f: f["links"][0].pop("source"), "links.0.source", "required"),
    ],
)
def test_a_wrong_field_is_named_in_one_line(
    fields: Fields, damage: Callable[[Fields], object], field: str, complaint: str
) -> None:
    damage(fields)
    message = refusal(fields)
    assert message.startswith(f"m.json: {field}: ")
    assert complaint in message


@pytest.mark.parametrize(
    ("damage", "names"),
    [
        (lambda f: f["lanes"]["cpu"].update(device="cpu7"), "lanes names 'cpu7'"),
        (lambda f: f["lanes"]["cpu"].update(uses={"pcie": 1}), "lanes.uses names 'pcie'"),
        (lambda f: f["devices"]["cpu"].update(traffic={"pcie": 1}), "devices.traffic names 'pcie'"),
        (lambda f: f["links"][0].update(traffic={"pcie": 1}), "links.traffic names 'pcie'"),
        (lambda f: f.update(stacks={}), "stacks: dictionary should have at least 1 item"),
        (lambda f: f["memory"].pop("host"), "memory lacks host"),
    ],
)
def test_parts_that_name_parts_that_do_not_exist_are_refused(
    fields: Fields, damage: Callable[[Fields], object], names: str
) -> None:
    damage(fields)
    assert names in refusal(fields)


def test_a_kernel_measured_twice_under_the_same_conditions_is_refused(fields: Fields) -> None:
    fields["kernels"] *= 2
    assert "kernels" in refusal(fields)


@pytest.mark.parametrize("data", [[], 3, None, "text", {"format": "someone-elses"}])
def test_alien_json_is_not_a_machine_file(data: object) -> None:
    assert refusal(data) == "m.json: is not a machine file; give a file made by `moesim calibrate`"


@pytest.mark.parametrize("content", [b"", b'{"format": "moesim-mach', b"\x00\xff\xfe", b"ARROW1\x00\x00"])
def test_a_truncated_or_binary_file_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.json"
    path.write_bytes(content)
    with pytest.raises(FormatError) as caught:
        Machine.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json: ") as caught:
        Machine.load(tmp_path / "none.json")
    assert "\n" not in str(caught.value)


def test_nan_written_by_other_programs_is_refused(fields: Fields, tmp_path: Path) -> None:
    fields["rooflines"][0]["fixed_s"] = float("nan")
    (tmp_path / "m.json").write_text(json.dumps(fields))
    with pytest.raises(FormatError, match=r"m\.json: rooflines\.0\.fixed_s: .*finite"):
        Machine.load(tmp_path / "m.json")


def test_stacks_are_chosen_by_name_and_the_first_stands_for_all() -> None:
    slow = {"dispatch_s": {"default": 1.0}, "sync_s": 0.0, "copies": "pageable", "source": "made up"}
    machine = tiny_machine(stacks={"quick": slow | {"copies": "pinned"}, "slow": slow})
    assert machine.stack().copies == "pinned"
    assert machine.stack("slow").copies == "pageable"
    with pytest.raises(InputError, match=r"stack: machine toy has no such stack \(got 'vllm'\); .*quick, slow"):
        machine.stack("vllm")


def test_a_machine_cannot_be_changed_after_it_was_checked() -> None:
    with pytest.raises(ValueError, match="frozen"):
        tiny_machine().name = "other"


def test_the_smallest_useful_parts_are_accepted() -> None:
    machine = tiny_machine(links=[link("h2d", curve={"x": [1], "seconds": [1]})], rooflines=[roofline("gate")])
    assert machine.links[0].curve.spread == ()
