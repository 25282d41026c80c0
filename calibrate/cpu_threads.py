"""How the CPU's experts scale: with their threads, and beside each other."""

from __future__ import annotations

from functools import partial
from statistics import median

from calibrate.cuda_bench import CudaBench
from calibrate.journal import Samples
from calibrate.kernels import KernelPlan
from calibrate.units import Unit
from hwexec.cores import Cores
from sim.schedule import Kind

TOKENS = (1, 8)
HALF, HALVES = "half the CPU's cores, alone", "half the CPU's cores, beside the other half"
_WORTH_SAYING = 0.9


def thread_counts(cores: Cores) -> list[int]:
    """Powers of two up to the cores of the CPU's lane, and all of them."""
    return sorted({n for n in (1, 2, 4, 8, 16, 32, 64) if n < len(cores)} | {len(cores)})


def thread_point(tokens: int, threads: int) -> str:
    """Name of the samples of an expert at so many tokens on so many threads."""
    return f"cpu expert n{tokens} on {threads} threads"


class CpuScaling:
    """Measures with the first model's routed expert."""

    def __init__(self, kernels: KernelPlan, bench: CudaBench) -> None:
        self._bench, self._cores = bench, bench.cores["cpu"]
        self._series, self._rig = next(
            (series, rig) for series, rig in kernels.rigs if series.device == "cpu" and series.kind == Kind.EXPERT
        )

    def units(self, budget_s: float) -> list[Unit]:
        """One unit a number of tokens and threads, then two experts side by side."""
        points = [(tokens, threads) for tokens in TOKENS for threads in thread_counts(self._cores)]
        share_s = budget_s / (len(points) + 2)
        units = [Unit(thread_point(*point), share_s, partial(self._measure, *point)) for point in points]
        if len(self._cores) > 1:
            units.append(Unit("halves of the CPU's cores", 2 * share_s, self._halves))
        return units

    def report(self, samples: Samples) -> dict[str, str]:
        """Milliseconds by threads, whether fewer would be faster, and what two experts at a time cost each other."""
        lines = []
        for tokens in TOKENS:
            found = {
                n: median(samples[thread_point(tokens, n)])
                for n in thread_counts(self._cores)
                if samples.get(thread_point(tokens, n))
            }
            if not found:
                continue
            best = min(found, key=found.__getitem__)
            advice = f" ({best} would be faster)" if found[best] < _WORTH_SAYING * found[max(found)] else ""
            lines.append(f"n{tokens}: " + ", ".join(f"{n}: {1e3 * s:.3g} ms" for n, s in found.items()) + advice)
        report = {"cpu threads": "; ".join(lines)}
        if samples.get(HALF) and samples.get(HALVES):
            report["cpu beside cpu"] = (
                f"× {median(samples[HALVES]) / median(samples[HALF]):.2f}, on half the cores each"
            )
        return report

    def _measure(self, tokens: int, threads: int, budget_s: float, _: Samples) -> Samples:
        tasks = self._rig.tasks(self._series, tokens)
        return {thread_point(tokens, threads): self._bench.on_cores(self._cores[:threads], tasks, budget_s)}

    def _halves(self, budget_s: float, _: Samples) -> Samples:
        middle = len(self._cores) // 2
        tasks, others = (self._rig.tasks(self._series, 1, lane) for lane in (0, 1))
        near, far = self._cores[:middle], self._cores[middle : 2 * middle]
        alone = self._bench.on_cores(near, tasks[::2], budget_s / 2)
        other = self._bench.start_on_cores(far, others[1::2], budget_s / 2)
        together = self._bench.on_cores(near, tasks[::2], budget_s / 2)
        return {HALF: alone, HALVES: together + other.result()}
