"""Foresight: the only window on routing that is not known yet, through the predictor of the run."""

from __future__ import annotations

from collections.abc import Iterator

from sim.predict import Predictor
from sim.trace import ExpertIds, RoutingTrace
from sim.workload import Step


class Foresight:
    """Knows the present and the next forward pass of a trace, and tells of both what the predictor says."""

    def __init__(self, trace: RoutingTrace, predictor: Predictor | None) -> None:
        self._trace, self._predictor = trace, predictor
        self._passes: tuple[Step | None, ...] = ()
        self.number = -1

    def walk(self, steps: Iterator[Step]) -> Iterator[Step]:
        """Yield the passes, having moved to each."""
        coming = next(steps, None)
        while coming is not None:
            present, coming = coming, next(steps, None)
            self._passes = (present, coming)
            self.number += 1
            yield present

    def routing(self, moe: int, passes: int = 0) -> ExpertIds:
        """The truth: expert ids [token, k] of a MoE block in this pass or one of those to come."""
        step = self._passes[passes]
        assert step is not None
        ids: ExpertIds = self._trace.ids[step.token_rows, moe]
        return ids

    def predicted(self, moe: int, *, ahead: int = 1, size: int | None = None, passes: int = 0) -> ExpertIds | None:
        """What the predictor says of a MoE block: ids [token or 1, m], best first.

        None without a predictor, or if there is no such block or pass.
        """
        if self._predictor is None or moe >= self._trace.n_layers or self._passes[passes] is None:
            return None
        truth = self.routing(moe, passes) if self._predictor.needs_truth else None
        return self._predictor.predict(moe, self.number + passes, truth, ahead=ahead, size=size)

    def observe(self, moe: int) -> None:
        """Let the predictor learn what has just been routed."""
        if self._predictor is not None:
            self._predictor.observe(moe, self.routing(moe))
