"""The cache, the link and the devices, step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scenarios.figures.kept import kept_entries
from scenarios.figures.legend import dashes, legend_above, lines
from scenarios.figures.scales import percents
from scenarios.figures.style import WIDE, blank, colour, plain, styled
from scenarios.report.over_time import over_time_data
from scenarios.report.ranking import Entry
from scenarios.report.units import BYTES, unit_of
from scenarios.results import ScenarioResult

_PANEL_IN, _REST_IN = 1.3, 0.3
Steps = Mapping[str, Any]  # what over_time_data says of a phase


class _Kind(NamedTuple):
    title: str
    values: Callable[[Steps], NDArray[np.float64] | None]  # None: there are none
    share: bool = True


def _hit_rate(steps: Steps) -> NDArray[np.float64] | None:
    uses = np.array(steps["uses"], float)
    return np.array(steps["hits"]) / np.where(uses > 0, uses, np.nan) if uses.any() else None


def _loaded(steps: Steps) -> NDArray[np.float64] | None:
    """In bytes."""
    return 1e9 * np.sum(list(steps["loaded_gb"].values()), axis=0) if steps["loaded_gb"] else np.zeros(len(steps["x"]))


def _busy(lane: str) -> Callable[[Steps], NDArray[np.float64] | None]:
    return lambda steps: np.array(steps["busy"][lane]) if any(steps["busy"].get(lane, ())) else None


_KINDS = (
    _Kind("Hit rate", _hit_rate),
    _Kind("Loaded", _loaded, share=False),
    _Kind("Link to the GPU busy", _busy("H2D")),
    _Kind("GPU busy", _busy("GPU")),
    _Kind("CPU busy", _busy("CPU")),
)


@styled
def over_time(result: ScenarioResult) -> Figure | None:
    """Lines of all strategies over the decode steps, or over those of prefill; None if the ops of no run were kept."""
    kept = kept_entries(result)
    data = over_time_data(kept)
    phase = next((name for name in ("decode", "prefill") if any(run[name]["x"] for run in data)), None)
    if phase is None:
        return None
    steps = [(entry, run[phase]) for entry, run in zip(kept, data, strict=True) if run[phase]["x"]]
    kinds = [kind for kind in _KINDS if any(kind.values(each) is not None for _, each in steps)]
    columns = 2 if len(kinds) in (2, 4) else min(3, len(kinds))
    rows = -(-len(kinds) // columns)
    figure = blank(WIDE, 1)
    figure.set_size_inches(WIDE, _PANEL_IN * rows + _REST_IN + legend_above(figure, lines(entry for entry, _ in steps)))
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False).ravel()
    for axes, kind in zip(grid, kinds, strict=False):
        _draw(axes, kind, steps)
    for axes in grid[len(kinds) :]:
        axes.remove()
    for axes in grid[: len(kinds)][-columns:]:
        axes.tick_params(labelbottom=True)
    grid[0].locator_params(axis="x", integer=True, min_n_ticks=1)
    figure.supxlabel(f"{phase} step", fontsize=7.5)
    return figure


def _draw(axes: Axes, kind: _Kind, steps: Sequence[tuple[Entry, Steps]]) -> None:
    every = [kind.values(each) for _, each in steps]
    most = max(float(np.nanmax(values)) for values in every if values is not None)
    unit, factor = ("%", 1.0) if kind.share else unit_of([most], BYTES)
    for z, ((entry, each), values) in enumerate(zip(reversed(steps), reversed(every), strict=True)):  # the best on top
        if values is not None:
            axes.plot(
                each["x"], factor * values, color=colour(entry.paint), linestyle=dashes(entry), linewidth=0.9,
                marker="o" if len(values) == 1 else "", zorder=2 + z / 100,
            )  # fmt: skip
    axes.set_title(f"{kind.title}, {unit}" if kind.share else f"{kind.title}, {unit} a step")
    if kind.share:
        axes.set_ylim(0, 1.04)
        axes.set_yticks([0, 0.5, 1])
        percents(axes.yaxis)
    else:
        axes.set_ylim(bottom=0)
    plain(axes, grid="y")
