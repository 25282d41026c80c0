"""The fields of a sweep file: which scenario, what of it varies, how points are chosen, and what is wanted of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Tag,
    model_validator,
)

from scenarios.schema import PLAIN, STRUCTURED, Part, did_you_mean, refusal
from scenarios.sweeping.figures import FIGURES
from sim.machine import Power

Method = Literal["grid", "random", "search"]


class AmongSpec(Part):
    """One of these values, each anything that the field may hold."""

    among: Annotated[list[Any], Field(min_length=1)]


class SpanSpec(Part):
    """Numbers `from` … `to`, both included: `steps` of them, evenly spaced on the scale, or any between (no grid)."""

    low: float = Field(alias="from")
    high: float = Field(alias="to")
    steps: Annotated[int, Field(ge=2)] | None = None
    scale: Literal["linear", "log"] = "linear"
    whole: bool = Field(False, description="Whole numbers only.")

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if self.low >= self.high:
            raise refusal(f"must be below `to`, {self.high:g}", "swap the two", "from")
        if self.scale == "log" and self.low <= 0:
            raise refusal("must be above 0 on a logarithmic scale", "raise it, or use `scale: linear`", "from")
        if self.whole and not (self.low.is_integer() and self.high.is_integer()):
            raise refusal("contradicts the ends, which are not whole", "give whole ends", "whole")
        return self


def _values(value: Any) -> Any:
    return {"among": value} if isinstance(value, list) else value


def _which(value: Any) -> str:
    among = isinstance(value, AmongSpec) or (isinstance(value, dict) and "among" in value)
    return PLAIN if among else STRUCTURED


Values = Annotated[
    Annotated[AmongSpec, Tag(PLAIN)] | Annotated[SpanSpec, Tag(STRUCTURED)],
    Discriminator(_which),
    BeforeValidator(_values, json_schema_input_type=list[Any] | AmongSpec | SpanSpec),
]


def _figure(value: Any) -> Any:
    if value not in FIGURES:
        raise refusal("is no figure of a sweep", did_you_mean(str(value), [*FIGURES]))
    return value


FigureName = Annotated[str, BeforeValidator(_figure), Field(json_schema_extra={"enum": [*FIGURES]})]


class ObjectiveSpec(Part):
    """A figure that should be as high, or as low, as it can be."""

    figure: FigureName
    better: Literal["higher", "lower"]


def _objective(value: Any) -> Any:
    """A figure's name alone: it says by itself which way is better."""
    if not isinstance(value, str):
        return value
    _figure(value)
    if FIGURES[value].better is None:
        raise refusal("is not better either way by itself", "write {figure: …, better: higher} or lower")
    return {"figure": value, "better": FIGURES[value].better}


class ConstraintSpec(Part):
    """A bound on a figure; points beyond it are kept, but take no part in the comparison."""

    figure: FigureName
    at_most: float | None = None
    at_least: float | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.at_most is None and self.at_least is None:
            raise refusal("bounds nothing", "add `at_most` or `at_least`", "figure")
        return self


Objective = Annotated[ObjectiveSpec, BeforeValidator(_objective, json_schema_input_type=str | ObjectiveSpec)]


_FAST_AND_SMALL = [
    ObjectiveSpec(figure="decode_tokens_per_s", better="higher"),
    ObjectiveSpec(figure="gpu_gb", better="lower"),
]


class SweepSpec(Part):
    """Variations of one scenario: all of a grid, some at random, or a search for the best compromises."""

    title: str = ""
    scenario: str | dict[str, Any] = Field(description="A scenario's fields, or the path of a scenario file.")
    vary: dict[str, Values] = Field(description="By path of the field: cache, machine_with.link.gb_per_s, …")
    method: Method = "grid"
    points: PositiveInt | None = Field(None, description="How many; a grid has as many as it has.")
    seed: NonNegativeInt = Field(0, description="Of the choice of points; routing has the scenario's.")
    sampler: Literal["nsga2", "tpe"] = Field("nsga2", description="How a search chooses its points.")
    batch: PositiveInt = Field(32, description="Points that a search chooses at once.")
    objectives: Annotated[list[Objective], Field(min_length=1)] = Field(_FAST_AND_SMALL)
    constraints: list[ConstraintSpec] = Field([])
    prices: dict[str, PositiveFloat] = Field({}, description="US dollars an hour, by machine as the scenario names it.")
    power: dict[str, dict[Literal["gpu", "cpu"], Power]] = Field(
        {}, description="Watts by machine and device; they go before those of the machine's datasheet."
    )

    @model_validator(mode="after")
    def _points_where_they_are_chosen(self) -> Self:
        if not self.vary:
            raise refusal("is empty", "name a field and its values, e.g. `cache: [40, 80]`", "vary")
        if (self.method == "grid") != (self.points is None):
            if self.method == "grid":
                raise refusal("contradicts `method: grid`", "leave it out, or use `method: random`", "points")
            raise refusal("is missing", f"say how many points a {self.method} method may evaluate", "points")
        for path, values in self.vary.items():
            if self.method == "grid" and isinstance(values, SpanSpec) and values.steps is None:
                raise refusal(f"{path} has no `steps`", "a grid needs them", "vary")
        figures = [objective.figure for objective in self.objectives]
        for figure in figures:
            if figures.count(figure) > 1:
                raise refusal(f"{figure} is there twice", "keep one", "objectives")
        return self

    @property
    def figures(self) -> list[str]:
        """All figures that objectives and constraints ask for."""
        objectives, constraints = (
            dict.fromkeys(o.figure for o in asked) for asked in (self.objectives, self.constraints)
        )
        return list(objectives | constraints)
