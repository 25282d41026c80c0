from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.presets import list_models, load_model
from sim.errors import InputError
from sim.model import Attention, MoEModel

ALIEN: Any = "alien"
GQA = Attention(kind="gqa", heads=4, kv_heads=2, head_dim=3)
MLA = Attention(kind="mla", heads=4, q_lora_rank=6, kv_lora_rank=5, rope_head_dim=2, nope_head_dim=3, v_head_dim=7)


def tiny(**changes: Any) -> MoEModel:
    shapes: dict[str, Any] = {
        "name": "tiny",
        "n_layers": 3,
        "hidden": 8,
        "vocab": 11,
        "attention": GQA,
        "n_experts": 4,
        "top_k": 2,
        "expert_hidden": 5,
        "moe_layers": (0, 1, 2),
    }
    return MoEModel(**(shapes | changes))


def test_counts_equal_the_tensors_of_a_dense_first_shared_expert_mla_model() -> None:
    model = tiny(attention=MLA, moe_layers=(1, 2), dense_hidden=9, shared_hidden=10, shared_gate=True, router_bias=True)
    attention = [(8, 6), (6,), (6, 4 * 5), (8, 5 + 2), (5,), (5, 4 * (3 + 7)), (4 * 7, 8), (8,), (8,)]
    dense = [(8, 9), (8, 9), (9, 8)]
    experts = 4 * [(8, 5), (8, 5), (5, 8)]
    moe = [(8, 4), (4,), (8, 10), (8, 10), (10, 8), (8,)]
    ends = [(11, 8), (8,), (11, 8)]
    tensors = 3 * attention + dense + 2 * (experts + moe) + ends
    assert model.total_params == entries(tensors)
    assert model.resident_params == entries(tensors) - entries(2 * experts)
    assert model.active_params == entries(tensors) - entries(2 * experts[:6]) - 11 * 8


def test_counts_equal_the_tensors_of_a_biased_gqa_model() -> None:
    attention = replace(GQA, qkv_bias=True, out_bias=True, sinks=True)
    model = tiny(attention=attention, expert_bias=True, router_bias=True, head_bias=True, norm_bias=True)
    weights = [(8, 12), (12,), (8, 6), (6,), (8, 6), (6,), (12, 8), (8,), (4,)]
    experts = 4 * [(8, 10), (10,), (5, 8), (8,)]
    block = [*weights, *experts, (8, 4), (4,), (8,), (8,), (8,), (8,)]
    assert model.total_params == entries(3 * block + [(11, 8), (8,), (8,), (11, 8), (11,)])


def test_counts_equal_the_tensors_of_an_encoder_decoder_model() -> None:
    attention = replace(GQA, kv_heads=4, relative_bias_buckets=6)
    model = tiny(
        n_layers=4,
        encoder_layers=2,
        attention=attention,
        moe_layers=(1, 3),
        dense_hidden=5,
        matrices=2,
        tied_embeddings=True,
    )
    heads, ffn = 4 * [(8, 12)], [(8, 5), (5, 8)]
    encoder = 2 * [*heads, (8,), (8,)]
    decoder = 2 * (2 * heads + [(8,), (8,), (8,)])
    tensors = encoder + decoder + 2 * ffn + 2 * 4 * ffn + 2 * [(8, 4)] + 2 * [(6, 4)] + [(8,), (8,), (11, 8)]
    assert model.total_params == entries(tensors)
    assert model.head_params == model.embedding_params == 11 * 8


@pytest.mark.parametrize(("norm", "params"), [("none", 0), ("head", 2 * 3), ("all", 4 * 3 + 2 * 3)])
def test_query_and_key_norms_are_counted(norm: Any, params: int) -> None:
    normed = tiny(attention=replace(GQA, qk_norm=norm))
    assert normed.total_params == tiny().total_params + 3 * params


@pytest.mark.parametrize("name", list_models())
def test_parts_sum_to_the_whole(name: str) -> None:
    model = load_model(name)
    blocks = sum(model.layer_params(layer) for layer in range(model.n_layers))
    stacks = (model.encoder_layers > 0) + (model.encoder_layers < model.n_layers)
    ends = model.embedding_params + (0 if model.tied_embeddings else model.head_params)
    assert model.resident_params == blocks + stacks * model.one_norm_params + ends
    assert model.total_params == model.resident_params + model.n_slots_total * model.expert_params
    assert model.resident_bytes("bf16") == 2 * model.resident_params
    assert model.expert_bytes("fp32") == 4 * model.expert_params
    assert sum(model.layer_bytes(layer, "fp8") for layer in range(model.n_layers)) == blocks
    assert model.norm_params > 0


def test_moe_index_counts_only_blocks_with_experts() -> None:
    model = tiny(n_layers=5, moe_layers=(1, 3, 4), dense_hidden=5)
    assert [model.moe_index(layer) for layer in range(-1, 6)] == [-1, -1, 0, -1, 1, 2, -1]
    assert (model.n_moe_layers, model.n_slots_total) == (3, 12)


def test_cache_of_gqa_holds_keys_and_values_of_the_kv_heads() -> None:
    assert tiny().kv_bytes_per_token("bf16") == 3 * 2 * 2 * 3 * 2


def test_cache_of_mla_holds_the_latent_and_one_rope_key() -> None:
    assert tiny(attention=MLA).kv_bytes_per_token("bf16") == 3 * (5 + 2) * 2
    assert load_model("deepseek-v3").kv_bytes_per_token("bf16") == 61 * (512 + 64) * 2


def test_encoder_blocks_cache_nothing() -> None:
    model = load_model("switch-base-8")
    assert [model.kv_values(layer) for layer in (0, 11, 12, 23)] == [0, 0, 1536, 1536]
    assert model.kv_bytes_per_token("fp32") == 12 * 2 * 768 * 4


@given(context=st.integers(0, 500))
def test_cache_of_sliding_layers_stops_at_the_window(context: int) -> None:
    model = tiny(sliding_window=100, sliding_layers=(0, 2))
    assert [model.kv_tokens(layer, context) for layer in range(3)] == [
        min(context, 100),
        context,
        min(context, 100),
    ]
    assert model.kv_bytes(context, "bf16") == 2 * 12 * (2 * min(context, 100) + context)


def test_cache_without_windows_grows_by_bytes_per_token() -> None:
    assert tiny().kv_bytes(77, "q8_0") == pytest.approx(77 * tiny().kv_bytes_per_token("q8_0"), rel=0.03)
    assert tiny().kv_bytes(77, "bf16") == 77 * tiny().kv_bytes_per_token("bf16")


@pytest.mark.parametrize("name", list_models())
def test_dict_round_trip_through_json_is_exact(name: str) -> None:
    model = load_model(name)
    assert MoEModel.from_dict(json.loads(json.dumps(model.to_dict()))) == model


def test_sets_of_blocks_may_be_ranges() -> None:
    given_ranges = tiny().to_dict() | {"moe_layers": {"start": 1, "step": 2}, "dense_hidden": 5}
    assert MoEModel.from_dict(given_ranges).moe_layers == (1,)
    del given_ranges["moe_layers"]
    assert MoEModel.from_dict(given_ranges).moe_layers == (0, 1, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"top_k": 5}, r"top_k: tiny: there are only 4 experts \(got 5\)"),
        ({"hidden": 0}, r"hidden: tiny: must be at least 1 \(got 0\)"),
        ({"n_experts": -4}, r"n_experts: .*at least 1"),
        ({"shared_hidden": -1}, r"shared_hidden: .*not be negative"),
        ({"matrices": 4}, r"matrices: .*3 \(gated FFN\) or 2"),
        ({"encoder_layers": 4}, r"encoder_layers: .*only 3 blocks"),
        ({"moe_layers": ()}, r"moe_layers: .*at least one"),
        ({"moe_layers": (0, 3), "dense_hidden": 1}, r"moe_layers: .*from 0 to 2"),
        ({"moe_layers": (1, 0), "dense_hidden": 1}, r"moe_layers: .*ascending"),
        ({"moe_layers": (0, 1)}, r"dense_hidden: .*the 1 blocks without experts"),
        ({"shared_gate": True}, r"shared_gate: .*no shared expert"),
        ({"sliding_window": 4}, r"sliding_window: .*together with sliding_layers"),
        ({"sliding_layers": (0,)}, r"sliding_window: .*together with sliding_layers"),
        ({"attention": replace(GQA, kv_heads=3)}, r"attention.kv_heads: must divide heads \(got 3\)"),
        ({"attention": replace(GQA, head_dim=0)}, r"attention.head_dim: must be at least 1"),
        ({"attention": replace(MLA, q_lora_rank=-1)}, r"attention.q_lora_rank: must not be negative"),
        ({"attention": replace(GQA, kind=ALIEN)}, r"attention.kind: must be one of gqa, mla \(got 'alien'\)"),
        ({"attention": replace(GQA, qk_norm=ALIEN)}, r"attention.qk_norm: must be one of none, head, all"),
    ],
)
def test_contradicting_shapes_are_refused_in_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        tiny(**changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hiden": 8}, "hiden: unknown field"),
        ({"hidden": "8"}, r"hidden: must be a whole number \(got '8'\)"),
        ({"hidden": True}, "hidden: must be a whole number"),
        ({"tied_embeddings": 1}, "tied_embeddings: must be true or false"),
        ({"name": 7}, "name: must be a text"),
        ({"published_params": "47B"}, "published_params: must be a number"),
        ({"moe_layers": "all"}, "moe_layers: must be a list of block numbers"),
        ({"moe_layers": [0.5]}, "moe_layers: must be a list of block numbers"),
        ({"moe_layers": {"start": "first"}}, "moe_layers: must be a list of block numbers"),
        ({"moe_layers": {"step": 0}}, "moe_layers: must be a list of block numbers"),
        ({"attention": 3}, r"attention: must be a mapping.*\(got 3\)"),
        ({"attention": {"kind": "gqa"}}, "attention.heads: missing"),
        ({"attention": {"kind": "gqa", "heads": "4"}}, "attention.heads: must be a whole number"),
    ],
)
def test_alien_fields_are_refused_in_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        MoEModel.from_dict(tiny().to_dict() | changes)


@pytest.mark.parametrize("data", [None, [], "mixtral", {}])
def test_what_is_no_mapping_of_fields_is_refused(data: object) -> None:
    with pytest.raises(InputError, match=r"must be a mapping|missing"):
        MoEModel.from_dict(data)


def entries(tensors: Sequence[tuple[int, ...]]) -> int:
    """Return the number of values in tensors of these shapes, counted one axis at a time."""
    total = 0
    for shape in tensors:
        values = 1
        for axis in shape:
            values *= axis
        total += values
    return total
