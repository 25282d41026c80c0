"""Host memory that the GPU copies from and to: one arena that schedule after schedule is laid out in."""

from __future__ import annotations

import mmap

import numpy as np
import torch
from numpy.typing import NDArray

from hwexec.device import Device
from hwexec.memory import HostSpace
from hwexec.workspace import fill, random_tensor

_PAGE = 4096
_STEP = 64 << 20


class PinnedSpace(HostSpace):
    """Buffers in an arena that is pinned and filled once, and again only to grow or for another type of value.

    Pinning gigabytes takes seconds. With `pin=False` the arena is pageable. Buffers of another type than the arena's
    are memory of their own.
    """

    def __init__(self, device: Device, *, pin: bool = True) -> None:
        self._device, self._pin = device, pin
        self._arena: NDArray[np.uint8] = np.empty(0, np.uint8)
        self._dtype: torch.dtype | None = None
        self._used = 0
        self._apart: list[NDArray[np.uint8]] = []

    def reserve(self, size_bytes: int, dtype: torch.dtype) -> None:
        """Begin a layout of so many bytes, of mainly this type; raises InputError if it cannot be pinned."""
        self._forget_layout()
        if size_bytes > len(self._arena):
            self._drop_arena()
            arena = _mapped(-(-size_bytes // _STEP) * _STEP)
            if self._pin:
                self._device.pin(arena)
            self._arena, self._dtype = arena, None
        if dtype != self._dtype and len(self._arena):
            fill(torch.from_numpy(self._arena).view(dtype), seed=0)
            self._dtype = dtype

    @property
    def held_bytes(self) -> int:
        """What the arena has already taken of the host's memory."""
        return len(self._arena)

    def take(self, values: int, dtype: torch.dtype, seed: int) -> torch.Tensor:
        """The next buffer of the layout."""
        size = values * dtype.itemsize
        if dtype != self._dtype or self._used + size > len(self._arena):
            return self._take_apart(values, dtype, seed)
        begin, self._used = self._used, self._used + -(-size // _PAGE) * _PAGE
        return torch.from_numpy(self._arena[begin : begin + size]).view(dtype)

    def words(self, n: int) -> NDArray[np.uint32]:
        """Zeroed words for signals; pinned, pageable space or not."""
        memory = _mapped(max(1, 4 * n))
        self._device.pin(memory)
        self._apart.append(memory)
        return memory[: 4 * n].view(np.uint32)

    def close(self) -> None:
        """Give everything back."""
        self._forget_layout()
        self._drop_arena()

    def _take_apart(self, values: int, dtype: torch.dtype, seed: int) -> torch.Tensor:
        if not values or not self._pin:
            return random_tensor(values, dtype, torch.device("cpu"), seed)
        memory = _mapped(values * dtype.itemsize)
        self._device.pin(memory)
        self._apart.append(memory)
        out = torch.from_numpy(memory[: values * dtype.itemsize]).view(dtype)
        fill(out, seed)
        return out

    def _forget_layout(self) -> None:
        for memory in self._apart:
            self._device.unpin(memory)
        self._apart, self._used = [], 0

    def _drop_arena(self) -> None:
        if self._pin and len(self._arena):
            self._device.unpin(self._arena)
        self._arena, self._dtype = np.empty(0, np.uint8), None


def layout_bytes(sizes: list[int]) -> int:
    """What buffers of these sizes take in an arena."""
    return sum(-(-size // _PAGE) * _PAGE for size in sizes)


def _mapped(size_bytes: int) -> NDArray[np.uint8]:
    """Pages of their own, huge ones where the system has them: sooner pinned, sooner filled."""
    pages = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        pages.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(pages, np.uint8)
