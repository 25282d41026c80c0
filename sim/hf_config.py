"""A model from the config.json of a Hugging Face checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sim import hf_families as families
from sim.errors import InputError
from sim.hf_reader import ConfigReader
from sim.model import MoEModel

_REMEDY = "give the model's config.json"
_FAMILIES: dict[str, Callable[[ConfigReader], dict[str, Any]]] = {
    "mixtral": families.mixtral,
    "phimoe": families.phimoe,
    "olmoe": families.olmoe,
    "qwen2_moe": families.qwen2_moe,
    "qwen3_moe": families.qwen3_moe,
    "deepseek_v2": families.deepseek,
    "deepseek_v3": families.deepseek,
    "gpt_oss": families.gpt_oss,
    "switch_transformers": families.switch_transformers,
}


def from_hf_config(config: Mapping[str, Any], name: str) -> MoEModel:
    """Return the model that a Hugging Face config describes, called `name`.

    Shapes must be given; flags that are constant within an architecture default as they do in `transformers`.
    InputError for an unknown `model_type`, a missing or ill-typed key, or shapes that contradict each other.
    """
    architecture = config.get("model_type")
    if not isinstance(architecture, str) or architecture not in _FAMILIES:
        known = f"known: {', '.join(_FAMILIES)}"
        raise InputError(f"{name}: unknown architecture", field="model_type", value=architecture, remedy=known)
    shapes = _FAMILIES[architecture](ConfigReader(config))
    return MoEModel(name=name, source=f"config.json ({architecture})", **shapes)


def read_hf_config(path: str | Path) -> MoEModel:
    """Return the model described by the config.json at `path`, called after its folder; else InputError."""
    path = Path(path)
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read ({error})", file=path) from error
    except json.JSONDecodeError as error:
        raise InputError(f"is not JSON ({error})", file=path, remedy=_REMEDY) from error
    if not isinstance(config, dict):
        raise InputError("is not a model config", file=path, remedy=_REMEDY)
    name = path.resolve().parent.name if path.name == "config.json" else path.stem
    try:
        return from_hf_config(config, name or path.stem)
    except InputError as error:
        raise InputError(str(error), file=path) from error
