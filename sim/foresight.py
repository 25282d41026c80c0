"""Foresight: the only window on routing that is not known yet, through the predictor of the run."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice

from sim.errors import InputError
from sim.predict import Predictor, Sight
from sim.prediction import PredictionAccount
from sim.trace import ExpertIds, RoutingTrace
from sim.workload import Step

_RECORD_REMEDY = "record them (`moesim trace record`), or state an accuracy: `predictor: {recall: …}`"


class Foresight:
    """Knows the present forward pass of a trace and the next `reach`, and tells of them what the predictor says.

    `account` compares what was said with the truth.
    """

    def __init__(self, trace: RoutingTrace, predictor: Predictor | None, *, reach: int = 1) -> None:
        self._trace, self._predictor, self._reach = trace, predictor, reach
        self._passes: deque[Step] = deque()
        self._routed = 0  # MoE blocks of this pass whose routers have run
        self.number = -1
        self.account = PredictionAccount(trace.n_layers)

    def walk(self, steps: Iterator[Step]) -> Iterator[Step]:
        """Yield the passes, having moved to each."""
        self._passes = deque(islice(steps, 1 + self._reach))
        while self._passes:
            self.number += 1
            self._routed = 0
            yield self._passes[0]
            self._passes.popleft()
            self._passes.extend(islice(steps, 1))

    def step(self, passes: int = 0) -> Step | None:
        """This pass or one of those to come, as the queue of requests tells it; None if there is none in reach."""
        return self._passes[passes] if passes < len(self._passes) else None

    def route(self, moe: int) -> ExpertIds:
        """The router of a MoE block has run: its expert ids [token, k], which a predictor may go by from now on."""
        self._routed = moe + 1
        return self.routing(moe)

    def routing(self, moe: int, passes: int = 0) -> ExpertIds:
        """The truth: expert ids [token, k] of a MoE block in this pass or one of those to come."""
        ids: ExpertIds = self._trace.ids[self._passes[passes].token_rows, moe]
        return ids

    def predicted(self, moe: int, *, ahead: int = 1, size: int | None = None, passes: int = 0) -> ExpertIds | None:
        """What the predictor says of a MoE block: ids [token or 1, m], best first.

        None without a predictor, or if there is no such block or pass.
        """
        if self._predictor is None or moe >= self._trace.n_layers or self.step(passes) is None:
            return None
        seen = self._seen(self._predictor.sight, moe, ahead, passes)
        said = self._predictor.predict(moe, self.number + passes, seen, ahead=ahead, size=size)
        self.account.add(moe, ahead, self.routing(moe, passes), said)
        return said

    def _seen(self, sight: Sight, moe: int, ahead: int, passes: int) -> ExpertIds | None:
        """What the predictor is shown: but for the truth, nothing beyond the blocks routed so far in this pass."""
        if sight is Sight.TRUTH:
            return self.routing(moe, passes)
        if sight is Sight.NOTHING:
            return None
        known = passes == 0 and 0 <= moe - ahead < self._routed
        if sight is Sight.EARLIER:
            return self.routing(moe - ahead) if known else None
        early = self._recorded(ahead, passes)
        return early[self._passes[0].token_rows, ahead - 1, moe] if known else None

    def _recorded(self, ahead: int, passes: int) -> ExpertIds:
        """The predictions of the trace, if it has those that are asked for."""
        early, reach = self._trace.predicted, self._trace.ahead
        if early is None:
            complaint = "the routing comes with no recorded predictions"
        elif passes:
            complaint = "the strategy asks of passes to come, predictions were recorded within a pass"
        elif ahead > reach:
            complaint = f"the strategy asks {ahead} layers ahead, predictions were recorded up to {reach}"
        else:
            return early
        raise InputError(complaint, field="predictor.kind", value="recorded", remedy=_RECORD_REMEDY)

    def observe(self, moe: int) -> None:
        """Let the predictor learn what has just been routed."""
        if self._predictor is not None:
            self._predictor.observe(moe, self.routing(moe))
