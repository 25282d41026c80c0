"""Policies against their definitions, written down once more in the plainest way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.cache import make_policy, replay
from sim.policies import MRS, S3FIFO, LeastStale, Window
from sim.policies.score import ALPHA
from sim.policies.window import WINDOW

Key = tuple[int, int]
N_LAYERS = 3
History = list[dict[Key, float]]  # batches: what was used in them, and its weight
layer_batches = st.lists(st.dictionaries(st.integers(0, 5), st.floats(0.05, 1), max_size=3), max_size=60).map(
    lambda drawn: [
        {(turn % N_LAYERS, expert): weight for expert, weight in batch.items()} for turn, batch in enumerate(drawn)
    ]
)


def replay_by_definition(
    capacity: int, batches: History, order: Callable[[Key, History, int], Any]
) -> tuple[int, set[Key]]:
    """Hits and what is left; at every eviction the resident first in `order`, given all uses and the layer, leaves."""
    history: History = []
    resident: set[Key] = set()
    hits = 0
    for turn, batch in enumerate(batches):
        history.append({})
        for key, weight in batch.items():
            hits += key in resident
            if key not in resident and len(resident) == capacity and (free := resident - batch.keys()):
                resident.remove(min(free, key=lambda other: order(other, history, turn % N_LAYERS)))
            if key in resident or len(resident) < capacity:
                resident.add(key)
                history[-1][key] = weight
    return hits, resident


def last_use(key: Key, history: History) -> tuple[int, int]:
    return max((turn, list(used).index(key)) for turn, used in enumerate(history) if key in used)


def least_stale(key: Key, history: History, layer: int) -> Any:
    until_visit = (key[0] - layer) % N_LAYERS or N_LAYERS
    return -until_visit, last_use(key, history)


def window(key: Key, history: History, layer: int) -> Any:
    visits = [used for used in history if any(other[0] == key[0] for other in used)]
    return sum(key in used for used in visits[-WINDOW_TESTED:]), last_use(key, history)


WINDOW_TESTED = 3


def policy_hits(policy: Any, batches: History) -> tuple[int, set[Key]]:
    counted = replay(policy, [list(batch) for batch in batches], [list(batch.values()) for batch in batches])
    return counted.hits, set(policy)


@given(capacity=st.integers(3, 10), batches=layer_batches)
def test_least_stale_keeps_the_layers_that_come_next(capacity: int, batches: History) -> None:
    assert policy_hits(LeastStale[Key](capacity), batches) == replay_by_definition(capacity, batches, least_stale)


@given(capacity=st.integers(3, 10), batches=layer_batches)
def test_least_stale_on_one_layer_is_lru(capacity: int, batches: History) -> None:
    keys = [[expert for _, expert in batch] for batch in batches]
    stale, lru = LeastStale[int](capacity), make_policy("lru", capacity)
    assert replay(stale, keys) == replay(lru, keys)
    assert list(stale) == list(lru)


@given(capacity=st.integers(3, 10), batches=layer_batches)
def test_window_counts_the_last_visits_of_a_layer(capacity: int, batches: History) -> None:
    expected = replay_by_definition(capacity, batches, window)
    assert policy_hits(Window[Key](capacity, window=WINDOW_TESTED), batches) == expected


@settings(max_examples=200)
@given(capacity=st.integers(1, 10), batches=layer_batches)
def test_mrs_scores_are_those_of_the_published_update(capacity: int, batches: History) -> None:
    """S ← α·s + (1 − α)·S for all experts of a layer at each visit, in which s is 0 for those not used."""
    policy = MRS[Key](capacity, alpha=0.3)
    scores: dict[Key, float] = {(layer, expert): 0.0 for layer in range(N_LAYERS) for expert in range(6)}
    for turn, batch in enumerate(batches):
        before = set(policy)
        replay(policy, [list(batch)], [list(batch.values())])
        seen = {key: weight for key, weight in batch.items() if key in before or key in policy}
        if seen:
            for key in scores:
                if key[0] == turn % N_LAYERS:
                    scores[key] = 0.3 * seen.get(key, 0.0) + 0.7 * scores[key]
        assert {key: policy.score(key) for key in scores} == pytest.approx(scores, abs=1e-12)
        left = before - set(policy)
        unneeded = before - batch.keys()
        if left and unneeded - left:
            assert max(scores[key] for key in left) <= min(scores[key] for key in unneeded - left) + 1e-9


def test_mrs_prefers_what_the_gate_weighed_most() -> None:
    policy = MRS[Key](2)
    replay(policy, [[(0, 1)], [(0, 2)], [(0, 3)]], [[0.9], [0.2], [0.5]])
    assert set(policy) == {(0, 1), (0, 3)}, "0.9 has been halved twice, and is still above 0.2 halved once"


def test_an_expert_used_by_several_tokens_has_the_sum_of_their_weights() -> None:
    policy = MRS[Key](4)
    replay(policy, [[(0, 1), (0, 2), (0, 1)]], [[0.25, 0.5, 0.5]])
    assert policy.score((0, 1)) == pytest.approx(ALPHA * 0.75)
    assert policy.score((0, 2)) == pytest.approx(ALPHA * 0.5)


@pytest.mark.parametrize("alpha", [0, 1, -1])
def test_mrs_refuses_an_alpha_that_is_no_average(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha must be between 0 and 1"):
        MRS[Key](4, alpha=alpha)


def test_window_refuses_to_look_at_nothing() -> None:
    assert WINDOW >= 1
    with pytest.raises(ValueError, match="window must be at least 1"):
        Window[Key](4, window=0)


def arc_by_the_paper(capacity: int, accesses: list[int]) -> list[bool]:
    """Figure 4 of the paper, case by case; lists have the most recent key last."""
    t1, t2, b1, b2 = list[int](), list[int](), list[int](), list[int]()
    target = 0.0
    hits = []

    def replace(key: int) -> None:
        if t1 and (len(t1) > target or (key in b2 and len(t1) == target)):
            b1.append(t1.pop(0))
        else:
            b2.append(t2.pop(0))

    for key in accesses:
        hits.append(key in t1 or key in t2)
        if key in t1 or key in t2:
            (t1 if key in t1 else t2).remove(key)
            t2.append(key)
        elif key in b1:
            target = min(capacity, target + max(1.0, len(b2) / len(b1)))
            replace(key)
            b1.remove(key)
            t2.append(key)
        elif key in b2:
            target = max(0.0, target - max(1.0, len(b1) / len(b2)))
            replace(key)
            b2.remove(key)
            t2.append(key)
        else:
            if len(t1) + len(b1) == capacity:
                if len(t1) < capacity:
                    b1.pop(0)
                    replace(key)
                else:
                    t1.pop(0)
            elif len(t1) + len(t2) + len(b1) + len(b2) >= capacity:
                if len(t1) + len(t2) + len(b1) + len(b2) == 2 * capacity:
                    b2.pop(0)
                replace(key)
            t1.append(key)
    return hits


def sieve_by_the_paper(capacity: int, accesses: list[int]) -> list[bool]:
    """Algorithm 1 of the paper; the queue has its head first."""
    queue: list[int] = []
    visited: dict[int, bool] = {}
    hand: int | None = None
    hits = []
    for key in accesses:
        hits.append(key in queue)
        if key in queue:
            visited[key] = True
            continue
        if len(queue) == capacity:
            here = len(queue) - 1 if hand is None else queue.index(hand)
            while visited[queue[here]]:
                visited[queue[here]] = False
                here = here - 1 if here else len(queue) - 1
            hand = queue[here - 1] if here else None
            del queue[here]
        queue.insert(0, key)
        visited[key] = False
    return hits


def lfu_da_by_the_paper(capacity: int, accesses: list[int]) -> list[bool]:
    rank: dict[int, tuple[int, int]] = {}  # residents: count + age, and the last use
    count: dict[int, int] = {}
    age = 0
    hits = []
    for now, key in enumerate(accesses):
        hits.append(key in rank)
        if key not in rank:
            if len(rank) == capacity:
                leaving = min(rank, key=lambda other: rank[other])
                age = rank.pop(leaving)[0]
            count[key] = 0
        count[key] += 1
        rank[key] = (count[key] + age, now)
    return hits


@pytest.mark.parametrize(
    ("name", "definition"),
    [("arc", arc_by_the_paper), ("sieve", sieve_by_the_paper), ("lfu-da", lfu_da_by_the_paper)],
)
@settings(max_examples=300)
@given(capacity=st.integers(1, 7), accesses=st.lists(st.integers(0, 12), max_size=150))
def test_key_by_key_a_policy_does_as_its_paper_says(
    name: str, definition: Callable[[int, list[int]], list[bool]], capacity: int, accesses: list[int]
) -> None:
    policy = make_policy(name, capacity)
    assert [bool(replay(policy, [[key]]).hits) for key in accesses] == definition(capacity, accesses)


def test_s3_fifo_lets_what_is_used_once_pass_by() -> None:
    policy = S3FIFO[int](10)
    replay(policy, [[key] for key in range(10)] * 3)  # all are used again and again, in both queues
    replay(policy, [[key] for key in range(100, 140)])  # each once
    assert set(range(1, 10)) <= set(policy)


def test_s3_fifo_remembers_what_it_put_out_too_soon() -> None:
    policy = S3FIFO[int](10)
    replay(policy, [[key] for key in range(11)])
    assert 0 not in policy
    replay(policy, [[0], *([key] for key in range(20, 30))])
    assert 0 in policy, "it came back to the main queue, where newcomers do not push it out"
