"""The answer of `moesim whatif`: all levers of one strategy, as JSON values and in a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from scenarios.load import ScenarioFile
from scenarios.report.ranking import rank
from scenarios.resolve import Case, Entry, resolve
from scenarios.results import RunResult
from scenarios.run import run_entry
from scenarios.schema import did_you_mean
from scenarios.whatif.levers import Lever, levers
from scenarios.whatif.trial import Pace
from sim.errors import InputError
from sim.readable import number

TENTH = "+10 %"
_NOTHING = 0.005  # a gain below this is none
_IN_WORDS = {
    "link": "the PCIe link",
    "gpu": "the GPU",
    "cpu": "the CPU",
    "dram": "host memory",
    "dispatch": "the host's software",
    "storage": "the drive",
}
Figure = Literal["decode", "first_token"]


@dataclass(frozen=True)
class Answer:
    """One strategy of a scenario as it is, and what more of each thing would make of it."""

    title: str
    machine: str
    run: RunResult
    levers: tuple[Lever, ...]

    @property
    def figure(self) -> Figure:
        """What levers are ordered by: decoding, if there is any."""
        return "decode" if self.run.summary.decode_tokens_per_s else "first_token"

    def to_json(self) -> str:
        """Gains say how many times as fast; of `first_token`, how many times as soon."""
        told: dict[str, Any] = {
            "title": self.title,
            "machine": self.machine,
            "strategy": self.run.label,
            "decode_tokens_per_s": self.run.summary.decode_tokens_per_s,
            "ttft_s": self.run.summary.ttft_s,
            "levers": [_plain(lever) for lever in self.levers],
            "conclusion": conclusion(self),
        }
        return json.dumps(told, indent=1, allow_nan=False)


def ask(file: ScenarioFile, label: str | None = None, progress: Callable[[str], None] = lambda text: None) -> Answer:
    """What more of each thing would buy one strategy, by default the best; InputError for a label that is not there."""
    progress("reading")
    case = resolve(file)
    with file.at():
        entry, run = _named(case, label) if label else _best(case, progress)
        return Answer(case.title, case.machine.name, run, tuple(levers(case, entry, progress)))


def _named(case: Case, label: str) -> tuple[Entry, RunResult]:
    for entry in case.entries:
        if entry.spec.title == label:
            return entry, run_entry(case, entry)
    known = [entry.spec.title for entry in case.entries]
    raise InputError("no strategy is called this", field="--strategy", value=label, remedy=did_you_mean(label, known))


def _best(case: Case, progress: Callable[[str], None]) -> tuple[Entry, RunResult]:
    """The one that the report would name, among those that a user can choose if there are any."""
    runs = []
    for entry in case.entries:
        progress(f"running {entry.spec.title}")
        runs.append(run_entry(case, entry))
    best = rank(runs)[0]
    return case.entries[best.number], best.run


def conclusion(answer: Answer) -> str:
    """What the strategy is bound by, and what a tenth more of that gives, in a sentence or two."""
    parts = [
        (lever, _tenth(lever, answer.figure)) for lever in answer.levers if lever.name not in ("cache", "predictor")
    ]
    parts.sort(key=lambda pair: -pair[1])
    what = "decoding" if answer.figure == "decode" else "the first token"
    most = parts[0][1] if parts else 0.0
    if most < _NOTHING:
        text = f"No part of the machine binds {what} of {answer.run.label}: 10 % more of any one gives less than 0.5 %."
    else:
        leaders = [lever for lever, gain in parts if gain > most / 2]
        rest = [gain for _, gain in parts[len(leaders) :]]
        bound = " or ".join(_IN_WORDS.get(lever.name, lever.name) for lever in leaders)
        text = (
            f"{what[0].upper()}{what[1:]} of {answer.run.label} is bound by {bound}: 10 % more gives {_percent(most)}"
        )
        text += f"; nothing else in the machine gives more than {_percent(max(rest))}." if rest else "."
    return text + _beside(answer)


def _beside(answer: Answer) -> str:
    """What the cache and the predictor would give."""
    told = []
    for lever in answer.levers:
        gain = getattr(next(iter(lever.gains.values())), answer.figure)
        if lever.name == "cache" and TENTH in lever.gains and gain:
            told.append(f"10 % more cache gives {_percent(gain - 1)}")
        if lever.name == "predictor" and (most := getattr(lever.limit, answer.figure)):
            told.append(f"a perfect predictor gives {_percent(most - 1)}")
    text = ", ".join(told)
    return f" {text[0].upper()}{text[1:]}." if text else ""


def _tenth(lever: Lever, figure: Figure) -> float:
    gain = getattr(lever.gains[TENTH], figure)
    return gain - 1 if gain else 0.0


def _percent(gain: float) -> str:
    return f"{number(round(100 * gain, 1))} %"


def _plain(lever: Lever) -> dict[str, Any]:
    def pace(of: Pace) -> dict[str, float | None]:
        return of._asdict()

    return {
        "name": lever.name,
        "what": lever.what,
        "elasticity": pace(lever.elasticity),
        "step": lever.step,
        "half": pace(lever.loss),
        "gains": {label: pace(gain) for label, gain in lever.gains.items()},
        "note": lever.note,
    }
