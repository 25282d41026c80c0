from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.presets import load_model
from sim.errors import ScheduleError
from sim.model import Attention, MoEModel
from sim.precision import Precisions
from sim.work import Work, work
from tests.test_model import GQA, MLA, tiny

BF16 = Precisions(experts="bf16", rest="bf16", kv="bf16")
NEW, EARLIER, SEQUENCES = st.integers(1, 20), st.integers(0, 20), st.integers(1, 3)
MIXED = Precisions(experts="q4_k", rest="fp32", kv="fp8")


def attention(model: MoEModel, layer: int = 1, *, precisions: Precisions = BF16, **op: Any) -> Work:
    return work(model, "attention", layer, precisions=precisions, **op)


def attended(position: int, window: int | None) -> int:
    """Return how many entries the query at `position` sees, counted one by one."""
    return sum(1 for key in range(position + 1) if window is None or position - key < window)


def gqa_macs(shape: Attention, hidden: int, positions: range, window: int | None = None) -> int:
    """Count the multiply-adds of one sequence's queries head by head, entry by entry."""
    macs = 0
    for position in positions:
        for _head in range(shape.heads):
            macs += 2 * hidden * shape.head_dim  # query in, output out
            macs += attended(position, window) * 2 * shape.head_dim  # QKᵀ and AV
        macs += shape.kv_heads * 2 * hidden * shape.head_dim
    return macs


def mla_macs(shape: Attention, hidden: int, positions: range, *, absorbed: bool) -> int:
    """Count the multiply-adds of one sequence's queries through DeepSeek-V2's equations, head by head."""
    qk, rank = shape.nope_head_dim + shape.rope_head_dim, shape.kv_lora_rank
    macs = 0
    for position in positions:
        macs += hidden * shape.q_lora_rank + hidden * (rank + shape.rope_head_dim)
        for _head in range(shape.heads):
            macs += shape.q_lora_rank * qk + shape.v_head_dim * hidden
            if absorbed:
                macs += shape.nope_head_dim * rank + rank * shape.v_head_dim
                macs += attended(position, None) * (rank + shape.rope_head_dim + rank)
            else:
                macs += attended(position, None) * (qk + shape.v_head_dim)
    if not absorbed:
        macs += positions.stop * shape.heads * rank * (shape.nope_head_dim + shape.v_head_dim)
    return macs


@given(new=NEW, earlier=EARLIER, sequences=SEQUENCES, window=st.integers(1, 50))
def test_attention_flop_equals_a_count_pair_by_pair(new: int, earlier: int, sequences: int, window: int) -> None:
    model = tiny(sliding_window=window, sliding_layers=(0,))
    op: dict[str, Any] = {"tokens": new * sequences, "context": earlier + new, "sequences": sequences}
    positions = range(earlier, earlier + new)
    assert attention(model, 1, **op).flop == 2 * sequences * gqa_macs(GQA, 8, positions)
    assert attention(model, 0, **op).flop == 2 * sequences * gqa_macs(GQA, 8, positions, window)


@given(new=NEW, earlier=EARLIER, sequences=SEQUENCES)
def test_mla_is_absorbed_in_decode_and_expanded_in_prefill(new: int, earlier: int, sequences: int) -> None:
    op: dict[str, Any] = {"tokens": new * sequences, "context": earlier + new, "sequences": sequences}
    macs = mla_macs(MLA, 8, range(earlier, earlier + new), absorbed=new == 1)
    assert attention(tiny(attention=MLA), **op).flop == 2 * sequences * macs


def test_causal_prefill_halves_the_scores_of_an_encoder() -> None:
    model = load_model("switch-base-8")
    op = attention(model, 0, tokens=256, context=256, sequences=1)
    assert op.flop == 2 * 4 * 768 * 768 * 256 + 4 * 768 * 256 * 256
    causal = attention(replace(model, encoder_layers=0), 0, tokens=256, context=256, sequences=1)
    assert op.flop - causal.flop == 4 * 768 * (256 * 255 / 2)


def test_prefill_runs_cross_attention_over_the_whole_prompt() -> None:
    model = load_model("switch-base-8")
    op = attention(model, 12, tokens=256, context=256, sequences=1)
    assert op.flop == 2 * 8 * 768 * 768 * 256 + 4 * 768 * (256 * 257 / 2 + 256 * 256)


def test_decode_reads_cached_cross_keys_and_values_instead_of_projecting_them() -> None:
    model = load_model("switch-base-8")
    op = attention(model, 13, tokens=2, context=64, sequences=2)
    assert op.flop == 2 * 2 * (6 * 768 * 768) + 2 * 64 * 4 * 768
    assert op.read_bytes == 2 * (6 * 768 * 768 + 3 * 768 + 2 * 64 * 1536 + 2 * 2 * 768)


def test_a_rounded_mean_context_is_accepted() -> None:
    rounded = attention(tiny(), tokens=41, context=10, sequences=4)
    assert rounded == attention(tiny(), tokens=41, context=41 / 4, sequences=4)


def test_attention_reads_weights_cache_and_activations() -> None:
    read = attention(tiny(), precisions=MIXED, tokens=3, context=40, sequences=3).read_bytes
    weights = 4 * (8 * 12 + 8 * 6 + 8 * 6 + 12 * 8 + 8 + 8)
    assert read == weights + 3 * 40 * (2 * 2 * 3) * 1 + 4 * 3 * (8 + 8)


def test_attention_reads_no_more_than_the_window_in_decode() -> None:
    model = tiny(sliding_window=10, sliding_layers=(0,))
    reads = {layer: attention(model, layer, tokens=1, context=40, sequences=1).read_bytes for layer in (0, 1)}
    assert reads[1] - reads[0] == (40 - 10) * 12 * 2


def test_prefill_longer_than_the_window_reads_every_entry_once() -> None:
    model = tiny(sliding_window=10, sliding_layers=(0,))
    reads = [attention(model, layer, tokens=40, context=40, sequences=1).read_bytes for layer in (0, 1)]
    assert reads[0] == reads[1]


@pytest.mark.parametrize("tokens", [1, 7])
def test_expert_reads_its_weights_once_and_multiplies_them_by_every_token(tokens: int) -> None:
    model = tiny(shared_hidden=10, shared_gate=True)
    routed = work(model, "expert", 1, expert=3, tokens=tokens, precisions=MIXED)
    assert routed.flop == tokens * 2 * (3 * 8 * 5)
    assert routed.read_bytes == -(-3 * 8 * 5 * 4.5 // 8) + 4 * tokens * (8 + 8)
    shared = work(model, "expert", 1, expert=-1, tokens=tokens, precisions=MIXED)
    assert shared.flop == tokens * 2 * (3 * 8 * 10 + 8)
    assert shared.read_bytes == 4 * (3 * 8 * 10 + 8) + 4 * tokens * (8 + 8)


def test_expert_minus_one_of_a_dense_block_is_its_ffn() -> None:
    model = tiny(moe_layers=(1, 2), dense_hidden=20)
    dense = work(model, "expert", 0, expert=-1, tokens=2, precisions=BF16)
    assert dense == Work(2 * 3 * 8 * 20 + 2 * 2 * (8 + 8), 2 * 2 * 3 * 8 * 20)


def test_a_mixtral_expert_is_as_large_as_published() -> None:
    """Two tokens through one bf16 expert of 3 × 4096 × 14336 weights: 352 MB and 0.70 GFLOP."""
    op = work(load_model("mixtral-8x7b"), "expert", 5, expert=0, tokens=2, precisions=BF16)
    assert op.read_bytes == pytest.approx(352.3e6, rel=1e-3)
    assert op.flop == pytest.approx(0.7046e9, rel=1e-3)


def test_gate_scores_every_expert_for_every_token() -> None:
    op = work(tiny(), "gate", 0, tokens=3, precisions=BF16)
    assert op == Work(2 * 8 * 4 + 2 * 3 * (8 + 4), 2 * 3 * 8 * 4)


@pytest.mark.parametrize(("layer", "outputs"), [(0, 1), (1, 3)])
def test_combine_moves_activations_only(layer: int, outputs: int) -> None:
    model = tiny(moe_layers=(1, 2), dense_hidden=5, shared_hidden=5)
    op = work(model, "combine", layer, tokens=6, precisions=BF16)
    assert op == Work(2 * 6 * 8 * (outputs + 1 + 1), 2 * 6 * 8 * outputs)


def test_head_reads_the_output_embedding_even_if_tied() -> None:
    op = work(tiny(tied_embeddings=True), "head", 2, tokens=4, precisions=BF16)
    assert op == Work(2 * (11 * 8 + 8) + 2 * 4 * (8 + 11), 2 * 4 * 11 * 8)


def test_whole_decode_step_multiplies_the_active_parameters() -> None:
    model = load_model("qwen1.5-moe-a2.7b")
    flop = work(model, "head", 0, tokens=1, precisions=BF16).flop
    for layer in range(model.n_layers):
        flop += attention(model, layer, tokens=1, context=1, sequences=1).flop
        flop += work(model, "gate", layer, tokens=1, precisions=BF16).flop
        for expert in (-1, 0, 1, 2, 3):
            flop += work(model, "expert", layer, expert=expert, tokens=1, precisions=BF16).flop
    assert flop == pytest.approx(2 * model.active_params, rel=1e-3)


@pytest.mark.parametrize(
    ("kind", "op", "message"),
    [
        ("load", {"tokens": 1}, "kind 'load' has no work; attention, gate"),
        ("gate", {"tokens": 0}, "needs tokens and sequences, got 0 and 1"),
        ("gate", {"layer": 0, "tokens": 1}, "layer 0 has no router"),
        ("expert", {"expert": 4, "tokens": 1}, "layer 1 has no expert 4"),
        ("expert", {"expert": -1, "tokens": 1}, "layer 1 has no expert -1"),
        ("expert", {"layer": 0, "expert": 2, "tokens": 1}, "layer 0 has no expert 2"),
        ("attention", {"tokens": 4, "context": 3}, "4 tokens of 1 sequences exceed their context 3"),
        ("attention", {"tokens": 1, "sequences": 2, "context": 3}, "1 tokens of 2 sequences exceed"),
    ],
)
def test_ops_that_cannot_exist_are_refused(kind: str, op: dict[str, Any], message: str) -> None:
    model = replace(tiny(), moe_layers=(1, 2), dense_hidden=5)
    with pytest.raises(ScheduleError, match=message):
        work(model, kind, **({"layer": 1} | op), precisions=BF16)
