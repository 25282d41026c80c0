"""Print the rates of compiled replays beside those of the plain-Python policies, in one run."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.timing import Rate, rate
from sim.replay import COMPILED, Replayer
from sim.replay.accesses import trace_accesses
from sim.trace import RoutingTrace, id_dtype

TOKENS, LAYERS, EXPERTS, TOP_K = 20_000, 16, 64, 8  # OLMoE's geometry
SHARE = 0.25
REFERENCE_TOKENS = 1_000
TARGET = 5_000_000.0


def drifting_trace(n_tokens: int) -> RoutingTrace:
    """Popular experts and a context of fifty tokens."""
    rng = np.random.default_rng(0)
    ids = np.empty((n_tokens, LAYERS, TOP_K), id_dtype(EXPERTS))
    for layer in range(LAYERS):
        context = np.repeat(rng.normal(size=(n_tokens // 50, EXPERTS)), 50, axis=0)
        scores = rng.normal(size=EXPERTS) + 1.5 * context + rng.gumbel(size=(n_tokens, EXPERTS))
        ids[:, layer] = np.argsort(-scores, axis=1)[:, :TOP_K]
    return RoutingTrace(ids, np.array([0, n_tokens]), np.array([0]), EXPERTS)


def rates() -> list[tuple[Rate, Rate]]:
    """Of each compiled policy, on one cache for all layers: compiled, and the reference on fewer tokens."""
    trace = drifting_trace(TOKENS)
    accesses = trace_accesses(trace)
    fewer = trace_accesses(drifting_trace(REFERENCE_TOKENS))
    capacity = round(SHARE * LAYERS * EXPERTS)
    found = []
    for policy in COMPILED:
        fast, slow = Replayer(accesses), Replayer(fewer, compiled=False)
        compiled = rate(policy, len(accesses), partial(fast.run, policy, capacity))
        found.append((compiled, rate(policy, len(fewer), partial(slow.run, policy, capacity), repeats=3)))
    return found


def main() -> None:
    """Print one line a policy: accesses a second, compiled and not, and their ratio."""
    print(f"{'replay':28}{'per second':>14}{'low':>14}{'high':>14}{'÷ Python':>11}   target")
    for compiled, reference in rates():
        ratio = compiled.per_s / reference.per_s
        speeds = f"{compiled.per_s:14,.0f}{compiled.low:14,.0f}{compiled.high:14,.0f}"
        target = f"{TARGET:,.0f}" if compiled.name == "lru" else ""
        print(f"{compiled.name:28}{speeds}{ratio:11.1f}   {target}")


if __name__ == "__main__":
    main()
