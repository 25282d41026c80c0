"""Print the rates of planning, pricing, simulating and summing up a Mixtral decode, and add them to the history."""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.engines import Part, first_use_seconds, parts
from benchmarks.history import HISTORY, append


def import_seconds() -> float:
    """The best of five imports of the command line, each in a fresh interpreter."""
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import scenarios.cli"], check=True)
        taken.append(time.perf_counter() - start)
    return min(taken)


def _row(part: Part, ratio: float | None) -> str:
    speeds = f"{part.rate.high:14,.0f}{part.rate.per_s:14,.0f}{part.ms:9.2f}"
    compared = f"{ratio:8,.6g} to {part.beside:25}" if ratio is not None else " " * 37
    target = f"{part.target:13,.0f}" if part.target else ""
    return f"{part.name:34}{speeds}{compared}{target}" + (f"{part.target_ratio:7,.0f}" if part.target_ratio else "")


def main() -> None:
    """Print one line a part: its best and median rate, the ratio of bests to the part beside it, and the targets."""
    print(f"{'':34}{'best ops/s':>14}{'median':>14}{'ms':>9}{'ratio':>8} to {'':25}{'target ops/s':>13}{'ratio':>7}")
    found: dict[str, Part] = {}
    ratios: dict[str, float] = {}
    for part in parts():
        found[part.name] = part
        if part.beside is not None:
            ratios[part.name] = float(f"{part.rate.high / found[part.beside].rate.high:.3g}")
        print(_row(part, ratios.get(part.name)))
    (importing, compiling), (_, loading) = first_use_seconds()
    command = import_seconds()
    print(
        f"first use of the fast engine: {compiling:.1f} s of CPU to compile (target 3 s), {loading:.1f} s once cached"
    )
    print(f"import of Numba: {importing:.1f} s of CPU; import of the command: {command:.2f} s (target 0.70 s)")
    append({
        "rates": {name: round(part.rate.high) for name, part in found.items()},
        "ratios": {name: float(f"{ratio:.3g}") for name, ratio in ratios.items()},
        "first_use_s": round(compiling, 2),
        "from_cache_s": round(loading, 2),
        "import_s": round(command, 2),
    })  # fmt: skip
    print(f"added to {HISTORY}")


if __name__ == "__main__":
    main()
