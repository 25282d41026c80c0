"""Strategy: the small class that decides where experts are and how one layer is run once its routing is known."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sim.cost import CostModel
from sim.foresight import Foresight
from sim.model import MoEModel
from sim.precision import Precisions
from sim.program import Program, default_lanes
from sim.schedule import Lane, Phase, Reason
from sim.slots import Key
from sim.trace import ExpertIds, RoutingTrace


@dataclass(frozen=True)
class LayerPass:
    """One MoE block of one forward pass whose routing has just become known.

    `tokens_of` maps each routed expert (ascending) to its number of tokens; `ids` and `weights` are [token, k].
    """

    layer: int  # block
    moe: int  # number among the MoE blocks
    step: int
    phase: Phase
    tokens: int
    tokens_of: dict[int, int]
    ids: ExpertIds
    weights: NDArray[np.float32] | None


@dataclass(frozen=True)
class World:
    """What a strategy may know before the first token.

    `popularity` [MoE block, expert] counts routed tokens of a calibration run, never of the run itself; `calibration`
    is that run, where there was one. `foresight` is the only window on routing that is not known yet: it asks the
    run's predictor. `costs` answers what one op would take, as an engine's own profile of its machine would.
    """

    model: MoEModel
    precisions: Precisions
    n_slots: int
    popularity: NDArray[np.int64]
    foresight: Foresight | None = None
    costs: CostModel | None = None
    calibration: RoutingTrace | None = None
    future: Sequence[Sequence[Key]] | None = None  # every MoE block of every step, for the oracle alone
    seed: int = 0

    def predict(self, moe: int, *, ahead: int = 1) -> list[int]:
        """Distinct experts that a MoE block of this step is predicted to need, those of most tokens first."""
        ids = self.predict_ids(moe, ahead=ahead)
        return [] if ids is None else distinct(ids)

    def predict_ids(self, moe: int, *, ahead: int = 1, size: int | None = None, passes: int = 0) -> ExpertIds | None:
        """Predicted ids [token or 1, m], best first, of a MoE block of this step, or of the next (`passes` 1).

        `ahead`: MoE blocks between the hidden state that the predictor sees and that block. None if nobody can tell.
        """
        if self.foresight is None:
            return None
        return self.foresight.predicted(moe, ahead=ahead, size=size, passes=passes)


class Strategy(ABC):
    """Base of all strategies. Subclasses say where experts start and what to do with one layer's experts."""

    name: ClassVar[str]
    extra_slots: int = 0  # placeholders and staging buffers beyond the cached experts
    block_buffers: int = 0  # 0: all non-expert weights stay on the GPU; n: they stream through n blocks' buffers
    needs_future: ClassVar[bool] = False
    needs_predictor: bool = False
    lookahead: int = 1  # forward passes after the present one of which it may ask the predictor
    asks_clock: bool = False  # may ask the clock, perhaps not soon: a streamed run lets it follow from the start
    lossy: ClassVar[bool] = False  # runs other experts than the router's: the run reports its fidelity
    bracket: ClassVar[bool] = False  # may be larger than the machine: shown as what is out of reach
    equal_shares: ClassVar[bool] = False  # as many slots for every MoE block; `auto` and shares are rounded down
    embedding_on_host: ClassVar[bool] = False  # the input embedding is looked up there
    smaller_on_gpu: str = ""  # what makes it take less memory there, if that is not its `cache`
    smaller_on_host: str = ""
    routing_on_host: bool = True  # the host must see the router's result before it can go on

    def slots(self, model: MoEModel) -> int | None:
        """Expert slots that it cannot do with more or fewer of; None: as many as the scenario gives it."""
        return None

    def host_experts(self, model: MoEModel) -> int:
        """Routed experts that host memory holds; by default a copy of all, whatever is on the GPU."""
        return model.n_slots_total

    def lanes(self) -> tuple[Lane, ...]:
        """The lanes that this strategy's schedules use."""
        return default_lanes()

    def start(self, world: World) -> Sequence[Key]:
        """Remember the world; return the (block, expert) that are on the GPU from the start."""
        self.world = world
        return ()

    def begin_sequences(self, p: Program) -> None:  # noqa: B027  (a hook that most strategies leave empty)
        """Called before the prefill of each batch of sequences."""

    def end_sequences(self, p: Program) -> None:  # noqa: B027
        """Called after the last token of each batch of sequences."""

    def before_layer(self, p: Program, layer: int, moe: int) -> None:  # noqa: B027
        """Called before the attention of each block; `moe` is -1 for a block without experts."""

    @abstractmethod
    def experts(self, p: Program, now: LayerPass, ready: int) -> list[int]:
        """Run the routed experts of a layer; `ready` is the op after which they may read the hidden state.

        Returns the ops whose results the combination needs.
        """

    def moe_layer(self, p: Program, now: LayerPass) -> ExpertIds | None:
        """Gate, routed and shared experts, combination; systems that route otherwise replace this.

        Returns the ids [token, m] of the experts that ran, None if they are those that the router chose.
        """
        gate = p.gate(now.layer)
        if self.routing_on_host:
            p.wait(gate)
        done = self.experts(p, now, gate)
        if self.world.model.shared_hidden:
            done.append(p.shared(now.layer, after=[gate]))
        p.combine(now.layer, after=done)
        return None


def resident_expert(p: Program, now: LayerPass, expert: int, ready: int, reason: Reason = Reason.HIT) -> int:
    """Run one expert on the GPU on all its tokens."""
    return p.expert(now.layer, expert, now.tokens_of[expert], after=[ready], reason=reason)


def distinct(ids: ExpertIds) -> list[int]:
    """The experts named in ids [token, m], those of most tokens first; of equals, the one that is named first."""
    named = ids[ids != np.iinfo(ids.dtype).max]
    experts, first, count = np.unique(named, return_index=True, return_counts=True)
    ordered: list[int] = experts[np.lexsort((first, -count))].tolist()
    return ordered
