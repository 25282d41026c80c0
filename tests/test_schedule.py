from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim.columnar import Ragged, read_table, write_table
from sim.errors import FormatError, InputError, ScheduleError
from sim.program import CPU, Program, default_lanes
from sim.schedule import COLUMNS, Kind, Lane, Phase, Reason, Schedule
from tests.equality import differences, same
from tests.machines import BF16, tiny_model


@pytest.fixture
def schedule() -> Schedule:
    p = Program(tiny_model(), BF16, default_lanes(copy_priority=True), n_slots=2, start_slots=[(0, 0)])
    p.begin_step(Phase.PREFILL, 0, sequences=2, tokens=6, context=3)
    p.attention(0)
    gate = p.gate(0)
    p.wait(gate)
    load = p.load(1, 2, reason=Reason.PREFETCH, priority=1)
    p.combine(0, after=[p.expert(0, 0, 4, after=[gate]), p.expert(0, 1, 2, on=CPU, after=[gate])])
    p.begin_step(Phase.DECODE, 0, sequences=2, tokens=2, context=4)
    p.software(0.1 + 0.2)
    p.cancel(load)
    p.head()
    return p.schedule(strategy="by hand", seed=3)


def test_a_schedule_loads_back_equal_and_saves_to_equal_bytes(schedule: Schedule, tmp_path: Path) -> None:
    schedule.save(tmp_path / "a")
    again = Schedule.load(tmp_path / "a")
    again.save(tmp_path / "b")
    assert differences(schedule, again) == []
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_schedule_without_ops_loads_back_equal(tmp_path: Path) -> None:
    empty = Program(tiny_model(), BF16, default_lanes()).schedule()
    empty.save(tmp_path / "a")
    assert differences(empty, Schedule.load(tmp_path / "a")) == []


def test_a_schedule_that_asked_the_clock_says_so_after_loading(schedule: Schedule, tmp_path: Path) -> None:
    replace(schedule, clock_free=False).save(tmp_path / "a")
    assert not Schedule.load(tmp_path / "a").clock_free


def test_part_of_the_ops_keeps_its_dependencies(schedule: Schedule) -> None:
    ops = schedule.ops
    for begin, end in [(0, len(ops)), (2, 6), (5, 5), (3, 100)]:
        part = ops[begin:end]
        assert len(part) == len(range(*slice(begin, end).indices(len(ops))))
        for i in range(len(part)):
            assert np.array_equal(part.dependencies(i), ops.dependencies(begin + i))
            assert part.kind[i] == ops.kind[begin + i]


def changed(schedule: Schedule, column: str, op: int, value: int) -> Schedule:
    array = getattr(schedule.ops, column).copy()
    array[op] = value
    return replace(schedule, ops=replace(schedule.ops, **{column: array}))


def with_dep(schedule: Schedule, value: int) -> Schedule:
    values = schedule.ops.deps.values.copy()
    values[0] = value  # the gate's, op 1
    return replace(schedule, ops=replace(schedule.ops, deps=Ragged(schedule.ops.deps.offsets, values)))


BROKEN: dict[str, tuple[Callable[[Schedule], Schedule], str]] = {
    "dependency on itself": (lambda s: with_dep(s, 1), "op 1 depends on itself or a later op"),
    "dependency on a later op": (lambda s: with_dep(s, 2), "op 1 depends on itself or a later op"),
    "negative dependency": (lambda s: with_dep(s, -1), "op 1 depends on itself or a later op"),
    "unknown lane": (lambda s: changed(s, "lane", 4, 7), "op 4 is on a lane that does not exist"),
    "wait elsewhere": (lambda s: changed(s, "lane", 2, 1), "op 2 waits or cancels away from the host lane"),
    "cancel elsewhere": (lambda s: changed(s, "lane", 8, 1), "op 8 waits or cancels away from the host lane"),
    "unknown slot": (lambda s: changed(s, "slot", 4, 2), "op 4 uses a slot that does not exist"),
    "negative tokens": (lambda s: changed(s, "tokens", 0, -1), "op 0 has a negative size"),
    "negative bytes": (lambda s: changed(s, "size_bytes", 3, -1), "op 3 has a negative size"),
    "unknown kind": (lambda s: changed(s, "kind", 4, 99), "op 4 is of a kind that does not exist"),
    "unknown reason": (lambda s: changed(s, "reason", 4, 99), "op 4 has a reason that does not exist"),
    "unknown step": (lambda s: changed(s, "step", 4, 2), "op 4 is in a step that does not exist"),
    "host not first": (lambda s: replace(s, lanes=s.lanes[::-1]), "lane 0 must be 'host'"),
    "no lanes": (lambda s: replace(s, lanes=()), "lane 0 must be 'host'"),
}


def test_a_good_schedule_is_valid(schedule: Schedule) -> None:
    schedule.validate()


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_rule_is_refused_naming_the_first_op(schedule: Schedule, fault: str) -> None:
    damage, complaint = BROKEN[fault]
    with pytest.raises(ScheduleError, match=complaint):
        damage(schedule).validate()


@pytest.mark.parametrize("fault", BROKEN)
def test_a_file_with_a_broken_rule_is_refused(schedule: Schedule, fault: str, tmp_path: Path) -> None:
    damage, _ = BROKEN[fault]
    damage(schedule).save(tmp_path / "a")
    with pytest.raises(FormatError, match=r"a: not a usable schedule: .*; plan it again") as caught:
        Schedule.load(tmp_path / "a")
    assert "\n" not in str(caught.value)


def rewrite(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], object]) -> None:
    columns, meta = read_table(path, kind="schedule", version=1)
    change(columns, meta)
    write_table(path, kind="schedule", version=1, columns=columns, meta=meta)


@pytest.mark.parametrize(
    "change",
    [
        lambda columns, meta: meta.pop("lanes"),
        lambda columns, meta: meta.update(lanes=[["host"]]),
        lambda columns, meta: meta.update(steps=[[9, 0, 1, 1, 0]]),
        lambda columns, meta: meta.update(precisions={"experts": "bf16"}),
        lambda columns, meta: meta.update(precisions={"experts": "bf17", "rest": "bf16", "kv": "bf16"}),
        lambda columns, meta: meta["model"].update(top_k=9),
        lambda columns, meta: columns.pop("slot"),
        lambda columns, meta: columns.update(colour=columns["slot"]),
        lambda columns, meta: columns.update(deps=columns["step"]),
    ],
    ids=["no lanes", "half a lane", "phase", "no precision", "precision", "k > experts", "no slot", "more", "deps"],
)
def test_a_damaged_file_is_refused_with_its_name(
    schedule: Schedule, tmp_path: Path, change: Callable[[dict[str, Any], dict[str, Any]], object]
) -> None:
    path = tmp_path / "a.schedule"
    schedule.save(path)
    rewrite(path, change)
    with pytest.raises(FormatError, match=r"a\.schedule: ") as caught:
        Schedule.load(path)
    assert "\n" not in str(caught.value)


def test_truncated_alien_and_missing_files_are_refused_in_one_line(schedule: Schedule, tmp_path: Path) -> None:
    path = tmp_path / "a.schedule"
    schedule.save(path)
    (tmp_path / "half").write_bytes(path.read_bytes()[:-200])
    (tmp_path / "alien").write_text('{"format": "moesim-machine"}')
    write_table(tmp_path / "other", kind="trace", version=1, columns={"x": np.zeros(3)}, meta={})
    write_table(tmp_path / "newer", kind="schedule", version=2, columns={"x": np.zeros(3)}, meta={})
    for name, complaint in [
        ("half", "not an Arrow file"),
        ("alien", "not an Arrow file"),
        ("other", "expected a schedule, found trace"),
        ("newer", "newer"),
        ("none", "no such file"),
    ]:
        with pytest.raises(InputError, match=complaint) as caught:
            Schedule.load(tmp_path / name)
        assert str(caught.value).startswith(str(tmp_path / name))
        assert "\n" not in str(caught.value)


def test_lanes_are_numbered_in_order(schedule: Schedule) -> None:
    assert list(schedule.lane_index)[:3] == ["host", "gpu0", "gpu0.h2d"]
    assert list(schedule.lane_index.values()) == list(range(7))
    assert schedule.lanes[2] == Lane("gpu0.h2d", "priority")


def test_codes_in_files_never_change() -> None:
    """Files of earlier versions hold these numbers."""
    kinds = "attention gate expert combine head load unload send read software wait cancel"
    reasons = "model hit prefetched demand stream offload prefetch precompute swap placement bookkeeping"
    assert " ".join(kind.name.lower() for kind in Kind).startswith(kinds)
    assert " ".join(reason.name.lower() for reason in Reason).startswith(reasons)
    assert [int(kind) for kind in Kind] == list(range(len(Kind)))
    assert [int(reason) for reason in Reason] == list(range(len(Reason)))


def test_columns_have_the_types_of_the_format(schedule: Schedule) -> None:
    assert {name: getattr(schedule.ops, name).dtype for name in COLUMNS} == {
        name: np.dtype(dtype) for name, dtype in COLUMNS.items()
    }
    assert same(schedule.ops[:], schedule.ops)
