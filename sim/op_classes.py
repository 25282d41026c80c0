"""Op classes: the ops of a schedule that cost the same on any one machine, found once and priced per machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.kernel_cost import OpSize, Sizes, sizes_of
from sim.model import MoEModel
from sim.precision import Precisions
from sim.schedule import Kind, Ops


class ClassGroup(NamedTuple):
    """Classes (`members`) that differ in sizes only, so that one formula prices them; `like` is an op of the first."""

    kind: Kind
    lane: int
    like: OpSize
    members: NDArray[np.intp]
    sizes: Sizes


@dataclass(frozen=True)
class OpClasses:
    """`which` [op] numbers each op's class; `first` [class] is one op of it, whose columns stand for all.

    Ops of one class have lane, kind, sizes and kind of block in common, so that any machine prices them alike. What
    the author of a `software` op states is no matter of the machine and stays with the op.
    """

    which: NDArray[np.intp]
    first: NDArray[np.intp]
    _grouped: dict[Precisions, list[ClassGroup]] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.first)

    def groups(self, ops: Ops, model: MoEModel, precisions: Precisions) -> Sequence[ClassGroup]:
        """The classes in groups, with all that their price rests on but the machine; of the ops that they are of."""
        if precisions not in self._grouped:
            self._grouped[precisions] = _groups(self.first, ops, model, precisions)
        return self._grouped[precisions]


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


def _groups(first: NDArray[np.intp], ops: Ops, model: MoEModel, precisions: Precisions) -> list[ClassGroup]:
    kinds_of_block = block_classes(model)[np.clip(ops.layer[first], 0, None)]
    columns = (ops.layer, ops.expert, ops.tokens, ops.context, ops.sequences, ops.size_bytes)
    sizes = [OpSize(*row) for row in zip(*(column[first].tolist() for column in columns), strict=True)]
    rows = zip(ops.kind[first].tolist(), ops.lane[first].tolist(), kinds_of_block.tolist(), sizes, strict=True)
    members: dict[tuple[int, int, int, bool, bool], list[int]] = {}
    for number, (kind, lane, block, size) in enumerate(rows):
        members.setdefault((kind, lane, block, size.expert >= 0, size.prefill), []).append(number)
    return [
        ClassGroup(
            kind=Kind(kind),
            lane=lane,
            like=sizes[mine[0]],
            members=np.array(mine, np.intp),
            sizes=sizes_of(model, precisions, Kind(kind), [sizes[number] for number in mine]),
        )
        for (kind, lane, *_), mine in members.items()
    ]


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
