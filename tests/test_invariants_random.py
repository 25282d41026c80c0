"""The invariants that matter most, on models, traces and knobs that nobody has thought of."""

from __future__ import annotations

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sim.model import MoEModel
from sim.strategies.registry import make_strategy
from tests.conservation import computed, differing, routed
from tests.machines import busy_machine, slow_gpu, tiny_model
from tests.occupancy import most_blocks, slot_faults
from tests.runs import CASES, Case, Setting, lossy, planned_and_said, timed


@st.composite
def models(draw: st.DrawFn) -> MoEModel:
    n_layers = draw(st.integers(1, 5))
    moe_layers = draw(st.lists(st.integers(0, n_layers - 1), min_size=1, unique=True).map(sorted))
    n_experts = draw(st.integers(1, 5))
    return tiny_model(
        n_layers=n_layers, moe_layers=tuple(moe_layers), dense_hidden=10, n_experts=n_experts,
        top_k=draw(st.integers(1, n_experts)), shared_hidden=draw(st.sampled_from([0, 10])),
        encoder_layers=draw(st.integers(0, n_layers - 1)),
    )  # fmt: skip


lengths = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=4).map(tuple)
runs = st.builds(
    Setting, models(), batch=st.integers(1, 4), cached=st.integers(0, 12), sequences=lengths,
    missing=st.sampled_from([0.0, 0.0, 0.3, 1.0]), seed=st.integers(0, 999),
)  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(CASES), runs)
def test_any_run_computes_what_is_routed_within_its_memory(case: Case, setting: Setting) -> None:
    assume(dict(case[1]).get("top", 0) <= setting.model.n_experts)  # more are refused
    schedule, said = planned_and_said(case, setting)
    schedule.validate()
    assert not differing(said, computed(schedule))
    assert lossy(case) or not differing(routed(setting.trace(), setting.model, setting.batch), said)
    for machine in (busy_machine(), slow_gpu()) if schedule.clock_free else (busy_machine(),):
        timeline = timed(schedule, machine)
        assert slot_faults(timeline) == []
        if buffers := make_strategy(case[0], **dict(case[1])).block_buffers:
            assert most_blocks(timeline) <= buffers
