from __future__ import annotations

import pytest

from scenarios.report.gantt_figure import Stretch, gantt_figure, stretch
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


def test_it_shows_what_ran_while_the_layers_ran_from_their_beginning(timeline: Timeline) -> None:
    shown = stretch(timeline, Phase.DECODE, 0, [0])
    told = [(bar.lane, bar.label, bar.start_s, bar.end_s) for bar in shown.bars if bar.lane != "host"]
    assert told == [
        ("gpu0", "attention 0", 0, 1), ("gpu0", "gate", 1, 2), ("gpu0.h2d", "0/2 in", 2, 12),
        ("gpu0", "0/0", 2, 3), ("gpu0", "0/2", 12, 13), ("gpu0", "combine", 13, 14),
    ]  # fmt: skip
    assert shown.length_s == 14
    assert shown.lanes == ("host", "gpu0", "gpu0.h2d")


def test_what_reaches_beyond_the_stretch_is_cut(timeline: Timeline) -> None:
    shown = stretch(timeline, Phase.DECODE, 0, [0, 1])
    assert max(bar.end_s for bar in shown.bars) == shown.length_s
    assert min(bar.start_s for bar in shown.bars) == 0


def test_it_is_kept_as_plain_values(timeline: Timeline) -> None:
    shown = stretch(timeline, Phase.DECODE, 0, [0])
    assert Stretch.from_dict(shown.to_dict()) == shown


def test_the_figure_has_a_row_a_lane_the_first_on_top_and_a_colour_a_category(timeline: Timeline) -> None:
    figure = gantt_figure(stretch(timeline, Phase.DECODE, 0, [0]))
    assert list(figure.layout.yaxis.categoryarray) == ["H2D", "GPU", "Host"]
    bars = {trace.name: (list(trace.base), list(trace.x), list(trace.text)) for trace in figure.data}
    assert bars["expert: hit"] == ([2000.0], [1000.0], ["0/0"])
    assert len({trace.marker.color for trace in figure.data}) == len(figure.data)


@pytest.mark.parametrize(
    ("number", "layers", "complaint"),
    [(1, [0], r"gantt\.step: there are 1 decode steps \(got 1\)"), (0, [1, 2], r"gantt\.layers: .*blocks 0 to 1")],
)
def test_what_is_not_there_is_refused(timeline: Timeline, number: int, layers: list[int], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        stretch(timeline, Phase.DECODE, number, layers)
