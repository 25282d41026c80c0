"""Decisions: what becomes of every routed expert of a run, and of every guess; all else follows from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HIT, PREFETCHED, OFFLOAD, DEMAND, LATE, STREAM, UNDECIDED = range(7)
"""Fates: run from its slot, from one that a prefetch filled, on the CPU, after its load among the first loads of the
block, after a load that could only be made when others had been issued, or through a placeholder."""
NOBODY = -1


@dataclass(frozen=True, eq=False, slots=True)
class Decisions:
    """By routed expert (as `Passes.experts`): its `fate`, and the key whose place it takes, or NOBODY.

    By guess: whether it is `brought`, and whose place it takes. A key is MoE block × experts + expert. `swap`: the
    weights of who leaves are copied back; `blocking`: the host waits for streamed copies.
    """

    fate: NDArray[np.int8]
    victim: NDArray[np.int32]
    brought: NDArray[np.bool_]
    guess_victim: NDArray[np.int32]
    swap: bool = False
    blocking: bool = False
