"""What a person asks for and gets back: scenario files, presets, runs, reports, the command line."""

from typing import TYPE_CHECKING

from sim.lazy import lazily

if TYPE_CHECKING:
    from scenarios.explain import explain
    from scenarios.given import scenario
    from scenarios.machine_presets import list_machines, load_machine
    from scenarios.output import write_results
    from scenarios.presets import list_models, load_model
    from scenarios.resolve import resolve
    from scenarios.run import run_scenario
    from scenarios.traces import list_traces, load_trace
    from scenarios.uncertainty import run_with_ranges

__all__ = [
    "explain",
    "list_machines",
    "list_models",
    "list_traces",
    "load_machine",
    "load_model",
    "load_trace",
    "resolve",
    "run_scenario",
    "run_with_ranges",
    "scenario",
    "write_results",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "scenarios.explain": ("explain",),
        "scenarios.given": ("scenario",),
        "scenarios.machine_presets": ("list_machines", "load_machine"),
        "scenarios.output": ("write_results",),
        "scenarios.presets": ("list_models", "load_model"),
        "scenarios.resolve": ("resolve",),
        "scenarios.run": ("run_scenario",),
        "scenarios.traces": ("list_traces", "load_trace"),
        "scenarios.uncertainty": ("run_with_ranges",),
    },
)
