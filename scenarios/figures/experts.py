"""Heat maps of the experts: how often each was used, how long it was on the GPU, how often it was missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap, Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from scenarios.figures.kept import kept_run
from scenarios.figures.style import TITLE, WIDE, blank, colour, styled
from scenarios.figures.text import fitted
from scenarios.report.palette import heat
from scenarios.results import ScenarioResult
from sim.expert_use import expert_use

_MOST_IN, _LEAST_CELL_IN, _CELL_IN = 2.4, 0.02, 0.09
_REST_IN, _TITLE_IN = 0.42, 0.2
_MARKED_FROM = 4  # counts from which the middle of a scale is marked


class _Map(NamedTuple):
    title: str
    colours: str
    values: NDArray[np.float64]  # [layer, expert]
    most: float
    root: bool  # whether few experts stand out, so that colours follow the square root


@styled
def experts(result: ScenarioResult, label: str | None = None) -> Figure | None:
    """Each expert of each layer in a run of one strategy, by default of the best; None if its ops were not kept.

    The longer of layers and experts lies across. Raises InputError for a strategy that is not there.
    """
    run = kept_run(result, label)
    if run is None:
        return None
    use, model = expert_use(run.timeline), run.schedule.model
    maps = [_counts("Uses", "uses", use.uses), _shares("On the GPU, % of the run", use.resident)]
    maps += [_counts("Misses", "misses", use.misses)] if use.misses.any() else []
    flat = model.n_moe_layers > model.n_experts
    down = model.n_experts if flat else model.n_moe_layers
    height_in = min(_MOST_IN, max(down * _CELL_IN, 0.5))
    figure = blank(WIDE, _TITLE_IN + (len(maps) * (height_in + _REST_IN) if flat else height_in + _REST_IN))
    figure.suptitle(fitted(run.label, 400, TITLE), x=0.01, ha="left", fontsize=TITLE, fontweight="bold")
    grid = figure.subplots(*((len(maps), 1) if flat else (1, len(maps))), sharex=True, sharey=True, squeeze=False)
    for axes, shown in zip(grid.ravel(), maps, strict=True):
        _draw(axes, shown, flat=flat)
    _name_axes(grid, model.moe_layers, flat=flat)
    return figure


def _counts(title: str, colours: str, values: NDArray[np.int64]) -> _Map:
    most = max(1.0, float(values.max()))
    return _Map(title, colours, values.astype(float), most, root=bool(values.sum() < values.size * most / 4))


def _shares(title: str, values: NDArray[np.float64]) -> _Map:
    return _Map(title, "resident", 100 * values, 100.0, root=False)


def _draw(axes: Axes, shown: _Map, *, flat: bool) -> None:
    ramp = LinearSegmentedColormap.from_list(shown.colours, [colour(paint) for paint in heat(shown.colours)])
    norm = PowerNorm(0.5, 0, shown.most) if shown.root else Normalize(0, shown.most)
    image = axes.imshow(shown.values.T if flat else shown.values, cmap=ramp, norm=norm, aspect="auto")
    axes.set_title(shown.title, fontweight="normal")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    bar = axes.figure.colorbar(image, ax=axes, pad=0.01, fraction=0.05, aspect=14)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=6.5)
    middle = round(shown.most / (4 if shown.root else 2))
    bar.set_ticks(sorted({0, middle if shown.most >= _MARKED_FROM else 0, shown.most}))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))


def _name_axes(grid: NDArray[np.object_], layers: Sequence[int], *, flat: bool) -> None:
    across, down = ("layer", "expert") if flat else ("expert", "layer")
    for axes in grid[-1]:
        axes.set_xlabel(across)
    for axes in grid[:, 0]:
        axes.set_ylabel(down)
    first = grid[0, 0]
    first.xaxis.set_major_locator(MaxNLocator(16 if flat else 8, integer=True))
    first.yaxis.set_major_locator(MaxNLocator(8 if flat else 10, integer=True))
    _number(first.xaxis if flat else first.yaxis, layers)


def _number(axis: Axis, layers: Sequence[int]) -> None:
    """Mark rows by the number of their layer."""
    axis.set_major_formatter(
        FuncFormatter(lambda at, _: str(layers[int(at)]) if at == int(at) and 0 <= at < len(layers) else "")
    )
