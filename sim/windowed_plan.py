"""WindowedPlan: a schedule that is being written, to be taken window by window or as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sim.program import Program
from sim.schedule import Schedule
from sim.window import Window


class WindowedPlan:
    """Iterate over it once: each window is written when it is asked for. `program` says what does not change.

    `pauses` writes a forward pass each time it is advanced, `meta` tells of the whole run once all is written.
    `may_ask`: the program's clock is to follow although nobody has asked it yet.
    """

    def __init__(
        self, program: Program, pauses: Iterator[None], meta: Callable[[], dict[str, Any]],
        window_ops: int | None, *, may_ask: bool,
    ) -> None:  # fmt: skip
        self.program = program
        self._pauses, self._meta, self._window_ops, self._may_ask = pauses, meta, window_ops, may_ask

    def __iter__(self) -> Iterator[Window]:
        for _ in self._pauses:
            if self._window_ops is not None and self.program.pending >= self._window_ops:
                yield self.program.window(may_ask=self._may_ask)
        yield self.program.window()

    @property
    def meta(self) -> dict[str, Any]:
        """What a Schedule of this plan says of itself; complete when the last window has been taken."""
        return self._meta()

    def schedule(self) -> Schedule:
        """All windows as one Schedule."""
        windows = list(self)
        return self.program.schedule(windows, **self._meta())
