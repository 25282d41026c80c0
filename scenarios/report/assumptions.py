"""What the figures rest on, with the source of each number, and what to beware of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from scenarios.report.markup import Html, join, tag
from scenarios.report.ranking import Entry
from scenarios.results import RunResult, ScenarioResult
from sim.machine import Machine
from sim.model import MoEModel
from sim.precision import PRECISIONS

_Facts = Sequence[tuple[str, str]]
_ORIGIN = {
    "datasheet": "Speeds come from data sheets and stated efficiency figures; nothing was measured on it.",
    "measured": "Speeds were measured on it by moesim calibrate.",
}


def assumptions(result: ScenarioResult, entries: Sequence[Entry]) -> Html:
    """Warnings first; then machine, software, model and load; the scenario as it was resolved at the end."""
    machine, spec = result.machine, result.scenario
    cards = [
        _card("Machine", _machine(machine), machine.origin),
        _card("Software stack", _stack(machine, spec.get("stack"))),
        _card("Model and precision", _model(result.model, result.runs[0])),
        _card("Load and routing", _load(spec), "synthetic" if "workload" in spec else "recorded"),
    ]
    return join([
        _warnings([entry.run for entry in entries]),
        tag("div", *cards, class_="cards"),
        _folded("Source of every number of the machine", _table(_sources(machine))),
        _folded("The scenario as it was resolved", tag("pre", _pretty(spec))),
    ])  # fmt: skip


def headline(result: ScenarioResult) -> list[str]:
    """The setting in a few words, for the top of the page."""
    spec, precisions = result.scenario, result.runs[0].schedule.precisions
    stack = spec.get("stack") or next(iter(result.machine.stacks))
    weights = precisions.experts
    if precisions.rest != weights:
        weights = f"{weights} experts, {precisions.rest} otherwise"
    load = (
        _workload(spec["workload"]) if "workload" in spec else f"trace {_trace_name(spec)}" if "trace" in spec else None
    )
    return [part for part in (result.model.name, weights, result.machine.name, stack, load) if part]


def _machine(machine: Machine) -> _Facts:
    return [
        ("", machine.description or machine.name),
        ("", _ORIGIN[machine.origin]),
        *((name, text) for name, text in machine.fingerprint.items()),
    ]


def _stack(machine: Machine, name: str | None) -> _Facts:
    stack = machine.stack(name)
    chosen = name or next(iter(machine.stacks))
    return [("", chosen), ("copies", f"from {stack.copies} memory"), ("source", stack.source)]


def _model(model: MoEModel, run: RunResult) -> _Facts:
    precisions = run.schedule.precisions
    formats = {"expert weights": precisions.experts, "other weights": precisions.rest, "KV cache": precisions.kv}
    return [
        (
            "",
            f"{model.name}: {model.total_params / 1e9:.4g} billion parameters, {model.active_params / 1e9:.3g} active",
        ),
        ("experts", f"{model.n_experts} a layer, {model.top_k} active, {model.n_moe_layers} layers"),
        *((what, f"{name}, {PRECISIONS[name].bits:.4g} bits a value") for what, name in formats.items()),
        ("source", model.source or "not stated"),
    ]


def _load(spec: Mapping[str, Any]) -> _Facts:
    facts: list[tuple[str, str]] = []
    if "workload" in spec:
        like = spec["workload"].get("like")
        facts += [
            ("", _workload(spec["workload"])),
            ("routing", f"synthetic{f' like that of {like}' if like else ''}: popular experts, tasks, slow context"),
        ]
    if "trace" in spec:
        facts += [
            ("", f"trace {_trace_name(spec)}, batch {spec['trace'].get('batch', 1)}"),
            ("popularity", f"from the first {spec['trace'].get('calibrate_on', 0):.0%}, which is not run"),
        ]
    if "predictor" in spec:
        facts.append(("predictor", ", ".join(f"{key} {value}" for key, value in spec["predictor"].items())))
    return [*facts, ("seed", str(spec.get("seed", 0)))]


def _workload(load: Mapping[str, Any]) -> str:
    batch = load.get("batch", 1)
    sequences = load.get("sequences") or batch
    many = f", {sequences} sequences" if sequences != batch else ""
    return f"{load['prompt']} tokens in, {load['output']} out, batch {batch}{many}"


def _trace_name(spec: Mapping[str, Any]) -> str:
    return str(spec["trace"]["file"]).replace("\\", "/").rsplit("/", 1)[-1]


def _warnings(runs: Sequence[RunResult]) -> Html | None:
    """Each warning once, with the strategies that it is about."""
    about: dict[str, list[str]] = {}
    for run in runs:
        for warning in run.warnings:
            about.setdefault(warning, []).append(run.label)
    items = [
        tag("li", tag("b", "all strategies" if len(labels) == len(runs) > 1 else ", ".join(labels)), ": ", warning)
        for warning, labels in about.items()
    ]
    return tag("ul", *items, class_="warnings") if items else None


def _sources(machine: Machine) -> _Facts:
    """Those that the machine states, and those of its links, kernels and rooflines."""
    found = [*machine.sources.items()]
    found += [(f"{link.direction} copies, {link.memory}", link.source) for link in machine.links]
    found += [(f"{kernel.device} {kernel.kind}", kernel.source) for kernel in machine.kernels]
    found += [(f"{line.device} {line.kind}, other shapes", line.source) for line in machine.rooflines]
    return list(dict.fromkeys(found))


def _card(title: str, facts: _Facts, badge: str | None = None) -> Html:
    lines = [
        tag("div", tag("dt", name), tag("dd", text)) if name else tag("div", tag("dd", text), class_="lead")
        for name, text in facts
    ]
    return tag("article", tag("h3", title, tag("span", badge, class_="badge") if badge else None), tag("dl", *lines))


def _table(facts: _Facts) -> Html:
    rows = [tag("tr", tag("th", name, scope="row"), tag("td", text)) for name, text in facts]
    return tag("table", tag("tbody", *rows), class_="sources")


def _folded(title: str, content: Html) -> Html:
    return tag("details", tag("summary", title), content)


def _pretty(spec: Mapping[str, Any]) -> str:
    import yaml

    plain = json.loads(json.dumps(spec, default=str))
    return str(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100))
