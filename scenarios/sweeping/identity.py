"""The hash of a scenario by what its names stand for, so that equal questions are known as such anywhere."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from scenarios.routing_presets import RoutingPreset
from scenarios.schema import Scenario, StrategySpec, TraceSpec, WorkloadSpec
from sim.errors import InputError
from sim.machine import Machine
from sim.model import MoEModel
from sim.strategies.registry import knobs_of

_DIGITS = 32
_SAYS_NOTHING: dict[str, Any] = {  # of a machine: names and sources, which change no time
    **dict.fromkeys(("name", "origin", "description", "fingerprint", "sources"), True),
    **{part: {"__all__": {"source"}} for part in ("links", "kernels", "rooflines", "stacks")},
}


def digest(data: Any) -> str:
    """128 bits of SHA-256, in hexadecimal, of anything JSON can say; the order of keys is no matter."""
    return _hash(json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False))


def scenario_hash(spec: Scenario, model: MoEModel, machine: Machine, routing: str) -> str:
    """Hash of a scenario's contents, titles and labels apart; `routing` is the key of its routing.

    Models and machines count by their numbers, strategies by all their knobs.
    """
    return digest(
        {
            "model": model_hash(model),
            "machine": _hash(machine.model_dump_json(exclude=_SAYS_NOTHING)),
            "precision": spec.precision.model_dump(),
            "routing": routing,
            "batch": spec.batch,
            "cache": spec.cache,
            "predictor": spec.predictor and spec.predictor.model_dump(),
            "seed": spec.seed,
            "strategies": [_strategy(each, spec.stack or next(iter(machine.stacks))) for each in spec.strategies],
        }
    )


@lru_cache(maxsize=64)
def model_hash(model: MoEModel) -> str:
    """Hash of a model's shapes."""
    return digest({field: value for field, value in model.to_dict().items() if field not in ("name", "source")})


def synthetic_key(workload: WorkloadSpec, model: MoEModel, seed: int, preset: RoutingPreset) -> str:
    """What synthetic routing is drawn from: the model, a style, lengths and a seed."""
    stated = workload.model_dump(exclude={"like"})
    n = workload.sequences or workload.batch
    return digest(stated | {"model": model_hash(model), "sequences": n, "style": asdict(preset.style), "seed": seed})


def recorded_key(spec: TraceSpec, path: Path) -> str:
    """A recording by its bytes, and how it is divided; raises InputError if it cannot be read."""
    try:
        status = path.stat()
        return digest([_file_hash(path, status.st_mtime_ns, status.st_size), spec.calibrate_on])
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path, remedy="check the path") from error


@lru_cache(maxsize=64)
def _file_hash(path: Path, mtime_ns: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:_DIGITS]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _strategy(spec: StrategySpec, stack: str) -> dict[str, Any]:
    stated = {"cache": spec.cache, "predictor": spec.predictor and spec.predictor.model_dump()}
    return stated | {"name": spec.name, "stack": spec.stack or stack, "knobs": _defaults(spec.name) | spec.knobs}


@lru_cache(maxsize=64)
def _defaults(strategy: str) -> dict[str, Any]:
    try:
        return {knob: default for knob, (_, default) in knobs_of(strategy).items()}
    except InputError:  # there is none of this name, which is for others to say
        return {}
