from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

import pytest

from sim.errors import InputError
from sim.program import Program
from sim.strategies import registry
from sim.strategies.registry import knobs_of, make_strategy, strategies
from sim.strategy import LayerPass, Strategy

BUILT_IN = ["all-resident", "layer-streaming", "on-demand", "cache", "fiddler", "oracle"]


def test_built_in_strategies_come_first_and_know_their_names() -> None:
    assert list(strategies())[:6] == BUILT_IN
    assert all(strategy.name == name for name, strategy in strategies().items())


@pytest.mark.parametrize("name", list(strategies()))
def test_every_strategy_is_made_from_its_own_defaults(name: str) -> None:
    made = make_strategy(name, **{knob: default for knob, (_, default) in knobs_of(name).items()})
    assert type(made) is strategies()[name]
    assert vars(made) == vars(make_strategy(name))


def test_two_strategies_share_nothing() -> None:
    assert make_strategy("cache") is not make_strategy("cache")


@pytest.mark.parametrize(
    ("name", "knobs", "complaint"),
    [
        ("cache", {"policy": "mru"}, r"strategies\.policy: .*'lru', 'lfu', 'fifo', .*or 'window'"),
        ("cache", {"policy": None}, r"strategies\.policy: "),
        ("cache", {"spare": -1}, r"strategies\.spare: .*greater than or equal to 0"),
        ("cache", {"spare": 1.5}, r"strategies\.spare: .*\(got 1\.5\)"),
        ("cache", {"spare": "2"}, r"strategies\.spare: .*\(got '2'\)"),
        ("cache", {"spare": True}, r"strategies\.spare: .*\(got True\)"),
        ("cache", {"prefetch": "yes"}, r"strategies\.prefetch: .*\(got 'yes'\)"),
        ("cache", {"priority": 1}, r"strategies\.priority: .*\(got 1\)"),
        ("on-demand", {"placeholders": 0}, r"strategies\.placeholders: .*greater than 0"),
        ("fiddler", {"cpu_below": -1}, r"strategies\.cpu_below: .*greater than or equal to 0"),
        ("fiddler", {"variant": "paper"}, r"strategies\.variant: .*'upstream' or 'daop'"),
        ("daop", {"first_predicted": 0}, r"strategies\.first_predicted: .*greater than 0"),
        ("daop", {"latency_cpu_ms": 0.0}, r"strategies\.latency_cpu_ms: .*greater than 0"),
        ("oracle", {"horizon": -1}, r"strategies\.horizon: .*greater than or equal to 0"),
        ("layer-streaming", {"prefetch": 0}, r"strategies\.prefetch: "),
    ],
)
def test_a_value_that_a_knob_cannot_take_is_one_clear_line(name: str, knobs: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        make_strategy(name, **knobs)
    assert "\n" not in str(caught.value)


def test_an_unknown_strategy_or_knob_names_the_nearest() -> None:
    with pytest.raises(
        InputError, match=r"strategies\.name: unknown strategy \(got 'fidler'\); did you mean fiddler\?"
    ):
        make_strategy("fidler")
    with pytest.raises(InputError, match=r"unknown strategy \(got 'zzz'\); choose one of all-resident, "):
        make_strategy("zzz")
    with pytest.raises(InputError, match=r"strategies\.polcy: cache has no such knob .* did you mean policy\?"):
        make_strategy("cache", polcy="lru")
    with pytest.raises(InputError, match=r"all-resident has no such knob \(got 3\); it has: none"):
        make_strategy("all-resident", spare=3)


class Nameless(Strategy):
    def experts(self, p: Program, now: LayerPass, ready: int) -> list[int]:
        return []


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("no_such_module:X", "no_such_module:X cannot be loaded: No module named 'no_such_module'"),
        ("tests.test_strategy_registry:Missing", ".*cannot be loaded: .* has no attribute 'Missing'"),
        ("tests.test_strategy_registry:Nameless", ".*Nameless is no strategy"),
        ("sim.strategy:Strategy", "sim.strategy:Strategy is no strategy"),
    ],
)
def test_an_entry_point_that_names_no_strategy_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, value: str, complaint: str
) -> None:
    bad = EntryPoint("theirs", value, registry.ENTRY_POINT)
    monkeypatch.setattr(registry, "entry_points", lambda group: [bad])
    strategies.cache_clear()
    with pytest.raises(InputError, match=rf"moesim\.strategies: {complaint}"):
        strategies()
    monkeypatch.undo()
    strategies.cache_clear()
