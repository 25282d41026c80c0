"""What fits where: how many experts a strategy caches, and the memory that its run takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from sim.errors import DoesNotFit, InputError
from sim.machine import Machine
from sim.memory import GPU_MEMORY, HOST_MEMORY, Footprint, fitting_slots, gpu_footprint, host_footprint
from sim.model import MoEModel
from sim.precision import Precisions
from sim.strategy import Strategy
from sim.trace import RoutingTrace


class Requests(TypedDict):
    """What the requests of a run ask of the memory, as `sim.memory` names it."""

    sequences: int
    context: int
    step_tokens: int


@dataclass(frozen=True)
class Fit:
    """Experts that a strategy keeps on the GPU, the memory it takes, and whether the machine has that."""

    cached: int
    gpu: Footprint
    host: Footprint
    fits: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Setting:
    """What all strategies of a scenario share."""

    model: MoEModel
    precisions: Precisions
    machine: Machine
    requests: Requests


def requests_of(trace: RoutingTrace, batch: int) -> Requests:
    """The worst moment of a trace that runs `batch` sequences in lock-step."""
    starts = np.arange(0, trace.n_sequences, batch)
    prompts = np.add.reduceat(trace.prompt_tokens, starts)
    together = min(batch, trace.n_sequences)
    return Requests(
        sequences=together,
        context=int(np.diff(trace.offsets).max()),
        step_tokens=max(int(prompts.max()), together),
    )


def check_model(setting: Setting) -> None:
    """Raise DoesNotFit if all memories together are smaller than the weights."""
    model, precisions, machine = setting.model, setting.precisions, setting.machine
    experts = model.n_slots_total * model.expert_bytes(precisions.experts)
    weights = model.resident_bytes(precisions.rest) + experts
    memories = {name: machine.memory[name].usable_bytes for name in (GPU_MEMORY, HOST_MEMORY)}
    if weights > sum(memories.values()):
        has = " + ".join(f"{name} {size / 1e9:.4g}" for name, size in memories.items())
        raise DoesNotFit(
            f"{model.name} is larger than all memories of {machine.name}: weights {weights / 1e9:.4g} GB > {has} GB",
            remedy="use a lower precision or a larger machine",
        )


def fit(strategy: Strategy, stated: int | str | None, common: int | str, setting: Setting) -> Fit:
    """Settle the cache of a strategy, `stated` for it or else `common` to all; raises InputError if it cannot be.

    Raises DoesNotFit, with the sum, if the machine is too small. Only a bracket goes on: all-resident is of use as one
    on a GPU that could never hold it.
    """
    cached = _cached(strategy, stated, common, setting)
    gpu = gpu_footprint(
        setting.model, setting.precisions, expert_slots=cached + strategy.extra_slots,
        block_buffers=strategy.block_buffers, embedding_on_host=strategy.embedding_on_host, **setting.requests,
    )  # fmt: skip
    host = host_footprint(
        setting.model, setting.precisions,
        experts=strategy.host_experts(setting.model), streamed_blocks=strategy.block_buffers > 0,
    )  # fmt: skip
    usable = setting.machine.memory[GPU_MEMORY].usable_bytes
    fits = gpu.total_bytes <= usable
    if strategy.bracket and not fits:
        lacks = f"hypothetical: needs {gpu.total_bytes / 1e9:.4g} GB of {usable / 1e9:.4g} GB on the GPU"
        return Fit(cached, gpu, host, False, (lacks,))
    fewer = "" if strategy.slots(setting.model) is not None else "cache fewer experts"
    gpu.check(setting.machine, strategy.name, smaller=strategy.smaller_on_gpu or fewer)
    host.check(setting.machine, strategy.name, smaller=strategy.smaller_on_host)
    return Fit(cached, gpu, host, True, ())


def _cached(strategy: Strategy, stated: int | str | None, common: int | str, setting: Setting) -> int:
    needed = strategy.slots(setting.model)
    if needed is None:
        return _count(common if stated is None else stated, strategy, setting)
    if stated is not None and _count(stated, strategy, setting) != needed:
        raise InputError(
            f"contradicts {strategy.name}, which has exactly {needed} expert slots",
            field="cache",
            value=stated,
            remedy="leave `cache` out",
        )
    return needed


def _count(size: int | str, strategy: Strategy, setting: Setting) -> int:
    total = setting.model.n_slots_total
    if size == "all":
        return total
    share = setting.model.n_moe_layers if strategy.equal_shares else 1
    if size == "auto":
        fitting = fitting_slots(
            setting.model, setting.precisions, setting.machine, extra_slots=strategy.extra_slots,
            block_buffers=strategy.block_buffers, embedding_on_host=strategy.embedding_on_host, **setting.requests,
        )  # fmt: skip
        return fitting // share * share
    if isinstance(size, str):
        return int(total * float(size.rstrip("% ")) / 100) // share * share
    if size > total:
        raise InputError(
            f"{setting.model.name} has only {total} routed experts",
            field="cache",
            value=size,
            remedy="use `cache: all`",
        )
    return size
