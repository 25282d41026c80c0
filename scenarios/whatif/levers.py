"""Levers: how much faster a strategy would be with more of one thing, and how steeply that begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf, log

from scenarios.adjust import adjusted, faster_memory
from scenarios.resolve import Case, Entry
from scenarios.schema import PredictorSpec
from scenarios.whatif.trial import Pace, Trial
from sim.memory import GPU_MEMORY
from sim.schedule import Kind

SMOOTH, COARSE = 0.01, 0.1  # steps of elasticities, re-timed and planned again
FACTORS = {"+10 %": 1.1, "+25 %": 1.25, "× 2": 2.0}
_FREE, _HALF = 1e9, 0.5
UNKNOWN = Pace(None, None)
_MORE_RECALL = 0.05
Changes = Callable[[float], dict[str, float]]  # factor -> what becomes of the machine's numbers


@dataclass(frozen=True)
class Lever:
    """One thing that there might be more of.

    `elasticity` is d ln(pace) / d ln(lever) at present, the mean slope over ± `step`: a share of the run's time that
    this thing is the cause of. `gains`: by what there would be, how many times as fast as now; the last is the bound
    that no amount of it exceeds. `loss`: the same with half of it, or with a poorer guess. None where a run has no such
    figure.
    """

    name: str
    what: str
    elasticity: Pace
    step: float
    gains: dict[str, Pace]
    loss: Pace
    note: str = ""

    @property
    def limit(self) -> Pace:
        """With as much of it as one could wish for."""
        return list(self.gains.values())[-1]


def levers(case: Case, entry: Entry, progress: Callable[[str], None] = lambda text: None) -> list[Lever]:
    """All levers of one strategy of a case, the one that decoding hangs on most first.

    A strategy whose decisions hold on any machine is re-timed, others are planned again for each change.
    """
    progress(f"planning {entry.spec.title}")
    trial = Trial(case, entry)
    found = []
    for name, (what, changes) in _machine_levers(trial).items():
        progress(f"{entry.spec.title}: {name}")
        found.append(_on_machines(trial, name, what, changes))
    progress(f"{entry.spec.title}: cache and predictor")
    found += filter(None, (_cache(trial), _predictor(trial)))
    return sorted(found, key=_rank)


def _rank(lever: Lever) -> tuple[float, float]:
    """Decoding before the first token; what there is no slope for yet, by its limit."""
    first = lever.limit.decode or lever.limit.first_token or 1.0
    return (-round(lever.elasticity.decode or lever.elasticity.first_token or 0.0, 3), -first)


def _machine_levers(trial: Trial) -> dict[str, tuple[str, Changes]]:
    """Those that this machine and this schedule have."""
    machine, kinds = trial.case.machine, set(trial.schedule.ops.kind.tolist())
    found: dict[str, tuple[str, Changes]] = {
        "link": ("PCIe: large copies, both ways", lambda factor: {"link.speed": factor}),
        "gpu": ("GPU: bandwidth and arithmetic", lambda factor: {"gpu.speed": factor}),
        "cpu": ("CPU kernels: bandwidth and arithmetic", lambda factor: {"cpu.speed": factor}),
        "dram": ("host memory: what all its users share and CPU kernels stream", lambda f: faster_memory(machine, f)),
        "dispatch": ("host software: dispatching, waiting, waking", lambda factor: {"dispatch.speed": factor}),
    }
    if Kind.READ in kinds:
        found["storage"] = ("reads from the drive", lambda factor: {"storage.speed": factor})
    return {name: lever for name, lever in found.items() if lever[1](1.0)}


def _on_machines(trial: Trial, name: str, what: str, changes: Changes) -> Lever:
    def pace(factor: float) -> Pace:
        return trial.on(adjusted(trial.case.machine, changes(factor)))

    step = SMOOTH if trial.portable else COARSE
    gains = {label: pace(factor).over(trial.base) for label, factor in FACTORS.items()}
    return Lever(
        name=name,
        what=what,
        elasticity=_slope(pace(1 + step), pace(1 - step), log((1 + step) / (1 - step))),
        step=step,
        gains=gains | {"without limit": pace(_FREE).over(trial.base)},
        loss=pace(_HALF).over(trial.base),
        note="" if trial.portable else "planned again",
    )


def _slope(above: Pace, below: Pace, apart: float) -> Pace:
    return Pace(*(log(ratio) / apart if ratio else None for ratio in above.over(below)))


def _cache(trial: Trial) -> Lever | None:
    """More experts on the GPU, whether or not there is memory for them; None if the strategy cannot choose."""
    case, strategy = trial.case, trial.entry.strategy()
    present, total = trial.entry.fit.cached, case.model.n_slots_total
    share = case.model.n_moe_layers if strategy.equal_shares else 1
    if strategy.slots(case.model) is not None or present < share:
        return None
    known: dict[int, Pace] = {present: trial.base}

    def pace(factor: float) -> Pace:
        cached = max(share, min(total, round(present * factor) // share * share)) if factor < inf else total
        if cached not in known:
            known[cached] = trial.again(case, replace(trial.entry, fit=replace(trial.entry.fit, cached=cached)))
        return known[cached]

    steps = [
        size // share * share for size in (round(present * (1 - COARSE)), min(total, round(present * (1 + COARSE))))
    ]
    less, more = (max(share, size) for size in steps)
    apart = log(more / less)
    gains = {label: pace(factor).over(trial.base) for label, factor in FACTORS.items() if present * factor <= total}
    return Lever(
        name="cache",
        what=f"experts on the GPU, {present} of {total} now",
        elasticity=_slope(pace(more / present), pace(less / present), apart) if apart else UNKNOWN,
        step=COARSE,
        gains=gains | {f"all {total}": pace(inf).over(trial.base)},
        loss=pace(_HALF).over(trial.base),
        note=f"GPU memory has room for {_room(trial)} more",
    )


def _room(trial: Trial) -> int:
    """Experts that could be cached besides."""
    case = trial.case
    free = case.machine.memory[GPU_MEMORY].usable_bytes - trial.entry.fit.gpu.total_bytes
    more = max(0, free) // case.model.expert_bytes(case.precisions.experts)
    return min(more, case.model.n_slots_total - trial.entry.fit.cached)


def _predictor(trial: Trial) -> Lever | None:
    """A better guess of what comes; None for a strategy that asks for none."""
    now = trial.entry.predictor
    if now is None or now.kind == "perfect" or "prediction" not in trial.schedule.meta:
        return None

    def pace(predictor: PredictorSpec) -> Pace:
        return trial.again(trial.case, replace(trial.entry, predictor=predictor))

    perfect = {"perfect": pace(PredictorSpec(kind="perfect")).over(trial.base)}
    if not isinstance(now.recall, float):
        return Lever("predictor", f"predictor, {now.kind} now", UNKNOWN, COARSE, perfect, UNKNOWN)
    above, below = min(1.0, now.recall + _MORE_RECALL), max(_MORE_RECALL, now.recall - _MORE_RECALL)
    more, less = (pace(now.model_copy(update={"recall": recall})) for recall in (above, below))
    return Lever(
        name="predictor",
        what=f"recall of the predictor, {now.recall:.0%} now",
        elasticity=_slope(more, less, log(above / below)) if above > below else UNKNOWN,
        step=_MORE_RECALL,
        gains={f"recall {above:.2g}": more.over(trial.base)} | perfect,
        loss=less.over(trial.base),
    )
