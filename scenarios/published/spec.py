"""The fields of a paper file: published figures, and the scenarios that stand for the settings they were taken in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PositiveInt, model_validator

from scenarios.published.quantities import QUANTITIES
from scenarios.schema import Part, did_you_mean, refusal

Evidence = Literal["text", "code", "second", "figure", "derived"]
Id = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


def _several(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _quantity(value: Any) -> Any:
    if value not in QUANTITIES:
        raise refusal("is no quantity", did_you_mean(str(value), list(QUANTITIES)))
    return value


def _tolerance(value: Any) -> Any:
    """`25%` of the reported value, or a plain number in its unit."""
    if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?\s*%", value):
        return {"share": float(value.rstrip("% ")) / 100}
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return {"absolute": float(value)}
    raise refusal("is no tolerance", "give a share of the reported value such as 25%, or a number in its unit")


class Tolerance(Part):
    """How far a simulated value may lie from the reported one, to be fixed before looking."""

    share: float | None = None
    absolute: float | None = None

    def allows(self, simulated: float, reported: float) -> bool:
        """Whether the value is near enough."""
        most = self.absolute if self.absolute is not None else (self.share or 0.0) * abs(reported)
        return abs(simulated - reported) <= most

    def __str__(self) -> str:
        return f"{100 * self.share:g} %" if self.share is not None else f"{self.absolute:g}"


class At(Part):
    """Of what size the op is whose cost is read."""

    device: Literal["gpu", "cpu"] = "gpu"
    tokens: PositiveInt = 1
    size_bytes: PositiveInt | None = None


Quantity = Annotated[str, BeforeValidator(_quantity)]
Labels = Annotated[list[str], BeforeValidator(_several)]


class Figure(Part):
    """One published figure: what it says, and what to read of the setting's runs.

    The value read of the strategy `of`, divided by that of `over` or less that of `minus` (the mean of several).
    `bound`: the paper says that it is below or above the reported value.
    """

    id: Id
    says: str
    reported: float
    unit: str = ""
    evidence: Evidence
    read: Quantity
    of: str | None = None
    over: Labels = Field(default=[])
    minus: Labels = Field(default=[])
    at: At = At()
    times: float = Field(default=1.0, description="What the reading is multiplied by.")
    bound: Literal["below", "above"] | None = None
    within: Annotated[Tolerance, BeforeValidator(_tolerance)] = Tolerance(share=0.25)

    @model_validator(mode="after")
    def _of_a_run(self) -> Self:
        if QUANTITIES[self.read].of_run != (self.of is not None):
            needs = "needs a strategy to be read of" if self.of is None else "is not read of a strategy"
            raise refusal(f"{self.read} {needs}", "state `of`" if self.of is None else "leave `of` out", "read")
        if self.over and self.minus:
            raise refusal("contradicts `over`", "keep one of them", "minus")
        return self

    def met(self, simulated: float) -> bool:
        """Whether the simulated value agrees with the reported one."""
        if self.bound == "below":
            return simulated < self.reported
        if self.bound == "above":
            return simulated > self.reported
        return self.within.allows(simulated, self.reported)

    @property
    def labels(self) -> list[str | None]:
        """The runs that it reads; None stands for the setting itself."""
        return [self.of, *self.over, *self.minus]


class Order(Part):
    """Strategies that the paper reports in this order, highest value first."""

    id: Id
    says: str
    read: Quantity
    of: Annotated[list[str], Field(min_length=2)]


class Miss(Part):
    """The likely cause why figures and orders are missed; told of those that are."""

    of: Annotated[list[Id], Field(min_length=1)]
    cause: str


class Uncertain(Part):
    """An input that is not known well: a field of the scenario, and values that it may have, lowest to highest."""

    change: str = Field(description="seed, workload.prompt, machine_with.link.pageable.gb_per_s, …")
    values: Annotated[list[Any], Field(min_length=1)]
    why: str


class Setting(Part):
    """What several figures were measured on; `scenario` has the fields of a scenario file."""

    name: Id
    about: str = Field(description="What stands for what, and the sources of the inputs.")
    scenario: dict[str, Any]
    uncertain: list[Uncertain] = Field(default=[])
    figures: list[Figure] = Field(default=[])
    orders: list[Order] = Field(default=[])
    misses: list[Miss] = Field(default=[])

    @model_validator(mode="after")
    def _known_misses(self) -> Self:
        known = [figure.id for figure in self.figures] + [order.id for order in self.orders]
        for name in (name for miss in self.misses for name in miss.of):
            if name not in known:
                raise refusal(f"{name!r} is no figure of this setting", did_you_mean(name, known), "misses")
        return self

    def readings(self) -> Iterator[tuple[str | None, Quantity, At]]:
        """Everything that is read of this setting, once: label, quantity, size."""
        wanted = [(label, figure.read, figure.at) for figure in self.figures for label in figure.labels]
        wanted += [(label, order.read, At()) for order in self.orders for label in order.of]
        yield from dict.fromkeys(wanted)


class Unaddressed(Part):
    """A published figure that is not compared, and why."""

    says: str
    why: str


class Paper(Part):
    """One paper or collection of measurements."""

    title: str
    citation: str
    source: str | None = Field(default=None, description="Link; none for a collection of measurements.")
    settings: list[Setting]
    unaddressed: list[Unaddressed] = Field(default=[])

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        names = [setting.name for setting in self.settings]
        figures = [figure.id for setting in self.settings for figure in setting.figures]
        orders = [order.id for setting in self.settings for order in setting.orders]
        for known in (names, figures, orders):
            for name in known:
                if known.count(name) > 1:
                    raise refusal(f"two are called {name!r}", "give each a name of its own", "settings")
        return self
