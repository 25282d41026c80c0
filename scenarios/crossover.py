"""Where one strategy overtakes another as a field of the scenario grows: cache, link speed, CPU speed, …"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from scenarios.load import ScenarioFile, check_scenario
from scenarios.published.quantities import QUANTITIES
from scenarios.resolve import resolve
from scenarios.run import run_entry
from scenarios.schema import Part, Scenario, did_you_mean, refusal
from scenarios.vary import changed
from scenarios.yaml_file import YamlFile
from sim.errors import DoesNotFit, InputError
from sim.readable import number as plain
from sim.strategies.registry import strategies

_LEVEL = 1.01  # a lead below this is none


def _of_a_run(value: Any) -> Any:
    known = [name for name, quantity in QUANTITIES.items() if quantity.of_run]
    if value not in known:
        raise refusal("is not read of a run", did_you_mean(str(value), known))
    return value


RunQuantity = Annotated[str, BeforeValidator(_of_a_run)]


class Question(Part):
    """Which strategy is ahead in a quantity, over the values of one field."""

    say: str
    scenario: dict[str, Any]
    vary: str = Field(description="cache, machine_with.link.gb_per_s, workload.prompt, predictor.recall, …")
    values: Annotated[list[float | int | str], Field(min_length=2)]
    rivals: Annotated[list[str], Field(min_length=1)]
    quantity: RunQuantity = "tokens_per_s"


@dataclass(frozen=True)
class Answer:
    """The quantity of each rival at each value; NaN where the scenario cannot be (it does not fit, say).

    `better` is "higher" or "lower"; None where neither is.
    """

    values: tuple[float | int | str, ...]
    series: dict[str, tuple[float, ...]]
    better: Literal["higher", "lower"] | None = "higher"

    def leaders(self) -> list[tuple[float | None, str]]:
        """Who is ahead from where on: first the leader at the lowest value (None), then each change of leader.

        Whoever leads does so until another is ahead by more than 1 %. The change lies where the ratio of the two is 1,
        its logarithm taken as straight between two values.
        """
        fitting = [i for i in range(len(self.values)) if any(self._height(label, i) > 0 for label in self.series)]
        found: list[tuple[float | None, str]] = []
        for before, i in zip([None, *fitting], fitting, strict=False):
            leader = self._leader(i, found[-1][1] if found else None)
            if before is None:
                found.append((None, leader))
            elif leader != found[-1][1]:
                found.append((self._crossing(found[-1][1], leader, before, i), leader))
        return found

    def lead(self, first: str) -> tuple[float, float]:
        """Least and greatest ratio of one rival to the best of the others."""
        others = [label for label in self.series if label != first]
        fitting = [i for i in range(len(self.values)) if self._height(first, i) > 0]
        ratios = [self._height(first, i) / max(self._height(label, i) for label in others) for i in fitting]
        return min(ratios), max(ratios)

    def _leader(self, i: int, present: str | None) -> str:
        """The one that leads already if it is level with the best, else the best."""
        best = max(self.series, key=lambda label: self._height(label, i))
        level = present is not None and self._height(present, i) >= self._height(best, i) / _LEVEL
        return present if present is not None and level else best

    def _height(self, label: str, i: int) -> float:
        """How good a value is: higher is better, and ratios are those of the quantity."""
        value = self.series[label][i]
        if math.isnan(value):
            return -math.inf
        return value if self.better != "lower" else 1 / value if value else math.inf

    def _crossing(self, before: str, after: str, i: int, k: int) -> float:
        """Where `after` overtakes `before` between the values number `i` and `k`; at `k` if either was not there."""
        low, high = (number(self.values[at]) for at in (i, k))
        if any(math.isnan(self.series[label][at]) for label in (before, after) for at in (i, k)):
            return high
        behind, ahead = (math.log(self._height(after, at) / self._height(before, at)) for at in (i, k))
        return low + (high - low) * max(0.0, behind / (behind - ahead))


def answer(
    question: Question, source: YamlFile, location: tuple[str | int, ...] = (),
    progress: Callable[[str], None] = lambda text: None,
) -> Answer:  # fmt: skip
    """Run the rivals at every value; where one of them does not fit the machine, there is nothing to read of any."""
    series: dict[str, list[float]] = {label: [] for label in question.rivals}
    for value in question.values:
        progress(f"{question.vary} {value}")
        for label, reading in _readings(question, value, source, location).items():
            series[label].append(reading)
    better = QUANTITIES[question.quantity].better
    return Answer(tuple(question.values), {label: tuple(values) for label, values in series.items()}, better)


def _readings(
    question: Question, value: float | int | str, source: YamlFile, location: tuple[str | int, ...]
) -> Mapping[str, float]:
    try:
        case = resolve(check_scenario(source, changed(question.scenario, {question.vary: value}), location))
    except DoesNotFit:
        return dict.fromkeys(question.rivals, math.nan)
    read = QUANTITIES[question.quantity].run
    assert read is not None  # the field sees to it
    found = {}
    for entry in case.entries:
        if entry.spec.title in question.rivals:
            reading = read(run_entry(case, entry))
            found[entry.spec.title] = math.nan if reading is None else reading
    lost = [label for label in question.rivals if label not in found]
    if lost:
        known = ", ".join(entry.spec.title for entry in case.entries)
        raise InputError("no strategy has this label", field="rivals", value=lost[0], remedy=f"it has {known}")
    return found


def labelled(file: ScenarioFile) -> dict[str, Any]:
    """The scenario with each strategy's label written out, so that a label stays when a knob changes."""
    given = file.source.data["strategies"]
    entries = [entry if isinstance(entry, dict) else {"name": entry} for entry in given]
    titles = [spec.title for spec in file.spec.strategies]
    return file.source.data | {"strategies": [e | {"label": t} for e, t in zip(entries, titles, strict=True)]}


def contenders(scenario: Scenario) -> list[str]:
    """The labels of all strategies but the brackets, which are no rivals of what has to fit."""
    return [spec.title for spec in scenario.strategies if not strategies()[spec.name].bracket]


def number(value: float | int | str) -> float:
    """A value as a place on an axis; a share such as 47% counts in percent, and NaN is what has no place."""
    try:
        return float(value.rstrip("% ")) if isinstance(value, str) else float(value)
    except ValueError:
        return math.nan


def in_words(found: Answer, vary: str) -> str:
    """Who is ahead of whom, where."""
    unit = " %" if any(isinstance(value, str) for value in found.values) else ""
    if found.better is None or any(math.isnan(number(value)) for value in found.values):
        return ""
    leaders = found.leaders()
    if not leaders:
        return "Nothing fits the machine here."
    (_, first), *changes = leaders
    if changes:
        places = (f"from {vary} ≈ {place:.3g}{unit} on {leader}" for place, leader in changes)
        return f"{first} leads at first, {', '.join(places)}."
    low, high = found.lead(first)
    if low < _LEVEL:
        return f"{first} leads or is level everywhere here, by up to {high:.2f}× over the next."
    return f"{first} leads everywhere here, by {low:.2f} to {high:.2f}× over the next."


def table(found: Answer, vary: str, unit: str) -> str:
    """The series as Markdown."""
    head = f"| {vary} | " + " | ".join(f"{label}, {unit}" for label in found.series) + " |"
    rows = [
        f"| {value} | " + " | ".join(cell(found.series[label][i]) for label in found.series) + " |"
        for i, value in enumerate(found.values)
    ]
    return "\n".join([head, "|---|" + "---|" * len(found.series), *rows])


def cell(value: float) -> str:
    """A reading in a table."""
    return "does not fit" if math.isnan(value) else plain(value)
