"""What each op has to do with the critical path."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.critical_path import Cause, Path

OFF_PATH = len(Cause)  # stands for the cause of ops that are not on the path


@dataclass(frozen=True)
class OnPath:
    """Of each op, [op] arrays: seconds of the path that belong to it, and the cause of most of them."""

    seconds: NDArray[np.float64]
    cause: NDArray[np.uint8]


def on_path(path: Path) -> OnPath:
    """Add up the segments of a path by op; of causes with equal seconds the first counts."""
    n_ops, n_causes = len(path.timeline.schedule), len(Cause)
    pair, which = np.unique(path.op * n_causes + path.cause, return_inverse=True)
    pair_s = np.bincount(which, path.segment_s, len(pair))
    op, cause = np.divmod(pair, n_causes)
    longest_last = np.lexsort((-cause, pair_s, op))
    causes = np.full(n_ops, OFF_PATH, np.uint8)
    causes[op[longest_last]] = cause[longest_last]
    return OnPath(np.bincount(op, pair_s, n_ops).astype(np.float64), causes)
