"""What the page keeps of each schedule while it is validated: two timelines packed, and what their paths go to."""

from __future__ import annotations

from typing import Any

from scenarios.report.gantt_pair import pair
from scenarios.validate import Validated
from scenarios.validation_table import signed
from sim.cost import Costs
from sim.critical_path import critical_path
from sim.timeline import Timeline

_ROWS = 40_000  # of one pair
_ROW_BUDGET = 250_000  # of all pairs of a page: up to 11 bytes each
NAMES = ("measured", "simulated")


class Collected:
    """Pairs of timelines, measured over simulated, of schedules in the order in which they came."""

    def __init__(self) -> None:
        self._pairs: list[tuple[Validated, dict[str, Any]]] = []
        self.worst: tuple[Validated, Timeline, Timeline] | None = None  # its measured and its simulated timeline
        self.causes: dict[str, tuple[float, float]] = {}  # label -> seconds of all paths, measured and simulated

    def add(self, found: Validated, measured: Timeline, simulated: Timeline, costs: Costs) -> None:
        """Take in a schedule."""
        paths = critical_path(measured, costs), critical_path(simulated, costs)
        label = f"{found.scenario} · {found.label} ({signed(found.comparison.error)})"
        self._pairs.append((found, pair(label, *paths, NAMES, _ROWS)))
        if self.worst is None or abs(found.comparison.error) > abs(self.worst[0].comparison.error):
            self.worst = found, measured, simulated
        spent = [path.seconds("cause") for path in paths]
        for name in {**spent[0], **spent[1]}:
            one, other = self.causes.get(name, (0.0, 0.0))
            self.causes[name] = one + spent[0].get(name, 0.0), other + spent[1].get(name, 0.0)

    def shown(self) -> list[dict[str, Any]]:
        """Those with the largest errors, as far as a page has room, the largest first."""
        worst = sorted(self._pairs, key=lambda each: -abs(each[0].comparison.error))
        kept, left = [], _ROW_BUDGET
        for _, drawn in worst:
            left -= sum(view["count"] for view in drawn["views"])
            if left < 0:
                break
            kept.append(drawn)
        return kept

    def __len__(self) -> int:
        return len(self._pairs)
