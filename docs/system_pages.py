"""What the simulator puts into docs/systems: a picture of two layers, and where a system wins and loses.

`python docs/system_pages.py [NAME …]` runs docs/systems/NAME.yaml, stores the outcome in docs/data/systems and draws
the picture (by matplotlib). `docs/generate.py` writes the text from what is stored.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from scenarios.crossover import Answer, Question, answer, in_words, table
from scenarios.load import check, check_scenario
from scenarios.published.quantities import QUANTITIES
from scenarios.report.stretch import Stretch, layers_span, stretch
from scenarios.resolve import resolve
from scenarios.run import run_entry
from scenarios.schema import Part
from scenarios.yaml_file import YamlFile, read_yaml
from sim.files import write_text
from sim.schedule import Phase

HERE = Path(__file__).resolve().parent
DATA, IMAGES = HERE / "data" / "systems", HERE / "images" / "systems"
PAGES = {path.stem: path for path in (HERE / "findings.yaml", *sorted((HERE / "systems").glob("*.yaml")))}
DRAWN = tuple(name for name in PAGES if name != "findings")
_UNITS = {
    "tokens_per_s": "tok/s",
    "decode_tokens_per_s": "decode tok/s",
    "ttft_s": "TTFT, s",
    "changed": "share of choices",
    "gate_lost": "share of gate weight",
}


class Scene(Part):
    """A picture of some layers of one step."""

    scenario: dict[str, Any]
    strategy: str
    phase: Literal["prefill", "decode"] = "decode"
    step: int = 0
    layers: list[int]
    say: str


class Page(Part):
    """What a page takes from the program."""

    gantt: Scene | None = None
    crossover: list[Question] = Field(default=[])


def load(name: str) -> tuple[Page, YamlFile]:
    """The checked file of a page."""
    source = read_yaml(PAGES[name])
    return check(Page, source.data, source), source


def scene(shown: Scene, source: YamlFile) -> Stretch:
    """Run what a picture shows."""
    case = resolve(check_scenario(source, shown.scenario, ("gantt", "scenario")))
    entry = next(entry for entry in case.entries if entry.spec.title == shown.strategy)
    first, last = shown.layers
    timeline = run_entry(case, entry).timeline
    return stretch(timeline, layers_span(timeline, Phase[shown.phase.upper()], shown.step, range(first, last + 1)))


def answers(page: Page, source: YamlFile, progress: Callable[[str], None] = lambda text: None) -> list[Answer]:
    """Run all questions of a page."""
    return [
        answer(question, source, ("crossover", number, "scenario"), progress)
        for number, question in enumerate(page.crossover)
    ]


def outcome(shown: Stretch | None, found: list[Answer]) -> dict[str, Any]:
    """Plain JSON values of both."""
    series = [
        {label: [None if math.isnan(v) else v for v in values] for label, values in each.series.items()}
        for each in found
    ]
    return {"gantt": None if shown is None else shown.to_dict(), "crossover": series}


def stored(name: str) -> dict[str, Any]:
    """The outcome as it was last stored."""
    data: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))
    return data


def parts(name: str) -> Mapping[str, str]:
    """The generated parts of a page; the findings have one for each question."""
    page, _ = load(name)
    pairs = zip(page.crossover, stored(name)["crossover"], strict=True)
    told = [_crossover(question, series) for question, series in pairs]
    if page.gantt is None:
        return {f"question-{number}": text for number, text in enumerate(told, 1)}
    picture = f"![{page.gantt.say}](../images/systems/{name}.svg)\n\n*{page.gantt.say}*"
    return {"gantt": picture, "crossover": "\n\n".join(told)}


def _crossover(question: Question, series: dict[str, list[float | None]]) -> str:
    filled = {label: tuple(math.nan if v is None else v for v in values) for label, values in series.items()}
    found = Answer(tuple(question.values), filled, QUANTITIES[question.quantity].better)
    vary = question.vary.removeprefix("machine_with.").removeprefix("workload.")
    unit = _UNITS.get(question.quantity, question.quantity)
    return f"**{question.say}** {in_words(found, vary)}\n\n{table(found, vary, unit)}"


def main(chosen: list[str]) -> None:
    """Run pages anew and store what came out."""
    from scenarios.figures.gantt import picture
    from scenarios.figures.save import save

    DATA.mkdir(parents=True, exist_ok=True)
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name in chosen or PAGES:
        page, source = load(name)
        shown = None if page.gantt is None else scene(page.gantt, source)
        found = answers(page, source, partial(_say, name))
        write_text(DATA / f"{name}.json", json.dumps(outcome(shown, found), indent=1, allow_nan=False) + "\n")
        if shown is not None:
            save(IMAGES / f"{name}.svg", picture(shown), title=name)


def _say(name: str, text: str) -> None:
    print(f"{name}: {text}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
