"""Cards of what a run is made from: model, machine, trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sim.notebook.card import Card, Row
from sim.readable import gigabytes, number

if TYPE_CHECKING:
    from sim.machine import Link, Machine
    from sim.model import MoEModel
    from sim.trace import RoutingTrace

_FORMAT = "bf16"  # that sizes are stated in
_A_RATE = 1e6  # capacities above are bytes a second, below numbers of cores or the like
_MOST_WORDS = 80


def model_card(model: MoEModel) -> Card:
    """Shapes and sizes."""
    dense = model.n_layers - model.n_moe_layers
    shared = f", shared {model.shared_hidden} wide" if model.shared_hidden else ""
    experts = model.n_slots_total * model.expert_bytes(_FORMAT)
    return Card(
        f"Model {model.name}",
        [
            Row("parameters, billions", (f"{number(model.total_params / 1e9)}, active {_active(model)}",)),
            Row("blocks", (f"{model.n_layers}, {dense} of them without experts" if dense else f"{model.n_layers}",)),
            Row("experts of a block", (f"{model.n_experts}, top-{model.top_k}{shared}",)),
            Row(f"one expert in {_FORMAT}", (gigabytes(model.expert_bytes(_FORMAT)),)),
            Row(f"all {model.n_slots_total:,} experts", (gigabytes(experts),)),
            Row("all other weights", (gigabytes(model.resident_bytes(_FORMAT)),)),
        ],
        notes=[model.source] if model.source else [],
    )


def _active(model: MoEModel) -> str:
    return number(model.active_params / 1e9)


def machine_card(machine: Machine) -> Card:
    """Memories, links, what is shared, and the software that is known."""
    memory = [
        Row(f"memory {name}", (f"{gigabytes(each.usable_bytes)} of {gigabytes(each.nominal_bytes)}",))
        for name, each in machine.memory.items()
    ]
    links = [Row(f"{link.direction}, {link.memory}", (f"{_rate(link) / 1e9:.3g} GB/s",)) for link in machine.links]
    shared = [Row(f"shared {name}", (_capacity(most),)) for name, most in machine.capacities.items()]
    stacks = Row("stacks", (", ".join(machine.stacks),))
    notes = [machine.description] if machine.description else []
    return Card(f"Machine {machine.name} ({machine.origin})", [*memory, *links, *shared, stacks], notes=notes)


def _rate(link: Link) -> float:
    """Bytes a second of the largest copies that are known."""
    return link.curve.x[-1] / link.curve.seconds[-1]


def _capacity(most: float) -> str:
    return f"{most / 1e9:.3g} GB/s" if most > _A_RATE else number(most)


def trace_card(trace: RoutingTrace) -> Card:
    """Its shape; the tokens themselves are not read."""
    extra = ["gate weights"] if trace.weights is not None else []
    extra += ["token ids"] if trace.token_ids is not None else []
    extra += [f"predictions {trace.ahead} ahead"] if trace.ahead else []
    return Card(
        "Routing trace",
        [
            Row("tokens", (f"{trace.n_tokens:,}, {int(trace.prompt_tokens.sum()):,} of them of prompts",)),
            Row("sequences", (f"{trace.n_sequences:,}",)),
            Row("experts", (f"top-{trace.top_k} of {trace.n_experts} in {trace.n_layers} MoE blocks",)),
            Row("with", (", ".join(extra) or "ids alone",)),
        ],
        notes=_from(trace.provenance),
    )


def _from(provenance: Mapping[str, Any]) -> list[str]:
    """The first words of where a trace comes from."""
    if "synthetic" in provenance:
        return [f"synthetic, seed {provenance['synthetic'].get('seed')}"]
    said = ", ".join(f"{name} {value}" for name, value in provenance.items() if isinstance(value, str))
    return [said if len(said) <= _MOST_WORDS else said[: _MOST_WORDS - 1] + "…"] if said else []
