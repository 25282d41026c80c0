"""Small routing traces that the tests of the trace side share."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from sim.trace import RoutingTrace, id_dtype


def random_trace(
    sequences: list[tuple[int, int]],
    n_layers: int = 2,
    n_experts: int = 6,
    top_k: int = 2,
    seed: int = 0,
    **fields: Any,
) -> RoutingTrace:
    """A uniformly routed trace of (prompt, output) tokens per sequence."""
    lengths = [prompt + output for prompt, output in sequences]
    draws = np.random.default_rng(seed).random((sum(lengths), n_layers, n_experts))
    return RoutingTrace(
        ids=draws.argsort(axis=2)[:, :, :top_k].astype(id_dtype(n_experts)),
        offsets=np.cumsum([0, *lengths]).astype(np.int64),
        prompt_tokens=np.array([prompt for prompt, _ in sequences], dtype=np.int64),
        n_experts=n_experts,
        **fields,
    )


sequence_lists = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=6)
