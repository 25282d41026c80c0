"""What one op reads and computes: the bytes and FLOP behind its seconds."""

from __future__ import annotations

from typing import NamedTuple

from sim.errors import ScheduleError
from sim.model import MoEModel
from sim.precision import PRECISIONS, Precisions, weight_bytes


class Work(NamedTuple):
    """Bytes one op moves to and from its device's memory, and its floating-point operations."""

    read_bytes: float
    flop: float


def work(
    model: MoEModel,
    kind: str,
    layer: int,
    *,
    expert: int = -1,
    tokens: int,
    context: float = 0,
    sequences: int = 1,
    precisions: Precisions,
) -> Work:
    """Return the work of one compute op on `tokens` tokens of `sequences` equally long sequences.

    `context` is the number of entries each sequence attends to when the op ends (a 256-token prompt: tokens 256,
    context 256; a decode step: tokens = sequences, context = mean cache length, rounded or not). Let a be the
    bytes of an activation (2, or 4 if `precisions.rest` is wider than 16 bit) and q = tokens / sequences; q > 1
    is prefill. A multiply-add is 2 FLOP; softmax, norms and activation functions are not counted; the biases of
    experts and routers count as matrix entries.

    attention: bytes = weights and norms + cache entries read + 2·tokens·hidden·a;
        FLOP = 2·matrices·tokens + sequences·pairs·(FLOP of a pair). Pairs = q·context in an encoder block, else
        Σ min(window, context − q + i) for i = 1 … q, which is q·context − q(q − 1)/2 without a window.
        Decode of mla works on the latents (absorbed); prefill expands all context·sequences of them.
        Cross-attention: in decode, `context` counts the encoder's entries too, whose keys and values are
        cached; prefill projects them and adds q·context pairs, the prompt being in both stacks.
    gate: bytes = router + tokens·(hidden + experts)·a; FLOP = 2·router·tokens.
    expert: bytes = its weights + 2·tokens·hidden·a; FLOP = 2·params·tokens. Expert −1 is the block's shared
        expert or dense FFN, stored as `precisions.rest`.
    combine: reads the top-k (and shared) outputs and the residual and writes one:
        bytes = tokens·hidden·(outputs + 2)·a; FLOP = 2·outputs·tokens·hidden.
    head: bytes = LM head and final norm + tokens·(hidden + vocab)·a; FLOP = 2·head·tokens. Its tokens are those
        that need logits: one a sequence.

    ScheduleError if the op cannot exist: unknown kind, no such expert, fewer context entries than tokens.
    """
    if tokens < 1 or sequences < 1:
        raise ScheduleError(f"{kind} of layer {layer}: needs tokens and sequences, got {tokens} and {sequences}")
    if kind == "expert":
        return _expert(model, layer, expert, tokens, precisions)
    if kind == "attention":
        return _attention(model, layer, tokens, context, sequences, precisions)
    if kind == "gate":
        return _gate(model, layer, tokens, precisions)
    if kind == "combine":
        return _combine(model, layer, tokens, precisions)
    if kind == "head":
        return _head(model, tokens, precisions)
    raise ScheduleError(f"an op of kind {kind!r} has no work; attention, gate, expert, combine and head have")


def _expert(model: MoEModel, layer: int, expert: int, tokens: int, precisions: Precisions) -> Work:
    moe = model.moe_index(layer) >= 0
    if expert >= 0:
        params, stored = model.expert_params, precisions.experts
        exists = moe and expert < model.n_experts
    else:
        params, stored = model.shared_params if moe else model.dense_params, precisions.rest
        exists = params > 0
    if not exists:
        raise ScheduleError(f"{model.name}: layer {layer} has no expert {expert}")
    activations = 2 * tokens * model.hidden * _activation_bytes(precisions)
    return Work(weight_bytes(params, stored) + activations, 2 * params * tokens)


def _attention(
    model: MoEModel, layer: int, tokens: int, context: float, sequences: int, precisions: Precisions
) -> Work:
    new = tokens / sequences
    if new < 1 or context <= new - 1:
        raise ScheduleError(
            f"attention of layer {layer}: {tokens} tokens of {sequences} sequences exceed their context {context}"
        )
    context = max(context, new)  # a rounded mean may fall short of the mean
    shape, prefill, crossed = model.attention, new > 1, model.has_cross_attention(layer)
    windowed = model.sliding_window > 0 and layer in model.sliding_layers
    window = model.sliding_window if windowed else context
    entries = min(context, window + new - 1)
    pairs = new * context if layer < model.encoder_layers else _causal_pairs(new, context, window)

    params = model.attention_params(layer) + model.block_norm_params(layer)
    macs: float = shape.matrix_params(model.hidden) * (1 + crossed) * tokens
    if prefill:
        macs += shape.kv_up_params * (context * sequences - tokens)
        entries, pairs = entries + crossed * context, pairs + crossed * new * context
    elif crossed:
        cached = shape.kv_projection_params(model.hidden)
        params, macs = params - cached, macs - cached * tokens

    cache = sequences * entries * model.kv_values(layer) * PRECISIONS[precisions.kv].bits / 8
    activations = 2 * tokens * model.hidden * _activation_bytes(precisions)
    flop = 2 * macs + sequences * pairs * shape.pair_flop(absorbed=not prefill)
    return Work(weight_bytes(params, precisions.rest) + cache + activations, flop)


def _causal_pairs(new: float, context: float, window: float) -> float:
    """Return Σ min(window, n) over the last `new` values of n up to `context`."""
    earlier = context - new
    growing = min(max(window - earlier, 0), new)
    return growing * earlier + growing * (growing + 1) / 2 + (new - growing) * window


def _gate(model: MoEModel, layer: int, tokens: int, precisions: Precisions) -> Work:
    if model.moe_index(layer) < 0:
        raise ScheduleError(f"{model.name}: layer {layer} has no router")
    params = model.router_params
    activations = tokens * (model.hidden + model.n_experts) * _activation_bytes(precisions)
    return Work(weight_bytes(params, precisions.rest) + activations, 2 * params * tokens)


def _combine(model: MoEModel, layer: int, tokens: int, precisions: Precisions) -> Work:
    outputs = model.top_k + (model.shared_hidden > 0) if model.moe_index(layer) >= 0 else 1
    values = tokens * model.hidden
    return Work(values * (outputs + 2) * _activation_bytes(precisions), 2 * outputs * values)


def _head(model: MoEModel, tokens: int, precisions: Precisions) -> Work:
    activations = tokens * (model.hidden + model.vocab) * _activation_bytes(precisions)
    weights = weight_bytes(model.head_params + model.one_norm_params, precisions.rest)
    return Work(weights + activations, 2 * model.head_params * tokens)


def _activation_bytes(precisions: Precisions) -> int:
    return 2 if PRECISIONS[precisions.rest].bits <= 16 else 4
