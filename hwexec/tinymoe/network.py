"""The network: a decoder of rotary attention and top-k experts, small enough to be trained on a CPU.

It answers calls like a Hugging Face model (`input_ids`, `past_key_values`, `use_cache`; `logits` back), so that the
same recorder serves both.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

Cache = list[tuple[torch.Tensor, torch.Tensor]]  # keys and values of each layer


@dataclass(frozen=True)
class Geometry:
    """Sizes; the defaults have 22 million parameters, of which a token uses five."""

    layers: int = 16
    experts: int = 32
    top_k: int = 4
    width: int = 192
    expert_hidden: int = 64
    heads: int = 6
    vocab: int = 2048
    name_or_path: str = "tinymoe"


@dataclass(frozen=True)
class Output:
    """Logits [batch, token, vocab], the cache to go on with, and the loss that keeps experts in balance."""

    logits: torch.Tensor
    past_key_values: Cache | None
    balance: torch.Tensor


class TinyRouter(nn.Module):
    """Chooses `top_k` experts a token by the softmax of a linear map; weights are renormalised."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.top_k = geometry.top_k
        self.weight = nn.Parameter(torch.randn(geometry.experts, geometry.width) * geometry.width**-0.5)

    def forward(self, states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Logits [token, expert], weights and ids [token, k], best first."""
        logits = functional.linear(states.reshape(-1, states.shape[-1]), self.weight).float()
        weights, ids = logits.softmax(-1).topk(self.top_k, dim=-1)
        return logits, weights / weights.sum(-1, keepdim=True), ids


class Experts(nn.Module):
    """SwiGLU experts; each runs once on all its tokens."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        e, w, h = geometry.experts, geometry.width, geometry.expert_hidden
        self.gate_up = nn.Parameter(torch.randn(e, w, 2 * h) * w**-0.5)
        self.down = nn.Parameter(torch.randn(e, h, w) * (h * 2 * geometry.layers) ** -0.5)

    def forward(self, states: torch.Tensor, ids: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """States [token, width] through the experts `ids` [token, k], summed by `weights`."""
        n_experts, k = len(self.gate_up), ids.shape[1]
        order = ids.flatten().argsort(stable=True)
        token = order // k
        counts = torch.bincount(ids.flatten(), minlength=n_experts).tolist()
        mixed = []
        for expert, mine in enumerate(torch.split(states[token], counts)):
            gate, up = (mine @ self.gate_up[expert]).chunk(2, dim=-1)
            mixed.append((functional.silu(gate) * up) @ self.down[expert])
        weighted = torch.cat(mixed) * weights.flatten()[order, None]
        return torch.zeros_like(states).index_add(0, token, weighted)


class Block(nn.Module):
    """Attention, then experts, each on the normalised residual stream."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        w = geometry.width
        self.heads = geometry.heads
        self.attention_norm, self.expert_norm = nn.RMSNorm(w), nn.RMSNorm(w)
        self.qkv, self.out = nn.Linear(w, 3 * w, bias=False), nn.Linear(w, w, bias=False)
        self.router, self.experts = TinyRouter(geometry), Experts(geometry)
        nn.init.normal_(self.out.weight, std=(w * 2 * geometry.layers) ** -0.5)

    def forward(
        self, x: torch.Tensor, angles: torch.Tensor, past: tuple[torch.Tensor, torch.Tensor] | None
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor], torch.Tensor]:
        """The stream, keys and values so far, and the balance loss of this layer."""
        attended, kept = self._attend(self.attention_norm(x), angles, past)
        x = x + attended
        states = self.expert_norm(x).reshape(-1, x.shape[-1])
        logits, weights, ids = self.router(states)
        mixed = self.experts(states, ids, weights.to(states.dtype))
        return x + mixed.view_as(x), kept, _balance(logits, ids)

    def _attend(
        self, x: torch.Tensor, angles: torch.Tensor, past: tuple[torch.Tensor, torch.Tensor] | None
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        batch, tokens, width = x.shape
        q, k, v = (t.view(batch, tokens, self.heads, -1).transpose(1, 2) for t in self.qkv(x).chunk(3, dim=-1))
        q, k = _rotated(q, angles), _rotated(k, angles)
        if past is not None:
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=past is None and tokens > 1)
        return self.out(mixed.transpose(1, 2).reshape(batch, tokens, width)), (k, v)


class TinyMoE(nn.Module):
    """The language model; embedding and head share their weights."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.config = geometry
        self.embedding = nn.Embedding(geometry.vocab, geometry.width)
        nn.init.normal_(self.embedding.weight, std=geometry.width**-0.5)
        self.blocks = nn.ModuleList(Block(geometry) for _ in range(geometry.layers))
        self.norm = nn.RMSNorm(geometry.width)
        half = geometry.width // geometry.heads // 2
        self.register_buffer("frequencies", 10_000.0 ** (-torch.arange(half) / half), persistent=False)

    def forward(self, input_ids: torch.Tensor, past_key_values: Cache | None = None, use_cache: bool = False) -> Output:
        """Logits of all positions of `input_ids` [batch, token], which follow what is cached."""
        start = past_key_values[0][0].shape[2] if past_key_values else 0
        positions = torch.arange(start, start + input_ids.shape[1], device=input_ids.device)
        angles = positions[:, None] * self.frequencies  # type: ignore[operator]
        x = self.embedding(input_ids) * self.config.width**0.5
        kept: Cache = []
        balance = torch.zeros((), device=x.device)
        for number, block in enumerate(self.blocks):
            x, cache, uneven = block(x, angles, past_key_values[number] if past_key_values else None)
            kept.append(cache)
            balance = balance + uneven
        logits = functional.linear(self.norm(x), self.embedding.weight)
        return Output(logits, kept if use_cache else None, balance / len(self.blocks))


def _rotated(x: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    """Rotary position embedding over the halves of each head."""
    a, b = x.chunk(2, dim=-1)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


def _balance(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Experts × Σ share of choices × mean probability: 1 if all are used alike (Switch Transformers, eq. 4)."""
    n_experts = logits.shape[1]
    share = torch.bincount(ids.flatten(), minlength=n_experts).float() / ids.numel()
    return n_experts * (share * logits.softmax(-1).mean(0)).sum()
