from __future__ import annotations

import json
import math

import numpy as np
import pytest

from sim.cache import FutureIndex, make_policy, replay
from sim.errors import InputError
from sim.replay.study import Study, study
from sim.trace import RoutingTrace
from sim.workload import accesses
from tests.traces import random_trace

CAPACITIES = (2, 3, 5, 6)


def decode_trace() -> RoutingTrace:
    return random_trace([(0, 120), (0, 80)], n_layers=3, n_experts=6, seed=5)


def small_study(**options: object) -> Study:
    return study(decode_trace(), ["lru", "sieve"], CAPACITIES, **options)  # type: ignore[arg-type]


def test_each_layer_is_replayed_as_by_itself() -> None:
    found, ids = small_study(), decode_trace().ids
    for at, capacity in enumerate(CAPACITIES):
        for layer in range(3):
            counted = replay(make_policy("lru", capacity), ids[:, layer].tolist())
            assert found.misses["lru"][at, layer] == counted.misses
            assert found.layer_miss_ratios("lru")[at, layer] == counted.misses / counted.accesses
            future = FutureIndex(ids[:, layer].tolist())
            best = replay(make_policy("belady", capacity, next_use=future.next_use), ids[:, layer].tolist())
            assert found.misses["belady"][at, layer] == best.misses


def test_one_cache_for_all_is_replayed_as_a_whole() -> None:
    found = small_study(scope="global", batch=2)
    for at, capacity in enumerate(CAPACITIES):
        policy = make_policy("sieve", capacity)
        counted = replay(policy, accesses(decode_trace(), 2))
        assert found.misses["sieve"][at].tolist() == [counted.misses]
        assert found.evictions["sieve"][at].tolist() == [counted.evictions]
        assert found.miss_ratios("sieve")[at] == counted.misses / counted.accesses


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_the_split_adds_up_to_all_misses(scope: str) -> None:
    found = small_study(scope=scope)
    for policy in found.policies:
        split = found.split(policy)
        np.testing.assert_array_equal(split.sum(axis=1), found.misses[policy].sum(axis=1))
        assert (split[:, 0] == 18).all(), "all 6 experts of 3 layers are used"
        assert (split[:, 1] >= 0).all()
        if policy != "static-oracle":
            assert (split[:, 2] >= 0).all()
    assert not found.split("belady")[:, 2].any()
    if scope == "layer":
        assert found.split("lru")[-1].tolist() == [18, 0, 0], "a cache of all experts misses first uses only"


def test_the_references_are_always_there_and_come_last() -> None:
    found = study(decode_trace(), ["belady", "lfu", "lfu"], [3])
    assert found.policies == ["lfu", "belady", "static-oracle"]


def test_layers_without_accesses_have_no_ratio() -> None:
    trace = decode_trace()
    trace.ids[:, 1] = trace.missing
    found = study(trace, ["lru"], [3])
    assert math.isnan(found.layer_miss_ratios("lru")[0, 1])
    assert not math.isnan(found.miss_ratios("lru")[0])
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["policies"]["lru"]["misses_by_cache"][0][1] == 0


def test_an_empty_trace_has_no_ratios() -> None:
    found = study(random_trace([]), ["lru"], [3])
    assert found.to_dict()["policies"]["lru"]["miss_ratio"] == [None]


def test_the_dictionary_says_what_the_study_says() -> None:
    found = small_study()
    said = found.to_dict()
    assert said["capacities"] == list(CAPACITIES)
    assert said["accesses"] == 200 * 3 * 2 == sum(said["accesses_by_cache"])
    lru = said["policies"]["lru"]
    parts = zip(lru["compulsory_misses"], lru["capacity_misses"], lru["policy_misses"], strict=True)
    assert [sum(part) for part in parts] == lru["misses"]
    assert lru["miss_ratio"] == [misses / said["accesses"] for misses in lru["misses"]]


def test_bytes_leave_the_static_oracle_out() -> None:
    found = small_study(scope="global", layer_bytes=np.array([5, 5, 7]))
    assert found.policies == ["lru", "sieve", "belady"]
    assert found.in_bytes


def test_progress_is_told() -> None:
    told: list[str] = []
    study(decode_trace(), ["lru"], [3], progress=told.append)
    assert told[0] == "layer 0 of 3, lru"
    assert len(told) == 9


def test_unknown_policies_and_batches_are_refused() -> None:
    with pytest.raises(InputError, match="unknown eviction policy"):
        study(decode_trace(), ["mru"], [3])
    with pytest.raises(InputError, match="batch"):
        study(decode_trace(), ["lru"], [3], batch=0)


def test_fresh_caches_start_empty_with_every_batch_of_sequences() -> None:
    trace = decode_trace()
    whole = small_study(fresh=True)
    alone = [study(trace.sequence(i), ["lru", "sieve"], CAPACITIES) for i in range(2)]
    for policy in whole.policies:
        np.testing.assert_array_equal(whole.misses[policy], alone[0].misses[policy] + alone[1].misses[policy])
    np.testing.assert_array_equal(whole.compulsory, alone[0].compulsory + alone[1].compulsory)
    np.testing.assert_array_equal(whole.accesses, small_study().accesses)
    together = small_study(fresh=True, batch=2)
    np.testing.assert_array_equal(together.misses["lru"], small_study(batch=2).misses["lru"])
