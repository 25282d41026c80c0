"""A reader of traces in Chrome's JSON format by its rules alone, with another's eyes than what writes them."""

from __future__ import annotations

import gzip
import json
import sqlite3
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

_KNOWN = {"M", "X", "C", "s", "f"}


@dataclass(frozen=True)
class Slice:
    """A complete event, in whole nanoseconds."""

    track: int
    start: int
    end: int
    category: str
    name: str
    args: dict[str, Any]


@dataclass
class Trace:
    """What a viewer would make of a file; `flows` are (category, from, to), counters (ns, value) in order of time."""

    process: str = ""
    threads: dict[int, str] = field(default_factory=dict)
    slices: list[Slice] = field(default_factory=list)
    flows: list[tuple[str, Slice, Slice]] = field(default_factory=list)
    counters: dict[str, list[tuple[int, float]]] = field(default_factory=dict)

    def on(self, thread: str) -> list[Slice]:
        return [each for each in self.slices if self.threads[each.track] == thread]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask it in SQL: slice(thread, ts, dur, category, name) in nanoseconds."""
        with sqlite3.connect(":memory:") as database:
            database.execute("create table slice (thread text, ts int, dur int, category text, name text)")
            rows = ((self.threads[s.track], s.start, s.end - s.start, s.category, s.name) for s in self.slices)
            database.executemany("insert into slice values (?, ?, ?, ?, ?)", rows)
            found = database.execute(sql).fetchall()
        database.close()
        return found


def read_trace(path: Path) -> Trace:
    """Read a trace as viewers do: by time, then by place in the file; fails on whatever they would drop or mend."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        events = json.load(file, parse_float=Decimal)["traceEvents"]
    trace, stacks, begun = Trace(), {}, {}
    assert {event["ph"] for event in events} <= _KNOWN
    for event in sorted(events, key=lambda event: event.get("ts", -1)):
        _take(event, trace, stacks.setdefault(event.get("tid"), []), begun)
    assert not begun, "flows that end nowhere"
    return trace


def _take(event: dict[str, Any], trace: Trace, stack: list[Slice], begun: dict[tuple[str, int], Slice]) -> None:
    """One event; `stack` holds the slices of its track that have not ended."""
    if event["ph"] == "M":
        if event["name"] == "thread_name":
            trace.threads[event["tid"]] = event["args"]["name"]
        elif event["name"] == "process_name":
            trace.process = event["args"]["name"]
        return
    now = _ns(event["ts"])
    if event["ph"] == "C":
        ((series, value),) = event["args"].items()
        points = trace.counters.setdefault(f"{event['name']} {series}", [])
        assert not points or points[-1][0] < now, "counters go on in time"
        points.append((now, float(value)))
        return
    while stack and stack[-1].end <= now:
        stack.pop()
    if event["ph"] == "X":
        new = Slice(event["tid"], now, now + _ns(event["dur"]), event["cat"], event["name"], event["args"])
        assert not stack or new.end <= stack[-1].end, f"{new} crosses {stack[-1]}"
        stack.append(new)
        trace.slices.append(new)
        return
    assert stack, f"{event} binds to no slice"
    key = event["cat"], event["id"]
    if event["ph"] == "s":
        assert key not in begun
        begun[key] = stack[-1]
    else:
        assert event["bp"] == "e", "else it binds to the next slice"
        trace.flows.append((event["cat"], begun.pop(key), stack[-1]))


def _ns(microseconds: Decimal | int) -> int:
    ns = microseconds * 1000
    assert ns == int(ns) >= 0
    return int(ns)
