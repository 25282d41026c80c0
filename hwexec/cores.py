"""Which cores each lane runs on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

Cores = tuple[int, ...]
_ROOMY = 8


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


def cores_beside_gpu(lanes: Iterable[str], cores: tuple[int, ...], threads: int | None = None) -> dict[str, Cores]:
    """Cores of the lanes where a GPU does the GPU's work: the CPU's experts get all that nobody else needs.

    With at least 8 cores the host, each copy lane and the remaining lanes together have one each; with fewer, all
    but the CPU's experts share the first. `threads` limits the cores, and so the threads, of the experts.
    """
    names = list(lanes)
    roomy = len(cores) >= _ROOMY
    alone = ["host", *sorted(name for name in names if name.endswith((".h2d", ".d2h")))] if roomy else []
    seats: dict[str, Cores] = {name: (cores[i],) for i, name in enumerate(alone)}
    rest = cores[len(alone)] if roomy else cores[0]
    free = cores[len(alone) + 1 :] if roomy else cores[1:] or cores
    for name in names:
        seats.setdefault(name, free[:threads] if name == "cpu" else (rest,))
    return {name: seats[name] for name in names}


@contextmanager
def pinned(*cores: int) -> Iterator[None]:
    """Keep the calling thread, and threads that it starts, on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(cores))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
