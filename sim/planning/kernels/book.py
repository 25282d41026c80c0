"""The state of all caches of a run under one eviction policy, as rows of plain numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.planning.policies import COMPILED, RANKED
from sim.policies.s3fifo import queue_capacities

LRU, FIFO, LEAST_STALE, SIEVE, LFU, LFUDA, WINDOWED, ARC, S3FIFO = range(len(COMPILED))
LAST_QUEUE, LAST_RANKED = SIEVE, WINDOWED
RINGS = 4  # of a cache, at most; of least-stale, of a block
NOBODY = -1

KEY = np.dtype(
    [
        ("older", np.int64),  # its neighbours in a queue, which is a ring through a row of its own
        ("newer", np.int64),
        ("ring", np.int64),  # that row, or NOBODY
        ("resident", np.int64),
        ("unused", np.int64),  # a prefetch brought it, and nobody has used it yet
        ("count", np.int64),  # uses, as the policy counts them; of a ring, its keys
        ("used_at", np.int64),  # of policies that sort: the moment,
        ("rank", np.int64),  # and what they sort by, the count or the like × 2³² + that moment; NOBODY if not resident
        ("visits", np.int64),  # a bit for each visit in the window that used it
        ("kept", np.int64),  # the last turn in which it must stay
    ],
    align=True,
)
CACHE = np.dtype(
    [
        ("room", np.int64),
        ("used", np.int64),
        ("clock", np.int64),  # uses so far
        ("entries", np.int64),  # of its heap
        ("memory", np.int64),  # LFU-DA: the age; SIEVE: where the hand is; S3-FIFO: whether the cache fills still
        ("small_room", np.int64),  # S3-FIFO
        ("ghost_room", np.int64),
        ("target", np.float64),  # ARC: of those used once,
        ("adapting", np.int64),  # and a key that room is being made for, with the target after that
        ("adapted", np.float64),
        ("visits", np.int64),  # window: of the block of this number, and the turn of the last one
        ("visited_at", np.int64),
    ],
    align=True,
)


class Book(NamedTuple):
    """Keys `cache × span` to `(cache + 1) × span`, exclusive, share the cache of that row.

    Behind the rows of the keys, from `first_ring` on, are those of RINGS rings a block. Policies that sort have a heap
    of so much `heap_room` a cache in the columns of `heap`: ranks, keys, and room to lay keys aside.
    """

    policy: int
    span: int
    n_experts: int
    first_ring: int
    heap_room: int
    keys: NDArray[np.void]
    caches: NDArray[np.void]
    heap: NDArray[np.int64]


def empty_book(policy: str, room: list[int], n_blocks: int, n_experts: int) -> Book:
    """Caches of so much `room` each: one for all blocks, or one a block."""
    n_keys, code = n_blocks * n_experts, COMPILED.index(policy)
    keys = np.zeros(n_keys + RINGS * n_blocks, KEY)
    keys["ring"] = keys["kept"] = keys["rank"] = NOBODY
    keys["older"][n_keys:] = keys["newer"][n_keys:] = np.arange(n_keys, len(keys))
    caches = np.zeros(n_blocks, CACHE)
    caches["adapting"] = caches["visited_at"] = NOBODY
    caches["memory"] = {SIEVE: NOBODY, S3FIFO: 1}.get(code, 0)
    for cache, capacity in enumerate(room):
        caches["room"][cache] = capacity
        caches["small_room"][cache], caches["ghost_room"][cache] = queue_capacities(capacity)
    span = n_keys // len(room)
    heap_room = 4 * span + 64 if policy in RANKED else 0
    heap = np.empty((3, len(room) * heap_room), np.int64)
    return Book(code, span, n_experts, n_keys, heap_room, keys, caches, heap)
