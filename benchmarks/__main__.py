"""Print the rates of planning, pricing and simulating a Mixtral decode beside a bare SimPy loop."""

from __future__ import annotations

import subprocess
import sys
import time

import simpy

from benchmarks.timing import Rate, rate
from scenarios.machine_presets import load_machine
from scenarios.presets import load_model
from sim.cost import CostModel
from sim.engine import simulate
from sim.plan import plan
from sim.precision import Precisions
from sim.schedule import Schedule
from sim.strategies.registry import make_strategy
from sim.synth import synthesize

OUTPUT_TOKENS, CACHED, EVENTS = 256, 120, 100_000
TARGETS = {"simulate (SimPy engine)": 150_000.0, "plan `cache`": 100_000.0}


def bare_simpy() -> None:
    """The least that a discrete-event loop can do: one process, one timeout an event."""
    env = simpy.Environment()

    def ticking() -> simpy.events.ProcessGenerator:
        for _ in range(EVENTS):
            yield env.timeout(1.0)

    env.process(ticking())
    env.run()


def import_seconds() -> float:
    """Median of five imports of the command line, each in a fresh interpreter."""
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import scenarios.cli"], check=True)
        taken.append(time.perf_counter() - start)
    return sorted(taken)[2]


def rates() -> list[Rate]:
    """All rates, the bare loop first and last, so that a drift of the machine shows."""
    model, machine = load_model("mixtral-8x7b"), load_machine("a6000-i9-10980xe")
    precisions = Precisions("bf16", "bf16", "bf16")
    trace = synthesize(model.n_moe_layers, model.n_experts, model.top_k, [(32, OUTPUT_TOKENS)], seed=0)
    costs = CostModel(machine, model, precisions)

    def planned() -> Schedule:
        return plan(make_strategy("cache"), model, precisions, trace, cached=CACHED, costs=costs)

    schedule = planned()
    priced = costs.of(schedule.ops, schedule.lanes)
    n = len(schedule)
    return [
        rate("bare SimPy loop, before", EVENTS, bare_simpy),
        rate("plan `cache`", n, planned),
        rate("price", n, lambda: costs.of(schedule.ops, schedule.lanes)),
        rate("simulate (SimPy engine)", n, lambda: simulate(schedule, priced)),
        rate("bare SimPy loop, after", EVENTS, bare_simpy),
    ]


def main() -> None:
    """Print one line a rate: median, extremes, ratio to the bare loop, target where there is one."""
    found = rates()
    loop = (found[0].per_s + found[-1].per_s) / 2
    print(f"{'':28}{'per second':>14}{'low':>12}{'high':>12}{'÷ bare loop':>13}   target")
    for r in found:
        target = f"{TARGETS[r.name]:,.0f}" if r.name in TARGETS else ""
        print(f"{r.name:28}{r.per_s:14,.0f}{r.low:12,.0f}{r.high:12,.0f}{r.per_s / loop:13.3f}   {target}")
    print(f"import of the command: {import_seconds():.2f} s (target < 0.70 s)")


if __name__ == "__main__":
    main()
