"""Which core each lane of the host backend runs on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


def available_cores() -> tuple[int, ...]:
    """The cores that this process may use, ascending."""
    return tuple(sorted(os.sched_getaffinity(0)))


def core_of(lanes: Iterable[str], cores: tuple[int, ...]) -> dict[str, int]:
    """Give each lane a core of its own while there are cores; the rest share the last one.

    In order: the GPUs' compute lanes, the CPU's, uploads, the host, downloads, then all others. So on two cores a GPU
    has one, and everything else the other.
    """
    order = sorted(lanes, key=lambda name: (_rank(name), name))
    return {name: cores[min(i, len(cores) - 1)] for i, name in enumerate(order)}


def _rank(name: str) -> int:
    if name.endswith(".h2d"):
        return 2
    if name.endswith(".d2h"):
        return 4
    if name.startswith("gpu"):
        return 0
    return {"cpu": 1, "host": 3}.get(name, 5)


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Keep the calling thread on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
