"""The state of all caches of a run under one eviction policy, in plain arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.policies.s3fifo import queue_capacities
from sim.policies.window import WINDOW
from sim.replay.kernels.rings import empty_rings

COMPILED = ("lru", "fifo", "least-stale", "lfu", "lfu-da", "window", "arc", "s3-fifo", "sieve")
LRU, FIFO, LEAST_STALE, LFU, LFUDA, WINDOWED, ARC, S3FIFO, SIEVE = range(len(COMPILED))
RINGS = 4  # of a cache, at most; of least-stale, of a block
NOBODY = -1


class Book(NamedTuple):
    """Keys `cache × span` to `(cache + 1) × span`, exclusive, share cache number `cache`.

    By key: neighbours in its ring (`older`, `newer`, `where`: see `sim.replay.kernels.rings`), `uses` as the policy
    counts them, `rank` and the moment `used_at` of policies that sort, and `kept`, the last turn in which it must stay.
    By cache: `room`, `used`, a number `memory` (LFU-DA: the age, SIEVE: the hand, S3-FIFO: whether it fills), and for
    ARC the `target`, whom it was `adapting` to and what that made of it. By block: the visits in the window.
    """

    policy: int
    span: int
    n_experts: int
    older: NDArray[np.int32]
    newer: NDArray[np.int32]
    where: NDArray[np.int16]
    sizes: NDArray[np.int64]
    resident: NDArray[np.bool_]
    uses: NDArray[np.int64]
    rank: NDArray[np.int64]
    used_at: NDArray[np.int64]
    kept: NDArray[np.int64]
    room: NDArray[np.int64]
    used: NDArray[np.int64]
    memory: NDArray[np.int64]
    small_room: NDArray[np.int64]
    ghost_room: NDArray[np.int64]
    target: NDArray[np.float64]
    adapting: NDArray[np.int64]
    adapted: NDArray[np.float64]
    visits: NDArray[np.int64]
    visited_at: NDArray[np.int64]
    visited: NDArray[np.bool_]
    clock: NDArray[np.int64]


def empty_book(policy: str, room: list[int], n_blocks: int, n_experts: int) -> Book:
    """Caches of so much `room` each: one for all blocks, or one a block."""
    n_keys, n_caches = n_blocks * n_experts, len(room)
    older, newer, where, sizes = empty_rings(n_keys, n_blocks * RINGS)
    code = COMPILED.index(policy)
    memory = np.full(n_caches, {SIEVE: NOBODY, S3FIFO: 1}.get(code, 0), np.int64)
    queues = np.array([queue_capacities(capacity) for capacity in room], np.int64).reshape(n_caches, 2)
    window = (n_blocks, WINDOW) if code == WINDOWED else (0, 0)
    return Book(
        policy=code, span=n_keys // n_caches, n_experts=n_experts, older=older, newer=newer, where=where, sizes=sizes,
        resident=np.zeros(n_keys, np.bool_), uses=np.zeros(n_keys, np.int64), rank=np.zeros(n_keys, np.int64),
        used_at=np.zeros(n_keys, np.int64), kept=np.full(n_keys, NOBODY, np.int64), room=np.array(room, np.int64),
        used=np.zeros(n_caches, np.int64), memory=memory, small_room=queues[:, 0].copy(),
        ghost_room=queues[:, 1].copy(), target=np.zeros(n_caches), adapting=np.full(n_caches, NOBODY, np.int64),
        adapted=np.zeros(n_caches), visits=np.zeros(n_blocks, np.int64), visited_at=np.zeros(window, np.int64),
        visited=np.zeros((*window, n_experts), np.bool_), clock=np.zeros(1, np.int64),
    )  # fmt: skip
