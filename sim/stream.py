"""Streaming: a run that is timed and summed up while it is planned, in memory that does not grow with its tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from sim.cost import CostModel, Costs
from sim.engine import simulate_windows
from sim.metrics import Summary
from sim.recorder import join
from sim.schedule import Lane, Ops, Step
from sim.summary_account import SummaryAccount
from sim.window import TimedWindow, Window
from sim.windowed_plan import WindowedPlan


def stream(planned: WindowedPlan, costs: CostModel, progress: Callable[[int], None] = lambda tokens: None) -> Summary:
    """Plan, simulate and sum up a run, as `retime` and `summarise` would; no op is kept once it has ended.

    `progress` is told how many tokens have been run so far.
    """
    lanes = planned.program.lanes
    account, tokens = SummaryAccount(lanes), 0
    for window in time_windows(planned, lanes, costs):
        account.add(window)
        tokens += sum(step.tokens for step in window.steps)
        progress(tokens)
    return account.summary(planned.meta)


def time_windows(windows: Iterable[Window], lanes: tuple[Lane, ...], costs: CostModel) -> Iterator[TimedWindow]:
    """The same ops, cut anew: those of each piece have all ended."""
    held = _Held()

    def priced() -> Iterator[tuple[Ops, Costs]]:
        for window in windows:
            held.add(window)
            yield window.ops, costs.of(window.ops, lanes)

    for times in simulate_windows(priced(), lanes, costs.capacities):
        ops, steps = held.take(len(times))
        yield TimedWindow(ops, steps, times)


class _Held:
    """Ops that have no times yet, and the steps that begin among them."""

    def __init__(self) -> None:
        self._blocks: list[Ops] = []
        self._steps: list[Step] = []
        self._taken = 0

    def add(self, window: Window) -> None:
        self._blocks.append(window.ops)
        self._steps += window.steps

    def take(self, n_ops: int) -> tuple[Ops, tuple[Step, ...]]:
        """The first ops, and their steps."""
        all_ops = join(self._blocks)
        self._blocks = [all_ops[n_ops:]]
        self._taken += n_ops
        begun = tuple(step for step in self._steps if step.first_op < self._taken)
        self._steps = self._steps[len(begun) :]
        return all_ops[:n_ops], begun
