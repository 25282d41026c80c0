"""MoEModel: the shapes of one Mixture-of-Experts model, hence its parameters and bytes."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sim.attention_shape import Attention
from sim.model_check import check_model
from sim.model_fields import model_fields, plain
from sim.notebook import inputs, shown
from sim.precision import precision, weight_bytes

__all__ = ["Attention", "MoEModel"]


@shown(inputs.model_card)
@dataclass(frozen=True, slots=True)
class MoEModel:
    """One model: `n_layers` blocks run in order, each an attention and then either a dense FFN or a MoE FFN.

    `layer` is a block's index, 0 .. n_layers - 1. Encoder-decoder models put their `encoder_layers` encoder
    blocks first; every later block then has a cross-attention of the same shape as its self-attention. Published
    counts are in billions and serve the tests; everything else is counted from the shapes.
    InputError on construction if the shapes contradict each other.
    """

    name: str
    n_layers: int
    hidden: int
    vocab: int
    attention: Attention
    n_experts: int
    top_k: int
    expert_hidden: int
    moe_layers: tuple[int, ...]  # blocks with experts, ascending
    matrices: int = 3  # of an FFN: 3 gated (SwiGLU), 2 plain
    expert_bias: bool = False
    router_bias: bool = False  # a bias or a score correction, one value an expert
    shared_hidden: int = 0  # intermediate size of a block's shared experts together; 0 = none
    shared_gate: bool = False
    dense_hidden: int = 0  # intermediate size of the FFN in blocks without experts
    tied_embeddings: bool = False
    head_bias: bool = False
    norm_bias: bool = False
    encoder_layers: int = 0
    sliding_window: int = 0  # tokens that `sliding_layers` attend to and cache; 0 = no such layer
    sliding_layers: tuple[int, ...] = ()
    source: str = ""
    published_params: float | None = None
    published_active_params: float | None = None
    published_active_with_embedding: bool = True  # whether the publisher counts the input embedding as active

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Raise InputError, naming the field, if the shapes contradict each other."""
        check_model(self)

    @property
    def n_moe_layers(self) -> int:
        """Blocks that have experts."""
        return len(self.moe_layers)

    @property
    def n_slots_total(self) -> int:
        """Routed experts in the whole model."""
        return self.n_moe_layers * self.n_experts

    def moe_index(self, layer: int) -> int:
        """Return the ordinal of `layer` among the MoE layers, as traces count them; -1 for a dense block."""
        at = bisect_left(self.moe_layers, layer)
        return at if at < len(self.moe_layers) and self.moe_layers[at] == layer else -1

    @property
    def decode_layers(self) -> range:
        """Blocks that a decoded token runs through: all, or of an encoder-decoder model those of the decoder."""
        return range(self.encoder_layers % self.n_layers, self.n_layers)

    def has_cross_attention(self, layer: int) -> bool:
        """Tell whether the block is a decoder block of an encoder-decoder model."""
        return 0 < self.encoder_layers <= layer

    @property
    def expert_params(self) -> int:
        """Parameters of one routed expert, biases included."""
        outputs = (self.matrices - 1) * self.expert_hidden + self.hidden
        return self._ffn_params(self.expert_hidden) + self.expert_bias * outputs

    @property
    def router_params(self) -> int:
        """Parameters of the router of one MoE layer."""
        return self.n_experts * (self.hidden + self.router_bias)

    @property
    def shared_params(self) -> int:
        """Parameters of the shared experts of one MoE layer, with their gate."""
        return self._ffn_params(self.shared_hidden) + self.shared_gate * self.hidden

    @property
    def dense_params(self) -> int:
        """Parameters of the FFN of one dense block."""
        return self._ffn_params(self.dense_hidden)

    def attention_params(self, layer: int) -> int:
        """Return the parameters of the block's self-attention and, where it has one, cross-attention."""
        one = self.attention.matrix_params(self.hidden) + self.attention.vector_params(self.hidden)
        first_of_stack = layer in (0, self.encoder_layers)
        relative = self.attention.relative_bias_buckets * self.attention.heads * first_of_stack
        return one * (1 + self.has_cross_attention(layer)) + relative

    def block_norm_params(self, layer: int) -> int:
        """Return the parameters of the norms in front of the block's attentions and FFN."""
        return (2 + self.has_cross_attention(layer)) * self.one_norm_params

    @property
    def one_norm_params(self) -> int:
        """Parameters of one norm over the hidden state: a scale and, in LayerNorm, a bias."""
        return self.hidden * (1 + self.norm_bias)

    @property
    def norm_params(self) -> int:
        """Parameters of all norms over the hidden state, the final ones (one a stack) included."""
        stacks = 1 + (0 < self.encoder_layers < self.n_layers)
        return sum(map(self.block_norm_params, range(self.n_layers))) + stacks * self.one_norm_params

    @property
    def embedding_params(self) -> int:
        """Parameters of the input embedding."""
        return self.vocab * self.hidden

    @property
    def head_params(self) -> int:
        """Parameters the LM head multiplies with; if tied, these are the embedding's."""
        return self.vocab * (self.hidden + self.head_bias)

    def layer_params(self, layer: int) -> int:
        """Return the block's parameters but its routed experts: attention, norms, router, shared or dense FFN."""
        moe = self.moe_index(layer) >= 0
        ffn = self.router_params + self.shared_params if moe else self.dense_params
        return self.attention_params(layer) + self.block_norm_params(layer) + ffn

    @property
    def resident_params(self) -> int:
        """Parameters that are not routed experts: all blocks' others, final norms, embedding and head."""
        return _resident_params(self)

    @property
    def total_params(self) -> int:
        """All parameters, shared ones counted once."""
        return self.resident_params + self.n_slots_total * self.expert_params

    @property
    def active_params(self) -> int:
        """Parameters one token meets: all blocks' others, top-k experts a MoE layer, final norms and head.

        The input embedding, of which a token reads one row, is left out; publishers that count it add
        `embedding_params` (`published_active_with_embedding`).
        """
        unread = 0 if self.tied_embeddings else self.embedding_params
        return self.resident_params - unread + self.n_moe_layers * self.top_k * self.expert_params

    def expert_bytes(self, name: str) -> int:
        """Return the bytes of one routed expert in the precision `name`."""
        return weight_bytes(self.expert_params, name)

    def layer_bytes(self, layer: int, name: str) -> int:
        """Return the bytes of the block without its routed experts in the precision `name`."""
        return weight_bytes(self.layer_params(layer), name)

    def resident_bytes(self, name: str) -> int:
        """Return the bytes of everything but the routed experts in the precision `name`."""
        return weight_bytes(self.resident_params, name)

    def kv_values(self, layer: int) -> int:
        """Return the values the block caches a token: none in an encoder block, whose keys are used once."""
        return 0 if layer < self.encoder_layers else self.attention.kv_values_per_token

    def kv_tokens(self, layer: int, context: float) -> float:
        """Return how many of `context` tokens the block's cache holds: all, or the last window of them."""
        if self.sliding_window and layer in self.sliding_layers:
            return min(context, self.sliding_window)
        return context

    def kv_bytes_per_token(self, name: str) -> int:
        """Return the cache bytes a further token takes over all layers, while no sliding window is full.

        In encoder-decoder models a decoder token takes this much for self-attention and an encoder token the
        same for cross-attention, so that prompt + output tokens times this is the cache there too.
        """
        return weight_bytes(sum(map(self.kv_values, range(self.n_layers))), name)

    def kv_bytes(self, context: float, name: str) -> float:
        """Return the cache bytes of one sequence of `context` tokens over all layers, windows respected."""
        values = sum(self.kv_values(layer) * self.kv_tokens(layer, context) for layer in range(self.n_layers))
        return values * precision(name).bits / 8

    def to_dict(self) -> dict[str, Any]:
        """Return the model as plain JSON values; `from_dict` gives an equal model back."""
        return plain(self)

    @classmethod
    def from_dict(cls, data: object) -> MoEModel:
        """Return the model described by a mapping of this class's fields; InputError if it describes none.

        Blocks are given as a list or a range (`{start: 1, step: 2}`); without `moe_layers` all have experts.
        """
        return cls(**model_fields(cls, data))

    def _ffn_params(self, intermediate: int) -> int:
        return self.matrices * self.hidden * intermediate


@lru_cache(maxsize=64)
def _resident_params(model: MoEModel) -> int:
    blocks = sum(map(model.layer_params, range(model.n_layers)))
    final_norms = model.norm_params - sum(map(model.block_norm_params, range(model.n_layers)))
    head = model.vocab * model.head_bias if model.tied_embeddings else model.head_params
    return blocks + final_norms + model.embedding_params + head
