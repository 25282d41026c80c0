"""Trying strategies on the ground of a question: what each gives, or why it does not fit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from scenarios.advise.contenders import Contender
from scenarios.advise.question import Ground
from scenarios.fit import check_model, fit
from scenarios.report.ranking import rank, why_bracket
from scenarios.resolve import Entry
from scenarios.results import RunResult
from scenarios.run import run_entry
from scenarios.schema import PredictorSpec
from sim.errors import DoesNotFit
from sim.strategies.registry import make_strategy


@dataclass(frozen=True)
class Tried:
    """A contender and how it did."""

    contender: Contender
    run: RunResult

    @property
    def speed(self) -> float:
        """Decoded tokens a second."""
        return self.run.summary.decode_tokens_per_s or 0.0


@dataclass
class Trial:
    """All that was tried with the weights in one format; `refused` has the sum of each contender that does not fit."""

    ground: Ground
    weights: str
    tried: list[Tried] = field(default_factory=list)
    refused: dict[str, DoesNotFit] = field(default_factory=dict)

    def run(self, contenders: Iterable[Contender], cache: int | str = "auto") -> None:
        """Try some more of them, those that had their turn at `auto` left out."""
        for contender in contenders:
            if cache != "auto" or contender not in [each.contender for each in self.tried]:
                try:
                    self.tried.append(Tried(contender, run_on(self.ground, self.weights, contender, cache)))
                except DoesNotFit as error:
                    self.refused[contender.label] = error

    def ranked(self) -> list[Tried]:
        """Those that a user could choose and that keep to the router, best first."""
        return self._ordered([each for each in self.tried if not each.contender.lossy and not why_bracket(each.run)])

    def lossy(self) -> list[Tried]:
        """Those that run other experts than the router's."""
        return self._ordered([each for each in self.tried if each.contender.lossy])

    def hypothetical(self) -> list[Tried]:
        """Those that only a larger GPU could hold."""
        return [each for each in self.tried if not each.run.fits]

    def _ordered(self, tried: Sequence[Tried]) -> list[Tried]:
        return [tried[entry.number] for entry in rank([each.run for each in tried])] if tried else []


def run_on(ground: Ground, weights: str, contender: Contender, cache: int | str = "auto") -> RunResult:
    """Plan and simulate one contender; raises DoesNotFit, with the sum."""
    case = ground.case(weights, steady=contender.steady)
    return run_entry(case, entry(ground, weights, contender, cache))


def entry(ground: Ground, weights: str, contender: Contender, cache: int | str = "auto") -> Entry:
    """The contender with the cache that it gets; raises DoesNotFit, with the sum."""
    setting = ground.setting(weights)
    check_model(setting)
    spec = contender.spec(setting)
    strategy = make_strategy(spec.name, **spec.knobs)
    fitting = fit(strategy, None, cache, setting)
    return Entry(spec, PredictorSpec(recall=ground.question.recall), fitting, type(strategy))


def fits(ground: Ground, weights: str, contender: Contender) -> bool:
    """Whether the machine can hold it."""
    try:
        return entry(ground, weights, contender).fit.fits
    except DoesNotFit:
        return False
