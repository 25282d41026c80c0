"""Issuer: the half of a Program that numbers and records ops, and asks the clock about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sim.clock import Clock
from sim.errors import ScheduleError
from sim.model import MoEModel
from sim.precision import PRECISIONS, Precisions
from sim.recorder import OpRecorder, join
from sim.schedule import NO_EXPERT, NO_SLOT, Kind, Lane, Ops, Phase, Reason, Schedule, Step
from sim.slots import Key

_CODE = {name: i for i, name in enumerate(PRECISIONS)}
_NAN = float("nan")
_NO_KEY = (-1, NO_EXPERT)


class Issuer:
    """Issues ops in program order and makes a Schedule of them; what the ops mean is left to the verbs of Program."""

    def __init__(
        self, model: MoEModel, precisions: Precisions, lanes: Sequence[Lane], *, n_slots: int,
        start_slots: Sequence[Key], clock: Clock | None,
    ) -> None:  # fmt: skip
        self.model, self.precisions, self.lanes = model, precisions, tuple(lanes)
        self.n_slots, self.start_slots = n_slots, tuple(start_slots)
        self.steps: list[Step] = []
        self.asked = False
        self._clock = clock
        self._ops = OpRecorder()
        self._blocks: list[Ops] = []
        self._lane = {lane.name: i for i, lane in enumerate(self.lanes)}
        self._expert_code, self._rest_code = _CODE[precisions.experts], _CODE[precisions.rest]
        self._tokens = self._context = 0
        self._sequences = 1
        self._step = -1

    def begin_step(self, phase: Phase, batch: int, *, sequences: int, tokens: int, context: int) -> None:
        """Start a forward pass over `tokens` tokens of `sequences` sequences that attend to `context` entries each."""
        self.steps.append(Step(phase, batch, sequences, tokens, len(self._ops)))
        self._step += 1
        self._tokens, self._context, self._sequences = tokens, context, sequences

    # -- the clock -----------------------------------------------------------------------------------------

    def now(self) -> float:
        """Seconds since the start of the run, at the host's present moment."""
        return self._ask().now_s()

    def done(self, op: int) -> bool:
        """Whether an op has ended by the host's present moment; so has one that was withdrawn."""
        return self._ask().ended(op)

    def started(self, op: int) -> bool:
        """Whether an op started before the host's present moment, so that no cancel can withdraw it any more."""
        return self._ask().started(op)

    def withdrawn(self, op: int) -> bool:
        """Whether a cancel that the host has handled came in time for this op."""
        return self._ask().withdrawn(op)

    def _ask(self) -> Clock:
        if self._clock is None:
            raise ScheduleError("this strategy asks the clock, so that planning needs a machine")
        self.asked = True
        if self._ops.pending:
            self._clock.issue(self._take())
        return self._clock

    # -- the schedule --------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._ops)

    def lane_of(self, op: int) -> str:
        """Name of the lane that an op was issued to."""
        return self.lanes[self._ops.lane_of[op]].name

    def schedule(self, **meta: Any) -> Schedule:
        """Everything issued, as a Schedule."""
        self._take()
        return Schedule(
            ops=join(self._blocks), lanes=self.lanes, steps=tuple(self.steps), model=self.model,
            precisions=self.precisions, n_slots=self.n_slots, start_slots=self.start_slots,
            clock_free=not self.asked, meta=meta,
        )  # fmt: skip

    def _take(self) -> Ops:
        block = self._ops.take()
        self._blocks.append(block)
        return block

    def _issue(
        self, kind: Kind, lane: str, deps: Sequence[int], reason: Reason, key: Key = _NO_KEY, precision: int = 0, *,
        slot: int = NO_SLOT, tokens: int = 0, context: int = 0, priority: int = 0, size_bytes: int = 0,
        stated_s: float = _NAN,
    ) -> int:  # fmt: skip
        return self._ops.append(
            (
                kind, self._lane[lane], reason, precision, self._step, key[0], key[1], slot,
                tokens, context, self._sequences, priority, size_bytes, stated_s,
            ),
            deps,
        )  # fmt: skip
