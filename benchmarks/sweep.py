"""Print what the bundled sweep costs: a point, by tokens and by points; with `--whole`, all of it, by the command."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import psutil

from scenarios.sweeping.evaluate import rows
from scenarios.sweeping.load import Sweep, load_sweep
from scenarios.sweeping.points import Chunk, Grid, chunks
from scenarios.sweeping.shared import Shared
from scenarios.vary import changed

TOKENS = (64, 128, 256, 512)
CHUNKS = (2, 4, 8, 16)
POINT_TARGET_MS, WHOLE_TARGET_S, MEMORY_TARGET_GB = 5.0, 300.0, 1.5


def with_output(sweep: Sweep, tokens: int) -> Sweep:
    """The same with so many decode tokens."""
    scenario = changed(sweep.ground.scenario, {"workload.output": tokens + 1})
    return replace(sweep, ground=replace(sweep.ground, scenario=scenario))


def cpu_s(sweep: Sweep, shared: Shared, work: list[Chunk]) -> float:
    """Processor seconds of evaluating chunks."""
    begin = time.process_time()
    for chunk in work:
        for point, choices in zip(chunk.points, chunk.choices, strict=True):
            for row in rows(sweep.ground, shared, point, choices):
                assert row["status"] == "done", row["reason"]
    return time.process_time() - begin


def by_tokens(sweep: Sweep, work: list[Chunk]) -> None:
    """Milliseconds of a point whose plan is there, the median of many, each the best of three tries; and of a plan."""
    print(f"{'decode tokens':>16}{'ms a point':>14}{'µs a token':>14}{'ms a plan':>14}   target {POINT_TARGET_MS:g} ms")
    for tokens in TOKENS:
        longer, shared = with_output(sweep, tokens), Shared()
        cpu_s(longer, shared, [_head(work[0])])  # routing and guesses
        plan_s = cpu_s(longer, shared, [_head(work[1])])
        tries = [[cpu_s(longer, shared, [point]) for point in work[1].singles()] for _ in range(3)]
        point_s = statistics.median(map(min, zip(*tries, strict=True)))
        print(f"{tokens:16}{1e3 * point_s:14.2f}{1e6 * point_s / tokens:14.1f}{1e3 * (plan_s - point_s):14.1f}")


def by_points(sweep: Sweep, work: list[Chunk]) -> None:
    """Processor seconds of more and more points, plans and routing included."""
    print(f"{'points':>16}{'CPU s':>14}{'ms a point':>14}")
    for n in CHUNKS:
        spent, points = cpu_s(sweep, Shared(), work[:n]), sum(len(chunk.points) for chunk in work[:n])
        print(f"{points:16}{spent:14.2f}{1e3 * spent / points:14.2f}")


def whole() -> None:
    """The command in its processes: wall clock, processor time, and the memory of all of them together."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "scenarios", "sweep", "mixtral", "--jobs", "2", "--out", folder]
        begin, before = time.monotonic(), os.times()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            most = 0
            while process.poll() is None:
                most = max(most, _memory_bytes(process.pid))
                time.sleep(0.2)
            said = process.stdout.read() if process.stdout else ""
        spent = os.times().children_user + os.times().children_system - before.children_user - before.children_system
        size = (Path(folder) / "sweep.parquet").stat().st_size
    print(said)
    print(f"wall {time.monotonic() - begin:.0f} s (target {WHOLE_TARGET_S:g}), CPU of the command itself {spent:.0f} s")
    print(f"peak memory {most / 1e9:.2f} GB (target {MEMORY_TARGET_GB:g}), table {size / 1e6:.2f} MB")


def _memory_bytes(pid: int) -> int:
    """Resident memory of a process and its children; pages that they share count for each."""
    total = 0
    try:
        tree = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        for process in tree:
            total += process.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total


def _head(chunk: Chunk) -> Chunk:
    return Chunk(chunk.points[:1], chunk.choices[:1])


def main() -> None:
    """All tables."""
    sweep = load_sweep("mixtral")
    work = list(chunks(sweep.axes, Grid(sweep.axes)))
    cpu_s(sweep, Shared(), [_head(work[0])])  # compiles
    by_tokens(sweep, work)
    by_points(sweep, work)
    print(f"load of this machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    if "--whole" in sys.argv:
        whole()


if __name__ == "__main__":
    main()
