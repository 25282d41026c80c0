"""The Pareto front: rows that no other row beats in one objective without losing in another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenarios.sweeping.spec import ObjectiveSpec


def front(rows: Sequence[Mapping[str, Any]], objectives: Sequence[ObjectiveSpec]) -> NDArray[np.bool_]:
    """Tell of each row whether it is on the front: [row].

    Only feasible rows that have all objectives compete; equal ones are all on it or none.
    """
    competing = [i for i, row in enumerate(rows) if row["feasible"] and _complete(row, objectives)]
    found = np.zeros(len(rows), bool)
    if competing:
        found[np.array(competing)[undominated(losses([rows[i] for i in competing], objectives))]] = True
    return found


def losses(rows: Sequence[Mapping[str, Any]], objectives: Sequence[ObjectiveSpec]) -> NDArray[np.float64]:
    """The objectives of rows, signed so that less is better: [row, objective]."""
    signs = [-1.0 if objective.better == "higher" else 1.0 for objective in objectives]
    return np.array([[sign * row[o.figure] for sign, o in zip(signs, objectives, strict=True)] for row in rows])


def undominated(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which rows [row, objective], less being better, no other row is as good as everywhere and better somewhere."""
    distinct, which = np.unique(values, axis=0, return_inverse=True)  # ascending, so that no row beats an earlier one
    best = np.zeros(len(distinct), bool)
    kept = np.empty((0, values.shape[1]))
    for i, row in enumerate(distinct):
        if not (kept <= row).all(axis=1).any():
            best[i] = True
            kept = np.concatenate([kept, row[None]])
    return best[which.reshape(-1)]


def _complete(row: Mapping[str, Any], objectives: Sequence[ObjectiveSpec]) -> bool:
    return all(row[objective.figure] is not None for objective in objectives)
