"""Exchanges: which experts of one layer change places between CPU and GPU for the sequence at hand (DAOP)."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nlargest, nsmallest

from sim.program import Program
from sim.schedule import Reason
from sim.strategy import LayerPass


def exchanges(
    tokens: Sequence[int], resident: Sequence[bool], *, ratio: float, most: int, idle_count_as_cold: bool = False
) -> list[tuple[int, int]]:
    """Pairs (hot, cold): the i-th busiest expert on the CPU and the i-th idlest on the GPU.

    `tokens` and `resident` are by expert. At most `most` pairs, and only those with hot > ratio × cold; ties go to the
    lower number. `idle_count_as_cold`: as in DAOP's release, an expert on the CPU without tokens takes a place among
    the idlest, and its pair is left out.
    """
    experts = range(len(tokens))
    candidates = [e for e in experts if resident[e] or (idle_count_as_cold and not tokens[e])]
    hot = nlargest(most, (e for e in experts if not resident[e]), key=tokens.__getitem__)
    cold = nsmallest(most, candidates, key=tokens.__getitem__)
    return [
        (wanted, idle)
        for wanted, idle in zip(hot, cold, strict=False)
        if resident[idle] and tokens[wanted] > ratio * tokens[idle]
    ]


def swap(p: Program, now: LayerPass, *, ratio: float, most: int, idle_count_as_cold: bool = False) -> set[int]:
    """Exchange experts of a layer by its tokens at hand, one copy down and one up a pair; returns those that came.

    The host waits for each pair, so that the layer's experts run after all of them.
    """
    experts = range(p.model.n_experts)
    tokens, resident = [now.tokens_of.get(e, 0) for e in experts], [p.resident(now.layer, e) for e in experts]
    pairs = exchanges(tokens, resident, ratio=ratio, most=most, idle_count_as_cold=idle_count_as_cold)
    for hot, cold in pairs:
        out = p.unload(now.layer, cold, reason=Reason.SWAP)
        p.wait(p.load(now.layer, hot, after=[out], reason=Reason.SWAP))
    return {hot for hot, _ in pairs}
