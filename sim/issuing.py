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
from sim.window import Window

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
        self.step = -1  # number of the present forward pass
        self.sequences = 1  # that take part in it
        self.asked = False
        self._clock = clock
        self._ops = OpRecorder()
        self._blocks: list[Ops] = []  # this and `_steps`: since the last window was handed out
        self._steps: list[Step] = []
        self._handed_out = self._unseen = 0  # ops in windows; of those the ones that no clock has seen
        self._step_begin = 0
        self._lane = {lane.name: i for i, lane in enumerate(self.lanes)}
        self._expert_code, self._rest_code = _CODE[precisions.experts], _CODE[precisions.rest]
        self._tokens = self._context = 0

    def begin_step(self, phase: Phase, batch: int, *, sequences: int, tokens: int, context: int) -> None:
        """Start a forward pass over `tokens` tokens of `sequences` sequences that attend to `context` entries each."""
        if self._clock is not None:
            self._clock.forget(self._step_begin)
        self._step_begin = len(self._ops)
        self._steps.append(Step(phase, batch, sequences, tokens, self._step_begin))
        self.step += 1
        self._tokens, self._context, self.sequences = tokens, context, sequences

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
        """Whether a cancel that the host has handled came in time for this op, of this forward pass or the last."""
        return self._ask().withdrawn(op)

    def _ask(self) -> Clock:
        if self._clock is None:
            raise ScheduleError("this strategy asks the clock, so that planning needs a machine")
        if self._unseen:
            raise ScheduleError("a strategy that asks the clock late in a streamed run has to set `asks_clock`")
        self.asked = True
        self._feed(self._clock)
        return self._clock

    def _feed(self, clock: Clock) -> None:
        if self._ops.pending:
            clock.issue(self._take())

    # -- the schedule --------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._ops)

    @property
    def pending(self) -> int:
        """How many ops `window` would hand out now."""
        return len(self._ops) - self._handed_out

    def window(self, *, may_ask: bool = False) -> Window:
        """What was issued since the last call, which is kept here no longer; `may_ask`: the clock is to see it too."""
        if self._clock is not None and (may_ask or self.asked):
            self._feed(self._clock)
        elif self._clock is not None:
            self._unseen += self._ops.pending
        window = self._present()
        self._blocks, self._steps, self._handed_out = [], [], len(self._ops)
        return window

    def schedule(self, windows: Sequence[Window] = (), /, **meta: Any) -> Schedule:
        """Everything issued, as a Schedule: the `windows` that were handed out, and the rest."""
        parts = [*windows, self._present()]
        return Schedule(
            ops=join([part.ops for part in parts]), lanes=self.lanes,
            steps=tuple(step for part in parts for step in part.steps), model=self.model, precisions=self.precisions,
            n_slots=self.n_slots, start_slots=self.start_slots, clock_free=not self.asked, meta=meta,
        )  # fmt: skip

    def _present(self) -> Window:
        self._take()
        return Window(join(self._blocks), tuple(self._steps))

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
                kind, self._lane[lane], reason, precision, self.step, key[0], key[1], slot,
                tokens, context, self.sequences, priority, size_bytes, stated_s,
            ),
            deps,
        )  # fmt: skip
