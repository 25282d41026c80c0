"""The cache strategy's prefetches: what they bring, what they may cost, and how they are told apart."""

from __future__ import annotations

from typing import Any

from sim.metrics import summarise
from sim.predict import Ids, PerfectPredictor
from sim.schedule import Kind, Reason
from sim.trace import ExpertIds
from tests.hand_work import Guess, experts_on, loaded, ops_where, plan_tiny, timed
from tests.listing import trace_of

ONE_TOKEN = trace_of([[0, 2], [3, 1]])


def late_demand(**knobs: Any) -> tuple[float, float]:
    """When block 1's first demand load starts, and the second prefetch: both of the prefetched are wrong."""
    schedule = plan_tiny("cache", trace_of([[0, 1], [2, 3]]), 4, predictor=Guess(0, 1), prefetch=True, **knobs)
    times = timed(schedule).times
    _, second = ops_where(schedule, kind=Kind.LOAD, reason=Reason.PREFETCH)
    first, _ = ops_where(schedule, kind=Kind.LOAD, reason=Reason.DEMAND)
    return float(times.start_s[first]), float(times.start_s[second])


def test_in_a_fifo_demand_queues_behind_wrong_prefetches() -> None:
    """Routing is known at 2 s; two prefetches of 10 s each go first."""
    assert late_demand() == (22.0, 12.0)


def test_with_priority_demand_overtakes_the_queued_prefetch() -> None:
    """The prefetch that has started is finished; the queued one waits for both demand loads."""
    assert late_demand(priority=True) == (12.0, 32.0)


def test_a_right_prefetch_is_a_hit_and_said_so_once() -> None:
    trace = trace_of([[0, 1], [0, 1]], [[0, 1], [0, 1]])
    schedule = plan_tiny("cache", trace, 4, predictor=PerfectPredictor(), prefetch=True)
    assert [reason for _, reason in experts_on(schedule, "gpu0")] == ["hit", "hit", "prefetched", "prefetched"] + 4 * [
        "hit"
    ]
    summary = summarise(timed(schedule))
    assert (summary.hit_rate, summary.prefetch_used, summary.bytes_loaded) == (1.0, 1.0, 2 * 400)


class GuessOnce(Guess):
    """Predicts in the first step only."""

    def predict(
        self, moe_layer: int, step: int, truth: Ids | None, *, ahead: int = 1, size: int | None = None
    ) -> ExpertIds:
        return super().predict(moe_layer, step, truth, size=0 if step else size)


def test_a_prefetch_that_left_unused_does_not_count_as_used_when_demand_brings_it_back() -> None:
    """1/0 comes for 1/2, leaves when 1/2 is needed, comes back on demand; its hit is then a plain one."""
    trace = trace_of([[0, 1], [2, 3]], [[0, 1], [0, 3]], [[0, 1], [0, 3]])
    schedule = plan_tiny("cache", trace, 4, predictor=GuessOnce(0), prefetch=True)
    assert loaded(schedule) == [(1, 0), (1, 2), (1, 0)]
    uses = ops_where(schedule, kind=Kind.EXPERT, layer=1, expert=0)
    assert schedule.ops.reason[uses].tolist() == [Reason.DEMAND, Reason.HIT]
    assert summarise(timed(schedule)).prefetch_used == 0.0


def test_prefetching_never_evicts_what_this_block_needs() -> None:
    schedule = plan_tiny("cache", trace_of([[0, 1], [0, 1]]), 2, scope="global", predictor=Guess(0, 1), prefetch=True)
    assert len(ops_where(schedule, kind=Kind.LOAD, reason=Reason.PREFETCH)) == 0
    assert experts_on(schedule, "gpu0")[0] == (0, "hit")


def test_nothing_is_prefetched_after_the_last_block_or_without_being_asked() -> None:
    schedule = plan_tiny("cache", ONE_TOKEN, 4, predictor=Guess(0, 2), prefetch=True)
    prefetches = ops_where(schedule, kind=Kind.LOAD, reason=Reason.PREFETCH)
    assert schedule.ops.layer[prefetches].tolist() == [1]
    silent = plan_tiny("cache", ONE_TOKEN, 4, predictor=Guess(0, 2))
    assert ops_where(silent, reason=Reason.PREFETCH) == []
