"""Grouped-query attention over a KV cache: norm, projections, scores, output projection, residual.

Rotary embedding and per-head norms are left out: a few element-wise passes over one token's queries and keys.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from hwexec.backend import Task
from hwexec.workspace import Workspace
from sim.shapes import Shape


@dataclass(frozen=True)
class Span:
    """How much an attention op covers: `new` tokens of each of `sequences`, which attend to `context` entries.

    The new tokens are the last of the context.
    """

    sequences: int
    new: int
    context: int

    @classmethod
    def of(cls, tokens: int, sequences: int, context: int) -> Span:
        """The span of an op; sequences of a mixed batch count as equally long."""
        new = max(1, round(tokens / sequences))
        return cls(sequences, new, max(context, new))

    @property
    def tokens(self) -> int:
        """Rows of the hidden state."""
        return self.sequences * self.new

    @property
    def entries(self) -> int:
        """Cache entries over all sequences."""
        return self.sequences * self.context


def causal_mask(span: Span, device: torch.device) -> torch.Tensor | None:
    """Mask of a prompt that goes on after cached entries; None where SDPA's own causal mode or none will do."""
    if span.new in (1, span.context):
        return None
    ones = torch.ones(span.new, span.context, dtype=torch.bool, device=device)
    return torch.tril(ones, diagonal=span.context - span.new)


def gqa(
    weights: torch.Tensor, norm: torch.Tensor, cache: torch.Tensor, shape: Shape, span: Span, space: Workspace
) -> Task:
    """Attention of shape (hidden, heads, kv heads, head size).

    `weights` is flat: queries, keys and values [(heads + 2 × kv heads) × size, hidden], then output [hidden, heads ×
    size]; `cache` is flat with room for 2 × kv heads × size values for each of the span's entries.
    """
    hidden, heads, kv_heads, size = shape
    wide = (heads + 2 * kv_heads) * size
    project = weights[: wide * hidden].view(wide, hidden).t()
    output = weights[wide * hidden : (wide + heads * size) * hidden].view(hidden, heads * size).t()
    batch, new, context = span.sequences, span.new, span.context
    half = span.entries * kv_heads * size
    keys, values = (cache[i * half : (i + 1) * half].view(batch, kv_heads, context, size) for i in (0, 1))
    x, out = space.take("x", span.tokens, hidden), space.take("out", span.tokens, hidden)
    qkv = space.take("qkv", span.tokens, wide)
    split = qkv.view(batch, new, heads + 2 * kv_heads, size).transpose(1, 2)
    query, new_keys, new_values = torch.split(split, [heads, kv_heads, kv_heads], dim=1)
    key_tail, value_tail = keys[:, :, context - new :], values[:, :, context - new :]
    mask, causal = causal_mask(span, x.device), new == context > 1
    grouped = heads != kv_heads and new > 1
    if new == 1:  # the queries of a group are rows of one problem: no key is read twice
        query = qkv[:, : heads * size].view(batch, kv_heads, heads // kv_heads, size)

    def run() -> None:
        torch.mm(functional.rms_norm(x, (hidden,), norm), project, out=qkv)
        key_tail.copy_(new_keys)
        value_tail.copy_(new_values)
        mixed = functional.scaled_dot_product_attention(
            query, keys, values, attn_mask=mask, is_causal=causal, enable_gqa=grouped
        )
        rows = mixed if new == 1 else mixed.transpose(1, 2)
        torch.mm(rows.reshape(span.tokens, heads * size), output, out=out)
        out.add_(x)

    return run
