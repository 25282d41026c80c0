"""Rates of the parts that simulate: both engines, pricing, summing up, one more machine, planning."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from time import process_time
from typing import Any

import simpy

from benchmarks.timing import Rate, rate
from scenarios.machine_presets import load_machine
from scenarios.presets import load_model
from sim.cost import CostModel
from sim.engine import simulate
from sim.metrics import summarise
from sim.plan import plan
from sim.precision import Precisions
from sim.predict import RecallPredictor
from sim.retime import Retimer
from sim.schedule import Schedule
from sim.strategies.registry import make_strategy
from sim.synth import synthesize
from sim.timeline import Timeline

PROMPT, OUTPUT, CACHED, EVENTS = 32, 256, 120, 100_000
PLAIN: dict[str, Any] = {}
BUSY = {"miss": "cpu", "prefetch": True, "priority": True}  # CPU and copies share memory, copies have priorities
MODEL, MACHINE, OTHER = "mixtral-8x7b", "a6000-i9-10980xe", "rtx-4090"
FIRST = """
from time import process_time
from sim.retime import Retimer
from sim.cost import costs_of
from sim.plan import plan
from sim.strategies.registry import make_strategy
from tests.machines import busy_machine
from tests.runs import BF16, PLAIN, SETTINGS
schedules = [plan(make_strategy("cache", **knobs), PLAIN, BF16, SETTINGS["plain"].trace(), cached=4, fast=False)
             for knobs in ({}, {"priority": True})]
start = process_time()
import numba
imported = process_time()
for schedule in schedules:
    Retimer(schedule).times(costs_of(schedule, busy_machine()))
print(imported - start, process_time() - imported)
"""


@dataclass(frozen=True)
class Part:
    """The rate of one part, in ops a second but for the bare loop, and what it is to be compared with."""

    rate: Rate
    n_ops: int  # of one run
    beside: str | None = None  # another part
    target: float | None = None  # a second
    target_ratio: float | None = None

    @property
    def name(self) -> str:
        """Of its rate."""
        return self.rate.name

    @property
    def ms(self) -> float:
        """One run at its best."""
        return 1e3 * self.n_ops / self.rate.high


def parts() -> Iterator[Part]:
    """All parts, by CPU time, for the machine may be busy."""
    loop, seldom, often = "bare SimPy loop", 3, 15

    def part(name: str, n: int, run: Callable[[], object], repeats: int, *rest: Any) -> Part:
        return Part(rate(name, n, run, repeats=repeats, clock=process_time), n, *rest)

    yield part(loop, EVENTS, bare_simpy, seldom)
    for kind, knobs, per_s, most_ms in (("fifo only", PLAIN, 50e6, 5), ("sharing, priorities", BUSY, 5e6, None)):
        case, reference = _Case(knobs), f"SimPy engine, {kind}"
        yield part(reference, case.n, case.by_simpy, seldom, loop)
        yield part(f"fast engine, {kind}", case.n, case.by_fast, often, reference, per_s, 100)
        one_more = f"one more machine, {kind}"
        yield part(one_more, case.n, case.one_more_machine, often, reference, most_ms and case.n / most_ms * 1e3)
    case, reference = _Case(PLAIN), "SimPy engine, fifo only"
    yield part("price", case.n, case.price, often, reference)
    yield part("sum up", case.n, case.sum_up, often, reference, case.n / 1e-3)
    yield part("plan, pass by pass", case.n, partial(case.planned, fast=False), seldom, loop)
    yield part("plan, compiled", case.n, case.planned, often, "plan, pass by pass", 1e6)
    yield part("bare SimPy loop again", EVENTS, bare_simpy, seldom, loop)


class _Case:
    """A Mixtral decode by the cache strategy with some knobs."""

    def __init__(self, knobs: dict[str, Any]) -> None:
        self._knobs = knobs
        self._model, self._precisions = load_model(MODEL), Precisions("bf16", "bf16", "bf16")
        m = self._model
        self._trace = synthesize(m.n_moe_layers, m.n_experts, m.top_k, [(PROMPT, OUTPUT)], seed=0)
        self._costs, self._other = (CostModel(load_machine(name), m, self._precisions) for name in (MACHINE, OTHER))
        self._schedule = self.planned()
        self.n = len(self._schedule)
        self._retimer = Retimer(self._schedule)
        self._priced = self._costs.of_schedule(self._schedule)
        self._timeline = Timeline(self._schedule, self.by_fast())

    def planned(self, *, fast: bool = True) -> Schedule:
        m = self._model
        predictor = RecallPredictor(m.n_moe_layers, m.n_experts, recall=0.85)
        return plan(
            make_strategy("cache", **self._knobs), m, self._precisions, self._trace, cached=CACHED,
            predictor=predictor, costs=self._costs, fast=fast,
        )  # fmt: skip

    def by_simpy(self) -> object:
        return simulate(self._schedule, self._priced)

    def by_fast(self) -> Any:
        return self._retimer.times(self._priced)

    def price(self) -> object:
        return self._other.of_schedule(self._schedule)

    def sum_up(self) -> object:
        return summarise(Timeline(self._schedule, self._timeline.times))

    def one_more_machine(self) -> object:
        """Price, time and sum up on another machine, the schedule having been timed before."""
        return summarise(Timeline(self._schedule, self._retimer.times(self._other.of_schedule(self._schedule))))


def bare_simpy() -> None:
    """The least that a discrete-event loop can do: one process, one timeout an event."""
    env = simpy.Environment()

    def ticking() -> simpy.events.ProcessGenerator:
        for _ in range(EVENTS):
            yield env.timeout(1.0)

    env.process(ticking())
    env.run()


def first_use_seconds() -> list[list[float]]:
    """CPU seconds of importing Numba and of a first use of both engines' kernels: compiled, then from the cache."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        outputs = [
            subprocess.run([sys.executable, "-c", FIRST], env=environment, capture_output=True, text=True, check=True)
            for _ in range(2)
        ]
    return [[float(word) for word in done.stdout.split()] for done in outputs]
