"""The buffers of one run, on both sides of the link."""

from __future__ import annotations

import os
import tempfile

import numpy as np
import torch
from numpy.typing import NDArray

from hwexec.compute import Weights, head_values
from hwexec.needs import Needs
from hwexec.workspace import dtype_of, random_tensor
from sim.schedule import Schedule
from sim.slots import Key


class Memory:
    """Expert slots, blocks, head and KV caches on `gpu`; a pool of experts and the blocks that stream on the host.

    All buffers are distinct and filled with random values before anything is timed.
    """

    def __init__(self, schedule: Schedule, needs: Needs, pool: int, gpu: torch.device, seed: int) -> None:
        model, precisions = schedule.model, schedule.precisions
        host = torch.device("cpu")
        self.expert_dtype, self.dtype = dtype_of(precisions.experts), dtype_of(precisions.rest)
        self._seed = seed
        self._host_index = {key: i for i, key in enumerate(needs.host_experts)}
        self.slots = [self._expert(model.expert_params, gpu) for _ in range(schedule.n_slots)]
        self.pool = [self._expert(model.expert_params, host) for _ in range(pool)]
        self.gpu_blocks = {layer: self._rest(model.layer_params(layer), gpu) for layer in needs.gpu_blocks}
        self.host_blocks = {layer: self._rest(model.layer_params(layer), host) for layer in needs.host_blocks}
        self.head = self._rest(head_values(model), gpu)
        self.caches = {
            layer: self._rest(entries * model.kv_values(layer), gpu) for layer, entries in needs.cache_entries.items()
        }
        self.staging = (torch.ones(needs.staging_bytes, dtype=torch.uint8, device=gpu),
                        torch.ones(needs.staging_bytes, dtype=torch.uint8, device=host))  # fmt: skip
        self.storage = StoredFile(needs.stored_bytes, self._seed) if needs.stored_bytes else None

    def host_expert(self, key: Key) -> torch.Tensor:
        """The host's weights of a (block, expert); a smaller pool than the model is shared in turn."""
        return self.pool[self._host_index[key] % len(self.pool)]

    def weights(self, layer: int, expert: int, slot: int, *, on_gpu: bool) -> Weights:
        """What a compute op on either side reads."""
        if expert >= 0:
            return Weights(expert=self.slots[slot] if slot >= 0 else self.host_expert((layer, expert)))
        blocks = self.gpu_blocks if on_gpu else self.host_blocks
        return Weights(block=blocks.get(layer), head=self.head, cache=self.caches.get(layer))

    def close(self) -> None:
        """Remove the file behind reads from storage."""
        if self.storage is not None:
            self.storage.close()

    def _expert(self, values: int, device: torch.device) -> torch.Tensor:
        return random_tensor(values, self.expert_dtype, device, self._seed)

    def _rest(self, values: int, device: torch.device) -> torch.Tensor:
        return random_tensor(values, self.dtype, device, self._seed + 1)


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
