"""Least-stale, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit

from sim.replay.kernels.rings import splice_in, splice_out
from sim.replay.kernels.types import Counted, Keys, Starts


@njit(cache=True)
def least_stale(keys: Keys, starts: Starts, n_layers: int, n_experts: int, capacity: int) -> Counted:
    """An LRU list for each layer; the layer just passed gives first."""
    n_keys = n_layers * n_experts
    older, newer = np.empty(n_keys + n_layers, np.int32), np.empty(n_keys + n_layers, np.int32)
    for layer in range(n_layers):  # each list is a ring through a place of its own
        older[n_keys + layer] = newer[n_keys + layer] = n_keys + layer
    resident, needed = np.zeros(n_keys, np.bool_), np.full(n_keys, -1, np.int64)
    hits = evictions = used = 0
    for batch in range(len(starts) - 1):
        others = used
        for i in range(starts[batch], starts[batch + 1]):
            needed[keys[i]] = batch
            others -= resident[keys[i]]
        for i in range(starts[batch], starts[batch + 1]):
            key = keys[i]
            end = n_keys + key // n_experts
            if resident[key]:
                hits += 1
                splice_out(older, newer, key)
            else:
                if used == capacity:
                    if others == 0:
                        continue
                    layer, leaving = key // n_experts, -1
                    while leaving < 0:
                        candidate = newer[n_keys + layer]
                        while candidate < n_keys and needed[candidate] == batch:
                            candidate = newer[candidate]
                        if candidate < n_keys:
                            leaving = candidate
                        layer = layer - 1 if layer else n_layers - 1
                    splice_out(older, newer, leaving)
                    resident[leaving] = False
                    others -= 1
                    used -= 1
                    evictions += 1
                resident[key] = True
                used += 1
            splice_in(older, newer, key, end)
    return hits, len(keys) - hits, evictions
