from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim.errors import InputError
from sim.synth import Style, synthesize
from sim.synth.fit import TOLERANCES, Goal, fit, goal_of, shortened, start_style, synthetic_means
from sim.synth.sharpness import scaled, sharpened
from tests.traces import random_trace

TRUTH = Style(popularity=0.5, context=1.0, context_persistence=0.98, token=1.4, token_persistence=0.3, layer=0.5)
SEQUENCES = [200, 150]


def goal(style: Style = TRUTH, seed: int = 9) -> Goal:
    return goal_of(synthesize(3, 16, 2, [(0, tokens) for tokens in SEQUENCES], seed=seed, style=style))


def test_a_fit_recovers_the_statistics_of_a_known_style() -> None:
    target = replace(shape := goal(), targets=synthetic_means(shape, TRUTH, seeds=(0, 1)))
    costs: list[float] = []
    found = fit(target, start_style(), n_layers=3, rounds=6, progress=lambda _, cost: costs.append(cost))
    assert min(costs) < costs[0] / 10
    measured = synthetic_means(target, found, seeds=(0, 1))
    for name, tolerance in TOLERANCES.items():
        assert measured[name] == pytest.approx(target.targets[name], abs=tolerance), name


def test_a_fit_leaves_tasks_and_directions_alone_and_is_deterministic() -> None:
    start = start_style(tasks=2, task_tokens=70, directions=3)
    one, other = (fit(goal(), start, n_layers=2, seeds=(0,), rounds=1) for _ in range(2))
    assert one == other
    assert (one.tasks, one.task_tokens, one.directions, one.noise) == (2, 70, 3, 1)


def test_without_tasks_nothing_is_fitted_to_them() -> None:
    assert fit(goal(), start_style(), n_layers=2, seeds=(0,), rounds=2).task == 0


def test_the_goal_has_the_shape_and_the_defined_statistics_of_a_trace() -> None:
    target = goal_of(random_trace([(0, 20), (0, 10)], n_layers=2, n_experts=6, top_k=2))
    assert (target.n_layers, target.n_experts, target.top_k, list(target.sequences)) == (2, 6, 2, [20, 10])
    assert "overlap_32" not in target.targets


def test_a_trace_without_two_tokens_in_a_row_is_refused() -> None:
    with pytest.raises(InputError, match=r"tokens: is too short to be fitted \(got 3\); record more"):
        goal_of(random_trace([(0, 1)] * 3))


def test_shortened_keeps_the_first_tokens_in_their_sequences() -> None:
    trace = random_trace([(0, 4), (0, 3), (0, 5)])
    short = shortened(trace, 6)
    assert short.offsets.tolist() == [0, 4, 6]
    assert np.array_equal(short.ids, trace.ids[:6])
    assert shortened(trace, 100).offsets.tolist() == [0, 4, 7, 12]


def test_sharpened_gives_the_first_expert_the_share_that_was_recorded() -> None:
    recorded = np.zeros((5, 2, 4), np.float32)
    recorded[:, :, 2], recorded[:, :, 0] = 0.3, 0.2
    style = sharpened(TRUTH, recorded, goal())
    drawn = synthesize(3, 16, 2, [(0, 400)], seed=3, style=style).weights
    assert drawn is not None
    assert drawn[..., 0].mean() == pytest.approx(0.6, abs=0.02)
    assert style.context / TRUTH.context == pytest.approx(style.noise / TRUTH.noise)


def test_scaling_multiplies_strengths_only() -> None:
    style = scaled(TRUTH, 2)
    assert (style.popularity, style.noise, style.token) == (1.0, 2.0, 2.8)
    assert (style.context_persistence, style.layer_drift) == (TRUTH.context_persistence, TRUTH.layer_drift)
