from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from scenarios.published import document
from scenarios.published.compare import Outcome, Ranked, Simulated
from scenarios.published.load import PaperFile, load_paper
from scenarios.published.page import render
from scenarios.published.store import save
from scenarios.published.terminal import print_papers
from sim.errors import InputError
from tests.test_published_spec import FIGURE, paper, written

MET = FIGURE | {"says": "<b>met</b>", "unit": "tok/s"}
MISSED = FIGURE | {"id": "two", "says": "too fast"}
BOUND = FIGURE | {"id": "three", "says": "bounded", "reported": 0.4, "unit": "%", "bound": "below"}
ORDER = {"id": "order", "says": "as published", "read": "tokens_per_s", "of": ["fiddler", "on-demand"]}
MISSES = [
    {"of": ["one", "two"], "cause": "the link is slower"},
    {"of": ["one"], "cause": "must not be told"},
    {"of": ["order"], "cause": "noise"},
]
FOUND = {
    "one": Simulated(4.2, 3.9, 4.6),
    "two": Simulated(6.0, 6.0, 6.0),
    "three": Simulated(0.35, 0.3, 0.5),
}  # fmt: skip
OUTCOMES = {"mine": {"box": Outcome(FOUND, {"order": Ranked((1.0, 2.0), 4, 7)})}}


@pytest.fixture
def file(tmp_path: Path) -> PaperFile:
    uncertain = [{"change": "seed", "values": [1, 2], "why": "nobody knows"}]
    data = paper(figures=[MET, MISSED, BOUND], orders=[ORDER], uncertain=uncertain, misses=MISSES)
    return load_paper(written(tmp_path, data | {"unaddressed": [{"says": "energy", "why": "not simulated"}]}))


@pytest.fixture
def parts(file: PaperFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setattr(document, "list_papers", lambda: [file.source.path])
    save(tmp_path / "papers.json", [file], OUTCOMES)
    return document.parts(tmp_path / "papers.json")


def points(page: str) -> list[dict[str, Any]]:
    data = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    found: list[dict[str, Any]] = json.loads(data[1])["points"]
    return found


def test_the_document_has_a_row_for_each_figure(parts: dict[str, str]) -> None:
    rows = [line for line in parts["papers"].splitlines() if line.startswith("| ")]
    assert rows[2:] == [
        "| <b>met</b> | 4 tok/s | text | 4.2 tok/s (3.9 – 4.6) | 1.05 | ± 25 % | met |",
        "| too fast | 4 | text | 6 | 1.50 | ± 25 % | **missed** |",
        "| bounded | < 40 % | text | 35 % (30 – 50) |  | below | met |",
    ]
    assert parts["summary"].splitlines()[-1] == "| [T](#mine) | 3 | 2 | 1.50 × | 0 of 1 |"


def test_causes_are_told_of_misses_only(parts: dict[str, str]) -> None:
    assert "* Missed (too fast): the link is slower" in parts["papers"]
    assert "* Missed (order: as published): noise" in parts["papers"]
    assert "must not be told" not in parts["papers"]
    assert "* Order fiddler > on-demand: holds in 4 of 7 runs" in parts["papers"]


def test_the_document_states_what_is_uncertain_and_what_is_left_out(parts: dict[str, str]) -> None:
    assert "* Uncertain: `seed` 1, 2; nobody knows" in parts["papers"]
    assert "* energy: not simulated" in parts["papers"]


def test_a_figure_that_was_never_run_is_refused(
    file: PaperFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "list_papers", lambda: [file.source.path])
    one = {"mine": {"box": Outcome({"one": FOUND["one"]}, {})}}
    save(tmp_path / "papers.json", [file], one)
    with pytest.raises(InputError, match=r"lacks two, three, order of mine; run `make papers`"):
        document.parts(tmp_path / "papers.json")


def test_the_page_shows_every_figure_and_needs_nothing_from_outside(file: PaperFile) -> None:
    page = render([file], OUTCOMES)
    assert render([file], OUTCOMES) == page
    assert [(p["says"], p["reported"], p["value"], p["low"], p["high"], p["met"]) for p in points(page)] == [
        ("<b>met</b>", 4.0, 4.2, 3.9, 4.6, True),
        ("too fast", 4.0, 6.0, 6.0, 6.0, False),
        ("bounded", 0.4, 0.35, 0.3, 0.5, True),
    ]
    shown = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert "&lt;b&gt;met&lt;/b&gt;" in shown
    assert "<strong>2 of 3</strong>" in shown
    assert not re.search(r'(src|href)="(?!#|data:|S")', shown)


def test_the_terminal_tells_the_same(file: PaperFile, capsys: pytest.CaptureFixture[str]) -> None:
    print_papers([file], OUTCOMES)
    printed = capsys.readouterr().out
    assert "4.2 tok/s (3.9 – 4.6)" in printed
    assert "! too fast: the link is slower" in printed
    assert "holds in 4 of 7 runs" in printed
