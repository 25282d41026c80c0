"""The clock that a strategy may ask: an engine that has run up to the host's present moment."""

from __future__ import annotations

from typing import Protocol

from sim.cost import CostModel
from sim.engine import Engine
from sim.errors import ScheduleError
from sim.schedule import Lane, Ops


class Clock(Protocol):
    """Runs what was issued so far; later ops cannot change its answers."""

    def issue(self, ops: Ops) -> None:
        """Append the ops issued since the last call."""

    def now_s(self) -> float:
        """The host's present moment."""

    def ended(self, op: int) -> bool:
        """Whether that op has ended by now."""

    def started(self, op: int) -> bool:
        """Whether it started before this moment: a cancel at the very moment would still be in time."""

    def withdrawn(self, op: int) -> bool:
        """Whether it was cancelled in time."""

    def forget(self, first: int) -> None:
        """Nobody will ask whether ops before number `first` were withdrawn: those that have ended need not be kept."""


class SimulatedClock:
    """Answers from the reference engine."""

    def __init__(self, lanes: tuple[Lane, ...], costs: CostModel) -> None:
        self._lanes, self._costs = lanes, costs
        self._engine = Engine(lanes, costs.capacities)
        self._forgotten = 0

    def issue(self, ops: Ops) -> None:
        """Feed the engine and let the host catch up."""
        self._engine.feed(ops, self._costs.of(ops, self._lanes))
        self._engine.advance()

    def now_s(self) -> float:
        """The engine's present moment."""
        return self._engine.now

    def ended(self, op: int) -> bool:
        """Whether that op has ended."""
        return self._engine.ended(op)

    def started(self, op: int) -> bool:
        """Whether that op started before now."""
        return self._engine.started(op)

    def withdrawn(self, op: int) -> bool:
        """Whether that op was cancelled in time."""
        if op < self._forgotten:
            raise ScheduleError(f"op {op} is of an earlier forward pass: ask sooner whether it was withdrawn")
        return self._engine.withdrawn(op)

    def forget(self, first: int) -> None:
        """Let the engine drop the oldest ops that have ended."""
        self._forgotten = max(self._forgotten, first)
        self._engine.take(before=first)
