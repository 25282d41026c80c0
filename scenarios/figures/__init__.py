"""Figures for papers, drawn by matplotlib (extra `figures`): each is a function of what a command has found."""

from typing import TYPE_CHECKING

from sim.lazy import lazily

if TYPE_CHECKING:
    from scenarios.figures.comparison import comparison
    from scenarios.figures.deviations import (
        changes_by_cause,
        changes_by_kind,
        errors_by_cause,
        errors_by_kind,
        errors_by_schedule,
    )
    from scenarios.figures.experts import experts
    from scenarios.figures.gantt import gantt
    from scenarios.figures.lanes import where_time_goes
    from scenarios.figures.latency import latency
    from scenarios.figures.memory import memory
    from scenarios.figures.misses import miss_ratios, misses_by_cause, misses_by_layer
    from scenarios.figures.over_time import over_time
    from scenarios.figures.pace import critical_path, gap
    from scenarios.figures.pair import gantt_pair
    from scenarios.figures.papers import papers
    from scenarios.figures.save import save
    from scenarios.figures.sweep import pareto
    from scenarios.figures.sweep_map import sweep_map
    from scenarios.figures.tornado import tornado
    from scenarios.figures.validation import predicted_and_measured

__all__ = [
    "changes_by_cause",
    "changes_by_kind",
    "comparison",
    "critical_path",
    "errors_by_cause",
    "errors_by_kind",
    "errors_by_schedule",
    "experts",
    "gantt",
    "gantt_pair",
    "gap",
    "latency",
    "memory",
    "miss_ratios",
    "misses_by_cause",
    "misses_by_layer",
    "over_time",
    "papers",
    "pareto",
    "predicted_and_measured",
    "save",
    "sweep_map",
    "tornado",
    "where_time_goes",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "scenarios.figures.comparison": ("comparison",),
        "scenarios.figures.deviations": (
            "changes_by_cause",
            "changes_by_kind",
            "errors_by_cause",
            "errors_by_kind",
            "errors_by_schedule",
        ),
        "scenarios.figures.experts": ("experts",),
        "scenarios.figures.gantt": ("gantt",),
        "scenarios.figures.lanes": ("where_time_goes",),
        "scenarios.figures.latency": ("latency",),
        "scenarios.figures.memory": ("memory",),
        "scenarios.figures.misses": ("miss_ratios", "misses_by_cause", "misses_by_layer"),
        "scenarios.figures.over_time": ("over_time",),
        "scenarios.figures.pace": ("critical_path", "gap"),
        "scenarios.figures.pair": ("gantt_pair",),
        "scenarios.figures.papers": ("papers",),
        "scenarios.figures.save": ("save",),
        "scenarios.figures.sweep": ("pareto",),
        "scenarios.figures.sweep_map": ("sweep_map",),
        "scenarios.figures.tornado": ("tornado",),
        "scenarios.figures.validation": ("predicted_and_measured",),
    },
)
