"""Cards of a run: what was decided, when it happened, and its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.notebook.card import Card, Row
from sim.readable import gigabytes, number, percent, seconds

if TYPE_CHECKING:
    from sim.metrics import Summary
    from sim.schedule import Schedule
    from sim.timeline import Timeline


def schedule_card(schedule: Schedule) -> Card:
    """How much there is of it, and where it holds."""
    passes = [int(step.phase) for step in schedule.steps]
    counts = schedule.facts.tally
    hits = percent(counts.from_cache / counts.uses) if counts.uses else "–"
    return Card(
        f"Schedule of {schedule.meta.get('strategy', 'a strategy')} for {schedule.model.name}",
        [
            Row("forward passes", (f"{passes.count(0)} prefill, {passes.count(1)} decode",)),
            Row("ops", (f"{len(schedule):,} on {len(schedule.lanes)} lanes",)),
            Row("expert slots", (f"{schedule.n_slots}, {len(schedule.start_slots)} filled at the start",)),
            Row("uses of experts", (f"{counts.uses:,}, {hits} hits",)),
            Row("weights loaded", (gigabytes(counts.bytes_loaded),)),
            Row("decided for", (_home(schedule),)),
        ],
    )


def _home(schedule: Schedule) -> str:
    if schedule.portable:
        return "any machine"
    asked = "prices" if schedule.clock_free else "the clock"
    return f"{schedule.meta.get('planned_for', {}).get('machine', 'one machine')}, whose {asked} it asked"


def timeline_card(timeline: Timeline) -> Card:
    """Each lane that has work, and for how long."""
    whole_s = timeline.makespan_s
    rows = []
    for lane in timeline.schedule.lanes:
        if busy_s := timeline.busy_s(lane.name):
            rows.append(Row(lane.name, (seconds(busy_s), percent(busy_s / whole_s)), busy_s / whole_s))
    strategy = timeline.schedule.meta.get("strategy", "a strategy")
    title = f"Timeline of {strategy} for {timeline.schedule.model.name}, {timeline.source}: {seconds(whole_s)}"
    return Card(title, rows, head=("lane", "works", "of the run"))


def summary_card(summary: Summary) -> Card:
    """Speeds, what was moved, and how busy the lanes are."""
    rows = [
        Row("time to first token", (seconds(summary.ttft_s),)),
        Row("time per output token, median", (seconds(summary.tpot_p50_s),)),
        Row("its 95th percentile", (seconds(summary.tpot_p95_s),)),
        Row("decode", (f"{number(summary.decode_tokens_per_s)} tok/s",)),
        Row("hit rate", (percent(summary.hit_rate),)),
        Row("weights loaded", (f"{number(summary.loaded_gb_per_token)} GB a token",)),
    ]
    if summary.prediction is not None:
        rows.append(Row("recall of the predictor", (percent(summary.prediction.recall),)))
    if summary.fidelity is not None:
        rows.append(Row("other experts than the router's", (percent(summary.fidelity.changed),)))
    rows += [Row(f"{lane} works", (percent(share),), share) for lane, share in summary.utilisation.items() if share]
    return Card(f"{summary.output_tokens:,} tokens in {seconds(summary.makespan_s)}", rows)
