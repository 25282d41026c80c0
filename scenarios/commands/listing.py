"""`moesim list`: what is known by name."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Annotated

import typer


class What(StrEnum):
    """What can be listed."""

    MODELS = "models"
    MACHINES = "machines"
    STACKS = "stacks"
    STRATEGIES = "strategies"
    POLICIES = "policies"
    ROUTINGS = "routings"
    TRACES = "traces"


def list_names(what: Annotated[What, typer.Argument(help="What to list.")]) -> None:
    """List models, machines, software stacks, strategies, eviction policies, routing presets or traces, a line each."""
    listers = {
        What.MODELS: _models,
        What.MACHINES: _machines,
        What.STACKS: _stacks,
        What.STRATEGIES: _strategies,
        What.POLICIES: _policies,
        What.ROUTINGS: _routings,
        What.TRACES: _traces,
    }
    listers[what]()


def _models() -> None:
    from scenarios.presets import list_models, load_model

    rows = []
    for model in map(load_model, list_models()):
        routing = f"{model.n_moe_layers} × {model.n_experts}, top-{model.top_k}"
        sizes = [f"{model.total_params / 1e9:.3g}", f"{model.active_params / 1e9:.3g}"]
        rows.append([model.name, *sizes, routing, f"{model.expert_bytes('bf16') / 1e6:.4g}", model.source])
    headers = ["model", "params (B)", "active (B)", "MoE blocks × experts", "expert in bf16 (MB)", "source"]
    _print(headers, rows, numbers={1, 2, 4})


def _machines() -> None:
    from scenarios.machine_presets import list_machines, load_machine
    from sim.memory import GPU_MEMORY, HOST_MEMORY

    rows = []
    for name in list_machines():
        machine = load_machine(name)
        sizes = [f"{machine.memory[memory].usable_bytes / 1e9:.4g}" for memory in (GPU_MEMORY, HOST_MEMORY)]
        rows.append([name, *sizes, ", ".join(machine.stacks), machine.description])
    _print(["machine", "GPU GB usable", "host GB usable", "stacks", "what it is"], rows, numbers={1, 2})


def _strategies() -> None:
    from scenarios.json_schema import summary_of
    from sim.strategies.registry import knobs_of, strategies

    rows = []
    for name in strategies():
        knobs = ", ".join(f"{knob}={_plain(default)}" for knob, (_, default) in knobs_of(name).items())
        rows.append([name, summary_of(name), knobs])
    _print(["strategy", "what it does", "knobs and defaults"], rows)


def _stacks() -> None:
    from scenarios.stacks import stacks

    rows = []
    for name, stack in stacks().items():
        launch_s = stack.dispatch_s.get("expert", stack.dispatch_s.get("default", 0.0))
        rows.append([name, stack.copies, f"{1e6 * launch_s:.3g}", f"{1e6 * stack.sync_s:.3g}", stack.source])
    _print(["stack", "copies from", "an expert's launch (µs)", "a wait (µs)", "source"], rows, numbers={2, 3})


def _policies() -> None:
    from scenarios.json_schema import first_line
    from sim.cache import POLICIES, Policy, make_policy

    rows = []
    for name in POLICIES:
        policy: Policy[int] = make_policy(name, 1, next_use=lambda key, now: now)
        rows.append([name, first_line(type(policy))])
    _print(["policy", "who leaves first"], rows)


def _routings() -> None:
    from scenarios.routing_presets import list_routings, load_routing

    rows = []
    for preset in map(load_routing, list_routings()):
        shape = f"{preset.goal.n_layers} × {preset.goal.n_experts}, top-{preset.goal.top_k}"
        rows.append([preset.name, shape, preset.source])
    _print(["routing", "layers × experts", "fitted to"], rows)


def _traces() -> None:
    from scenarios.commands.trace_line import describe
    from scenarios.traces import list_traces, load_trace

    _print(["trace", "what it holds"], [[name, describe(load_trace(name))] for name in list_traces()])


def _print(headers: list[str], rows: list[list[str]], numbers: Collection[int] = ()) -> None:
    from rich.table import Table

    from scenarios.table import terminal

    table = Table(box=None, header_style="bold", pad_edge=False)
    for i, header in enumerate(headers):
        table.add_column(header, justify="right" if i in numbers else "left", no_wrap=i == 0)
    for row in rows:
        table.add_row(*row)
    terminal().print(table)


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
