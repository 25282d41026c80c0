"""A timeline as a trace in Chrome's JSON format, for ui.perfetto.dev, chrome://tracing and the trace processor."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import IO

from scenarios.export.counters import counters_of
from scenarios.export.events import counter_lines, path_lines, step_lines, track_lines
from scenarios.export.on_path import on_path
from scenarios.export.op_events import op_lines
from scenarios.export.tracks import slices_of
from sim.cost import Costs
from sim.critical_path import critical_path
from sim.files import replacing
from sim.timeline import Timeline

_COMPRESSION = 4  # half the time of gzip's default, for a tenth more bytes
_LINES_AT_ONCE = 1 << 14


def write_perfetto(
    path: str | Path, timeline: Timeline, costs: Costs | None = None, *, title: str | None = None
) -> None:
    """Write a trace, atomically, and compressed if the name ends in `.gz`.

    Lanes are threads of one process called `title` (by default, the model's name and whether it was simulated), ops are
    slices and dependencies flows between them; the steps and the critical path have a thread each, and there are
    counters of links and expert slots. Moments are whole nanoseconds from the start of the run. `costs` are those of
    `sim.critical_path.critical_path`. Raises InputError if the file cannot be written.
    """
    model = timeline.schedule.model.name
    facts = {"source": timeline.source, "model": model, "ops": len(timeline.schedule), "made by": "moesim"}
    with replacing(path) as draft, _opened(draft, compress=str(path).endswith(".gz")) as file:
        file.write(f'{{"displayTimeUnit":"ns","otherData":{json.dumps(facts)},"traceEvents":[\n')
        lines = _lines(timeline, costs, title or f"{model}, {timeline.source}")
        file.write(next(lines))
        while some := ",\n".join(islice(lines, _LINES_AT_ONCE)):
            file.write(f",\n{some}")
        file.write("\n]}\n")


def _lines(timeline: Timeline, costs: Costs | None, title: str) -> Iterator[str]:
    """One event a line."""
    critical, slices = critical_path(timeline, costs), slices_of(timeline)
    return chain(
        track_lines(timeline.schedule, slices, title),
        step_lines(timeline),
        path_lines(critical),
        op_lines(timeline, slices, on_path(critical)),
        *(counter_lines(counter) for counter in counters_of(timeline)),
    )


@contextmanager
def _opened(path: Path, *, compress: bool) -> Iterator[IO[str]]:
    """A text file to write; equal texts give equal bytes."""
    with path.open("wb") as raw:
        if not compress:
            with io.TextIOWrapper(raw, encoding="utf-8", newline="\n") as file:
                yield file
            return
        with (
            gzip.GzipFile("", "wb", _COMPRESSION, raw, mtime=0) as packed,
            io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as file,
        ):
            yield file
