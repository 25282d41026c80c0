"""Validation: plan, simulate and execute the schedules of a suite, and say how far the prediction was off."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
from pydantic import TypeAdapter, ValidationError

from scenarios.load import ScenarioFile
from scenarios.resolve import Case, Entry, resolve
from scenarios.run import plan_entry
from sim.compare import Comparison, RankAgreement, compare, rank_agreement
from sim.condition import condition
from sim.cost import CostModel, Costs
from sim.errors import FormatError
from sim.files import write_text
from sim.inputs import read_text
from sim.intervals import DRAWS, LEVEL, Range, drawn_speeds, ranges_of
from sim.kernel_cost import measures
from sim.noise import names_of, normals
from sim.retime import retime
from sim.schedule import Schedule
from sim.timeline import Timeline

STEADY = 0.1  # how far memory's speed may be from that during calibration
Execute = Callable[[Schedule], Sequence[Timeline]]


@dataclass(frozen=True)
class Validated:
    """One schedule, predicted and measured; `warnings` are what the prediction had to extrapolate.

    `range_s` is that of the predicted makespan, of this very schedule: what is executed decides nothing anew.
    """

    scenario: str
    label: str
    n_ops: int
    comparison: Comparison
    warnings: tuple[str, ...]
    condition: float | None = None  # speed of memory around the runs over that during calibration
    range_s: Range | None = None
    unseen: bool = False  # its experts are of a shape that was not measured

    @property
    def covered(self) -> bool | None:
        """Whether the measured makespan lies within the range; None if there is none."""
        return None if self.range_s is None else self.range_s.low <= self.comparison.measured_s <= self.range_s.high

    @property
    def steady(self) -> bool:
        """Whether the computer was about as fast as when it was calibrated."""
        return self.condition is not None and abs(self.condition - 1) <= STEADY


Seen = Callable[[Validated, Timeline, Timeline, Costs], None]


def ignore(found: Validated, measured: Timeline, simulated: Timeline, costs: Costs) -> None:
    """A `Seen` for those who keep no timelines."""


@dataclass(frozen=True)
class KindShare:
    """One kind of op on one lane over all schedules: summed seconds, and its share of all that was mispredicted.

    The share is of the sum, over schedules and kinds, of the absolute differences of predicted and measured seconds.
    """

    kind: str
    lane: str
    predicted_s: float
    measured_s: float
    share_of_error: float

    @property
    def error(self) -> float:
        """Predicted over measured minus one."""
        return self.predicted_s / self.measured_s - 1 if self.measured_s else 0.0


@dataclass(frozen=True)
class Validation:
    """All schedules of a suite.

    Errors, ranking and coverage are of those whose shapes were measured, if there are any; `unseen_median_error` is of
    the others. `prefill_error` and `decode_error` are medians over schedules of the median absolute error of their
    steps. `tau` is the mean over scenarios of Kendall's tau among their strategies; a pair of strategies is clear if
    their measured times differ by more than the repeats of either. `coverage` is the share of measured times within
    the range of the prediction, which should be `level`.
    """

    title: str
    machine: str
    schedules: tuple[Validated, ...]
    median_error: float
    p95_error: float
    worst_error: float
    prefill_error: float | None
    decode_error: float | None
    median_spread: float | None
    tau: float | None
    clear_pairs: int
    right_pairs: int
    kinds: tuple[KindShare, ...]
    steady_schedules: int
    steady_median_error: float | None
    coverage: float | None = None
    steady_coverage: float | None = None
    median_width: float | None = None  # of the ranges, over the prediction
    unseen_schedules: int = 0
    unseen_median_error: float | None = None
    level: float = LEVEL

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read validation.json; raises FormatError if it is none."""
        try:
            found: Self = TypeAdapter(cls).validate_json(read_text(path, "make it again"))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"]))
            raise FormatError(first["msg"], file=path, field=field, remedy="make it again") from error
        return found

    def to_json(self) -> str:
        """The text of validation.json."""
        return json.dumps(asdict(self), indent=1, allow_nan=False)

    def write_json(self, path: str | Path) -> None:
        """Write validation.json, atomically."""
        write_text(path, self.to_json() + "\n")


def validate_suite(
    title: str, files: Sequence[ScenarioFile], execute: Execute, *, progress: Callable[[str, float], None],
    seen: Seen = ignore,
) -> Validation:  # fmt: skip
    """Run every schedule of the scenarios both ways; raises InputError before anything runs if one cannot be resolved.

    `execute` runs a schedule for real, as often as its spread is to be known from, and returns the measured timelines.
    `seen` is shown each schedule with its measured (of several runs, the middle one) and its simulated timeline.
    """
    cases = [resolve(file) for file in files]
    jobs = [(case, entry) for case in cases for entry in case.entries]
    done = []
    for number, (case, entry) in enumerate(jobs):
        progress(f"{case.title}: {entry.spec.title}", number / len(jobs))
        done.append(_validate(case, entry, execute, seen))
    return sum_up(title, cases[0].machine.name, done)


def sum_up(title: str, machine: str, schedules: Sequence[Validated]) -> Validation:
    """Errors and ranking over all schedules, those of shapes that were not measured apart."""
    every, unseen = schedules, [abs(each.comparison.error) for each in schedules if each.unseen]
    schedules = [each for each in every if not each.unseen] or every
    errors = [abs(each.comparison.error) for each in schedules]
    spreads = [each.comparison.repeat_spread for each in schedules if each.comparison.repeat_spread is not None]
    scenarios = dict.fromkeys(each.scenario for each in schedules)
    agreements = [_ranking([each for each in schedules if each.scenario == name]) for name in scenarios]
    steady = [abs(each.comparison.error) for each in schedules if each.steady]
    taus = [agreement.tau for agreement in agreements if agreement.tau is not None]
    return Validation(
        title=title,
        machine=machine,
        schedules=tuple(every),
        median_error=float(np.quantile(errors, 0.5)),
        p95_error=float(np.quantile(errors, 0.95)),
        worst_error=max(errors),
        prefill_error=_median([each.comparison.prefill_steps.median for each in schedules]),
        decode_error=_median([each.comparison.decode_steps.median for each in schedules]),
        median_spread=float(np.median(spreads)) if spreads else None,
        tau=float(np.mean(taus)) if taus else None,
        clear_pairs=int(sum(agreement.clear_pairs for agreement in agreements)),
        right_pairs=int(sum(agreement.right_pairs for agreement in agreements)),
        kinds=_kinds(schedules),
        steady_schedules=len(steady),
        steady_median_error=float(np.median(steady)) if steady else None,
        coverage=_coverage(schedules),
        steady_coverage=_coverage([each for each in schedules if each.steady]),
        median_width=_median_width(schedules),
        unseen_schedules=len(unseen),
        unseen_median_error=float(np.median(unseen)) if unseen else None,
    )


def _validate(case: Case, entry: Entry, execute: Execute, seen: Seen) -> Validated:
    costs = CostModel(case.machine, case.model, case.precisions, case.stack_of(entry))
    schedule = plan_entry(case, entry, costs)
    prices = costs.of_schedule(schedule)
    predicted = retime(schedule, prices)
    runs = execute(schedule)
    found = [speed for run in runs if (speed := condition(run, case.machine)) is not None]
    validated = Validated(
        scenario=case.title,
        label=entry.spec.title,
        n_ops=len(schedule),
        comparison=compare(predicted, runs[0], runs[1:]),
        warnings=tuple(costs.warnings),
        condition=float(np.median(found)) if found else None,
        range_s=makespan_range(schedule, costs),
        unseen=not measures(case.machine, schedule.model, schedule.precisions),
    )
    seen(validated, sorted(runs, key=lambda run: run.makespan_s)[len(runs) // 2], predicted, prices)
    return validated


def makespan_range(schedule: Schedule, costs: CostModel) -> Range | None:
    """The range of the makespan of this very schedule, whether or not its strategy would decide otherwise elsewhere."""
    priced = costs.price(schedule.ops, schedule.lanes, schedule.classes)
    drawn = drawn_speeds(schedule, priced, normals(names_of(priced), DRAWS))
    return ranges_of(drawn).get("makespan_s")


def _coverage(schedules: Sequence[Validated]) -> float | None:
    told = [each.covered for each in schedules if each.covered is not None]
    return float(np.mean(told)) if told else None


def _median_width(schedules: Sequence[Validated]) -> float | None:
    widths = [
        (each.range_s.high - each.range_s.low) / each.comparison.predicted_s
        for each in schedules
        if each.range_s is not None and each.comparison.predicted_s
    ]
    return float(np.median(widths)) if widths else None


def _median(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.median(there)) if there else None


def _ranking(schedules: Sequence[Validated]) -> RankAgreement:
    found = {each.label: each.comparison for each in schedules}
    return rank_agreement(
        {label: comparison.predicted_s for label, comparison in found.items()},
        {label: comparison.measured_s for label, comparison in found.items()},
        {label: comparison.repeat_spread or 0.0 for label, comparison in found.items()},
    )


def _kinds(schedules: Sequence[Validated]) -> tuple[KindShare, ...]:
    """The largest share of the error first."""
    rows: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for each in schedules:
        for kind in each.comparison.kinds:
            rows.setdefault((kind.kind, kind.lane), []).append((kind.predicted_s, kind.measured_s))
    off = {key: sum(abs(predicted - measured) for predicted, measured in pairs) for key, pairs in rows.items()}
    whole = sum(off.values()) or 1.0
    found = [
        KindShare(
            *key, sum(predicted for predicted, _ in pairs), sum(measured for _, measured in pairs), off[key] / whole
        )
        for key, pairs in rows.items()
    ]
    return tuple(sorted(found, key=lambda each: (-each.share_of_error, each.kind, each.lane)))
