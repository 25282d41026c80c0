"""Eviction policies on a trace: miss-ratio curves, what misses are due to, and misses by layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scenarios.figures.legend import legend_above, patches
from scenarios.figures.rows import THICK
from scenarios.figures.scales import percents
from scenarios.figures.style import INK, NARROW, blank, colour, plain, styled
from scenarios.replay_report.looks import CAUSES, dashed, paint, typical
from scenarios.replay_table import capacity_label
from sim.replay import REFERENCES
from sim.replay.replayer import STATIC_ORACLE
from sim.replay.study import Study

_HEIGHT_IN, _ROW_IN, _REST_IN = 2.2, 0.19, 0.45


@styled
def miss_ratios(study: Study) -> Figure:
    """A curve a policy: the share of accesses that miss, over the size of the cache."""
    figure, axes = _lines(study)
    sizes = np.array(study.capacities)
    x = sizes / 2**20 if study.in_bytes else sizes / study.cache_experts
    for number, policy in enumerate(study.policies):
        axes.plot(x, study.miss_ratios(policy), **_look(policy, number), marker="o" if len(x) < 30 else "")
    axes.set_xlabel("cache, MiB" if study.in_bytes else "% of the experts in the cache")
    if not study.in_bytes:
        percents(axes.xaxis)
    return figure


@styled
def misses_by_layer(study: Study) -> Figure | None:
    """The same by layer, at a typical size of the cache; None if all layers share one cache."""
    if study.scope != "layer":
        return None
    figure, axes = _lines(study)
    at = typical(study)
    for number, policy in enumerate(study.policies):
        ratios = study.layer_miss_ratios(policy)[at]
        axes.plot(np.arange(len(ratios)), ratios, **_look(policy, number), marker="o" if len(ratios) < 30 else "")
    axes.set_xlabel(f"MoE layer (cache of {_size(study, at)})")
    axes.locator_params(axis="x", integer=True, min_n_ticks=1)
    return figure


@styled
def misses_by_cause(study: Study) -> Figure:
    """A bar a policy: first uses, what Belady's optimum misses beyond them, and what the policy misses beyond that."""
    at, total = typical(study), max(1, int(study.accesses.sum()))
    policies = [policy for policy in study.policies if policy != STATIC_ORACLE]
    figure = blank(NARROW, 1)
    legend_in = legend_above(figure, patches(CAUSES))
    figure.set_size_inches(NARROW, _ROW_IN * len(policies) + _REST_IN + legend_in)
    axes = figure.subplots()
    for row, policy in enumerate(policies):
        ends = [0.0, 0.0]  # of what has been drawn, to the left and to the right of nothing
        for (_, fill), misses in zip(CAUSES, study.split(policy)[at].tolist(), strict=True):
            side = int(misses >= 0)
            axes.barh(row, misses / total, THICK, left=ends[side], color=colour(fill))
            ends[side] += misses / total
    axes.set_yticks(range(len(policies)), labels=policies)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_ylim(len(policies) - 0.5, -0.5)
    axes.set_xlabel(f"misses, % of accesses (cache of {_size(study, at)})")
    percents(axes.xaxis)
    plain(axes)
    return figure


def _lines(study: Study) -> tuple[Figure, Axes]:
    """A figure for a line a policy."""
    figure = blank(NARROW, 1)
    handles = [Line2D([], [], **_look(policy, number), label=policy) for number, policy in enumerate(study.policies)]
    figure.set_size_inches(NARROW, _HEIGHT_IN + legend_above(figure, handles))
    axes = figure.subplots()
    axes.set_ylabel("misses, % of accesses")
    axes.set_ylim(bottom=0)
    percents(axes.yaxis)
    plain(axes, grid="y")
    return figure, axes


def _look(policy: str, number: int) -> dict[str, Any]:
    style = "--" if dashed(policy, number) else ":" if policy in REFERENCES else "-"
    return {"color": colour(paint(policy, number)), "linestyle": style, "markersize": 2}


def _size(study: Study, at: int) -> str:
    return capacity_label(study, study.capacities[at]).replace("\n", " experts, ")


def replay_figures(study: Study) -> Iterator[tuple[str, Figure | None]]:
    """All figures of a replay, by name."""
    yield "miss-ratios", miss_ratios(study)
    yield "misses-by-cause", misses_by_cause(study)
    yield "misses-by-layer", misses_by_layer(study)
