"""Decisions: what becomes of every routed expert of a run, and of every guess; all else follows from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.planning.guesses import Guesses
from sim.planning.passes import Passes

HIT, PREFETCHED, OFFLOAD, DEMAND, LATE, STREAM, UNDECIDED = range(7)
"""Fates: run from its slot, from one that a prefetch filled, on the CPU, after its load among the first loads of the
block, after a load that could only be made when others had been issued, or through a placeholder."""
NOBODY = -1

ROUTED = np.dtype([(name, np.int64) for name in ("expert", "tokens", "victim", "fate")], align=True)
GUESSED = np.dtype([(name, np.int64) for name in ("expert", "victim", "brought")], align=True)


@dataclass(frozen=True, eq=False, slots=True)
class Decisions:
    """`routed` and `guessed`: what `Passes` and `Guesses` have of every cell, its fate, and whose place it takes.

    A victim is a key, MoE block × experts + expert, or NOBODY. `swap`: the weights of who leaves are copied back;
    `blocking`: the host waits for streamed copies.
    """

    routed: NDArray[np.void]
    guessed: NDArray[np.void]
    swap: bool = False
    blocking: bool = False


def undecided(run: Passes, guesses: Guesses) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """Rows of what was routed and guessed, for a twin to fill."""
    routed, guessed = np.empty(len(run.experts), ROUTED), np.empty(len(guesses.experts), GUESSED)
    routed["expert"], routed["tokens"], routed["fate"] = run.experts, run.counts, UNDECIDED
    guessed["expert"], guessed["brought"] = guesses.experts, 0
    routed["victim"] = guessed["victim"] = NOBODY
    return routed, guessed
