"""The buffers of one run, on both sides of the link."""

from __future__ import annotations

import os
import tempfile

import numpy as np
import torch
from numpy.typing import NDArray

from hwexec.compute import Weights, head_values
from hwexec.needs import Needs
from hwexec.workspace import DTYPES, computed_in, dtype_of, random_tensor
from sim.schedule import Schedule
from sim.slots import Key


class HostSpace:
    """Where host buffers come from: memory of their own."""

    def take(self, values: int, dtype: torch.dtype, seed: int) -> torch.Tensor:
        """A flat tensor of random values on the host."""
        return random_tensor(values, dtype, torch.device("cpu"), seed)


class Memory:
    """Expert slots, blocks, head and KV caches on `gpu`; a pool of experts and the blocks that stream on the host.

    All buffers are distinct and filled with random values before anything is timed. Experts in a precision without a
    kernel are bytes, which are moved, and kernels read one of `dequantised` buffers in turn instead.
    """

    def __init__(
        self, schedule: Schedule, needs: Needs, pool: int, gpu: torch.device, seed: int,
        host_space: HostSpace | None = None, dequantised: int = 0,
    ) -> None:  # fmt: skip
        model, precisions = schedule.model, schedule.precisions
        host = torch.device("cpu")
        self._host_space = host_space or HostSpace()
        self.expert_dtype, self.dtype = dtype_of(computed_in(precisions.experts)), dtype_of(precisions.rest)
        stored = model.expert_params, self.expert_dtype
        if precisions.experts not in DTYPES:
            stored = model.expert_bytes(precisions.experts), torch.uint8
        self._seed = seed
        self._host_index = {key: i for i, key in enumerate(needs.host_experts)}
        self.slots = [random_tensor(*stored, gpu, seed) for _ in range(schedule.n_slots)]
        self.pool = [self._host_space.take(*stored, seed) for _ in range(pool)]
        self._dequantised = {
            device: [random_tensor(model.expert_params, self.expert_dtype, device, seed) for _ in range(dequantised)]
            for device in ({gpu, host} if dequantised else ())
        }
        self._gpu = gpu
        self.gpu_blocks = {layer: self._rest(model.layer_params(layer), gpu) for layer in needs.gpu_blocks}
        self.host_blocks = {layer: self._host_rest(model.layer_params(layer)) for layer in needs.host_blocks}
        self.head = self._rest(head_values(model), gpu)
        self.caches = {
            layer: self._rest(entries * model.kv_values(layer), gpu) for layer, entries in needs.cache_entries.items()
        }
        self.staging = (random_tensor(needs.staging_bytes, torch.uint8, gpu, seed),
                        self._host_space.take(needs.staging_bytes, torch.uint8, seed))  # fmt: skip
        self.storage = StoredFile(needs.stored_bytes, self._seed) if needs.stored_bytes else None

    def host_expert(self, key: Key) -> torch.Tensor:
        """The host's weights of a (block, expert); a smaller pool than the model is shared in turn."""
        return self.pool[self._host_index[key] % len(self.pool)]

    def weights(self, layer: int, expert: int, slot: int, *, on_gpu: bool) -> Weights:
        """What a compute op on either side reads."""
        if expert >= 0:
            return Weights(expert=self._expert((layer, expert), slot, on_gpu=on_gpu))
        blocks = self.gpu_blocks if on_gpu else self.host_blocks
        return Weights(block=blocks.get(layer), head=self.head, cache=self.caches.get(layer))

    def close(self) -> None:
        """Remove the file behind reads from storage."""
        if self.storage is not None:
            self.storage.close()

    def _expert(self, key: Key, slot: int, *, on_gpu: bool) -> torch.Tensor:
        if self._dequantised:
            turn = self._dequantised[self._gpu if on_gpu else torch.device("cpu")]
            return turn[(slot if slot >= 0 else self._host_index[key]) % len(turn)]
        return self.slots[slot] if slot >= 0 else self.host_expert(key)

    def _rest(self, values: int, device: torch.device) -> torch.Tensor:
        return random_tensor(values, self.dtype, device, self._seed + 1)

    def _host_rest(self, values: int) -> torch.Tensor:
        return self._host_space.take(values, self.dtype, self._seed + 1)


class StoredFile:
    """A file on this computer's temporary storage that stands for the experts kept there."""

    def __init__(self, size_bytes: int, seed: int) -> None:
        data = random_tensor(-(-size_bytes // 4), torch.float32, torch.device("cpu"), seed)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  (closed by `close`)
        self._file.write(data.view(torch.uint8).numpy().data)
        self._file.flush()
        os.fsync(self._file.fileno())

    def read_into(self, target: torch.Tensor) -> None:
        """Fill a host tensor from storage, past the page cache where the file system allows."""
        view: NDArray[np.uint8] = target.view(torch.uint8).numpy()
        descriptor = self._file.fileno()
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        if os.preadv(descriptor, [view.data], 0) != len(view):
            raise OSError("the stand-in for storage was cut short")

    def close(self) -> None:
        """Close and delete it."""
        self._file.close()
