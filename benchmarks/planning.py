"""Print the rates of compiled plans beside those of the plain path, in one run, and what the first of them takes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from time import process_time
from typing import Any

from benchmarks.timing import Rate, rate
from scenarios.machine_presets import load_machine
from scenarios.presets import load_model
from sim.cost import CostModel
from sim.plan import plan
from sim.planning.compiled import prepare
from sim.precision import Precisions
from sim.predict import RecallPredictor
from sim.schedule import Schedule
from sim.strategies.registry import make_strategy
from sim.synth import synthesize

PROMPT, OUTPUT = 32, 256
TARGET = 1_000_000.0
SHARE = 0.47  # of the experts cached: 120 of Mixtral's
WEIGHING = {"miss": "cheaper", "evict": "swap", "prefetch": True}
CASES: list[tuple[str, str, dict[str, Any], bool]] = [  # model, strategy, knobs, whether guesses are prepared
    ("mixtral-8x7b", "cache", {}, False),
    ("mixtral-8x7b", "on-demand", {}, False),
    ("mixtral-8x7b", "cache", WEIGHING, False),
    ("mixtral-8x7b", "cache", WEIGHING, True),
    ("qwen3-30b-a3b", "cache", {}, False),
    ("qwen3-30b-a3b", "cache", {"policy": "lfu", "scope": "global"}, False),
]
FIRST = """
from time import process_time
start = process_time()
import numba
imported = process_time()
from sim.plan import plan
from sim.strategies.registry import make_strategy
from tests.runs import BF16, PLAIN, SETTINGS
plan(make_strategy("cache"), PLAIN, BF16, SETTINGS["plain"].trace(), cached=4)
print(imported - start, process_time() - imported)
"""


@dataclass(frozen=True)
class Planned:
    """The same plans a second by both paths, in ops."""

    name: str
    n_ops: int
    fast: Rate
    plain: Rate

    @property
    def ms(self) -> float:
        """One compiled plan."""
        return 1e3 * self.n_ops / self.fast.per_s


def rates() -> list[Planned]:
    """Of one prompt and its output on each model, by CPU time: planning is one thread's work."""
    return [_planned(*case) for case in CASES]


def _planned(preset: str, name: str, knobs: dict[str, Any], prepared: bool) -> Planned:
    model, machine = load_model(preset), load_machine("a6000-i9-10980xe")
    precisions = Precisions("bf16", "bf16", "bf16")
    trace = synthesize(model.n_moe_layers, model.n_experts, model.top_k, [(PROMPT, OUTPUT)], seed=0)
    costs = CostModel(machine, model, precisions)

    def predictor() -> RecallPredictor:
        return RecallPredictor(model.n_moe_layers, model.n_experts, recall=0.8)

    ready = prepare(trace, model, predictor=predictor()) if prepared else None

    def planned(fast: bool) -> Schedule:
        return plan(
            make_strategy(name, **knobs), model, precisions, trace, cached=round(SHARE * model.n_slots_total),
            costs=costs, predictor=predictor(), prepared=ready, fast=fast,
        )  # fmt: skip

    n_ops = len(planned(True))
    title = " ".join([name, *(str(value) for value in knobs.values()), *(["prepared"] if prepared else [])])
    fast = rate(title, n_ops, partial(planned, True), clock=process_time)
    plain = rate(title, n_ops, partial(planned, False), clock=process_time, repeats=1)
    return Planned(f"{preset}: {title}", n_ops, fast, plain)


def first_plan_seconds() -> list[list[float]]:
    """CPU seconds of importing Numba and of a first small plan: with nothing compiled yet, then in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        outputs = [
            subprocess.run([sys.executable, "-c", FIRST], env=environment, capture_output=True, text=True, check=True)
            for _ in range(2)
        ]
    return [[float(word) for word in done.stdout.split()] for done in outputs]


def main() -> None:
    """Print one line a case: ops a second compiled and plain, their ratio, milliseconds of a compiled plan."""
    print(f"{'plan':52}{'ops':>9}{'compiled ops/s':>16}{'plain ops/s':>14}{'ratio':>8}{'ms':>8}   target")
    for case in rates():
        speeds = f"{case.fast.per_s:16,.0f}{case.plain.per_s:14,.0f}{case.fast.per_s / case.plain.per_s:8.1f}"
        print(f"{case.name:52}{case.n_ops:9,}{speeds}{case.ms:8.1f}   {TARGET:,.0f}")
    (imported, compiled), (_, loaded) = first_plan_seconds()
    print(
        f"first plan: {compiled:.1f} s of CPU to compile, {loaded:.1f} s once cached; {imported:.1f} s to import Numba"
    )


if __name__ == "__main__":
    main()
