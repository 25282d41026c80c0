from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from scenarios.report.stretch import Stretch, layers_span, path_bars, stretch, typical_span, typical_spans
from sim.critical_path import critical_path
from sim.errors import InputError
from sim.schedule import Phase
from sim.timeline import Timeline
from tests.hand_work import plan_tiny, timed
from tests.listing import trace_of


@pytest.fixture
def timeline() -> Timeline:
    """Block 0 of the decode step hits 0/0 and loads 0/2; everything takes 1 s, a load 10 s."""
    trace = trace_of([[0, 1], [3, 2]], [[0, 2], [3, 2]], prompts=[1])
    return timed(plan_tiny("cache", trace, 4))


def shown_of(timeline: Timeline, layers: list[int]) -> Stretch:
    return stretch(timeline, layers_span(timeline, Phase.DECODE, 0, layers))


def test_it_shows_what_ran_while_the_layers_ran_from_their_beginning(timeline: Timeline) -> None:
    shown = shown_of(timeline, [0])
    told = [(bar.lane, bar.label, bar.start_s, bar.end_s) for bar in shown.bars if bar.lane != "host"]
    assert told == [
        ("gpu0", "attention 0", 0, 1), ("gpu0", "gate", 1, 2), ("gpu0.h2d", "0/2 in", 2, 12),
        ("gpu0", "0/0", 2, 3), ("gpu0", "0/2", 12, 13), ("gpu0", "combine", 13, 14),
    ]  # fmt: skip
    assert shown.length_s == 14
    assert shown.lanes == ("host", "gpu0", "gpu0.h2d")


def test_what_reaches_beyond_the_stretch_is_cut(timeline: Timeline) -> None:
    shown = shown_of(timeline, [0, 1])
    assert max(bar.end_s for bar in shown.bars) == shown.length_s
    assert min(bar.start_s for bar in shown.bars) == 0


def test_it_is_kept_as_plain_values(timeline: Timeline) -> None:
    shown = shown_of(timeline, [0])
    assert Stretch.from_dict(shown.to_dict()) == shown


def test_the_path_fills_any_span_of_a_run(timeline: Timeline) -> None:
    for span in (layers_span(timeline, Phase.DECODE, 0, [0]), layers_span(timeline, Phase.DECODE, 0, [0, 1])):
        bars = path_bars(critical_path(timeline), span)
        assert bars[0].start_s == 0
        assert bars[-1].end_s == span.end_s - span.begin_s
        assert all(before.end_s == after.start_s for before, after in pairwise(bars))


def test_a_short_run_is_shown_whole_and_of_a_long_one_what_a_picture_can_hold() -> None:
    def planned(tokens: int) -> Timeline:
        return timed(plan_tiny("cache", trace_of(*[[[0, 1], [3, 2]]] * tokens, prompts=[1]), 4))

    assert typical_span(planned(2)).name == "whole run"
    long = planned(120)
    span = typical_span(long)
    assert span.name.startswith("decode, step")
    assert 50 < len(stretch(long, span).bars) <= 220
    ends = long.step_end_s.tolist()
    assert span.begin_s in ends
    assert span.end_s in ends


def test_two_timelines_are_shown_in_the_same_steps(timeline: Timeline) -> None:
    long = timed(plan_tiny("cache", trace_of(*[[[0, 1], [3, 2]]] * 120, prompts=[1]), 4))
    slow = replace(long, times=replace(long.times, **{
        name: 2 * getattr(long.times, name) for name in ("dispatched_s", "start_s", "end_s")
    }))  # fmt: skip
    fast, twice = typical_spans(long, slow)
    assert (twice.begin_s, twice.end_s, twice.name) == (2 * fast.begin_s, 2 * fast.end_s, fast.name)


@pytest.mark.parametrize(
    ("number", "layers", "complaint"),
    [(1, [0], r"gantt\.step: there are 1 decode steps \(got 1\)"), (0, [1, 2], r"gantt\.layers: .*blocks 0 to 1")],
)
def test_what_is_not_there_is_refused(timeline: Timeline, number: int, layers: list[int], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        layers_span(timeline, Phase.DECODE, number, layers)
