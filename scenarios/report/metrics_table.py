"""The table of metrics: one row a strategy, one unit a column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scenarios.report.markup import Html, tag
from scenarios.report.ranking import Entry
from scenarios.report.units import GIGABYTES, SECONDS, SHARE, TOKENS_PER_S, Units, aligned
from scenarios.results import RunResult


@dataclass(frozen=True)
class Column:
    """A metric in the table; `hint` says more than the title does."""

    title: str
    value: Callable[[RunResult], float | None]
    units: Units
    hint: str


_COLUMNS = (
    Column("Decode", lambda run: run.summary.decode_tokens_per_s, TOKENS_PER_S, "Tokens per second of decoding"),
    Column("TTFT", lambda run: run.summary.ttft_s, SECONDS, "Time to first token, median over batches"),
    Column("TPOT p50", lambda run: run.summary.tpot_p50_s, SECONDS, "Time per output token, median"),
    Column("TPOT p95", lambda run: run.summary.tpot_p95_s, SECONDS, "Time per output token, 95th percentile"),
    Column("End to end", lambda run: run.summary.tokens_per_s, TOKENS_PER_S, "Tokens put out over the whole run"),
    Column("Hit rate", lambda run: run.summary.hit_rate, SHARE, "Routed experts whose weights were on the GPU"),
    Column("Predictor recall", lambda run: _recall(run), SHARE, "Routed experts that the run's predictor had named"),
    Column("Other experts", lambda run: _of(run, "changed"), SHARE, "Router's choices that ran on another expert"),
    Column(
        "Gate lost", lambda run: _of(run, "mass_lost"), SHARE, "Gate weight of the router's choices that did not run"
    ),
    Column("Loaded", lambda run: run.loaded_gb_per_token, (("GB/token", 1.0),), "Weights moved to the GPU"),
    Column("GPU memory", lambda run: run.footprint.total_bytes, GIGABYTES, "What the run keeps on the GPU"),
    Column("Cached", lambda run: run.cached, (("experts", 1.0),), "Experts kept on the GPU"),
    Column("Prefetch used", lambda run: run.summary.prefetch_used, SHARE, "Prefetched experts used before they left"),
    Column("Unloaded", lambda run: run.summary.bytes_unloaded, GIGABYTES, "Weights moved back to the host"),
    Column("Sent", lambda run: run.summary.bytes_sent, GIGABYTES, "Activations moved either way"),
    Column("Ops", lambda run: run.summary.n_ops, (("", 1.0),), "Operations of the schedule"),
)


def _of(run: RunResult, name: str) -> float | None:
    """A share of the run's fidelity to routing; 0 for a strategy that follows the router."""
    return getattr(run.summary.fidelity, name) if run.summary.fidelity else 0.0


def _recall(run: RunResult) -> float | None:
    """Realised recall; None for a strategy that asks no predictor."""
    return run.summary.prediction.recall if run.summary.prediction else None


def metrics_table(entries: Sequence[Entry]) -> Html:
    """The table; columns that are empty or zero for all are left out."""
    filled = [(column, [column.value(entry.run) for entry in entries]) for column in _COLUMNS]
    shown = [(column, *aligned(values, column.units)) for column, values in filled if any(values)]
    heads = [tag("th", column.title, tag("small", unit), scope="col", title=column.hint) for column, unit, _ in shown]
    head = tag("thead", tag("tr", tag("th", "Strategy", scope="col"), *heads))
    rows = [_row(entry, [texts[i] for _, _, texts in shown]) for i, entry in enumerate(entries)]
    table = tag("table", head, tag("tbody", *rows))
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label="All numbers")


def _row(entry: Entry, cells: Sequence[str]) -> Html:
    name = tag(
        "th",
        tag("i", class_="dot dashed" if entry.dashed else "dot", style=f"--paint:{entry.paint}"),
        entry.label,
        tag("small", entry.bracket) if entry.bracket else None,
        scope="row",
    )
    return tag("tr", name, *(tag("td", cell) for cell in cells), class_="bracket" if entry.bracket else None)
