"""llama-cpp: llama.cpp with `--n-cpu-moe N`: the experts of the first N blocks stay in host memory.

Code: ggml-org/llama.cpp, ggml/src/ggml-backend.cpp (which device runs an op, what is copied for it, and when the host
waits), the CUDA backend's rule for taking over an op (32 tokens, GGML_OP_OFFLOAD_MIN_BATCH), src/llama-graph.cpp (an
MoE block) and common/arg.cpp (the flag; --ubatch-size 512). There is no paper.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import NonNegativeInt, PositiveInt

from sim.errors import InputError
from sim.model import MoEModel
from sim.plan import tokens_of
from sim.program import CPU, D2H, H2D, Program
from sim.schedule import Reason
from sim.slots import Key
from sim.strategy import LayerPass, Strategy, World, resident_expert


class LlamaCpp(Strategy):
    """One graph of ops, each run where its weights are; GPU and CPU alternate strictly.

    n_cpu_moe: blocks, counted from the first, whose experts are on the host (`all`: --cpu-moe). n_ubatch: tokens of a
    micro-batch. stream_from: tokens from which the GPU takes over the host's experts, whose weights it then reads over
    the link once a micro-batch. copied: only the experts that have tokens (since August 2025), or all, as before.
    """

    name = "llama-cpp"
    embedding_on_host = True
    routing_on_host = False  # indexed products find the experts of the other blocks on the GPU

    def __init__(
        self, *, n_cpu_moe: NonNegativeInt | Literal["all"] = "all", n_ubatch: PositiveInt = 512,
        stream_from: PositiveInt = 32, copied: Literal["used", "all"] = "used",
    ) -> None:  # fmt: skip
        self.n_cpu_moe, self.n_ubatch, self.stream_from, self.copied = n_cpu_moe, n_ubatch, stream_from, copied
        self.smaller_on_gpu = "" if n_cpu_moe == "all" else "raise `n_cpu_moe`"
        self.smaller_on_host = "" if n_cpu_moe == 0 else "lower `n_cpu_moe`"

    def slots(self, model: MoEModel) -> int:
        """The experts of the other blocks, and the buffer that streams: one matrix of each of a block's experts.

        Raises InputError if more blocks are to stay on the host than there are.
        """
        if self.n_cpu_moe != "all" and self.n_cpu_moe > model.n_layers:
            raise InputError(
                f"{model.name} has only {model.n_layers} blocks", field="strategies.n_cpu_moe", value=self.n_cpu_moe,
                remedy=f"give at most {model.n_layers}, or `all`",
            )  # fmt: skip
        on_gpu = len(self._on_gpu(model))
        return on_gpu + (_buffer(model) if on_gpu < model.n_slots_total else 0)

    def host_experts(self, model: MoEModel) -> int:
        """Those of its blocks; no weight is in both memories."""
        return model.n_slots_total - len(self._on_gpu(model))

    def start(self, world: World) -> Sequence[Key]:
        """Place whole blocks; raises InputError if the cache is too small for them."""
        super().start(world)
        if world.n_slots < (needed := self.slots(world.model)):
            raise InputError(
                f"llama-cpp needs {needed} expert slots", field="cache", value=world.n_slots, remedy="leave `cache` out"
            )
        return self._on_gpu(world.model)

    def experts(self, p: Program, now: LayerPass, ready: int) -> list[int]:
        """Where the weights are; for enough tokens the weights come to the GPU instead."""
        if not self._host_has(now.layer):
            return [resident_expert(p, now, expert, ready) for expert in now.tokens_of]
        done: list[int] = []
        for part in self._micro_batches(now):
            run = self._streamed if part.tokens >= self.stream_from else self._computed_on_cpu
            done += run(p, part, done[-1:] or [ready])
        return done

    def _computed_on_cpu(self, p: Program, now: LayerPass, after: list[int]) -> list[int]:
        """Activations down, all experts one after the other, each token's k results up.

        Both copies hold the host; the CPU's part runs on its own thread, which thus need not be waited for.
        """
        if not now.tokens_of:
            return []
        down = p.send(D2H, now.tokens, layer=now.layer, after=after)
        p.wait(down)
        results = [
            p.expert(now.layer, expert, tokens, on=CPU, after=[down], reason=Reason.OFFLOAD)
            for expert, tokens in now.tokens_of.items()
        ]
        up = p.send(H2D, sum(now.tokens_of.values()), layer=now.layer, after=[results[-1]])
        p.wait(up)
        return [up]

    def _streamed(self, p: Program, now: LayerPass, after: list[int]) -> list[int]:
        """Copy a bufferful, compute on it, and so on: one stream, hence copies and compute never overlap.

        ggml's buffer takes first the up, then the gate, then the down matrices of all experts; ops here are whole
        experts, so it takes as many of them as fill it.
        """
        wanted = list(now.tokens_of) if self.copied == "used" else list(range(p.model.n_experts))
        size, done = _buffer(p.model), []
        for group in (wanted[i : i + size] for i in range(0, len(wanted), size)):
            p.wait(*after)  # first for the routing, then for the GPU to be done with the buffer
            loads = [p.load(now.layer, expert, after=after, reason=Reason.STREAM) for expert in group]
            computed = [
                p.expert(now.layer, expert, now.tokens_of[expert], after=loads[-1:], reason=Reason.STREAM)
                for expert in group
                if expert in now.tokens_of
            ]
            for expert in group:
                p.drop(now.layer, expert)
            after = computed[-1:] or loads[-1:]
            done += computed
        return done

    def _micro_batches(self, now: LayerPass) -> Iterator[LayerPass]:
        """The tokens of the pass, `n_ubatch` at a time."""
        if now.tokens <= self.n_ubatch:
            yield now
            return
        missing = int(np.iinfo(now.ids.dtype).max)
        for begin in range(0, now.tokens, self.n_ubatch):
            ids = now.ids[begin : begin + self.n_ubatch]
            weights = None if now.weights is None else now.weights[begin : begin + self.n_ubatch]
            yield replace(now, tokens=len(ids), tokens_of=tokens_of(ids, missing), ids=ids, weights=weights)

    def _host_has(self, layer: int) -> bool:
        return self.n_cpu_moe == "all" or layer < self.n_cpu_moe

    def _on_gpu(self, model: MoEModel) -> list[Key]:
        return [(layer, e) for layer in model.moe_layers if not self._host_has(layer) for e in range(model.n_experts)]


def _buffer(model: MoEModel) -> int:
    """Expert slots as large as one matrix of each expert of a block."""
    return -(-model.n_experts // model.matrices)
