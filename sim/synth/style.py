"""Style: how strongly popularity, tasks, context and tokens decide which experts a synthetic router picks."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from sim.errors import InputError

_SHARES = ("context_persistence", "token_persistence", "layer_persistence", "layer_drift")
_HIGHEST = dict.fromkeys(_SHARES, 1.0) | {
    "tasks": 64,
    "directions": 16,
    "task_tokens": 1e9,
    "popularity_skew": 2,
    "popularity_spread": 2,
    "task_spread": 2,
}
_COUNTS = ("tasks", "directions")
_LOWEST = dict.fromkeys(_COUNTS, 1) | {"popularity_skew": -2}
_STRENGTH_LIMIT = 100.0


@dataclass(frozen=True, slots=True)
class Style:
    """Standard deviations of what adds up to a router logit, and how slowly each part changes.

    `popularity` is a constant of each expert; `popularity_skew` (-2 to 2) makes few experts very popular, or few hardly
    used, and `popularity_spread` is the standard deviation over layers of the logarithm of its strength. `task` is a
    constant of each expert and task: `tasks` tasks take turns, from sequence to sequence and every `task_tokens` tokens
    within one (0: not there), and `task_spread` makes the first ones stronger, the last ones weaker. `context` follows
    a slow latent state of the sequence and `token` a fast one, both shared by all layers; `layer` follows a state of
    each layer's own. Each state has so many `directions`: the fewer, the more a layer tells about the next. Their
    `…_persistence` (0 to 1) is the correlation with the token before, and all start afresh with a sequence.
    `layer_drift` is how far the token's state turns from the first layer to the last (0: not at all, 1: until
    unrelated). `noise` is new in every token, layer and expert. Scaling all six strengths alike sharpens or flattens
    gate weights and changes, but for rounding, nothing else.

    The defaults have no task; presets fitted to models are in `scenarios/routings`. Raises InputError for a value out
    of range.
    """

    popularity: float = 0.2
    popularity_skew: float = 0.0
    popularity_spread: float = 0.0
    task: float = 0.0
    task_spread: float = 0.0
    tasks: int = 1
    task_tokens: float = 0.0
    context: float = 0.4
    context_persistence: float = 0.95
    token: float = 1.1
    token_persistence: float = 0.45
    layer: float = 0.0
    layer_persistence: float = 0.0
    layer_drift: float = 0.1
    noise: float = 1.0
    directions: int = 4

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            lowest, highest = _LOWEST.get(name, 0), _HIGHEST.get(name, _STRENGTH_LIMIT)
            if not _is_number(value) or not lowest <= value <= highest:
                raise InputError(f"must be from {lowest} to {highest:g}", field=f"style.{name}", value=value)
            if name in _COUNTS and value != int(value):
                raise InputError("must be a whole number", field=f"style.{name}", value=value)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Read what `asdict` gives; fields left out keep their defaults. Raises InputError for unknown ones."""
        known = [field.name for field in fields(cls)]
        for name in data:
            if name not in known:
                raise InputError("there is no such field", field=f"style.{name}", remedy=f"use {', '.join(known)}")
        return cls(**data)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
