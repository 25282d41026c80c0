"""Curves, the split of misses and the layers of a replay, put together in one HTML file."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenarios.replay_report.looks import CAUSES, dashed, paint, typical
from scenarios.replay_table import capacity_label
from scenarios.report.markup import Html, join, tag
from scenarios.report.template import fill
from sim.files import write_text
from sim.readable import percent
from sim.replay import REFERENCES
from sim.replay.study import Study
from sim.trace import RoutingTrace

_ASSETS = files(__package__) / "assets"


def write_replay(path: Path, study: Study, trace: RoutingTrace, name: str) -> None:
    """Write the page, atomically; equal studies give equal bytes."""
    write_text(path, render(study, trace, name))


def render(study: Study, trace: RoutingTrace, name: str) -> str:
    """The text of the file; its three figures each show what a control or the pointer picks."""
    links = {"curves": "Miss-ratio curves", "split": "Causes", "layers": "Layers", "numbers": "All numbers"}
    if study.scope == "global":
        del links["layers"]
    return fill(
        title=f"{name}: replay",
        facts=_facts(study, trace),
        verdict=_verdict(study),
        brackets=_reference(study),
        links=links,
        sections=[*(Html(_own(f"{anchor}.html")) for anchor in links if anchor != "numbers"), _numbers(study)],
        footer="Counted by moesim replay, without a clock. Every cache starts empty and lives through the whole trace.",
        data=_data(study),
        scripts=_own("replay.js"),
    )


def _facts(study: Study, trace: RoutingTrace) -> list[str]:
    scope = "a cache for each layer" if study.scope == "layer" else "one cache for all layers"
    return [
        f"{trace.n_tokens:,} tokens",
        f"{trace.n_layers} MoE layers × {trace.n_experts} experts, top-{trace.top_k}",
        f"{int(study.accesses.sum()):,} accesses",
        scope,
        f"batch {study.batch}",
    ]


def _verdict(study: Study) -> Html:
    """Which policy misses least at the typical capacity."""
    at = typical(study)
    online = [policy for policy in study.policies if policy not in REFERENCES]
    where = capacity_label(study, study.capacities[at]).replace("\n", " experts, ")
    if not online or not study.accesses.sum():
        return join(["At ", where, ", Belady's optimum misses ", _strong_ratio(study, "belady", at), "."])
    best = min(online, key=lambda policy: int(study.misses[policy][at].sum()))
    start = join([tag("strong", best), f" misses least at {where}: ", _strong_ratio(study, best, at), " of accesses"])
    if best == "lru" or "lru" not in online:
        return join([start, "."])
    return join([start, ", LRU ", _strong_ratio(study, "lru", at), "."])


def _reference(study: Study) -> Html:
    at = typical(study)
    compulsory, capacity, _ = study.split("belady")[at].tolist()
    total = int(study.accesses.sum())
    share = percent(compulsory / total) if total else "none"
    misses = f"For reference: Belady's optimum misses {capacity + compulsory:,} times ("
    return tag("p", misses, _strong_ratio(study, "belady", at), f"); first uses are {share}.", class_="brackets")


def _strong_ratio(study: Study, policy: str, at: int) -> Html:
    ratio = study.miss_ratios(policy)[at]
    return tag("strong", "nothing" if np.isnan(ratio) else percent(float(ratio)))


def _numbers(study: Study) -> Html:
    """Miss ratios, the best policy first and what knows the future last."""
    at = typical(study)
    order = sorted(
        enumerate(study.policies), key=lambda entry: (entry[1] in REFERENCES, int(study.misses[entry[1]][at].sum()))
    )
    head = tag(
        "tr", tag("th", "Misses, % of accesses", scope="col"), *(_head(study, size) for size in study.capacities)
    )
    table = tag("table", tag("thead", head), tag("tbody", *(_row(study, *entry) for entry in order)))
    scroll = tag("div", table, class_="scroll", tabindex="0", role="region", aria_label="All numbers")
    return tag("section", tag("h2", "All numbers"), scroll, id="numbers")


def _head(study: Study, capacity: int) -> Html:
    amount, *share = capacity_label(study, capacity).split("\n")
    return tag("th", amount, *(tag("small", text) for text in share), scope="col")


def _row(study: Study, number: int, policy: str) -> Html:
    cells = [
        tag("td", "–" if np.isnan(ratio) else f"{100 * ratio:.1f}") for ratio in study.miss_ratios(policy).tolist()
    ]
    mark = "dot dashed" if dashed(policy, number) else "dot"
    name = tag("th", tag("i", class_=mark, style=f"--paint:{paint(policy, number)}"), policy, scope="row")
    return tag("tr", name, *cells, class_="bracket" if policy in REFERENCES else None)


def _data(study: Study) -> dict[str, Any]:
    """What the figures are drawn from."""
    return {
        "capacities": list(study.capacities),
        "labels": [capacity_label(study, capacity).replace("\n", " experts, ") for capacity in study.capacities],
        "in_bytes": study.in_bytes,
        "cache_experts": study.cache_experts,
        "typical": typical(study),
        "accesses": int(study.accesses.sum()),
        "by_layer": study.scope == "layer",
        "causes": [{"key": key, "label": label, "paint": colour} for key, (label, colour) in enumerate(CAUSES)],
        "policies": [
            {
                "label": policy,
                "paint": paint(policy, number),
                "dashed": dashed(policy, number),
                "reference": policy in REFERENCES,
                "ratios": _plain(study.miss_ratios(policy)),
                "split": study.split(policy).tolist(),
                "layers": _plain(study.layer_miss_ratios(policy)) if study.scope == "layer" else [],
            }
            for number, policy in enumerate(study.policies)
        ],
    }


def _plain(ratios: NDArray[np.float64]) -> Any:
    """As nested lists with None for what is not defined, short enough for a page."""
    short = ratios.round(5).astype(object)
    short[np.isnan(ratios)] = None
    return short.tolist()


def _own(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")
