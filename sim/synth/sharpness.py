"""How steep a style's gate weights are: what is left to choose once its experts are fitted."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from sim.synth.draw import synthesize
from sim.synth.fit import Goal
from sim.synth.style import Style

STRENGTHS = ("popularity", "task", "context", "token", "layer", "noise")
_LAYERS = 4
_HALVINGS = 40
_STEEPEST = 16.0


def sharpened(style: Style, weights: NDArray[np.float32], goal: Goal) -> Style:
    """The style scaled so that the first of a token's experts has the share of gate weight that it has in `weights`.

    `weights` [token, layer, k] need not add up to 1 nor be in order; missing ones are 0. The experts do not change.
    """
    total = weights.sum(axis=2)
    wanted = float((weights.max(axis=2)[total > 0] / total[total > 0]).mean())
    sequences = [(0, tokens) for tokens in goal.sequences]
    drawn = synthesize(min(_LAYERS, goal.n_layers), goal.n_experts, goal.top_k, sequences, seed=0, style=style).weights
    assert drawn is not None  # synthetic traces always have weights
    logits = np.log(np.maximum(drawn, np.finfo(np.float32).tiny))

    def first_share(scale: float) -> float:
        shares = np.exp(scale * (logits - logits.max(axis=2, keepdims=True)))
        return float((1 / shares.sum(axis=2)).mean())

    low, high = 0.0, _STEEPEST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if first_share(middle) < wanted else (low, middle)
    return scaled(style, (low + high) / 2)


def scaled(style: Style, factor: float) -> Style:
    """The style with all strengths multiplied: the same experts, other gate weights."""
    return Style.from_dict(asdict(style) | {name: getattr(style, name) * factor for name in STRENGTHS})
