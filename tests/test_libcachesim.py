"""Replays against libCacheSim (github.com/1a1a11a/libCacheSim), key by key, where its package is installed."""

from __future__ import annotations

import numpy as np
import pytest

from sim.policies.future import NEVER, FutureIndex
from sim.replay import Replayer
from sim.replay.accesses import Accesses

lcs = pytest.importorskip("libcachesim", reason="needs the libcachesim package, which is built for Linux only")

THEIRS = {
    "lru": "LRU",
    "fifo": "FIFO",
    "arc": "ARC",
    "sieve": "Sieve",
    "s3-fifo": "S3FIFO",
    "belady": "Belady",
}
N_KEYS = 200


def drifting_keys(seed: int, n: int = 4000) -> list[int]:
    """Popular keys, a working set that moves, and some noise."""
    rng = np.random.default_rng(seed)
    popular = rng.zipf(1.3, n) % N_KEYS
    local = (np.arange(n) // 200 * 13 + rng.integers(0, 25, n)) % N_KEYS
    return np.where(rng.random(n) < 0.5, popular, local).tolist()


def their_hits(name: str, capacity: int, keys: list[int]) -> list[bool]:
    cache = getattr(lcs, THEIRS[name])(cache_size=capacity, hashpower=12)
    future = FutureIndex([[key] for key in keys])
    hits = []
    for now, key in enumerate(keys):
        request = lcs.Request()
        request.obj_id, request.obj_size = key, 1
        following = future.next_use(key, now)
        request.next_access_vtime = 2**62 if following == NEVER else following
        hits.append(cache.get(request))
    return hits


def single(keys: list[int]) -> Accesses:
    return Accesses(np.array(keys, np.int32), np.arange(len(keys) + 1), 1, N_KEYS)


@pytest.mark.parametrize("capacity", [20, 25, 64, 150])
@pytest.mark.parametrize("name", THEIRS)
def test_hits_equal_those_of_libcachesim(name: str, capacity: int) -> None:
    for seed in range(3):
        keys = drifting_keys(seed)
        assert Replayer(single(keys)).run(name, capacity).hits == sum(their_hits(name, capacity, keys))
