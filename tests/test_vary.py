from __future__ import annotations

import pytest

from scenarios.vary import changed
from sim.errors import InputError

SCENARIO = {"cache": 4, "workload": {"prompt": 8, "output": 2}}


def test_a_field_is_set_by_its_path_and_the_scenario_given_stays_as_it_was() -> None:
    assert changed(SCENARIO, {"workload.prompt": 9, "cache": "40%"}) == {
        "cache": "40%",
        "workload": {"prompt": 9, "output": 2},
    }
    assert SCENARIO == {"cache": 4, "workload": {"prompt": 8, "output": 2}}


def test_a_name_of_the_machine_keeps_its_dots_and_what_was_not_stated_is_made() -> None:
    assert changed({}, {"machine_with.link.gb_per_s": 8.0, "predictor.recall": 0.5}) == {
        "machine_with": {"link.gb_per_s": 8.0},
        "predictor": {"recall": 0.5},
    }


def test_entries_of_a_list_are_counted_from_zero() -> None:
    scenario = {"strategies": [{"name": "a"}, {"name": "b"}]}
    assert changed(scenario, {"strategies.1.top": 3}) == {"strategies": [{"name": "a"}, {"name": "b", "top": 3}]}
    for path in ("strategies.2.top", "strategies.first.top"):
        with pytest.raises(InputError, match="no entry of a list"):
            changed(scenario, {path: 3})
