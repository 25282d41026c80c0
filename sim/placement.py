"""Placements: which experts are on the GPU before the first token."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.model import MoEModel
from sim.slots import Key


def popular_placement(model: MoEModel, popularity: NDArray[np.int64], n_slots: int) -> list[Key]:
    """The `floor(n_slots / blocks)` most popular experts of every MoE block, then the globally next most popular.

    As in DAOP's released code; ties go to the lower block and expert number. Least popular first, so that a cache
    filled in this order holds the most popular as the most recent.
    """
    n_slots = min(n_slots, popularity.size)
    every = min(n_slots // len(popularity), popularity.shape[1])
    rank = np.argsort(np.argsort(-popularity, axis=1, kind="stable"), axis=1, kind="stable")
    first_choice = np.where(rank < every, 0, 1).ravel()
    order = np.lexsort((-popularity.ravel(), first_choice))[:n_slots]
    moe, expert = np.divmod(order[::-1], popularity.shape[1])
    blocks = np.array(model.moe_layers)[moe]
    return list(zip(blocks.tolist(), expert.tolist(), strict=True))
