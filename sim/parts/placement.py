"""Placements: which experts are on the GPU before the first token."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.errors import InputError
from sim.model import MoEModel
from sim.slots import Key
from sim.strategy import World


def popular_placement(model: MoEModel, popularity: NDArray[np.int64], n_slots: int) -> list[Key]:
    """The `floor(n_slots / blocks)` most popular experts of every MoE block, then the globally next most popular.

    As in DAOP's released code; ties go to the lower block and expert number. Least popular first, so that a cache
    filled in this order holds the most popular as the most recent.
    """
    n_slots = min(n_slots, popularity.size)
    every = min(n_slots // len(popularity), popularity.shape[1])
    rank = np.argsort(np.argsort(-popularity, axis=1, kind="stable"), axis=1, kind="stable")
    first_choice = np.where(rank < every, 0, 1).ravel()
    return _keys(model, np.lexsort((-popularity.ravel(), first_choice))[:n_slots])


def most_popular(model: MoEModel, popularity: NDArray[np.int64], n_slots: int) -> list[Key]:
    """The most popular experts of all, whatever their block; a block may get none. Ties and order as above.

    As in Fiddler's released code, and in DAOP's own version of it.
    """
    return _keys(model, np.argsort(-popularity.ravel(), kind="stable")[:n_slots])


def decode_popularity(world: World) -> NDArray[np.int64]:
    """How often experts were routed to in the decode steps of the calibration run [MoE block, expert].

    In all its tokens, if none of them was decoded or the run itself is not at hand.
    """
    if world.calibration is None:
        return world.popularity
    counts = world.calibration.popularity(decode_only=True)
    return counts if counts.any() else world.popularity


def _keys(model: MoEModel, order: NDArray[np.intp]) -> list[Key]:
    """Of experts numbered through all blocks, most wanted first, the (block, expert) in reverse."""
    moe, expert = np.divmod(order[::-1], model.n_experts)
    blocks = np.array(model.moe_layers)[moe]
    return list(zip(blocks.tolist(), expert.tolist(), strict=True))


def equal_share(model: MoEModel, n_slots: int, name: str) -> int:
    """Slots of each MoE block where all have the same number, at least one; raises InputError if that cannot be."""
    share, left_over = divmod(n_slots, model.n_moe_layers)
    if left_over or not share:
        raise InputError(
            f"{name} gives each of {model.n_moe_layers} layers the same number of slots, at least one",
            field="cache",
            value=n_slots,
            remedy=f"give it `cache: {max(share, 1) * model.n_moe_layers}`",
        )
    return min(share, model.n_experts)
