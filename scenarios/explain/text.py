"""An explanation in words: some twenty lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from scenarios.explain.explanation import Explanation
from scenarios.results import RunResult
from scenarios.whatif.levers import Lever
from sim.critical_path import Path
from sim.metrics import hit_rate
from sim.notebook.why import VISIBLE, largest
from sim.readable import number, percent, seconds

_TWICE = "× 2"
_WORTH = 1.02  # a gain below this is none
_LEVEL = 0.005  # relative; makespans nearer than this are equal
_EVEN = 2.0  # times the mean share that the heaviest block may have


def sentences(found: Explanation) -> list[str]:
    """The lines that are no part of the table, one after the other."""
    table = {*_table(found.path)}
    return [line.strip() for line in lines(found) if line and line not in table]


def lines(found: Explanation) -> Iterator[str]:
    """The lines, without markup."""
    run, limit = found.run, found.run.limit
    assert limit is not None
    yield f"{found.title} · {run.label} on {found.machine}"
    yield f"{_speed(run)}: {seconds(run.summary.makespan_s)} in all, {percent(run.of_limit)} of the physical limit"
    yield ""
    first, spent_s = next(iter(found.path.seconds("cause").items()))
    yield f"Bound by {first}: {percent(spent_s / found.path.length_s)} of the critical path"
    yield from _table(found.path)
    yield f"  {_where(found.path)}; {_transfers(found.path)}"
    yield ""
    yield f"From the limit to here: {_sum(found)}"
    share = limit.least_misses / limit.n_uses if limit.n_uses else 0.0
    misses = f"{percent(share)} of the uses of experts miss, however {limit.n_slots} slots are used"
    yield f"  the limit is bound by {_resource(limit.bound_by)}: {misses}{_missed(run)}"
    if limit.on_cpu and limit.link_s > limit.limit_s:
        yield f"  a run that computes no expert on the CPU takes {seconds(limit.link_s)} at least, for the link alone"
    yield f"  {_advice(found)}"
    yield ""
    yield f"With twice as much of one thing, so many times as fast: {_gains(found.levers)}"
    if found.runner_up is not None:
        yield f"{_beside(*found.runner_up, found)}"


def _speed(run: RunResult) -> str:
    rate, first_s = run.summary.decode_tokens_per_s, run.summary.ttft_s
    parts = [f"{number(rate)} tok/s in decode"] if rate is not None else []
    return ", ".join([*parts, *([f"first token after {seconds(first_s)}"] if first_s is not None else [])])


def _table(path: Path) -> Iterator[str]:
    for name, spent_s in largest(path.seconds("cause"), path.length_s):
        yield f"  {name:<24}{seconds(spent_s):>8}  {percent(spent_s / path.length_s):>6}"


def _where(path: Path) -> str:
    """Whether some block has more of the path than its share."""
    blocks = {name: s for name, s in path.seconds("layer").items() if int(name) >= 0}
    block, most_s = next(iter(blocks.items()))
    mean_s = sum(blocks.values()) / path.timeline.schedule.model.n_layers
    if most_s < _EVEN * mean_s:
        return f"blocks have about equal parts (most: block {block}, {percent(most_s / path.length_s)})"
    return f"block {block} has {number(most_s / mean_s)} times a block's share"


def _transfers(path: Path) -> str:
    exposed_s, hidden_s = (
        (sum(column) for column in zip(*path.exposed_s().values(), strict=True)) if path.exposed_s() else (0.0, 0.0)
    )
    return f"transfers: {seconds(exposed_s)} exposed, {seconds(hidden_s)} hidden"


def _sum(found: Explanation) -> str:
    parts = [f"{seconds(found.gap.limit_s)} limit", *(f"{seconds(s)} {name}" for name, s in found.gap.parts.items())]
    return f"{' + '.join(parts)} = {seconds(found.run.summary.makespan_s)}"


def _missed(run: RunResult) -> str:
    hits = hit_rate(run.schedule)
    return "" if hits is None else f"; here {percent(1 - hits)} are neither cached nor prefetched"


def _advice(found: Explanation) -> str:
    """What the largest part of the gap means."""
    name = next(iter(found.gap.parts))
    told = {
        "policy": "policy: other experts on the GPU, or another split between loading and the CPU, would save most",
        "prediction": "prediction: loads that nobody used took the time; predict better, or prefetch less",
        "overlap": "overlap: GPU, CPU and link wait for each other; start loads sooner, or let them overtake",
        "dispatch": "dispatch: the host's software takes the time; fewer launches and waits would save most",
    }
    return told[name]


def _gains(levers: Sequence[Lever]) -> str:
    """In decode, or to the first token where nothing is decoded; where there is no twice as much, with all there is."""
    gains = {}
    for lever in levers:
        label = _TWICE if _TWICE in lever.gains else list(lever.gains)[-1]
        pace = lever.gains[label]
        gains[lever.name if label == _TWICE else f"{lever.name} ({label})"] = pace.decode or pace.first_token or 1.0
    able = [f"{name} {number(gain)}" for name, gain in gains.items() if gain >= _WORTH]
    idle = [name for name, gain in gains.items() if gain < _WORTH]
    return ", ".join(able or ["none"]) + (f"; no gain from {', '.join(idle)}" if idle and able else "")


def _beside(other: RunResult, path: Path, found: Explanation) -> str:
    """The runner-up, and the causes whose parts differ most."""
    mine, theirs = found.path.seconds("cause"), path.seconds("cause")
    change = {name: theirs.get(name, 0.0) - mine.get(name, 0.0) for name in {**mine, **theirs}}
    telling = sorted(change.items(), key=lambda item: -abs(item[1]))[:3]
    said = ", ".join(
        f"{'+' if s > 0 else '−'}{seconds(abs(s))} {name}" for name, s in telling if abs(s) > VISIBLE * path.length_s
    )
    ratio = path.length_s / found.path.length_s
    length = "as long" if abs(ratio - 1) < _LEVEL else f"{number(ratio)} times as long"
    return f"Best of the others: {other.label}, {length}" + (f": {said}" if said else "")


def _resource(name: str) -> str:
    return {"compute": "compute", "link": "the link"}.get(name, f"the host's {name}")
