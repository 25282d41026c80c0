"""The state that a machine is in: how fast one core reads memory right now.

Other programs, and on a rented machine other tenants, slow memory by tens of percent for seconds or hours at a time.
The yardstick tells such a drift from an error of prediction.
"""

from __future__ import annotations

from statistics import median
from time import perf_counter

import torch

from hwexec.cores import pinned
from hwexec.fingerprint import cache_bytes
from hwexec.workspace import random_tensor

_WIDTH = 1024
_READINGS = 3


class Yardstick:
    """A matrix-vector product over more than the caches hold: what a memory-bound expert does."""

    def __init__(self) -> None:
        rows = 2 * cache_bytes() // (4 * _WIDTH) + 1
        device = torch.device("cpu")
        self._matrix = random_tensor(rows * _WIDTH, torch.float32, device, seed=0).view(rows, _WIDTH)
        self._vector = random_tensor(_WIDTH, torch.float32, device, seed=1)
        self._out = torch.empty(rows)
        self.read_bytes = 4 * rows * _WIDTH

    def read(self) -> None:
        """Pass over the matrix once."""
        torch.mv(self._matrix, self._vector, out=self._out)

    def bytes_per_s(self, core: int) -> float:
        """Median speed of a few passes on one core, by the calling thread."""
        threads = torch.get_num_threads()
        try:
            with pinned(core), torch.inference_mode():
                torch.set_num_threads(1)
                return self.read_bytes / median(self._timed() for _ in range(_READINGS))
        finally:
            torch.set_num_threads(threads)

    def _timed(self) -> float:
        began = perf_counter()
        self.read()
        return perf_counter() - began
