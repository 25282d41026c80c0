"""Recorded routing against what the experts of small random models were really given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra hw")
transformers = pytest.importorskip("transformers", reason="needs the extra hf")

from hwexec.recording import Request, record  # noqa: E402
from hwexec.routers import stacks_of  # noqa: E402
from sim.errors import InputError  # noqa: E402

SMALL = {
    "vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 128, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
MODELS: dict[str, dict[str, Any]] = {
    "Mixtral": {"intermediate_size": 48, "num_local_experts": 8, "num_experts_per_tok": 2},
    "Olmoe": {"intermediate_size": 16, "num_experts": 16, "num_experts_per_tok": 4},
    "Qwen2Moe": {"moe_intermediate_size": 16, "shared_expert_intermediate_size": 16, "num_experts": 12,
                 "num_experts_per_tok": 3, "decoder_sparse_step": 1},
    "Qwen3Moe": {"moe_intermediate_size": 16, "num_experts": 12, "num_experts_per_tok": 3, "decoder_sparse_step": 1,
                 "head_dim": 8, "intermediate_size": 32},
    "DeepseekV2": {"moe_intermediate_size": 16, "n_routed_experts": 8, "num_experts_per_tok": 2, "n_shared_experts": 1,
                   "first_k_dense_replace": 1, "kv_lora_rank": 16, "q_lora_rank": 16, "qk_nope_head_dim": 8,
                   "qk_rope_head_dim": 8, "v_head_dim": 8, "n_group": 1, "topk_group": 1, "intermediate_size": 32,
                   "topk_method": "greedy", "num_key_value_heads": 4},
    "DeepseekV3": {"moe_intermediate_size": 16, "n_routed_experts": 8, "num_experts_per_tok": 2, "n_shared_experts": 1,
                   "first_k_dense_replace": 1, "kv_lora_rank": 16, "q_lora_rank": 16, "qk_nope_head_dim": 8,
                   "qk_rope_head_dim": 8, "v_head_dim": 8, "n_group": 1, "topk_group": 1, "intermediate_size": 32,
                   "num_key_value_heads": 4},
    "Phimoe": {"intermediate_size": 48, "num_local_experts": 8, "num_experts_per_tok": 2},
    "GptOss": {"intermediate_size": 32, "num_local_experts": 8, "num_experts_per_tok": 4, "head_dim": 8,
               "layer_types": ["full_attention"] * 3},
}  # fmt: skip
TEXT = Request(list(range(3, 23)), prompt=12)


def model_of(family: str) -> Any:
    """A small model with random weights, routers included."""
    torch.manual_seed(7)
    config = getattr(transformers, f"{family}Config")(**(SMALL | MODELS[family]))
    config._attn_implementation = "eager"
    model = getattr(transformers, f"{family}ForCausalLM")(config).eval()
    for stack in stacks_of(model):
        for router in stack.routers:
            torch.nn.init.normal_(router.weight)
    return model


def given_to_experts(model: Any, tokens: list[int]) -> np.ndarray:
    """[token, layer, k]: the ids with which the modules that hold the experts were called."""
    seen: list[np.ndarray] = []
    holders = [module for name, module in model.named_modules() if name.endswith(".experts")]
    hooks = [
        holder.register_forward_pre_hook(
            lambda _, args, kwargs: seen.append(
                next(a for a in [*args, *kwargs.values()] if not a.is_floating_point())
            ),
            with_kwargs=True,
        )
        for holder in holders
    ]
    with torch.inference_mode():
        model(input_ids=torch.tensor([tokens]))
    for hook in hooks:
        hook.remove()
    return np.stack([ids.reshape(len(tokens), -1).numpy() for ids in seen], axis=1)


@pytest.mark.parametrize("family", MODELS)
def test_the_ids_are_those_that_the_experts_were_called_with(family: str) -> None:
    model = model_of(family)
    trace = record(model, [TEXT], ahead=1)
    trace.validate()
    assert np.array_equal(trace.ids, given_to_experts(model, list(TEXT.tokens)))
    assert len(np.unique(trace.ids)) > trace.top_k, "tokens differ"
    if family != "Phimoe":  # which weighs its second choice among what the first one left
        assert (np.diff(trace.weights, axis=2) < 1e-6).all(), "best first"


def test_sequences_are_cut_into_prompt_and_decode_and_tokens_are_kept() -> None:
    trace = record(model_of("Mixtral"), [TEXT, Request([5, 6, 7], prompt=3)], generate=2)
    assert trace.offsets.tolist() == [0, 22, 27]
    assert trace.prompt_tokens.tolist() == [12, 3]
    assert trace.token_ids[:20].tolist() == list(TEXT.tokens)
    assert trace.predicted is None


def test_a_token_routes_alike_whether_the_model_writes_or_reads_it() -> None:
    model = model_of("Qwen3Moe")
    written = record(model, [TEXT], generate=6)
    read = record(model, [Request(written.token_ids.tolist(), prompt=12)])
    assert np.array_equal(written.ids, read.ids)


def test_early_gates_see_the_state_that_an_earlier_layer_routes_by() -> None:
    """With the same router in all layers, what layer l is told d layers before is what layer l - d decides."""
    model = model_of("Mixtral")
    routers = stacks_of(model)[0].routers
    for router in routers:
        router.weight.data = routers[0].weight.data
    trace = record(model, [TEXT], ahead=2)
    assert np.array_equal(trace.predicted[:, 0, 1:], trace.ids[:, :-1])
    assert np.array_equal(trace.predicted[:, 1, 2], trace.ids[:, 0])
    assert (trace.predicted[:, 0, 0] == trace.missing).all()
    assert (trace.predicted[:, 1, :2] == trace.missing).all()


@pytest.fixture
def switch() -> Any:
    torch.manual_seed(7)
    config = transformers.SwitchTransformersConfig(
        vocab_size=100, d_model=32, d_kv=8, d_ff=48, num_layers=4, num_decoder_layers=4, num_heads=4, num_experts=4,
        num_sparse_encoder_layers=2, num_sparse_decoder_layers=2, expert_capacity=2,
    )  # fmt: skip
    model = transformers.SwitchTransformersForConditionalGeneration(config).eval()
    for stack in stacks_of(model):
        for router in stack.routers:
            torch.nn.init.normal_(router.classifier.weight)
    return model


def test_an_encoder_routes_the_prompt_and_the_decoder_what_it_writes(switch: Any) -> None:
    trace = record(switch, [Request(list(range(3, 13)), prompt=10)], generate=3)
    trace.validate()
    routed = trace.ids[:, :, 0] != trace.missing
    assert (trace.n_layers, trace.n_tokens) == (4, 13)
    assert not routed[:9, 2:].any(), "the prompt's tokens do not run through the decoder"
    assert routed[9:, 2:].all(), "the start token stands in the prompt's last row"
    assert not routed[10:, :2].any()
    per_expert = np.bincount(trace.ids[:10, 0, 0], minlength=256)[:4]
    assert per_expert.max() == 2, "an expert takes so many tokens of a prompt; the others are dropped"
    assert per_expert.sum() < 10


def test_a_model_without_experts_is_refused() -> None:
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SMALL, intermediate_size=32))
    with pytest.raises(InputError, match=r"--model: has no router that is known \(got 'LlamaForCausalLM'\)"):
        record(model, [TEXT])


def test_the_record_says_what_ran_on_what() -> None:
    made = record(model_of("Olmoe"), [TEXT, Request([1, 2], 1)]).provenance
    assert made["architecture"] == "OlmoeForCausalLM"
    assert len(set(made["prompts_sha256"])) == 2
    assert made["software"]["transformers"] == transformers.__version__


def test_equal_runs_give_equal_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        record(model_of("Mixtral"), [TEXT], ahead=2).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
