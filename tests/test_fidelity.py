from __future__ import annotations

import numpy as np
import pytest

from sim.fidelity import RoutingAccount, fidelity
from sim.metrics import summarise
from sim.program import Program
from sim.schedule import Phase
from sim.strategies.on_demand import OnDemand
from sim.strategy import LayerPass
from sim.trace import ExpertIds
from tests.hand_work import plan_tiny, timed
from tests.listing import trace_of

U8 = np.uint8


def test_a_decision_counts_as_changed_if_its_expert_did_not_run_on_that_token() -> None:
    account = RoutingAccount(2)
    routed = np.array([[0, 1], [2, 3]], U8)
    weights = np.array([[0.6, 0.4], [0.9, 0.1]], np.float32)
    account.add(Phase.DECODE, 0, routed, weights, np.array([[1, 0], [2, 0]], U8))  # 3 was replaced; order is no change
    account.add(Phase.PREFILL, 1, routed, weights, None)
    lost = fidelity({"fidelity": account.to_meta()})
    assert lost.changed == 1 / 8
    assert lost.mass_lost == pytest.approx(0.1 / 4)
    assert (lost.decode_changed, lost.decode_mass_lost) == (1 / 4, pytest.approx(0.1 / 2))
    assert lost.changed_by_layer == (1 / 4, 0)


def test_ids_that_were_not_routed_are_no_decisions_and_without_weights_no_mass_is_known() -> None:
    account = RoutingAccount(1)
    account.add(Phase.PREFILL, 0, np.array([[0, 255]], U8), None, np.array([[1]], U8))
    lost = fidelity({"fidelity": account.to_meta()})
    assert (lost.changed, lost.mass_lost, lost.decode_changed, lost.decode_mass_lost) == (1.0, None, None, None)


class FirstExpertOnly(OnDemand):
    """Runs expert 0 of every block, whatever the router says."""

    lossy = True

    def moe_layer(self, p: Program, now: LayerPass) -> ExpertIds:
        p.combine(now.layer, after=[p.expert(now.layer, 0, now.tokens)])
        return np.zeros((now.tokens, 1), U8)


def test_a_run_reports_what_its_strategy_changed_and_saves_it_with_the_schedule() -> None:
    trace = trace_of([[0, 1], [2, 3]], [[0, 1], [0, 3]], prompts=[1])
    schedule = plan_tiny(FirstExpertOnly(), trace, 8)
    lost = summarise(timed(schedule)).fidelity
    assert (lost.changed, lost.decode_changed, lost.changed_by_layer) == (5 / 8, 2 / 4, (1 / 2, 3 / 4))


def test_a_strategy_that_follows_the_router_reports_none() -> None:
    assert summarise(timed(plan_tiny("on-demand", trace_of([[0, 1], [2, 3]]), 4))).fidelity is None
