"""The shape of one attention: its weights, what it caches, and what a query-key pair costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sim.errors import InputError

_QK_NORMS = ("none", "head", "all")
_SHAPE_FIELDS = {
    "gqa": ("heads", "kv_heads", "head_dim"),
    "mla": ("heads", "kv_lora_rank", "rope_head_dim", "nope_head_dim", "v_head_dim"),
}


@dataclass(frozen=True, slots=True)
class Attention:
    """Grouped-query ("gqa", of which multi-head is a case) or multi-head latent ("mla") attention.

    `head_dim` and `kv_heads` describe gqa; the ranks and the three head dimensions below them describe mla
    (DeepSeek-V2, arXiv 2405.04434; `q_lora_rank` 0 = queries are not compressed).
    """

    kind: Literal["gqa", "mla"]
    heads: int
    kv_heads: int = 0
    head_dim: int = 0
    qkv_bias: bool = False
    out_bias: bool = False
    qk_norm: Literal["none", "head", "all"] = "none"  # of one head (Qwen3), of all at once (OLMoE)
    sinks: bool = False  # one learned logit a head (gpt-oss)
    relative_bias_buckets: int = 0  # T5: buckets × heads, in the first block of a stack only
    q_lora_rank: int = 0
    kv_lora_rank: int = 0
    rope_head_dim: int = 0
    nope_head_dim: int = 0
    v_head_dim: int = 0

    def matrix_params(self, hidden: int) -> int:
        """Return the entries of the projection matrices between `hidden` and the heads."""
        if self.kind == "gqa":
            return 2 * hidden * self.head_dim * (self.heads + self.kv_heads)
        q_out = self.heads * (self.nope_head_dim + self.rope_head_dim)
        rank = self.q_lora_rank
        q = hidden * rank + rank * q_out if rank else hidden * q_out
        kv_down = hidden * (self.kv_lora_rank + self.rope_head_dim)
        return q + kv_down + self.kv_up_params + self.heads * self.v_head_dim * hidden

    def vector_params(self, hidden: int) -> int:
        """Return the biases, norms and sinks inside the attention (without T5's relative bias)."""
        if self.kind == "mla":
            return self.q_lora_rank + self.kv_lora_rank
        q, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        bias = (q + 2 * kv) * self.qkv_bias + hidden * self.out_bias
        norm = {"none": 0, "head": 2 * self.head_dim, "all": q + kv}[self.qk_norm]
        return bias + norm + self.heads * self.sinks

    @property
    def kv_up_params(self) -> int:
        """Entries of the matrix that expands an mla latent into keys and values (0 for gqa)."""
        return self.kv_lora_rank * self.heads * (self.nope_head_dim + self.v_head_dim)

    def kv_projection_params(self, hidden: int) -> int:
        """Return the entries of the key and value projections of a gqa."""
        return 2 * hidden * self.head_dim * self.kv_heads

    @property
    def kv_values_per_token(self) -> int:
        """Values cached a token: keys and values (gqa), or the latent and the shared rope key (mla)."""
        if self.kind == "gqa":
            return 2 * self.kv_heads * self.head_dim
        return self.kv_lora_rank + self.rope_head_dim

    def pair_flop(self, *, absorbed: bool) -> int:
        """Return the FLOP of QKᵀ and AV for one query token and one cached token, over all heads.

        `absorbed` matters to mla only: scores and sums are then taken in the latent space itself.
        """
        if self.kind == "gqa":
            return 4 * self.heads * self.head_dim
        if absorbed:
            return 2 * self.heads * (2 * self.kv_lora_rank + self.rope_head_dim)
        return 2 * self.heads * (self.nope_head_dim + self.rope_head_dim + self.v_head_dim)

    def check(self) -> None:
        """Raise InputError if the shape is impossible."""
        self._need("kind", self.kind in _SHAPE_FIELDS, f"must be one of {', '.join(_SHAPE_FIELDS)}")
        self._need("qk_norm", self.qk_norm in _QK_NORMS, f"must be one of {', '.join(_QK_NORMS)}")
        for field in _SHAPE_FIELDS[self.kind]:
            self._need(field, getattr(self, field) >= 1, "must be at least 1")
        for field in ("q_lora_rank", "relative_bias_buckets"):
            self._need(field, getattr(self, field) >= 0, "must not be negative")
        self._need("kv_heads", self.kind == "mla" or self.heads % self.kv_heads == 0, "must divide heads")

    def _need(self, field: str, holds: bool, message: str) -> None:
        if not holds:
            raise InputError(message, field=f"attention.{field}", value=getattr(self, field))
