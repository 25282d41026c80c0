from __future__ import annotations

import json
import math
from dataclasses import fields, replace

import numpy as np
import pytest
from cachetools import LRUCache

from sim.trace import RoutingTrace
from sim.trace_repeats import next_layer_recall
from sim.trace_stats import TraceStats, entropy, stats, top_share
from tests.traces import random_trace


def sticky_trace(seed: int = 1) -> RoutingTrace:
    """Two sequences in which a token often repeats the experts of the one before, some of them missing."""
    trace = random_trace([(3, 80), (0, 60)], n_layers=3, n_experts=10, top_k=3, seed=seed)
    rng = np.random.default_rng(seed)
    for token in range(1, trace.n_tokens):
        for layer in range(3):
            if rng.random() < 0.5:
                trace.ids[token, layer] = trace.ids[token - 1, layer]
    trace.ids[4:6, 1] = trace.missing
    return trace


def experts(trace: RoutingTrace, token: int, layer: int) -> set[int]:
    return {int(expert) for expert in trace.ids[token, layer]} - {trace.missing}


def same_sequence(trace: RoutingTrace, first: int, second: int) -> bool:
    return not any(first < boundary <= second for boundary in trace.offsets[1:-1])


@pytest.mark.parametrize(("name", "lag"), [("reuse", 1), ("overlap_8", 8), ("overlap_32", 32)])
def test_overlap_is_the_share_of_experts_used_again_in_the_same_sequence(name: str, lag: int) -> None:
    trace = sticky_trace()
    for layer, measured in enumerate(getattr(stats(trace), name)):
        again = total = 0
        for token in range(trace.n_tokens - lag):
            later = experts(trace, token + lag, layer)
            if same_sequence(trace, token, token + lag) and later:
                again += len(experts(trace, token, layer) & later)
                total += len(experts(trace, token, layer))
        assert measured == pytest.approx(again / total)


def test_reuse_by_popularity_is_what_shuffled_tokens_reuse() -> None:
    trace = sticky_trace()
    layer = [experts(trace, token, 0) for token in range(trace.n_tokens)]
    pairs = [len(a & b) / 3 for a in layer for b in layer]
    assert stats(trace).reuse_by_popularity[0] == pytest.approx(np.mean(pairs))


def test_entropy_is_one_for_uniform_and_zero_for_a_single_expert() -> None:
    counts = np.array([[5, 5, 5, 5], [9, 0, 0, 0], [3, 1, 0, 0], [0, 0, 0, 0]])
    expected = [1, 0, -(0.75 * math.log(0.75) + 0.25 * math.log(0.25)) / math.log(4), math.nan]
    assert entropy(counts) == pytest.approx(expected, nan_ok=True)


def test_entropy_and_top_share_are_those_of_counted_selections() -> None:
    trace = sticky_trace()
    measured = stats(trace)
    for layer in range(3):
        chosen = [expert for token in range(trace.n_tokens) for expert in experts(trace, token, layer)]
        shares = sorted(chosen.count(expert) / len(chosen) for expert in range(10))
        assert measured.entropy[layer] == pytest.approx(-sum(p * math.log(p, 10) for p in shares if p))
        assert measured.top_share[layer] == pytest.approx(shares[-1])


def test_top_share_takes_the_most_popular_tenth_rounded_up() -> None:
    counts = np.array([[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]])
    assert top_share(counts) == pytest.approx([21 / 66])
    assert top_share(counts, 0.5) == pytest.approx([51 / 66])


def test_lru_rate_equals_that_of_cachetools() -> None:
    trace = random_trace([(0, 300)], n_experts=10, top_k=1)
    for percent, capacity in ((25, 2), (50, 5), (75, 8)):
        cache: LRUCache[int, bool] = LRUCache(capacity)
        hits = 0
        for expert in trace.ids[:, 1, 0].tolist():
            hits += expert in cache
            cache[expert] = cache.get(expert, True)
        assert getattr(stats(trace), f"lru_{percent}")[1] == hits / 300


def hits_of_a_plain_cache(policy: str, batches: list[list[int]], capacity: int) -> int:
    """A list of what is cached, searched anew for each victim: the least recent, or the least used of all time."""
    cached: list[int] = []  # oldest use first
    uses: dict[int, int] = {}
    hits = 0
    for batch in batches:
        for expert in sorted(batch):
            if expert in cached:
                hits += 1
                cached.remove(expert)
            elif len(cached) == capacity:
                others = [other for other in cached if other not in batch]
                if not others:
                    continue
                cached.remove(others[0] if policy == "lru" else min(others, key=lambda other: uses[other]))
            uses[expert] = uses.get(expert, 0) + 1
            cached.append(expert)
    return hits


@pytest.mark.parametrize("policy", ["lru", "lfu"])
@pytest.mark.parametrize(("percent", "capacity"), [(25, 2), (50, 5), (75, 8)])
def test_hit_rates_equal_those_of_a_plain_cache(policy: str, percent: int, capacity: int) -> None:
    trace = sticky_trace()
    for layer, measured in enumerate(getattr(stats(trace), f"{policy}_{percent}")):
        batches = [list(experts(trace, token, layer)) for token in range(trace.n_tokens)]
        hits = hits_of_a_plain_cache(policy, batches, capacity)
        assert measured == pytest.approx(hits / sum(map(len, batches)))


def test_the_routers_order_does_not_matter() -> None:
    trace = sticky_trace()
    reversed_order = replace(trace, ids=trace.ids[:, :, ::-1])
    assert stats(trace).to_dict() == stats(reversed_order).to_dict()


def test_a_layer_that_copies_the_one_before_is_predicted_and_a_random_one_is_not() -> None:
    trace = random_trace([(0, 4000)], n_layers=3, n_experts=12, top_k=3)
    trace.ids[:, 1] = (trace.ids[:, 0] + 5) % 12
    measured = stats(trace)
    assert measured.next_recall[0] > 0.99
    assert measured.next_recall[1] == pytest.approx(3 / 12, abs=0.02)
    assert measured.next_recall_by_popularity[:2] == pytest.approx([3 / 12, 3 / 12], abs=0.02)
    assert np.isnan(measured.next_recall[2])


def test_recall_learns_from_even_runs_and_judges_odd_ones() -> None:
    """What only odd runs show cannot be learned: there the next layer answers differently."""
    now = np.zeros((640, 4), dtype=bool)
    now[np.arange(640), np.arange(640) % 2] = True
    answer = np.where(np.arange(640) // 32 % 2 == 0, 2, 3)
    following = np.zeros((640, 4), dtype=bool)
    following[np.arange(640), answer] = True
    assert next_layer_recall(now, following, 1) == (0, 0)
    assert next_layer_recall(now, following, 4) == (1, 1)


def test_recall_matches_naive_bayes_computed_one_token_at_a_time() -> None:
    trace = sticky_trace()
    both = [t for t in range(trace.n_tokens) if experts(trace, t, 0) and experts(trace, t, 1)]
    learned = [t for i, t in enumerate(both) if i // 32 % 2 == 0]
    judged = [t for i, t in enumerate(both) if i // 32 % 2 == 1]
    found = 0
    for token in judged:
        score = []
        for candidate in range(10):
            has = [t for t in learned if candidate in experts(trace, t, 1)]
            pairs = {e: sum(e in experts(trace, t, 0) for t in has) + 0.1 for e in range(10)}
            log = math.log(len(has) + 0.1)
            score.append(log + sum(math.log(pairs[e] / sum(pairs.values())) for e in experts(trace, token, 0)))
        best = sorted(range(10), key=lambda e: -score[e])[:3]
        found += len(experts(trace, token, 1) & set(best))
    assert stats(trace).next_recall[0] == pytest.approx(found / len(judged) / 3)


def test_means_are_over_the_layers_that_have_a_value() -> None:
    measured = stats(sticky_trace())
    assert measured.means()["next_recall"] == pytest.approx(measured.next_recall[:2].mean())
    assert measured.means()["entropy"] == pytest.approx(measured.entropy.mean())


@pytest.mark.parametrize("tokens", [0, 1, 2, 33])
def test_short_and_empty_traces_have_no_number_rather_than_a_wrong_one(tokens: int) -> None:
    as_json = stats(random_trace([(0, tokens)])).to_dict()
    json.dumps(as_json, allow_nan=False)
    assert list(as_json["mean"]) == [field.name for field in fields(TraceStats)]
    defined = {name for name, value in as_json["mean"].items() if value is not None}
    assert ("entropy" in defined, "reuse" in defined, "next_recall" in defined) == (tokens > 0, tokens > 1, tokens > 32)
    assert "overlap_32" not in defined or tokens == 33


def test_sequences_do_not_overlap_with_each_other() -> None:
    trace = random_trace([(0, 1)] * 20)
    assert np.isnan(stats(trace).reuse).all()
