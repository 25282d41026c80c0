"""Plans of the tiny model on the tiny machine, for schedules worked by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from sim.cost import costs_of
from sim.engine import simulate
from sim.machine import Machine
from sim.model import MoEModel
from sim.plan import plan
from sim.predict import Ids, Predictor, Sight
from sim.schedule import HOST, Kind, Reason, Schedule
from sim.strategies.registry import make_strategy
from sim.strategy import Strategy
from sim.timeline import Timeline
from sim.trace import ExpertIds, RoutingTrace
from tests.machines import BF16, tiny_costs, tiny_machine, tiny_model

POPULARITY = np.array([[4, 3, 2, 1], [1, 2, 3, 4]])  # block 0 starts with experts 0, 1, …, block 1 with 3, 2, …


class Guess:
    """Predicts the same experts, whatever the layer."""

    sight: ClassVar[Sight] = Sight.NOTHING

    def __init__(self, *experts: int) -> None:
        self._experts = list(experts)

    def predict(
        self, moe_layer: int, step: int, truth: Ids | None, *, ahead: int = 1, size: int | None = None
    ) -> ExpertIds:
        return np.array([self._experts], np.uint8)[:, :size]

    def observe(self, moe_layer: int, ids: Ids) -> None: ...


def plan_tiny(
    strategy: str | Strategy, trace: RoutingTrace, cached: int, *, model: MoEModel | None = None, batch: int = 1,
    predictor: Predictor | None = None, machine: Machine | None = None, **knobs: Any,
) -> Schedule:  # fmt: skip
    """A plan of the two-block tiny model, unless told otherwise, with the popularity above."""
    model = model or tiny_model()
    return plan(
        make_strategy(strategy, **knobs) if isinstance(strategy, str) else strategy,
        model, BF16, trace, cached=cached, batch=batch, predictor=predictor, costs=tiny_costs(model, machine),
        popularity=POPULARITY if model.n_slots_total == POPULARITY.size else None,
    )  # fmt: skip


def timed(schedule: Schedule, machine: Machine | None = None) -> Timeline:
    return simulate(schedule, costs_of(schedule, machine or tiny_machine()))


def ops_where(schedule: Schedule, **columns: int) -> Sequence[int]:
    """Numbers of the ops whose columns have these values."""
    chosen = np.ones(len(schedule), bool)
    for name, value in columns.items():
        chosen &= getattr(schedule.ops, name) == value
    numbers: list[int] = np.flatnonzero(chosen).tolist()
    return numbers


def loaded(schedule: Schedule) -> list[tuple[int, int]]:
    """The (block, expert) of every load, in order."""
    loads = ops_where(schedule, kind=Kind.LOAD)
    return list(zip(schedule.ops.layer[loads].tolist(), schedule.ops.expert[loads].tolist(), strict=True))


def experts_on(schedule: Schedule, lane: str) -> list[tuple[int, str]]:
    """Expert and reason of every expert op on a lane."""
    ops = ops_where(schedule, kind=Kind.EXPERT, lane=schedule.lane_index[lane])
    return [(int(schedule.ops.expert[op]), Reason(schedule.ops.reason[op]).name.lower()) for op in ops]


def nothing_overlaps(timeline: Timeline) -> bool:
    """Whether never more than one device works and one always does: all durations sum up to the whole."""
    times, working = timeline.times, timeline.schedule.ops.lane != timeline.schedule.lane_index[HOST]
    return float((times.end_s - times.start_s)[working].sum()) == timeline.makespan_s
