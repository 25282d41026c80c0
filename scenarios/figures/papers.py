"""Published figures against simulated ones, each in its own unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scenarios.figures.legend import legend_above
from scenarios.figures.scales import logarithmic
from scenarios.figures.style import INK_3, LINE, NARROW, blank, colour, plain, styled
from scenarios.published import spec
from scenarios.published.compare import Outcome, Simulated
from scenarios.published.load import PaperFile
from scenarios.published.picture import BAND, ends_of, points
from scenarios.report.palette import STRATEGIES

_HEIGHT_IN = 3.2


@styled
def papers(files: Sequence[PaperFile], outcomes: Mapping[str, Mapping[str, Outcome]]) -> Figure | None:
    """Simulated over reported, both logarithmic: on the line they are equal, within the band they differ by 25 %.

    Upright lines are ranges over uncertain inputs, hollow points bounds. None if the papers have no figures.
    """
    groups = [list(points(file, outcomes[file.name])) for file in files]
    pairs = [pair for group in groups for pair in group]
    if not pairs:
        return None
    low, high = ends_of(pairs)
    figure = blank(NARROW, 1)
    figure.set_size_inches(NARROW, _HEIGHT_IN + legend_above(figure, _legend(files)))
    axes = figure.subplots()
    _frame(axes, low, high)
    for number, group in enumerate(groups):
        _draw(axes, group, _paint(number))
    return figure


def _frame(axes: Axes, low: float, high: float) -> None:
    for scale, limits, axis in (
        (axes.set_xscale, axes.set_xlim, axes.xaxis),
        (axes.set_yscale, axes.set_ylim, axes.yaxis),
    ):
        scale("log")
        limits(low, high)
        logarithmic(axis, low, high)
    ends = (low, high)
    axes.fill_between(ends, [(1 - BAND) * at for at in ends], [(1 + BAND) * at for at in ends], color=LINE)
    axes.plot(ends, ends, color=INK_3, linewidth=0.7)
    axes.set_xlabel("reported, each in its own unit")
    axes.set_ylabel("simulated")
    plain(axes, grid="y")


def _draw(axes: Axes, pairs: Sequence[tuple[spec.Figure, Simulated]], paint: str) -> None:
    for figure, found in pairs:
        if found.low < found.high:
            axes.vlines(figure.reported, found.low, found.high, color=paint, linewidth=0.7)
    for bound in (False, True):
        chosen = [(figure.reported, found.value) for figure, found in pairs if bool(figure.bound) is bound]
        across, up = zip(*chosen, strict=True) if chosen else ((), ())
        fill = "white" if bound else paint
        axes.scatter(across, up, s=9, facecolors=fill, edgecolors=paint, linewidths=0.7, zorder=3)


def _legend(files: Sequence[PaperFile]) -> list[Line2D]:
    return [
        Line2D([], [], linewidth=0, marker="o", color=_paint(number), label=file.spec.title)
        for number, file in enumerate(files)
    ]


def _paint(number: int) -> str:
    return colour(f"var(--s{number % len(STRATEGIES)})")
