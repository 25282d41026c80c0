"""Forward passes: how the sequences of a trace are batched, and what each pass asks of every layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sim.errors import InputError
from sim.trace import RoutingTrace


@dataclass(frozen=True, eq=False, slots=True)
class Step:
    """One forward pass: a whole prompt of each of its sequences (prefill), or one token of each (decode).

    `token_rows` are rows of the trace; `sequences` those that take part; `context` is the KV length of each of them,
    this pass included.
    """

    phase: Literal["prefill", "decode"]
    token_rows: NDArray[np.int64]
    sequences: NDArray[np.int64]
    context: NDArray[np.int64]


def steps(trace: RoutingTrace, batch: int) -> Iterator[Step]:
    """Yield the passes that run the sequences in order, `batch` of them in lock-step at a time.

    A batch prefills its prompts together and then decodes; sequences that end leave it, and the next batch starts
    when all have. Each token of the trace is in exactly one pass. Raises InputError if batch < 1.
    """
    if batch < 1:
        raise InputError("must be at least 1", field="batch", value=batch)
    for first in range(0, trace.n_sequences, batch):
        yield from _lock_step(trace, np.arange(first, min(first + batch, trace.n_sequences)))


def count_steps(trace: RoutingTrace, batch: int) -> int:
    """How many passes `steps` yields, without walking through them."""
    if not trace.n_sequences:
        return 0
    starts = np.arange(0, trace.n_sequences, batch)
    outputs = np.diff(trace.offsets) - trace.prompt_tokens
    prefills = np.maximum.reduceat(trace.prompt_tokens > 0, starts)
    return int(prefills.sum() + np.maximum.reduceat(outputs, starts).sum())


def _lock_step(trace: RoutingTrace, group: NDArray[np.int64]) -> Iterator[Step]:
    starts, prompts = trace.offsets[group], trace.prompt_tokens[group]
    outputs = trace.offsets[group + 1] - starts - prompts
    prompted = prompts > 0
    if prompted.any():
        rows = [np.arange(start, start + prompt) for start, prompt in zip(starts, prompts, strict=True)]
        yield Step("prefill", np.concatenate(rows), group[prompted], prompts[prompted])
    for position in range(int(outputs.max())):
        running = outputs > position
        context = prompts[running] + position
        yield Step("decode", starts[running] + context, group[running], context + 1)


def routed(trace: RoutingTrace, step: Step, layer: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct experts, ascending, that the pass needs in a MoE layer, and the tokens for each."""
    counts = np.bincount(trace.ids[step.token_rows, layer].ravel(), minlength=trace.n_experts)[: trace.n_experts]
    experts = np.flatnonzero(counts)
    return experts, counts[experts]


def accesses(trace: RoutingTrace, batch: int = 1) -> Iterator[list[tuple[int, int]]]:
    """Yield, pass by pass and layer by layer, the (layer, expert) keys in routing order, repeats included.

    Each list is what one cache replay enters together.
    """
    for step in steps(trace, batch):
        ids = trace.ids[step.token_rows]
        for layer in range(trace.n_layers):
            yield [(layer, expert) for expert in ids[:, layer].ravel().tolist() if expert != trace.missing]
