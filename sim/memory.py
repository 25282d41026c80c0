"""Memory: what a run keeps on the GPU and on the host, and whether that fits."""

from __future__ import annotations

from dataclasses import dataclass

from sim.errors import DoesNotFit
from sim.machine import Machine
from sim.model import MoEModel
from sim.precision import PRECISIONS, Precisions, weight_bytes

GPU_MEMORY, HOST_MEMORY = "gpu0", "host"


@dataclass(frozen=True)
class Footprint:
    """Bytes by purpose in one memory."""

    memory: str
    items: dict[str, int]

    @property
    def total_bytes(self) -> int:
        """The sum."""
        return sum(self.items.values())

    def check(self, machine: Machine, who: str, *, smaller: str = "") -> None:
        """Raise DoesNotFit, showing the sum, if the machine's usable memory is smaller.

        `smaller` is what to do for it to take less here, if there is anything.
        """
        if self.total_bytes > (usable := machine.memory[self.memory].usable_bytes):
            shorter = " or a shorter context" if "KV cache" in self.items else ""
            other = f"use a lower precision{shorter}, or choose a larger machine"
            parts = " + ".join(f"{name} {_gb(size)}" for name, size in self.items.items() if size)
            raise DoesNotFit(
                f"{who} does not fit {machine.name}: {parts} = {_gb(self.total_bytes)} GB > {_gb(usable)} GB usable",
                field=f"memory.{self.memory}",
                remedy=f"{smaller}, {other}" if smaller else other,
            )


def gpu_footprint(
    model: MoEModel, precisions: Precisions, *, expert_slots: int, block_buffers: int = 0,
    embedding_on_host: bool = False, sequences: int, context: int, step_tokens: int,
) -> Footprint:  # fmt: skip
    """What one GPU holds at the worst moment of a run.

    `context`: longest prompt plus output of a sequence; `step_tokens`: most tokens of one forward pass, which sets the
    activations (residual, normed input, query/key/value, one expert's intermediate, top-k outputs) and logits in fp32.
    With `block_buffers` the blocks' non-expert weights stream and only embeddings, head and that many blocks stay.
    An embedding that the host looks up is not here, unless the head multiplies with it.
    """
    resident = model.resident_bytes(precisions.rest)
    if embedding_on_host and not model.tied_embeddings:
        resident -= weight_bytes(model.embedding_params, precisions.rest)
    if block_buffers:
        blocks = [model.layer_bytes(layer, precisions.rest) for layer in range(model.n_layers)]
        resident = resident - sum(blocks) + block_buffers * max(blocks)
    return Footprint(
        GPU_MEMORY,
        {
            "non-expert weights": resident,
            "expert slots": expert_slots * model.expert_bytes(precisions.experts),
            "KV cache": round(sequences * model.kv_bytes(context, precisions.kv)),
            "activations": activation_bytes(model, precisions, sequences, step_tokens),
        },
    )


def host_footprint(
    model: MoEModel, precisions: Precisions, *, experts: int, streamed_blocks: bool = False
) -> Footprint:
    """What the host holds: so many routed experts and, where whole blocks stream, their other weights."""
    items = {"experts": experts * model.expert_bytes(precisions.experts)}
    if streamed_blocks:
        items["blocks"] = sum(model.layer_bytes(layer, precisions.rest) for layer in range(model.n_layers))
    return Footprint(HOST_MEMORY, items)


def activation_bytes(model: MoEModel, precisions: Precisions, sequences: int, step_tokens: int) -> int:
    """Working memory of the widest moment of a forward pass."""
    element_bytes = 2 if PRECISIONS[precisions.rest].bits <= 16 else 4
    a = model.attention
    heads = a.heads * max(a.head_dim, a.nope_head_dim + a.rope_head_dim)
    widest = max(model.expert_hidden * (model.matrices - 1), model.dense_hidden * (model.matrices - 1), 3 * heads)
    per_token = (3 + model.top_k) * model.hidden + widest
    return step_tokens * per_token * element_bytes + sequences * model.vocab * 4


def fitting_slots(
    model: MoEModel, precisions: Precisions, machine: Machine, *, extra_slots: int, block_buffers: int = 0,
    embedding_on_host: bool = False, sequences: int, context: int, step_tokens: int,
) -> int:  # fmt: skip
    """How many experts can be cached on the GPU beside all else (0 if not even that fits)."""
    rest = gpu_footprint(
        model, precisions, expert_slots=extra_slots, block_buffers=block_buffers,
        embedding_on_host=embedding_on_host, sequences=sequences, context=context, step_tokens=step_tokens,
    )  # fmt: skip
    free = machine.memory[GPU_MEMORY].usable_bytes - rest.total_bytes
    return max(0, min(model.n_slots_total, free // model.expert_bytes(precisions.experts)))


def _gb(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.3g}"
