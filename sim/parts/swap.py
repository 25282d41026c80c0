"""Swaps: exchanging an expert on the GPU for one in host memory, where there is one copy of each expert."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from sim.program import Program
from sim.schedule import Reason
from sim.slots import Key


class Swapper:
    """Swaps through `spare` host buffers; as many GPU slots have to be free when it begins.

    The weights that come take the GPU slot that has been free longest and leave their host buffer, the weights that go
    do the reverse: buffers rotate. A buffer is written only after what it held has been read, and an expert that has
    just left can come back only when all of it has arrived on the host.
    """

    def __init__(self, spare: int) -> None:
        self._vacated_by: deque[int | None] = deque([None] * spare)  # per spare buffer, longest free first: the load
        self._arrival: dict[Key, int] = {}  # expert on the host -> the unload that brought it

    def fetch(
        self, p: Program, coming: Key, *, after: Iterable[int] = (), reason: Reason = Reason.DEMAND
    ) -> int:  # fmt: skip
        """The first half of a swap; until the second, the host copy stays, and dropping the weights undoes it."""
        arrival = self._arrival.get(coming)
        return p.load(*coming, after=[*after, *([] if arrival is None else [arrival])], reason=reason)

    def send_back(
        self, p: Program, leaving: Key, *, load: int, after: Iterable[int] = (), keep: bool = False
    ) -> int:  # fmt: skip
        """The second half: the host buffer that `load` has read is free, and another is filled.

        `keep`: who leaves is still to be run, and its slot dropped after that.
        """
        vacated_by = self._vacated_by.popleft()
        unload = p.unload(*leaving, after=[*after, *([] if vacated_by is None else [vacated_by])], keep=keep)
        self._vacated_by.append(load)
        self._arrival[leaving] = unload
        return unload
