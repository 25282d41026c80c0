from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from hwexec.attention import Span
from hwexec.compute import Weights, check_model, compute_task, head_values, span_of
from hwexec.workspace import Workspace, random_tensor
from sim.errors import InputError
from sim.kernel_cost import OpSize
from sim.model import Attention, MoEModel
from sim.schedule import Kind
from tests.hardware import small_model

CPU = torch.device("cpu")
MLA = Attention("mla", heads=2, kv_lora_rank=8, rope_head_dim=4, nope_head_dim=6, v_head_dim=5)


def run(model: MoEModel, kind: Kind, size: OpSize, weights: Weights) -> torch.Tensor:
    space = Workspace(torch.float32, CPU)
    compute_task(model, kind, size, weights, space)()
    return space.take("out", size.tokens, model.hidden).clone()


def flat(n: int) -> torch.Tensor:
    return random_tensor(n, torch.float32, CPU, 0) * 10


@pytest.mark.parametrize("attention", [small_model().attention, MLA], ids=["gqa", "mla"])
@pytest.mark.parametrize("layer", [0, 1])
def test_each_kernel_of_a_block_reads_a_part_of_its_own_and_all_fit(attention: Attention, layer: int) -> None:
    model = small_model(attention=attention)
    block, cache = flat(model.layer_params(layer)), flat(8 * model.kv_values(layer))
    kinds = [Kind.ATTENTION, Kind.EXPERT]
    for kind in kinds:
        size = OpSize(layer, -1, tokens=2, context=4, sequences=2)
        before = run(model, kind, size, Weights(block=block, cache=cache.clone()))
        changed = block.clone()
        end = model.attention_params(layer)
        changed[:end] = -changed[:end]
        after = run(model, kind, size, Weights(block=changed, cache=cache.clone()))
        assert bool((before == after).all()) == (kind == Kind.EXPERT)
        assert torch.isfinite(before).all()


def test_decoding_in_a_window_reads_the_window_only() -> None:
    model = small_model(sliding_window=16, sliding_layers=(1,))
    decode = {layer: span_of(model, OpSize(layer, tokens=2, context=100, sequences=2)) for layer in (1, 2)}
    assert decode == {1: Span(2, 1, 16), 2: Span(2, 1, 100)}
    assert span_of(model, OpSize(1, tokens=40, context=40, sequences=1)) == Span(1, 40, 40)


def test_a_mixed_batch_counts_as_equally_long_prompts() -> None:
    assert Span.of(tokens=11, sequences=2, context=6) == Span(2, 6, 6)
    assert Span.of(tokens=4, sequences=4, context=9) == Span(4, 1, 9)


def test_head_and_combine_run_on_what_they_are_given() -> None:
    model = small_model()
    head = Weights(head=flat(head_values(model)))
    space = Workspace(torch.float32, CPU)
    compute_task(model, Kind.HEAD, OpSize(2, tokens=3, sequences=3), head, space)()
    assert 0 <= int(space.take("chosen", 3, dtype=torch.int64).min()) < model.vocab
    assert np.isfinite(run(model, Kind.COMBINE, OpSize(1, tokens=3), Weights()).numpy()).all()


def test_models_with_an_encoder_are_refused() -> None:
    with pytest.raises(InputError, match="simulated but not executed"):
        check_model(small_model(encoder_layers=1))
