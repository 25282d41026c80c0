"""How each Hugging Face MoE architecture names its shapes: one function a family gives MoEModel's arguments.

What no config says (norms, biases, gated FFNs) follows the architecture's `modeling_*.py` in `transformers`.
"""

from __future__ import annotations

from typing import Any, Literal

from sim.attention_shape import Attention
from sim.errors import InputError
from sim.hf_reader import ConfigReader


def mixtral(config: ConfigReader) -> dict[str, Any]:
    """Mixtral: GQA, experts in every block."""
    return {
        **_decoder(config),
        **_window(config, on=True),
        "attention": _gqa(config),
        "n_experts": config.integer("num_local_experts"),
        "expert_hidden": config.integer("intermediate_size"),
        "moe_layers": tuple(range(config.integer("num_hidden_layers"))),
    }


def phimoe(config: ConfigReader) -> dict[str, Any]:
    """Phi-3.5-MoE: Mixtral with LayerNorms and optional biases."""
    bias = config.flag("attention_bias", False)
    return {
        **mixtral(config),
        "attention": _gqa(config, qkv_bias=bias, out_bias=bias),
        "head_bias": config.flag("lm_head_bias", False),
        "norm_bias": True,
    }


def olmoe(config: ConfigReader) -> dict[str, Any]:
    """OLMoE: queries and keys are normalised over all heads at once."""
    bias = config.flag("attention_bias", False)
    return {
        **_decoder(config),
        "attention": _gqa(config, qkv_bias=bias, out_bias=bias, qk_norm="all"),
        "n_experts": config.integer("num_experts"),
        "expert_hidden": config.integer("intermediate_size"),
        "moe_layers": tuple(range(config.integer("num_hidden_layers"))),
    }


def qwen2_moe(config: ConfigReader) -> dict[str, Any]:
    """Qwen1.5-MoE and Qwen2-MoE: biased queries, keys and values; one gated shared expert."""
    return {
        **_qwen(config),
        "attention": _gqa(config, qkv_bias=config.flag("qkv_bias", True)),
        "shared_hidden": config.integer("shared_expert_intermediate_size"),
        "shared_gate": True,
    }


def qwen3_moe(config: ConfigReader) -> dict[str, Any]:
    """Qwen3-MoE: queries and keys are normalised head by head; no shared expert."""
    bias = config.flag("attention_bias", False)
    return {**_qwen(config), "attention": _gqa(config, qkv_bias=bias, out_bias=bias, qk_norm="head")}


def deepseek(config: ConfigReader) -> dict[str, Any]:
    """DeepSeek-V2 and V3: MLA, leading dense blocks, ungated shared experts; without prediction modules."""
    if config.flag("attention_bias", False):
        raise InputError("biased latent attention is not supported", field="attention_bias", value=True)
    n_layers = config.integer("num_hidden_layers")
    first, every = config.integer("first_k_dense_replace", 0), max(config.integer("moe_layer_freq", 1), 1)
    expert_hidden = config.integer("moe_intermediate_size")
    v3 = config.text("model_type", "") == "deepseek_v3"
    return {
        **_decoder(config),
        "attention": Attention(
            kind="mla",
            heads=config.integer("num_attention_heads"),
            q_lora_rank=config.integer("q_lora_rank", 0),
            kv_lora_rank=config.integer("kv_lora_rank"),
            rope_head_dim=config.integer("qk_rope_head_dim"),
            nope_head_dim=config.integer("qk_nope_head_dim"),
            v_head_dim=config.integer("v_head_dim"),
        ),
        "n_experts": config.integer("n_routed_experts"),
        "expert_hidden": expert_hidden,
        "shared_hidden": expert_hidden * config.integer("n_shared_experts", 0),
        "dense_hidden": config.integer("intermediate_size"),
        "moe_layers": tuple(layer for layer in range(n_layers) if layer >= first and layer % every == 0),
        "router_bias": config.text("topk_method", "noaux_tc" if v3 else "greedy") == "noaux_tc",
    }


def gpt_oss(config: ConfigReader) -> dict[str, Any]:
    """gpt-oss: biases everywhere, attention sinks, every other block attends to a sliding window."""
    n_layers = config.integer("num_hidden_layers")
    bias = config.flag("attention_bias", True)
    types = config.array("layer_types") or ["sliding_attention", "full_attention"] * ((n_layers + 1) // 2)
    return {
        **_decoder(config),
        "attention": _gqa(config, qkv_bias=bias, out_bias=bias, sinks=True),
        "n_experts": config.integer("num_local_experts"),
        "expert_hidden": config.integer("intermediate_size"),
        "expert_bias": True,
        "router_bias": True,
        "moe_layers": tuple(range(n_layers)),
        "sliding_window": config.integer("sliding_window"),
        "sliding_layers": tuple(i for i, kind in enumerate(types[:n_layers]) if kind == "sliding_attention"),
    }


def switch_transformers(config: ConfigReader) -> dict[str, Any]:
    """Switch Transformers: T5 encoder-decoder, top-1; plain FFNs unless the activation is gated."""
    encoder = config.integer("num_layers")
    decoder = config.integer("num_decoder_layers", encoder)
    activation = config.text("feed_forward_proj", config.text("dense_act_fn", "relu"))
    encoder_moe = _every(encoder, config.integer("num_sparse_encoder_layers"))
    decoder_moe = _every(decoder, config.integer("num_sparse_decoder_layers"))
    heads, d_ff = config.integer("num_heads"), config.integer("d_ff")
    return {
        "n_layers": encoder + decoder,
        "encoder_layers": encoder,
        "hidden": config.integer("d_model"),
        "vocab": config.integer("vocab_size"),
        "attention": Attention(
            kind="gqa",
            heads=heads,
            kv_heads=heads,
            head_dim=config.integer("d_kv"),
            relative_bias_buckets=config.integer("relative_attention_num_buckets", 32),
        ),
        "n_experts": config.integer("num_experts"),
        "top_k": config.integer("num_selected_experts", 1),
        "expert_hidden": d_ff,
        "dense_hidden": d_ff,
        "matrices": 3 if activation.startswith("gated") else 2,
        "moe_layers": tuple(encoder_moe) + tuple(encoder + layer for layer in decoder_moe),
        "router_bias": config.flag("router_bias", False),
        "tied_embeddings": config.flag("tie_word_embeddings", True),
    }


def _decoder(config: ConfigReader) -> dict[str, Any]:
    return {
        "n_layers": config.integer("num_hidden_layers"),
        "hidden": config.integer("hidden_size"),
        "vocab": config.integer("vocab_size"),
        "top_k": config.integer("num_experts_per_tok"),
        "tied_embeddings": config.flag("tie_word_embeddings", False),
    }


def _gqa(
    config: ConfigReader,
    *,
    qkv_bias: bool = False,
    out_bias: bool = False,
    qk_norm: Literal["none", "head", "all"] = "none",
    sinks: bool = False,
) -> Attention:
    heads = config.integer("num_attention_heads")
    return Attention(
        kind="gqa",
        heads=heads,
        kv_heads=config.integer("num_key_value_heads", heads),
        head_dim=config.integer("head_dim", config.integer("hidden_size") // max(heads, 1)),
        qkv_bias=qkv_bias,
        out_bias=out_bias,
        qk_norm=qk_norm,
        sinks=sinks,
    )


def _qwen(config: ConfigReader) -> dict[str, Any]:
    n_layers, step = config.integer("num_hidden_layers"), max(config.integer("decoder_sparse_step", 1), 1)
    dense = config.array("mlp_only_layers")
    moe = tuple(layer for layer in range(n_layers) if layer not in dense and (layer + 1) % step == 0)
    return {
        **_decoder(config),
        **_window(config, on=config.flag("use_sliding_window", False)),
        "n_experts": config.integer("num_experts"),
        "expert_hidden": config.integer("moe_intermediate_size"),
        "dense_hidden": config.integer("intermediate_size") if len(moe) < n_layers else 0,
        "moe_layers": moe,
    }


def _window(config: ConfigReader, *, on: bool) -> dict[str, Any]:
    """Return the sliding-window fields: none where it is off or no shorter than the longest context."""
    window = config.integer("sliding_window", 0)
    if not on or not 0 < window < config.integer("max_position_embeddings", window + 1):
        return {}
    first = config.integer("max_window_layers", 0)
    layers = tuple(range(first, config.integer("num_hidden_layers")))
    return {"sliding_window": window, "sliding_layers": layers} if layers else {}


def _every(layers: int, sparse: int) -> list[int]:
    """Return the sparse blocks of a stack: of every `layers // sparse` blocks the second (or all)."""
    step = layers // sparse if sparse > 0 else 0
    return [layer for layer in range(layers) if step == 1 or (step > 1 and layer % step == 1)]
