from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scenarios.presets import load_model
from sim.errors import InputError
from sim.hf_config import from_hf_config, read_hf_config

# The keys of the published config.json files that bear on shapes.
CONFIGS: dict[str, dict[str, Any]] = {
    "mixtral-8x7b": {
        "model_type": "mixtral",
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "max_position_embeddings": 32768,
        "num_attention_heads": 32,
        "num_experts_per_tok": 2,
        "num_hidden_layers": 32,
        "num_key_value_heads": 8,
        "num_local_experts": 8,
        "sliding_window": None,
        "tie_word_embeddings": False,
        "vocab_size": 32000,
    },
    "phi-3.5-moe": {
        "model_type": "phimoe",
        "attention_bias": True,
        "hidden_size": 4096,
        "intermediate_size": 6400,
        "lm_head_bias": True,
        "max_position_embeddings": 131072,
        "num_attention_heads": 32,
        "num_experts_per_tok": 2,
        "num_hidden_layers": 32,
        "num_key_value_heads": 8,
        "num_local_experts": 16,
        "sliding_window": 131072,
        "tie_word_embeddings": False,
        "vocab_size": 32064,
    },
    "olmoe-1b-7b": {
        "model_type": "olmoe",
        "attention_bias": False,
        "hidden_size": 2048,
        "intermediate_size": 1024,
        "num_attention_heads": 16,
        "num_experts": 64,
        "num_experts_per_tok": 8,
        "num_hidden_layers": 16,
        "num_key_value_heads": 16,
        "tie_word_embeddings": False,
        "vocab_size": 50304,
    },
    "qwen1.5-moe-a2.7b": {
        "model_type": "qwen2_moe",
        "decoder_sparse_step": 1,
        "hidden_size": 2048,
        "intermediate_size": 5632,
        "max_position_embeddings": 8192,
        "max_window_layers": 21,
        "moe_intermediate_size": 1408,
        "num_attention_heads": 16,
        "num_experts": 60,
        "num_experts_per_tok": 4,
        "num_hidden_layers": 24,
        "num_key_value_heads": 16,
        "shared_expert_intermediate_size": 5632,
        "sliding_window": 32768,
        "tie_word_embeddings": False,
        "use_sliding_window": False,
        "vocab_size": 151936,
    },
    "qwen3-30b-a3b": {
        "model_type": "qwen3_moe",
        "attention_bias": False,
        "decoder_sparse_step": 1,
        "head_dim": 128,
        "hidden_size": 2048,
        "intermediate_size": 6144,
        "max_position_embeddings": 40960,
        "max_window_layers": 48,
        "mlp_only_layers": [],
        "moe_intermediate_size": 768,
        "num_attention_heads": 32,
        "num_experts": 128,
        "num_experts_per_tok": 8,
        "num_hidden_layers": 48,
        "num_key_value_heads": 4,
        "sliding_window": None,
        "tie_word_embeddings": False,
        "use_sliding_window": False,
        "vocab_size": 151936,
    },
    "deepseek-v2-lite": {
        "model_type": "deepseek_v2",
        "attention_bias": False,
        "first_k_dense_replace": 1,
        "hidden_size": 2048,
        "intermediate_size": 10944,
        "kv_lora_rank": 512,
        "moe_intermediate_size": 1408,
        "moe_layer_freq": 1,
        "n_routed_experts": 64,
        "n_shared_experts": 2,
        "num_attention_heads": 16,
        "num_experts_per_tok": 6,
        "num_hidden_layers": 27,
        "num_key_value_heads": 16,
        "q_lora_rank": None,
        "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64,
        "tie_word_embeddings": False,
        "topk_method": "greedy",
        "v_head_dim": 128,
        "vocab_size": 102400,
    },
    "deepseek-v3": {
        "model_type": "deepseek_v3",
        "attention_bias": False,
        "first_k_dense_replace": 3,
        "hidden_size": 7168,
        "intermediate_size": 18432,
        "kv_lora_rank": 512,
        "moe_intermediate_size": 2048,
        "moe_layer_freq": 1,
        "n_routed_experts": 256,
        "n_shared_experts": 1,
        "num_attention_heads": 128,
        "num_experts_per_tok": 8,
        "num_hidden_layers": 61,
        "num_nextn_predict_layers": 1,
        "q_lora_rank": 1536,
        "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64,
        "tie_word_embeddings": False,
        "topk_method": "noaux_tc",
        "v_head_dim": 128,
        "vocab_size": 129280,
    },
    "gpt-oss-20b": {
        "model_type": "gpt_oss",
        "attention_bias": True,
        "head_dim": 64,
        "hidden_size": 2880,
        "intermediate_size": 2880,
        "layer_types": ["sliding_attention", "full_attention"] * 12,
        "num_attention_heads": 64,
        "num_experts_per_tok": 4,
        "num_hidden_layers": 24,
        "num_key_value_heads": 8,
        "num_local_experts": 32,
        "sliding_window": 128,
        "tie_word_embeddings": False,
        "vocab_size": 201088,
    },
    "switch-base-8": {
        "model_type": "switch_transformers",
        "d_ff": 3072,
        "d_kv": 64,
        "d_model": 768,
        "feed_forward_proj": "relu",
        "num_decoder_layers": 12,
        "num_experts": 8,
        "num_heads": 12,
        "num_layers": 12,
        "num_sparse_decoder_layers": 6,
        "num_sparse_encoder_layers": 6,
        "relative_attention_num_buckets": 32,
        "router_bias": False,
        "vocab_size": 32128,
    },
}


@pytest.mark.parametrize("name", CONFIGS)
def test_published_config_gives_the_same_model_as_the_preset(name: str) -> None:
    preset = load_model(name)
    parsed = from_hf_config(CONFIGS[name], name)
    words = {
        field: getattr(preset, field)
        for field in (
            "source",
            "published_params",
            "published_active_params",
            "published_active_with_embedding",
        )
    }
    assert replace(parsed, **words) == preset


@pytest.mark.parametrize("name", CONFIGS)
def test_every_missing_shape_is_named(name: str) -> None:
    needed = (
        "vocab_size",
        "num_experts",
        "num_local_experts",
        "n_routed_experts",
        "num_experts_per_tok",
        "d_model",
    )
    for key in needed:
        if key not in CONFIGS[name]:
            continue
        config = {k: v for k, v in CONFIGS[name].items() if k != key}
        with pytest.raises(InputError, match=f"^{key}: missing; give the complete config.json$"):
            from_hf_config(config, name)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("mixtral-8x7b", {"num_experts_per_tok": 9}, r"top_k: .*only 8 experts \(got 9\)"),
        ("mixtral-8x7b", {"hidden_size": -4096}, r"at least 1 \(got -4096\)"),
        ("mixtral-8x7b", {"num_attention_heads": 0}, "attention.heads: must be at least 1"),
        ("mixtral-8x7b", {"vocab_size": "32000"}, "vocab_size: must be a whole number"),
        ("mixtral-8x7b", {"tie_word_embeddings": "no"}, "tie_word_embeddings: must be true or false"),
        ("qwen3-30b-a3b", {"mlp_only_layers": 3}, "mlp_only_layers: must be a list"),
        ("qwen3-30b-a3b", {"num_experts": 0}, r"n_experts: .*at least 1"),
        ("deepseek-v3", {"topk_method": 1}, "topk_method: must be a text"),
        ("deepseek-v3", {"attention_bias": True}, "attention_bias: biased latent attention"),
        ("deepseek-v3", {"first_k_dense_replace": 61}, "moe_layers: .*at least one"),
        (
            "mixtral-8x7b",
            {"model_type": "llama"},
            r"model_type: .*unknown architecture \(got 'llama'\); known: mixtral, ",
        ),
        ("mixtral-8x7b", {"model_type": None}, "unknown architecture"),
        ("mixtral-8x7b", {"model_type": ["mixtral"]}, "unknown architecture"),
    ],
)
def test_impossible_configs_are_refused_in_one_line(name: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        from_hf_config(CONFIGS[name] | changes, name)
    assert "\n" not in str(caught.value)


def test_dense_blocks_of_qwen_configs_are_honoured() -> None:
    config = CONFIGS["qwen3-30b-a3b"] | {
        "mlp_only_layers": [1],
        "decoder_sparse_step": 2,
        "num_hidden_layers": 6,
    }
    model = from_hf_config(config, "mixed")
    assert (model.moe_layers, model.dense_hidden) == ((3, 5), 6144)


def test_windows_apply_only_where_they_are_switched_on_and_short() -> None:
    config = CONFIGS["qwen1.5-moe-a2.7b"] | {"use_sliding_window": True}
    assert from_hf_config(config, "long").sliding_layers == ()
    model = from_hf_config(config | {"sliding_window": 4096}, "short")
    assert (model.sliding_window, model.sliding_layers) == (4096, (21, 22, 23))
    mixtral = from_hf_config(CONFIGS["mixtral-8x7b"] | {"sliding_window": 4096}, "windowed")
    assert mixtral.sliding_layers == tuple(range(32))


def test_gpt_oss_alternates_from_a_sliding_block_if_the_config_is_silent() -> None:
    config = {key: value for key, value in CONFIGS["gpt-oss-20b"].items() if key != "layer_types"}
    assert from_hf_config(config, "silent").sliding_layers == tuple(range(0, 24, 2))


@pytest.mark.parametrize(
    ("sparse", "moe"), [(12, tuple(range(24))), (3, (1, 5, 9, 13, 17, 21)), (6, tuple(range(1, 24, 2)))]
)
def test_switch_spreads_its_sparse_blocks_evenly(sparse: int, moe: tuple[int, ...]) -> None:
    counts = {"num_sparse_encoder_layers": sparse, "num_sparse_decoder_layers": sparse}
    assert from_hf_config(CONFIGS["switch-base-8"] | counts, "switch").moe_layers == moe


def test_gated_switch_has_three_matrices() -> None:
    config = CONFIGS["switch-base-8"] | {"feed_forward_proj": "gated-gelu"}
    assert from_hf_config(config, "gated").matrices == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not JSON"),
        (b"", "is not JSON"),
        (b"\xff\xfe", "cannot be read"),
        (b"[1, 2]", "is not a model config"),
        (b'"mixtral"', "is not a model config"),
        (b"{}", "model_type: .*unknown architecture"),
    ],
)
def test_alien_files_are_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"config.json: .*{message}") as caught:
        read_hf_config(path)
    assert "\n" not in str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.json: cannot be read"):
        read_hf_config(tmp_path / "none.json")


def test_a_config_is_called_after_its_folder_or_file(tmp_path: Path) -> None:
    for path, name in (
        (tmp_path / "my-model" / "config.json", "my-model"),
        (tmp_path / "other.json", "other"),
    ):
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(CONFIGS["olmoe-1b-7b"]))
        assert read_hf_config(path).name == name
