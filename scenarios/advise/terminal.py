"""Advice for a person: some twenty lines in the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from scenarios.advise.answer import Advice
from scenarios.advise.levers import FACTOR, first
from scenarios.advise.trial import Trial, Tried
from scenarios.report.verdict import bound
from scenarios.results import ranges_made
from scenarios.table import new_table, number_range, terminal
from sim.memory import Footprint
from sim.readable import number, percent, seconds

_ROWS = 8


def print_advice(advice: Advice) -> None:
    """Print what to take, how everything else did, what does not fit, and what to buy first."""
    console = terminal()
    for line in (*_ground(advice), "", *_best(advice), ""):
        console.print(line, soft_wrap=True)
    console.print(_table(advice.chosen))
    console.print()
    for line in _notes(advice):
        console.print(line, soft_wrap=True)


def _ground(advice: Advice) -> Iterator[str]:
    ground = advice.ground
    load = ground.workload
    yield f"{ground.model.name} on {ground.machine.name}: {ground.machine.description or ground.machine.origin}"
    sequences = f"{load.batch} sequences of " if load.batch > 1 else ""
    yield (
        f"Room for {sequences}{ground.context:,} tokens of context. Timed: {load.sequences} requests of {load.prompt} "
        f"tokens in, {load.output} out; routing made up like that of {ground.routing_like}; software: {ground.stack}."
    )


def _best(advice: Advice) -> Iterator[str]:
    best = advice.best
    run = best.run
    yield (
        f"Take {advice.chosen.weights} weights and: {run.label}. It keeps {_kept(advice.chosen, best)} experts on the "
        f"GPU and decodes about {_rate(best)}, the first token after {seconds(run.summary.ttft_s)}."
    )
    memories = ", ".join(_memory(advice, footprint) for footprint in (run.footprint, run.host_footprint))
    yield f"It runs {bound(run)}; memory used: {memories}."


def _memory(advice: Advice, footprint: Footprint) -> str:
    usable = advice.ground.machine.memory[footprint.memory].usable_bytes
    where = "host" if footprint.memory == "host" else "GPU"
    return f"{where} {number(footprint.total_bytes / 1e9)} of {number(usable / 1e9)} GB"


def _table(trial: Trial) -> Table:
    table = new_table(f"{trial.weights}, best first")
    for name in ("strategy", "experts on the GPU", "decode tok/s", "range", "first token", "GPU GB"):
        table.add_column(name, justify="left" if name == "strategy" else "right", no_wrap=True)
    for each in trial.ranked()[:_ROWS]:
        table.add_row(*_row(trial, each))
    for each in trial.lossy():
        changed = each.run.summary.fidelity.changed if each.run.summary.fidelity else 0.0
        table.add_row(*_row(trial, each, f" (lossy: {percent(changed)} other experts)"), style="dim")
    for each in trial.hypothetical():
        table.add_row(*_row(trial, each, " (does not fit)"), style="dim")
    return table


def _row(trial: Trial, each: Tried, mark: str = "") -> tuple[str, ...]:
    run = each.run
    speed, first_s, gpu_gb = number(each.speed), seconds(run.summary.ttft_s), number(run.footprint.total_bytes / 1e9)
    return run.label + mark, _kept(trial, each), speed, _range(each), first_s, gpu_gb


def _notes(advice: Advice) -> Iterator[str]:
    trial = advice.chosen
    if (more := len(trial.ranked()) - _ROWS) > 0:
        yield f"{more} slower ones are left out."
    for each in trial.ranked():
        if each.contender.released and each is not advice.best:
            yield f"Released software: {each.run.label} gives about {_rate(each)}."
    for text in refusals(trial):
        yield f"Does not fit: {text}"
    for other in advice.others:
        yield _other(other)
    yield _purchase(advice)
    if made := ranges_made([each.run for each in trial.ranked()]):
        yield f"Ranges hold {made}; other texts and prompts vary besides."
    if advice.ground.machine.origin == "datasheet":
        yield "The machine is from data sheets: trust the order before the figures, or measure it (`moesim calibrate`)."
    for warning in dict.fromkeys(warning for each in trial.ranked()[:1] for warning in each.run.warnings):
        yield f"! {warning}"


def refusals(trial: Trial) -> list[str]:
    """What does not fit, each with its sum, in a line."""
    found = [f"{each.run.label}, {warning}" for each in trial.hypothetical() for warning in each.run.warnings[:1]]
    return found + [str(error) for error in trial.refused.values()]


def _other(trial: Trial) -> str:
    ranked = trial.ranked()
    if not ranked:
        return f"{trial.weights} does not fit: {next(reversed(trial.refused.values()))}"
    return f"With {trial.weights} weights: about {_rate(ranked[0])} ({ranked[0].run.label})."


def _purchase(advice: Advice) -> str:
    gains = ", ".join(f"{lever.name} {100 * (lever.gain - 1):+.0f} %" for lever in advice.levers)
    best = first(advice.levers)
    buy = f"Buy {best.name} first." if best else "No single purchase helps."
    return f"With {FACTOR:g} times as much of one thing it would decode faster by: {gains}. {buy}"


def _kept(trial: Trial, each: Tried) -> str:
    total = trial.ground.model.n_slots_total
    return f"{each.run.cached} ({percent(each.run.cached / total)})"


def _range(each: Tried) -> str:
    found = each.run.ranges.get("decode_tokens_per_s")
    return number_range(found) if found else ""


def _rate(each: Tried) -> str:
    spread = _range(each)
    return f"{number(each.speed)} tok/s" + (f" ({spread})" if spread else "")
