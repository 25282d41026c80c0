from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import DoesNotFit
from sim.memory import activation_bytes, fitting_slots, gpu_footprint, host_footprint
from sim.precision import Precisions
from tests.machines import BF16, EXPERT_BYTES, tiny_machine, tiny_model

RUN: dict[str, int] = {"sequences": 2, "context": 10, "step_tokens": 8}


def memory(usable_bytes: int, name: str = "gpu0") -> dict[str, Any]:
    everything = {key: {"nominal_bytes": 10**9, "usable_bytes": 10**9} for key in ("gpu0", "host")}
    return everything | {name: {"nominal_bytes": 10**9, "usable_bytes": usable_bytes}}


def test_the_gpu_holds_weights_slots_cache_and_activations() -> None:
    model = tiny_model()
    items = gpu_footprint(model, BF16, expert_slots=3, **RUN).items
    per_block = 4 * 100 + 2 * 10 + 4 * 10  # query, key, value, output; two norms; router
    assert items == {
        "non-expert weights": 2 * (2 * per_block + 10 + 2 * 100 * 10),  # final norm, embedding and head
        "expert slots": 3 * EXPERT_BYTES,
        "KV cache": 2 * 10 * 2 * (2 * 10) * 2,  # sequences, tokens, blocks, key and value, bytes
        "activations": 8 * (5 * 10 + 3 * 10) * 2 + 2 * 100 * 4,  # and one row of logits a sequence in fp32
    }


def test_streamed_blocks_take_as_many_buffers_of_the_largest_block() -> None:
    model = tiny_model(n_layers=3, moe_layers=(1, 2), dense_hidden=500)
    items = gpu_footprint(model, BF16, expert_slots=0, block_buffers=2, **RUN).items
    ends = model.resident_bytes("bf16") - sum(model.layer_bytes(layer, "bf16") for layer in range(3))
    assert items["non-expert weights"] == ends + 2 * model.layer_bytes(0, "bf16")


def test_activations_in_fp32_are_twice_as_large() -> None:
    model = tiny_model()
    logits = 1 * model.vocab * 4
    narrow, wide = (activation_bytes(model, Precisions("bf16", rest, "bf16"), 1, 8) for rest in ("bf16", "fp32"))
    assert wide - logits == 2 * (narrow - logits)


def test_the_host_keeps_every_expert_unless_none_is_offloaded() -> None:
    model = tiny_model()
    assert host_footprint(model, BF16, experts=8).items == {"experts": 8 * EXPERT_BYTES}
    assert host_footprint(model, BF16, experts=0).total_bytes == 0


def test_where_whole_blocks_stream_the_host_holds_their_other_weights_too() -> None:
    model = tiny_model()
    items = host_footprint(model, BF16, experts=8, streamed_blocks=True).items
    assert items["blocks"] == sum(model.layer_bytes(layer, "bf16") for layer in range(model.n_layers))


def test_an_embedding_on_the_host_is_not_on_the_gpu_unless_the_head_multiplies_with_it() -> None:
    for tied, saved in ((False, 100 * 10 * 2), (True, 0)):
        model = tiny_model(tied_embeddings=tied)
        here, there = (
            gpu_footprint(model, BF16, expert_slots=0, embedding_on_host=host, **RUN).total_bytes
            for host in (False, True)
        )
        assert here - there == saved


def test_what_does_not_fit_is_refused_with_the_sum_that_shows_why() -> None:
    need = gpu_footprint(tiny_model(), BF16, expert_slots=8, **RUN)
    need.check(tiny_machine(memory=memory(need.total_bytes)), "cache")
    with pytest.raises(DoesNotFit) as caught:
        need.check(tiny_machine(memory=memory(need.total_bytes - 1)), "cache", smaller="cache fewer experts")
    message = str(caught.value)
    assert message.startswith("memory.gpu0: cache does not fit toy: non-expert weights ")
    for part in (
        "expert slots 3.2e-06",
        "KV cache 1.6e-06",
        "activations 2.08e-06",
        "GB usable",
        "; cache fewer experts, use a lower precision or a shorter context",
    ):
        assert part in message
    assert "\n" not in message


@given(st.integers(0, 25_000), st.integers(0, 3))
def test_fitting_slots_fit_and_one_more_would_not(usable_bytes: int, extra: int) -> None:
    model, machine = tiny_model(), tiny_machine(memory=memory(usable_bytes))
    slots = fitting_slots(model, BF16, machine, extra_slots=extra, **RUN)
    assert 0 <= slots <= model.n_slots_total
    if slots:
        gpu_footprint(model, BF16, expert_slots=slots + extra, **RUN).check(machine, "run")
    if slots < model.n_slots_total:
        with pytest.raises(DoesNotFit):
            gpu_footprint(model, BF16, expert_slots=slots + extra + 1, **RUN).check(machine, "run")
