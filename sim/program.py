"""Program: the verbs that a strategy writes a Schedule with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sim.clock import Clock
from sim.issuing import Issuer
from sim.model import MoEModel
from sim.precision import Precisions
from sim.schedule import NO_EXPERT, NO_SLOT, Kind, Lane, Phase, Reason
from sim.slots import Key, Slots

GPU, H2D, D2H, CPU, HOST_LANE, WORKER, STORAGE = "gpu0", "gpu0.h2d", "gpu0.d2h", "cpu", "host", "worker", "storage"


def default_lanes(*, copy_priority: bool = False) -> tuple[Lane, ...]:
    """The lanes of one GPU and its host; with `copy_priority`, uploads queue by priority number."""
    uploads = Lane(H2D, "priority" if copy_priority else "fifo")
    return (Lane(HOST_LANE), Lane(GPU), uploads, Lane(D2H), Lane(CPU), Lane(WORKER), Lane(STORAGE))


def activation_bytes(model: MoEModel, precisions: Precisions) -> int:
    """What is sent of one token: its hidden state."""
    return model.hidden * (4 if precisions.rest == "fp32" else 2)


class Program(Issuer):
    """Every verb issues one op, in program order, and returns its number, to be named in `after` by later ops.

    What the data flow demands is added by itself: compute follows the hidden state it reads, an expert on the GPU
    follows the load of its weights, a load follows the last reader of the slot it overwrites.
    """

    def __init__(
        self, model: MoEModel, precisions: Precisions, lanes: Sequence[Lane], *, n_slots: int = 0,
        start_slots: Sequence[Key] = (), clock: Clock | None = None,
    ) -> None:  # fmt: skip
        super().__init__(model, precisions, lanes, n_slots=n_slots, start_slots=start_slots, clock=clock)
        self.slots = Slots(n_slots, start_slots)
        self.expert_bytes = model.expert_bytes(precisions.experts)
        self.hidden: int | None = None  # the op that makes the present hidden state
        self.computed: dict[Key, int] = {}  # tokens that experts were run on, until the planner has looked
        self._held: list[int] = []

    def begin_step(self, phase: Phase, batch: int, *, sequences: int, tokens: int, context: int) -> None:
        """Start a forward pass over `tokens` tokens of `sequences` sequences that attend to `context` entries each."""
        super().begin_step(phase, batch, sequences=sequences, tokens=tokens, context=context)
        if phase == Phase.PREFILL:
            self.hidden = None

    def hold_back(self, *ops: int) -> None:
        """Let the next model op on the GPU wait for these ops as well."""
        self._held.extend(ops)

    # -- compute -------------------------------------------------------------------------------------------

    def attention(self, layer: int, after: Iterable[int] = ()) -> int:
        """Attention of a block over the hidden state, which it replaces."""
        self.hidden = self._compute(Kind.ATTENTION, layer, after, context=self._context)
        return self.hidden

    def gate(self, layer: int, after: Iterable[int] = ()) -> int:
        """The router of block `layer` on the present hidden state."""
        return self._compute(Kind.GATE, layer, after)

    def shared(self, layer: int, after: Iterable[int] = ()) -> int:
        """The block's shared expert, or its dense FFN, over all tokens."""
        return self._compute(Kind.EXPERT, layer, after)

    def expert(
        self, layer: int, expert: int, tokens: int, *, on: str = GPU, after: Iterable[int] = (),
        reason: Reason = Reason.HIT,
    ) -> int:  # fmt: skip
        """A routed expert over `tokens` tokens; on the GPU its weights must be in a slot, or on their way."""
        key, slot, deps = (layer, expert), NO_SLOT, list(after)
        self.computed[key] = self.computed.get(key, 0) + tokens
        if on == GPU:
            deps += self.slots.source(key)
            slot = self.slots.use(key, len(self._ops), self._lane[on])
        return self._issue(Kind.EXPERT, on, deps, reason, key, self._expert_code, slot=slot, tokens=tokens)

    def combine(self, layer: int, after: Iterable[int]) -> int:
        """Sum the experts' outputs into the hidden state."""
        self.hidden = self._compute(Kind.COMBINE, layer, after)
        return self.hidden

    def head(self, after: Iterable[int] = ()) -> int:
        """The language-model head over the last token of each sequence: the step's new tokens."""
        self.hidden = self._compute(Kind.HEAD, self.model.n_layers - 1, after, tokens=self.sequences)
        return self.hidden

    # -- weights -------------------------------------------------------------------------------------------

    def resident(self, layer: int, expert: int) -> bool:
        """Whether the weights are in a slot, or on their way to one."""
        return (layer, expert) in self.slots

    def load(
        self, layer: int, expert: int, *, after: Iterable[int] = (), reason: Reason = Reason.DEMAND, priority: int = 0,
        lane: str = H2D,
    ) -> int:  # fmt: skip
        """Copy an expert's weights into the slot that has been free longest."""
        key = (layer, expert)
        slot, waits = self.slots.take(key)
        op = self._move(Kind.LOAD, lane, [*after, *waits], reason, key, slot=slot, priority=priority)
        self.slots.fill(key, op, self._lane[lane])
        return op

    def load_block(self, layer: int, *, after: Iterable[int] = (), reason: Reason = Reason.STREAM) -> int:
        """Copy a block's non-expert weights into a buffer that the strategy keeps free for them."""
        size_bytes = self.model.layer_bytes(layer, self.precisions.rest)
        return self._issue(
            Kind.LOAD, H2D, list(after), reason, (layer, NO_EXPERT), self._rest_code, size_bytes=size_bytes
        )

    def unload(
        self, layer: int, expert: int, *, after: Iterable[int] = (), reason: Reason = Reason.SWAP, priority: int = 0,
        keep: bool = False,
    ) -> int:  # fmt: skip
        """Copy an expert's weights back to the host and give up its slot, or `keep` it until it is dropped."""
        key = (layer, expert)
        deps = [*after, *self.slots.source(key)]
        slot = self.slots.use(key, len(self._ops), self._lane[D2H])
        op = self._move(Kind.UNLOAD, D2H, deps, reason, key, slot=slot, priority=priority)
        if not keep:
            self.slots.give_up(key)
        return op

    def drop(self, layer: int, expert: int) -> None:
        """Give up an expert's slot without a copy; the host has the weights still."""
        self.slots.give_up((layer, expert))

    def reclaim(self, layer: int, expert: int) -> bool:
        """Take back an expert whose slot was given up and has not been promised to another since, if there is one."""
        return self.slots.reclaim((layer, expert))

    def read(self, layer: int, expert: int, *, after: Iterable[int] = (), reason: Reason = Reason.DEMAND) -> int:
        """Read an expert's weights from storage into host memory."""
        return self._move(Kind.READ, STORAGE, list(after), reason, (layer, expert))

    def send(
        self, lane: str, tokens: int, *, layer: int = -1, after: Iterable[int] = (), reason: Reason = Reason.OFFLOAD,
        priority: int = 0,
    ) -> int:  # fmt: skip
        """Copy `tokens` activations (hidden size × 2 bytes, 4 in fp32) over a copy lane."""
        size_bytes = tokens * activation_bytes(self.model, self.precisions)
        return self._issue(
            Kind.SEND, lane, list(after), reason, (layer, NO_EXPERT), self._rest_code,
            tokens=tokens, size_bytes=size_bytes, priority=priority,
        )  # fmt: skip

    # -- host ----------------------------------------------------------------------------------------------

    def software(
        self, seconds: float, *, lane: str = HOST_LANE, after: Iterable[int] = (), reason: Reason = Reason.BOOKKEEPING
    ) -> int:
        """Host-side work whose author states its duration."""
        return self._issue(Kind.SOFTWARE, lane, list(after), reason, stated_s=seconds)

    def wait(self, *ops: int) -> int:
        """Hold the host until these ops have ended."""
        return self._issue(Kind.WAIT, HOST_LANE, ops, Reason.MODEL)

    def cancel(self, op: int) -> int:
        """Withdraw an op that has not started when the host gets here; those after it need not wait for it."""
        self.slots.doubt(op)
        return self._issue(Kind.CANCEL, HOST_LANE, (op,), Reason.BOOKKEEPING)

    def withdraw(self, loads: Sequence[int]) -> list[int]:
        """Cancel loads whose weights nobody reads, and return those for which that was in time (asks the clock).

        Their slots are free again, first in the queue, and still hold what they held: see `reclaim`.
        """
        for load in loads:
            self.cancel(load)
        gone = [load for load in loads if self.withdrawn(load)]
        for load in loads:
            (self.slots.undo if load in gone else self.slots.confirm)(load)
        return gone

    # -- what the verbs share ------------------------------------------------------------------------------

    def _compute(
        self, kind: Kind, layer: int, after: Iterable[int], *, tokens: int | None = None, context: int = 0
    ) -> int:
        """The model's own work on the GPU, on the present hidden state if no op is named to follow."""
        deps = list(after)
        if not deps and self.hidden is not None:
            deps.append(self.hidden)
        if self._held:
            deps += self._held
            self._held = []
        return self._issue(
            kind, GPU, deps, Reason.MODEL, (layer, NO_EXPERT), self._rest_code,
            tokens=self._tokens if tokens is None else tokens, context=context,
        )  # fmt: skip

    def _move(
        self,
        kind: Kind,
        lane: str,
        deps: list[int],
        reason: Reason,
        key: Key,
        *,
        slot: int = NO_SLOT,
        priority: int = 0,
    ) -> int:
        """A transfer of one expert's weights."""
        return self._issue(
            kind, lane, deps, reason, key, self._expert_code, slot=slot, size_bytes=self.expert_bytes, priority=priority
        )
