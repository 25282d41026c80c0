"""How objects look in notebooks: short, self-contained, escaped, in the notebook's own colours."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenarios.explain import Explanation, explain, lines
from scenarios.load import load_scenario
from scenarios.results import ScenarioResult
from scenarios.run import run_scenario
from sim.critical_path import critical_path
from sim.gap import Gap
from sim.metrics import summarise
from sim.notebook import Card, Row
from sim.notebook.why import REST, largest
from sim.readable import change, gigabytes, number, percent, seconds
from sim.timeline import Timeline, Times
from sim.timeline_diff import difference
from tests.scenario_files import SCENARIO, machine, write_files
from tests.traces import random_trace

EVIL = "<script>alert('&\"')</script>"
LOSSY = SCENARIO + "  - {label: daop, name: daop, first_predicted: 1}\n"


class Reader(HTMLParser):
    """The words of some HTML; fails where elements are not closed as they were opened."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: set[str] = set()
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open.append(tag)
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def html_of(shown: Any) -> str:
    html: str = shown._repr_html_()
    return html


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("tiny"), LOSSY)


@pytest.fixture(scope="module")
def result(file: Path) -> ScenarioResult:
    return run_scenario(load_scenario(file))


@pytest.fixture(scope="module")
def explanation(file: Path) -> Explanation:
    return explain(load_scenario(file), "cheaper")


@pytest.fixture(scope="module")
def everything(result: ScenarioResult, explanation: Explanation) -> dict[str, Any]:
    run = result["daop"]
    named = {
        "result": result, "run": run, "summary": run.summary, "timeline": run.timeline, "schedule": run.schedule,
        "path": explanation.path, "bounds": run.limit, "gap": explanation.gap, "explanation": explanation,
        "difference": difference(result["lru"].timeline, result["cheaper"].timeline),
        "machine": result.machine, "model": result.model, "trace": random_trace([(3, 2)], provenance={"by": "hand"}),
    }  # fmt: skip
    assert all(each is not None for each in named.values())
    return named


NAMES = [
    "result", "run", "summary", "timeline", "schedule", "path", "bounds", "gap", "explanation", "difference",
    "machine", "model", "trace",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_short_table_without_scripts_or_colours_of_its_own(everything: dict[str, Any], name: str) -> None:
    html = html_of(everything[name])
    read = Reader(html)
    assert read.tags <= {"div", "b", "table", "tr", "th", "td", "span"}
    assert not re.search(r"(?<!background:current)color:|#[0-9a-f]{3}|rgb|url\(|class=|id=", html)
    assert html.count("<tr>") <= 16
    assert len(html) < 20_000


@pytest.mark.parametrize("name", NAMES)
def test_print_and_ipython_say_the_same_in_words(everything: dict[str, Any], name: str) -> None:
    class Printer:
        said = ""

        def text(self, text: str) -> None:
            self.said += text

    shown, printer = everything[name], Printer()
    shown._repr_pretty_(printer, False)
    assert printer.said == str(shown)
    assert "object at" not in printer.said
    if name == "explanation":
        return
    words = set(" ".join(Reader(html_of(shown)).words).split())
    assert words == set(printer.said.split())


def test_names_are_escaped(result: ScenarioResult) -> None:
    run = replace(result.runs[0], label=EVIL, warnings=(EVIL,))
    evil = replace(
        result, title=EVIL, runs=(run,), machine=machine().model_copy(update={"name": EVIL, "description": EVIL}),
        model=replace(result.model, name=EVIL, source=EVIL),
    )  # fmt: skip
    trace = random_trace([(1, 1)], provenance={"from": EVIL})
    for shown in (evil, run, evil.machine, evil.model, trace):
        read = Reader(html_of(shown))
        assert "script" not in read.tags
        assert EVIL in "".join(read.words)


def test_a_comparison_has_a_row_a_strategy_and_a_bar_as_long_as_its_share_of_the_limit(result: ScenarioResult) -> None:
    html = html_of(result)
    words = Reader(html).words
    labels = [run.label for run in result.runs]
    assert [word for word in words if word in labels] == labels
    lengths = [float(each) for each in re.findall(r"width:([\d.]+)em", html)]
    shares = [run.of_limit for run in result.runs]
    assert lengths == pytest.approx([7 * share for share in shares if share is not None], abs=0.006)
    assert {"of limit", "other experts", "gate lost"} <= set(words), "the price of a strategy that changes routing"


def test_a_run_is_found_by_its_label(result: ScenarioResult) -> None:
    assert result["lru"] is result.runs[3]
    with pytest.raises(Exception, match=r"label: no such strategy \(got 'lro'\); choose one of all-resident, stream"):
        _ = result["lro"]


def test_an_explanation_prints_what_the_command_prints(explanation: Explanation) -> None:
    assert str(explanation) == "\n".join(lines(explanation))
    said = " ".join(Reader(html_of(explanation)).words)
    assert "From the limit to here" in said
    assert next(iter(explanation.path.seconds("cause"))) in said


def test_the_parts_of_a_path_sum_to_it(explanation: Explanation) -> None:
    path = explanation.path
    parts = dict(largest(path.seconds("cause"), path.length_s))
    assert sum(parts.values()) == pytest.approx(path.length_s, rel=0.006)
    assert largest({"a": 7.0, "b": 2.0, "c": 0.01}, 10.0) == [("a", 7.0), ("b", 2.0), (REST, 1.0)]


def test_a_card_in_columns() -> None:
    figures = Card("Title", [Row("a", ("1 s", "20 %"), 0.2), Row("bcd", ("100 s",), 2.0)], ("name", "time"), ["note"])
    assert str(figures.text()).splitlines() == [
        "Title",
        "  name   time",
        "  a       1 s  20 %",
        "  bcd   100 s",
        "note",
    ]
    assert "width:7.00em" in figures.html(), "a bar is never longer than the whole"
    words = Card("Title", [Row("a", ("short",)), Row("bcd", ("a longer one",))])
    assert words.text() == "Title\n  a    short\n  bcd  a longer one"
    assert Card("Title", []).text() == "Title"


def test_figures_in_words() -> None:
    assert [seconds(value) for value in (None, 0.0, 0.00123, 0.9996, 12.345, 1234.5)] == [
        "–", "0 ms", "1.23 ms", "1 s", "12.3 s", "1234 s"
    ]  # fmt: skip
    assert [change(value) for value in (1.5, 0.0, -0.02)] == ["+1.5 s", "+0 ms", "−20 ms"]
    assert [number(value) for value in (None, 0.01234, 99.97, 1234.5)] == ["–", "0.0123", "100", "1234"]
    assert [percent(value) for value in (None, 0.256, 0.996, 1.0)] == ["–", "26 %", "99.6 %", "100 %"]
    assert [gigabytes(value) for value in (352e6, 1e9, 46.7e9)] == ["352 MB", "1 GB", "46.7 GB"]


def test_a_run_of_nothing_has_cards_too(result: ScenarioResult) -> None:
    run = result["lru"]
    none = np.zeros(0)
    empty = replace(run.schedule, ops=run.schedule.ops[:0], steps=(), start_slots=())
    timeline = Timeline(empty, Times(none, none, none, np.zeros(0, np.bool_)))
    shown = [
        empty, timeline, summarise(timeline), critical_path(timeline), Gap(0.0, 0.0, 0.0, 0.0, 0.0),
        difference(timeline, timeline), random_trace([]), replace(run, limit=None, gap=None, timeline=timeline),
        replace(result, runs=()),
    ]  # fmt: skip
    for each in shown:
        assert Reader(html_of(each)).words
