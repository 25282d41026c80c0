"""docs/data/papers.json against fresh runs; that docs/papers.md shows it, tests/test_docs.py checks."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenarios.published.compare import outcome
from scenarios.published.load import list_papers, load_paper, variants
from scenarios.published.runs import Values, run_task, tasks
from scenarios.published.store import load, stale

STORED = Path(__file__).parent.parent / "docs" / "data" / "papers.json"
FILES = {name: load_paper(name) for name in list_papers()}
PLACES = [(name, number) for name, file in FILES.items() for number in range(len(file.spec.settings))]
LONG = {  # settings that take more than a few seconds
    "caching": {"lru"},
    "daop": {"a6000", "a6000-cache-ratios", "a6000-phi"},
    "fiddler": {"quadro-rtx-6000"},
    "mixtral-offloading": {"a100", "rtx-3060"},
    "sida": {"mrpc-128", "multirc-128", "mrpc-256", "multirc-256"},
}


def takes_long(name: str, number: int) -> bool:
    return FILES[name].spec.settings[number].name in LONG.get(name, ())


def check(name: str, number: int) -> None:
    file = FILES[name]
    setting = file.spec.settings[number]
    values: Values = {}
    for task in tasks(file, ranges=False):
        if task.setting == number:
            values |= run_task(task)
    stored = load(STORED)[0][name][setting.name]
    fresh = outcome(setting, [values])
    assert {key: found.value for key, found in fresh.figures.items()} == pytest.approx(
        {key: found.value for key, found in stored.figures.items()}, rel=1e-9
    )
    for key, ranked in fresh.orders.items():
        assert ranked.values == pytest.approx(stored.orders[key].values, rel=1e-9)


def test_stored_outcomes_rest_on_todays_scenarios_machines_and_models() -> None:
    assert stale(list(FILES.values()), load(STORED)[1]) == [], "run `make papers`"


@pytest.mark.parametrize(("name", "number"), [place for place in PLACES if not takes_long(*place)])
def test_a_quick_setting_gives_today_what_is_stored(name: str, number: int) -> None:
    check(name, number)


@pytest.mark.long
@pytest.mark.parametrize(("name", "number"), [place for place in PLACES if takes_long(*place)])
def test_a_setting_gives_today_what_is_stored(name: str, number: int) -> None:
    check(name, number)


@pytest.mark.parametrize("name", FILES)
def test_ranges_are_over_all_variants_and_where_there_are_none_no_wider_than_the_value(name: str) -> None:
    stored = load(STORED)[0][name]
    for setting in FILES[name].spec.settings:
        found, n_variants = stored[setting.name], len(list(variants(setting)))
        wide = [figure for figure in found.figures.values() if figure.low < figure.high]
        assert bool(wide) == bool(n_variants), setting.name
        assert {ranked.runs for ranked in found.orders.values()} <= {1 + n_variants}, setting.name
        assert set(found.figures) == {figure.id for figure in setting.figures}


@pytest.mark.parametrize("name", FILES)
def test_every_miss_has_a_cause_and_nothing_that_is_met_throughout(name: str) -> None:
    stored = load(STORED)[0][name]
    for setting in FILES[name].spec.settings:
        explained = {each for miss in setting.misses for each in miss.of}
        found = stored[setting.name]
        orders, figures = found.orders, [(each, found.figures[each.id]) for each in setting.figures]
        missed = {each.id for each, is_ in figures if not each.met(is_.value)}
        missed |= {order.id for order in setting.orders if not orders[order.id].met}
        sometimes = {each.id for each, is_ in figures if not (each.met(is_.low) and each.met(is_.high))}
        sometimes |= {order.id for order in setting.orders if orders[order.id].held < orders[order.id].runs}
        assert missed <= explained <= missed | sometimes, setting.name
