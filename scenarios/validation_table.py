"""A validation as tables for the terminal."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from scenarios.table import new_table, seconds_range, terminal
from scenarios.validate import STEADY, Validated, Validation
from sim.readable import number, percent, seconds

_WIDTH = 1000
MEDIAN_TARGET, P95_TARGET, UNSEEN_TARGET = 0.06, 0.15, 0.10


def print_validation(found: Validation, console: Console | None = None) -> None:
    """Print a row a schedule, a row a kind of op, and the verdict."""
    console = console or terminal()
    _print_schedules(console, found)
    console.print()
    _print_kinds(console, found)
    console.print()
    for line in verdict(found):
        console.print(line, soft_wrap=True)


def as_text(found: Validation) -> str:
    """The same as plain text, however wide."""
    text = StringIO()
    print_validation(found, Console(file=text, highlight=False, width=_WIDTH))
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def verdict(found: Validation) -> list[str]:
    """What the validation says in sum, beside its targets."""
    worst = found.kinds[0]
    spread = "" if found.median_spread is None else f"; repeats differ by {percent(found.median_spread)} (median)"
    tau = "–" if found.tau is None else f"{found.tau:.2f}"
    return [
        f"end-to-end error of {len(found.schedules) - _apart(found)} schedules: median {tenths(found.median_error)} "
        f"(target {percent(MEDIAN_TARGET)}), p95 {tenths(found.p95_error)} (target {percent(P95_TARGET)}), "
        f"worst {tenths(found.worst_error)}{spread}",
        *_unseen(found),
        *_covered(found),
        *_drift(found),
        f"ranking: {found.right_pairs} of {found.clear_pairs} pairs whose measured gap exceeds the spread are in "
        f"order; Kendall's tau {tau}",
        f"most of the error: {worst.kind} on {worst.lane}, {percent(worst.share_of_error)} of what was mispredicted, "
        f"in sum {signed(worst.error)}",
        f"step by step: median |error| of prefill {tenths(found.prefill_error)}, "
        f"of decode {tenths(found.decode_error)}",
    ]


def _apart(found: Validation) -> int:
    """Schedules whose error is told by itself."""
    return found.unseen_schedules if found.unseen_schedules < len(found.schedules) else 0


def _unseen(found: Validation) -> list[str]:
    """The error where shapes were not measured, if there are such."""
    if not found.unseen_schedules:
        return []
    return [
        f"{found.unseen_schedules} schedules of shapes that calibration has not measured: median error "
        f"{tenths(found.unseen_median_error)} (target {percent(UNSEEN_TARGET)})"
    ]


def _covered(found: Validation) -> list[str]:
    """Whether the ranges hold what they should, where there are some."""
    if found.coverage is None:
        return []
    steady = "" if found.steady_coverage is None else f"; {percent(found.steady_coverage)} while memory was steady"
    return [
        f"coverage: {percent(found.coverage)} of the measured times lie within the range of the prediction "
        f"(should be {percent(found.level)}), whose median width is {percent(found.median_width)} of it{steady}"
    ]


def _drift(found: Validation) -> list[str]:
    """What the computer's own condition did meanwhile, where it is known."""
    speeds = [each.condition for each in found.schedules if each.condition is not None]
    if not speeds:
        return []
    return [
        f"memory ran at × {min(speeds):.2f} to × {max(speeds):.2f} of its speed during calibration; "
        f"{found.steady_schedules} schedules ran within {percent(STEADY)} of it, "
        f"with a median error of {tenths(found.steady_median_error)}"
    ]


def signed(error: float) -> str:
    """A relative error with its sign: + is predicted too long."""
    return f"{100 * error:+.1f} %"


def tenths(share: float | None) -> str:
    """A share in percent with one decimal."""
    return "–" if share is None else f"{100 * share:.1f} %"


def _print_schedules(console: Console, found: Validation) -> None:
    table = new_table(f"{found.title} on {found.machine}")
    for header in ("scenario", "strategy"):
        table.add_column(header, no_wrap=True)
    headers = (
        "ops",
        "predicted",
        "range",
        "measured",
        "error",
        "spread",
        "memory",
        "|step error| p50",
        "p95",
        "bytes",
        "hits",
    )
    for header in headers:
        table.add_column(header, justify="right")
    for each in found.schedules:
        c = each.comparison
        table.add_row(
            each.scenario, each.label, str(each.n_ops), seconds(c.predicted_s), _range(each), seconds(c.measured_s),
            signed(c.error),
            tenths(c.repeat_spread), _times(each.condition), tenths(c.steps.median), tenths(c.steps.p95),
            _same(c.bytes_equal), _same(c.hits_equal),
        )  # fmt: skip
    console.print(table)


def _print_kinds(console: Console, found: Validation) -> None:
    table = new_table("by kind of op, all schedules")
    for header in ("op", "lane"):
        table.add_column(header)
    for header in ("predicted s", "measured s", "error", "share of error"):
        table.add_column(header, justify="right")
    for kind in found.kinds:
        share = percent(kind.share_of_error)
        table.add_row(
            kind.kind, kind.lane, number(kind.predicted_s), number(kind.measured_s), signed(kind.error), share
        )
    console.print(table)


def _range(each: Validated) -> str:
    """The range of a prediction, marked where what was measured lies outside."""
    return seconds_range(each.range_s) + ("" if each.covered is not False else " !")


def _times(condition: float | None) -> str:
    return "–" if condition is None else f"× {condition:.2f}"


def _same(equal: bool) -> str:
    return "same" if equal else "DIFFER"
