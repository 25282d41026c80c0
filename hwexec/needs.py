"""What a Schedule touches: the buffers that must exist before it can run, and their bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.errors import DoesNotFit
from sim.memory import activation_bytes
from sim.precision import weight_bytes
from sim.schedule import NO_EXPERT, NO_SLOT, Kind, Schedule
from sim.slots import Key

_BLOCK_KINDS = (Kind.ATTENTION, Kind.GATE)


@dataclass(frozen=True)
class Needs:
    """Which experts and blocks a schedule reads on which side, and how much cache, staging and storage."""

    host_experts: tuple[Key, ...]
    host_blocks: tuple[int, ...]
    gpu_blocks: tuple[int, ...]
    cache_entries: dict[int, int]  # block -> most KV entries, over all sequences, of one op
    staging_bytes: int  # largest send
    stored_bytes: int  # largest read from storage


def needs_of(schedule: Schedule) -> Needs:
    """Look through all ops once."""
    ops = schedule.ops
    on_gpu = np.array([lane.name.startswith("gpu") for lane in schedule.lanes])[ops.lane]
    expert = (ops.kind == Kind.EXPERT) & (ops.expert >= 0)
    moved = np.isin(ops.kind, (Kind.LOAD, Kind.UNLOAD, Kind.READ)) & (ops.expert >= 0)
    block = np.isin(ops.kind, _BLOCK_KINDS) | ((ops.kind == Kind.EXPERT) & (ops.expert == NO_EXPERT))
    loaded = (ops.kind == Kind.LOAD) & (ops.expert == NO_EXPERT)
    from_host = moved | (expert & (ops.slot == NO_SLOT))
    keys = np.unique(np.stack([ops.layer[from_host], ops.expert[from_host]], axis=1), axis=0)
    return Needs(
        host_experts=tuple((int(layer), int(e)) for layer, e in keys),
        host_blocks=_layers(ops.layer[loaded | (block & ~on_gpu)]),
        gpu_blocks=_layers(ops.layer[loaded | (block & on_gpu)]),
        cache_entries=_cache_entries(schedule),
        staging_bytes=int(ops.size_bytes[ops.kind == Kind.SEND].max(initial=0)),
        stored_bytes=int(ops.size_bytes[ops.kind == Kind.READ].max(initial=0)),
    )


def _layers(layers: NDArray[np.int16]) -> tuple[int, ...]:
    return tuple(int(layer) for layer in np.unique(layers))


def _cache_entries(schedule: Schedule) -> dict[int, int]:
    """A prompt shorter than the tokens it is rounded up to counts as these."""
    ops = schedule.ops
    rows = np.flatnonzero(ops.kind == Kind.ATTENTION)
    sequences = ops.sequences[rows].astype(np.int64)
    longest = np.maximum(ops.context[rows], -(-ops.tokens[rows] // sequences))
    entries = np.zeros(schedule.model.n_layers, np.int64)
    np.maximum.at(entries, ops.layer[rows], sequences * longest)
    return {int(layer): int(entries[layer]) for layer in np.flatnonzero(entries)}


def gpu_items(schedule: Schedule, needs: Needs) -> dict[str, int]:
    """Bytes by purpose on the GPU's side."""
    model, precisions = schedule.model, schedule.precisions
    cache = sum(weight_bytes(n * model.kv_values(layer), precisions.kv) for layer, n in needs.cache_entries.items())
    tokens = max((step.tokens for step in schedule.steps), default=0)
    sequences = max((step.sequences for step in schedule.steps), default=0)
    return {
        "expert slots": schedule.n_slots * model.expert_bytes(precisions.experts),
        "blocks": _block_bytes(schedule, needs.gpu_blocks),
        "head": weight_bytes(model.vocab * model.hidden, precisions.rest),
        "KV cache": cache,
        "working memory": 2 * activation_bytes(model, precisions, sequences, tokens),
        "staging": needs.staging_bytes,
    }


def host_items(schedule: Schedule, needs: Needs) -> dict[str, int]:
    """Bytes by purpose on the host's side, all but the experts that it keeps."""
    return {"blocks": _block_bytes(schedule, needs.host_blocks), "staging": needs.staging_bytes}


def memory_items(schedule: Schedule, needs: Needs) -> dict[str, int]:
    """Bytes by purpose where one memory serves both sides, all but the experts that the host keeps."""
    items = gpu_items(schedule, needs)
    for name, size in host_items(schedule, needs).items():
        items[name] += size
    return items


def _block_bytes(schedule: Schedule, layers: tuple[int, ...]) -> int:
    return sum(schedule.model.layer_bytes(layer, schedule.precisions.rest) for layer in layers)


def host_pool(schedule: Schedule, needs: Needs, items: Mapping[str, int], usable_bytes: int, least: int) -> int:
    """How many expert buffers the host keeps beside `items`: one an expert, or as many as fit.

    With fewer buffers than experts, experts share them in turn: every copy is as real, only its values are another
    expert's. Raises DoesNotFit, showing the sum, if not even `least` fit.
    """
    wanted = len(needs.host_experts)
    each = schedule.model.expert_bytes(schedule.precisions.experts)
    pool = min(wanted, max(0, usable_bytes - sum(items.values())) // each)
    least = min(wanted, least)
    check_fits("this computer", {**items, "host experts": max(least, 0) * each if pool < least else 0}, usable_bytes)
    return int(pool)


def check_fits(where: str, items: Mapping[str, int], usable_bytes: int) -> None:
    """Raise DoesNotFit, showing the sum, if a memory is too small."""
    total = sum(items.values())
    if total > usable_bytes:
        parts = " + ".join(f"{name} {size / 1e9:.3g}" for name, size in items.items() if size)
        raise DoesNotFit(
            f"the schedule does not fit {where}: "
            f"{parts} = {total / 1e9:.3g} GB > {usable_bytes / 1e9:.3g} GB available",
            field="memory",
            remedy="cache fewer experts, use a smaller model or a lower precision, or free memory",
        )
