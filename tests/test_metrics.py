from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from sim.metrics import hit_rate, moved_bytes, summarise
from sim.program import CPU, D2H, H2D, Program, default_lanes
from sim.schedule import Kind, Phase, Reason
from sim.timeline import Timeline, Times
from tests.hand_work import timed
from tests.machines import BF16, tiny_model


def program(n_slots: int = 4) -> Program:
    model = tiny_model(n_layers=1, shared_hidden=10)
    return Program(model, BF16, default_lanes(), n_slots=n_slots, start_slots=[(0, 0)])


def steps(p: Program, *phases: tuple[Phase, int, int], software_s: tuple[float, ...]) -> Timeline:
    """Steps of (phase, batch, sequences); each takes `software_s` on the host and 1 s for its head."""
    for (phase, batch, sequences), seconds in zip(phases, software_s, strict=True):
        p.begin_step(phase, batch, sequences=sequences, tokens=sequences, context=1)
        p.software(seconds)
        p.wait(p.head())
    return timed(p.schedule())


def test_latencies_and_rates_are_worked_out_by_hand() -> None:
    summary = summarise(
        steps(
            program(), (Phase.PREFILL, 0, 2), (Phase.DECODE, 0, 2), (Phase.DECODE, 0, 1), (Phase.PREFILL, 1, 2),
            (Phase.DECODE, 1, 2), software_s=(9.0, 1.0, 3.0, 19.0, 4.0),
        )
    )  # fmt: skip
    assert summary.ttft_s == 15.0, "median of 10 and 20, each from the start of its batch"
    assert summary.tpot_p50_s == 4.0, "of 2, 4 and 5"
    assert summary.tpot_p95_s == pytest.approx(np.quantile([2, 4, 5], 0.95))
    assert summary.decode_tokens_per_s == (2 + 1 + 2) / (2 + 4 + 5)
    assert summary.output_tokens == 2 + 2 + 1 + 2 + 2, "a prefill yields a token of each sequence too"
    assert summary.makespan_s == 41.0
    assert summary.tokens_per_s == 9 / 41


def test_what_was_not_measured_is_none() -> None:
    decode = summarise(steps(program(), (Phase.DECODE, 0, 1), software_s=(1.0,)))
    assert (decode.ttft_s, decode.tpot_p50_s) == (None, 2.0)
    prefill = summarise(steps(program(), (Phase.PREFILL, 0, 1), software_s=(1.0,)))
    assert (prefill.ttft_s, prefill.tpot_p50_s, prefill.tpot_p95_s, prefill.decode_tokens_per_s) == (
        2.0,
        None,
        None,
        None,
    )
    assert (prefill.hit_rate, prefill.prefetch_used) == (None, None)
    nothing = summarise(timed(program().schedule()))
    assert (nothing.ttft_s, nothing.tokens_per_s, nothing.makespan_s) == (None, 0.0, 0.0)
    assert set(nothing.utilisation.values()) == {0.0}


def mixed() -> Program:
    """A hit, a right prefetch, a wrong one, a demand load and a CPU expert; beside them a shared expert."""
    p = program()
    p.begin_step(Phase.DECODE, 0, sequences=2, tokens=2, context=1)
    p.load(0, 1, reason=Reason.PREFETCH)
    p.load(0, 2, reason=Reason.PREFETCH)
    gate = p.gate(0)
    p.wait(gate)
    p.load(0, 3)
    p.expert(0, 0, 2)
    p.expert(0, 1, 1, reason=Reason.PREFETCHED)
    p.expert(0, 3, 1, reason=Reason.DEMAND)
    down = p.send(D2H, 2, after=[gate])
    p.send(H2D, 2, after=[p.expert(0, 2, 2, on=CPU, after=[down], reason=Reason.OFFLOAD)])
    p.shared(0)
    p.unload(0, 2)
    p.head()
    return p


def test_hits_are_uses_whose_weights_were_there_or_coming_when_routed() -> None:
    assert hit_rate(mixed().schedule()) == 2 / 4
    assert hit_rate(program().schedule()) is None


def test_bytes_are_summed_by_kind() -> None:
    summary = summarise(timed(mixed().schedule()))
    assert (summary.bytes_loaded, summary.bytes_unloaded, summary.bytes_sent) == (3 * 400, 400, 2 * 2 * 20)
    assert moved_bytes(mixed().schedule(), Kind.READ) == 0


def test_of_the_prefetched_experts_half_were_used() -> None:
    assert summarise(timed(mixed().schedule())).prefetch_used == 0.5


def test_utilisation_is_the_share_of_the_run_that_a_lane_works() -> None:
    timeline = timed(mixed().schedule())
    used = summarise(timeline).utilisation
    assert list(used) == [lane.name for lane in timeline.schedule.lanes]
    assert used["gpu0.d2h"] == (1 + 10) / timeline.makespan_s
    assert used["cpu"] == 8 / timeline.makespan_s
    assert used["worker"] == 0.0
    assert all(0 <= share <= 1 for share in used.values())


def test_measured_and_simulated_timelines_are_read_alike() -> None:
    simulated = timed(mixed().schedule())
    t = simulated.times
    later = Times(t.dispatched_s * 2, t.start_s * 2, t.end_s * 2, t.cancelled)
    measured = summarise(replace(simulated, times=later, source="measured"))
    summary = summarise(simulated)
    assert measured.makespan_s == 2 * summary.makespan_s
    assert measured.utilisation == summary.utilisation
    assert measured.hit_rate == summary.hit_rate


def test_a_summary_is_plain_json() -> None:
    data = summarise(timed(mixed().schedule())).to_dict()
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert data["n_ops"] == len(mixed().schedule())
