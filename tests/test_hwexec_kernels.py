"""Every kernel against the same formula, written plainly in float64."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")

import torch

from hwexec import kernels
from hwexec.attention import Span, gqa
from hwexec.mla import mla
from hwexec.workspace import Workspace, dtype_of, random_tensor
from sim.errors import InputError

Array = NDArray[np.float64]
CPU = torch.device("cpu")
CLOSE = {"rtol": 2e-4, "atol": 2e-5}


def f64(tensor: torch.Tensor) -> Array:
    return np.asarray(tensor.double().numpy())


def space() -> Workspace:
    return Workspace(torch.float32, CPU)


def weights(n: int, scale: float = 1.0, seed: int = 1) -> torch.Tensor:
    return random_tensor(n, torch.float32, CPU, seed) * (scale / 0.02)


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def rms_norm(x: Array, scale: Array) -> Array:
    return np.asarray(x / np.sqrt((x**2).mean(-1, keepdims=True) + np.finfo(np.float32).eps) * scale)


def attend(q: Array, k: Array, v: Array, scale: float) -> Array:
    """[heads, new, d] against [heads, context, d]: a new token sees what is before it, and itself."""
    scores = q @ k.transpose(0, 2, 1) * scale
    new, context = scores.shape[1:]
    seen = np.arange(context)[None] <= np.arange(context - new, context)[:, None]
    return np.asarray(softmax(np.where(seen, scores, -np.inf)) @ v)


@pytest.mark.parametrize("tokens", [1, 2, 7])
@pytest.mark.parametrize("matrices", [2, 3])
def test_expert_is_a_swiglu_or_relu_ffn(matrices: int, tokens: int) -> None:
    hidden, inner = 12, 20
    flat, s = weights(matrices * hidden * inner, 0.5), space()
    kernels.expert(flat, (hidden, inner, matrices), tokens, s)()
    x, w = f64(s.take("x", tokens, hidden)), f64(flat)
    up = w[: (matrices - 1) * inner * hidden].reshape(-1, hidden)
    raised = x @ up.T
    if matrices == 3:
        gated, linear = raised[:, :inner], raised[:, inner:]
        raised = gated / (1 + np.exp(-gated)) * linear
    else:
        raised = np.maximum(raised, 0)
    expected = raised @ w[(matrices - 1) * inner * hidden :].reshape(hidden, inner).T
    np.testing.assert_allclose(f64(s.take("out", tokens, hidden)), expected, **CLOSE)


def test_gate_picks_the_likeliest_experts_of_the_normed_input() -> None:
    hidden, experts, k, tokens = 16, 6, 2, 5
    router, norm, s = weights(hidden * experts), weights(hidden, seed=2), space()
    kernels.gate(router, norm, (hidden, experts), k, tokens, s)()
    x = rms_norm(f64(s.take("x", tokens, hidden)), f64(norm))
    chances = softmax(x @ f64(router).reshape(experts, hidden).T)
    ids = np.argsort(-chances, axis=1)[:, :k]
    assert (s.take("ids", tokens, k, dtype=torch.int64).numpy() == ids).all()
    np.testing.assert_allclose(f64(s.take("weights", tokens, k)), np.take_along_axis(chances, ids, 1), **CLOSE)


def test_combine_adds_scaled_outputs_to_the_residual() -> None:
    hidden, outputs, tokens, s = 8, 3, 4, space()
    kernels.combine(hidden, outputs, tokens, s)()
    results, scales = f64(s.take("results", outputs, tokens, hidden)), f64(s.take("scales", outputs, tokens, 1))
    expected = f64(s.take("residual", tokens, hidden)) + (results * scales).sum(axis=0)
    np.testing.assert_allclose(f64(s.take("out", tokens, hidden)), expected, **CLOSE)


def test_head_chooses_the_likeliest_token() -> None:
    hidden, vocab, tokens, s = 16, 50, 3, space()
    matrix, norm = weights(hidden * vocab), weights(hidden, seed=3)
    kernels.head(matrix, norm, (hidden, vocab), tokens, s)()
    x = rms_norm(f64(s.take("x", tokens, hidden)), f64(norm))
    logits = x @ f64(matrix).reshape(vocab, hidden).T
    np.testing.assert_allclose(f64(s.take("logits", tokens, vocab)), logits, **CLOSE)
    assert (s.take("chosen", tokens, dtype=torch.int64).numpy() == logits.argmax(1)).all()


@pytest.mark.parametrize("span", [Span(3, 1, 9), Span(1, 1, 1), Span(2, 6, 6), Span(2, 3, 7)], ids=str)
@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 2), (4, 4), (4, 1)])
def test_grouped_query_attention(span: Span, heads: int, kv_heads: int) -> None:
    hidden, size = 16, 8
    flat = weights((2 * heads + 2 * kv_heads) * size * hidden, 0.3)
    norm, cache = weights(hidden, seed=2), weights(2 * span.entries * kv_heads * size, seed=3)
    before, s = f64(cache).copy(), space()
    gqa(flat, norm, cache, (hidden, heads, kv_heads, size), span, s)()
    x, w = f64(s.take("x", span.tokens, hidden)), f64(flat)
    wide = (heads + 2 * kv_heads) * size
    qkv = rms_norm(x, f64(norm)) @ w[: wide * hidden].reshape(wide, hidden).T
    qkv = qkv.reshape(span.sequences, span.new, -1, size).transpose(0, 2, 1, 3)
    keys, values = before.reshape(2, span.sequences, kv_heads, span.context, size)
    keys[:, :, span.context - span.new :] = qkv[:, heads : heads + kv_heads]
    values[:, :, span.context - span.new :] = qkv[:, heads + kv_heads :]
    group = heads // kv_heads
    mixed = np.stack([
        attend(qkv[b, :heads], keys[b].repeat(group, 0), values[b].repeat(group, 0), size**-0.5)
        for b in range(span.sequences)
    ])  # fmt: skip
    rows = mixed.transpose(0, 2, 1, 3).reshape(span.tokens, heads * size)
    expected = x + rows @ w[wide * hidden :].reshape(hidden, heads * size).T
    np.testing.assert_allclose(f64(s.take("out", span.tokens, hidden)), expected, **CLOSE)
    np.testing.assert_allclose(f64(cache).reshape(2, *keys.shape)[0], keys, **CLOSE)


@pytest.mark.parametrize("span", [Span(3, 1, 9), Span(1, 1, 1), Span(2, 6, 6), Span(2, 3, 7)], ids=str)
@pytest.mark.parametrize("rank", [0, 10])
def test_latent_attention_is_the_same_absorbed_and_expanded(span: Span, rank: int) -> None:
    hidden, heads, latent, nope, rope, value = 16, 3, 12, 8, 4, 6
    shape = (hidden, heads, rank, latent, nope, rope, value)
    q_in, q_out = rank or hidden, heads * (nope + rope)
    sizes = (hidden * rank, q_in * q_out, hidden * (latent + rope), heads * nope * latent, heads * value * latent,
             heads * value * hidden)  # fmt: skip
    flat, norm = weights(sum(sizes), 0.3), weights(hidden, seed=2)
    cache = weights(span.entries * (latent + rope), seed=3)
    entries, s = f64(cache).reshape(span.sequences, span.context, -1).copy(), space()
    mla(flat, norm, cache, shape, span, s)()
    x = f64(s.take("x", span.tokens, hidden))
    q_down, q_up, kv_down, key_up, value_up, output = np.split(f64(flat), np.cumsum(sizes)[:-1])
    normed = rms_norm(x, f64(norm))
    inner = normed @ q_down.reshape(rank, hidden).T if rank else normed
    q = (inner @ q_up.reshape(q_out, q_in).T).reshape(span.sequences, span.new, heads, nope + rope)
    entries[:, span.context - span.new :] = (normed @ kv_down.reshape(-1, hidden).T).reshape(
        span.sequences, span.new, -1
    )
    latents, rope_key = entries[..., :latent], entries[..., latent:]
    keys = np.einsum("bcl,hnl->bhcn", latents, key_up.reshape(heads, nope, latent))
    keys = np.concatenate([keys, np.broadcast_to(rope_key[:, None], (*keys.shape[:3], rope))], axis=-1)
    values = np.einsum("bcl,hvl->bhcv", latents, value_up.reshape(heads, value, latent))
    mixed = np.stack([
        attend(q[b].transpose(1, 0, 2), keys[b], values[b], (nope + rope) ** -0.5) for b in range(span.sequences)
    ])  # fmt: skip
    rows = mixed.transpose(0, 2, 1, 3).reshape(span.tokens, heads * value)
    expected = x + rows @ output.reshape(hidden, heads * value).T
    np.testing.assert_allclose(f64(s.take("out", span.tokens, hidden)), expected, **CLOSE)


def test_weights_and_inputs_are_random_and_small() -> None:
    values = f64(random_tensor(3 << 20, torch.float32, CPU, seed=4))
    assert 0.015 < values.std() < 0.025
    assert len(np.unique(values)) > 1 << 19
    assert (f64(random_tensor(7, torch.float32, CPU, 4)) == f64(random_tensor(7, torch.float32, CPU, 4))).all()


def test_a_precision_without_a_kernel_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"no kernel for this precision.*q4_k.*fp32, bf16, fp16"):
        dtype_of("q4_k")
