"""Compiled replays against the reference, and the bounds that no policy may pass."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.cache import ONLINE
from sim.errors import InputError
from sim.replay import COMPILED, STATIC_ORACLE, Replayer, missing_compiler
from sim.replay.accesses import Accesses, trace_accesses
from tests.traces import random_trace

needs_numba = pytest.mark.skipif(missing_compiler() is not None, reason="needs Numba")
batch_lists = st.lists(st.lists(st.integers(0, 5), max_size=4, unique=True), max_size=60)
N_LAYERS, N_EXPERTS = 3, 6


def as_accesses(batches: list[list[int]], seed: int | None = None) -> Accesses:
    """Layers take turns; a seed draws gate weights."""
    keys = [turn % N_LAYERS * N_EXPERTS + expert for turn, batch in enumerate(batches) for expert in batch]
    weights = None if seed is None else np.random.default_rng(seed).random(len(keys)).astype(np.float32)
    starts = np.cumsum([0, *map(len, batches)])
    return Accesses(np.array(keys, np.int32), starts, N_LAYERS, N_EXPERTS, weights)


def skewed(seed: int, n_tokens: int = 400) -> Accesses:
    """Popular experts and a context that moves on, long enough for every structure to be rebuilt."""
    rng = np.random.default_rng(seed)
    context = np.repeat(rng.gumbel(size=(n_tokens // 20, N_EXPERTS)), 20, axis=0)
    scores = rng.gumbel(size=(n_tokens, N_EXPERTS)) + context + np.arange(N_EXPERTS) / 3
    return as_accesses(np.argsort(-scores, axis=1)[:, :2].tolist(), seed)


@needs_numba
@pytest.mark.parametrize("policy", COMPILED)
@settings(max_examples=60, deadline=None)
@given(batches=batch_lists, capacity=st.integers(0, 19))
def test_compiled_replays_equal_the_reference(policy: str, batches: list[list[int]], capacity: int) -> None:
    accesses = as_accesses(batches)
    assert Replayer(accesses).run(policy, capacity) == Replayer(accesses, compiled=False).run(policy, capacity)


@needs_numba
@pytest.mark.parametrize("policy", COMPILED)
def test_compiled_replays_equal_the_reference_on_long_traces(policy: str) -> None:
    for seed in range(2):
        accesses = skewed(seed, 1200)
        compiled, reference = Replayer(accesses), Replayer(accesses, compiled=False)
        for capacity in (2, 5, 9, 14):
            assert compiled.run(policy, capacity) == reference.run(policy, capacity)


@needs_numba
@pytest.mark.parametrize("policy", COMPILED)
def test_compiled_replays_equal_the_reference_where_prompts_outgrow_the_cache(policy: str) -> None:
    trace = random_trace([(40, 30), (3, 20), (60, 5)], n_layers=3, n_experts=12, top_k=3, seed=2)
    for batch, layer in ((1, None), (2, None), (3, 1)):
        accesses = trace_accesses(trace, batch, layer)
        compiled, reference = Replayer(accesses), Replayer(accesses, compiled=False)
        for capacity in (1, 4, 11, 30):
            assert compiled.run(policy, capacity) == reference.run(policy, capacity)


def test_the_common_policies_and_the_optimum_are_compiled() -> None:
    assert {"lru", "lfu", "fifo", "belady"} <= set(COMPILED)


@pytest.mark.parametrize("policy", ONLINE)
@settings(max_examples=25, deadline=None)
@given(batches=batch_lists, capacity=st.integers(4, 18), seed=st.integers(0, 99))
def test_no_policy_beats_belady_where_batches_fit(
    policy: str, batches: list[list[int]], capacity: int, seed: int
) -> None:
    replayer = Replayer(as_accesses(batches, seed))
    assert replayer.run(policy, capacity).hits <= replayer.run("belady", capacity).hits


@settings(max_examples=50, deadline=None)
@given(batches=batch_lists)
def test_a_larger_lru_never_misses_more(batches: list[list[int]]) -> None:
    """Inclusion: what a cache holds, a larger one holds too, if batches fit."""
    replayer = Replayer(as_accesses(batches))
    hits = [replayer.run("lru", capacity).hits for capacity in range(4, 19)]
    assert hits == sorted(hits)


@settings(max_examples=50, deadline=None)
@given(batches=batch_lists)
def test_lru_hits_at_every_capacity_follow_from_stack_distances(batches: list[list[int]]) -> None:
    """Mattson's one pass: a hit at capacity C has fewer than C distinct keys since its last use, by batches."""
    stack: list[int] = []
    distances: list[int] = []
    for turn, batch in enumerate(batches):
        keys = [turn % N_LAYERS * N_EXPERTS + expert for expert in batch]
        distances += [stack.index(key) for key in keys if key in stack]
        stack = keys[::-1] + [key for key in stack if key not in keys]
    replayer = Replayer(as_accesses(batches))
    for capacity in (4, 6, 9, 18):
        assert replayer.run("lru", capacity).hits == sum(distance < capacity for distance in distances)


@settings(max_examples=50, deadline=None)
@given(batches=st.lists(st.lists(st.integers(0, 3), max_size=3, unique=True), max_size=12), capacity=st.integers(0, 4))
def test_the_static_oracle_is_the_best_of_all_fixed_sets(batches: list[list[int]], capacity: int) -> None:
    used = [turn % N_LAYERS * N_EXPERTS + expert for turn, batch in enumerate(batches) for expert in batch]
    firsts = {key: used.index(key) for key in used}
    best = max(
        sum(key in kept and firsts[key] < place for place, key in enumerate(used))
        for kept in combinations(sorted(firsts), min(capacity, len(firsts)))
    )
    counted = Replayer(as_accesses(batches)).run(STATIC_ORACLE, capacity)
    assert (counted.hits, counted.accesses) == (best, len(used))


def test_the_static_oracle_may_beat_what_must_admit() -> None:
    """One place, and two experts in turn: Belady must give it to the newcomer each time."""
    replayer = Replayer(as_accesses([[0], [], [], [1], [], []] * 5))
    assert replayer.run("belady", 1).hits == 0
    assert replayer.run(STATIC_ORACLE, 1).hits == 4


def test_gate_weights_reach_the_policy_that_wants_them() -> None:
    layer_0 = as_accesses([[0], [], [], [1], [], [], [2], [], [], [1]])

    def hits(*weights: float) -> int:
        given = Accesses(layer_0.keys, layer_0.starts, N_LAYERS, N_EXPERTS, np.array(weights, np.float32))
        return Replayer(given).run("mrs", 2).hits

    assert hits(0.1, 0.9, 0.9, 1) == 1, "2 took the place of 0"
    assert hits(1, 0.1, 0.9, 1) == 0, "2 took the place of 1"


def test_capacities_in_bytes_count_each_layer_s_own() -> None:
    accesses = skewed(1)
    sizes = np.array([10, 10, 30])
    small = Replayer(accesses, layer_bytes=sizes).run("lru", 120)
    assert Replayer(accesses, layer_bytes=np.array([10, 10, 10])).run("lru", 120) == Replayer(accesses).run("lru", 12)
    assert small.hits < Replayer(accesses).run("lru", 12).hits
    with pytest.raises(ValueError, match="several sizes"):
        Replayer(accesses, layer_bytes=sizes).run(STATIC_ORACLE, 120)


def test_without_numba_the_results_are_the_same_and_the_user_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    accesses = skewed(2)
    before = {policy: Replayer(accesses).run(policy, 7) for policy in COMPILED}
    monkeypatch.setattr("sim.compiler.find_spec", lambda name: None)
    notice = missing_compiler()
    assert notice is not None
    assert "pip install 'moesim[fast]'" in notice
    assert "\n" not in notice
    monkeypatch.setattr("sim.replay.Replayer._kernel", None)
    assert {policy: Replayer(accesses).run(policy, 7) for policy in COMPILED} == before


@needs_numba
def test_compiled_code_is_kept_on_disk() -> None:
    from sim.replay import kernels as replay_kernels

    Replayer(skewed(0)).run("sieve", 3)
    assert Path(replay_kernels.sieve.stats.cache_path).is_dir()


def test_unknown_policies_are_refused() -> None:
    with pytest.raises(InputError, match="unknown eviction policy"):
        Replayer(skewed(0)).run("mru", 3)
