"""The exact shape of a kernel: what a measured table is looked up by, and what a runner builds weights from."""

from __future__ import annotations

from sim.model import MoEModel
from sim.precision import Precisions

Shape = tuple[int, ...]


def kernel_shape(model: MoEModel, kind: str, layer: int, expert: int) -> Shape:
    """Shape of the kernel that an op of `kind` runs on block `layer`.

    expert: (hidden, intermediate, matrices), the intermediate being the shared expert's or dense FFN's for
    `expert` -1; attention: (hidden, heads, kv heads, head size) or, for MLA, (hidden, heads, query rank, latent
    rank, nope, rope, value sizes); gate: (hidden, experts); combine: (hidden, top-k); head: (hidden, vocabulary).
    """
    if kind == "expert":
        return (model.hidden, intermediate(model, layer, expert), model.matrices)
    if kind == "gate":
        return (model.hidden, model.n_experts)
    if kind == "combine":
        return (model.hidden, model.top_k)
    if kind == "head":
        return (model.hidden, model.vocab)
    a = model.attention
    if a.kind == "mla":
        sizes = (a.q_lora_rank, a.kv_lora_rank, a.nope_head_dim, a.rope_head_dim, a.v_head_dim)
        return (model.hidden, a.heads, *sizes)
    return (model.hidden, a.heads, a.kv_heads, a.head_dim)


def intermediate(model: MoEModel, layer: int, expert: int) -> int:
    """Intermediate size of a routed expert, or of the block's shared expert or dense FFN (`expert` -1)."""
    if expert >= 0:
        return model.expert_hidden
    return model.shared_hidden if model.moe_index(layer) >= 0 else model.dense_hidden


def kernel_precision(precisions: Precisions, kind: str, expert: int) -> str:
    """Precision of the weights that a kernel reads."""
    return precisions.experts if kind == "expert" and expert >= 0 else precisions.rest
