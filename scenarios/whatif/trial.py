"""One strategy tried on changed machines: re-timed where its decisions hold anywhere, else planned again."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

from scenarios.resolve import Case, Entry
from scenarios.run import costs_of_entry, plan_entry
from sim.machine import Machine
from sim.metrics import Speeds, speeds
from sim.retime import Retimer
from sim.schedule import Schedule
from sim.timeline import StepEnds


class Pace(NamedTuple):
    """How fast a run decodes (tokens a second) and how soon its first token comes (one over the seconds).

    None where a run has neither prefill nor decode. More is better of both.
    """

    decode: float | None
    first_token: float | None

    def over(self, other: Pace) -> Pace:
        """How many times as fast as another."""
        return Pace(*(mine / theirs if mine and theirs else None for mine, theirs in zip(self, other, strict=True)))


class Trial:
    """One strategy of a case, as it is and as it would be."""

    def __init__(self, case: Case, entry: Entry) -> None:
        self.case, self.entry = case, entry
        self._prices = costs_of_entry(case, entry)
        self.schedule = plan_entry(case, entry, self._prices)
        self._retimer, self._step_ends = Retimer(self.schedule), StepEnds(self.schedule)

    @property
    def portable(self) -> bool:
        """Whether it would decide the same on any machine."""
        return self.schedule.portable

    @cached_property
    def base(self) -> Pace:
        """As it is."""
        return self._timed(self.schedule, self.case, self.entry)

    def on(self, machine: Machine) -> Pace:
        """On another machine."""
        case = replace(self.case, machine=machine)
        return self._timed(self.schedule, case, self.entry) if self.portable else self.again(case, self.entry)

    def again(self, case: Case, entry: Entry) -> Pace:
        """Planned again, with another cache, predictor or machine."""
        return self._timed(plan_entry(case, entry, costs_of_entry(case, entry)), case, entry)

    def _timed(self, schedule: Schedule, case: Case, entry: Entry) -> Pace:
        same = schedule is self.schedule
        retimer, step_ends = (self._retimer, self._step_ends) if same else (Retimer(schedule), StepEnds(schedule))
        end_s = retimer.times(costs_of_entry(case, entry).of_schedule(schedule)).end_s
        return _pace(speeds(schedule, step_ends.of(end_s), float(end_s.max(initial=0.0))))


def _pace(found: Speeds) -> Pace:
    return Pace(found.decode_tokens_per_s, 1 / found.ttft_s if found.ttft_s else None)
