from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from sim.expert_use import expert_use
from sim.metrics import tally
from sim.program import CPU, Program, default_lanes
from sim.schedule import Kind, Phase, Reason
from sim.timeline import Timeline
from tests.hand_work import timed
from tests.machines import BF16, tiny_model
from tests.runs import SETTINGS, SOME_CASES, Case, every_setting, name_of, run

SLOT_CASES: list[Case] = [  # placeholders, buffers for blocks, copies back, experts read after these, cancelled loads
    ("on-demand", (("placeholders", 3), ("blocking", True))),
    ("layer-streaming", (("prefetch", True),)),
    ("cache", (("evict", "swap"), ("prefetch", True), ("priority", True))),
    ("mixtral-offloading", (("speculative", True), ("guesses", "aside"))),
    ("moe-infinity", (("eam", "request"), ("eamc", 1), ("queue", 1), ("match_us", 0))),
    ("daop", (("variant", "paper"), ("first_predicted", 1), ("cpu_experts", 0))),
    ("oracle", ()),
]


def program(*start: tuple[int, int]) -> Program:
    """One step of a model of which the middle block is dense, with two slots."""
    model = tiny_model(n_layers=3, moe_layers=(0, 2), dense_hidden=10)
    p = Program(model, BF16, default_lanes(), n_slots=2, start_slots=start)
    p.begin_step(Phase.DECODE, 0, sequences=2, tokens=2, context=1)
    return p


def test_a_hit_a_load_and_a_cpu_expert_worked_by_hand() -> None:
    """Kernels take 1 s, loads 10 s, the CPU 4 s: the gate 0–1, the hit 1–2, loads 1–11 and 11–21."""
    p = program((0, 0))
    gate = p.gate(0)
    p.expert(0, 0, 2, after=[gate])
    p.load(0, 3, after=[gate])
    p.expert(0, 3, 1, reason=Reason.DEMAND)
    p.expert(0, 2, 1, on=CPU, after=[gate], reason=Reason.OFFLOAD)
    p.drop(0, 0)
    p.load(2, 1, reason=Reason.PREFETCH)
    p.shared(1)
    use = expert_use(timed(p.schedule()))
    assert use.uses.tolist() == [[1, 0, 1, 1], [0, 0, 0, 0]]
    assert use.tokens.tolist() == [[2, 0, 1, 1], [0, 0, 0, 0]]
    assert use.loaded.tolist() == [[0, 0, 0, 1], [0, 0, 0, 0]]
    assert use.on_cpu.tolist() == [[0, 0, 1, 0], [0, 0, 0, 0]]
    assert use.misses.tolist() == [[0, 0, 1, 1], [0, 0, 0, 0]]
    assert use.resident.tolist() == [[11 / 21, 0, 0, 10 / 21], [0, 0, 0, 0]], "the last load ends with the run"


def test_a_prefetched_expert_is_no_miss_and_counts_in_its_own_block() -> None:
    p = program()
    p.load(2, 1, reason=Reason.PREFETCH)
    p.expert(2, 1, 2, reason=Reason.PREFETCHED)
    use = expert_use(timed(p.schedule()))
    assert (use.uses[1, 1], use.misses.sum(), use.resident[1, 1]) == (1, 0, 1 / 11)


def test_an_expert_that_is_loaded_anew_beside_its_old_weights_is_there_once() -> None:
    """The second load takes the other slot, 10–20 s; the first weights lie in theirs to the end, at 40 s."""
    p = program()
    p.load(0, 0)
    p.drop(0, 0)
    p.load(0, 0)
    p.software(40.0)
    assert expert_use(timed(p.schedule())).resident[0, 0] == 20 / 40


def test_a_run_of_nothing_uses_nothing() -> None:
    use = expert_use(timed(program().schedule()))
    assert (use.uses.sum(), use.misses.sum(), use.resident.sum()) == (0, 0, 0)


@every_setting
def test_sums_over_experts_are_the_tally(setting: str) -> None:
    for case in SOME_CASES[list(SETTINGS).index(setting) % 7 :: 7]:
        timeline = run(case, setting)
        ops, use = timeline.schedule.ops, expert_use(timeline)
        counts = tally(ops, timeline.times.cancelled)
        assert (use.uses.sum(), use.misses.sum()) == (counts.uses, counts.uses - counts.from_cache), name_of(case)
        assert use.tokens.sum() == ops.tokens[(ops.kind == Kind.EXPERT) & (ops.expert >= 0)].sum(), name_of(case)
        assert (use.misses >= 0).all()
        assert (use.uses >= use.misses).all()


@pytest.mark.parametrize("case", SLOT_CASES, ids=name_of)
def test_residency_is_what_the_slots_hold_from_moment_to_moment(case: Case) -> None:
    timeline = run(case, "batch")
    use = expert_use(timeline)
    assert 0 <= use.resident.min() <= use.resident.max() <= 1 + 1e-9
    np.testing.assert_allclose(use.resident * timeline.makespan_s, replayed_s(timeline), atol=1e-9)


def test_what_is_always_resident_is_there_all_the_time() -> None:
    use = expert_use(run(("all-resident", ()), "plain"))
    assert (use.resident == 1).all()
    assert not use.misses.any()


def replayed_s(timeline: Timeline) -> NDArray[np.float64]:
    """Seconds on the GPU by expert: who is there between two neighbouring moments at which anything starts or ends?"""
    model, times = timeline.schedule.model, timeline.times
    moments = np.unique(np.concatenate(([0.0], times.start_s, times.end_s)))
    seconds = np.zeros((model.n_moe_layers, model.n_experts))
    for begin_s, end_s in pairwise(moments.tolist()):
        for layer, expert in there_at(timeline, (begin_s + end_s) / 2):
            seconds[model.moe_index(layer), expert] += end_s - begin_s
    return seconds


def there_at(timeline: Timeline, moment_s: float) -> list[tuple[int, int]]:
    """Experts in whose slots a moment finds them whole; of two loads of one expert, only the later counts."""
    ops, times, start = timeline.schedule.ops, timeline.times, timeline.schedule.start_slots
    latest: dict[tuple[int, int], tuple[float, bool]] = {}
    for slot in range(timeline.schedule.n_slots):
        key = start[slot] if slot < len(start) else None
        asked_s = whole_s = read_until_s = 0.0
        copied_back = False
        for op in np.flatnonzero((ops.slot == slot) & ~times.cancelled).tolist():
            if ops.kind[op] == Kind.LOAD:
                if times.start_s[op] > moment_s:
                    break
                key = int(ops.layer[op]), int(ops.expert[op])
                asked_s, whole_s, copied_back = float(times.start_s[op]), float(times.end_s[op]), False
            copied_back |= bool(ops.kind[op] == Kind.UNLOAD)
            read_until_s = float(times.end_s[op]) if ops.kind[op] == Kind.LOAD else max(read_until_s, times.end_s[op])
        if key is not None and (key not in latest or latest[key][0] <= asked_s):
            latest[key] = asked_s, whole_s <= moment_s and not (copied_back and read_until_s <= moment_s)
    return [key for key, (_, there) in latest.items() if there]
