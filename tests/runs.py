"""Runs of every strategy on small models and traces, for tests of what all of them must keep to."""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim.cache import ONLINE
from sim.cost import CostModel, costs_of
from sim.engine import simulate
from sim.machine import Machine
from sim.model import MoEModel
from sim.plan import plan
from sim.predict import Predictor, RecallPredictor
from sim.program import Program
from sim.schedule import Schedule
from sim.strategies.registry import make_strategy, strategies
from sim.strategy import LayerPass, Strategy
from sim.timeline import Timeline
from sim.trace import ExpertIds, RoutingTrace
from tests.conservation import Routed
from tests.machines import BF16, busy_machine, tiny_model
from tests.traces import random_trace


@dataclass(frozen=True)
class Setting:
    """What a strategy is run on. `cached` None: as many experts as the model has."""

    model: MoEModel
    batch: int
    cached: int | None
    sequences: tuple[tuple[int, int], ...] = ((4, 3), (0, 4), (6, 0), (1, 2), (3, 3))
    missing: float = 0.0
    seed: int = 0

    @property
    def n_cached(self) -> int:
        return self.model.n_slots_total if self.cached is None else self.cached

    def trace(self) -> RoutingTrace:
        """Uniform routing with a popularity that a cache can learn, some of it not recorded."""
        m = self.model
        trace = random_trace(list(self.sequences), m.n_moe_layers, m.n_experts, m.top_k, self.seed)
        lost = np.random.default_rng(self.seed + 1).random(trace.ids.shape) < self.missing
        return replace(trace, ids=np.where(lost, trace.missing, trace.ids).astype(trace.ids.dtype))


PLAIN = tiny_model()
ODD = tiny_model(name="odd", n_layers=3)
DENSE_FIRST = tiny_model(name="dense", n_layers=4, moe_layers=(1, 2, 3), dense_hidden=30, shared_hidden=20)
SWITCH = tiny_model(name="switch", n_layers=4, moe_layers=(1, 3), dense_hidden=10, encoder_layers=2, top_k=1)
MANY = tiny_model(name="many", n_layers=1, n_experts=300, top_k=3)

SETTINGS = {
    "plain": Setting(PLAIN, batch=1, cached=4),
    "batch": Setting(PLAIN, batch=3, cached=3),
    "fewer slots than experts a token": Setting(PLAIN, batch=3, cached=1),
    "no cache": Setting(PLAIN, batch=1, cached=0),
    "missing ids": Setting(PLAIN, batch=3, cached=4, missing=0.4),
    "odd blocks": Setting(ODD, batch=3, cached=5),
    "dense first, shared expert": Setting(DENSE_FIRST, batch=3, cached=5),
    "encoder and decoder, top-1": Setting(SWITCH, batch=3, cached=3),
    "more than 255 experts": Setting(MANY, batch=3, cached=20),
    "everything cached": Setting(PLAIN, batch=3, cached=None),
}

every_setting = pytest.mark.parametrize("setting", SETTINGS)

Case = tuple[str, tuple[tuple[str, Any], ...]]  # strategy and knobs


def _cache_cases() -> list[Case]:
    knobs = {
        "policy": ("lru", "lfu", "fifo"),
        "scope": ("layer", "global"),
        "miss": ("fetch", "cpu", "cheaper"),
        "evict": ("drop", "swap"),
        "prefetch": (False, True),
        "priority": (False, True),
    }
    others = [name for name in ONLINE if name not in knobs["policy"]]
    return [
        *(("cache", tuple(zip(knobs, values, strict=True))) for values in product(*knobs.values())),
        *(("cache", (("policy", policy), ("scope", scope))) for policy in others for scope in knobs["scope"]),
    ]


WHOLE_BLOCKS: list[Case] = [
    *(("layer-streaming", (("prefetch", prefetch),)) for prefetch in (False, True)),
    ("deepspeed-mii", ()),
    ("deepspeed-mii", (("prefetch_bucket", 300), ("max_live", 1300))),
    ("deepspeed-mii", (("variant", "paper"),)),
    ("accelerate", ()),
    ("accelerate", (("variant", "code"),)),
]
ORACLES: list[Case] = [("oracle", ()), ("oracle", (("horizon", 1),))]
OTHERS: list[Case] = [
    ("on-demand", ()),
    ("on-demand", (("placeholders", 3), ("blocking", True))),
    ("fiddler", (("cpu_below", 2),)),
    ("fiddler", (("cpu_below", 0), ("overlap", True))),
    ("fiddler", (("variant", "daop"), ("cpu_below", 2))),
    ("moe-infinity", ()),
    ("moe-infinity", (("eam", "request"), ("eamc", 1), ("queue", 1), ("match_us", 0))),
    ("moe-infinity", (("variant", "code"),)),
    ("moe-ondemand", ()),
    ("daop", (("first_predicted", 1),)),
    ("daop", (("variant", "paper"), ("first_predicted", 1), ("cpu_experts", 0))),
    ("llama-cpp", ()),
    ("llama-cpp", (("n_cpu_moe", 1), ("stream_from", 2))),
    ("llama-cpp", (("stream_from", 4), ("copied", "all"))),
    ("mixtral-offloading", ()),
    ("mixtral-offloading", (("variant", "paper"), ("policy", "lfu"), ("speculative", True), ("spare", 2))),
    ("mixtral-offloading", (("speculative", True), ("guesses", "aside"))),
    ("pre-gated", ()),
    ("pre-gated", (("variant", "paper"),)),
    ("standard", ()),
    ("sida", ()),
    ("sida", (("top", 3), ("evict", "drop"), ("hash_us", 1e6))),
    ("sida", (("variant", "code"), ("step", 2))),
]
ASKING = {"moe-infinity"}  # strategies that ask the clock
CACHES = _cache_cases()
CASES: list[Case] = [("all-resident", ()), *WHOLE_BLOCKS, *OTHERS, *CACHES, *ORACLES]
SOME_CASES: list[Case] = [("all-resident", ()), *WHOLE_BLOCKS, *OTHERS, *CACHES[::5], *ORACLES]


def name_of(case: Case) -> str:
    return " ".join([case[0], *(f"{knob}={value}" for knob, value in case[1])])


def room_for(strategy: Strategy, setting: Setting) -> int:
    """The cache of the setting, or what a strategy insists on."""
    needed = strategy.slots(setting.model)
    if strategy.name == "mixtral-offloading":  # as many for every block, at least one
        blocks = setting.model.n_moe_layers
        needed = min(max(setting.n_cached // blocks, 1), setting.model.n_experts) * blocks
    return setting.n_cached if needed is None else needed


def planned(
    case: Case, setting: Setting, trace: RoutingTrace | None = None, *, strategy: Strategy | None = None,
    predictor: Predictor | None = None,
) -> Schedule:  # fmt: skip
    """A fresh plan; strategies that predict have a predictor that is right four times in five, by default."""
    name, knobs = case
    strategy, model = strategy or make_strategy(name, **dict(knobs)), setting.model
    return plan(
        strategy, model, BF16, trace or setting.trace(), cached=room_for(strategy, setting), batch=setting.batch,
        popularity=np.arange(model.n_slots_total).reshape(model.n_moe_layers, model.n_experts) % 7,
        predictor=predictor or RecallPredictor(model.n_moe_layers, model.n_experts, recall=0.8, seed=5),
        costs=CostModel(busy_machine(), model, BF16),
    )  # fmt: skip


def lossy(case: Case) -> bool:
    """Whether a strategy may run other experts than those that the router chose."""
    return strategies()[case[0]].lossy


def planned_and_said(case: Case, setting: Setting) -> tuple[Schedule, Routed]:
    """A fresh plan, and what the strategy says that it ran."""
    said: Routed = Counter()
    strategy = make_strategy(case[0], **dict(case[1]))
    moe_layer = strategy.moe_layer

    def spy(p: Program, now: LayerPass) -> ExpertIds | None:
        ran = moe_layer(p, now)
        ids = now.ids if ran is None else ran
        said.update((now.step, now.layer, int(e)) for e in ids[ids != np.iinfo(ids.dtype).max])
        return ran

    strategy.moe_layer = spy  # type: ignore[method-assign]
    return planned(case, setting, strategy=strategy), said


@cache
def run(case: Case, setting: str) -> Timeline:
    """The plan of a case in a setting, timed on the busy machine."""
    return timed(planned(case, SETTINGS[setting]), busy_machine())


def timed(schedule: Schedule, machine: Machine) -> Timeline:
    return simulate(schedule, costs_of(schedule, machine))


def cases_of(setting: str) -> list[Case]:
    """All cases in one setting; in the others every case but the caches, of which each has its share."""
    if setting == "batch":
        return CASES
    mine = CACHES[list(SETTINGS).index(setting) :: 7]
    return [case for case in CASES if case[0] != "cache" or case in mine]


def check_all(setting: str, fault_of: Callable[[Timeline], object]) -> None:
    """Fail listing the cases in which `fault_of` finds something."""
    faults = {name_of(case): fault for case in cases_of(setting) if (fault := fault_of(run(case, setting)))}
    assert not faults


def digest(setting: str) -> str:
    """A hash of the saved schedules and timelines of some cases."""
    total = hashlib.sha256()
    with tempfile.TemporaryDirectory() as folder:
        for case in SOME_CASES:
            timeline = run(case, setting)
            for part in (timeline.schedule, timeline):
                part.save(Path(folder) / "file")
                total.update((Path(folder) / "file").read_bytes())
    return total.hexdigest()


if __name__ == "__main__":
    print(digest("batch"))
