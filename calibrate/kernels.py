"""Kernel seconds by tokens and shape, on buffers that take turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import psutil
import torch

from calibrate.bench import Bench
from calibrate.journal import Samples
from calibrate.points import LANE_OF, Series, series_of
from calibrate.units import Unit
from hwexec.backend import Task
from hwexec.compute import Weights, check_model, compute_task, head_values, span_of
from hwexec.workspace import Workspace, computed_in, dtype_of, random_tensor
from sim.errors import DoesNotFit
from sim.model import MoEModel
from sim.precision import Precisions
from sim.schedule import Kind

_SETS = 3  # buffers that take turns; the caches are emptied in between besides
_PASSES = 4  # over all points, so that no point is measured in a bad moment of the machine only
_TOO_LONG = 4  # times its share of the budget: a series ends where the next point would take this
_MEMORY_SHARE = 0.25


@dataclass(frozen=True)
class Place:
    """Where the kernels of a device run: the memory of that side, and how much of it is free.

    Buffers take turns until `flushed_bytes` have passed since the last use, or are `_SETS` where something else
    empties the caches.
    """

    device: torch.device
    free_bytes: Callable[[], int]
    flushed_bytes: int = 0


def host_places() -> dict[str, Place]:
    """On the host backend both devices are cores, and their memory is one."""
    place = Place(torch.device("cpu"), lambda: int(psutil.virtual_memory().available))
    return {"gpu": place, "cpu": place}


class Rig:
    """Weights and caches to run one model's kernels on, allocated when a kernel first needs them.

    With `dequantise`, experts in a precision without a kernel are measured on weights dequantised beforehand.
    """

    def __init__(
        self, model: MoEModel, precisions: Precisions, places: Mapping[str, Place], *, dequantise: bool = False
    ) -> None:
        check_model(model)
        self.model, self.precisions, self._places = model, precisions, places
        experts = computed_in(precisions.experts) if dequantise else precisions.experts
        self._dtypes = {name: dtype_of(name) for name in (precisions.rest, precisions.kv)}
        self._dtypes[precisions.experts] = dtype_of(experts)
        gpu = places["gpu"]
        self._check_memory("an expert", model.expert_params, precisions.experts, gpu)
        self._check_memory("an expert", model.expert_params, precisions.experts, places["cpu"])
        self._check_memory("the head", head_values(model), precisions.rest, gpu)
        self._check_memory("a block", max(map(model.layer_params, range(model.n_layers))), precisions.rest, gpu)
        self._spaces: dict[tuple[str, torch.device, int], Workspace] = {}
        self._pools: dict[tuple[str, torch.device], list[torch.Tensor]] = {}

    def tasks(self, series: Series, tokens: int, lane: int = 0) -> list[Task]:
        """The kernel at one size, once for each set of buffers; tasks of different lanes may run at the same time."""
        model, size, device = self.model, series.size(tokens), self._places[series.device].device
        key = (series.precision, device, lane)
        space = self._spaces.setdefault(key, Workspace(self._dtypes[series.precision], device))
        return [compute_task(model, series.kind, size, weights, space) for weights in self._weights(series, tokens)]

    def _weights(self, series: Series, tokens: int) -> list[Weights]:
        model, rest, place = self.model, self.precisions.rest, self._places[series.device]
        if series.kind == Kind.COMBINE:
            return [Weights()]
        if series.kind == Kind.HEAD:
            return [Weights(head=part) for part in self._pool("head", head_values(model), rest, place)]
        if series.expert >= 0:
            experts = self._pool("expert", model.expert_params, self.precisions.experts, place)
            return [Weights(expert=part) for part in experts]
        blocks = self._pool(f"block {series.layer}", model.layer_params(series.layer), rest, place)
        if series.kind != Kind.ATTENTION:
            return [Weights(block=part) for part in blocks]
        entries = span_of(model, series.size(tokens)).entries * model.kv_values(series.layer)
        caches = self._pool("cache", entries, self.precisions.kv, place)
        return [Weights(block=block, cache=cache) for block, cache in zip(blocks, caches, strict=True)]

    def _pool(self, name: str, values: int, precision: str, place: Place) -> list[torch.Tensor]:
        pool = self._pools.get((name, place.device))
        if pool is None or len(pool[0]) < values:
            self._check_memory(name, values, precision, place)
            dtype = self._dtypes[precision]
            sets = max(_SETS, place.flushed_bytes // (values * dtype.itemsize) + 1)
            pool = [random_tensor(values, dtype, place.device, seed) for seed in range(sets)]
            self._pools[name, place.device] = pool
        return pool

    def _check_memory(self, name: str, values: int, precision: str, place: Place) -> None:
        free, each = place.free_bytes(), values * self._dtypes[precision].itemsize
        if _SETS * each > _MEMORY_SHARE * free:
            raise DoesNotFit(
                f"{_SETS} buffers of {each / 1e9:.3g} GB for {name} of {self.model.name} "
                f"do not fit a quarter of the {free / 1e9:.3g} GB free",
                field="model", remedy="calibrate a smaller model or a lower precision",
            )  # fmt: skip


@dataclass(frozen=True)
class KernelPlan:
    """Every series of every model with the rig that runs it."""

    rigs: tuple[tuple[Series, Rig], ...]

    @property
    def series(self) -> list[Series]:
        """The series, each once."""
        return [series for series, _ in self.rigs]

    def units(self, bench: Bench, budget_s: float) -> list[Unit]:
        """One unit a point and pass."""
        points = [(series, rig, tokens) for series, rig in self.rigs for tokens in series.tokens]
        share_s = budget_s / max(1, len(points) * _PASSES)
        return [
            Unit(
                f"{series.point(tokens)} pass {turn}", share_s, partial(_measure, bench, rig, series, tokens), turn > 0
            )
            for turn in range(_PASSES)
            for series, rig, tokens in points
        ]


def kernel_plan(
    models: Sequence[tuple[MoEModel, Precisions]],
    places: Mapping[str, Place] | None = None,
    *,
    dequantise: bool = False,
) -> KernelPlan:
    """Plan the kernels of some models; a shape that two of them share is measured once."""
    found: dict[str, tuple[Series, Rig]] = {}
    for model, precisions in models:
        rig = Rig(model, precisions, places or host_places(), dequantise=dequantise)
        for series in series_of(model, precisions):
            found.setdefault(series.name, (series, rig))
    return KernelPlan(tuple(found.values()))


def _measure(bench: Bench, rig: Rig, series: Series, tokens: int, budget_s: float, known: Samples) -> Samples:
    if _forecast(series, tokens, known) > _TOO_LONG * budget_s:
        return {}
    return bench.time(series.point(tokens), LANE_OF[series.device], rig.tasks(series, tokens), budget_s)


def _forecast(series: Series, tokens: int, known: Samples) -> float:
    """Seconds that a point will take at least, judged by the one before it; small ones always count as quick."""
    before = series.tokens[: series.tokens.index(tokens)]
    if len(before) < 3:
        return 0.0
    last = known.get(series.point(before[-1]))
    return float(np.median(last)) * 3 if last else np.inf
