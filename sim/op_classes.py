"""Op classes: the ops of a schedule that cost the same on any one machine, found once and priced per machine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sim.model import MoEModel
from sim.schedule import Kind, Ops


@dataclass(frozen=True)
class OpClasses:
    """`which` [op] numbers each op's class; `first` [class] is one op of it, whose columns stand for all.

    Ops of one class have lane, kind, sizes and kind of block in common, so that any machine prices them alike. What
    the author of a `software` op states is no matter of the machine and stays with the op.
    """

    which: NDArray[np.intp]
    first: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.first)


def op_classes(ops: Ops, model: MoEModel) -> OpClasses:
    """Group a block of ops."""
    kinds_of_block = block_classes(model)[np.clip(ops.layer, 0, None)]
    columns = (ops.kind, ops.lane, kinds_of_block, routed(ops), ops.tokens, ops.context, ops.sequences, ops.size_bytes)
    key = np.zeros(len(ops), np.int64)
    for column in columns:
        values, code = np.unique(column, return_inverse=True)
        key = key * len(values) + code
        _, key = np.unique(key, return_inverse=True)  # stay far from overflow
    _, first, which = np.unique(key, return_index=True, return_inverse=True)
    return OpClasses(which, first)


def routed(ops: Ops) -> NDArray[np.bool_]:
    """Which ops run a routed expert."""
    which: NDArray[np.bool_] = (ops.kind == Kind.EXPERT) & (ops.expert >= 0)
    return which


@lru_cache(maxsize=8)
def block_classes(model: MoEModel) -> NDArray[np.int64]:
    """For each block, a number that blocks of equal cost share."""
    numbers: dict[tuple[object, ...], int] = {}
    classes = []
    for layer in range(model.n_layers):
        key = (
            model.attention_params(layer),
            model.moe_index(layer) >= 0,
            model.kv_tokens(layer, 1 << 40),
            layer < model.encoder_layers,
        )
        classes.append(numbers.setdefault(key, len(numbers)))
    return np.array(classes, np.int64)
