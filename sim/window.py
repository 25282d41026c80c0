"""Windows: a schedule piece by piece, so that one of any length is written, timed and summed up in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

from sim.schedule import Ops, Step
from sim.timeline import Times


@dataclass(frozen=True)
class Window:
    """Consecutive ops, whose dependencies count from the first op of all, and the steps that begin among them."""

    ops: Ops
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class TimedWindow(Window):
    """The same with the times of its ops."""

    times: Times
