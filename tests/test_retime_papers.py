"""Both engines on what the papers' figures are simulated with."""

from __future__ import annotations

import numpy as np
import pytest

from scenarios.published.load import list_papers, load_paper
from scenarios.resolve import Case, resolve
from scenarios.run import costs_of_entry, plan_entry
from sim.engine import simulate
from sim.retime import Retimer

ALL = [(name, i) for name in list_papers() for i in range(len(load_paper(name).spec.settings))]
SOME = [("daop", 3), ("machines", 0), ("sida", 0), ("sida", 10)]  # of a few hundred layer passes each


def differing(case: Case) -> list[str]:
    """Strategies to which the engines give times that differ by more than 1e-9 of them, or other ops cancelled."""
    found = []
    for entry in case.entries:
        prices = costs_of_entry(case, entry)
        schedule = plan_entry(case, entry, prices)
        costs = prices.of_schedule(schedule)
        fast, reference = Retimer(schedule).times(costs), simulate(schedule, costs).times
        if not all(np.allclose(getattr(fast, name), column, 1e-9, 0) for name, column in vars(reference).items()):
            found.append(entry.spec.title)
    return found


@pytest.mark.parametrize(("paper", "setting"), SOME)
def test_both_engines_agree_on_some_settings_of_the_papers(paper: str, setting: int) -> None:
    assert differing(resolve(load_paper(paper).scenario(setting))) == []


@pytest.mark.long
@pytest.mark.parametrize(("paper", "setting"), ALL)
def test_both_engines_agree_on_every_setting_of_the_papers(paper: str, setting: int) -> None:
    assert differing(resolve(load_paper(paper).scenario(setting))) == []
