"""Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434) over a cache of latents and rope keys.

Decode works on the latents themselves (absorbed up-projections), prefill expands them to keys and values. Rotary
embedding and the norms of the latents are left out.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch.nn import functional

from hwexec.attention import Span, causal_mask
from hwexec.backend import Task
from hwexec.workspace import Workspace
from sim.shapes import Shape


class _Parts:
    """Views of the flat weights, and the query projection that both phases share."""

    def __init__(self, weights: torch.Tensor, norm: torch.Tensor, shape: Shape, span: Span, space: Workspace) -> None:
        hidden, heads, self.rank, self.latent, nope, self.rope, value = shape
        self.hidden, self.heads, self.nope, self.value, self.norm = hidden, heads, nope, value, norm
        q_out, q_in = heads * (nope + self.rope), self.rank or hidden
        sizes = (
            hidden * self.rank, q_in * q_out, hidden * (self.latent + self.rope),
            heads * nope * self.latent, heads * value * self.latent, heads * value * hidden,
        )  # fmt: skip
        ends = [sum(sizes[:i]) for i in range(len(sizes) + 1)]
        q_down, q_up, kv_down, key_up, value_up, output = (weights[a:b] for a, b in pairwise(ends))
        self.q_down = q_down.view(self.rank, hidden).t() if self.rank else None
        self.q_up, self.kv_down = q_up.view(q_out, q_in).t(), kv_down.view(-1, hidden).t()
        self.key_up, self.value_up = key_up.view(heads, nope, self.latent), value_up.view(heads, value, self.latent)
        self.output = output.view(hidden, heads * value).t()
        rows = span.tokens
        self.x, self.out = space.take("x", rows, hidden), space.take("out", rows, hidden)
        self.compressed = space.take("compressed", rows, self.rank)
        self.query = space.take("query", rows, q_out)
        self.entry = space.take("entry", rows, self.latent + self.rope)

    def project(self) -> None:
        """Queries and the new tokens' cache entries."""
        x = functional.rms_norm(self.x, (self.hidden,), self.norm)
        if self.q_down is None:
            torch.mm(x, self.q_up, out=self.query)
        else:
            torch.mm(x, self.q_down, out=self.compressed)
            torch.mm(self.compressed, self.q_up, out=self.query)
        torch.mm(x, self.kv_down, out=self.entry)

    def finish(self, mixed: torch.Tensor) -> None:
        """Output projection of [tokens, heads × value size], and the residual."""
        torch.mm(mixed, self.output, out=self.out)
        self.out.add_(self.x)


def mla(
    weights: torch.Tensor, norm: torch.Tensor, cache: torch.Tensor, shape: Shape, span: Span, space: Workspace
) -> Task:
    """Attention of shape (hidden, heads, query rank, latent rank, nope, rope and value sizes).

    `weights` is flat: query down (if its rank is not 0) and up, latent and rope key, key up [heads, nope, latent],
    value up [heads, value, latent], output; `cache` has room for latent + rope values for each of the span's entries.
    """
    parts = _Parts(weights, norm, shape, span, space)
    width = parts.latent + parts.rope
    entries = cache[: span.entries * width].view(span.sequences, span.context, width)
    tail = entries[:, span.context - span.new :]
    new_entry = parts.entry.view(span.sequences, span.new, width)
    scale = (parts.nope + parts.rope) ** -0.5
    return (_decode if span.new == 1 else _prefill)(parts, entries, tail, new_entry, scale, span, space)


def _decode(
    parts: _Parts, entries: torch.Tensor, tail: torch.Tensor, new_entry: torch.Tensor, scale: float, span: Span,
    space: Workspace,
) -> Task:  # fmt: skip
    batch, heads, latent = span.sequences, parts.heads, parts.latent
    query = parts.query.view(batch, heads, parts.nope + parts.rope)
    absorbed = space.take("absorbed", batch, heads, latent + parts.rope)
    scores = space.take("scores", batch, heads, span.context)
    mixed = space.take("mixed", batch, heads, parts.value)

    def run() -> None:
        parts.project()
        tail.copy_(new_entry)
        absorbed[..., :latent] = torch.bmm(query[..., : parts.nope].transpose(0, 1), parts.key_up).transpose(0, 1)
        absorbed[..., latent:] = query[..., parts.nope :]
        torch.bmm(absorbed, entries.transpose(1, 2), out=scores)
        torch.softmax(scores.mul_(scale), -1, out=scores)
        latents = torch.bmm(scores, entries[..., :latent])
        mixed.copy_(torch.bmm(latents.transpose(0, 1), parts.value_up.transpose(1, 2)).transpose(0, 1))
        parts.finish(mixed.view(batch, heads * parts.value))

    return run


def _prefill(
    parts: _Parts, entries: torch.Tensor, tail: torch.Tensor, new_entry: torch.Tensor, scale: float, span: Span,
    space: Workspace,
) -> Task:  # fmt: skip
    batch, heads, latent, context = span.sequences, parts.heads, parts.latent, span.context
    query = parts.query.view(batch, span.new, heads, parts.nope + parts.rope).transpose(1, 2)
    keys = space.take("keys", batch, context, heads, parts.nope + parts.rope)
    values = space.take("values", batch * context, heads * parts.value)
    key_up = parts.key_up.reshape(heads * parts.nope, latent).t()
    value_up = parts.value_up.reshape(heads * parts.value, latent).t()
    mask, causal = causal_mask(span, parts.x.device), span.new == context

    def run() -> None:
        parts.project()
        tail.copy_(new_entry)
        rows = entries.reshape(batch * context, latent + parts.rope)
        keys[..., : parts.nope] = torch.mm(rows[:, :latent], key_up).view(batch, context, heads, parts.nope)
        keys[..., parts.nope :] = entries[:, :, None, latent:]
        torch.mm(rows[:, :latent], value_up, out=values)
        mixed = functional.scaled_dot_product_attention(
            query, keys.transpose(1, 2), values.view(batch, context, heads, parts.value).transpose(1, 2),
            attn_mask=mask, is_causal=causal, scale=scale,
        )  # fmt: skip
        parts.finish(mixed.transpose(1, 2).reshape(span.tokens, heads * parts.value))

    return run
