"""What the trace commands say of a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.trace import RoutingTrace


def describe(trace: RoutingTrace) -> str:
    """The sizes of a trace in a line."""
    prompt = int(trace.prompt_tokens.sum())
    return (
        f"{trace.n_tokens} tokens ({prompt} of prompts) in {trace.n_sequences} sequences, "
        f"{trace.n_layers} MoE layers × {trace.n_experts} experts, top-{trace.top_k}"
    )
