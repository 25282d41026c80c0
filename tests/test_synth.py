from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim.errors import InputError
from sim.synth import Style, synthesize
from sim.synth import router as synth_router
from sim.trace import RoutingTrace
from sim.trace_repeats import next_layer_recall
from sim.trace_stats import entropy, stats

PLAIN = Style(context=0.8)


def cut(trace: RoutingTrace, start: int, end: int) -> RoutingTrace:
    """Some tokens as a sequence."""
    lengths = np.array([0, end - start], dtype=np.int64)
    return RoutingTrace(trace.ids[start:end], lengths, np.zeros(1, np.int64), trace.n_experts)


def means(style: Style, shape: tuple[int, int, int] = (6, 16, 2)) -> dict[str, float]:
    return stats(synthesize(*shape, [(0, 250)] * 2, seed=5, style=style)).means()


@pytest.mark.parametrize(
    ("change", "statistic", "grows"),
    [
        ({"popularity": 1.0}, "entropy", False),
        ({"popularity": 1.0}, "top_share", True),
        ({"context": 2.5}, "overlap_8", True),
        ({"context": 2.5, "context_persistence": 0.2}, "overlap_8", False),
        ({"token_persistence": 0.9}, "reuse", True),
        ({"token": 4.0}, "next_recall", True),
        ({"layer": 4.0}, "next_recall", False),
        ({"layer": 4.0, "layer_persistence": 0.9}, "reuse", True),
        ({"noise": 4.0}, "reuse", False),
        ({"tasks": 2, "task": 3.0}, "overlap_32", True),
    ],
    ids=str,
)
def test_each_parameter_does_what_it_says(change: dict[str, float], statistic: str, grows: bool) -> None:
    before, after = means(PLAIN)[statistic], means(replace(PLAIN, **change))[statistic]
    assert (after > before + 0.02) if grows else (after < before - 0.02)


def test_fewer_directions_make_the_next_layer_easier_to_tell() -> None:
    style = Style(token=3.0, context=0, noise=0.3)
    few, many = (means(replace(style, directions=n), (4, 32, 4))["next_recall"] for n in (2, 12))
    assert few > many + 0.1


def test_popularity_is_the_same_in_every_layer_unless_it_spreads() -> None:
    def entropies(spread: float) -> Any:
        style = Style(popularity=1.5, popularity_spread=spread, context=0, token=0)
        return stats(synthesize(6, 16, 2, [(0, 3000)], seed=1, style=style)).entropy

    assert np.ptp(entropies(0)) < 0.02
    assert np.ptp(entropies(0.8)) > 0.2


def test_skew_gives_the_most_popular_expert_more_at_equal_entropy() -> None:
    def highest(popularity: float, skew: float) -> tuple[float, float]:
        style = Style(popularity=popularity, popularity_skew=skew, context=0, token=0)
        counts = synthesize(3, 64, 1, [(0, 4000)], seed=5, style=style).popularity()
        return float(entropy(counts).mean()), float(counts.max(axis=1).mean() / 4000)

    flat_entropy, flat = highest(1.0, 0)
    skewed_entropy, skewed = highest(0.52, 0.7)
    assert skewed_entropy == pytest.approx(flat_entropy, abs=0.04)
    assert skewed > 1.2 * flat


def test_drift_makes_far_layers_tell_less_about_each_other() -> None:
    def gain(drift: float) -> float:
        style = Style(popularity=0, context=0, token=5, layer_drift=drift)
        ids = synthesize(6, 16, 2, [(0, 4000)], seed=2, style=style).ids
        first, last = ((ids[:, layer, :, None] == np.arange(16)).any(axis=1) for layer in (0, 5))
        informed, blind = next_layer_recall(first, last, 2)
        return informed - blind

    assert gain(0) > 0.2
    assert gain(1) == pytest.approx(0, abs=0.05)


def test_one_task_favours_lfu_and_several_tasks_favour_lru() -> None:
    def lead_of_lru(tasks: int) -> float:
        style = Style(popularity=0.6, task=1.0, tasks=tasks, task_tokens=150, context=0, token=0)
        measured = stats(synthesize(4, 32, 4, [(0, 1500)], seed=3, style=style)).means()
        return measured["lru_50"] - measured["lfu_50"]

    assert lead_of_lru(1) < -0.02
    assert lead_of_lru(4) > 0.02


def test_the_halves_of_a_trace_have_the_same_statistics() -> None:
    style = Style(popularity=0.5, task=0.8, tasks=3, task_tokens=100, context=0.8, context_persistence=0.97)
    trace = synthesize(6, 32, 4, [(0, 1000)] * 8, seed=4, style=style)
    first, second = (stats(cut(trace, half * 4000, (half + 1) * 4000)).means() for half in (0, 1))
    assert first == pytest.approx(second, abs=0.015)


def test_the_experts_keep_their_popularity_from_one_chunk_to_the_next() -> None:
    trace = synthesize(2, 32, 4, [(0, 9000)], seed=4, style=Style(popularity=0.6))
    early, late = (cut(trace, start, start + 4000).popularity().ravel() for start in (0, 5000))
    assert np.corrcoef(early, late)[0, 1] > 0.98


def test_weights_are_a_softmax_best_first() -> None:
    trace = synthesize(3, 8, 3, [(2, 50)], seed=0)
    assert trace.weights is not None
    assert trace.weights.dtype == np.float32
    assert trace.weights.sum(axis=2) == pytest.approx(1, abs=1e-6)
    assert (np.diff(trace.weights, axis=2) <= 0).all()
    trace.validate()


def test_stronger_logits_give_steeper_weights_and_hardly_other_experts() -> None:
    plain = Style(popularity=0.3, tasks=2, task=0.5)
    strengths = ("popularity", "task", "context", "token", "layer", "noise")
    steep = replace(plain, **{name: 3 * getattr(plain, name) for name in strengths})
    one, other = (synthesize(3, 16, 4, [(0, 500)], seed=1, style=style) for style in (plain, steep))
    assert (one.ids == other.ids).mean() > 0.995
    assert one.weights is not None
    assert other.weights is not None
    assert other.weights[..., 0].mean() > one.weights[..., 0].mean() + 0.1


def test_sequences_and_provenance_are_as_asked() -> None:
    style = Style(token=0.5, layer=0.3)
    trace = synthesize(2, 300, 4, [(3, 2), (0, 0), (0, 4)], seed=9, style=style)
    assert (trace.offsets.tolist(), trace.prompt_tokens.tolist()) == ([0, 5, 5, 9], [3, 0, 0])
    assert trace.ids.shape == (9, 2, 4)
    assert trace.ids.dtype == np.uint16
    assert trace.provenance["synthetic"]["seed"] == 9
    assert Style.from_dict(trace.provenance["synthetic"]["style"]) == style
    assert synthesize(2, 8, 2, [], seed=0).n_tokens == 0
    assert synthesize(1, 1, 1, [(0, 3)], seed=0).ids.tolist() == [[[0]]] * 3


def test_equal_arguments_give_equal_traces(tmp_path: Path) -> None:
    def make(seed: int = 7) -> RoutingTrace:
        return synthesize(3, 8, 2, [(5, 60), (0, 40)], seed=seed, style=Style(tasks=3, task=1, layer=0.5))

    assert make().equal(make())
    assert not make(8).equal(make())
    make().save(tmp_path / "a")
    assert RoutingTrace.load(tmp_path / "a").equal(make())


def test_the_order_in_which_products_are_summed_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever multiplies the matrices, on however many threads: the sums are exact."""
    style = Style(tasks=5, task=1.3, layer=0.7, popularity=0.9)
    expected = synthesize(2, 64, 6, [(0, 700)], seed=7, style=style)
    plan: Any = synth_router.Router.__init__

    def shuffled(self: Any, *args: Any) -> None:
        plan(self, *args)
        self._gates = self._gates.astype(np.float64)

    monkeypatch.setattr(synth_router.Router, "__init__", shuffled)
    assert synthesize(2, 64, 6, [(0, 700)], seed=7, style=style).equal(expected)


@pytest.mark.parametrize("name", list(asdict(Style())))
@pytest.mark.parametrize("value", [-2.1, float("nan"), float("inf"), "1", True])
def test_a_style_out_of_range_is_refused_in_one_line(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"^style\.{name}: must be from (-2|0|1) to [\de+]+ \(got .*\)$"):
        replace(PLAIN, **{name: value})


def test_half_a_task_and_unknown_fields_are_refused() -> None:
    with pytest.raises(InputError, match=r"style\.tasks: must be a whole number \(got 1.5\)"):
        Style(tasks=1.5)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"style\.popularty: there is no such field; use popularity, "):
        Style.from_dict({"popularty": 1})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 8, 2, []), "n_layers: must be at least 1"),
        ((1, 2**15, 2, []), "n_experts: must be at most 16384"),
        ((1, 8, 9, []), r"top_k: must be from 1 to the number of experts, 8 \(got 9\)"),
        ((1, 8, 0, []), "top_k: must be from 1"),
        ((1, 8, 2, [(1, 1), (1, -1)]), "sequence 1: tokens must not be negative"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        synthesize(*arguments, seed=0)
