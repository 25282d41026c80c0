"""Hash tables: what a predictor says of whole forward passes to come, and the thread that builds them, as in SiDA."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import count, islice, takewhile

import numpy as np

from sim.program import WORKER, Program
from sim.strategy import World
from sim.trace import ExpertIds
from sim.workload import Step


@dataclass(frozen=True)
class HashTable:
    """The experts of one forward pass, ids [token, m] of every MoE block, known once the op `built` has ended.

    The highest value of the dtype is no expert; blocks that the pass does not run through have none.
    """

    ids: tuple[ExpertIds, ...]
    built: int

    @cached_property
    def experts(self) -> tuple[list[int], ...]:
        """The distinct experts of every MoE block, ascending."""
        return tuple(np.unique(ids[ids != np.iinfo(ids.dtype).max]).tolist() for ids in self.ids)


class HashThread:
    """A worker thread that reads the tokens of queued requests and names, for each and every MoE block, `top` experts.

    Its network steps through a sequence token by token, all sequences of its batch at once: some tables take
    `us_a_token` for each token of the longest sequence among them.
    """

    def __init__(self, world: World, *, top: int, us_a_token: float) -> None:
        assert world.foresight is not None  # the planner sees to it for strategies that need a predictor
        self._world, self._foresight = world, world.foresight
        self._top, self._us_a_token = top, us_a_token

    def build(self, p: Program, first: int, most: int, *, after: Iterable[int] = ()) -> list[HashTable]:
        """Issue, as one op, the building of the tables of passes `first` (0: the present one) and following.

        Of `most` prompts in a row; a decoded token is known only when its turn has come, so that its pass is alone.
        """
        decodes = first == 0 and not self._is_prompt(self._foresight.step())
        coming = [self._foresight.step()] if decodes else list(islice(self._prompts(first), most))
        passes = [step for step in coming if step is not None]
        if not passes:
            return []
        longest = max(int(step.context.max()) if self._is_prompt(step) else 1 for step in passes)
        built = p.software(longest * self._us_a_token * 1e-6, lane=WORKER, after=after)
        return [HashTable(self._named(first + i, step), built) for i, step in enumerate(passes)]

    def _prompts(self, first: int) -> Iterator[Step | None]:
        return takewhile(self._is_prompt, map(self._foresight.step, count(first)))

    @staticmethod
    def _is_prompt(step: Step | None) -> bool:
        return step is not None and step.phase == "prefill"

    def _named(self, number: int, step: Step) -> tuple[ExpertIds, ...]:
        model, rows = self._world.model, len(step.token_rows)
        named = []
        for moe, layer in enumerate(model.moe_layers):
            ids = self._world.predict_ids(moe, size=self._top, passes=number)
            assert ids is not None
            runs = step.phase == "prefill" or layer in model.decode_layers
            named.append(np.broadcast_to(ids, (rows, ids.shape[1])) if runs else ids[:0])
        return tuple(named)
