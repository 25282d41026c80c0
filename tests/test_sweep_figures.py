from __future__ import annotations

from typing import Any, Literal

import pytest

from scenarios.fit import Fit
from scenarios.machine_presets import list_machines, load_machine
from scenarios.published.quantities import QUANTITIES
from scenarios.sweeping.figures import FIGURES, Outcome
from sim.machine import Power
from sim.memory import Footprint
from sim.metrics import Summary

FIT = Fit(3, Footprint("gpu0", {"a": 10**9, "b": 2 * 10**9}), Footprint("host", {"c": 5 * 10**9}), True, ())


def outcome(
    power: dict[Literal["gpu", "cpu"], Power] | None = None, usd: float | None = None, **fields: Any
) -> Outcome:
    run: dict[str, Any] = dict.fromkeys(Summary.__dataclass_fields__, 0) | {"fidelity": None, "prediction": None}
    run |= {"makespan_s": 10.0, "output_tokens": 50, "tokens_per_s": 5.0, "bytes_loaded": 10**11}
    run["utilisation"] = {"gpu0": 0.25, "cpu": 0.5, "host": 1.0, "gpu0.h2d": 1.0}
    return Outcome(Summary(**run), FIT, power or {}, usd)


def read(name: str, of: Outcome) -> float | None:
    return FIGURES[name].read(of)


def test_energy_is_watts_times_busy_and_idle_seconds_of_each_device() -> None:
    gpu, cpu = Power(busy_w=400, idle_w=20), Power(busy_w=100)
    joules = 2.5 * 400 + 7.5 * 20 + 5.0 * 100 + 5.0 * 0
    assert read("energy_j_per_token", outcome({"gpu": gpu, "cpu": cpu})) == pytest.approx(joules / 50)
    assert read("energy_j_per_token", outcome({"gpu": gpu})) == pytest.approx((2.5 * 400 + 7.5 * 20) / 50)
    assert read("energy_j_per_token", outcome()) is None


def test_cost_is_the_price_of_the_time_that_a_million_tokens_take() -> None:
    assert read("usd_per_mtok", outcome(usd=1.8)) == pytest.approx(1.8 * (1e6 / 5 / 3600))  # 5 tokens a second
    assert read("usd_per_mtok", outcome()) is None


def test_memory_and_traffic_are_in_gb() -> None:
    of = outcome()
    assert (read("gpu_gb", of), read("host_gb", of), read("cached", of)) == (3.0, 5.0, 3)
    assert read("loaded_gb_per_token", of) == 2.0


def test_a_strategy_that_follows_the_router_changes_nothing() -> None:
    assert (read("changed", outcome()), read("gate_lost", outcome())) == (0.0, 0.0)


def test_what_is_better_agrees_with_the_quantities_of_published_figures() -> None:
    for name in FIGURES.keys() & QUANTITIES.keys() - {"changed", "gate_lost"}:
        assert FIGURES[name].better == QUANTITIES[name].better or name == "gpu_gb"


def test_every_preset_states_rated_watts() -> None:
    for name in list_machines():
        power = load_machine(name).power
        assert set(power) == {"gpu", "cpu"}
        assert all(50 <= each.busy_w <= 1000 and each.idle_w == 0 for each in power.values())
