"""The pages of docs/systems say what the simulator finds now."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from sim.strategies.registry import strategies

DOCS = Path(__file__).parent.parent / "docs"
OURS = {"all-resident", "layer-streaming", "on-demand", "cache", "oracle"}  # brackets and parts, no published systems


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("system_pages", DOCS / "system_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # pydantic looks annotations up here
    spec.loader.exec_module(module)
    return module


pages = _module()


def test_every_published_system_has_a_page_a_picture_and_a_place_in_the_list() -> None:
    index = (DOCS / "systems" / "README.md").read_text(encoding="utf-8")
    for name in set(strategies()) - OURS:
        assert name in pages.DRAWN
        assert f"({name}.md)" in index
        assert (DOCS / "images" / "systems" / f"{name}.svg").is_file()


@pytest.mark.parametrize("name", pages.DRAWN)
def test_a_page_has_the_algorithm_what_was_not_known_and_where_it_wins(name: str) -> None:
    text = (DOCS / "systems" / f"{name}.md").read_text(encoding="utf-8")
    heads = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    for head in ("The algorithm", "What was not known", "When it wins and loses"):
        assert any(line.startswith(head) for line in heads), f"{head}: {heads}"
    assert "\n| " in text.split("<!-- crossover:begin -->")[1], "tables"


@pytest.mark.parametrize("name", pages.DRAWN)
def test_the_picture_shows_what_the_simulator_does_now(name: str) -> None:
    page, source = pages.load(name)
    shown = pages.scene(page.gantt, source)
    assert shown.to_dict() == _as_told(pages.stored(name)["gantt"]), f"run `make systems` ({name})"


@pytest.mark.parametrize("name", pages.PAGES)
def test_every_question_of_a_page_has_an_answer(name: str) -> None:
    page, _ = pages.load(name)
    for question, series in zip(page.crossover, pages.stored(name)["crossover"], strict=True):
        assert list(series) == question.rivals
        assert all(len(values) == len(question.values) for values in series.values())


@pytest.mark.long
@pytest.mark.parametrize("name", pages.PAGES)
def test_answers_are_what_the_simulator_finds_now(name: str) -> None:
    page, source = pages.load(name)
    found = pages.outcome(None, pages.answers(page, source))["crossover"]
    for series, known in zip(found, pages.stored(name)["crossover"], strict=True):
        for label, values in series.items():
            assert values == pytest.approx(known[label], rel=1e-9), f"run `make systems` ({name}: {label})"


def _as_told(gantt: dict[str, object]) -> dict[str, object]:
    """Lists of JSON as the tuples that they were."""
    bars = gantt["bars"]
    assert isinstance(bars, list)
    return gantt | {"lanes": tuple(gantt["lanes"]), "bars": tuple(bars)}  # type: ignore[arg-type]
