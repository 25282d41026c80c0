"""Optimum: the very best makespan of a small run, by constraint programming; needs the extra `exact`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sim.bounds import Bounder
from sim.errors import InputError

if TYPE_CHECKING:
    from ortools.sat.python.cp_model import CpModel, IntervalVar, IntVar, LiteralT


@dataclass(frozen=True)
class Optimum:
    """No strategy is faster than `floor_s`; some order of the work takes `seconds`. Equal if `proven`."""

    seconds: float
    floor_s: float
    proven: bool


def optimum(bounder: Bounder, n_slots: int, *, unit_s: float, limit_s: float = 60.0) -> Optimum:
    """Search all ways to place, load, evict and order the experts of a run whose blocks come one after the other.

    Each routed expert runs on the GPU, in a slot filled from the start or by a load since, or on the CPU; a slot is
    taken from the start of a load to the end of the last use before the next. Dispatching, waking up, sending
    activations and sharing are free, so that it is a bound on every run, and tighter than those of `sim.bounds`. Times
    are rounded down to multiples of `unit_s`. Raises InputError if OR-Tools is missing, or blocks may overlap.
    """
    try:
        from ortools.sat.python import cp_model
    except ImportError as error:
        raise InputError("needs OR-Tools", field="exact", remedy="pip install 'moesim[exact]'") from error
    if not bounder.serial:
        raise InputError("has no exact optimum where blocks may overlap", field="lossy", remedy="use the bounds")
    model = cp_model.CpModel()
    makespan = _Problem(bounder, n_slots, unit_s, model).write()
    model.minimize(makespan)
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = limit_s
    solver.parameters.num_workers = 1  # repeatable
    status = solver.solve(model)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        raise InputError("found no schedule in time", field="limit_s", value=limit_s, remedy="take a smaller case")
    floor_s = solver.best_objective_bound * unit_s
    return Optimum(solver.objective_value * unit_s, floor_s, bool(status == cp_model.OPTIMAL))


class _Problem:
    """Writes the variables and rules of one run into a model."""

    def __init__(self, bounder: Bounder, n_slots: int, unit_s: float, model: CpModel) -> None:
        def ticks(seconds: float) -> int:
            return int(seconds / unit_s + 1e-9)

        self._model, self._n_slots, self._needs = model, n_slots, bounder.needs
        needed = bounder.needs
        seconds, inside = bounder.costs.duration_s[needed.model_ops], needed.visit_of >= 0
        own = np.bincount(needed.visit_of[inside], seconds[inside], needed.n_visits)
        between = np.bincount(needed.visits_before[~inside], seconds[~inside], needed.n_visits + 1)
        self._own, self._between = [[ticks(s) for s in column.tolist()] for column in (own, between)]
        self._on_gpu = [ticks(s) for s in bounder.gpu_s.tolist()]
        self._on_cpu = [ticks(s) if np.isfinite(s) else None for s in bounder.cpu_s.tolist()]
        self._load = ticks(bounder.load.seconds)
        uses = needed.n_uses * self._load + sum(self._on_gpu)
        self._horizon = uses + sum(self._own) + sum(self._between)

    def write(self) -> IntVar:
        """All of it; returns the makespan."""
        model, needed = self._model, self._needs
        self._links: list[IntervalVar] = []
        self._held: list[IntervalVar] = []
        last: dict[tuple[int, int], tuple[IntVar, IntVar]] = {}  # of each expert: whether it is in a slot, until when
        now = model.new_constant(0)
        for visit in range(needed.n_visits):
            start, end = self._moment(), self._moment()
            model.add(start >= now + self._between[visit])
            own = self._moment()
            gpu = [model.new_fixed_size_interval_var(own, self._own[visit], "")]
            cpu: list[IntervalVar] = []
            model.add(own >= start)
            model.add(own + self._own[visit] <= end)
            model.add(end >= start)
            for use in np.flatnonzero(needed.visit == visit).tolist():
                key = int(needed.layer[use]), int(needed.expert[use])
                last[key] = self._use(use, start, end, gpu, cpu, last.get(key))
            model.add_no_overlap(gpu)
            model.add_no_overlap(cpu)
            now = end
        model.add_no_overlap(self._links)
        model.add_cumulative(self._held, [1] * len(self._held), self._n_slots)
        makespan = self._moment()
        model.add(makespan == now + self._between[-1])
        return makespan

    def _use(
        self, use: int, start: IntVar, end: IntVar, gpu: list[IntervalVar], cpu: list[IntervalVar],
        before: tuple[IntVar, IntVar] | None,
    ) -> tuple[IntVar, IntVar]:  # fmt: skip
        """One routed expert of a visit; returns whether it is in a slot when it has run, and until when at least."""
        model = self._model
        on_gpu, loaded, kept, there = (model.new_bool_var("") for _ in range(4))
        model.add(loaded + kept == there)
        model.add_implication(on_gpu, there)
        model.add_implication(loaded, on_gpu)
        ran = self._optional(self._on_gpu[use], on_gpu, start, end, gpu)
        if (on_cpu_ticks := self._on_cpu[use]) is None:
            model.add(on_gpu == 1)
        else:
            self._optional(on_cpu_ticks, ~on_gpu, start, end, cpu)
        load = self._optional(self._load, loaded, model.new_constant(0), end, self._links)
        model.add(load + self._load <= ran).only_enforce_if(loaded)
        since, until, size = self._moment(), self._moment(), self._moment()
        self._held.append(model.new_optional_interval_var(since, size, until, there, ""))
        model.add(since <= load).only_enforce_if(loaded)
        model.add(until >= ran + self._on_gpu[use]).only_enforce_if(on_gpu)
        if before is not None:
            model.add_implication(kept, before[0])
            model.add(since <= before[1]).only_enforce_if(kept)
        else:
            model.add(since == 0).only_enforce_if(kept)
        return there, until

    def _optional(
        self, ticks: int, chosen: LiteralT, earliest: IntVar, latest: IntVar, lane: list[IntervalVar]
    ) -> IntVar:
        """Work on a lane, if it is chosen, between two moments; returns its start."""
        start = self._moment()
        lane.append(self._model.new_optional_fixed_size_interval_var(start, ticks, chosen, ""))
        self._model.add(start >= earliest).only_enforce_if(chosen)
        self._model.add(start + ticks <= latest).only_enforce_if(chosen)
        return start

    def _moment(self) -> IntVar:
        return self._model.new_int_var(0, self._horizon, "")
