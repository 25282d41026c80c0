from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
import yaml

from scenarios.machine_presets import list_machines, load_machine
from sim.errors import FormatError, InputError
from sim.program import default_lanes

ROOT = Path(__file__).parent.parent
PRESETS = list_machines()
every_preset = pytest.mark.parametrize("name", PRESETS)


def test_the_machines_of_the_field_have_presets() -> None:
    boxes = {"a6000-i9-10980xe", "a100-80-xeon", "h100-sxm-xeon", "quadro-rtx-6000", "t4"}
    assert set(PRESETS) == boxes | {f"rtx-{card}" for card in ("2070-super", "3060", "3070-ti", "3090", "4090", "5090")}
    assert sorted(PRESETS) == PRESETS


@every_preset
def test_a_preset_is_called_as_its_file_and_says_what_it_is(name: str) -> None:
    machine = load_machine(name.upper())
    assert machine.name == name
    assert machine.origin == "datasheet"
    assert machine.description
    assert {"gpu", "cpu", "dram", "storage"} <= set(machine.sources)


def test_a_misspelt_name_is_told_the_nearest() -> None:
    with pytest.raises(InputError, match=r"unknown machine \(got 'rtx-4080'\); did you mean rtx-4090\?.*datasheet"):
        load_machine("rtx-4080")


def test_a_datasheet_of_ones_own_and_a_saved_machine_load_by_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    facts = yaml.safe_load((ROOT / "scenarios" / "machines" / "rtx-3090.yaml").read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump(facts | {"name": "mine"}), encoding="utf-8")
    machine = load_machine(path)
    assert machine == load_machine("rtx-3090").model_copy(update={"name": "mine"})
    machine.save(tmp_path / "mine.json")
    assert load_machine(str(tmp_path / "mine.json")) == machine


def test_a_file_that_is_no_machine_is_refused_by_name(tmp_path: Path) -> None:
    for name, text in (("x.json", "{"), ("x.txt", "hello")):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        with pytest.raises(FormatError, match=re.escape(str(path))):
            load_machine(path)
    with pytest.raises(InputError, match=r"gone\.json: "):
        load_machine(tmp_path / "gone.json")


def test_loading_a_preset_is_fast() -> None:
    load_machine("t4")  # reads the common files
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        load_machine("a6000-i9-10980xe")
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.05


@every_preset
def test_a_preset_has_every_lane_device_stack_and_link_that_schedules_use(name: str) -> None:
    machine = load_machine(name)
    assert {lane.name for lane in default_lanes()} == set(machine.lanes)
    assert list(machine.stacks) == ["pytorch-eager", "pytorch-eager-pageable", "cuda-graph", "llama.cpp"]
    links = {(link.direction, link.memory) for link in machine.links}
    copies = {(direction, memory) for direction in ("h2d", "d2h") for memory in ("pinned", "pageable")}
    assert links == copies | {("read", "storage")}
