"""Errors by schedule and by kind of op."""

from __future__ import annotations

from scenarios.report.deviations import Deviation, deviation_bars
from scenarios.report.markup import Html, join, tag
from scenarios.validate import Validated, Validation
from scenarios.validation_table import signed
from sim.readable import change, seconds

_MOST = 0.5  # relative error at which a bar ends, if none is larger


def by_schedule(found: Validation) -> Html:
    """In the order of the suite; red where the measured time lies outside the range of the prediction."""
    return deviation_bars(schedule_errors(found), _MOST)


def schedule_errors(found: Validation) -> list[Deviation]:
    """The relative error of each schedule."""
    return [_schedule(each) for each in found.schedules]


def by_kind(found: Validation) -> Html:
    """The deviations of `kind_errors` as bars."""
    return join([tag("h3", "By kind of operation"), deviation_bars(kind_errors(found))])


def kind_errors(found: Validation) -> list[Deviation]:
    """The difference of predicted and measured seconds of each kind of op, which overlap in time."""
    return [
        Deviation(
            f"{kind.kind} on {kind.lane}",
            kind.predicted_s - kind.measured_s,
            change(kind.predicted_s - kind.measured_s),
            f"measured {seconds(kind.measured_s)}, {signed(kind.error)}",
        )
        for kind in found.kinds
    ]


def _schedule(each: Validated) -> Deviation:
    outside = each.covered is False
    return Deviation(
        f"{each.scenario} · {each.label}",
        each.comparison.error,
        signed(each.comparison.error),
        f"measured {seconds(each.comparison.measured_s)}{'; outside its range' if outside else ''}",
        "var(--bad)" if outside else "var(--s0)",
    )
