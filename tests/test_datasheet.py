from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from scenarios.datasheet import Datasheet, Pcie, read_datasheet
from scenarios.datasheet_machine import Achieved, machine_of
from scenarios.efficiency import efficiency
from sim.errors import InputError
from sim.machine import Machine, Roofline

BOX: dict[str, Any] = {
    "name": "box",
    "gpu": {
        "model": "GPU",
        "memory_gib": 16,
        "memory_gb_per_s": 1000,
        "l2_mib": 4,
        "dense_tflops": {"fp32": 10, "fp16": 80, "bf16": 80, "int8": 160},
        "pcie": {"generation": 4, "lanes": 16},
        "source": "made up",
    },
    "cpu": {
        "model": "CPU",
        "cores": 10,
        "base_ghz": 3.0,
        "vector_flop_per_cycle": {"fp32": 32},
        "pcie": {"generation": 5, "lanes": 16},
        "source": "made up",
    },
    "dram": {
        "platform": "desktop",
        "type": "DDR5",
        "channels": 2,
        "mt_per_s": 5000,
        "memory_gib": 64,
        "source": "made up",
    },
    "storage": {"model": "drive", "read_gb_per_s": 5.0, "latency_us": 50, "source": "made up"},
}


def changed(path: str, value: object) -> dict[str, Any]:
    """BOX with one field set, or removed if `value` is None."""
    box = deepcopy(BOX)
    *parents, last = path.split(".")
    inner = box
    for parent in parents:
        inner = inner.setdefault(parent, {})
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return box


def sheet_of(path: str = "name", value: object = "box") -> Datasheet:
    return Datasheet.model_validate(changed(path, value))


def achieved(path: str = "name", value: object = "box") -> Achieved:
    return Achieved(sheet_of(path, value), efficiency())


def rooflines(machine: Machine, device: str, kind: str) -> dict[str | None, Roofline]:
    return {line.precision: line for line in machine.rooflines if (line.device, line.kind) == (device, kind)}


def written(tmp_path: Path, box: dict[str, Any]) -> Path:
    path = tmp_path / "box.yaml"
    path.write_text(yaml.safe_dump(box, sort_keys=False), encoding="utf-8")
    return path


# -- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("gpu.memory_gb", 16, ["gpu.memory_gb", "no such field", "did you mean memory_gib?"]),
        ("gpu.memory_gb_per_s", -1000, ["gpu.memory_gb_per_s", "greater than 0", "-1000"]),
        ("gpu.memory_gb_per_s", "fast", ["gpu.memory_gb_per_s", "number", "fast"]),
        ("gpu.memory_gb_per_s", float("nan"), ["gpu.memory_gb_per_s", "finite", "nan"]),
        ("gpu.dense_tflops", {"fp32": 10.0}, ["gpu.dense_tflops", "lacks fp16", "state the dense rate"]),
        ("gpu.source", "", ["gpu.source", "at least 1"]),
        ("gpu.pcie.generation", 2, ["gpu.pcie.generation", "3, 4 or 5", "2"]),
        ("cpu.vector_flop_per_cycle", {"bf16": 64.0}, ["cpu.vector_flop_per_cycle", "lacks fp32"]),
        ("cpu.cores", 2.5, ["cpu.cores", "integer", "2.5"]),
        ("dram.platform", "laptop", ["dram.platform", "'desktop' or 'server'", "laptop"]),
        ("dram.channels", 8, ["dram.platform", "contradicts the channels", "server 4 and more"]),
        ("dram", None, ["dram", "is missing"]),
        ("measured", {"pinned_gb_per_s": 90.0, "source": "x"}, ["measured", "pinned_gb_per_s 90", "31.51 GB/s"]),
        ("measured", {"dram_read_gb_per_s": 81.0, "source": "x"}, ["measured", "exceeds", "80 GB/s"]),
    ],
)
def test_a_fault_is_one_line_with_file_field_value_and_remedy(
    tmp_path: Path, field: str, value: object, words: list[str]
) -> None:
    path = written(tmp_path, changed(field, value))
    with pytest.raises(InputError) as caught:
        read_datasheet(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    for word in words:
        assert word in message


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read"):
        read_datasheet(tmp_path / "none.yaml")


def test_a_good_sheet_reads_back_as_written(tmp_path: Path) -> None:
    assert read_datasheet(written(tmp_path, BOX)) == sheet_of()


# -- from facts to a machine ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("generation", "gb_per_s"), [(3, 15.75), (4, 31.51), (5, 63.02)])
def test_pcie_rates_are_those_after_coding(generation: int, gb_per_s: float) -> None:
    link = Pcie.model_validate({"generation": generation})
    assert link.bytes_per_s / 1e9 == pytest.approx(gb_per_s, rel=1e-3)
    assert Pcie.model_validate({"generation": generation, "lanes": 4}).bytes_per_s == link.bytes_per_s / 4


def test_the_link_does_what_both_ends_can() -> None:
    narrow = sheet_of("cpu.pcie", {"generation": 3, "lanes": 8}).link
    assert (narrow.generation, narrow.lanes) == (3, 8)
    mixed = sheet_of("gpu.pcie", {"generation": 5, "lanes": 4}).link
    assert (mixed.generation, mixed.lanes) == (5, 4)


def test_theoretical_host_bandwidth_is_eight_bytes_a_transfer_and_channel() -> None:
    assert sheet_of().dram.bytes_per_s == 80e9


def test_a_gpu_computes_each_precision_at_its_rate_and_unpacks_the_rest_to_16_bits() -> None:
    share = efficiency().gpu_flop.value * 1e12
    lines = rooflines(machine_of(sheet_of()), "gpu", "expert")
    assert {name: line.flop_per_s for name, line in lines.items()} == pytest.approx(
        {None: 80 * share, "fp32": 10 * share, "int8": 160 * share}
    )


def test_a_gpu_without_bf16_computes_it_in_fp32_and_unpacks_to_fp16() -> None:
    turing = achieved("gpu.dense_tflops", {"fp32": 10, "fp16": 80})
    assert turing.gpu_flop_per_s("bf16") == turing.gpu_flop_per_s("fp32")
    assert turing.gpu_flop_per_s("q4_k") == turing.gpu_flop_per_s("fp16") == 8 * turing.gpu_flop_per_s("fp32")


def test_a_cpu_uses_bf16_units_for_bf16_only() -> None:
    plain, amx = achieved(), achieved("cpu.tile_flop_per_cycle", {"bf16": 1024})
    vector = achieved("cpu.vector_flop_per_cycle", {"fp32": 32, "bf16": 64})
    fp32 = 10 * 3e9 * 32 * efficiency().cpu_vector_flop.value
    for machine in (plain, amx, vector):
        assert machine.cpu_flop_per_s("fp32") == machine.cpu_flop_per_s(None) == pytest.approx(fp32)
    assert plain.cpu_flop_per_s("bf16") == pytest.approx(fp32)
    assert vector.cpu_flop_per_s("bf16") == pytest.approx(2 * fp32)
    assert amx.cpu_flop_per_s("bf16") == pytest.approx(10 * 3e9 * 1024 * efficiency().cpu_tile_flop.value)


def test_ecc_and_the_driver_take_their_part_of_gpu_memory() -> None:
    plain = machine_of(sheet_of()).memory["gpu0"]
    ecc = machine_of(sheet_of("gpu.ecc_in_memory", True)).memory["gpu0"]
    assert plain.nominal_bytes == ecc.nominal_bytes == 16 << 30
    assert plain.nominal_bytes > plain.usable_bytes > ecc.usable_bytes > 14 << 30


def test_a_gpu_too_small_for_its_context_has_nothing_usable() -> None:
    assert machine_of(sheet_of("gpu.memory_gib", 0.25)).memory["gpu0"].usable_bytes == 0


def test_what_was_measured_there_goes_before_the_share_of_the_class() -> None:
    facts = {"dram_read_gb_per_s": 30.0, "pinned_gb_per_s": 20.0, "pageable_gb_per_s": 5.0, "source": "stream"}
    box = achieved("measured", facts)
    assert box.dram_read_bytes_per_s == 30e9
    assert (box.copy_bytes_per_s("pinned"), box.copy_bytes_per_s("pageable")) == (20e9, 5e9)
    assert machine_of(box.sheet).sources["measured"] == "stream"


def test_a_partial_measurement_leaves_the_other_shares_alone() -> None:
    box, plain = achieved("measured", {"pinned_gb_per_s": 20.0, "source": "x"}), achieved()
    assert box.dram_read_bytes_per_s == plain.dram_read_bytes_per_s
    assert box.copy_bytes_per_s("pageable") == pytest.approx(20e9 * efficiency().pageable_of_pinned.value)


def test_no_copy_draws_more_host_memory_bandwidth_than_there_is() -> None:
    slow = achieved("measured", {"dram_read_gb_per_s": 15.0, "source": "x"})
    for memory in ("pinned", "pageable"):
        rate, passes = slow.copy_bytes_per_s(memory), slow.copy_passes(memory)
        assert rate * passes <= slow.dram_bytes_per_s * (1 + 1e-12)
        assert 1 <= passes <= efficiency().dram_passes[memory]
    assert slow.copy_bytes_per_s("pinned") == slow.dram_bytes_per_s < achieved().copy_bytes_per_s("pinned")


def test_reading_weights_from_the_drive_takes_latency_and_rate() -> None:
    machine = machine_of(sheet_of())
    read = next(link for link in machine.links if link.direction == "read")
    at = dict(zip(read.curve.x, read.curve.seconds, strict=True))
    assert at[1 << 20] == pytest.approx(50e-6 + (1 << 20) / 5e9)
    assert read.memory == "storage"


def test_equal_sheets_give_equal_files_that_load_back(tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    machine_of(sheet_of()).save(first)
    machine_of(sheet_of()).save(second)
    assert first.read_bytes() == second.read_bytes()
    assert Machine.load(first) == machine_of(sheet_of())
