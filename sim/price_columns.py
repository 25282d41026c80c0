"""What one op costs, and the same of many as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class OpCost:
    """Seconds at full speed of one op and what it draws from each capacity, in units a second.

    Of its demand, `held` is what it occupies for as long as it takes (a core); the rest is traffic.
    `origin` names the measurement behind the seconds (a kernel of a device, a link), `spread` their relative spread
    (IQR / median): ops of one origin err together.
    """

    seconds: float
    demand: tuple[float, ...]
    held: tuple[float, ...] = ()
    origin: str = ""
    spread: float = 0.0


class PriceColumns(NamedTuple):
    """What `OpCost` holds of one op, of several: [op], `demand` and `held` [op, capacity]."""

    seconds: Floats
    spread: Floats
    demand: Floats
    held: Floats
    origin: Sequence[str]

    def one(self) -> OpCost:
        """The first op's."""
        demand, held = (tuple(column[0].tolist()) for column in (self.demand, self.held))
        return OpCost(float(self.seconds[0]), demand, held, self.origin[0], float(self.spread[0]))


@dataclass
class Prices:
    """Columns to be filled in piece by piece; `origin` numbers `origins`."""

    seconds: Floats
    spread: Floats
    demand: Floats
    held: Floats
    origin: NDArray[np.intp]
    origins: dict[str, int] = field(default_factory=dict)

    @classmethod
    def empty(cls, n: int, n_capacities: int) -> Self:
        """Room for the prices of n ops."""
        demand, held = np.empty((2, n, n_capacities))
        return cls(np.empty(n), np.empty(n), demand, held, np.empty(n, np.intp))

    @classmethod
    def of(cls, priced: Sequence[OpCost], n_capacities: int) -> Self:
        """What was priced op by op."""
        shape, origins = (len(priced), n_capacities), dict[str, int]()
        return cls(
            seconds=np.array([cost.seconds for cost in priced], np.float64),
            spread=np.array([cost.spread for cost in priced], np.float64),
            demand=np.array([cost.demand for cost in priced], np.float64).reshape(shape),
            held=np.array([cost.held for cost in priced], np.float64).reshape(shape),
            origin=np.array([origins.setdefault(cost.origin, len(origins)) for cost in priced], np.intp),
            origins=origins,
        )

    def set(self, where: NDArray[np.intp], costs: PriceColumns) -> None:
        """Fill in some ops."""
        self.seconds[where], self.spread[where] = costs.seconds, costs.spread
        self.demand[where], self.held[where] = costs.demand, costs.held
        self.origin[where] = [self.origins.setdefault(name, len(self.origins)) for name in costs.origin]
