"""Copy seconds by size, in both directions, and reads from storage."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from calibrate.bench import Bench
from calibrate.journal import Samples
from calibrate.units import Unit
from hwexec.backend import Task
from hwexec.fingerprint import cache_bytes
from hwexec.memory import StoredFile
from hwexec.tasks import copy_now
from hwexec.workspace import random_tensor
from sim.model import MoEModel
from sim.precision import Precisions

DIRECTIONS = {"h2d": "gpu0.h2d", "d2h": "gpu0.d2h", "read": "storage"}
_SMALLEST, _FACTOR, _LARGEST = 1 << 10, 4, 64 << 20
_PASSES = 4
_READ_FROM = 1 << 20  # reads from storage are of whole experts
_SETS = 3


def copy_sizes(models: Sequence[tuple[MoEModel, Precisions]]) -> list[int]:
    """A geometric grid, and the very sizes of the models' experts, blocks and activations."""
    exact = {model.expert_bytes(precisions.experts) for model, precisions in models}
    for model, precisions in models:
        exact |= {model.layer_bytes(layer, precisions.rest) for layer in range(model.n_layers)}
    grid, size = set(), _SMALLEST
    while size <= max(_LARGEST, *exact):
        grid.add(size)
        size *= _FACTOR
    return sorted(grid | exact)


def link_point(direction: str, size_bytes: int) -> str:
    """Name of the samples of one direction and size."""
    return f"{direction} {size_bytes} bytes"


class LinkPlan:
    """Copies of every size between buffers that take turns."""

    def __init__(self, models: Sequence[tuple[MoEModel, Precisions]]) -> None:
        self.sizes = copy_sizes(models)
        self._buffers: list[torch.Tensor] = []
        self._stored: StoredFile | None = None

    def units(self, bench: Bench, budget_s: float) -> list[Unit]:
        """One unit a direction, size and pass."""
        points = [(direction, size) for direction in DIRECTIONS for size in self.sizes_of(direction)]
        share_s = budget_s / (len(points) * _PASSES)
        return [
            Unit(f"{link_point(*point)} pass {turn}", share_s, partial(self._measure, bench, *point), turn > 0)
            for turn in range(_PASSES)
            for point in points
        ]

    def sizes_of(self, direction: str) -> list[int]:
        """The sizes measured in one direction; small ones are left out of the slow reads from storage."""
        least = min(_READ_FROM, self.sizes[-1]) if direction == "read" else 0
        return [size for size in self.sizes if size >= least]

    def close(self) -> None:
        """Delete the file behind reads from storage."""
        if self._stored is not None:
            self._stored.close()

    def _measure(self, bench: Bench, direction: str, size_bytes: int, budget_s: float, _: Samples) -> Samples:
        tasks = self._reads(size_bytes) if direction == "read" else self._copies(size_bytes)
        return bench.time(link_point(direction, size_bytes), DIRECTIONS[direction], tasks, budget_s)

    def _copies(self, size_bytes: int) -> list[Task]:
        parts = [buffer[:size_bytes] for buffer in self._all_buffers()]
        return [copy_now(parts[2 * i], parts[2 * i + 1]) for i in range(_SETS)]

    def _reads(self, size_bytes: int) -> list[Task]:
        if self._stored is None:
            self._stored = StoredFile(self.sizes[-1], seed=0)
        return [partial(self._stored.read_into, buffer[:size_bytes]) for buffer in self._all_buffers()[:_SETS]]

    def _all_buffers(self) -> list[torch.Tensor]:
        if not self._buffers:
            size = max(self.sizes[-1], cache_bytes())
            self._buffers = [random_tensor(size // 4 + 1, torch.float32, torch.device("cpu"), i).view(torch.uint8)
                             for i in range(2 * _SETS)]  # fmt: skip
        return self._buffers
