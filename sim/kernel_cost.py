"""Seconds of one kernel: read from a table of its exact shape, else from the machine's roofline."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim import origins
from sim.curve import read_curve
from sim.errors import InputError
from sim.machine import Kernel, Machine, Roofline, Stack
from sim.model import MoEModel
from sim.precision import Precisions
from sim.schedule import Kind
from sim.shapes import Shape, kernel_precision, kernel_shape
from sim.work import work


class OpSize(NamedTuple):
    """What the cost of an op depends on besides its kind and lane; see `sim.work.work` for the meanings."""

    layer: int
    expert: int = -1
    tokens: int = 0
    context: int = 0
    sequences: int = 1
    size_bytes: int = 0


class KernelPrice(NamedTuple):
    """Seconds at full speed, the bytes read meanwhile, the relative spread (IQR / median) of the seconds.

    `origin` is the measurement that they rest on.
    """

    seconds: float
    read_bytes: float
    spread: float
    origin: str


class KernelCost:
    """Prices the compute ops of one model on one machine."""

    def __init__(
        self, machine: Machine, model: MoEModel, precisions: Precisions, stack: Stack, warnings: dict[str, None]
    ) -> None:
        self._machine, self._model, self._precisions, self._stack = machine, model, precisions, stack
        self._warnings = warnings
        self._tables: dict[tuple[str, str, str, Shape, str], list[Kernel]] = {}
        for kernel in machine.kernels:
            for phase in kernel.phases:
                key = (kernel.device, kernel.kind, phase, kernel.shape, kernel.precision)
                self._tables.setdefault(key, []).append(kernel)

    def cost(self, device: str, kind: Kind, size: OpSize) -> KernelPrice:
        """What one kernel costs; raises InputError if the machine cannot tell."""
        name = kind.name.lower()
        need = work(
            self._model, name, size.layer, expert=size.expert, tokens=size.tokens, context=size.context,
            sequences=size.sequences, precisions=self._precisions,
        )  # fmt: skip
        precision = kernel_precision(self._precisions, name, size.expert)
        phase = "prefill" if size.tokens > size.sequences else "decode"
        shape = kernel_shape(self._model, name, size.layer, size.expert)
        tables = self._tables.get((device, name, phase, shape, precision))
        origin = origins.of_kernel(device, name)
        if tables:
            seconds, spread = self._measured(tables, name, phase, size)
        else:
            line = self._roofline(device, name, precision)
            fixed_s = line.fixed_s / self.share(size.expert) if kind == Kind.EXPERT else line.fixed_s
            bytes_s, flop_s = need.read_bytes / line.bytes_per_s, need.flop / line.flop_per_s
            seconds, spread = fixed_s + max(bytes_s, flop_s), _line_spread(line, fixed_s, bytes_s, flop_s)
            bound: origins.Bound = "flop" if flop_s > max(bytes_s, fixed_s) else "bytes"
            origin = origins.of_roofline(self._machine, device, name, bound)
            if self._machine.origin == "measured":
                self._warnings[f"{device} {name} of shape {shape} in {precision} was not measured: roofline"] = None
        return KernelPrice(seconds * self._slowdown(device, name, precision), need.read_bytes, spread, origin)

    def _slowdown(self, device: str, kind: str, precision: str) -> float:
        for key in (f"{device}.{kind}.{precision}", f"{device}.{kind}"):
            if key in self._stack.slowdown:
                self._warn_of_slowdown(device, precision, self._stack.slowdown[key])
                return self._stack.slowdown[key]
        return 1.0

    def _warn_of_slowdown(self, device: str, precision: str, factor: float) -> None:
        if factor > 1:
            where = f"{precision} has no fused {device.upper()} kernels on this stack"
            self._warnings[f"{where} and takes {factor:.1f} times as long; is it the right `stack`?"] = None

    def share(self, expert: int) -> int:
        """Experts that one launch serves: a token's k, if the stack groups a layer's routed experts."""
        return self._model.top_k if self._stack.grouped_experts and expert >= 0 else 1

    def _measured(self, tables: list[Kernel], kind: str, phase: str, size: OpSize) -> tuple[float, float]:
        """Seconds and their spread, off the table; a prefill of several prompts is priced as one after the other."""
        repeats = size.sequences if kind == "attention" and phase == "prefill" else 1
        x = size.tokens / repeats
        readings = [(kernel.context or 0.0, read_curve(kernel.curve, x)) for kernel in tables]
        measured = min(kernel.curve.x[-1] for kernel in tables)
        if x > measured:
            self._warnings[f"{tables[0].device} {kind} above {measured:g} tokens is extrapolated"] = None
        readings.sort(key=lambda pair: pair[0])
        contexts = [context for context, _ in readings]
        seconds = [reading.seconds for _, reading in readings]
        if size.context > contexts[-1] > 0:
            self._warnings[f"{tables[0].device} {kind} beyond a context of {contexts[-1]:g} is extrapolated"] = None
        nearest = min(readings, key=lambda pair: abs(pair[0] - size.context))[1]
        return repeats * _along(contexts, seconds, size.context), nearest.spread

    def _roofline(self, device: str, kind: str, precision: str) -> Roofline:
        """The line of this precision, else of all, else of another one with a warning."""
        lines = {line.precision: line for line in self._machine.rooflines if (line.device, line.kind) == (device, kind)}
        for name in (precision, None):
            if name in lines:
                return lines[name]
        if lines:
            other = next(iter(lines.values()))
            self._warnings[
                f"{device} {kind} was not measured in {precision}: bytes and FLOP at the rates of {other.precision}, "
                "dequantisation not counted"
            ] = None
            return other
        raise InputError(
            f"machine {self._machine.name} cannot time a kernel",
            field="rooflines",
            value=f"{device} {kind} {precision}",
            remedy="calibrate this kind of kernel, or choose a machine file that has it",
        )


def _line_spread(line: Roofline, fixed_s: float, bytes_s: float, flop_s: float) -> float:
    """The spread of a roofline's seconds: its parts err together, each by its own spread."""
    flop, fixed = (line.spread if each is None else each for each in (line.flop_spread, line.fixed_spread))
    paced_s, paced = (bytes_s, line.spread) if bytes_s >= flop_s else (flop_s, flop)
    total_s = fixed_s + paced_s
    return (fixed_s * fixed + paced_s * paced) / total_s if total_s else 0.0


def _along(contexts: list[float], seconds: list[float], context: float) -> float:
    """Interpolate over context, as `read_curve` does over tokens: flat below the first, the last slope above."""
    if len(contexts) == 1 or context <= contexts[0]:
        return seconds[0]
    i = min(int(np.searchsorted(contexts, context)), len(contexts) - 1)
    slope = (seconds[i] - seconds[i - 1]) / (contexts[i] - contexts[i - 1])
    if context > contexts[-1]:
        slope = max(0.0, slope)
    return seconds[i - 1] + slope * (context - contexts[i - 1])
