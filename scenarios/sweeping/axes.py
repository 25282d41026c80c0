"""An axis of a sweep: a field of the scenario, and what it may be."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from scenarios.sweeping.spec import AmongSpec, SpanSpec

Choice = int | float  # the number of a listed value, or a number out of a span
_MACHINE = re.compile(r"machine|machine_with\..+|stack|strategies\.\d+\.stack")
_ROUTING = re.compile(r"(model|workload|trace|seed)\b")
_PREDICTIONS = re.compile(r"(strategies\.\d+\.)?predictor\b")
_STRATEGY = re.compile(r"strategies\.\d+")
_DIGITS = 6  # of spaced numbers: enough for any axis, and the same on every platform


@dataclass(frozen=True)
class Axis:
    """Field `path` is one of `values`, or anything in `span` if that has no steps."""

    path: str
    values: tuple[Any, ...]
    span: SpanSpec | None = None

    def value(self, choice: Choice) -> Any:
        """What the field is set to."""
        return self.values[int(choice)] if self.values else choice

    def draw(self, rng: np.random.Generator) -> Choice:
        """One of the values, all as likely, or a number of the span, evenly over its scale."""
        if self.values:
            return int(rng.integers(len(self.values)))
        assert self.span is not None
        share = rng.random()
        return number_in(self.span, share)

    @property
    def ordered(self) -> bool:
        """Whether its values are numbers in ascending order, so that neighbours are alike."""
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in self.values)
        return numbers and list(self.values) == sorted(self.values)

    @property
    def rank(self) -> int:
        """How much of the work a change makes anew: 0 routing, 1 predictions, 2 plans, 3 only the times."""
        for rank, fields in enumerate((_ROUTING, _PREDICTIONS)):
            if fields.match(self.path):
                return rank
        return 3 if _MACHINE.fullmatch(self.path) else 2


def axis_of(path: str, spec: AmongSpec | SpanSpec) -> Axis:
    """The axis that a sweep file describes."""
    if isinstance(spec, AmongSpec):
        by_name = _STRATEGY.fullmatch(path) is not None
        values = ({"name": v} if by_name and isinstance(v, str) else v for v in spec.among)
        return Axis(path, tuple(values))
    if spec.steps is None:
        return Axis(path, (), spec)
    spaced = [number_in(spec, i / (spec.steps - 1)) for i in range(spec.steps)]
    return Axis(path, tuple(dict.fromkeys(spaced)), spec)


def number_in(span: SpanSpec, share: float) -> float | int:
    """The number at a share of the way from one end of a span to the other, to six digits."""
    if span.scale == "log":
        value = math.exp(math.log(span.low) + share * (math.log(span.high) - math.log(span.low)))
    else:
        value = span.low + share * (span.high - span.low)
    if share in (0, 1):  # the ends as they were written
        value = span.high if share else span.low
        return round(value) if span.whole else value
    return round(value) if span.whole else rounded(value, span)


def rounded(value: float, span: SpanSpec) -> float:
    """A number of a span to six digits, and still in it."""
    return min(max(float(f"{value:.{_DIGITS}g}"), span.low), span.high)
