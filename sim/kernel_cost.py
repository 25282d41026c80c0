"""Seconds of kernels: read from tables of their exact shape, else from the machine's roofline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim import origins
from sim.curve import read_points
from sim.errors import InputError
from sim.machine import Kernel, Machine, Roofline, Stack
from sim.model import MoEModel
from sim.precision import Precisions
from sim.schedule import Kind
from sim.shapes import Shape, kernel_precision, kernel_shape
from sim.work import work

COMPUTE = (Kind.ATTENTION, Kind.GATE, Kind.EXPERT, Kind.COMBINE, Kind.HEAD)
Floats = NDArray[np.float64]


class OpSize(NamedTuple):
    """What the cost of an op depends on besides its kind and lane; see `sim.work.work` for the meanings."""

    layer: int
    expert: int = -1
    tokens: int = 0
    context: int = 0
    sequences: int = 1
    size_bytes: int = 0

    @property
    def prefill(self) -> bool:
        """Whether it runs on several tokens of a sequence."""
        return self.tokens > self.sequences


class Sizes(NamedTuple):
    """The sizes of ops that differ in nothing else, and what they read and compute; see `sim.work`."""

    tokens: NDArray[np.int64]
    context: NDArray[np.int64]
    sequences: NDArray[np.int64]
    size_bytes: NDArray[np.int64]
    read_bytes: Floats
    flop: Floats


class KernelPrices(NamedTuple):
    """Seconds at full speed, the relative spread (IQR / median) of them, and the measurement that each rests on."""

    seconds: Floats
    spread: Floats
    origin: Sequence[str]


def measures(machine: Machine, model: MoEModel, precisions: Precisions) -> bool:
    """Whether a machine file has a table for the shape of a model's routed experts, or none for any shape."""
    shape, precision = kernel_shape(model, "expert", model.moe_layers[0], 0), precisions.experts
    experts = {(kernel.shape, kernel.precision) for kernel in machine.kernels if kernel.kind == "expert"}
    return not experts or (shape, precision) in experts


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

    def cost(self, device: str, kind: Kind, like: OpSize, sizes: Sizes) -> KernelPrices:
        """What kernels cost that are `like` one in layer, expert and phase; InputError if the machine cannot tell."""
        name = kind.name.lower()
        precision = kernel_precision(self._precisions, name, like.expert)
        phase = "prefill" if like.prefill else "decode"
        shape = kernel_shape(self._model, name, like.layer, like.expert)
        tables = self._tables.get((device, name, phase, shape, precision))
        if tables:
            seconds, spread = self._measured(tables, name, phase, sizes)
            origin = [origins.of_kernel(device, name)] * len(seconds)
        else:
            line = self._roofline(device, name, precision)
            fixed_s = line.fixed_s / self.share(like.expert) if kind == Kind.EXPERT else line.fixed_s
            bytes_s, flop_s = sizes.read_bytes / line.bytes_per_s, sizes.flop / line.flop_per_s
            seconds = fixed_s + np.maximum(bytes_s, flop_s)
            spread = _line_spread(line, fixed_s, bytes_s, flop_s)
            by_flop = flop_s > np.maximum(bytes_s, fixed_s)
            of_bytes, of_flop = (origins.of_roofline(self._machine, device, name, bound) for bound in origins.BOUNDS)
            origin = [of_flop if flop else of_bytes for flop in by_flop.tolist()]
            if self._machine.origin == "measured":
                self._warnings[f"{device} {name} of shape {shape} in {precision} was not measured: roofline"] = None
        return KernelPrices(seconds * self._slowdown(device, name, precision), spread, origin)

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

    def _measured(self, tables: list[Kernel], kind: str, phase: str, sizes: Sizes) -> tuple[Floats, Floats]:
        """Seconds and their spread, off the table; a prefill of several prompts is priced as one after the other."""
        repeats = sizes.sequences if kind == "attention" and phase == "prefill" else np.ones_like(sizes.sequences)
        x = sizes.tokens / repeats
        tables = sorted(tables, key=lambda kernel: kernel.context or 0.0)
        contexts = np.array([kernel.context or 0.0 for kernel in tables])
        seconds, spread = np.array([read_points(kernel.curve, x) for kernel in tables]).swapaxes(0, 1)
        measured = min(kernel.curve.x[-1] for kernel in tables)
        if x.max() > measured:
            self._warnings[f"{tables[0].device} {kind} above {measured:g} tokens is extrapolated"] = None
        if sizes.context.max() > contexts[-1] > 0:
            self._warnings[f"{tables[0].device} {kind} beyond a context of {contexts[-1]:g} is extrapolated"] = None
        nearest = np.abs(contexts[:, None] - sizes.context).argmin(axis=0)
        return repeats * _along(contexts, seconds, sizes.context), spread[nearest, np.arange(len(x))]

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


def sizes_of(model: MoEModel, precisions: Precisions, kind: Kind, ops: Sequence[OpSize]) -> Sizes:
    """Sizes of ops of one kind as columns; what is no compute neither reads nor computes.

    Raises ScheduleError for a compute op that cannot exist.
    """
    needs = [(0.0, 0.0)] * len(ops)
    if kind in COMPUTE:
        name = kind.name.lower()
        needs = [
            work(model, name, op.layer, expert=op.expert, tokens=op.tokens, context=op.context,
                 sequences=op.sequences, precisions=precisions)
            for op in ops
        ]  # fmt: skip
    tokens, context, sequences, size_bytes = np.array([op[2:] for op in ops], np.int64).T
    read_bytes, flop = np.array(needs, np.float64).T
    return Sizes(tokens, context, sequences, size_bytes, read_bytes, flop)


def _line_spread(line: Roofline, fixed_s: float, bytes_s: Floats, flop_s: Floats) -> Floats:
    """The spread of a roofline's seconds: its parts err together, each by its own spread."""
    flop, fixed = (line.spread if each is None else each for each in (line.flop_spread, line.fixed_spread))
    paced_s, paced = np.maximum(bytes_s, flop_s), np.where(bytes_s >= flop_s, line.spread, flop)
    total_s = fixed_s + paced_s
    return np.divide(fixed_s * fixed + paced_s * paced, total_s, out=np.zeros_like(total_s), where=total_s > 0)


def _along(contexts: Floats, seconds: Floats, context: NDArray[np.int64]) -> Floats:
    """Interpolate `seconds` [context, op] over context, as tokens are: flat below the first, the last slope above."""
    if len(contexts) == 1:
        return np.asarray(seconds[0])
    i = np.clip(np.searchsorted(contexts, context), 1, len(contexts) - 1)
    each = np.arange(len(context))
    low, high = seconds[i - 1, each], seconds[i, each]
    slope = (high - low) / (contexts[i] - contexts[i - 1])
    slope = np.where(context > contexts[-1], np.maximum(0.0, slope), slope)
    return np.where(context <= contexts[0], seconds[0], low + slope * (context - contexts[i - 1]))
