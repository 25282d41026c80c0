"""All figures of a run, by the names of their files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from matplotlib.figure import Figure

from scenarios.figures.comparison import comparison
from scenarios.figures.experts import experts
from scenarios.figures.gantt import gantt
from scenarios.figures.lanes import where_time_goes
from scenarios.figures.latency import latency
from scenarios.figures.memory import memory
from scenarios.figures.over_time import over_time
from scenarios.figures.pace import critical_path, gap
from scenarios.output import file_names
from scenarios.results import ScenarioResult

_OF_ALL = {
    "comparison": comparison,
    "critical-path": critical_path,
    "gap": gap,
    "where-time-goes": where_time_goes,
    "over-time": over_time,
    "latency": latency,
    "memory": memory,
}
_OF_EACH: dict[str, Callable[[ScenarioResult, str], Figure | None]] = {
    "gantt": gantt,
    "gantt-path": partial(gantt, by="cause"),
    "experts": experts,
}


def run_figures(result: ScenarioResult) -> Iterator[tuple[str, Figure | None]]:
    """Figures of all strategies together, then of each; None where the runs have nothing to draw."""
    for name, draw in _OF_ALL.items():
        yield name, draw(result)
    for name, run in zip(file_names(result.runs), result.runs, strict=True):
        for kind, draw_one in _OF_EACH.items():
            yield f"{kind}-{name}", draw_one(result, run.label)
