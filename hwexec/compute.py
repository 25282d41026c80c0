"""From one compute op of a model to its kernel: which slices of which weights it reads."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from hwexec.attention import Span, gqa
from hwexec.backend import Task
from hwexec.kernels import combine, expert, gate, head
from hwexec.mla import mla
from hwexec.workspace import Workspace
from sim.errors import InputError
from sim.kernel_cost import OpSize
from sim.model import MoEModel
from sim.schedule import Kind
from sim.shapes import kernel_shape


@dataclass(frozen=True)
class Weights:
    """Flat tensors that an op may read: a routed expert, its block's other weights and KV cache, the head's."""

    expert: torch.Tensor | None = None
    block: torch.Tensor | None = None
    head: torch.Tensor | None = None
    cache: torch.Tensor | None = None


def check_model(model: MoEModel) -> None:
    """Raise InputError if the model has parts without a kernel."""
    if model.encoder_layers:
        raise InputError(
            "encoder-decoder models can be simulated but not executed",
            field="model",
            value=model.name,
            remedy="execute a decoder-only model",
        )


def span_of(model: MoEModel, size: OpSize) -> Span:
    """What an attention op covers; decoding in a block with a sliding window reads the window only."""
    span = Span.of(size.tokens, size.sequences, size.context)
    if span.new > 1:
        return span
    return Span(span.sequences, 1, max(1, round(model.kv_tokens(size.layer, span.context))))


def head_values(model: MoEModel) -> int:
    """Values in the head's flat tensor: the matrix and the final norm."""
    return model.vocab * model.hidden + model.hidden


def compute_task(model: MoEModel, kind: Kind, size: OpSize, weights: Weights, space: Workspace) -> Task:
    """The kernel of one compute op, ready to be called."""
    shape = kernel_shape(model, kind.name.lower(), size.layer, size.expert)
    if kind == Kind.EXPERT and size.expert >= 0:
        return expert(_given(weights.expert), shape, size.tokens, space)
    if kind == Kind.HEAD:
        matrix, norm = torch.split(_given(weights.head), [model.vocab * model.hidden, model.hidden])
        return head(matrix, norm, shape, size.tokens, space)
    if kind == Kind.COMBINE:
        return combine(model.hidden, model.top_k + (model.shared_hidden > 0), size.tokens, space)
    parts = _split_block(model, size.layer, _given(weights.block))
    if kind == Kind.EXPERT:
        return expert(parts.ffn, shape, size.tokens, space)
    if kind == Kind.GATE:
        return gate(parts.router, parts.norm, shape, model.top_k, size.tokens, space)
    attend = mla if model.attention.kind == "mla" else gqa
    return attend(parts.attention, parts.norm, _given(weights.cache), shape, span_of(model, size), space)


@dataclass(frozen=True)
class _Parts:
    attention: torch.Tensor
    router: torch.Tensor
    ffn: torch.Tensor
    norm: torch.Tensor


def _split_block(model: MoEModel, layer: int, flat: torch.Tensor) -> _Parts:
    moe = model.moe_index(layer) >= 0
    sizes = [
        model.attention_params(layer),
        model.router_params if moe else 0,
        model.shared_params if moe else model.dense_params,
        model.block_norm_params(layer),
    ]
    attention, router, ffn, norms = torch.split(flat[: sum(sizes)], sizes)
    return _Parts(attention, router, ffn, norms[: model.hidden])


def _given(tensor: torch.Tensor | None) -> torch.Tensor:
    if tensor is None:
        raise TypeError("the op's weights were not given")
    return tensor
