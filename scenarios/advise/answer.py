"""The answer: the format and the strategy to take, what else was tried, and what limits the machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scenarios.advise.contenders import ALL_RESIDENT, LLAMA_CPP, LOSSY, OTHERS, RULES, caching
from scenarios.advise.levers import Lever, levers
from scenarios.advise.question import Ground, Question, resolve
from scenarios.advise.ranging import give_ranges
from scenarios.advise.trial import Trial, Tried, fits

FORMATS = ("bf16", "q8_0", "q4_k")  # what is tried where none is stated: fewer and fewer bits
_SMALLER = (0.5, 0.25)  # of what fits: the other cache sizes that are tried
_WORTH = 1.1  # fewer bits must gain so much

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Advice:
    """`trials` of every format in which something can be used or refused, that of the advice apart as `chosen`."""

    ground: Ground
    chosen: Trial
    others: tuple[Trial, ...]
    levers: tuple[Lever, ...]

    @property
    def best(self) -> Tried:
        """What to take."""
        return self.chosen.ranked()[0]


def advise(question: Question, progress: Progress = lambda text: None) -> Advice:
    """Try what makes sense; raises InputError for what is not known, DoesNotFit with the sum if nothing fits."""
    progress("reading")
    ground = resolve(question)
    trials = []
    for weights in (question.precision,) if question.precision else FORMATS:
        progress(f"trying {weights}")
        trials.append(_probed(ground, weights))
    chosen = _choice(trials)
    _completed(chosen, progress)
    progress("drawing ranges")
    give_ranges(chosen)
    progress("asking what limits it")
    found = levers(ground, chosen.weights, chosen.ranked()[0])
    return Advice(ground, chosen, tuple(trial for trial in trials if trial is not chosen), tuple(found))


def _probed(ground: Ground, weights: str) -> Trial:
    """A few strategies that tell formats apart: all on the GPU, or else missing experts where they are cheaper."""
    trial = Trial(ground, weights)
    all_fit = fits(ground, weights, ALL_RESIDENT)
    trial.run([ALL_RESIDENT] if all_fit else [caching("cheaper"), LLAMA_CPP])
    return trial


def _choice(trials: Sequence[Trial]) -> Trial:
    """The fastest format, unless one of more bits is about as fast; the last refusal if nothing fits."""
    able = [trial for trial in trials if trial.ranked()]
    if not able:
        raise next(reversed(trials[-1].refused.values()))
    chosen = able[0]
    for trial in able[1:]:
        if trial.ranked()[0].speed >= _WORTH * chosen.ranked()[0].speed:
            chosen = trial
    return chosen


def _completed(trial: Trial, progress: Progress) -> None:
    """Try all strategies, then the best caches with less memory; where all fits, there is but one rule to compare."""
    progress(f"trying all strategies with {trial.weights}")
    if trial.ranked()[0].contender is ALL_RESIDENT:
        trial.run([LLAMA_CPP, caching("fetch"), caching("cheaper")])
    else:
        trial.run(RULES)
        rule = _best_rule(trial)
        trial.run([caching(rule, "lfu"), *(caching(miss, prefetch=True) for miss in dict.fromkeys(("fetch", rule)))])
        trial.run([LLAMA_CPP, *OTHERS, *LOSSY, ALL_RESIDENT])
    progress("trying smaller caches")
    if largest := [each for each in trial.ranked() if each.contender.sized][:1]:
        contender, cached = largest[0].contender, largest[0].run.cached
        for smaller in filter(None, (int(share * cached) for share in _SMALLER)):
            trial.run([contender], smaller)


def _best_rule(trial: Trial) -> str:
    ranked = [each for each in trial.ranked() if each.contender in RULES]
    return str(ranked[0].contender.knobs["miss"]) if ranked else "fetch"
