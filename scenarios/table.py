"""Results as a table for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from scenarios.results import RunResult, ScenarioResult, ranges_made
from sim.intervals import Range
from sim.readable import number, percent, seconds

_WIDE = 1000  # where there is no terminal: nothing wraps
_LANES = {"GPU": "gpu0", "H2D": "gpu0.h2d", "D2H": "gpu0.d2h", "CPU": "cpu", "host": "host"}
Cell = Callable[[RunResult], str]
_LIMIT = "of\nlimit"  # not known of streamed runs
_TTFT, _DECODE = "TTFT", "decode\ntok/s"
_COLUMNS: dict[str, Cell] = {
    "cached": lambda run: str(run.cached),
    _TTFT: lambda run: seconds(run.summary.ttft_s),
    "TPOT\np50": lambda run: seconds(run.summary.tpot_p50_s),
    "TPOT\np95": lambda run: seconds(run.summary.tpot_p95_s),
    _DECODE: lambda run: number(run.summary.decode_tokens_per_s),
    "all\ntok/s": lambda run: number(run.summary.tokens_per_s),
    _LIMIT: lambda run: percent(run.of_limit),
    "hits": lambda run: percent(run.summary.hit_rate),
    "GB per\ntoken": lambda run: number(run.loaded_gb_per_token),
    f"busy %\n{'/'.join(_LANES)}": lambda run: _busy(run),
    "GPU\nGB": lambda run: number(run.footprint.total_bytes / 1e9),
}
_LOSSY: dict[str, Cell] = {  # shown as soon as one strategy does not follow the router
    "other\nexperts": lambda run: percent(run.summary.fidelity.changed if run.summary.fidelity else 0.0),
    "gate\nlost": lambda run: percent(run.summary.fidelity.mass_lost if run.summary.fidelity else 0.0),
}
_PREDICTING: dict[str, Cell] = {  # shown as soon as one strategy asks a predictor
    "predictor\nrecall": lambda run: percent(run.summary.prediction.recall if run.summary.prediction else None),
}
_RANGES: dict[str, tuple[str, Cell]] = {  # by the column that they stand beside
    _TTFT: ("TTFT\nrange", lambda run: seconds_range(run.ranges.get("ttft_s"))),
    _DECODE: ("decode\nrange", lambda run: number_range(run.ranges.get("decode_tokens_per_s"))),
}
_BUSY = next(title for title in _COLUMNS if title.startswith("busy"))
_NOT_BRIEF = {_BUSY, "GPU\nGB", "GB per\ntoken", "TPOT\np95", "all\ntok/s", "TTFT\nrange"}
_EXPENDABLE = (  # the first to go where a terminal is narrow
    *(_BUSY, "GPU\nGB", "GB per\ntoken", _LIMIT, "cached", "TPOT\np95"),
    *(*_PREDICTING, "hits", "all\ntok/s", "TPOT\np50"),
    *(title for title, _ in _RANGES.values()),
)


def print_results(result: ScenarioResult) -> None:
    """Print one row a strategy, in as many columns as the terminal has room for, and what there is to beware of."""
    console = terminal()
    columns = fitting(result, console)
    console.print(_table(result, columns))
    if left_out := [title.replace("\n", " ") for title in columns_of(result.runs) if title not in columns]:
        console.print(f"left out for want of width: {', '.join(left_out)}", style="dim", soft_wrap=True)
    for note in ranges_note(result.runs):
        console.print(note, style="dim", soft_wrap=True)
    for note in warnings_of(result.runs):
        console.print(Text(note, style="yellow"), soft_wrap=True)


def columns_of(runs: Sequence[RunResult], *, brief: bool = False) -> dict[str, Cell]:
    """What is told of some runs side by side: the titles of columns, in lines, and how to read their cells."""
    columns = _with_ranges(_COLUMNS) if any(run.ranges for run in runs) else _COLUMNS
    columns = columns | (_PREDICTING if any(run.summary.prediction for run in runs) else {})
    columns |= _LOSSY if any(run.summary.fidelity for run in runs) else {}
    if not any(run.limit for run in runs):
        columns = {title: cell for title, cell in columns.items() if title != _LIMIT}
    if not brief:
        return columns
    last = {title: columns[title] for title in columns if title == _LIMIT}  # beside its bar
    return {title: cell for title, cell in columns.items() if title not in {*_NOT_BRIEF, *last}} | last


def fitting(result: ScenarioResult, console: Console) -> dict[str, Cell]:
    """The columns that a console has room for."""
    columns, roomy = columns_of(result.runs), console.options.update(max_width=_WIDE)
    for title in (name for name in _EXPENDABLE if name in columns):
        if Measurement.get(console, roomy, _table(result, columns)).maximum <= console.width:
            break
        columns = {name: cell for name, cell in columns.items() if name != title}
    return columns


def title_of(result: ScenarioResult) -> str:
    """The title, and model and machine if it does not say so."""
    return " · ".join(dict.fromkeys((result.title, f"{result.model.name} on {result.machine.name}")))


def label_of(run: RunResult) -> str:
    """In brackets if the run is hypothetical."""
    return run.label if run.fits else f"({run.label})"


def ranges_note(runs: Sequence[RunResult]) -> list[str]:
    """What the ranges hold, if there are any."""
    made = ranges_made(runs)
    return [] if made is None else [f"ranges hold {made}"]


def _with_ranges(columns: dict[str, Cell]) -> dict[str, Cell]:
    """The columns, with those of ranges beside their figures."""
    pairs = [[(title, cell), *([_RANGES[title]] if title in _RANGES else [])] for title, cell in columns.items()]
    return dict(pair for each in pairs for pair in each)


def _table(result: ScenarioResult, columns: dict[str, Cell]) -> Table:
    table = new_table(title_of(result))
    table.add_column("strategy", no_wrap=True)
    for title in columns:
        table.add_column(title, justify="right", no_wrap=True)
    for run in result.runs:
        table.add_row(label_of(run), *(cell(run) for cell in columns.values()), style=None if run.fits else "dim")
    return table


def new_table(title: str) -> Table:
    """The look of all our tables."""
    return Table(title=Text(title), title_justify="left", box=None, header_style="bold", pad_edge=False)


def terminal(*, stderr: bool = False) -> Console:
    """A console that does not wrap tables when the output goes to a file or a pipe."""
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=_WIDE)


def seconds_range(found: Range | None) -> str:
    """Both ends in the unit of the upper one."""
    if found is None:
        return "–"
    high, unit = seconds(found.high).rsplit(" ", 1)
    return f"{number(found.low * (1e3 if unit == 'ms' else 1))}–{high} {unit}"


def number_range(found: Range | None) -> str:
    """Both ends, three digits each."""
    return "–" if found is None else f"{number(found.low)}–{number(found.high)}"


def _busy(run: RunResult) -> str:
    return "/".join(f"{100 * run.summary.utilisation.get(lane, 0):.0f}" for lane in _LANES.values())


def warnings_of(runs: Sequence[RunResult]) -> list[str]:
    """Each warning, after the strategies that it is about."""
    found: dict[str, list[str]] = {}
    for run in runs:
        for warning in run.warnings:
            found.setdefault(warning, []).append(run.label)
    about = {w: ["all strategies"] if len(labels) == len(runs) > 1 else labels for w, labels in found.items()}
    return [f"! {', '.join(labels)}: {warning}" for warning, labels in about.items()]
