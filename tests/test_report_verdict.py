from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scenarios.report.ranking import lead_range, rank, unclear
from scenarios.report.verdict import brackets, verdict
from scenarios.results import RunResult, ScenarioResult
from sim.fidelity import Fidelity
from sim.intervals import range_of
from tests.report_pages import read_page, renamed, small_result

LANES = {"host": 0.1, "gpu0": 0.2, "gpu0.h2d": 0.91, "gpu0.d2h": 0.0, "cpu": 0.0}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> ScenarioResult:
    return small_result(tmp_path_factory.mktemp("small"))


@pytest.fixture
def run(result: ScenarioResult) -> RunResult:
    found = next(run for run in result.runs if run.label == "lru")
    return renamed(found, "lru", decode_tokens_per_s=10.0, ttft_s=2.0, utilisation=LANES)


def text(*runs: RunResult) -> str:
    return read_page(verdict(rank(runs), "toy")).text


def test_the_best_is_named_with_its_speed_its_lead_and_its_bottleneck(run: RunResult) -> None:
    assert text(renamed(run, "slow", decode_tokens_per_s=4.0), run) == (
        "lru is the best of the 2 strategies that fit: it decodes 10 tok/s with the first token after 2 s, "
        "2.5× as fast as the next (slow), bound by the PCIe link to the GPU (91 % busy)."
    )


def test_a_small_lead_is_given_in_percent(run: RunResult) -> None:
    assert "25 % faster than the next (slow)" in text(run, renamed(run, "slow", decode_tokens_per_s=8.0))


def test_among_equally_fast_ones_the_earlier_first_token_wins(run: RunResult) -> None:
    late = renamed(run, "late", decode_tokens_per_s=10.05, ttft_s=5.0)
    assert text(late, run).startswith("lru is the best")
    assert "level with the next (late), whose first token takes 2.5× as long" in text(late, run)


def drawn(run: RunResult, label: str, rates: list[float]) -> RunResult:
    """A run with a decode rate in each of some draws, and the middle one expected."""
    values = np.array(rates * 40)
    run = renamed(run, label, decode_tokens_per_s=float(np.median(values)))
    return replace(run, drawn={"decode_tokens_per_s": values}, ranges={"decode_tokens_per_s": range_of(values)})


def test_a_lead_that_some_draws_reverse_makes_no_winner(run: RunResult) -> None:
    slow = renamed(run, "slow", decode_tokens_per_s=5.0)
    found = text(slow, drawn(run, "sure", [8.0, 10.0, 12.0]), drawn(run, "other", [8.5, 9.0, 11.0]))
    assert found.startswith(
        "sure comes first of the 3 strategies that fit, level within what is known with other: "
        "it decodes 10 tok/s (8–12) "
    )
    assert "2× as fast as the next (slow)" in found


def test_overlapping_ranges_do_not_level_a_lead_that_every_draw_confirms(run: RunResult) -> None:
    first, second = drawn(run, "first", [6.0, 10.0, 15.0]), drawn(run, "second", [5.0, 8.0, 12.0])
    found = text(second, first)
    assert found.startswith("first is the best of the 2 strategies that fit: it decodes 10 tok/s (6–15)")
    assert "25 % faster than the next (second)" in found


def test_draws_are_compared_as_far_as_both_have_them(run: RunResult) -> None:
    long, short = drawn(run, "long", [6.0, 10.0, 15.0]), drawn(run, "short", [5.0, 8.0, 12.0])
    short = replace(short, drawn={"decode_tokens_per_s": short.drawn["decode_tokens_per_s"][:9]})
    assert not unclear(long, short)
    assert lead_range(long, run) is None


def test_what_does_not_fit_or_knows_the_future_is_never_the_best(run: RunResult) -> None:
    too_large = replace(renamed(run, "everything", decode_tokens_per_s=99.0), fits=False)
    oracle = replace(renamed(run, "seer", decode_tokens_per_s=50.0), knows_future=True)
    runs = (too_large, oracle, run)
    assert text(*runs).startswith("lru decodes 10 tok/s")
    line = brackets(rank(runs))
    assert line is not None
    assert read_page(line).text == (
        "For reference: everything (does not fit) would decode 99 tok/s with the first token after 2 s; "
        "seer (knows the future) would decode 50 tok/s with the first token after 2 s."
    )


def test_where_nothing_fits_the_verdict_says_so(run: RunResult) -> None:
    assert text(replace(run, fits=False)) == (
        "Nothing that was tried can be used on toy: lru, which does not fit, "
        "would decode 10 tok/s with the first token after 2 s."
    )


def test_no_lane_is_blamed_unless_it_is_saturated(run: RunResult) -> None:
    idle = renamed(run, "idle", utilisation=LANES | {"gpu0.h2d": 0.5})
    assert "with no lane saturated (busiest: the PCIe link to the GPU, 50 %)" in text(idle)


@pytest.mark.parametrize(
    ("lane", "name"), [("host", "the host thread"), ("gpu0", "the GPU"), ("cpu", "the CPU"), ("gpu1.h2d", "GPU 1")]
)
def test_lanes_have_names_that_people_use(run: RunResult, lane: str, name: str) -> None:
    assert f"bound by {name}" in text(renamed(run, "x", utilisation={lane: 0.95})).replace("the PCIe link to the ", "")


def test_without_decode_the_first_token_decides(run: RunResult) -> None:
    one, other = (renamed(run, name, decode_tokens_per_s=None, ttft_s=s) for name, s in (("one", 3.0), ("other", 1.0)))
    assert text(one, other).startswith(
        "other is the best of the 2 strategies that fit: it gives the first token after 1 s, 3× as fast as the next"
    )


def test_without_prefill_and_decode_the_whole_run_decides(run: RunResult) -> None:
    bare = {"decode_tokens_per_s": None, "ttft_s": None}
    fast, slow = (renamed(run, name, tokens_per_s=rate, **bare) for name, rate in (("fast", 6.0), ("slow", 3.0)))
    assert "it puts out 6 tok/s, 2× as fast as the next (slow)" in text(slow, fast)


def test_the_best_comes_first_and_brackets_last_with_a_colour_by_place_in_the_scenario(run: RunResult) -> None:
    runs = [renamed(run, str(i), decode_tokens_per_s=float(i + 1)) for i in range(10)]
    runs.insert(0, replace(renamed(run, "everything", decode_tokens_per_s=99.0), fits=False))
    entries = rank(runs)
    assert [entry.label for entry in entries] == [*map(str, range(9, -1, -1)), "everything"]
    paints = {entry.label: (entry.paint, entry.dashed) for entry in entries}
    assert paints["everything"] == ("var(--bracket)", True)
    assert paints["0"] == ("var(--s0)", False)
    assert paints["8"] == ("var(--s0)", True)
    assert len(set(paints.values())) == len(runs)


def test_a_strategy_that_does_not_follow_the_router_is_told_with_its_price(run: RunResult) -> None:
    lossy = renamed(run, "lossy", fidelity=Fidelity(0.123, 0.05, 0.2, 0.1, (0.1, 0.2)), decode_tokens_per_s=20.0)
    assert text(lossy, run).endswith(", at the price of running 12 % of the router's choices on other experts.")
    assert "price" not in text(renamed(lossy, "lossy", decode_tokens_per_s=5.0), run)
