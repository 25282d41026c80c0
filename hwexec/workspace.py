"""Working memory of one lane: preallocated, random, in one dtype on one device."""

from __future__ import annotations

import numpy as np
import torch

from sim.errors import InputError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_SCALE = 0.02  # standard deviation of weights and inputs, as models are initialised: nothing overflows in fp16
_TILE = 1 << 20
_ALIGN = 64


def dtype_of(precision: str) -> torch.dtype:
    """The torch type that stores a precision; raises InputError where no kernel reads it."""
    if precision not in DTYPES:
        raise InputError(
            "there is no kernel for this precision",
            field="precision",
            value=precision,
            remedy=f"execute and calibrate with one of {', '.join(DTYPES)}",
        )
    return DTYPES[precision]


def computed_in(precision: str) -> str:
    """The precision that a GPU's kernels compute in: bf16, on weights dequantised beforehand, where there is none."""
    return precision if precision in DTYPES else "bf16"


def random_tensor(n: int, dtype: torch.dtype, device: torch.device, seed: int) -> torch.Tensor:
    """`n` normal values, or bytes of any value; see `fill`."""
    out = _empty(n, dtype, device)
    fill(out, seed)
    return out


def fill(out: torch.Tensor, seed: int) -> None:
    """Fill a flat tensor with random values; a drawn tile repeats, so that gigabytes fill at copy speed."""
    n, draw = len(out), torch.Generator().manual_seed(seed)
    if out.dtype == torch.uint8:
        tile = torch.randint(256, (min(n, _TILE),), generator=draw, dtype=torch.uint8).to(out.device)
    else:
        tile = (torch.randn(min(n, _TILE), generator=draw) * _SCALE).to(dtype=out.dtype, device=out.device)
    for start in range(0, n, _TILE):
        out[start : start + _TILE] = tile[: n - start]


def _empty(n: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Memory of the host comes from NumPy, which asks for huge pages: filled sooner, and fewer address look-ups."""
    if device.type != "cpu":
        return torch.empty(n, dtype=dtype, device=device)
    raw = torch.from_numpy(np.empty(n * dtype.itemsize + _ALIGN, np.uint8))
    start = -raw.data_ptr() % _ALIGN
    return raw[start : start + n * dtype.itemsize].view(dtype)


class Workspace:
    """Named buffers that kernels of one lane share: they run one at a time, and a name is one buffer.

    Buffers grow while tasks are built, largest first if memory matters, and stay where they are when tasks run.
    """

    def __init__(self, dtype: torch.dtype, device: torch.device, seed: int = 0) -> None:
        self.dtype, self.device = dtype, device
        self._seed = seed
        self._buffers: dict[tuple[str, torch.dtype], torch.Tensor] = {}

    def take(self, name: str, *shape: int, dtype: torch.dtype | None = None) -> torch.Tensor:
        """The buffer `name` as a contiguous tensor of this shape; holds random values until it is written."""
        kind, n = dtype or self.dtype, 1
        for size in shape:
            n *= size
        held = self._buffers.get((name, kind))
        if held is None or len(held) < n:
            if kind.is_floating_point:
                held = random_tensor(n, kind, self.device, self._seed + len(self._buffers))
            else:
                held = torch.zeros(n, dtype=kind, device=self.device)
            self._buffers[name, kind] = held
        return held[:n].view(shape)
